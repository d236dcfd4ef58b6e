//! The driver's sections under the lock, and what it knows from them.

use std::time::Instant;

use crate::conn::shared::{Shared, State};
use crate::error::Result;

/// What the driver's last section under the lock has seen of the session. Part of every section, so that a round
/// needs none for it alone.
#[derive(Debug)]
pub(super) struct View {
    /// Whether no stream is there.
    pub(super) unused: bool,
    /// Whether output is stuck.
    pub(super) blocked: bool,
    pub(super) wants_read: bool,
    pub(super) finished: bool,
    pub(super) deadline: Option<Instant>,
    /// Whether there was nothing to send, and the driver is registered to be woken when there is. Holds from one poll
    /// to the next until the driver was woken so: a poll that the transport asked for need not look for output.
    pub(super) parked: bool,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            unused: true,
            blocked: false,
            wants_read: true,
            finished: false,
            deadline: None,
            parked: false,
        }
    }

    /// A section under the lock. Whatever it does may have made output: the driver looks for it before it rests.
    pub(super) fn section<R>(
        &mut self,
        shared: &Shared,
        now: Instant,
        f: impl FnOnce(&mut State) -> R,
    ) -> Result<R> {
        self.parked = false;
        shared.with_driver(|state| {
            let result = f(state);
            self.wants_read = state.session.wants_read(self.blocked, now);
            self.unused = state.session.stream_count() == 0;
            // Not `is_finished`: with output stuck, the last frame of a session that is over would never be taken.
            self.finished = state.session.is_over();
            self.deadline = state.session.poll_timeout(now);
            result
        })
    }
}
