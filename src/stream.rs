//! Raw byte streams: SPDY without HTTP.
//!
//! [`Session::client`] and [`Session::server`] put a session on any tokio transport and give a handle and a
//! [`Connection`] to spawn. The role is the caller's choice, whoever dialled: a server behind NAT dials out and
//! is the server of the session all the same.
//!
//! ```no_run
//! use spdy::headers::HeaderBlock;
//! use spdy::stream::{OpenOptions, Session};
//! use spdy::Config;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let io = tokio::net::TcpStream::connect("127.0.0.1:6121").await?;
//! io.set_nodelay(true)?;
//! let (session, connection) = Session::client(io, Config::client());
//! tokio::spawn(connection);
//!
//! let mut headers = HeaderBlock::builder();
//! headers.push("streamtype", b"stdin")?;
//! let mut stream = session.open(headers.finish(), OpenOptions::new()).await?;
//! stream.write_all(b"hello").await?;
//! stream.shutdown().await?; // half-close: the peer sees the end, we can still read
//! let mut answer = Vec::new();
//! stream.read_to_end(&mut answer).await?;
//! # Ok(())
//! # }
//! ```

mod incoming;
mod recv;
mod send;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use self::incoming::Incoming;
pub use self::recv::RecvStream;
#[cfg(feature = "kube")]
pub(crate) use self::send::Loss;
pub use self::send::SendStream;
pub use crate::session::OpenOptions;

use crate::conn::{self, Clock, Driver, Shared, State, Stats, TokioClock};
use crate::error::{Error, Result};
use crate::frame::{GoAwayStatus, ResetStatus, Role, StreamId};
use crate::headers::HeaderBlock;
use crate::session::{Accepted, Config, Key, Reservation};

/// A handle to a session: opens streams and accepts those of the peer.
///
/// Clones share the session. When the last one is dropped, streams of the peer are refused, open ones finish, and
/// then the session ends with GOAWAY.
pub struct Session {
    shared: Arc<Shared>,
}

impl Session {
    /// Puts the client side of a session on a transport: its streams have odd ids.
    ///
    /// Nothing moves before the [`Connection`] is polled; spawn it.
    pub fn client<T>(io: T, config: Config) -> (Self, Connection<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        Self::with_clock(io, Role::Client, config, Arc::new(TokioClock::new()))
    }

    /// Puts the server side of a session on a transport: its streams have even ids.
    ///
    /// Nothing moves before the [`Connection`] is polled; spawn it. What it logs is in a span `connection` below the current
    /// one (see the [crate](crate#logging)).
    pub fn server<T>(io: T, config: Config) -> (Self, Connection<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        Self::with_clock(io, Role::Server, config, Arc::new(TokioClock::new()))
    }

    /// As [`Session::client`] and [`Session::server`], with a clock of the caller's.
    pub fn with_clock<T>(
        io: T,
        role: Role,
        config: Config,
        clock: Arc<dyn Clock>,
    ) -> (Self, Connection<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let (shared, driver) = conn::handshake(io, role, config, clock, conn::child_span(role));
        (Self::from_shared(shared), Connection { driver })
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        shared.add_handle();
        Self { shared }
    }

    #[cfg(any(feature = "server", feature = "client"))]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Opens a stream with these headers. Completes when the session has taken it on; its SYN_STREAM is sent in
    /// its turn, behind the peer's SETTINGS_MAX_CONCURRENT_STREAMS. Bytes may be written, and the SYN_REPLY
    /// awaited with [`Stream::reply`], at once.
    ///
    /// # Errors
    ///
    /// A retryable error if the session takes no more streams: it failed, is shutting down, or the peer sent
    /// GOAWAY.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future opens nothing.
    pub async fn open(&self, headers: HeaderBlock, options: OpenOptions) -> Result<Stream> {
        let mut waiting = SlotWait::new(Arc::clone(&self.shared));
        let slot = poll_fn(|cx| waiting.poll(cx)).await?;
        let key = slot.open(headers, options)?;
        Ok(Stream::new(&self.shared, key))
    }

    /// Waits for the next stream of the peer. `None` means that no more will come: the session ended, is draining, or
    /// [refuses](Self::refuse_streams) them.
    ///
    /// Streams whose headers pass the limits are reset with FRAME_TOO_LARGE and do not show up here.
    ///
    /// # Errors
    ///
    /// The error that ended the session.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no stream.
    pub async fn accept(&self) -> Result<Option<Incoming>> {
        let mut wait = Wait::new(&self.shared);
        poll_fn(|cx| {
            let polled = self.poll_accept(cx);
            wait.note(cx, polled)
        })
        .await
    }

