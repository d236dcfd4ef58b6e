//! The connection driver: one task that moves bytes between a transport and the [session](crate::session).

mod clock;
mod driver;
mod shared;
mod stats;
mod trace;
mod waiters;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

pub use self::clock::{Clock, Sleep, TokioClock};
pub(crate) use self::driver::Driver;
pub(crate) use self::shared::{Shared, State};
pub use self::stats::{FrameCounts, Stats};
pub(crate) use self::waiters::Wait;

use crate::frame::Role;
use crate::session::{Config, Session};

/// Puts a session on a transport. The driver has to be polled for anything to move.
pub(crate) fn handshake<T>(
    io: T,
    role: Role,
    config: Config,
    clock: Arc<dyn Clock>,
) -> (Arc<Shared>, Driver<T>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let window = config.effective_connection_window();
    if window != config.connection_window {
        tracing::debug!(
            asked = config.connection_window,
            used = window,
            "connection window raised to twice the stream window, so that one unread stream cannot stop the others"
        );
    }
    let session = Session::new(role, config, clock.now());
    let shared = Shared::new(session, clock);
    // A span of its own: the task that happens to poll first is no parent of a connection.
    let span =
        tracing::debug_span!(parent: None, "connection", ?role, peer = tracing::field::Empty);
    let driver = Driver::new(io, Arc::clone(&shared), span);
    (shared, driver)
}
