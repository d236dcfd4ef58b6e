//! Processes of the peers.

use std::ffi::OsString;
use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long a test may take that has no reason to be slow.
pub(crate) const SHORT: Duration = Duration::from_secs(30);

/// The same for one that moves a lot, or waits for a slow peer.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Runs a test under its time limit. The work is dropped by the panic, not before it, so that every peer notices that
/// the test has failed and prints what it said.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        out = &mut work => out,
        () = tokio::time::sleep(limit) => panic!("not done after {limit:?}"),
    }
}

/// Asks `done` every few milliseconds until it says yes; the time limit of the test is the limit.
pub(crate) async fn until(mut done: impl AsyncFnMut() -> bool) {
    while !done().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A variable that scripts/interop sets.
pub(crate) fn variable(name: &str) -> OsString {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run these tests by scripts/interop"))
}

/// A file in the folder of the peers.
pub(crate) fn peer_file(name: &str) -> PathBuf {
    let path = Path::new(&variable("SPDY_INTEROP_PEERS")).join(name);
    assert!(
        path.is_file(),
        "{} is missing: run these tests by scripts/interop",
        path.display()
    );
    path
}

fn node(script: &str) -> Command {
    // Looked at here: node would only complain in the middle of a test.
    let modules = Path::new(&variable("SPDY_INTEROP_NODE_DIR")).join("node_modules/spdy");
    assert!(
        modules.is_dir(),
        "{} is missing: run these tests by scripts/interop",
        modules.display()
    );
    let mut command = Command::new("node");
    command.arg(peer_file(script));
    command
}

fn go() -> Command {
    Command::new(variable("SPDY_INTEROP_GO_PEER"))
}

/// A new path for a scratch file.
pub(crate) fn scratch(suffix: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("interop-{}-{number}.{suffix}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A server of somebody else. It is killed when this is dropped, and says what it had to say if the test failed.
pub(crate) struct Server {
    port: u16,
    _child: Child,
    // The server ends when this does, even if the test process is killed.
    _stdin: ChildStdin,
    // Kept open, so that a late line does not kill the server.
    _stdout: BufReader<ChildStdout>,
    stderr: PathBuf,
}

impl Server {
    pub(crate) async fn node() -> Self {
        Self::start(node("node_server.js")).await
    }

    /// Over TLS, where SPDY is agreed on by ALPN.
    pub(crate) async fn node_tls(certificate: &Path, key: &Path) -> Self {
        let mut command = node("node_server.js");
        command.arg(certificate).arg(key);
        Self::start(command).await
    }

    pub(crate) async fn go() -> Self {
        let mut command = go();
        command.arg("server");
        Self::start(command).await
    }

    async fn start(mut command: Command) -> Self {
        let stderr = scratch("stderr");
        let file = File::create(&stderr).expect("create a file for stderr");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .expect("start the server; run these tests by scripts/interop");
        let mut server = Self {
            port: 0,
            _stdin: child.stdin.take().unwrap(),
            _stdout: BufReader::new(child.stdout.take().unwrap()),
            _child: child,
            stderr,
        };
        let mut line = String::new();
        within(SHORT, server._stdout.read_line(&mut line))
            .await
            .expect("read from the server");
        server.port = line
            .strip_prefix("LISTENING ")
            .and_then(|port| port.trim().parse().ok())
            .unwrap_or_else(|| panic!("the server did not start, it said {line:?}"));
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Fails if the server reported an error.
    pub(crate) fn assert_quiet(&self) {
        let said = std::fs::read_to_string(&self.stderr).unwrap();
        assert!(said.is_empty(), "the server reported errors");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = std::fs::read(&self.stderr).unwrap_or_default();
            // No panic in here: the first one is the one to see.
            drop(writeln!(
                std::io::stderr(),
                "stderr of the peer: [{}]",
                String::from_utf8_lossy(&said)
            ));
        }
        drop(std::fs::remove_file(&self.stderr));
    }
}

/// Runs a scenario of the node client; the JSON line it ends with.
pub(crate) async fn run_node_client(port: u16, scenario: &str) -> serde_json::Value {
    run_client(node("node_client.js"), port, scenario).await
}

/// The same over TLS, where SPDY is agreed on by ALPN.
pub(crate) async fn run_node_tls_client(
    port: u16,
    scenario: &str,
    authority: &Path,
) -> serde_json::Value {
    let mut command = node("node_client.js");
    command.arg(port.to_string()).arg(scenario).arg(authority);
    ended_well(command, scenario).await
}

/// Runs a scenario of the Go client; the JSON line it ends with.
pub(crate) async fn run_go_client(port: u16, scenario: &str) -> serde_json::Value {
    let mut command = go();
    command.arg("client");
    run_client(command, port, scenario).await
}

async fn run_client(mut command: Command, port: u16, scenario: &str) -> serde_json::Value {
    command.arg(port.to_string()).arg(scenario);
    ended_well(command, scenario).await
}

async fn ended_well(command: Command, scenario: &str) -> serde_json::Value {
    let line = run(command, scenario).await;
    assert_eq!(line["scenario"], scenario);
    assert_eq!(line["ok"], true, "{line}");
    line
}

/// Runs a process to its end; the JSON object that it wrote.
pub(crate) async fn run(mut command: Command, what: &str) -> serde_json::Value {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("start the peer; run these tests by scripts/interop");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{what}: {}\nstdout: {stdout}\nstderr: {stderr}",
        output.status
    );
    serde_json::from_str(&stdout)
        .unwrap_or_else(|error| panic!("{what}: {error}\nstdout: {stdout}\nstderr: {stderr}"))
}
