//! The example `soak`, run as a program: its arguments, a short run, and that each of its checks can fail.
#![cfg(all(feature = "server", feature = "client"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "support/programs.rs"]
mod programs;

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use programs::program;

/// No run takes longer than this: the longest waits of the program are shorter.
const LIMIT: Duration = Duration::from_secs(280);

/// The program.
fn soak() -> Command {
    let mut command = Command::new(program(&["soak"], "soak"));
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A run that is ended with the test.
struct Running(Child);

impl Running {
    fn start(args: &[&str]) -> Self {
        Self(soak().args(args).spawn().unwrap())
    }

    /// Waits for its end. The output of a run fits into a pipe.
    fn end(mut self) -> Done {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (self.0.stdout.take(), self.0.stderr.take());
        out.unwrap().read_to_end(&mut stdout).unwrap();
        err.unwrap().read_to_end(&mut stderr).unwrap();
        let output = Output {
            status,
            stdout,
            stderr,
        };
        Done(output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Done(Output);

impl Done {
    fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

#[test]
fn wrong_arguments_are_told_in_one_line() {
    for (args, what) in [
        (&["--seconds"][..], "--seconds"),
        (&["--seconds", "0"], "1 to"),
        (&["--minutes", "soon"], "\"soon\" is not a number"),
        (&["--minutes", "99999999999999999999"], "is not a number"),
        (&["--minutes", "1", "--seconds", "1"], "given twice"),
        (&["--seed", "-1"], "\"-1\""),
        (&["--connections", "1"], "2 to 1000"),
        (&["--connections", "1001"], "2 to 1000"),
        (&["--plant", "a-tree"], "\"a-tree\""),
        (&["--threads", "2"], "--threads"),
        (&["-x"], "-x"),
        (&["now"], "now"),
    ] {
        let done = Running::start(args).end();
        assert_eq!(done.code(), Some(2), "{args:?}");
        assert_eq!(done.out(), "", "{args:?}");
        let err = done.err();
        assert!(err.starts_with("soak: ") && err.contains(what), "{err}");
        assert_eq!(err.matches('\n').count(), 1, "{err}");
        assert!(err.ends_with("(try soak --help)\n"), "{err}");
    }
    let help = Running::start(&["--help"]).end();
    assert_eq!((help.code(), help.err()), (Some(0), String::new()));
    for option in [
        "--minutes",
        "--seconds",
        "--seed",
        "--connections",
        "--plant",
    ] {
        assert!(help.out().contains(option), "{option}");
    }
}

#[test]
fn nothing_is_left_over_after_a_short_run() {
    let done = Running::start(&["--seconds", "8", "--seed", "3"]).end();
    let (out, err) = (done.out(), done.err());
    assert_eq!((done.code(), err.as_str()), (Some(0), ""), "{out}{err}");
    let (_, end) = out.split_once("after the load:").unwrap();
    for check in [
        "connections",
        "streams",
        "windows",
        "tasks",
        "files",
        "heap",
    ] {
        let line = end
            .lines()
            .find(|line| line.trim_start().starts_with(check));
        let line = line.unwrap_or_else(|| panic!("{check} is not in {end}"));
        assert!(line.contains(" ok: "), "{line}");
    }
    assert!(
        out.ends_with("all is well\n") && !out.contains("NOT"),
        "{out}"
    );
}

/// Two at a time, as each keeps a core or more busy.
#[test]
fn every_check_can_fail() {
    let mut plants = vec![
        ("stream", "streams      WRONG"),
        ("task", "tasks        WRONG"),
        ("window", "windows      WRONG"),
        ("heap", "heap         WRONG"),
        ("byte", "wrong bytes at 0"),
        ("message", "WebSocket: half-closed: wrong bytes at"),
        ("reader", "a stream that nobody reads is not given up"),
    ];
    if cfg!(target_os = "linux") {
        plants.push(("file", "files        WRONG"));
    }
    for pair in plants.chunks(2) {
        let runs = pair.iter().map(|(plant, wrong)| {
            let args = ["--seconds", "2", "--connections", "3", "--plant", plant];
            (Running::start(&args), wrong)
        });
        for (run, wrong) in runs.collect::<Vec<_>>() {
            let done = run.end();
            let (out, err) = (done.out(), done.err());
            assert_eq!(done.code(), Some(1), "{out}{err}");
            assert!(out.contains(wrong), "{wrong} is not in {out}{err}");
        }
    }
}
