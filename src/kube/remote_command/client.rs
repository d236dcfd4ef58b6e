use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::resize::ResizeWriter;
use super::{Exit, Kind, MAX_TEXT, STREAM_TYPE, Streams, Version};
use crate::error::{Error, Result, Timeout};
use crate::frame::ResetStatus;
use crate::headers::HeaderBlock;
use crate::kube::check_reply;
use crate::kube::status::Status;
use crate::kube::time::within;
use crate::stream::{OpenOptions, RecvStream, SendStream, Session, Stream};

/// The client's side of a command, to be [opened](Self::open) on a session.
#[derive(Clone, Debug)]
pub struct Client {
    version: Version,
    streams: Streams,
    stream_timeout: Duration,
}

impl Client {
    /// A command with these streams, which the server has to expect.
    #[must_use]
    pub fn new(version: Version, streams: Streams) -> Self {
        Self {
            version,
            streams,
            stream_timeout: Duration::from_secs(30),
        }
    }

    /// How long the server has to reply to each stream. Default: 30 s.
    #[must_use]
    pub fn stream_timeout(mut self, timeout: Duration) -> Self {
        self.stream_timeout = timeout;
        self
    }

    /// Opens the streams one after the other, each when the one before was replied to: `error`, `stdin`, `stdout`,
    /// `stderr`, `resize`. The server starts the command behind the last. Streams that the server opens are
    /// [refused](Session::refuse_streams): what comes on them would hold up all others.
    ///
    /// # Errors
    ///
    /// [`Timeout::Open`] if a reply does not come, or why a stream was reset or the session has ended.
    /// [`is_negotiation`](Error::is_negotiation) if the server takes the streams for HTTP requests.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future resets the streams that were opened.
    pub async fn open(&self, session: &Session) -> Result<ClientStreams> {
        session.refuse_streams();
        let mut error = None;
        let (mut stdin, mut stdout, mut stderr, mut resize) = (None, None, None, None);
        for kind in self.streams.kinds(self.version) {
            let stream = self.open_one(session, kind).await?;
            match kind {
                Kind::Error => error = Some(stream),
                Kind::Stdin => stdin = Some(StdinWriter::new(stream)),
                Kind::Stdout => stdout = Some(OutputReader { stream }),
                Kind::Stderr => stderr = Some(OutputReader { stream }),
                Kind::Resize => resize = Some(ResizeWriter::new(stream)),
            }
        }
        let Some(error) = error else {
            return Err(Error::user("a set of streams without an error stream"));
        };
        Ok(ClientStreams {
            stdin,
            stdout,
            stderr,
            resize,
            exit: ExitReceiver {
                version: self.version,
                error,
            },
        })
    }

    async fn open_one(&self, session: &Session, kind: Kind) -> Result<Stream> {
        let mut headers = HeaderBlock::builder();
        headers.push(STREAM_TYPE, kind.name().as_bytes())?;
        let opened = within(session, self.stream_timeout, async {
            let mut stream = session.open(headers.finish(), OpenOptions::new()).await?;
            check_reply(&stream.reply().await?)?;
            Ok(stream)
        });
        opened.await.unwrap_or_else(|| {
            let why = format!(
                "the server has not replied to the stream {} within {:?}",
                kind.name(),
                self.stream_timeout
            );
            Err(Error::timeout_because(Timeout::Open, why))
        })
    }
}

/// The streams of a command, as its client has them. Those that were not asked for are `None`.
///
/// Dropping all of it, and the session, gives the command up.
#[derive(Debug)]
#[non_exhaustive]
pub struct ClientStreams {
    /// What the command reads. Shut it down at the end; dropping it resets the stream.
    pub stdin: Option<StdinWriter>,
    /// What the command writes.
    pub stdout: Option<OutputReader>,
    /// What the command writes to its standard error.
    pub stderr: Option<OutputReader>,
    /// For the sizes of the terminal; the first one is expected at once.
    pub resize: Option<ResizeWriter>,
    /// For the outcome.
    pub exit: ExitReceiver,
}

/// Standard input of the command.
#[derive(Debug)]
pub struct StdinWriter {
    send: SendStream,
    recv: RecvStream,
}

impl StdinWriter {
    fn new(stream: Stream) -> Self {
        let (send, recv) = stream.split();
        Self { send, recv }
    }

    /// Waits until the server wants no more input: it has ended its direction, or the stream is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    fn unless_ended(&mut self, cx: &mut Context<'_>, done: io::Result<()>) -> io::Result<()> {
        if done.is_err() && self.poll_closed(cx).is_ready() && self.recv.is_end() {
            return Ok(());
        }
        done
    }

    /// Reads past what no server sends; the task that writes is the one that is woken.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Ok(Some(_)) = ready!(self.recv.poll_data(cx)) {}
        Poll::Ready(())
    }
}

impl AsyncWrite for StdinWriter {
    /// Fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe) once the server wants no more.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.poll_closed(cx).is_ready() && self.recv.is_end() {
            let why = "the command takes no more standard input";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, why)));
        }
        // A stream that ended early has an error of its own.
        Pin::new(&mut self.send).poll_write(cx, buf)
    }

    /// No error once the server wants no more, as with a pipe that is closed: how the command has ended is for
    /// [`ExitReceiver::wait`] to say.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.send).poll_flush(cx));
        Poll::Ready(self.unless_ended(cx, flushed))
    }

    /// Half-closes: the command reads to the end. No error once the server wants no more, as above.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = ready!(Pin::new(&mut self.send).poll_shutdown(cx));
        Poll::Ready(self.unless_ended(cx, shut))
    }
}

/// Standard output, or standard error, of the command. Dropping it resets the stream with CANCEL.
#[derive(Debug)]
pub struct OutputReader {
    stream: Stream,
}

impl AsyncRead for OutputReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

/// The outcome of the command.
#[derive(Debug)]
pub struct ExitReceiver {
    version: Version,
    error: Stream,
}

impl ExitReceiver {
    /// Waits for the outcome: reads the error stream to its end, or to 64 KiB. Read the output meanwhile, or before: one
    /// stream that nobody reads holds up all others.
    ///
    /// An error stream that ends without a word is a success, as for kubectl. A *connection* that ends so is not, nor is a
    /// stream that is reset in v4, whose servers always say how a command has ended.
    ///
    /// # Errors
    ///
    /// Why the session has ended, or the stream was reset with another status than CANCEL, before there was an outcome.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses what was read.
    pub async fn wait(mut self) -> Result<Exit> {
        let mut text = BytesMut::new();
        while text.len() < MAX_TEXT {
            match self.error.recv_half().data().await {
                Ok(Some(bytes)) => {
                    let room = MAX_TEXT - text.len();
                    text.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                Ok(None) => break,
                Err(error)
                    if error.is_remote() && error.reset_status() == Some(ResetStatus::CANCEL) =>
                {
                    break;
                }
                // A whole status was all there was to come.
                Err(_) if self.version.has_json() && Status::from_json(&text).is_some() => break,
                Err(error) => return Err(error),
            }
        }
        if self.version.has_json() && text.is_empty() {
            // Tells the end from a reset, which the options may show as one. That our direction is over with the session says
            // nothing.
            if let Err(error) = self.error.send_half().finish() {
                if error.is_reset() {
                    return Err(error);
                }
            }
        }
        Ok(Exit::decode(self.version, &text))
    }
}
