//! The connection driver: one task that moves bytes between a transport and the [session](crate::session).

mod clock;
mod driver;
mod shared;
mod stats;
mod trace;
mod waiters;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tracing::Span;

pub use self::clock::{Clock, Sleep, TokioClock};
pub(crate) use self::driver::Driver;
pub(crate) use self::shared::{Shared, State};
pub use self::stats::{FrameCounts, Stats};
pub(crate) use self::waiters::Wait;

use crate::frame::Role;
use crate::session::{Config, Session};

/// The span of a connection, below no other: whoever accepts or opens it goes on to do other things, with other requests.
#[cfg(any(feature = "server", feature = "client"))]
pub(crate) fn own_span(role: Role) -> Span {
    tracing::debug_span!(parent: None, "connection", ?role, peer = tracing::field::Empty)
}

/// The span of a connection below the current one: that of the request, or the call, which the whole session is for.
pub(crate) fn child_span(role: Role) -> Span {
    tracing::debug_span!("connection", ?role, peer = tracing::field::Empty)
}

/// Puts a session on a transport. The driver has to be polled for anything to move.
pub(crate) fn handshake<T>(
    io: T,
    role: Role,
    config: Config,
    clock: Arc<dyn Clock>,
    span: Span,
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
    let driver = Driver::new(io, Arc::clone(&shared), span);
    (shared, driver)
}
