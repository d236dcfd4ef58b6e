//! Commands as processes of this machine, with pipes or a terminal.
//!
//! What a command has started ends with it, as far as it has stayed in the command's process group, or on its terminal. A
//! runtime ends the cgroup of a container, which nothing gets out of. A server that is killed ends nothing.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use pty_process::{Pts, Pty};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use spdy::kube::remote_command::{Streams, TerminalSize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) type Input = Pin<Box<dyn AsyncWrite + Send>>;
pub(crate) type Output = Pin<Box<dyn AsyncRead + Send>>;

/// What a terminal ends its input with.
pub(crate) const END_OF_INPUT: u8 = 4;

/// A command that runs. Dropping it kills it, and what it has started.
pub(crate) struct Process {
    child: Child,
    /// The leader of its process group, and on a terminal of its session, as long as there is something to kill. It is not
    /// reaped before: nobody else gets the number meanwhile.
    leader: Option<Pid>,
    on_terminal: bool,
}

/// What the command reads and writes.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<Input>,
    pub(crate) stdout: Option<Output>,
    pub(crate) stderr: Option<Output>,
    pub(crate) terminal: Option<Terminal>,
}

/// The size of a command's terminal.
pub(crate) struct Terminal(std::os::fd::OwnedFd);

impl Terminal {
    pub(crate) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        let size = rustix::termios::Winsize {
            ws_row: size.height,
            ws_col: size.width,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(rustix::termios::tcsetwinsize(&self.0, size)?)
    }
}

/// Starts a command with these streams, and a terminal of this size if it has one.
pub(crate) fn start(
    argv: &[String],
    streams: Streams,
    size: TerminalSize,
) -> io::Result<(Process, Pipes)> {
    // A terminal is open for a moment before it is marked as none to be inherited.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let [program, arguments @ ..] = argv else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no command"));
    };
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if streams.tty {
        in_terminal(program, arguments, streams, size)
    } else {
        in_pipes(program, arguments, streams)
    }
}

fn in_pipes(program: &str, arguments: &[String], streams: Streams) -> io::Result<(Process, Pipes)> {
    let pipe = |wanted| match wanted {
        true => Stdio::piped(),
        false => Stdio::null(),
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(pipe(streams.stdin))
        .stdout(pipe(streams.stdout))
        .stderr(pipe(streams.stderr))
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pipes = Pipes {
        stdin: child.stdin.take().map(|pipe| Box::pin(pipe) as Input),
        stdout: child.stdout.take().map(|pipe| Box::pin(pipe) as Output),
        stderr: child.stderr.take().map(|pipe| Box::pin(pipe) as Output),
        terminal: None,
    };
    Ok((Process::new(child, false), pipes))
}

fn in_terminal(
    program: &str,
    arguments: &[String],
    streams: Streams,
    size: TerminalSize,
) -> io::Result<(Process, Pipes)> {
    let (pty, pts): (Pty, Pts) = pty_process::open().map_err(io::Error::other)?;
    let terminal = Terminal(std::os::fd::AsFd::as_fd(&pty).try_clone_to_owned()?);
    // A size of nothing is one that the client does not know.
    if size.width > 0 && size.height > 0 {
        terminal.resize(size)?;
    }
    // The leader of a session, and so of a process group.
    let child = pty_process::Command::new(program)
        .args(arguments)
        .env("TERM", "xterm")
        .kill_on_drop(true)
        .spawn(pts)
        .map_err(|error| match error {
            pty_process::Error::Io(error) => error,
            other => io::Error::other(other),
        })?;
    let (output, input) = pty.into_split();
    let pipes = Pipes {
        stdin: streams.stdin.then(|| Box::pin(input) as Input),
        // Somebody has to read it in any case.
        stdout: Some(Box::pin(output)),
        stderr: None,
        terminal: Some(terminal),
    };
    Ok((Process::new(child, true), pipes))
}

impl Process {
    fn new(child: Child, on_terminal: bool) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            child,
            leader: id.and_then(Pid::from_raw),
            on_terminal,
        }
    }

    /// Waits until the command itself has ended, and leaves it to be reaped; what it has started may go on.
    pub(crate) async fn exited(&self) -> io::Result<()> {
        let Some(leader) = self.leader else {
            return Ok(());
        };
        // From before the first look, or its end could be missed.
        let mut any_child = signal(SignalKind::child())?;
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while waitid(WaitId::Pid(leader), look)?.is_none() {
            any_child.recv().await;
        }
        Ok(())
    }

    /// Kills what is left of the command and of what it has started, and reaps it.
    pub(crate) async fn end(mut self) -> io::Result<ExitStatus> {
        self.kill();
        self.child.wait().await
    }

    fn kill(&mut self) {
        let Some(leader) = self.leader.take() else {
            return;
        };
        // There may be nobody left.
        let _ = kill_process_group(leader, Signal::KILL);
        if self.on_terminal {
            // A shell gives each of its jobs a group. While some are killed, others may start more.
            for _ in 0..10 {
                let members = members_of_session(leader);
                if members.is_empty() {
                    break;
                }
                for process in members {
                    let _ = kill_process(process, Signal::KILL);
                }
            }
        }
    }
}

/// The processes of a session that run; none where there is no /proc.
fn members_of_session(leader: Pid) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let member = |name: std::ffi::OsString| {
        let id: i32 = name.to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // Behind the name, which may have anything in it: the state, the parent, the group, the session.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let session: i32 = fields.nth(2)?.parse().ok()?;
        (!ended && session == leader.as_raw_nonzero().get())
            .then(|| Pid::from_raw(id))
            .flatten()
    };
    let names = processes.flatten().map(|entry| entry.file_name());
    names.filter_map(member).collect()
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
