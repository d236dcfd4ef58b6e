//! The record of one stream.

use std::collections::VecDeque;
use std::time::Instant;

use super::excess::Beyond;
use super::queue::ByteQueue;
use super::state::State;
use super::store::Link;
use super::window::StreamWindow;
use crate::error::Error;
use crate::frame::{DEFAULT_WINDOW, Priority, StreamId};
use crate::headers::{BlockError, HeaderBlock};

/// Where the scheduler keeps a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In no list: nothing to send, or no window to send it.
    Nowhere,
    /// Its SYN_STREAM waits for the peer's MAX_CONCURRENT_STREAMS.
    Waiting,
    /// Its SYN_STREAM or SYN_REPLY is to be sent.
    Opener,
    /// It has something to send that needs no window: HEADERS, or an empty FIN.
    Free,
    /// It has DATA to send, and a stream window for it.
    Data,
}

/// The SYN_STREAM or SYN_REPLY to send.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) block: HeaderBlock,
    pub(crate) associated: Option<StreamId>,
    pub(crate) unidirectional: bool,
    /// The application has asked for FIN on it.
    pub(crate) fin: bool,
}

/// A HEADERS frame in the send queue: it goes out once `at` bytes of the stream were sent.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) at: u64,
    pub(crate) block: HeaderBlock,
    /// FIN rides on it. If the direction is ended separately, FIN goes in a DATA frame of its own, whether or not
    /// the HEADERS were emitted in between: some peers miss a FIN on HEADERS.
    pub(crate) fin: bool,
}

/// Whether the application has ended its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// More may be written.
    Open,
    /// FIN goes out behind what is queued.
    Queued,
    /// FIN was sent, or nothing may be sent.
    Done,
}

/// Our direction.
#[derive(Debug)]
pub(crate) struct SendHalf {
    /// What the peer lets us send on the stream.
    pub(crate) window: StreamWindow,
    pub(crate) queue: ByteQueue,
    pub(crate) marks: VecDeque<Mark>,
    /// DATA bytes that were sent.
    pub(crate) sent: u64,
    pub(crate) finish: Finish,
    /// FIN was emitted.
    pub(crate) fin_sent: bool,
    /// The application waits to write.
    pub(crate) interest: bool,
    /// The application waits until all was emitted.
    pub(crate) flushing: bool,
    /// The application wants to know when the stream ends.
    pub(crate) watched: bool,
    /// The application holds its handle.
    pub(crate) held: bool,
}

/// The peer's direction.
#[derive(Debug)]
pub(crate) struct RecvHalf {
    /// What we let the peer send on the stream.
    pub(crate) window: StreamWindow,
    /// Bytes that the application consumed and the peer was not told of.
    pub(crate) pending: u64,
    pub(crate) queue: ByteQueue,
    /// Since when there is something to be read.
    pub(crate) waiting_since: Option<Instant>,
    /// How many grace times of the connection there had been when it was read last.
    pub(crate) read_in: u64,
    /// It is beyond its unread limit.
    pub(crate) beyond: Option<Beyond>,
    /// The peer has sent FIN: what was received is whole, whatever happens later.
    pub(crate) ended: bool,
    /// The SYN_REPLY, until it is taken.
    pub(crate) reply: Option<HeaderBlock>,
    /// Whether an interim SYN_REPLY was skipped.
    pub(crate) interim_seen: bool,
    /// HEADERS that arrived and were not taken.
    pub(crate) headers: VecDeque<HeaderBlock>,
    /// Their charged size.
    pub(crate) headers_size: usize,
    /// DATA bytes that were received.
    pub(crate) received: u64,
    /// What small DATA frames were charged and not repaid.
    pub(crate) overhead: u64,
    /// How many bytes the peer announced to send, if it did.
    pub(crate) expected: Option<u64>,
    /// The application waits for bytes or HEADERS.
    pub(crate) interest: bool,
    /// The application waits for the SYN_REPLY.
    pub(crate) reply_interest: bool,
    /// The application holds its handle; else what arrives is discarded.
    pub(crate) held: bool,
}

