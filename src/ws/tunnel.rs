use std::error::Error as StdError;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Content, Message};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The most bytes of a message. What Go's tools and proxies copy at once, too: their buffers take it whole, so that they
/// neither fragment it nor allocate for it, and it is far below any limit on messages in use. The header is 0.03 % of it;
/// larger ones would save nothing, and have to be held whole by both ends.
const MESSAGE: usize = 32 << 10;

/// How many messages one read takes. Go writes a frame in up to eight pieces, each a message: one read for each would cost
/// its reader eight rounds. And a peer that sends empty ones only, and fast, would never let other tasks run.
const AT_ONCE: usize = 32;

/// How many Pings may wait for their answers to be written. Each is answered by the library, which keeps what the socket
/// does not take: a peer that asks and never reads would fill the memory. 64 are 8 KiB.
const UNANSWERED: usize = 64;

/// How many characters of a peer's reason an error shows. No valid Close has more.
const REASON_SHOWN: usize = 123;

/// RFC 6455, section 7.4.1: normal closure.
const NORMAL: u16 = 1000;
/// The same: data of a type that cannot be accepted.
const UNSUPPORTED_DATA: u16 = 1003;

/// The bytes in the binary messages of a WebSocket, as a transport: `AsyncRead + AsyncWrite`.
///
/// `S` is a WebSocket after its handshake: a stream and a sink of [`Message`]s, such as `axum::extract::ws::WebSocket` or
/// `tokio_tungstenite::WebSocketStream`, or one of another library that was [mapped](Message#other-libraries).
///
/// # Reading
///
/// Where one message ends and the next begins means nothing, a read may join some. At most one is held. Empty ones, Ping and Pong are passed over,
/// and do not count as activity of the session. Close with the code 1000 is the end. It is an error of the kind
///
/// - [`InvalidData`](io::ErrorKind::InvalidData) when text comes,
/// - [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) when the peer closes with another code, or with none,
/// - [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the messages end without a Close,
/// - that of the `io::Error` behind the library's error, if there is one, or else `ConnectionAborted`, when the library fails.
///
/// # Writing
///
/// A write is one binary message of up to 32 KiB; small slices of a vectored write go into one. Whether it is on its way at
/// once is up to the library; flushing sees to it. After the peer's Close, and after `shutdown`, writing is an error of the
/// kind [`BrokenPipe`](io::ErrorKind::BrokenPipe).
///
/// `shutdown` sends Close and closes the sink: with the code 1000, or 1003 if text has come. There is no half-close in a
/// WebSocket: what the peer has sent before its own Close can be read until then, but it will not answer any more. After
/// the peer's Close, or an error, `shutdown` sends no other one, and is no error.
///
/// # Two tasks
///
/// One task may read while another one writes, each with its half by [`tokio::io::split`]. Either may give up waiting at any
/// time: no byte is lost, and the other one is woken all the same.
///
/// # Dropping
///
/// Dropping it drops the WebSocket. To the peer that is no end but a loss: shut it down before. A
/// [`Connection`](crate::stream::Connection) does, after its GOAWAY.
pub struct Tunnel<S> {
    socket: S,
    /// The rest of the message under way.
    unread: Bytes,
    reading: Reading,
    writing: Writing,
    /// Pings and Pongs that have come since all was written.
    unanswered: usize,
    /// Whoever waits for the sink: to read on behind many Pings, and to write.
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// What `shutdown` says. Nothing after the peer's Close, which the library answers, nor when the socket has failed.
    farewell: Option<(u16, &'static str)>,
}

#[derive(Debug)]
enum Reading {
    Open,
    /// The peer has closed with 1000.
    Ended,
    /// The error is there until it was told.
    Failed(Option<io::Error>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Open,
    /// The peer has sent Close.
    Refused,
    /// The sink has our Close, or needs none.
    Closing,
    Closed,
    /// As was said.
    Failed,
}

/// Who polls the sink.
#[derive(Clone, Copy, Debug)]
enum Side {
    Reader,
    Writer,
}

/// Wakes the reader and the writer.
struct Both(Waker, Waker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
        self.1.wake_by_ref();
    }
}

impl<S> Tunnel<S> {
    /// A tunnel through this WebSocket, whose handshake is over. That its subprotocol is the expected one is the caller's to
    /// check, as is the limit on the messages that are [received](super#memory).
    pub fn new(socket: S) -> Self {
        Self {
            socket,
            unread: Bytes::new(),
            reading: Reading::Open,
            writing: Writing::Open,
            unanswered: 0,
            reader: None,
            writer: None,
            farewell: Some((NORMAL, "")),
        }
    }

