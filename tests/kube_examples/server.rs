//! `kube_server`, with the other two for its clients. Real kubectl is at it in `tests/interop/kubectl/`.

use std::time::Instant;

use spdy::Config;
use spdy::kube::remote_command::{Client, Exit, Streams, Version};
use spdy::kube::{self, remote_command};
use tokio::net::TcpStream;

use super::port_forward::{interrupted, started};
use super::*;

/// A server, and its URL.
async fn serve(arguments: &[&str]) -> (Running, String) {
    let arguments = [&["--listen", "127.0.0.1:0"], arguments].concat();
    let mut server = Running::start("kube_server", &arguments, Stdio::null());
    let line = within("its address", server.lines().next_line()).await;
    let line = line.unwrap().expect("it has ended");
    let url = line.strip_prefix("listening on ").expect(&line).to_owned();
    (server, url)
}

/// It has nothing to wait for.
async fn ends_at_once(server: Running) {
    let began = Instant::now();
    server.signal("-TERM");
    let (_, code, said) = outcome(server.end().await);
    assert_eq!(code, Some(0), "{said}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}: {said}");
}

#[tokio::test]
async fn a_command_runs_between_the_two() {
    let (server, url) = serve(&["--", "sh", "-c", "tr a-z A-Z; exit 4"]).await;
    let script = "cat; echo err >&2; exit 3";
    for (arguments, out, err, exit) in [
        (
            &["-i", &url, "p", "--", "sh", "-c", script][..],
            "some input",
            "err\n",
            3,
        ),
        (&["-i", "--attach", &url, "p"], "SOME INPUT", "", 4),
        // The end of what is typed is that of the terminal's input, also in the middle of a line.
        (
            &["-i", "-t", &url, "p", "--", "sh", "-c", "stty size; cat"],
            "30 100\r\nsome input",
            "",
            0,
        ),
    ] {
        let mut program = Running::start("kube_exec", arguments, Stdio::piped());
        let mut stdin = program.0.stdin.take().unwrap();
        stdin.write_all(b"some input").await.unwrap();
        drop(stdin);
        let (stdout, code, stderr) = outcome(program.end().await);
        assert_eq!(code, Some(exit), "{arguments:?}: {stdout:?} {stderr}");
        if arguments.contains(&"-t") {
            assert!(stdout.contains("30 100\r\n"), "{stdout:?}");
            assert!(stdout.contains("some input"), "{stdout:?}");
        } else {
            assert_eq!((stdout.as_str(), stderr.as_str()), (out, err));
        }
    }
    ends_at_once(server).await;
}

#[tokio::test]
async fn what_cannot_be_run_is_told() {
    let (server, url) = serve(&[]).await;
    let said = failure("kube_exec", &[&url, "p", "--", "/no/such/program"]).await;
    assert!(said.contains("cannot run \"/no/such/program\""), "{said}");
    let said = failure("kube_exec", &[&url, "q", "--", "true"]).await;
    assert!(said.contains("pods \"q\" not found"), "{said}");
    ends_at_once(server).await;
}

#[tokio::test]
async fn connections_are_forwarded_over_both_transports() {
    let (server, url) = serve(&[]).await;
    let port = url.rsplit_once(':').unwrap().1;
    for option in ["--websocket", "--spdy"] {
        let (program, addresses) = started(&[option, &url, "p", &format!("0:{port}")], 1).await;
        let request = b"GET /api HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut io = TcpStream::connect(addresses[0]).await.unwrap();
        io.write_all(request).await.unwrap();
        let mut answer = String::new();
        // Its end is the server's: one that came before the answer would be taken for a client that has gone.
        let read = io.read_to_string(&mut answer);
        within("the answer", read).await.unwrap();
        // What is open is waited for below, for 10 s.
        drop(io);
        assert!(answer.contains("APIVersions"), "{option}: {answer}");
        interrupted(program).await;
    }
    ends_at_once(server).await;
}

