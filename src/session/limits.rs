//! What bounds memory and work against any peer: shares of the send buffer, replies, tombstones. What nobody reads is in
//! `excess`.
//!
//! Limits on single values (header lists, control frames, SETTINGS counts) are the codec's, because they are
//! checked before anything is allocated. Decaying budgets on *rates* (resets, PINGs, tiny DATA) belong here too.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::Instant;

use super::Session;
use super::store::IdHasher;
use crate::frame::StreamId;

/// What one stream may queue to send, in bytes; one chunk may overshoot.
pub(crate) const STREAM_BUFFER: usize = 64 * 1024;

/// What every stream may queue whatever the others do: one frame.
pub(crate) const STREAM_GUARANTEED: usize = 16 * 1024;

/// A writer is woken when its stream has at most this much queued, to write several chunks per wake.
pub(crate) const STREAM_LOW_WATER: usize = STREAM_BUFFER / 2;

/// What all streams together may queue beyond the guaranteed shares.
pub(crate) const CONNECTION_POOL: usize = 4 * 1024 * 1024;

/// How much of a queue of this length counts against the connection's pool.
pub(crate) fn beyond_guaranteed(queued: usize) -> usize {
    queued.saturating_sub(STREAM_GUARANTEED)
}

/// Replies (PING echoes, RST_STREAMs) the peer may have caused while it takes none.
const MAX_STUCK_REPLIES: usize = 64;

/// How many resets are remembered.
const TOMBSTONES: usize = 256;

/// The ids of the last resets sent here: what is still in flight for them is dropped without a further
/// RST_STREAM (SPDY/3.1 section 2.4.2 lets repeats be coalesced).
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    order: VecDeque<StreamId>,
    ids: HashSet<u32, BuildHasherDefault<IdHasher>>,
}

impl Tombstones {
    pub(crate) fn insert(&mut self, id: StreamId) {
        if !self.ids.insert(id.get()) {
            return;
        }
        if self.order.len() == TOMBSTONES {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest.get());
            }
        }
        self.order.push_back(id);
    }

    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.ids.contains(&id.get())
    }
}

impl Session {
    /// Whether the transport should be read now. `write_blocked` says that output is stuck in the driver.
    ///
    /// Reading stops while an unread limit is reached, and while a peer that does not read its replies keeps
    /// causing new ones.
    pub fn wants_read(&mut self, write_blocked: bool, now: Instant) -> bool {
        let paused = self.excess.stops_reading() || (write_blocked && self.has_stuck_replies());
        match self.paused {
            None if paused => self.begin_pause(now),
            Some(pause) if !paused => self.end_pause(pause, now),
            _ => {}
        }
        !paused && !self.lifecycle.is_over()
    }

    /// Whether reading was paused and may go on: the driver has to look again. While replies are stuck it has not:
    /// the transport tells it when it takes bytes again.
    #[must_use]
    pub fn may_resume_reading(&self) -> bool {
        self.paused.is_some() && !self.excess.stops_reading() && !self.has_stuck_replies()
    }

    fn has_stuck_replies(&self) -> bool {
        self.control.peer_caused() > MAX_STUCK_REPLIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tombstones_keep_the_last_256() {
        let mut tombstones = Tombstones::default();
        for id in 1..=300 {
            tombstones.insert(StreamId::new(id).unwrap());
        }
        assert!(!tombstones.contains(StreamId::new(44).unwrap()));
        assert!(tombstones.contains(StreamId::new(45).unwrap()));
        assert!(tombstones.contains(StreamId::new(300).unwrap()));
    }

    #[test]
    fn one_frame_per_stream_is_free() {
        assert_eq!(beyond_guaranteed(STREAM_GUARANTEED), 0);
        assert_eq!(beyond_guaranteed(STREAM_GUARANTEED + 5), 5);
    }
}
