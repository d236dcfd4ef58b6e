//! C. What the application asks.

use bytes::Bytes;

use super::Session;
use super::limits::beyond_guaranteed;
use super::options::OpenOptions;
use super::ping::Purpose;
use super::store::Key;
use super::stream::{Finish, Mark, Opener, Place, Stream};
use super::window::StreamWindow;
use crate::error::{Error, Initiator};
use crate::frame::{Priority, StreamId};
use crate::headers::{BlockError, HeaderBlock};

/// How many streams may wait for an open slot beyond the limit of the peer.
const MAX_WAITING: usize = 100;

/// How many HEADERS frames may be queued on one stream.
const MAX_MARKS: usize = 64;

/// A stream of the peer, handed to the application.
#[derive(Debug)]
pub struct Accepted {
    /// The stream.
    pub key: Key,
    /// Its wire id.
    pub id: StreamId,
    /// The headers; an error when they pass the header list limit (other faults never get here).
    pub headers: Result<HeaderBlock, BlockError>,
    /// Its priority.
    pub priority: Priority,
    /// The stream it belongs to.
    pub associated: Option<StreamId>,
    /// Nothing may be sent on it.
    pub unidirectional: bool,
    /// The peer has ended its direction already.
    pub fin: bool,
}

/// What [`Session::read`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Bytes; they count as consumed now.
    Data(Bytes),
    /// The peer has ended its direction.
    End,
    /// Nothing yet; a wake will follow.
    Blocked,
}

/// A promised open slot. Give it to [`Session::open`], or back to [`Session::release_slot`].
#[derive(Debug)]
#[must_use = "a slot that is neither used nor released is lost to the session"]
pub struct Reservation(());

impl Session {
    /// Reserves an open slot, unless as many callers as the peer allows streams, and 100 more, have one. `None`
    /// registers interest: [`Event::Slot`](super::Event::Slot) follows.
    pub fn reserve_slot(&mut self) -> Result<Option<Reservation>, Error> {
        if let Some(error) = self.refuses_open() {
            return Err(error);
        }
        let taken = self.own_active + self.sched.waiting() + self.reserved;
        if taken >= self.own_limit().saturating_add(MAX_WAITING) {
            self.slot_interest = true;
            return Ok(None);
        }
        self.reserved += 1;
        Ok(Some(Reservation(())))
    }

    /// Gives a slot back unused.
    pub fn release_slot(&mut self, slot: Reservation) {
        let Reservation(()) = slot;
        self.reserved = self.reserved.saturating_sub(1);
        self.announce_slot();
        self.check_drained();
    }

    /// Opens a stream; both halves are held by the caller. Its SYN_STREAM waits its turn behind the peer's
    /// MAX_CONCURRENT_STREAMS.
    ///
    /// # Errors
    ///
    /// A retryable error if the session takes no new streams.
    pub fn open(
        &mut self,
        slot: Reservation,
        headers: HeaderBlock,
        options: OpenOptions,
    ) -> Result<Key, Error> {
        let Reservation(()) = slot;
        self.reserved = self.reserved.saturating_sub(1);
        if let Some(error) = self.refuses_open().or_else(|| self.refuses_block(&headers)) {
            self.graveyard.push(headers.into_plain());
            self.announce_slot();
            self.check_drained();
            return Err(error);
        }
        let opener = Opener {
            block: headers,
            associated: options.associated,
            unidirectional: options.unidirectional,
            fin: options.fin,
        };
        let mut stream = Stream::outgoing(options.priority, options.fin, opener);
        stream.send.window = self.new_send_window();
        stream.recv.window = StreamWindow::new(self.announced_stream_window());
        let key = self.insert(stream);
        self.sched.place(&mut self.store, key, Place::Waiting);
        self.promote_waiting();
        Ok(key)
    }

    /// The next stream of the peer; both halves are held by the caller from now on.
    pub fn accept(&mut self) -> Option<Accepted> {
        let key = self.backlog.pop_front(&mut self.store)?;
        let stream = self.store.get_mut(key)?;
        let request = *stream.request.take()?;
        let id = stream.id?;
        stream.send.held = true;
        stream.recv.held = true;
        self.highest_accepted = self.highest_accepted.max(id.get());
        let accepted = Accepted {
            key,
            id,
            headers: request.headers,
            priority: stream.priority,
            associated: request.associated,
            unidirectional: request.unidirectional,
            fin: !stream.state.is_recv_open(),
        };
        self.drain_if_ready();
        self.check_drained();
        Some(accepted)
    }