    /// The WebSocket.
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// The WebSocket. What was received of a message and not read yet is lost.
    pub fn into_inner(self) -> S {
        self.socket
    }

    /// Notes what a message means for reading and for the farewell.
    fn receive(&mut self, content: Content) {
        match content {
            Content::Binary(bytes) => self.unread = bytes,
            Content::Control => self.unanswered += 1,
            Content::Text => {
                let why = "a text message came through a tunnel; all of its messages are binary";
                self.read_failed(io::Error::new(io::ErrorKind::InvalidData, why));
                self.farewell = Some((UNSUPPORTED_DATA, "binary messages only"));
            }
            Content::Close { code, reason } => {
                if self.writing == Writing::Open {
                    self.writing = Writing::Refused;
                }
                if code == Some(NORMAL) {
                    self.reading = Reading::Ended;
                    self.farewell = None;
                } else {
                    let why = closed_with(code, &reason);
                    self.read_failed(io::Error::new(io::ErrorKind::ConnectionAborted, why));
                }
            }
        }
    }

    fn read_failed(&mut self, error: io::Error) {
        self.reading = Reading::Failed(Some(error));
        self.farewell = None;
    }

    /// Gives as much as there is and fits.
    fn read_unread(&mut self, buf: &mut ReadBuf<'_>) {
        let n = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..n]);
        self.unread.advance(n);
        if self.unread.is_empty() {
            // Its memory, which may be that of a large message, is not held until the next one.
            self.unread = Bytes::new();
        }
    }

    /// Polls the sink for one side. Most sinks know one waker, that of the last poll. Where both sides wait it is one that
    /// wakes both: the one who was forgotten would sleep on if the other needed less, or had given up waiting.
    fn poll_sink<T>(
        &mut self,
        side: Side,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T>
    where
        S: Unpin,
    {
        let (own, other) = match side {
            Side::Reader => (&mut self.reader, &self.writer),
            Side::Writer => (&mut self.writer, &self.reader),
        };
        let socket = Pin::new(&mut self.socket);
        let polled = match other {
            Some(other) if !other.will_wake(cx.waker()) => {
                let both = Arc::new(Both(cx.waker().clone(), other.clone()));
                poll(socket, &mut Context::from_waker(&Waker::from(both)))
            }
            _ => poll(socket, cx),
        };
        *own = polled.is_pending().then(|| cx.waker().clone());
        polled
    }

    /// What one side has found out about the sink concerns the other one, too.
    fn wake_waiting(&mut self) {
        let waiting = [self.reader.take(), self.writer.take()];
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    fn all_written(&mut self) {
        self.unanswered = 0;
        self.wake_waiting();
    }

    fn write_failed(&mut self, error: impl Into<BoxError>) -> io::Error {
        self.writing = Writing::Failed;
        self.wake_waiting();
        from_library(error.into())
    }
}

impl<S, M, E> Tunnel<S>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    M: Message,
    E: Into<BoxError>,
{
    /// Sends as much of these slices as a message takes.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let why = match self.writing {
            Writing::Open => None,
            Writing::Refused => Some("the peer has closed the WebSocket"),
            Writing::Closing | Writing::Closed => Some("the WebSocket was shut down before"),
            Writing::Failed => Some("the WebSocket has failed before"),
        };
        if let Some(why) = why {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, why)));
        }
        // No message for nothing: there are peers to which an empty one is the end.
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if let Err(error) = ready!(self.poll_sink(Side::Writer, cx, S::poll_ready)) {
            return Poll::Ready(Err(self.write_failed(error)));
        }
        let bytes = join(slices);
        let n = bytes.len();
        match Pin::new(&mut self.socket).start_send(M::binary(bytes)) {
            Ok(()) => Poll::Ready(Ok(n)),
            Err(error) => Poll::Ready(Err(self.write_failed(error))),
        }
    }

    /// Waits until the answers to Pings are written, if there are many.
    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unanswered < UNANSWERED {
            return Poll::Ready(());
        }
        match self.writing {
            Writing::Open | Writing::Refused | Writing::Closing => {}
            // Nothing is answered any more, nor may the sink be asked.
            Writing::Closed => return Poll::Ready(()),
            Writing::Failed => {
                let why = "the WebSocket has failed before: its Pings cannot be answered";
                self.read_failed(io::Error::new(io::ErrorKind::ConnectionAborted, why));
                return Poll::Ready(());
            }
        }
        match ready!(self.poll_sink(Side::Reader, cx, S::poll_flush)) {
            Ok(()) => self.all_written(),
            Err(error) => {
                let error = self.write_failed(error);
                self.read_failed(error);
            }
        }
        Poll::Ready(())
    }

    /// Hands our Close to the sink.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some((code, reason)) = self.farewell {
            let sent = match ready!(self.poll_sink(Side::Writer, cx, S::poll_ready)) {
                Ok(()) => Pin::new(&mut self.socket).start_send(M::close(code, reason)),
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                return Poll::Ready(Err(self.write_failed(error)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S, M, E> AsyncRead for Tunnel<S>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    M: Message,
    E: Into<BoxError>,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        for _ in 0..AT_ONCE {
            self.read_unread(buf);
            let some = buf.filled().len() > before;
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if matches!(self.reading, Reading::Open) && self.poll_answered(cx).is_pending() {
                return if some {
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Pending
                };
            }
            match &mut self.reading {
                Reading::Open => {}
                // The next read tells.
                _ if some => return Poll::Ready(Ok(())),
                Reading::Ended => return Poll::Ready(Ok(())),
                Reading::Failed(error) => {
                    let again = || {
                        let why = "the WebSocket has failed before";
                        io::Error::new(io::ErrorKind::ConnectionAborted, why)
                    };
                    return Poll::Ready(Err(error.take().unwrap_or_else(again)));
                }
            }
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => self.receive(message.into_content()),
                Poll::Ready(Some(Err(error))) => self.read_failed(from_library(error.into())),
                Poll::Ready(None) => {
                    let why = "the WebSocket has ended without a Close";
                    self.read_failed(io::Error::new(io::ErrorKind::UnexpectedEof, why));
                }
                Poll::Pending if some => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
        if buf.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        // Not tokio's budget: it is spent by what is below, which may be no part of tokio.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S, M, E> AsyncWrite for Tunnel<S>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    M: Message,
    E: Into<BoxError>,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bufs)
    }

    /// A message is a copy in any case: joining slices into it saves a writer the copy that would join them before.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.writing {
            // Also after the peer's Close: the answer to it may be on its way.
            Writing::Open | Writing::Refused | Writing::Closing => {}
            Writing::Closed => return Poll::Ready(Ok(())),
            Writing::Failed => {
                let why = "the WebSocket has failed before";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, why)));
            }
        }
        match ready!(self.poll_sink(Side::Writer, cx, S::poll_flush)) {
            Ok(()) => {
                self.all_written();
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.write_failed(error))),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.writing, Writing::Open | Writing::Refused) {
            ready!(self.poll_farewell(cx))?;
            self.writing = Writing::Closing;
        }
        if matches!(self.writing, Writing::Closed | Writing::Failed) {
            return Poll::Ready(Ok(()));
        }
        let closed = ready!(self.poll_sink(Side::Writer, cx, S::poll_close));
        self.writing = Writing::Closed;
        self.wake_waiting();
        match closed {
            Err(error) if self.farewell.is_some() => Poll::Ready(Err(self.write_failed(error))),
            // What went wrong was said before.
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// The content of a message may be secret, and is large.
impl<S> fmt::Debug for Tunnel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("unread", &self.unread.len())
            .field("reading", &self.reading)
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}

