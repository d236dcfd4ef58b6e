//! What nobody reads, where windows do not bound it (`Lenient`, `Off`): the unread limits, and what is done beyond them.
//!
//! A peer without windows cannot be told to stop on one stream. What is left is not to read the transport, which stops all of
//! them, or to give a stream up. [`Overflow::Pause`] does the one. [`Overflow::Reset`] tells a slow reader from one that is
//! stuck: both are waited for at first; a stream that was not read for a while borrows from the limit of the connection until its
//! grace time is over, so that the others go on. Waiting all that time, as would be simpler, lets one stuck stream hold up all
//! others for a grace time. Not waiting at all would let a peer that is faster than a reader fill the limit of the connection.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::config::Overflow;
use super::store::Key;
use super::stream::Stream;
use super::{FlowControl, Session};
use crate::error::Initiator;
use crate::frame::ResetStatus;

/// Without any grace time a connection that is full of what is being read would be looked at without a break.
const MIN_GRACE: Duration = Duration::from_millis(1);

/// The longest time after which a stream that was not read is no slow one any more.
const MAX_QUIET: Duration = Duration::from_secs(1);

/// The unread limits that are exceeded now.
#[derive(Debug, Default)]
pub(crate) struct Excess {
    /// The streams beyond their limit, by when to look at them.
    streams: BTreeSet<(Instant, Key)>,
    /// How many of them the transport waits for.
    holding: usize,
    /// All streams together are beyond the limit of the connection.
    full: Option<Full>,
    /// The last grace time of the connection that has run out, and when it was last of use.
    last_grace: Option<(Grace, Instant)>,
    /// How many grace times of the connection there were.
    graces: u64,
}

impl Excess {
    /// Whether the transport must not be read.
    pub(crate) fn stops_reading(&self) -> bool {
        self.holding > 0 || self.full.is_some()
    }
}

/// A stream is beyond its limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beyond {
    /// When to look whether it was read.
    look_at: Instant,
    /// It was read since the last look.
    read: bool,
    /// Since when it was not read, as far as the looks tell.
    quiet_since: Instant,
    /// The transport waits for its reader.
    holds: bool,
}

/// A grace time of the connection. Reading has no clock: what was read since it began is known by its number.
#[derive(Clone, Copy, Debug)]
struct Grace {
    number: u64,
    since: Instant,
}

/// The connection is beyond its limit.
#[derive(Clone, Copy, Debug)]
struct Full {
    grace: Grace,
    /// When streams are given up; `None` is never.
    deadline: Option<Instant>,
}

impl Session {
    /// Bytes were queued on a stream.
    pub(crate) fn unread_more(&mut self, key: Key, now: Instant) {
        if !self.has_unread_limits() {
            return;
        }
        if self.unread > self.unread_connection_limit() && self.excess.full.is_none() {
            self.begin_full(now);
        }
        let limit = self.unread_stream_limit();
        let look_at = self.grace().map_or(now, |after| now + quiet(after));
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        if stream.recv.queue.len() > limit && stream.recv.beyond.is_none() {
            stream.recv.beyond = Some(Beyond {
                look_at,
                read: false,
                quiet_since: now,
                holds: true,
            });
            self.excess.streams.insert((look_at, key));
            self.excess.holding += 1;
        }
    }

    /// Bytes of a stream were read; [`unread_less`](Self::unread_less) follows.
    pub(crate) fn note_read(&mut self, key: Key) {
        let graces = self.excess.graces;
        if let Some(stream) = self.store.get_mut(key) {
            stream.recv.read_in = graces;
            if let Some(beyond) = &mut stream.recv.beyond {
                beyond.read = true;
            }
        }
    }

    /// Bytes of a stream were read, or discarded.
    pub(crate) fn unread_less(&mut self, key: Key) {
        if self.unread <= self.unread_connection_limit() {
            self.excess.full = None;
        }
        let limit = self.unread_stream_limit();
        if self
            .store
            .get(key)
            .is_some_and(|stream| stream.recv.queue.len() <= limit)
        {
            self.forget_beyond(key);
        }
    }

    /// The stream is within its limit.
    fn forget_beyond(&mut self, key: Key) {
        let stream = self.store.get_mut(key);
        let beyond = stream.and_then(|stream| stream.recv.beyond.take());
        // It is not there when the session has failed since.
        if let Some(beyond) = beyond.filter(|b| self.excess.streams.remove(&(b.look_at, key))) {
            self.excess.holding -= usize::from(beyond.holds);
        }
    }

    fn grace(&self) -> Option<Duration> {
        match self.config.overflow {
            Overflow::Pause => None,
            Overflow::Reset { after } => Some(after.max(MIN_GRACE)),
        }
    }

    /// The connection has passed its limit. If it does so soon after streams were given up, whatever nobody has read since their
    /// grace time began has had its own: one after another, a hundred streams that are stuck would hold the session up for a hundred of them.
    fn begin_full(&mut self, now: Instant) {
        let deadline = self.grace().and_then(|after| {
            // An old one says nothing: a reader that is there may pass the limit for a moment.
            let recent = |last: &(Grace, Instant)| now.duration_since(last.1) <= after;
            self.excess.last_grace = self.excess.last_grace.filter(recent);
            let last = self.excess.last_grace;
            if last.is_some_and(|(last, _)| self.frees_enough(last)) {
                Some(now)
            } else {
                now.checked_add(after)
            }
        });
        let grace = self.next_grace(now);
        self.excess.full = Some(Full { grace, deadline });
    }

    fn next_grace(&mut self, now: Instant) -> Grace {
        self.excess.graces += 1;
        Grace {
            number: self.excess.graces,
            since: now,
        }
    }

