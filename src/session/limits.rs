//! What bounds memory and work against any peer: shares of the send buffer, unread limits, tombstones.
//!
//! Limits on single values (header lists, control frames, SETTINGS counts) are the codec's, because they are
//! checked before anything is allocated. Decaying budgets on *rates* (resets, PINGs, tiny DATA) belong here too.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::Instant;

use super::config::Overflow;
use super::store::{IdHasher, Key};
use super::{FlowControl, Session};
use crate::error::Initiator;
use crate::frame::{ResetStatus, StreamId};

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

/// An unread limit was reached, and reading the transport stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overflowing {
    /// The stream that reached it.
    key: Key,
    /// When it was reached.
    since: Instant,
    /// When the stream is reset, with [`Overflow::Reset`].
    deadline: Option<Instant>,
}

impl Session {
    /// Whether the transport should be read now. `write_blocked` says that output is stuck in the driver.
    ///
    /// Reading stops while an unread limit is reached, and while a peer that does not read its replies keeps
    /// causing new ones.
    pub fn wants_read(&mut self, write_blocked: bool, now: Instant) -> bool {
        let paused = self.overflow.is_some() || (write_blocked && self.has_stuck_replies());
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
        self.paused.is_some() && self.overflow.is_none() && !self.has_stuck_replies()
    }

    fn has_stuck_replies(&self) -> bool {
        self.control.peer_caused() > MAX_STUCK_REPLIES
    }

    /// Checks the unread limits after bytes were queued on a stream.
    pub(crate) fn check_overflow(&mut self, key: Key, now: Instant) {
        if !self.has_unread_limits() || self.overflow.is_some() {
            return;
        }
        let Some(stream) = self.store.get(key) else {
            return;
        };
        let over_stream = stream.recv.queue.len() > self.unread_stream_limit();
        if !over_stream && self.unread <= self.unread_connection_limit() {
            return;
        }
        let culprit = if over_stream {
            key
        } else {
            self.largest_reader().unwrap_or(key)
        };
        let deadline = match self.config.overflow {
            Overflow::Pause => None,
            Overflow::Reset { after } => self.grace_from(culprit, now).checked_add(after),
        };
        self.overflow = Some(Overflowing {
            key: culprit,
            since: now,
            deadline,
        });
    }

    /// From when on the grace time of a stream counts: from now, or from the beginning of the last one that ran out, if
    /// nobody has read this stream since either. It was as long for all of them; one after another, a hundred streams
    /// that are stuck would hold the session up for a hundred grace times.
    fn grace_from(&self, key: Key, now: Instant) -> Instant {
        let stream = self.store.get(key);
        let unread_since = stream.and_then(|stream| stream.recv.unread_since);
        match (self.last_grace, unread_since) {
            (Some(grace), Some(unread)) => grace.max(unread),
            _ => now,
        }
    }

    /// Lets reading go on once the limits hold again.
    pub(crate) fn overflow_relieved(&mut self, key: Key) {
        let Some(overflowing) = self.overflow else {
            return;
        };
        let unread_of = |key| {
            self.store
                .get(key)
                .map_or(0, |stream| stream.recv.queue.len())
        };
        let over = unread_of(overflowing.key) > self.unread_stream_limit()
            || unread_of(key) > self.unread_stream_limit()
            || self.unread > self.unread_connection_limit();
        if !over {
            self.overflow = None;
        }
    }

    pub(crate) fn overflow_deadline(&self) -> Option<Instant> {
        self.overflow?.deadline
    }

    /// Resets the stream that nobody has read for the grace time.
    pub(crate) fn expire_overflow(&mut self, now: Instant) {
        let Some(overflowing) = self.overflow else {
            return;
        };
        if overflowing.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.overflow = None;
        self.last_grace = Some(overflowing.since);
        let why = "nobody read the stream within the grace time of Overflow::Reset";
        if self
            .store
            .get(overflowing.key)
            .is_some_and(super::stream::Stream::is_closed)
        {
            // Over on the wire, but its bytes are still held: give them up.
            self.fail_reader(overflowing.key, ResetStatus::CANCEL, why);
        } else {
            self.reset_stream(
                overflowing.key,
                ResetStatus::CANCEL,
                Initiator::Library,
                why,
            );
        }
        if self.unread > self.unread_connection_limit() {
            if let Some(next) = self.largest_reader() {
                self.check_overflow(next, now);
            }
        }
    }

    /// Never below the window: what the peer was granted has to fit.
    fn unread_stream_limit(&self) -> usize {
        match self.config.flow_control {
            FlowControl::Off => self.config.unread_stream_limit,
            _ => self
                .config
                .unread_stream_limit
                .max(self.config.stream_window as usize),
        }
    }

    fn unread_connection_limit(&self) -> usize {
        match self.config.flow_control {
            FlowControl::Off => self.config.unread_connection_limit,
            _ => self
                .config
                .unread_connection_limit
                .max(self.config.effective_connection_window() as usize),
        }
    }

    /// The stream with most unread bytes. O(n), but only when a connection-wide limit is reached.
    fn largest_reader(&self) -> Option<Key> {
        let unread = |key: &Key| {
            self.store
                .get(*key)
                .map_or(0, |stream| stream.recv.queue.len())
        };
        self.store.keys().into_iter().max_by_key(unread)
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