    /// Answers a stream of the peer with SYN_REPLY; with `fin` nothing more follows.
    ///
    /// # Errors
    ///
    /// The stream's own error if it ended, or a user error if it was replied to already or needs no reply.
    pub fn reply(&mut self, key: Key, headers: HeaderBlock, fin: bool) -> Result<(), Error> {
        let stream = match self.repliable(key, &headers) {
            Ok(stream) => stream,
            Err(error) => {
                self.graveyard.push(headers.into_plain());
                return Err(error);
            }
        };
        stream.opener = Some(Box::new(Opener {
            block: headers,
            associated: None,
            unidirectional: false,
            fin,
        }));
        if fin && stream.send.finish == Finish::Open {
            stream.send.finish = Finish::Queued;
        }
        self.sched.place(&mut self.store, key, Place::Opener);
        Ok(())
    }

    /// Whether the stream has ended early.
    #[allow(dead_code, reason = "used by `kube`")]
    pub(crate) fn is_lost(&self, key: Key) -> bool {
        let stream = self.store.get(key);
        stream.is_none_or(|stream| stream.error.is_some())
    }

    /// How many bytes the stream takes now. 0 registers interest in [`Event::Wake`](super::Event::Wake).
    ///
    /// # Errors
    ///
    /// Why nothing more can be written.
    pub fn poll_capacity(&mut self, key: Key) -> Result<usize, Error> {
        self.writable(key)?;
        let capacity = self.send_capacity(key);
        if capacity == 0 {
            if let Some(stream) = self.store.get_mut(key) {
                stream.send.interest = true;
            }
        }
        Ok(capacity)
    }

    /// Asks for a write wake when the stream ends, whatever room there is: for a writer that waits for its source.
    ///
    /// # Errors
    ///
    /// Why nothing more can be written, if the stream has ended already.
    pub fn watch_end(&mut self, key: Key) -> Result<(), Error> {
        self.writable(key)?.send.watched = true;
        Ok(())
    }

    /// As [`watch_end`](Self::watch_end), also behind our own end.
    ///
    /// # Errors
    ///
    /// Why the stream has ended early, if it has.
    #[allow(dead_code, reason = "used by `kube`")]
    pub(crate) fn watch_loss(&mut self, key: Key) -> Result<(), Error> {
        self.live(key)?.send.watched = true;
        Ok(())
    }

    /// Queues a chunk whole, whatever its size; ask [`poll_capacity`](Self::poll_capacity) before.
    ///
    /// # Errors
    ///
    /// Why nothing more can be written.
    pub fn write(&mut self, key: Key, mut payload: Bytes) -> Result<(), Error> {
        let result = self.write_from(key, &mut payload);
        if !payload.is_empty() {
            self.graveyard.push(payload);
        }
        result
    }

    /// As [`write`](Self::write); what is refused, or only copied, stays with the caller, to be dropped outside of its
    /// lock.
    ///
    /// # Errors
    ///
    /// Why nothing more can be written.
    pub fn write_from(&mut self, key: Key, payload: &mut Bytes) -> Result<(), Error> {
        self.writable(key)?;
        self.enqueue(key, |stream| {
            let whole = std::mem::take(payload);
            *payload = stream.send.queue.push_owned(whole).unwrap_or_default();
        })
    }

    /// Queues a copy of bytes, at most as many as there is room for, and says how many; 0 as in
    /// [`poll_capacity`](Self::poll_capacity).
    ///
    /// # Errors
    ///
    /// Why nothing more can be written.
    pub fn write_slice(&mut self, key: Key, payload: &[u8]) -> Result<usize, Error> {
        let n = self.poll_capacity(key)?.min(payload.len());
        if n > 0 {
            self.enqueue(key, |stream| stream.send.queue.append(&payload[..n]))?;
        }
        Ok(n)
    }

    fn enqueue(&mut self, key: Key, push: impl FnOnce(&mut Stream)) -> Result<(), Error> {
        let stream = self.writable(key)?;
        let before = beyond_guaranteed(stream.send.queue.len());
        push(stream);
        let after = beyond_guaranteed(stream.send.queue.len());
        self.pool_used += after - before;
        self.reschedule(key);
        Ok(())
    }

    /// Queues a HEADERS frame behind what was written; with `fin` it ends our direction.
    ///
    /// # Errors
    ///
    /// Why nothing more can be written, or a user error when 64 HEADERS are queued on the stream.
    pub fn send_headers(&mut self, key: Key, headers: HeaderBlock, fin: bool) -> Result<(), Error> {
        let stream = match self.markable(key, &headers) {
            Ok(stream) => stream,
            Err(error) => {
                self.graveyard.push(headers.into_plain());
                return Err(error);
            }
        };
        let at = stream.send.sent + stream.send.queue.len() as u64;
        stream.send.marks.push_back(Mark {
            at,
            block: headers,
            fin,
        });
        if fin {
            stream.send.finish = Finish::Queued;
        }
        self.reschedule(key);
        Ok(())
    }

