//! The protocol state machine: frames in, frames and events out. No IO, no clock, no `Waker`, no HTTP.
//!
//! [`Session`] is the whole of it. The codec stays outside: the driver decodes before and encodes after, so the
//! zlib contexts run outside any lock, and what [`Session::poll_frame`] yields is emitted, and so compressed,
//! in that order.

mod abandon;
mod budget;
mod config;
mod control;
mod credit;
mod excess;
mod gone;
mod inspect;
mod limits;
mod options;
mod pause;
mod ping;
mod queue;
mod receive;
mod sched;
mod shutdown;
mod state;
mod store;
mod stream;
mod timers;
mod transmit;
mod user;
mod window;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

#[cfg(any(feature = "server", feature = "client"))]
pub(crate) use self::config::with_options;
pub use self::config::{Config, FlowControl, Overflow};
pub use self::inspect::Inspection;
pub use self::options::OpenOptions;
pub use self::store::Key;
pub use self::user::{Accepted, Read, Reservation};

use self::budget::Budgets;
use self::control::{Control, ControlQueue};
use self::excess::Excess;
use self::limits::Tombstones;
use self::pause::Pause;
use self::ping::{KeepAlive, Pings};
use self::receive::IncomingData;
use self::sched::Sched;
use self::shutdown::Lifecycle;
use self::store::{Hook, List, Store};
use self::stream::{Finish, Place, Stream};
use self::timers::Opening;
use self::window::ConnectionWindow;
use crate::error::{Error, Initiator};
use crate::frame::{DEFAULT_WINDOW, ResetStatus, Role, RstStream, StreamId};
use crate::headers::HeaderBlock;

/// What the application, or its driver, should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Something a stream waited for has happened. Only what was asked for is reported: an operation that
    /// returned `Blocked` registers interest, and one report takes the interest away.
    Wake {
        /// The stream.
        key: Key,
        /// Bytes, HEADERS, the end or an error can be read.
        read: bool,
        /// There is room to write, or the stream ended.
        write: bool,
        /// The SYN_REPLY, or an error, can be read.
        reply: bool,
    },
    /// A stream of the peer can be accepted, or none will come any more.
    Accept,
    /// Open slots may have become free, or none will ever be. Interest is one for the whole session: whoever waits
    /// has to ask again.
    Slot,
    /// The echo of a PING of the application.
    Pong {
        /// The PING.
        id: u32,
        /// From its emission to the echo.
        rtt: Duration,
    },
    /// The session has failed or ended; every wait is over.
    Ended,
}

