//! The terminal at our end, and the signals that have to do with it.

use std::io;

use spdy::kube::remote_command::{Streams, TerminalSize};

/// That of the terminal, or what the environment says.
pub(crate) fn size() -> Option<TerminalSize> {
    let of = |name| std::env::var(name).ok()?.parse().ok();
    asked().or_else(|| {
        Some(TerminalSize {
            width: of("COLUMNS")?,
            height: of("LINES")?,
        })
    })
}

#[cfg(unix)]
fn asked() -> Option<TerminalSize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdin()).ok()?;
    Some(TerminalSize {
        width: size.ws_col,
        height: size.ws_row,
    })
}

#[cfg(not(unix))]
fn asked() -> Option<TerminalSize> {
    None
}

/// Hands every key to the command, until it is dropped.
pub(crate) struct Raw {
    #[cfg(unix)]
    before: rustix::termios::Termios,
}

impl Raw {
    /// `None` if the command has no terminal, or there is none at this end.
    #[cfg(unix)]
    pub(crate) fn enter(wanted: Streams) -> Option<Self> {
        use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
        if !(wanted.tty && wanted.stdin) {
            return None;
        }
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Drain, &raw).ok()?;
        Some(Self { before })
    }

    #[cfg(not(unix))]
    pub(crate) fn enter(_: Streams) -> Option<Self> {
        None
    }
}

#[cfg(unix)]
impl Drop for Raw {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // A terminal that is gone needs nothing. What it was written may wait for ever to be shown: not waited for.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// What tells the program to end: Ctrl-C, and on Unix whatever else does that in a terminal or from outside. Unheeded they
/// would end it at once, and leave the terminal raw.
pub(crate) struct Ends {
    #[cfg(unix)]
    signals: Vec<(u8, tokio::signal::unix::Signal)>,
}

impl Ends {
    /// Heeds them from here on.
    #[cfg(unix)]
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // With the numbers that POSIX gives them.
        let kinds = [
            (1, SignalKind::hangup()),
            (2, SignalKind::interrupt()),
            (3, SignalKind::quit()),
            (15, SignalKind::terminate()),
        ];
        let signals = kinds.map(|(number, kind)| Ok((number, signal(kind)?)));
        let signals = signals.into_iter().collect::<io::Result<_>>()?;
        Ok(Self { signals })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for one, and gives its number.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> u8 {
        use std::task::Poll;
        std::future::poll_fn(|cx| {
            for (number, signal) in &mut self.signals {
                if signal.poll_recv(cx).is_ready() {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }

    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> u8 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}

/// Changes of its size.
pub(crate) struct Changes {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: {
                use tokio::signal::unix::{SignalKind, signal};
                signal(SignalKind::window_change()).ok()
            },
        }
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            if signal.recv().await.is_some() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}
