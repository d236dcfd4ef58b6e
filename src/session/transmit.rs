//! D. What to send next.

use std::time::Instant;

use super::limits::{
    CONNECTION_POOL, STREAM_BUFFER, STREAM_GUARANTEED, STREAM_LOW_WATER, beyond_guaranteed,
};
use super::shutdown::Lifecycle;
use super::state::State;
use super::store::Key;
use super::stream::{Finish, Mark, Place};
use super::window::StreamWindow;
use super::{Event, Session};
use crate::error::{Error, Initiator};
use crate::frame::{Data, Frame, HeaderFrame, ResetStatus, StreamId, SynStream};

/// The quantum of the scheduler and the largest DATA frame sent. Small enough to interleave; amahi clients need
/// at least 64 KiB / 6 (their read queue has six places).
const MAX_DATA: usize = 16 * 1024;

/// The same towards a peer without windows: what Kubernetes' programs write at once. spdystream reads the head of a frame
/// in two reads and its payload in a third and hands each frame from goroutine to goroutine, so that it pays per frame.
const MAX_DATA_NO_WINDOWS: usize = 32 * 1024;

impl Session {
    /// The next frame to send, in the order in which it has to be encoded; `None` when there is nothing to send
    /// now.
    pub fn poll_frame(&mut self, now: Instant) -> Option<Frame> {
        let frame = self.next_frame(now)?;
        self.last_frame = now;
        Some(frame)
    }

    fn next_frame(&mut self, now: Instant) -> Option<Frame> {
        if self.is_held_back() {
            return None;
        }
        if let Some(frame) = self.pop_control(now) {
            return Some(frame);
        }
        if self.lifecycle.is_over() {
            return self.lifecycle.take_last_frame();
        }
        if let Some(update) = self
            .take_connection_credit()
            .or_else(|| self.take_stream_credit())
        {
            return Some(Frame::WindowUpdate(update));
        }
        while let Some(key) = self.sched.pop_opener(&mut self.store) {
            if let Some(frame) = self.emit_opener(key, now) {
                return Some(frame);
            }
        }
        let with_data = !self.obeys_windows() || self.send_window.left() > 0;
        while let Some(key) = self.sched.pop_stream(&mut self.store, with_data) {
            if let Some(frame) = self.emit_from(key) {
                return Some(frame);
            }
        }
        None
    }

    /// Whether [`poll_frame`](Self::poll_frame) has something, in O(1).
    #[must_use]
    pub fn has_output(&self) -> bool {
        if self.is_held_back() {
            return false;
        }
        if !self.control.is_empty() {
            return true;
        }
        if self.lifecycle.is_over() {
            return self.lifecycle.has_last_frame();
        }
        let with_data = !self.obeys_windows() || self.send_window.left() > 0;
        self.connection_credit_due() || !self.credit.is_empty() || self.sched.has_work(with_data)
    }

    pub(crate) fn is_held_back(&self) -> bool {
        self.config.hold_until_peer_speaks && !self.heard
    }

    fn emit_opener(&mut self, key: Key, now: Instant) -> Option<Frame> {
        let lenient = self.config.lenient_streams;
        let stream = self.store.get_mut(key)?;
        let opener = *stream.opener.take()?;
        // Nothing says that such a peer bears a FIN here that it does not send itself: only if that was asked for.
        let fin = stream.fin_queued()
            && stream.send.queue.is_empty()
            && stream.send.marks.is_empty()
            && (opener.fin || !lenient);
        let priority = stream.priority;
        let frame = if stream.own {
            let Some(id) = self.next_id else {
                self.sched.place(&mut self.store, key, Place::Opener);
                self.end(
                    key,
                    Some(Error::unprocessed(
                        Initiator::Library,
                        "the stream ids of the connection are used up",
                    )),
                    true,
                );
                return None;
            };
            self.next_id = StreamId::new(id.get() + 2).filter(|next| *next > id);
            stream.state = State::send_syn_stream(opener.unidirectional);
            let awaits_reply = stream.awaits_reply();
            self.store.assign_id(key, id);
            if awaits_reply {
                self.await_reply(key, now);
            }
            Frame::SynStream(SynStream {
                id,
                associated: opener.associated,
                priority,
                fin,
                unidirectional: opener.unidirectional,
                block: opener.block,
            })
        } else {
            let id = stream.id?;
            stream.state = stream.state.send_reply()?;
            Frame::SynReply(HeaderFrame {
                id,
                fin,
                block: opener.block,
            })
        };
        self.sent_on(key, fin);
        Some(frame)
    }