    /// As [`accept`](Self::accept), for hand-written futures. The waker of each task that polls is kept until a stream
    /// arrives or the session drains.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming>>> {
        loop {
            let accepted = self
                .shared
                .poll_accept(cx, |session| match session.accept() {
                    Some(accepted) => Some(Ok(Some(accepted))),
                    None if !session.is_accepting() => {
                        Some(session.outcome().unwrap_or(Ok(())).map(|()| None))
                    }
                    None => None,
                });
            let Some(accepted) = std::task::ready!(accepted)?? else {
                return Poll::Ready(Ok(None));
            };
            let Accepted {
                key,
                id,
                headers,
                priority,
                associated,
                unidirectional,
                ..
            } = accepted;
            let stream = Stream::new(&self.shared, key);
            match headers {
                Ok(headers) => {
                    return Poll::Ready(Ok(Some(Incoming {
                        stream,
                        id,
                        headers,
                        priority,
                        associated,
                        unidirectional,
                    })));
                }
                Err(error) => stream.reset(error.status()),
            }
        }
    }

    /// Takes no more streams of the peer: those that wait to be accepted, and all that come, are refused. Streams under
    /// way go on, and own ones can be opened. For protocols whose streams are all there after the start.
    pub fn refuse_streams(&self) {
        // A session that failed takes none either.
        drop(self.shared.with(|state| state.session.stop_accepting()));
    }

    /// Measures a round trip with a PING: the time from its emission to its echo.
    ///
    /// # Errors
    ///
    /// The error that ended the session, or a user error when 64 PINGs are under way.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the PING; its echo is ignored.
    pub async fn ping(&self) -> Result<Duration> {
        /// Forgets the PING when the future is dropped.
        struct Guard<'a>(&'a Shared, u32);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                drop(self.0.with(|state| state.forget_ping(self.1)));
            }
        }
        let id = self.shared.with(State::start_ping)??;
        let guard = Guard(&self.shared, id);
        poll_fn(
            |cx| match guard.0.with(|state| state.poll_ping(id, cx.waker())) {
                Ok(Some(outcome)) => Poll::Ready(outcome),
                Ok(None) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        )
        .await
    }

    /// Starts a graceful shutdown: the peer is told with GOAWAY, streams under way finish, then the
    /// [`Connection`] resolves. There is no deadline in here: drop the connection to enforce one.
    pub fn shutdown(&self) {
        // A session that failed needs no shutdown.
        drop(self.shared.with(|state| state.session.shutdown()));
    }

    /// Ends the session now: GOAWAY with `status`, and every stream fails.
    pub fn abort(&self, status: GoAwayStatus) {
        drop(
            self.shared
                .with(|state| state.session.abort(status, "ended by the application")),
        );
    }

    /// Whether the session takes no new streams: it ended, drains, or the peer sent GOAWAY.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.shared
            .with(|state| state.session.is_closing())
            .unwrap_or(true)
    }

    /// How many streams exist: open, queued, or ended but still held.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.shared
            .with(|state| state.session.stream_count())
            .unwrap_or(0)
    }

    /// Received bytes that wait to be read, over all streams.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        self.shared
            .with(|state| state.session.unread_bytes())
            .unwrap_or(0)
    }

    /// What the connection has done so far, and where it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared
            .with(|state| state.stats.at(&state.session))
            .unwrap_or_default()
    }

    /// How the session has ended; `None` while it lives. An error says who has broken it off, and why: a peer that has gone,
    /// keep-alive, a write time-out, a rule that was broken. A shutdown is none, by whichever side, nor is it when an idle or
    /// silence time-out has brought it about; the streams that the latter ends say so. The [`Connection`] reports the same, or
    /// that the last bytes were not taken.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<()>> {
        match self.shared.with(|state| state.session.outcome()) {
            Ok(outcome) => outcome,
            Err(error) => Some(Err(error)),
        }
    }

    /// Completes when the session is over: no stream is left or will come. [`outcome`](Self::outcome) says why.
    pub async fn closed(&self) {
        let mut wait = Wait::new(&self.shared);
        drop(poll_fn(|cx| wait.note(cx, self.shared.poll_ended(cx))).await);
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self::from_shared(Arc::clone(&self.shared))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.drop_handle();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("streams", &self.stream_count())
            .finish_non_exhaustive()
    }
}

/// A wait of a task for a stream of the peer, or for the end; takes its waker back when it is given up.
struct Wait<'a> {
    shared: &'a Shared,
    waker: Option<Waker>,
}

impl<'a> Wait<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            waker: None,
        }
    }

    fn note<R>(&mut self, cx: &Context<'_>, polled: Poll<R>) -> Poll<R> {
        let other = |waker: &Waker| polled.is_ready() || !waker.will_wake(cx.waker());
        if let Some(old) = self.waker.take_if(|waker| other(waker)) {
            // The future has moved to another task: the first must not stay registered.
            if polled.is_pending() {
                self.shared.forget_waiter(&old);
            }
        }
        if polled.is_pending() && self.waker.is_none() {
            self.waker = Some(cx.waker().clone());
        }
        polled
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(waker) = &self.waker {
            self.shared.forget_waiter(waker);
        }
    }
}

