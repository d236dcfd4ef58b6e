use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::resize::ResizeReader;
use super::{Exit, Kind, STREAM_TYPE, Streams, Version};
use crate::error::{Error, Initiator, Result, Timeout};
use crate::frame::ResetStatus;
use crate::headers::HeaderBlock;
use crate::kube::complaints::Complaints;
use crate::kube::stream_error;
use crate::kube::time::within;
use crate::stream::{Incoming, RecvStream, SendStream, Session, Stream};

/// The server's side of a command, to be [accepted](Self::accept) from a session.
///
/// A client that goes away ends the session. A command that neither reads nor writes does not notice: await
/// [`Session::closed`] beside it, and end it then.
#[derive(Clone, Debug)]
pub struct Server {
    version: Version,
    streams: Streams,
    stream_timeout: Duration,
    finish_timeout: Duration,
}

impl Server {
    /// A command with these streams.
    #[must_use]
    pub fn new(version: Version, streams: Streams) -> Self {
        Self {
            version,
            streams,
            stream_timeout: Duration::from_secs(30),
            finish_timeout: Duration::from_secs(30),
        }
    }

    /// How long the client has to open all streams. Default: 30 s.
    #[must_use]
    pub fn stream_timeout(mut self, timeout: Duration) -> Self {
        self.stream_timeout = timeout;
        self
    }

    /// How long [`ExitSender::finish`] waits for outputs that the application has not shut down, once the client has the
    /// outcome; and, with windows, how long for a client that takes nothing of the outcome or the output. Default: 30 s.
    #[must_use]
    pub fn finish_timeout(mut self, timeout: Duration) -> Self {
        self.finish_timeout = timeout;
        self
    }

    /// Accepts the streams, in whatever order the client opens them, and replies to each. Completes when the last one is
    /// there; start the command then.
    ///
    /// A stream of another type is replied to, ended and ignored, as is `stderr` beside a terminal; a second one of a type
    /// is reset with CANCEL. Once the set is complete, further streams are refused.
    ///
    /// # Errors
    ///
    /// - [`Timeout::Streams`] if they are not all there in time; the message says which. The client is told on its error
    ///   stream, if it has opened one, and the connection is closed.
    /// - Why the session has ended, if it did.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future resets the streams that were accepted.
    pub async fn accept(&self, session: &Session) -> Result<ServerStreams> {
        let mut set = Set::new(self.version, self.streams);
        match within(session, self.stream_timeout, set.fill(session)).await {
            Some(result) => result?,
            None => return Err(set.give_up(session, self.stream_timeout)),
        }
        session.refuse_streams();
        // A client that takes nothing shows when it is written to.
        let _ = within(session, self.stream_timeout, set.replied()).await;
        set.into_streams(session, self.finish_timeout)
    }
}

/// The streams that have come so far.
struct Set {
    version: Version,
    wanted: Streams,
    complaints: Complaints,
    error: Option<Stream>,
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<Stream>,
}

impl Set {
    fn new(version: Version, wanted: Streams) -> Self {
        Self {
            version,
            wanted,
            complaints: Complaints::default(),
            error: None,
            stdin: None,
            stdout: None,
            stderr: None,
            resize: None,
        }
    }

    fn place(&mut self, kind: Kind) -> &mut Option<Stream> {
        match kind {
            Kind::Error => &mut self.error,
            Kind::Stdin => &mut self.stdin,
            Kind::Stdout => &mut self.stdout,
            Kind::Stderr => &mut self.stderr,
            Kind::Resize => &mut self.resize,
        }
    }

