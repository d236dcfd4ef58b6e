//! A WebSocket that is played step by step, and that judges what a tunnel does with it: what it takes, what it sends, and
//! whether it keeps to what a stream and a sink may be asked for.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{Sink, Stream};

use super::websocket::Plain;

/// The largest binary message, as the documentation says.
pub(super) const LARGEST: usize = 32 << 10;

/// How many Pings may wait for their answers, as the documentation says.
const UNANSWERED: usize = 64;

/// How many messages a read takes before it lets others run. No promise but a bound.
const AT_ONCE: usize = 100;

/// The byte at this place, in either direction: with no period that the size of a message could hide.
pub(super) fn byte(at: usize) -> u8 {
    at.wrapping_mul(0x9e37_79b9).to_le_bytes()[2]
}

pub(super) fn bytes(at: usize, len: usize) -> Vec<u8> {
    (at..at + len).map(byte).collect()
}

/// An error of nobody's library.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    Io(IoFailure),
    Other,
}

/// An IO error, to be found behind that.
#[derive(Clone, Copy, Debug)]
pub(super) struct IoFailure(pub(super) ErrorKind);

impl Failure {
    /// The kind of the IO error that is made of it.
    pub(super) fn kind(self) -> ErrorKind {
        match self {
            Self::Io(IoFailure(kind)) => kind,
            Self::Other => ErrorKind::ConnectionAborted,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as was planned")
    }
}

/// What the tunnel gets: the failure with its source.
#[derive(Debug)]
pub(super) struct Told {
    failure: Failure,
    source: Option<io::Error>,
}

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        let source = match failure {
            Failure::Io(IoFailure(kind)) => Some(kind.into()),
            Failure::Other => None,
        };
        Self { failure, source }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// What is there to be received.
#[derive(Debug)]
pub(super) enum Item {
    /// So many bytes, the next ones.
    Bytes(usize),
    Message(Plain),
    Error(Failure),
    /// Without a Close.
    End,
}

/// How reading has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    End,
    Error(ErrorKind),
}

/// Who polls the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Reader,
    Writer,
}

/// Counts the messages that are held.
struct Held(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the library has to send, in its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    Ours,
    /// The answer to a Ping.
    Pong,
    /// The answer to a Close.
    Close,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) polling: Side,
    incoming: VecDeque<Item>,
    /// Bytes that the tunnel was given, and messages with bytes that it holds.
    pub(super) given: usize,
    held: Arc<AtomicUsize>,
    /// Messages that were taken since somebody has begun to poll.
    taken: usize,
    /// What reading has to come to, once it is decided.
    pub(super) fate: Option<Fate>,
    text: bool,
    /// The peer's Close was taken.
    refused: bool,

    /// How many messages the library holds before it is not ready any more.
    room: usize,
    /// How many more messages the peer takes.
    window: usize,
    buffered: VecDeque<Out>,
    /// Bytes that were sent.
    pub(super) sent: usize,
    ready: bool,
    /// Our Close was sent.
    said: bool,
    /// Closing has begun.
    pub(super) closing: bool,
    pub(super) closed: bool,
    /// The sink has said so.
    pub(super) failed: bool,
    /// What it has told the one who polls.
    pub(super) told: Option<ErrorKind>,

    write_failure: Option<Failure>,
    send_failure: Option<Failure>,
    close_failure: Option<Failure>,
    /// How many polls find nothing although there is something, and are woken at once.
    hiccups: usize,
    /// Wakeups come later.
    late: bool,
    owed: Vec<Waker>,
    reader: Option<Waker>,
    /// Of the one who has asked last, as most sinks have it.
    writer: Option<Waker>,
}

/// The hold on a socket.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<Mutex<State>>);

/// The socket.
#[derive(Debug)]
pub(super) struct Socket(Line);

/// What the peer, the library and the transport do.
impl Line {
    /// A line on which all goes well until it is told otherwise.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            polling: Side::Reader,
            incoming: VecDeque::new(),
            given: 0,
            held: Arc::default(),
            taken: 0,
            fate: None,
            text: false,
            refused: false,
            room: usize::MAX,
            window: usize::MAX,
            buffered: VecDeque::new(),
            sent: 0,
            ready: false,
            said: false,
            closing: false,
            closed: false,
            failed: false,
            told: None,
            write_failure: None,
            send_failure: None,
            close_failure: None,
            hiccups: 0,
            late: false,
            owed: Vec::new(),
            reader: None,
            writer: None,
        })))
    }

    pub(super) fn socket(&self) -> Socket {
        Socket(self.clone())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Somebody polls the tunnel.
    pub(super) fn begin(&self, side: Side) {
        let mut state = self.state();
        state.polling = side;
        state.taken = 0;
        state.told = None;
    }
}

