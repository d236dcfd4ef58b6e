//! `kube_exec` and `kube_port_forward`, run as programs against a server in here and against `kube_server`: exit codes, what
//! goes through, and what they say when it does not.

#![cfg(all(
    unix,
    feature = "kube",
    feature = "axum",
    feature = "tokio-tungstenite"
))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "kube_examples/api.rs"]
mod api;
#[path = "kube_examples/exec.rs"]
mod exec;
#[path = "kube_examples/port_forward.rs"]
mod port_forward;
#[path = "support/programs.rs"]
mod programs;
#[path = "kube_examples/server.rs"]
mod server;

use std::future::Future;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::programs::program;

/// No step takes longer than this.
const LIMIT: Duration = Duration::from_secs(60);

#[track_caller]
fn within<F: Future>(what: &'static str, future: F) -> impl Future<Output = F::Output> + use<F> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(LIMIT, future).await {
            Ok(output) => output,
            Err(_) => panic!("{what} did not come (awaited at {caller})"),
        }
    }
}

/// An example's program.
fn example(name: &str) -> PathBuf {
    program(&["kube_exec", "kube_port_forward", "kube_server"], name)
}

/// A program that is ended with the test.
struct Running(Child);

impl Running {
    fn start(name: &str, arguments: &[&str], stdin: impl Into<Stdio>) -> Self {
        let mut command = Command::new(example(name));
        command
            .args(arguments)
            .env("COLUMNS", "100")
            .env("LINES", "30");
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command.kill_on_drop(true).spawn().unwrap())
    }

    fn signal(&self, signal: &str) {
        let id = self.0.id().expect("it has ended").to_string();
        let kill = std::process::Command::new("kill")
            .args([signal, &id])
            .status();
        assert!(kill.unwrap().success());
    }

    fn lines(&mut self) -> Lines<BufReader<ChildStdout>> {
        BufReader::new(self.0.stdout.take().unwrap()).lines()
    }

    async fn end(self) -> Output {
        within("its end", self.0.wait_with_output()).await.unwrap()
    }
}

/// What it has printed, its exit code, and what it has said on standard error.
fn outcome(output: Output) -> (String, Option<i32>, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        output.status.code(),
        text(output.stderr),
    )
}

async fn run(name: &str, arguments: &[&str]) -> (String, Option<i32>, String) {
    outcome(Running::start(name, arguments, Stdio::null()).end().await)
}

/// What it says in one line before it ends with 1.
async fn failure(name: &str, arguments: &[&str]) -> String {
    let (_, code, said) = run(name, arguments).await;
    assert_eq!(code, Some(1), "{name} {arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with(&format!("{name}: ")), "{said}");
    said
}

#[tokio::test]
async fn wrong_arguments_are_told_in_one_line() {
    let server = "http://127.0.0.1:1";
    for (arguments, expected) in [
        (&[][..], "usage: kube_exec"),
        (&[server], "usage: kube_exec"),
        (&[server, "p"], "a COMMAND, or --attach"),
        (
            &["--attach", server, "p", "--", "ls"],
            "a COMMAND, or --attach",
        ),
        (&["-x", server, "p", "--", "ls"], "invalid option '-x'"),
        (&["https://a", "p", "--", "ls"], "SERVER has to be http://"),
        (&["127.0.0.1", "p", "--", "ls"], "SERVER has to be http://"),
        (&["http://a/b", "p", "--", "ls"], "SERVER has no path"),
        (
            &["--token", "a\nb", server, "p", "--", "ls"],
            "--token is no",
        ),
        (&["--container"], "missing argument"),
        // Nobody listens there.
        (
            &[server, "p", "--", "ls"],
            "cannot connect to 127.0.0.1:1: ",
        ),
    ] {
        let said = failure("kube_exec", arguments).await;
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    for (arguments, expected) in [
        (&[][..], "usage: kube_port_forward"),
        (&[server, "p"], "usage: kube_port_forward"),
        (
            &["--spdy", "--websocket", server, "p", "1"],
            "one transport at most",
        ),
        (&["--address", "nowhere", server, "p", "1"], "nowhere"),
        (&[server, "p", "0"], "\"0\" is not [LOCAL:]REMOTE"),
        (
            &[server, "p", "80", "8080:"],
            "\"8080:\" is not [LOCAL:]REMOTE",
        ),
        (&[server, "p", "1:2:3"], "\"1:2:3\" is not [LOCAL:]REMOTE"),
        (&[server, "p", "65536"], "\"65536\" is not [LOCAL:]REMOTE"),
        (&[server, "p", ":80"], "cannot connect to 127.0.0.1:1: "),
    ] {
        let said = failure("kube_port_forward", arguments).await;
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn what_a_server_says_does_not_take_the_terminal_apart() {
    let server = api::serve().await;
    let shown = "\\u{1b}]0;title\\u{7}\\r\\nkube_exec: all is well\n";
    for (name, arguments) in [
        ("kube_exec", &[&server, "hostile", "--", "ls"][..]),
        (
            "kube_port_forward",
            &["--websocket", &server, "hostile", "80"],
        ),
        ("kube_port_forward", &["--spdy", &server, "hostile", "80"]),
    ] {
        let said = failure(name, arguments).await;
        assert!(said.ends_with(shown), "{name} {arguments:?}: {said:?}");
    }
    // The outcome of a command, and that of a connection, are its words as well.
    let said = failure("kube_exec", &[&server, "p", "--", "fail", "\u{1b}[2J\nx"]).await;
    assert!(said.ends_with("failed: \\u{1b}[2J\\nx\n"), "{said:?}");
}
