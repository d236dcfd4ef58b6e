//! The terminal at our end.

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
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.before);
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