    fn emit_from(&mut self, key: Key) -> Option<Frame> {
        let obeys_windows = self.obeys_windows();
        let stream = self.store.get_mut(key)?;
        let id = stream.id?;
        let ready = stream.bytes_before_mark();
        let (frame, fin) = if ready > 0 {
            let n = if obeys_windows {
                ready
                    .min(MAX_DATA)
                    .min(stream.send.window.available())
                    .min(self.send_window.available())
            } else {
                ready.min(MAX_DATA_NO_WINDOWS)
            };
            if n == 0 {
                return None;
            }
            let before = beyond_guaranteed(stream.send.queue.len());
            let payload = stream.send.queue.pop(n);
            self.pool_used -= before - beyond_guaranteed(stream.send.queue.len());
            // At most MAX_DATA or MAX_DATA_NO_WINDOWS.
            let len = u32::try_from(payload.len()).unwrap_or(0);
            stream.send.sent += u64::from(len);
            if obeys_windows {
                stream.send.window.debit(len);
                self.send_window.debit(len);
            }
            let fin =
                stream.fin_queued() && stream.send.queue.is_empty() && stream.send.marks.is_empty();
            (Frame::Data(Data { id, fin, payload }), fin)
        } else if let Some(Mark { block, fin, .. }) = stream.send.marks.pop_front() {
            (Frame::Headers(HeaderFrame { id, fin, block }), fin)
        } else if stream.fin_queued() {
            // Section 2.6.8: an empty DATA with FIN needs no window. It is the only empty DATA ever sent.
            (
                Frame::Data(Data {
                    id,
                    fin: true,
                    payload: bytes::Bytes::new(),
                }),
                true,
            )
        } else {
            return None;
        };
        self.sent_on(key, fin);
        Some(frame)
    }

    /// A frame of a stream was emitted.
    fn sent_on(&mut self, key: Key, fin: bool) {
        if !fin {
            self.reschedule(key);
            self.wake_flusher(key);
            self.wake_writer(key);
            return;
        }
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        stream.send.finish = Finish::Done;
        stream.send.fin_sent = true;
        let next = stream.state.send_fin();
        if next == State::Closed {
            self.end(key, None, false);
            return;
        }
        stream.state = next;
        let unwanted = !stream.recv.held && stream.request.is_none() && stream.state.is_recv_open();
        self.wake(key, false, true, false);
        if unwanted {
            // Our answer is complete and nobody reads what the peer still sends.
            self.reset_stream(key, ResetStatus::CANCEL, Initiator::User, "no longer read");
        }
    }

    /// Puts a stream where it belongs in the scheduler.
    pub(crate) fn reschedule(&mut self, key: Key) {
        let Some(stream) = self.store.get(key) else {
            return;
        };
        if stream.opener.is_some() {
            return;
        }
        let place = self.due_place(stream);
        self.sched.place(&mut self.store, key, place);
    }

    /// Where a stream without an opener belongs.
    pub(crate) fn due_place(&self, stream: &super::Stream) -> Place {
        if !stream.state.can_send() {
            Place::Nowhere
        } else if stream.bytes_before_mark() > 0 {
            if !self.obeys_windows() || stream.send.window.left() > 0 {
                Place::Data
            } else {
                Place::Nowhere
            }
        } else if !stream.send.marks.is_empty() || stream.fin_queued() {
            Place::Free
        } else {
            Place::Nowhere
        }
    }

