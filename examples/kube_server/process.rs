//! Commands as processes of this machine, with pipes or a terminal, that leave nothing behind.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};

use pty_process::{Pts, Pty, Size};
use rustix::process::{Pid, Signal, kill_process_group};
use spdy::kube::remote_command::{Streams, TerminalSize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, Command};

pub(crate) type Input = Pin<Box<dyn AsyncWrite + Send>>;
pub(crate) type Output = Pin<Box<dyn AsyncRead + Send>>;

/// What a terminal ends its input with.
pub(crate) const END_OF_INPUT: u8 = 4;

/// A command that runs. Dropping it kills it, and what it has started.
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
}

/// What the command reads and writes.
#[derive(Default)]
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
    let [program, arguments @ ..] = argv else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no command"));
    };
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
    Ok((Process::new(child), pipes))
}

fn in_terminal(
    program: &str,
    arguments: &[String],
    streams: Streams,
    size: TerminalSize,
) -> io::Result<(Process, Pipes)> {
    let (pty, pts): (Pty, Pts) = pty_process::open().map_err(io::Error::other)?;
    // A size of nothing is one that the client does not know.
    if size.width > 0 && size.height > 0 {
        let size = Size::new(size.height, size.width);
        pty.resize(size).map_err(io::Error::other)?;
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
    let terminal = Terminal(std::os::fd::AsFd::as_fd(&pty).try_clone_to_owned()?);
    let (output, input) = pty.into_split();
    let pipes = Pipes {
        stdin: streams.stdin.then(|| Box::pin(input) as Input),
        stdout: streams.stdout.then(|| Box::pin(output) as Output),
        stderr: None,
        terminal: Some(terminal),
    };
    Ok((Process::new(child), pipes))
}

impl Process {
    fn new(child: Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            child,
            group: id.and_then(Pid::from_raw),
        }
    }

    /// Waits for the command's own end; what it has started may go on.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends what the command has started, as far as it has not left its process group; a runtime ends the cgroup.
    pub(crate) fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // There may be nobody left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
