//! The examples of the ways in, run as programs: what they print, what they say to a wrong argument, and a socket passed by
//! a service manager.

#![cfg(all(unix, feature = "auto", feature = "tls"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "support/programs.rs"]
mod programs;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use programs::program;

/// No step takes longer than this.
const LIMIT: Duration = Duration::from_secs(60);

/// An example's program.
fn example(name: &str) -> PathBuf {
    program(&["one_port", "axum_upgrade", "tls", "connector"], name)
}

/// A program that is ended with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(child.spawn().unwrap())
    }

    /// The address in the line with which a server begins.
    fn address(&mut self) -> SocketAddr {
        let mut line = String::new();
        let out = self.0.stdout.as_mut().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.contains("://"));
        let address = url.unwrap_or_else(|| panic!("no address in {line:?}"));
        let address = address.trim_end_matches(',').rsplit('/').next().unwrap();
        address.parse().unwrap()
    }

    fn terminate(&self) {
        let kill = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(kill.unwrap().success());
    }

    /// Waits for its end.
    fn end(mut self) -> Output {
        let began = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut stdout)
            .unwrap();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_end(&mut stderr)
            .unwrap();
        let status = self.0.wait().unwrap();
        Output {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn run(name: &str, arguments: &[&str]) -> Output {
    Running::start(Command::new(example(name)).args(arguments)).end()
}

/// One line on standard error, and exit code 1.
fn failure(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "{name} {arguments:?}: {text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with(&format!("{name}: ")), "{text}");
    text
}

/// What it says on standard error, then what it prints.
fn success(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments);
    let said = [output.stderr, output.stdout].map(|text| String::from_utf8(text).unwrap());
    let said = said.concat();
    assert!(output.status.success(), "{name} {arguments:?}: {said}");
    said
}

#[test]
fn what_runs_by_itself_ends_well() {
    assert!(success("axum_upgrade", &[]).ends_with("101\nother 42\n\n"));
    assert!(success("tls", &[]).ends_with("200 OK\nhello over SPDY and TLS\n"));
}

#[test]
fn wrong_arguments_are_told_in_one_line() {
    assert!(failure("axum_upgrade", &["a", "b"]).contains("usage: axum_upgrade [ADDRESS]"));
    assert!(failure("axum_upgrade", &["nowhere"]).contains("cannot listen on nowhere"));
    assert!(failure("one_port", &["--ssl"]).contains("usage: one_port [--tls] [ADDRESS]"));
    assert!(failure("one_port", &["256.0.0.1:1"]).contains("cannot listen on 256.0.0.1:1"));
    assert!(failure("tls", &["one"]).contains("usage: tls"));
    assert!(failure("tls", &["no.pem", "no.key"]).contains("cannot read the certificate no.pem"));
    assert!(failure("connector", &[]).contains("usage: connector"));
    assert!(failure("connector", &["ftp://a/"]).contains("ftp"));
    // A port that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let dead = failure("connector", &[&format!("http://{free}/")]);
    assert!(
        dead.contains(&free.to_string()) && dead.contains("no connection"),
        "{dead}"
    );
}

/// One HTTP/1.1 exchange.
fn ask(address: SocketAddr) -> String {
    let mut io = TcpStream::connect(address).unwrap();
    io.set_read_timeout(Some(LIMIT)).unwrap();
    io.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn one_port_answers_in_each_protocol_and_drains_at_sigterm() {
    for tls in [false, true] {
        let mut command = Command::new(example("one_port"));
        command.args(tls.then_some("--tls")).arg("127.0.0.1:0");
        let mut server = Running::start(&mut command);
        let address = server.address();
        if tls {
            let url = format!("https://localhost:{}/", address.port());
            let over_spdy = success("connector", &["--insecure", &url]);
            assert!(over_spdy.starts_with("SPDY/3.1 200 OK"), "{over_spdy}");
            // Plain text on the TLS port.
            let error = failure("connector", &[&format!("http://{address}/")]);
            assert!(error.contains("TLS alert instead of SPDY"), "{error}");
        } else {
            assert!(ask(address).ends_with("hello over HTTP/1.1\n"));
            let over_spdy = success("connector", &[&format!("http://{address}/")]);
            assert!(over_spdy.starts_with("SPDY/3.1 200 OK"), "{over_spdy}");
            // TLS on the plain port.
            let url = format!("https://localhost:{}/", address.port());
            let error = failure("connector", &["--insecure", &url]);
            assert!(
                error.contains("TLS was expected and something else came"),
                "{error}"
            );
        }
        server.terminate();
        let output = server.end();
        assert!(output.status.success(), "{output:?}");
    }
}

/// As systemd does it: descriptor 3 is the socket, `LISTEN_FDS` their number, `LISTEN_PID` who is meant.
#[test]
fn one_port_takes_the_socket_of_a_service_manager() {
    let activate = |arguments: &str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let run = format!("exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$0\" {arguments}");
        let mut command = Command::new("sh");
        command.arg("-c").arg(run).arg(example("one_port"));
        command
            .env("LISTEN_FDS", "1")
            .stdin(OwnedFd::from(listener));
        (Running::start(&mut command), address)
    };
    let (mut server, address) = activate("");
    assert_eq!(server.address(), address);
    assert!(ask(address).ends_with("hello over HTTP/1.1\n"));
    server.terminate();
    assert!(server.end().status.success());

    let (server, _) = activate("127.0.0.1:0");
    let output = server.end();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("give no ADDRESS"),
        "{text}"
    );
}