    /// Lets SYN_STREAMs out that waited for the peer's limit.
    pub(crate) fn promote_waiting(&mut self) {
        while self.own_active < self.own_limit() {
            let Some(key) = self.sched.first_waiting(&self.store) else {
                return;
            };
            self.own_active += 1;
            self.sched.place(&mut self.store, key, Place::Opener);
            self.wake_writer(key);
        }
    }

    /// Applies a changed limit of the peer: SYN_STREAMs beyond it that were not sent go back to wait.
    pub(crate) fn apply_own_limit(&mut self) {
        let limit = self.own_limit();
        if self.own_active > limit {
            for key in self.sched.own_openers(&self.store).into_iter().rev() {
                if self.own_active <= limit {
                    break;
                }
                self.own_active -= 1;
                self.sched.put_back(&mut self.store, key);
            }
        }
        self.promote_waiting();
    }

    /// How many streams this side may have open: without an announcement SPDY knows no limit, so the option
    /// caps the first burst.
    pub(crate) fn own_limit(&self) -> usize {
        let limit = self
            .peer_max_streams
            .unwrap_or(self.config.initial_max_open_streams);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// Tells one caller that waits for an open slot.
    pub(crate) fn announce_slot(&mut self) {
        if self.slot_interest {
            self.slot_interest = false;
            self.events.push_back(Event::Slot);
        }
    }

    /// How many bytes a stream takes now; 0 is "wait".
    ///
    /// A body is polled only while its stream has window, so that nothing piles up behind a peer that does not
    /// read; and every stream may always queue one frame, so that stalled ones starve nobody.
    pub(crate) fn send_capacity(&self, key: Key) -> usize {
        let Some(stream) = self.store.get(key) else {
            return 0;
        };
        if stream.place == Place::Waiting || stream.send.finish != Finish::Open {
            return 0;
        }
        if self.obeys_windows() && stream.send.window.left() <= 0 {
            return 0;
        }
        let queued = stream.send.queue.len();
        let guaranteed = STREAM_GUARANTEED.saturating_sub(queued);
        let rest = STREAM_BUFFER.saturating_sub(queued.max(STREAM_GUARANTEED));
        guaranteed + rest.min(CONNECTION_POOL.saturating_sub(self.pool_used))
    }

    /// Wakes a writer that can write several chunks now.
    pub(crate) fn wake_writer(&mut self, key: Key) {
        let Some(stream) = self.store.get(key) else {
            return;
        };
        if stream.send.interest
            && stream.send.queue.len() <= STREAM_LOW_WATER
            && self.send_capacity(key) > 0
        {
            self.wake(key, false, true, false);
        }
    }

    /// Whether the SYN_REPLY of a stream has been emitted, or never will be. If not, a write wake follows.
    #[allow(dead_code, reason = "used by `kube`")]
    pub(crate) fn poll_replied(&mut self, key: Key) -> bool {
        let stream = self.store.get_mut(key);
        let Some(stream) = stream.filter(|stream| stream.opener.is_some()) else {
            return true;
        };
        stream.send.interest = true;
        stream.send.flushing = true;
        false
    }

    /// Wakes who waits until all was emitted, whatever window is left.
    fn wake_flusher(&mut self, key: Key) {
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        if stream.send.flushing && stream.send.queue.is_empty() && stream.send.marks.is_empty() {
            stream.send.flushing = false;
            self.wake(key, false, true, false);
        }
    }

    /// The stream window a new own stream starts with.
    pub(crate) fn new_send_window(&self) -> StreamWindow {
        StreamWindow::new(self.peer_initial_window)
    }

    /// Whether the session is over and everything was sent: the driver flushes and closes the transport.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.lifecycle.is_over() && !self.has_output()
    }

    /// How the session ended; `None` while it lives.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), Error>> {
        match &self.lifecycle {
            Lifecycle::Failed { error, .. } => Some(Err(error.clone())),
            Lifecycle::Closed | Lifecycle::Closing { .. } => Some(Ok(())),
            _ => None,
        }
    }
}