    /// The types that have not come.
    fn missing(&mut self) -> Vec<&'static str> {
        let kinds = self.wanted.kinds(self.version);
        kinds
            .filter(|kind| self.place(*kind).is_none())
            .map(Kind::name)
            .collect()
    }

    async fn fill(&mut self, session: &Session) -> Result<()> {
        while !self.missing().is_empty() {
            let Some(incoming) = session.accept().await? else {
                let why = "the session has ended before all streams were opened";
                return Err(Error::closed(Initiator::Remote, why));
            };
            self.take(incoming);
        }
        Ok(())
    }

    /// Waits until the replies are on their way. An output that the application drops at once is an end to its client; in
    /// front of the reply it would be a stream that could not be opened.
    async fn replied(&mut self) {
        for kind in self.wanted.kinds(self.version) {
            if let Some(stream) = self.place(kind) {
                stream.send_half().replied().await;
            }
        }
    }

    fn take(&mut self, incoming: Incoming) {
        let id = incoming.id();
        let kind = kind_of(&incoming);
        let wanted =
            kind.filter(|kind| self.wanted.kinds(self.version).any(|other| other == *kind));
        let Some(kind) = wanted else {
            let name = shown_type(&incoming);
            self.complaints.note(format_args!(
                "stream {id} of the type {name}, which was not asked for, is ignored"
            ));
            if let Ok(stream) = incoming.reply(HeaderBlock::empty()) {
                // Ended, not reset: the client takes a reset for the end of the whole command.
                drop(stream.split().0.end());
            }
            return;
        };
        if self.place(kind).is_some() {
            self.complaints.note(format_args!(
                "stream {id}, the second of the type {}, is reset",
                kind.name()
            ));
            return incoming.reject(ResetStatus::CANCEL);
        }
        match incoming.reply(HeaderBlock::empty()) {
            Ok(stream) => *self.place(kind) = Some(stream),
            // The client has taken it back, and may open another one.
            Err(error) => tracing::debug!(%id, %error, "a stream is gone before its reply"),
        }
    }

    /// The time is up: says so to the client, and ends the session.
    fn give_up(mut self, session: &Session, limit: Duration) -> Error {
        let missing = self.missing().join(", ");
        let why = format!("the client has not opened these streams within {limit:?}: {missing}");
        // The caller has the error, and is the one to say it aloud.
        tracing::debug!("{why}; the connection is closed");
        if let Some(error) = self.error.take() {
            let text = Exit::Failed(why.clone()).encode(self.version);
            // One that is gone tells nothing.
            drop(error.split().0.send_last(text));
        }
        drop(self);
        drop(session.shared().with(|state| state.session.close_first()));
        session.shutdown();
        Error::timeout_because(Timeout::Streams, why)
    }

    fn into_streams(self, session: &Session, finish_timeout: Duration) -> Result<ServerStreams> {
        let Some(error) = self.error else {
            return Err(Error::user("a set of streams without an error stream"));
        };
        let mut others = Vec::new();
        let mut input = |stream: Stream| {
            let (send, recv) = stream.split();
            let send = Arc::new(send);
            others.push(Arc::clone(&send));
            (recv, send)
        };
        let stdin = self.stdin.map(&mut input);
        let resize = self.resize.map(&mut input);
        let complaints = self.complaints;
        // What the client sends against the current is discarded.
        let output = |stream: Stream| OutputWriter(stream.split().0);
        Ok(ServerStreams {
            stdin: stdin.map(|(recv, send)| StdinReader { recv, send }),
            stdout: self.stdout.map(output),
            stderr: self.stderr.map(output),
            resize: resize.map(|(recv, send)| ResizeReader::new(recv, send, complaints)),
            exit: ExitSender {
                session: session.clone(),
                version: self.version,
                error: error.split().0,
                others,
                finish_timeout,
            },
        })
    }
}

fn kind_of(incoming: &Incoming) -> Option<Kind> {
    let name = incoming.headers().get(STREAM_TYPE)?;
    [
        Kind::Error,
        Kind::Stdin,
        Kind::Stdout,
        Kind::Stderr,
        Kind::Resize,
    ]
    .into_iter()
    .find(|kind| kind.name().as_bytes() == name)
}

/// The type of a stream, for the log.
fn shown_type(incoming: &Incoming) -> String {
    let name = incoming.headers().get(STREAM_TYPE).unwrap_or_default();
    name[..name.len().min(64)].escape_ascii().to_string()
}

/// Whether this side has cancelled the stream itself, as the end of a command does.
pub(super) fn is_own_cancel(error: &Error) -> bool {
    error.is_canceled()
}

/// The streams of a command, as its server has them. Those that were not asked for are `None`.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerStreams {
    /// What the client writes.
    pub stdin: Option<StdinReader>,
    /// What the command writes.
    pub stdout: Option<OutputWriter>,
    /// What the command writes to its standard error.
    pub stderr: Option<OutputWriter>,
    /// The sizes of the terminal.
    pub resize: Option<ResizeReader>,
    /// Ends the command.
    pub exit: ExitSender,
}

impl ServerStreams {
    /// Drops the streams that are left, which ends outputs behind all that was written, and
    /// [finishes](ExitSender::finish) the command. A stream that was taken out of here is its owner's to drop, before.
    ///
    /// # Errors
    ///
    /// Those of [`ExitSender::finish`].
    ///
    /// # Cancel safety
    ///
    /// That of [`ExitSender::finish`]: dropping the future ends the session all the same. If it was never polled, the client
    /// is told that the server has given up.
    pub async fn finish(self, exit: Exit) -> Result<()> {
        let Self {
            stdin,
            stdout,
            stderr,
            resize,
            exit: sender,
        } = self;
        drop((stdin, stdout, stderr, resize));
        sender.finish(exit).await
    }
}

/// Standard input. The end comes when the client has ended it, or the command has been [finished](ServerStreams::finish).
///
/// Dropping it tells the client with FIN that no more is wanted; what it still sends is discarded.
#[derive(Debug)]
pub struct StdinReader {
    recv: RecvStream,
    send: Arc<SendStream>,
}

impl AsyncRead for StdinReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.recv).poll_read(cx, buf);
        match &polled {
            Poll::Ready(Err(error)) if buf.filled().len() == before => {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                if inner.is_some_and(is_own_cancel) {
                    return Poll::Ready(Ok(()));
                }
                polled
            }
            _ => polled,
        }
    }
}

impl Drop for StdinReader {
    fn drop(&mut self) {
        // A stream that is over needs no end.
        drop(self.send.end());
    }
}