/// One SPDY session, without IO.
///
/// The caller owns the transport, the codec and the clock. Its methods fall into four groups:
///
/// - **A. Getters**, taking `&self`.
/// - **B. `handle_*`**: what happened. [`handle_frame`](Self::handle_frame),
///   [`handle_read`](Self::handle_read) (bytes arrived), [`handle_timeout`](Self::handle_timeout),
///   [`handle_eof`](Self::handle_eof), [`handle_transport_error`](Self::handle_transport_error).
/// - **C. What the application asks**: [`open`](Self::open), [`accept`](Self::accept), [`reply`](Self::reply),
///   [`write`](Self::write), [`read`](Self::read), [`finish`](Self::finish), [`reset`](Self::reset),
///   [`ping`](Self::ping), [`shutdown`](Self::shutdown), ...
/// - **D. `poll_*`**: what to do next. [`poll_frame`](Self::poll_frame) until `None`, then
///   [`poll_event`](Self::poll_event) until `None`, then wait for input or [`poll_timeout`](Self::poll_timeout).
///
/// After any call of B or C there may be something to send and there may be events: poll again.
/// [`has_output`](Self::has_output) tells the first in O(1).
///
/// Time is an argument, read once per batch. What happens for each frame of a stream is O(1) in the number of open
/// streams. What concerns all of them looks at all: SETTINGS that change the initial window or lower the stream limit,
/// a GOAWAY that lowers last-good-stream-id, the start of a shutdown, the end of the session, and the search for the
/// largest unread stream when the limit of the connection is reached.
///
/// Invariants, asserted by the property tests:
///
/// - the connection window granted to the peer = what it has left + bytes of the DATA frame under way + bytes
///   nobody has read + bytes read but not yet credited;
/// - a stream is in one list of the scheduler if and only if it has something to send and may send it;
/// - no stream that ended keeps a waiter, a queue to send, or a place in a list.
#[derive(Debug)]
pub struct Session {
    role: Role,
    config: Config,
    store: Store,
    sched: Sched,
    /// Streams of the peer that nobody has accepted.
    backlog: List,
    /// Streams with credit to return.
    credit: List,
    control: ControlQueue,
    events: VecDeque<Event>,
    /// Dead payloads, dropped by the caller outside its lock.
    graveyard: Vec<Bytes>,
    /// The next id of ours; `None` when they are used up.
    next_id: Option<StreamId>,
    /// The highest id the peer has used, 0 for none.
    highest_peer: u32,
    /// The highest id of the peer that the application was given, 0 for none.
    highest_accepted: u32,
    /// Our streams that are open or about to be.
    own_active: usize,
    /// The peer's streams that are open.
    peer_active: usize,
    /// The peer's streams in the store: those, and ended ones that are still held.
    peer_held: usize,
    /// Slots promised to callers that have not opened their stream yet.
    reserved: usize,
    slot_interest: bool,
    /// The limit of the peer on our streams.
    peer_max_streams: Option<u32>,
    send_window: ConnectionWindow,
    peer_initial_window: u32,
    recv_window: ConnectionWindow,
    /// Consumed bytes that the peer's connection window was not given back.
    recv_pending: u64,
    /// Received bytes that nobody has read.
    unread: usize,
    /// Bytes queued beyond the share that every stream is guaranteed.
    pool_used: usize,
    incoming_data: Option<IncomingData>,
    tombstones: Tombstones,
    budgets: Budgets,
    /// The frame being handled has made us reset a stream.
    forced_reset: bool,
    pings: Pings,
    keep_alive: KeepAlive,
    lifecycle: Lifecycle,
    peer_goaway: Option<u32>,
    /// Why the peer ends the session, if it said so.
    peer_error: Option<Error>,
    /// The peer was given up: nothing is left to it at the end.
    closes_first: bool,
    /// End as soon as no stream is left: the peer said GOAWAY, or nobody can open streams any more.
    close_when_idle: bool,
    idle_since: Option<Instant>,
    excess: Excess,
    paused: Option<Pause>,
    /// Whether the peer has sent anything.
    heard: bool,
    /// Own streams that wait for their SYN_REPLY, with `open_timeout`.
    opening: Opening,
    /// When a frame went last, in either direction.
    last_frame: Instant,
}

impl Session {
    /// A session in the given role; its first frames are ready at once, unless the options hold them back.
    #[must_use]
    pub fn new(role: Role, config: Config, now: Instant) -> Self {
        let keep_alive = KeepAlive::new(config.keep_alive_interval, config.keep_alive_timeout, now);
        let mut session = Self {
            role,
            store: Store::default(),
            sched: Sched::new(),
            backlog: List::new(Hook::Accept),
            credit: List::new(Hook::Credit),
            control: ControlQueue::default(),
            events: VecDeque::new(),
            graveyard: Vec::new(),
            next_id: StreamId::new(role.first_id()),
            highest_peer: 0,
            highest_accepted: 0,
            own_active: 0,
            peer_active: 0,
            peer_held: 0,
            reserved: 0,
            slot_interest: false,
            peer_max_streams: None,
            send_window: ConnectionWindow::new(DEFAULT_WINDOW),
            peer_initial_window: DEFAULT_WINDOW,
            recv_window: ConnectionWindow::new(DEFAULT_WINDOW),
            recv_pending: 0,
            unread: 0,
            pool_used: 0,
            incoming_data: None,
            tombstones: Tombstones::default(),
            budgets: Budgets::new(),
            forced_reset: false,
            pings: Pings::new(role),
            keep_alive,
            lifecycle: Lifecycle::Active,
            peer_goaway: None,
            peer_error: None,
            closes_first: false,
            close_when_idle: false,
            idle_since: None,
            excess: Excess::default(),
            paused: None,
            heard: false,
            opening: Opening::default(),
            last_frame: now,
            config,
        };
        session.queue_preface();
        session
    }