/// A copy of what a message takes of these slices.
fn join(slices: &[IoSlice<'_>]) -> Bytes {
    let whole = slices
        .iter()
        .fold(0_usize, |sum, slice| sum.saturating_add(slice.len()));
    let mut bytes = BytesMut::with_capacity(whole.min(MESSAGE));
    for slice in slices {
        let room = MESSAGE - bytes.len();
        bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        if bytes.len() == MESSAGE {
            break;
        }
    }
    bytes.freeze()
}

fn closed_with(code: Option<u16>, reason: &str) -> String {
    let mut why = match code {
        Some(code) => format!("the peer has closed the WebSocket with the code {code}"),
        None => "the peer has closed the WebSocket without a code".to_owned(),
    };
    if !reason.is_empty() {
        let shown: String = reason.chars().take(REASON_SHOWN).collect();
        // Quoted, so that what would take a terminal or a log apart is escaped.
        why.push_str(&format!(": {shown:?}"));
    }
    why.push_str(&format!("; {NORMAL} is the code of an end"));
    why
}

/// An error of the library, of the kind of the IO error that is behind it.
fn from_library(error: BoxError) -> io::Error {
    let mut kind = io::ErrorKind::ConnectionAborted;
    let mut next: Option<&(dyn StdError + 'static)> = Some(&*error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            kind = io.kind();
            break;
        }
        next = cause.source();
    }
    io::Error::new(kind, error)
}