/// Standard output, or standard error, of the command.
///
/// Shutting it down ends it behind all that was written, and so does dropping it: clients of Kubernetes take a reset for the
/// end, and what was still queued would be missing without a word. Only a task that panics resets it, with INTERNAL_ERROR.
#[derive(Debug)]
pub struct OutputWriter(SendStream);

impl AsyncWrite for OutputWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Drop for OutputWriter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.reset(ResetStatus::INTERNAL_ERROR);
        } else {
            // A stream that is over needs no end.
            drop(self.0.end());
        }
    }
}

/// Tells the client how the command has ended, and ends the session.
///
/// Dropping it without that tells the client that the server has given up, because a client of Kubernetes takes silence for
/// success.
#[derive(Debug)]
#[must_use = "without an outcome the client is told that the server has given up"]
pub struct ExitSender {
    session: Session,
    version: Version,
    error: SendStream,
    /// Our direction of what the client writes.
    others: Vec<Arc<SendStream>>,
    finish_timeout: Duration,
}

impl ExitSender {
    /// Writes the outcome and ends everything, in the order in which Go's clients lose nothing: `error` with FIN, a reset
    /// of what the client may still write, GOAWAY as the last frame.
    ///
    /// Shut `stdout` and `stderr` down, or drop them, before: what is still open after [`Server::finish_timeout`] is reset,
    /// and until then this waits. `streams.exit.finish(..)` leaves the other fields of the [`ServerStreams`] open, to the end
    /// of their scope; [`ServerStreams::finish`] drops them.
    ///
    /// Completes when no stream is left. A client that reads slowly is waited for, be it that its user looks at the last
    /// page of the output; [`write_timeout`](crate::Config::write_timeout) bounds that. With windows
    /// ([`FlowControl::Spec`](crate::FlowControl::Spec) or `Lenient`) it has to credit something every
    /// [`Server::finish_timeout`]: all is reset otherwise. The [`Connection`](crate::stream::Connection) writes the last
    /// bytes and closes the transport, once the client has ([`peer_close_timeout`](crate::Config::peer_close_timeout)): in a
    /// process that ends with the command, await it.
    ///
    /// # Errors
    ///
    /// Why the outcome did not get out: the client has gone, or the session has ended; [`Timeout::Write`] if the client
    /// has granted no window for it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the session all the same. Before the outcome is queued, it is as if the sender was dropped.
    pub async fn finish(mut self, exit: Exit) -> Result<()> {
        let (session, limit) = (self.session.clone(), self.finish_timeout);
        let outcome = while_taken(&session, limit, self.tell(&exit)).await;
        // CANCEL could pass for the end of output that is not whole. A session that failed has no streams.
        let status = ResetStatus::INTERNAL_ERROR;
        let reset_all = || session.shared().with(|s| s.session.reset_all(status));
        let reset_unfinished = || {
            session
                .shared()
                .with(|s| s.session.reset_unfinished(status))
        };
        let Some(outcome) = outcome else {
            let why = format!(
                "the client has granted no window for the outcome of the command within {limit:?}"
            );
            tracing::warn!("{why}; its streams are reset");
            // Before anything else is queued behind the outcome.
            drop(reset_all());
            drop(self);
            session.closed().await;
            return Err(Error::timeout_because(Timeout::Write, why));
        };
        drop(self);
        if within(&session, limit, session.closed()).await.is_none() {
            if reset_unfinished().is_ok_and(|streams| streams > 0) {
                tracing::warn!("outputs of a command that has ended are open; they are reset");
            }
            let ended = while_taken(&session, limit, session.closed()).await;
            if ended.is_none() {
                tracing::warn!("a client grants no window for the last output; it is reset");
                drop(reset_all());
                session.closed().await;
            }
        }
        outcome
    }

    async fn tell(&mut self, exit: &Exit) -> Result<()> {
        let text = exit.encode(self.version);
        if !text.is_empty() {
            self.error.send(text).await?;
        }
        self.error.shutdown().await.map_err(stream_error)
    }
}

/// Awaits `future` as long as something is sent every `limit`, where windows may hold it up; `None` if nothing was. Without
/// windows for as long as it takes: only the transport can hold it up, which has a time-out of its own.
async fn while_taken<F: Future>(
    session: &Session,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let windows = session.shared().with(|state| state.session.obeys_windows());
    if !windows.unwrap_or(false) {
        return Some(future.await);
    }
    loop {
        let sent = session.stats().data_sent;
        if let Some(output) = within(session, limit, future.as_mut()).await {
            return Some(output);
        }
        if session.stats().data_sent == sent {
            return None;
        }
    }
}

impl Drop for ExitSender {
    fn drop(&mut self) {
        let exit = Exit::Failed("the server has given the command up before its end".to_owned());
        // Refused where there is an outcome already, or nobody to tell it to.
        drop(self.error.send_last(exit.encode(self.version)));
        for stream in self.others.drain(..) {
            stream.reset(ResetStatus::CANCEL);
        }
        self.session.shutdown();
    }
}