/// One stream. Its wire state is [`State`]; what the application wants is in the halves.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: Option<StreamId>,
    pub(crate) generation: u32,
    pub(crate) state: State,
    pub(crate) own: bool,
    pub(crate) priority: Priority,
    pub(crate) place: Place,
    pub(crate) links: [Link; 3],
    pub(crate) opener: Option<Box<Opener>>,
    /// The headers of a peer's SYN_STREAM, until it is accepted.
    pub(crate) request: Option<Box<Request>>,
    pub(crate) send: SendHalf,
    pub(crate) recv: RecvHalf,
    /// Why the stream ended early.
    pub(crate) error: Option<Error>,
}

/// What a peer's SYN_STREAM carried.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) headers: Result<HeaderBlock, BlockError>,
    pub(crate) associated: Option<StreamId>,
    pub(crate) unidirectional: bool,
}

impl Stream {
    fn new(id: Option<StreamId>, state: State, own: bool, priority: Priority) -> Self {
        let finish = if state.is_send_open() {
            Finish::Open
        } else {
            Finish::Done
        };
        Self {
            id,
            generation: 0,
            state,
            own,
            priority,
            place: Place::Nowhere,
            links: [Link::default(); 3],
            opener: None,
            request: None,
            send: SendHalf {
                window: StreamWindow::new(DEFAULT_WINDOW),
                queue: ByteQueue::default(),
                marks: VecDeque::new(),
                sent: 0,
                finish,
                fin_sent: false,
                interest: false,
                flushing: false,
                watched: false,
                held: false,
            },
            recv: RecvHalf {
                window: StreamWindow::new(DEFAULT_WINDOW),
                pending: 0,
                queue: ByteQueue::default(),
                waiting_since: None,
                read_in: 0,
                beyond: None,
                ended: false,
                reply: None,
                interim_seen: false,
                headers: VecDeque::new(),
                headers_size: 0,
                received: 0,
                overhead: 0,
                expected: None,
                interest: false,
                reply_interest: false,
                held: false,
            },
            error: None,
        }
    }

    /// A stream that the application opens; both halves are held.
    pub(crate) fn outgoing(priority: Priority, fin: bool, opener: Opener) -> Self {
        let mut stream = Self::new(None, State::Idle, true, priority);
        if fin {
            stream.send.finish = Finish::Queued;
        }
        // Nothing is to come on a unidirectional stream.
        stream.recv.ended = opener.unidirectional;
        stream.opener = Some(Box::new(opener));
        stream.send.held = true;
        stream.recv.held = true;
        stream
    }

    /// A stream that the peer opened; its halves are held once it is accepted.
    pub(crate) fn incoming(id: StreamId, priority: Priority, unidirectional: bool) -> Self {
        Self::new(
            Some(id),
            State::recv_syn_stream(unidirectional),
            false,
            priority,
        )
    }

    /// The next HEADERS that wait to be read.
    pub(crate) fn take_headers(&mut self) -> Option<HeaderBlock> {
        let headers = self.recv.headers.pop_front()?;
        self.recv.headers_size = self.recv.headers_size.saturating_sub(headers.list_size());
        Some(headers)
    }

    /// Whether the application holds a handle.
    pub(crate) fn is_held(&self) -> bool {
        self.send.held || self.recv.held
    }

    /// Whether the stream is over on the wire.
    pub(crate) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether a SYN_REPLY may still come.
    pub(crate) fn awaits_reply(&self) -> bool {
        self.own
            && matches!(self.state, State::Idle | State::Sent | State::SentFin)
            && !self.recv.ended
    }

    /// Whether FIN goes out as soon as the queue is empty.
    pub(crate) fn fin_queued(&self) -> bool {
        self.send.finish == Finish::Queued
    }

    /// Bytes that may go out before the next HEADERS of the queue.
    pub(crate) fn bytes_before_mark(&self) -> usize {
        match self.send.marks.front() {
            Some(mark) => {
                usize::try_from(mark.at.saturating_sub(self.send.sent)).unwrap_or(usize::MAX)
            }
            None => self.send.queue.len(),
        }
    }
}