/// A wait for an open slot; gives up its place when dropped.
#[derive(Debug)]
pub(crate) struct SlotWait {
    shared: Arc<Shared>,
    token: Option<usize>,
}

impl SlotWait {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            token: None,
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Slot>> {
        let token = &mut self.token;
        match self.shared.with(|state| state.poll_slot(token, cx.waker())) {
            Ok(Ok(Some(slot))) => Poll::Ready(Ok(Slot {
                shared: Arc::clone(&self.shared),
                slot: Some(slot),
            })),
            Ok(Ok(None)) => Poll::Pending,
            Ok(Err(error)) | Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Drop for SlotWait {
    fn drop(&mut self) {
        let token = &mut self.token;
        if token.is_some() {
            drop(self.shared.with(|state| state.leave_slots(token)));
        }
    }
}

/// A reserved open slot; goes back when dropped unused.
#[derive(Debug)]
pub(crate) struct Slot {
    shared: Arc<Shared>,
    slot: Option<Reservation>,
}

impl Slot {
    /// Opens a stream.
    pub(crate) fn open(mut self, headers: HeaderBlock, options: OpenOptions) -> Result<Key> {
        let Some(slot) = self.slot.take() else {
            return Err(Error::user("the slot is used up"));
        };
        self.shared
            .with(|state| state.session.open(slot, headers, options))?
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            drop(self.shared.with(|state| state.session.release_slot(slot)));
        }
    }
}

/// The future that moves the bytes of a session; spawn it.
///
/// Resolves when the transport is closed: `Ok` if the session ended without an error. Dropping it fails every
/// stream at once.
#[must_use = "nothing moves unless the connection is polled"]
pub struct Connection<T> {
    driver: Driver<T>,
}

impl<T> Connection<T> {
    /// Names the peer in the tracing span of the connection.
    pub fn set_peer(&self, peer: impl fmt::Display) {
        self.driver
            .span()
            .record("peer", tracing::field::display(peer));
    }
}

impl<T: Unpin> Connection<T> {
    /// Starts a graceful shutdown and returns at once, as [`Session::shutdown`] does; go on polling the connection. Whatever the
    /// peer sends, it does not put the end off any more for longer than
    /// [`peer_close_timeout`](Config::peer_close_timeout), 30 s at most.
    pub fn graceful_shutdown(mut self: Pin<&mut Self>) {
        self.driver.graceful_shutdown();
    }
}

impl<T> Future for Connection<T>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.driver.poll(cx)
    }
}

impl<T> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("driver", &self.driver)
            .finish()
    }
}

/// A bidirectional byte stream: `AsyncRead + AsyncWrite`, or [split](Stream::split) into its directions.
///
/// `shutdown` half-closes: the peer reads to the end while its own direction goes on. Dropping a stream whose
/// writing direction was not shut down resets it with CANCEL, so that a half-written body never looks whole.
#[derive(Debug)]
pub struct Stream {
    send: SendStream,
    recv: RecvStream,
}

impl Stream {
    pub(crate) fn new(shared: &Arc<Shared>, key: Key) -> Self {
        Self {
            send: SendStream::new(Arc::clone(shared), key),
            recv: RecvStream::new(Arc::clone(shared), key),
        }
    }

    /// Waits for the SYN_REPLY to a stream that this side opened. The headers can be taken once.
    ///
    /// # Errors
    ///
    /// The stream's own error if it was reset before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn reply(&mut self) -> Result<HeaderBlock> {
        self.recv.reply().await
    }

    /// The wire id; `None` until the SYN_STREAM is sent.
    #[must_use]
    pub fn id(&self) -> Option<StreamId> {
        self.send.id()
    }

    /// Resets the stream: RST_STREAM with this status; what was queued is dropped.
    pub fn reset(&self, status: ResetStatus) {
        self.send.reset(status);
    }

    /// Whether the stream, or its session, has ended early.
    #[cfg(feature = "kube")]
    pub(crate) fn is_lost(&self) -> bool {
        self.send.is_lost()
    }

    /// The two directions, each of its own.
    #[must_use]
    pub fn split(self) -> (SendStream, RecvStream) {
        (self.send, self.recv)
    }

    /// The writing direction.
    #[must_use]
    pub fn send_half(&mut self) -> &mut SendStream {
        &mut self.send
    }

    /// The reading direction.
    #[must_use]
    pub fn recv_half(&mut self) -> &mut RecvStream {
        &mut self.recv
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.recv).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.send).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.send).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.send).poll_shutdown(cx)
    }
}
