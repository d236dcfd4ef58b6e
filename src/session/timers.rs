//! Time-outs of what should have happened: the reply to a stream, and any frame at all.

use std::collections::VecDeque;
use std::time::Instant;

use super::Session;
use super::control::Control;
use super::store::Key;
use crate::error::{Error, Timeout};
use crate::frame::{ResetStatus, RstStream};

/// Up to this many, those that were answered are left in the queue until they are at its front.
const TIDY: usize = 64;

/// The own streams that wait for their SYN_REPLY, in the order in which their SYN_STREAMs were sent. All have the same
/// time-out, so that the first is the next to expire.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// With the time of the SYN_STREAM. Some may have been answered.
    queue: VecDeque<(Instant, Key)>,
}

impl Opening {
    /// The time goes on: it stood still since `paused`, while nothing could be heard.
    pub(crate) fn resume(&mut self, paused: Instant, now: Instant) {
        for (since, _) in &mut self.queue {
            let stood_still = now.saturating_duration_since(paused.max(*since));
            *since += stood_still;
        }
    }
}

impl Session {
    fn is_opening(&self, key: Key) -> bool {
        self.store
            .get(key)
            .is_some_and(|stream| stream.id.is_some() && stream.awaits_reply())
    }

    /// A SYN_STREAM was sent.
    pub(crate) fn await_reply(&mut self, key: Key, now: Instant) {
        if self.config.open_timeout.is_none() {
            return;
        }
        self.opening.queue.push_back((now, key));
        // One that is not answered must not pile up those behind it that were.
        if self.opening.queue.len() > TIDY && self.opening.queue.len() > 2 * self.own_active {
            let mut queue = std::mem::take(&mut self.opening.queue);
            queue.retain(|(_, key)| self.is_opening(*key));
            self.opening.queue = queue;
        }
    }

    /// When the first stream has waited long enough for its SYN_REPLY. While reading is paused, none has.
    pub(crate) fn opening_deadline(&mut self) -> Option<Instant> {
        let timeout = self.config.open_timeout?;
        if self.paused.is_some() {
            return None;
        }
        while let Some((since, key)) = self.opening.queue.front().copied() {
            if self.is_opening(key) {
                return since.checked_add(timeout);
            }
            self.opening.queue.pop_front();
        }
        None
    }

    /// Resets the streams that have waited long enough, and forgets them.
    pub(crate) fn expire_opening(&mut self, now: Instant) {
        while self.opening_deadline().is_some_and(|at| at <= now) {
            let Some((_, key)) = self.opening.queue.pop_front() else {
                return;
            };
            self.cancel_for(key, &Error::timeout(Timeout::Open), true);
        }
    }

    /// When nothing has gone in either direction for long enough.
    pub(crate) fn silence_deadline(&self) -> Option<Instant> {
        // While we do not read, it is not the peer that is silent.
        let timeout = self
            .config
            .silence_timeout
            .filter(|_| self.paused.is_none())?;
        self.last_frame.checked_add(timeout)
    }

    /// Ends a session in which nothing moves any more, whatever streams are open.
    pub(crate) fn expire_silence(&mut self, now: Instant) {
        let silent = self.silence_deadline().is_some_and(|at| at <= now);
        if !silent || self.lifecycle.is_over() {
            return;
        }
        self.close_first();
        let error = Error::timeout(Timeout::Silence);
        for key in self.store.keys() {
            self.cancel_for(key, &error, false);
        }
        if !self.lifecycle.is_draining() {
            self.begin_drain();
        }
    }

    /// Ends a stream for a time-out; the peer gets CANCEL.
    fn cancel_for(&mut self, key: Key, error: &Error, discard: bool) {
        let Some(stream) = self.store.get(key).filter(|stream| !stream.is_closed()) else {
            return;
        };
        if let Some(id) = stream.id {
            let status = ResetStatus::CANCEL;
            self.control
                .push(Control::Reset(RstStream { id, status }), false);
            self.tombstones.insert(id);
        }
        self.end(key, Some(error.clone()), discard);
    }
}