    pub(crate) fn excess_deadline(&self) -> Option<Instant> {
        self.grace()?;
        let stream = self.excess.streams.first().map(|(look_at, _)| *look_at);
        let full = self.excess.full.and_then(|full| full.deadline);
        stream.into_iter().chain(full).min()
    }

    /// Looks at what may be stuck; gives up what nobody has read for the grace time.
    pub(crate) fn expire_excess(&mut self, now: Instant) {
        let Some(after) = self.grace() else {
            return;
        };
        while let Some((look_at, key)) = self.excess.streams.first().copied() {
            if look_at > now {
                break;
            }
            if !self.look_at_reader(key, after, now) {
                self.give_up_unread(key);
            }
        }
        self.expire_full(after, now);
    }

    /// Whether a stream beyond its limit is to be kept.
    fn look_at_reader(&mut self, key: Key, after: Duration, now: Instant) -> bool {
        let stream = self.store.get_mut(key);
        let Some(beyond) = stream.and_then(|stream| stream.recv.beyond.as_mut()) else {
            return false;
        };
        if std::mem::take(&mut beyond.read) {
            beyond.quiet_since = now;
        } else if std::mem::take(&mut beyond.holds) {
            self.excess.holding -= 1;
        }
        let end = beyond.quiet_since.checked_add(after);
        if end.is_some_and(|end| end <= now) {
            return false;
        }
        let next = now + quiet(after);
        self.excess.streams.remove(&(beyond.look_at, key));
        beyond.look_at = end.map_or(next, |end| end.min(next));
        self.excess.streams.insert((beyond.look_at, key));
        true
    }

    /// Gives up streams of a full connection.
    fn expire_full(&mut self, after: Duration, now: Instant) {
        let Some(full) = self.excess.full else {
            return;
        };
        if full.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        let end = full.grace.since.checked_add(after);
        let over = end.is_some_and(|end| end <= now);
        let grace = match self.excess.last_grace {
            Some((last, _)) if !over => last,
            _ => full.grace,
        };
        // In vain no stream is given up: what is left to wait for is the reader of another one.
        if self.frees_enough(grace) {
            self.excess.last_grace = Some((grace, now));
            // Some room, or what is in flight would fill it at once.
            let enough = self.unread_connection_limit() / 2;
            for key in self.largest_unread_since(grace) {
                if self.unread <= enough {
                    break;
                }
                self.give_up_unread(key);
            }
        }
        if self.excess.full.is_some() {
            let grace = if over {
                self.next_grace(now)
            } else {
                full.grace
            };
            let deadline = grace.since.checked_add(after);
            self.excess.full = Some(Full { grace, deadline });
        }
    }

    fn give_up_unread(&mut self, key: Key) {
        let why = "nobody read the stream within the grace time of Overflow::Reset";
        let closed = self.store.get(key).is_some_and(Stream::is_closed);
        if closed {
            // Over on the wire, but its bytes are still held: give them up.
            self.fail_reader(key, ResetStatus::CANCEL, why);
        } else {
            self.reset_stream(key, ResetStatus::CANCEL, Initiator::Library, why);
        }
        self.forget_beyond(key);
    }

    /// Whether what nobody has read since this grace time began is enough to bring the connection below its limit. O(n), for
    /// each time that a connection passes it whose streams were not read for a grace time before.
    fn frees_enough(&self, grace: Grace) -> bool {
        let mut excess = self.unread.saturating_sub(self.unread_connection_limit());
        for key in self.store.keys() {
            if excess == 0 {
                break;
            }
            let stream = self.store.get(key);
            let unread = stream.map_or(0, |stream| unread_since(stream, grace));
            excess = excess.saturating_sub(unread);
        }
        excess == 0
    }

    /// The streams with bytes that nobody has read since this grace time began, the largest first.
    fn largest_unread_since(&self, grace: Grace) -> Vec<Key> {
        let mut found = Vec::new();
        for key in self.store.keys() {
            let stream = self.store.get(key);
            let unread = stream.map_or(0, |stream| unread_since(stream, grace));
            if unread > 0 {
                found.push((unread, key));
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, key)| key).collect()
    }

    /// For [`assert_invariants`](Self::assert_invariants).
    pub(crate) fn assert_excess(&self) {
        if self.lifecycle.is_over() {
            // Nothing is read any more.
            return;
        }
        let (mut streams, mut holding) = (BTreeSet::new(), 0);
        for key in self.store.keys() {
            let Some(stream) = self.store.get(key) else {
                continue;
            };
            let unread = stream.recv.queue.len();
            assert_eq!(stream.recv.waiting_since.is_some(), unread > 0, "{key:?}");
            let beyond = self.has_unread_limits() && unread > self.unread_stream_limit();
            assert_eq!(stream.recv.beyond.is_some(), beyond, "{key:?}");
            if let Some(beyond) = stream.recv.beyond {
                streams.insert((beyond.look_at, key));
                holding += usize::from(beyond.holds);
            }
        }
        assert_eq!(self.excess.streams, streams, "streams beyond their limit");
        assert_eq!(self.excess.holding, holding, "streams that are waited for");
        let full = self.has_unread_limits() && self.unread > self.unread_connection_limit();
        assert_eq!(self.excess.full.is_some(), full, "all together");
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
}

/// How long a stream beyond its limit is waited for that is not read.
fn quiet(after: Duration) -> Duration {
    (after / 10).clamp(MIN_GRACE, MAX_QUIET)
}

/// The bytes of a stream, if it had some when the grace time began and was not read since.
fn unread_since(stream: &Stream, grace: Grace) -> usize {
    let waits = stream.recv.waiting_since;
    let waits = waits.is_some_and(|since| since <= grace.since);
    if waits && stream.recv.read_in < grace.number {
        stream.recv.queue.len()
    } else {
        0
    }
}