    /// Ends our direction behind what was written. Repeating it changes nothing.
    ///
    /// # Errors
    ///
    /// The stream's own error if it ended early.
    pub fn finish(&mut self, key: Key) -> Result<(), Error> {
        let Some(stream) = self.store.get_mut(key) else {
            return Ok(());
        };
        if stream.send.fin_sent {
            return Ok(());
        }
        if let Some(error) = &stream.error {
            return Err(error.clone());
        }
        if stream.send.finish == Finish::Open {
            stream.send.finish = Finish::Queued;
            self.reschedule(key);
        }
        Ok(())
    }

    /// Whether all that was written, and FIN, was emitted. `false` registers interest.
    ///
    /// # Errors
    ///
    /// The stream's own error if it ended early.
    pub fn poll_finished(&mut self, key: Key) -> Result<bool, Error> {
        let Some(stream) = self.store.get_mut(key) else {
            return Ok(true);
        };
        // A reset behind our FIN, be it ours because nobody reads, takes nothing away from what was sent.
        if stream.send.fin_sent || (stream.send.finish == Finish::Done && stream.error.is_none()) {
            return Ok(true);
        }
        if let Some(error) = &stream.error {
            return Err(error.clone());
        }
        stream.send.interest = true;
        Ok(false)
    }

    /// Whether all that was written was emitted. `false` registers interest.
    ///
    /// # Errors
    ///
    /// The stream's own error if it ended early.
    pub fn poll_flushed(&mut self, key: Key) -> Result<bool, Error> {
        let Some(stream) = self.store.get_mut(key) else {
            return Ok(true);
        };
        if stream.send.fin_sent {
            return Ok(true);
        }
        if let Some(error) = &stream.error {
            return Err(error.clone());
        }
        if stream.send.queue.is_empty() && stream.send.marks.is_empty() {
            return Ok(true);
        }
        stream.send.interest = true;
        stream.send.flushing = true;
        Ok(false)
    }

    /// Reads at most `max` bytes; they count as consumed and are credited to the peer in time.
    ///
    /// # Errors
    ///
    /// The stream's own error, behind all bytes that arrived before it.
    pub fn read(&mut self, key: Key, max: usize) -> Result<Read, Error> {
        let Some(stream) = self.store.get_mut(key) else {
            return Ok(Read::End);
        };
        if !stream.recv.queue.is_empty() {
            let payload = stream.recv.queue.pop(max);
            self.consumed(key, payload.len());
            return Ok(Read::Data(payload));
        }
        if stream.recv.ended || !stream.state.is_recv_open() {
            return match &stream.error {
                // A reset behind the peer's FIN takes nothing away from what was received.
                Some(error) if !stream.recv.ended => Err(error.clone()),
                _ => Ok(Read::End),
            };
        }
        stream.recv.interest = true;
        Ok(Read::Blocked)
    }

    /// Takes the SYN_REPLY of an own stream; `None` registers interest.
    ///
    /// # Errors
    ///
    /// The stream's own error if it ended before a SYN_REPLY.
    pub fn take_reply(&mut self, key: Key) -> Result<Option<HeaderBlock>, Error> {
        let Some(stream) = self.store.get_mut(key) else {
            return Err(Error::user("the stream is gone"));
        };
        if let Some(reply) = stream.recv.reply.take() {
            return Ok(Some(reply));
        }
        if let Some(error) = &stream.error {
            return Err(error.clone());
        }
        if !stream.awaits_reply() {
            return Err(Error::user("no SYN_REPLY is to come on this stream"));
        }
        stream.recv.reply_interest = true;
        Ok(None)
    }

    /// Takes the next HEADERS of the peer, if one has arrived. Interest is registered by
    /// [`read`](Self::read).
    pub fn take_headers(&mut self, key: Key) -> Option<HeaderBlock> {
        self.store.get_mut(key)?.take_headers()
    }