    // A. Getters.

    /// The role of this side.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How many streams there are: open ones, queued ones, and ended ones whose handles still exist.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.store.len()
    }

    /// How many streams are open on the wire.
    #[must_use]
    pub fn active_streams(&self) -> usize {
        self.store.active()
    }

    /// Received bytes that nobody has read.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        self.unread
    }

    /// The wire id of a stream; `None` until its SYN_STREAM is emitted, which is what makes ids rise on the wire
    /// whatever was cancelled before.
    #[must_use]
    pub fn stream_id(&self, key: Key) -> Option<StreamId> {
        self.store.get(key)?.id
    }

    /// Why a stream ended early.
    #[must_use]
    pub fn stream_error(&self, key: Key) -> Option<&Error> {
        self.store.get(key)?.error.as_ref()
    }

    /// Whether no stream is open or about to be.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.store.active() == 0 && self.own_active == 0 && self.sched.waiting() == 0
    }

    /// Whether windows limit what we send.
    pub(crate) fn obeys_windows(&self) -> bool {
        self.config.flow_control != FlowControl::Off
    }

    /// Whether the unread limits hold instead of, or beside, our windows.
    fn has_unread_limits(&self) -> bool {
        self.config.flow_control != FlowControl::Spec
    }

    /// The stream window that the peer counts with from the start.
    fn announced_stream_window(&self) -> u32 {
        if self.config.announce_settings && self.obeys_windows() {
            self.config.stream_window
        } else {
            DEFAULT_WINDOW
        }
    }

    /// Adds a stream.
    fn insert(&mut self, stream: Stream) -> Key {
        self.idle_since = None;
        self.store.insert(stream)
    }

    // The one place where streams end.

    /// Ends a stream on the wire: nothing more is sent, every waiter is told, counts and lists are put right. With
    /// `error` the end is early; received bytes stay readable before it unless `discard`.
    fn end(&mut self, key: Key, error: Option<Error>, discard: bool) {
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        if stream.is_closed() {
            return;
        }
        let counted = !stream.own || stream.id.is_some() || stream.place == Place::Opener;
        let (own, early) = (stream.own, error.is_some());
        stream.state = state::State::Closed;
        stream.error = error;
        let opener = stream.opener.take().map(|opener| opener.block);
        stream.send.finish = Finish::Done;
        stream.send.interest |= std::mem::take(&mut stream.send.watched);
        let marks = std::mem::take(&mut stream.send.marks);
        let queue = std::mem::take(&mut stream.send.queue);
        let blocks = opener
            .into_iter()
            .chain(marks.into_iter().map(|mark| mark.block));
        self.graveyard.extend(blocks.map(HeaderBlock::into_plain));
        self.pool_used -= limits::beyond_guaranteed(queue.len());
        self.bury(queue);
        self.sched.place(&mut self.store, key, Place::Nowhere);
        self.credit.remove(&mut self.store, key);
        self.store.forget_id(key);
        self.idle_since = None;
        if discard {
            self.discard_unread(key);
        }
        if early
            && self
                .store
                .get(key)
                .is_some_and(|stream| stream.request.is_some())
        {
            // Nobody will ever see a stream that ended before it was accepted.
            self.backlog.remove(&mut self.store, key);
            if let Some(stream) = self.store.get_mut(key) {
                stream.request = None;
            }
            self.discard_unread(key);
            self.drain_if_ready();
        }
        if counted {
            let active = if own {
                &mut self.own_active
            } else {
                &mut self.peer_active
            };
            *active -= 1;
        }
        if own {
            self.promote_waiting();
            self.announce_slot();
        }
        self.wake(key, true, true, true);
        self.remove_if_over(key);
        self.check_drained();
    }

    /// Frees the record of a stream that is over on the wire and for the application.
    fn remove_if_over(&mut self, key: Key) {
        let over =
            |stream: &Stream| stream.is_closed() && !stream.is_held() && stream.request.is_none();
        if !self.store.get(key).is_some_and(over) {
            return;
        }
        self.discard_unread(key);
        self.idle_since = None;
        if let Some(stream) = self.store.remove(key) {
            if !stream.own {
                self.peer_held -= 1;
            }
        }
    }

    /// Gives the unread bytes of a stream back to the connection.
    fn discard_unread(&mut self, key: Key) {
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        let queue = std::mem::take(&mut stream.recv.queue);
        let n = queue.len();
        if n > 0 || !stream.recv.headers.is_empty() {
            // What is left is not whole any more: the reader must not take it for that.
            stream.recv.ended = false;
            stream.recv.headers.clear();
            stream.recv.headers_size = 0;
        }
        self.budgets
            .repay(std::mem::take(&mut stream.recv.overhead));
        stream.recv.pending += n as u64;
        stream.recv.waiting_since = None;
        self.bury(queue);
        self.unread -= n;
        self.credit_connection(n);
        self.unread_less(key);
    }

    /// Keeps the payloads of a queue until the caller has left its lock: they may be the application's own, with
    /// any `Drop`.
    fn bury(&mut self, mut queue: queue::ByteQueue) {
        while !queue.is_empty() {
            self.graveyard.push(queue.pop(usize::MAX));
        }
    }

    /// Payloads that the session has no use for any more, to be dropped outside of any lock.
    #[must_use]
    pub fn take_graveyard(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.graveyard)
    }

    /// Resets a stream that is active on the wire, or withdraws one that was never sent.
    fn reset_stream(&mut self, key: Key, status: ResetStatus, by: Initiator, why: &'static str) {
        let Some(stream) = self.store.get(key) else {
            return;
        };
        if stream.is_closed() {
            return;
        }
        // An own stream whose SYN_STREAM was never sent gets no RST_STREAM.
        let id = stream.id;
        // As spdystream: behind our FIN there is nothing left to reset; what still comes is dropped.
        let quiet = self.config.lenient_streams && by == Initiator::User && stream.send.fin_sent;
        if let Some(id) = id {
            let peer_caused = by == Initiator::Library || !stream.own;
            if !quiet {
                self.control
                    .push(Control::Reset(RstStream { id, status }), peer_caused);
            }
            self.tombstones.insert(id);
        }
        self.end(key, Some(Error::reset(id, status, by, why)), true);
    }

    /// Reports what a stream waited for, if it did.
    fn wake(&mut self, key: Key, read: bool, write: bool, reply: bool) {
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        let read = read && std::mem::take(&mut stream.recv.interest);
        let write = write && std::mem::take(&mut stream.send.interest);
        let reply = reply && std::mem::take(&mut stream.recv.reply_interest);
        if read || write || reply {
            self.events.push_back(Event::Wake {
                key,
                read,
                write,
                reply,
            });
        }
    }

    // D. What to do next.

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        if self.lifecycle.is_over() {
            return None;
        }
        self.note_held_back(now);
        let mut deadlines = [
            self.drain_deadline(),
            self.excess_deadline(),
            None,
            None,
            self.control.pings_deadline(),
            self.opening_deadline(),
            self.silence_deadline(),
            self.probe_deadline(),
        ];
        let idle = self.is_idle();
        if !idle || self.config.keep_alive_while_idle {
            deadlines[2] = self.keep_alive.deadline().filter(|_| self.paused.is_none());
        }
        if idle {
            let since = *self.idle_since.get_or_insert(now);
            // A shutdown under way has its own deadlines.
            deadlines[3] = self
                .config
                .idle_timeout
                .filter(|_| matches!(self.lifecycle, Lifecycle::Active))
                .and_then(|timeout| since.checked_add(timeout));
        }
        deadlines.into_iter().flatten().min()
    }
}