/// A target takes an end for the whole.
#[tokio::test]
async fn a_forwarded_connection_that_is_cut_short_is_reset_at_both_ends() {
    let target = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = format!("0:{}", target.local_addr().unwrap().port());
    let (server, url) = serve(&[]).await;
    let (program, addresses) = started(&[&url, "p", &port], 1).await;
    let mut local = TcpStream::connect(addresses[0]).await.unwrap();
    local.write_all(b"the first half").await.unwrap();
    let (mut target, _) = within("the target", target.accept()).await.unwrap();
    let mut half = [0; 14];
    within("the half", target.read_exact(&mut half))
        .await
        .unwrap();

    server.signal("-KILL");
    let error = within("the end", local.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    drop((server.end().await, program.end().await, target));

    let target = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = format!("0:{}", target.local_addr().unwrap().port());
    let (server, url) = serve(&[]).await;
    let (program, addresses) = started(&[&url, "p", &port], 1).await;
    let mut local = TcpStream::connect(addresses[0]).await.unwrap();
    local.write_all(b"the first half").await.unwrap();
    let (mut target, _) = within("the target", target.accept()).await.unwrap();
    within("the half", target.read_exact(&mut half))
        .await
        .unwrap();
    program.signal("-KILL");
    let error = within("the end", target.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    drop((program.end().await, local));
    ends_at_once(server).await;
}

/// Pages may open WebSockets to any host.
#[tokio::test]
async fn what_a_page_asks_for_is_refused() {
    let (server, url) = serve(&[]).await;
    let address = url.strip_prefix("http://").unwrap();
    for path in ["exec?command=date&stdout=true", "portforward"] {
        let mut io = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /api/v1/namespaces/default/pods/p/{path} HTTP/1.1\r\nHost: {address}\r\n\
             Origin: http://example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n"
        );
        io.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        let read = io.read_exact(&mut status);
        within("an answer", read).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 403", "{path}");
    }
    ends_at_once(server).await;
}

/// Starts a command that prints the id of a process of its own, and waits for that.
async fn running(arguments: &[&str]) -> (Running, PathBuf) {
    let mut client = Running::start("kube_exec", arguments, Stdio::null());
    let mut lines = client.lines();
    let id = within("the id of a process", lines.next_line()).await;
    let id: u32 = id.unwrap().unwrap().trim().parse().unwrap();
    let process = PathBuf::from(format!("/proc/{id}"));
    assert!(process.exists());
    (client, process)
}

async fn gone(process: PathBuf) {
    let gone = async {
        while process.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("the end of the process", gone).await;
}

/// The client is told, because it would take an end without an outcome for a success.
#[tokio::test]
async fn a_server_that_is_told_to_end_ends_its_commands_and_tells_their_clients() {
    let (server, url) = serve(&[]).await;
    let script = "echo $$; trap '' HUP TERM; sleep 1000";
    let (client, process) = running(&[&url, "p", "--", "sh", "-c", script]).await;
    server.signal("-TERM");
    let (_, code, said) = outcome(client.end().await);
    assert_eq!(code, Some(1));
    assert!(said.contains("the server is shutting down"), "{said}");
    gone(process).await;
    let (_, code, said) = outcome(server.end().await);
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    let (server, url) = serve(&[]).await;
    let script = "echo $$; sleep 1000";
    let (_client, process) = running(&[&url, "p", "--", "sh", "-c", script]).await;
    let began = Instant::now();
    server.signal("-INT");
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("-INT");
    let (_, code, said) = outcome(server.end().await);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cut off what had not ended"), "{said}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    gone(process).await;
}

/// How long a server waits for a request: a while, for clients far away, and less than a shutdown does.
const HEAD: std::ops::Range<Duration> = Duration::from_secs(2)..Duration::from_secs(8);

/// Connected, and silent from the first byte, in the middle of a head, or after an answer.
#[tokio::test]
async fn a_client_that_does_not_ask_is_closed_on() {
    let (server, url) = serve(&[]).await;
    let address = url.strip_prefix("http://").unwrap();
    let request = "GET /api HTTP/1.1\r\nHost: a\r\n\r\n";
    let silent = async |said: &str| {
        let mut io = TcpStream::connect(address).await.unwrap();
        let began = Instant::now();
        io.write_all(said.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = io.read_to_string(&mut answer);
        within("the end of a silent connection", read)
            .await
            .unwrap();
        let took = began.elapsed();
        assert!(HEAD.contains(&took), "{said:?}: {took:?}");
        answer
    };
    // It takes its time, and is served.
    let slow = async {
        let mut io = TcpStream::connect(address).await.unwrap();
        let (one, two) = request.split_at(9);
        io.write_all(one.as_bytes()).await.unwrap();
        tokio::time::sleep(HEAD.start / 2).await;
        io.write_all(two.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        let read = io.read_exact(&mut status);
        within("an answer", read).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
    };
    let (nothing, half, answered, ()) =
        tokio::join!(silent(""), silent("GET /api HT"), silent(request), slow);
    assert_eq!(nothing, "");
    assert!(!half.contains(" 200 "), "{half}");
    assert!(answered.contains("APIVersions"), "{answered}");
    ends_at_once(server).await;
}

/// A request that is never complete is waited for with everything else, and given up in time.
#[tokio::test]
async fn half_a_request_does_not_keep_the_server() {
    let (server, url) = serve(&[]).await;
    let address = url.strip_prefix("http://").unwrap();
    let mut io = TcpStream::connect(address).await.unwrap();
    io.write_all(b"GET /api HT").await.unwrap();
    // It has been accepted.
    let (_, code, said) = run("kube_exec", &[&url, "p", "--", "true"]).await;
    assert_eq!(code, Some(0), "{said}");
    server.signal("-TERM");
    let began = Instant::now();
    let (_, code, said) = outcome(server.end().await);
    assert_eq!(code, Some(0), "{said}");
    let took = began.elapsed();
    assert!(took < HEAD.end, "{took:?}");
}

/// A shell with job control gives each job a process group.
#[tokio::test]
async fn the_jobs_of_a_terminal_end_with_it() {
    let (server, url) = serve(&[]).await;
    let script = "trap '' HUP; sleep 1000 & echo $!; sleep 1000";
    let arguments = ["-t", &url, "p", "--", "sh", "-m", "-c", script];
    let (client, job) = running(&arguments).await;
    client.signal("-KILL");
    gone(job).await;
    ends_at_once(server).await;
}

/// Filters are no part of a command that has ended, and what they write is its output.
#[tokio::test]
async fn what_is_written_behind_the_end_of_a_command_comes() {
    let (server, url) = serve(&[]).await;
    for (script, length) in [
        ("(sleep 0.2; seq 1000000) & exit 5", 6_888_896),
        ("(sleep 0.2; echo late) & exit 5", 5),
    ] {
        let (out, code, said) = run("kube_exec", &[&url, "p", "--", "sh", "-c", script]).await;
        assert_eq!((out.len(), code), (length, Some(5)), "{script}: {said}");
    }
    ends_at_once(server).await;
}

/// It has left the command's process group, has its output still, and comes to no end.
#[tokio::test]
async fn what_goes_on_for_ever_is_cut_off_and_no_success() {
    let (server, url) = serve(&[]).await;
    let script = "setsid sh -c 'while :; do echo x; sleep 0.02; done' & sleep 0.2";
    let (_, code, said) = run("kube_exec", &[&url, "p", "--", "sh", "-c", script]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("goes on writing"), "{said}");
    ends_at_once(server).await;
}

/// A terminal that nobody reads would stop its command; kubectl has no option for one.
#[tokio::test]
async fn a_terminal_without_an_output_is_read_all_the_same() {
    let (server, url) = serve(&[]).await;
    let address = url.strip_prefix("http://").unwrap();
    let path = "/api/v1/namespaces/default/pods/p/exec\
                ?command=head&command=-c&command=1000000&command=/dev/zero&stdin=true&tty=true";
    let request = hyper::Request::post(format!("{url}{path}"))
        .body(http_body_util::Empty::<hyper::body::Bytes>::new())
        .unwrap();
    let io = TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(io);
    let connect = kube::connect(io, request, remote_command::PROTOCOLS);
    let switched = within("the answer", connect).await.unwrap();
    let (session, connection) = switched
        .switched()
        .unwrap()
        .into_session(Config::spdystream_client());
    tokio::spawn(connection);
    let wanted = Streams::from_query("stdin=1&tty=1");
    let client = Client::new(Version::V4, wanted);
    let streams = within("the streams", client.open(&session)).await.unwrap();
    let exit = within("the exit code", streams.exit.wait()).await.unwrap();
    assert_eq!(exit, Exit::Code(0));
    ends_at_once(server).await;
}

/// Half of an input is not to be taken for the whole.
#[tokio::test]
async fn an_input_that_breaks_off_is_no_success() {
    let (server, url) = serve(&[]).await;
    let folder = std::fs::File::open("/").unwrap();
    let arguments = ["-i", &url, "p", "--", "sh", "-c", "cat; echo whole"];
    let program = Running::start("kube_exec", &arguments, folder);
    let (out, code, said) = outcome(program.end().await);
    assert_eq!((out.as_str(), code), ("", Some(1)), "{said}");
    assert!(said.contains("standard input"), "{said}");
    ends_at_once(server).await;
}

#[tokio::test]
async fn what_a_server_is_started_with_wrongly_is_told() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, expected) in [
        (&["--what"][..], "invalid option '--what'"),
        (&["--listen"], "missing argument for option '--listen'"),
        (&["--listen", "nonsense"], "cannot listen on nonsense"),
        (&["--listen", &taken], "cannot listen on 127.0.0.1:"),
        (&["--listen", "0.0.0.0:0"], "is no loopback address"),
    ] {
        let (_, code, said) = run("kube_server", arguments).await;
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.starts_with("kube_server: "), "{said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