    /// Takes the next HEADERS of the peer; `Some(None)` says that none will come, `None` registers interest.
    ///
    /// # Errors
    ///
    /// The stream's own error, behind all HEADERS that arrived before it.
    pub fn poll_headers(&mut self, key: Key) -> Result<Option<Option<HeaderBlock>>, Error> {
        let Some(stream) = self.store.get_mut(key) else {
            return Ok(Some(None));
        };
        if let Some(headers) = stream.take_headers() {
            return Ok(Some(Some(headers)));
        }
        if stream.recv.ended || !stream.state.is_recv_open() {
            return match &stream.error {
                Some(error) if !stream.recv.ended => Err(error.clone()),
                _ => Ok(Some(None)),
            };
        }
        stream.recv.interest = true;
        Ok(None)
    }

    /// Whether bytes or HEADERS of the stream may still come, or wait to be read; also when an error waits
    /// there instead of the peer's end, so that a stream that was cut off never looks whole.
    #[must_use]
    pub fn is_read_open(&self, key: Key) -> bool {
        let open = |stream: &Stream| {
            (!stream.recv.ended && (stream.state.is_recv_open() || stream.error.is_some()))
                || !stream.recv.queue.is_empty()
                || !stream.recv.headers.is_empty()
        };
        self.store.get(key).is_some_and(open)
    }

    /// Tells how many bytes the peer will send in all, so that it gets no stream credit that it will never need.
    pub fn set_expected(&mut self, key: Key, bytes: u64) {
        if let Some(stream) = self.store.get_mut(key) {
            stream.recv.expected = Some(bytes);
        }
    }

    /// Whether the application has ended its direction of the stream, or can write no more.
    #[must_use]
    pub fn is_finished_sending(&self, key: Key) -> bool {
        self.store
            .get(key)
            .is_none_or(|stream| stream.send.finish != Finish::Open)
    }

    /// Nobody will accept streams any more: waiting ones and new ones are refused.
    pub fn stop_accepting(&mut self) {
        self.config.accept_streams = false;
        self.drop_backlog(true);
        self.events.push_back(super::Event::Accept);
    }

    /// Whether streams of the peer may still come to be accepted.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        self.config.accept_streams && !self.is_draining()
    }

    /// Sends a PING; [`Event::Pong`](super::Event::Pong) reports its echo.
    ///
    /// More than a burst of 64 and 8 a second wait their turn: peers, of this crate too, end sessions that flood.
    ///
    /// # Errors
    ///
    /// A user error when 64 PINGs are under way, or the error that ended the session.
    pub fn ping(&mut self) -> Result<u32, Error> {
        if let Some(outcome) = self.outcome() {
            return Err(outcome
                .err()
                .unwrap_or_else(|| Error::closed(Initiator::User, "the session has ended")));
        }
        let id = self
            .pings
            .start(Purpose::User)
            .ok_or_else(|| Error::user("64 PINGs are under way already"))?;
        self.control.push_ping(id);
        Ok(id)
    }

    /// A stream that is not over.
    fn live(&mut self, key: Key) -> Result<&mut Stream, Error> {
        let Some(stream) = self.store.get_mut(key) else {
            return Err(Error::user("the stream is gone"));
        };
        if let Some(error) = &stream.error {
            return Err(error.clone());
        }
        Ok(stream)
    }

    /// Why a header block is not sent, if so.
    fn refuses_block(&self, headers: &HeaderBlock) -> Option<Error> {
        let too_large = headers.list_size() > self.config.max_send_header_list_size;
        too_large.then(|| Error::user("the header list is larger than max_send_header_list_size"))
    }

    /// A stream of the peer that waits for its SYN_REPLY.
    fn repliable(&mut self, key: Key, headers: &HeaderBlock) -> Result<&mut Stream, Error> {
        if let Some(error) = self.refuses_block(headers) {
            return Err(error);
        }
        let stream = self.live(key)?;
        if stream.own || stream.opener.is_some() || stream.state.send_reply().is_none() {
            return Err(Error::user(
                "the stream was replied to already, or needs no reply",
            ));
        }
        Ok(stream)
    }

    /// A stream that takes another HEADERS frame.
    fn markable(&mut self, key: Key, headers: &HeaderBlock) -> Result<&mut Stream, Error> {
        if let Some(error) = self.refuses_block(headers) {
            return Err(error);
        }
        let stream = self.writable(key)?;
        if stream.send.marks.len() >= MAX_MARKS {
            return Err(Error::user(
                "too many HEADERS frames are queued on the stream",
            ));
        }
        Ok(stream)
    }

    /// A stream whose direction to the peer the application has not ended.
    fn writable(&mut self, key: Key) -> Result<&mut Stream, Error> {
        let stream = self.live(key)?;
        if stream.send.finish != Finish::Open {
            return Err(Error::user("our direction of the stream has ended already"));
        }
        Ok(stream)
    }
}