impl State {
    pub(super) fn receive(&mut self, item: Item) {
        self.incoming.push_back(item);
        let reader = self.reader.take();
        self.wake(reader);
    }

    pub(super) fn set_room(&mut self, room: usize) {
        self.room = room;
        let writer = self.writer.take();
        self.wake(writer);
    }

    pub(super) fn open_window(&mut self, more: usize) {
        self.window = self.window.saturating_add(more);
        let writer = self.writer.take();
        self.wake(writer);
    }

    pub(super) fn shut_window(&mut self) {
        self.window = 0;
    }

    pub(super) fn fail_writes(&mut self, failure: Failure) {
        self.write_failure = Some(failure);
        let writer = self.writer.take();
        self.wake(writer);
    }

    /// The next message is not taken, though the sink was ready for it.
    pub(super) fn fail_next(&mut self, failure: Failure) {
        self.send_failure = Some(failure);
    }

    pub(super) fn fail_close(&mut self, failure: Failure) {
        self.close_failure = Some(failure);
    }

    pub(super) fn hiccup(&mut self, times: usize) {
        self.hiccups = times;
    }

    pub(super) fn set_late(&mut self, late: bool) {
        self.late = late;
        if !late {
            self.owed.drain(..).for_each(Waker::wake);
        }
    }

    /// Nothing is in the way any more.
    pub(super) fn heal(&mut self) {
        self.hiccups = 0;
        self.set_late(false);
        self.set_room(usize::MAX);
        self.open_window(usize::MAX);
    }

