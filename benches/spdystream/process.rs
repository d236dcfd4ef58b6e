//! Processes under measurement, and what Linux tells of them.

use std::ffi::OsStr;
use std::fs::DirEntry;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

/// A server in a process of its own. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// It ends when this does, even if this process is killed.
    _stdin: ChildStdin,
    port: u16,
}

impl Server {
    pub(crate) fn start<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", program.display()));
        let stdin = child.stdin.take().expect("piped");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("a line of the server");
        let port = line
            .strip_prefix("LISTENING ")
            .and_then(|port| port.trim().parse().ok())
            .unwrap_or_else(|| panic!("{} said {line:?}", program.display()));
        Self {
            child,
            _stdin: stdin,
            port,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The CPU time that the process has used, user and system, in seconds. As the scheduler counts it for each thread:
    /// /proc/PID/stat has the same in ticks of 10 ms, which is as long as a run here takes. Neither server ends threads.
    pub(crate) fn cpu(&self) -> f64 {
        let path = format!("/proc/{}/task", self.child.id());
        let threads = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let nanoseconds = |thread: std::io::Result<DirEntry>| -> f64 {
            let path = thread.expect("a thread").path().join("schedstat");
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let first = text.split_whitespace().next().expect("a number");
            first.parse().expect("a number")
        };
        threads.map(nanoseconds).sum::<f64>() / 1e9
    }

    /// The most memory that the process has ever had, in MiB.
    pub(crate) fn peak_rss(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).expect("the status of a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let text = line.expect("VmHWM").trim().trim_end_matches(" kB");
        text.parse::<f64>().expect("a number") / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the Go client; the JSON line that it ends with. It has time limits of its own.
pub(crate) fn client(go: &Path, args: &[String]) -> Value {
    let output = Command::new(go)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("start {}: {error}", go.display()));
    assert!(
        output.status.success(),
        "the client with {args:?}: {}",
        output.status
    );
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}
