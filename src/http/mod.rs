//! The HTTP mapping: requests and responses to and from header blocks and streams.

pub(crate) mod body;
pub(crate) mod message;
#[cfg(feature = "upgrade")]
pub(crate) mod origin;
pub(crate) mod pipe;
#[cfg(feature = "upgrade")]
pub(crate) mod switching;
pub(crate) mod target;
mod tunnel;

pub use self::body::Body;
pub use self::tunnel::{PendingTunnel, Tunnel};

use crate::frame::Priority;

/// The priority of a request that names none: in the middle, so that there is room on both sides.
pub(crate) const DEFAULT_PRIORITY: Priority = Priority::new(3);

/// The error of a body or a service that this crate knows nothing of.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Warns once per connection that headers of the application were left out, then says so at debug level.
#[derive(Debug, Default)]
pub(crate) struct StripWarning(std::sync::atomic::AtomicBool);

impl StripWarning {
    pub(crate) fn note(&self, stripped: bool) {
        if !stripped {
            return;
        }
        let message =
            "headers that concern one hop (Connection, Transfer-Encoding, ...) were left out";
        if self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
            tracing::debug!("{message}");
        } else {
            tracing::warn!("{message}; further ones on this connection are logged at debug level");
        }
    }
}