    fn wake(&mut self, waker: Option<Waker>) {
        if self.late {
            self.owed.extend(waker);
        } else {
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// What is judged.
impl State {
    /// Messages whose memory is still held.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Everything that was sent, and every answer, is with the peer.
    pub(super) fn flushed(&self) -> bool {
        self.buffered.is_empty()
    }

    /// Why nothing can be written any more.
    pub(super) fn may_write(&self) -> bool {
        !(self.refused || self.closing || self.failed)
    }

    /// The Close that is to be sent.
    fn farewell(&self) -> Option<(u16, &'static str)> {
        match self.fate {
            None => Some((1000, "")),
            Some(_) if self.text => Some((1003, "binary messages only")),
            Some(_) => None,
        }
    }

    fn stumbles(&mut self, cx: &Context<'_>) -> bool {
        if self.hiccups == 0 {
            return false;
        }
        self.hiccups -= 1;
        self.wake(Some(cx.waker().clone()));
        true
    }

    fn next(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Plain, Told>>> {
        assert_eq!(self.polling, Side::Reader, "a writer takes messages");
        assert_eq!(self.fate, None, "a message is asked for behind the end");
        assert_eq!(
            self.held(),
            0,
            "a message is asked for while another is unread"
        );
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        let Some(item) = self.incoming.pop_front() else {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        self.taken += 1;
        assert!(self.taken <= AT_ONCE, "a read takes messages without end");
        let message = match item {
            // Which holds no memory.
            Item::Bytes(0) => Plain::Binary(Bytes::new()),
            Item::Bytes(len) => {
                self.held.fetch_add(1, Ordering::Relaxed);
                let held = Held(bytes(self.given, len), Arc::clone(&self.held));
                self.given += len;
                Plain::Binary(Bytes::from_owner(held))
            }
            Item::Message(message) => message,
            Item::Error(failure) => {
                self.fate = Some(Fate::Error(failure.kind()));
                return Poll::Ready(Some(Err(failure.into())));
            }
            Item::End => {
                self.fate = Some(Fate::Error(ErrorKind::UnexpectedEof));
                return Poll::Ready(None);
            }
        };
        self.note(&message);
        Poll::Ready(Some(Ok(message)))
    }

    /// What a message means, and what the library answers.
    fn note(&mut self, message: &Plain) {
        match message {
            Plain::Text => {
                self.fate = Some(Fate::Error(ErrorKind::InvalidData));
                self.text = true;
            }
            Plain::Close(code, _) => {
                self.refused = true;
                self.fate = Some(match code {
                    Some(1000) => Fate::End,
                    _ => Fate::Error(ErrorKind::ConnectionAborted),
                });
                if !self.said {
                    self.buffered.push_back(Out::Close);
                }
            }
            Plain::Ping if !self.said => {
                self.buffered.push_back(Out::Pong);
                let unanswered = self.buffered.iter().filter(|out| **out == Out::Pong);
                assert!(unanswered.count() <= UNANSWERED, "answers pile up");
            }
            _ => {}
        }
    }

    /// Whether the sink fails now, for good. Whoever waits for it is not woken any more, and so below when it is closed: it
    /// was told to one.
    fn fails(&mut self, failure: Option<Failure>) -> Result<(), Told> {
        let Some(failure) = failure else {
            return Ok(());
        };
        self.failed = true;
        self.writer = None;
        self.told = Some(failure.kind());
        Err(failure.into())
    }

    fn check_usable(&self) {
        assert!(!self.failed, "a sink that has failed is used");
        assert!(!self.closed, "a sink that is closed is used");
    }

    /// The peer takes what it may. Nobody does that but who polls.
    fn drain(&mut self) {
        while self.window > 0 && self.buffered.pop_front().is_some() {
            self.window -= usize::from(self.window != usize::MAX);
        }
    }

    fn wait(&mut self, cx: &Context<'_>) -> Poll<Result<(), Told>> {
        self.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn ready(&mut self, cx: &Context<'_>) -> Poll<Result<(), Told>> {
        self.check_usable();
        assert!(!self.closing, "there is something to send behind Close");
        self.fails(self.write_failure)?;
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        self.drain();
        if self.buffered.len() >= self.room {
            return self.wait(cx);
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, message: &Plain) -> Result<(), Told> {
        self.check_usable();
        assert!(std::mem::take(&mut self.ready), "sent without being ready");
        assert!(!self.closing && !self.refused, "sent behind a Close");
        let failure = self.send_failure.take();
        self.fails(failure)?;
        match message {
            Plain::Binary(content) => {
                let len = content.len();
                assert!((1..=LARGEST).contains(&len), "a message of {len} bytes");
                let places = self.sent..self.sent + len;
                assert!(content.iter().copied().eq(places.map(byte)), "wrong bytes");
                self.sent += len;
            }
            Plain::Close(code, reason) => {
                let said = code.map(|code| (code, reason.as_str()));
                assert_eq!(said, self.farewell(), "not the Close that is documented");
                self.said = true;
                self.closing = true;
            }
            other => panic!("{other:?} is sent"),
        }
        self.buffered.push_back(Out::Ours);
        Ok(())
    }

    fn flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), Told>> {
        self.check_usable();
        let flushed = self.fails(self.write_failure);
        if flushed.is_err() && self.polling == Side::Reader {
            self.fate = self.told.map(Fate::Error);
        }
        flushed?;
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        self.drain();
        if self.flushed() {
            return Poll::Ready(Ok(()));
        }
        self.wait(cx)
    }

    fn close(&mut self, cx: &Context<'_>) -> Poll<Result<(), Told>> {
        self.check_usable();
        let due = !self.closing && self.farewell().is_some();
        assert!(!due, "closed without the Close that is documented");
        self.closing = true;
        if let failure @ Some(_) = self.write_failure.or(self.close_failure) {
            // An error that was said before is not said again.
            if self.farewell().is_none() {
                self.closed = true;
                self.writer = None;
                self.buffered.clear();
                return Poll::Ready(failure.map_or(Ok(()), |failure| Err(failure.into())));
            }
            return Poll::Ready(self.fails(failure));
        }
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        self.drain();
        if !self.flushed() {
            return self.wait(cx);
        }
        self.closed = true;
        self.writer = None;
        Poll::Ready(Ok(()))
    }
}

impl Stream for Socket {
    type Item = Result<Plain, Told>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.state().next(cx)
    }
}

impl Sink<Plain> for Socket {
    type Error = Told;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Told>> {
        self.0.state().ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Plain) -> Result<(), Told> {
        self.0.state().send(&message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Told>> {
        self.0.state().flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Told>> {
        self.0.state().close(cx)
    }
}
