//! What a peer does wrong, told to the log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many complaints about one connection are warnings.
const LOUD: usize = 10;

/// Not that of this file, which nobody knows.
const TARGET: &str = "spdy::kube";

/// Warns of what the peer of a connection does wrong: the first times, then it says so at debug level, with the number so
/// far. A peer must not be able to fill a log that somebody looks at.
///
/// Not a budget that recovers, as those of the session: what a peer has done ten times is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Complaints(Arc<AtomicUsize>);

impl Complaints {
    pub(super) fn note(&self, what: impl fmt::Display) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if count < LOUD {
            tracing::warn!(target: TARGET, "{what}");
        } else if count == LOUD {
            tracing::warn!(
                target: TARGET,
                "{what}; further complaints about this connection are logged at debug level"
            );
        } else {
            tracing::debug!(target: TARGET, count, "{what}");
        }
    }
}
