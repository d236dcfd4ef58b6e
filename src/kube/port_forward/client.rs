use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::copy::{Failed, both};
use super::{PORT, REQUEST_ID, STREAM_TYPE};
use crate::error::{Error, Result, Timeout};
use crate::frame::ResetStatus;
use crate::headers::HeaderBlock;
use crate::kube::time::within;
use crate::kube::{check_reply, printable, stream_error};
use crate::stream::{OpenOptions, RecvStream, Session, Stream};

/// The largest text that is read from an error stream, in bytes.
const MAX_TEXT: usize = 8 << 10;

/// The client's side of `port-forward`: opens connections to ports of the server's target, any number at once.
///
/// ```no_run
/// # async fn example(session: spdy::stream::Session) -> Result<(), Box<dyn std::error::Error>> {
/// let client = spdy::kube::port_forward::Client::new(session);
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// loop {
///     let (local, _) = listener.accept().await?;
///     let forwarded = client.connect(80).await?;
///     tokio::spawn(forwarded.copy(local));
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    session: Session,
    stream_timeout: Duration,
    next: AtomicU64,
}

impl Client {
    /// Forwards over this session. Streams that the server opens are [refused](Session::refuse_streams): what comes on them
    /// would hold up all others.
    #[must_use]
    pub fn new(session: Session) -> Self {
        session.refuse_streams();
        Self {
            session,
            stream_timeout: Duration::from_secs(30),
            next: AtomicU64::new(0),
        }
    }

    /// How long the server has to reply to each stream, and to take the end of the error stream. Default: 30 s.
    #[must_use]
    pub fn stream_timeout(mut self, timeout: Duration) -> Self {
        self.stream_timeout = timeout;
        self
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Opens a connection to a port. The server dials once it has both streams: whether that works shows when the
    /// connection is read.
    ///
    /// # Errors
    ///
    /// A user error for port 0; [`Timeout::Open`] if a reply does not come; why a stream was reset or the session has ended;
    /// [`is_negotiation`](Error::is_negotiation) if the server takes the streams for HTTP requests.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the connection up.
    pub async fn connect(&self, port: u16) -> Result<Forwarded> {
        if port == 0 {
            return Err(Error::user("there is no port 0 to forward to"));
        }
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        // It carries nothing from here; the server knows that a client is there from its mere existence.
        let error = self.open("error", port, request).await?;
        let data = self.open("data", port, request).await?;
        let (_, error) = error.split();
        Ok(Forwarded {
            port,
            data,
            error: ErrorText::new(error),
        })
    }

    async fn open(&self, kind: &str, port: u16, request: u64) -> Result<Stream> {
        let mut headers = HeaderBlock::builder();
        headers.push(STREAM_TYPE, kind.as_bytes())?;
        headers.push(PORT, port.to_string().as_bytes())?;
        headers.push(REQUEST_ID, request.to_string().as_bytes())?;
        let opened = within(&self.session, self.stream_timeout, async {
            let mut stream = self
                .session
                .open(headers.finish(), OpenOptions::new())
                .await?;
            check_reply(&stream.reply().await?)?;
            if kind == "error" {
                stream.shutdown().await.map_err(stream_error)?;
            }
            Ok(stream)
        });
        opened.await.unwrap_or_else(|| {
            let why = format!(
                "the server has not replied to the {kind} stream of port {port}, or takes nothing, within {:?}",
                self.stream_timeout
            );
            Err(Error::timeout_because(Timeout::Open, why))
        })
    }
}

/// What the server has said on the error stream of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteError(String);

impl RemoteError {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0, MAX_TEXT))
    }
}

impl std::error::Error for RemoteError {}

/// What has come of the error stream.
#[derive(Debug)]
struct ErrorText {
    /// Given back when it has ended, or with as much as anybody reads: what still comes is discarded then.
    recv: Option<RecvStream>,
    text: Vec<u8>,
}

impl ErrorText {
    fn new(recv: RecvStream) -> Self {
        Self {
            recv: Some(recv),
            text: Vec::new(),
        }
    }

    /// Ready at the end of the stream, or when there is as much as anybody reads.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(recv) = &mut self.recv {
            // An end of any kind is the end of the text.
            if let Ok(Some(bytes)) = ready!(recv.poll_data(cx)) {
                let room = MAX_TEXT - self.text.len();
                self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if self.text.len() < MAX_TEXT {
                    continue;
                }
            }
            self.recv = None;
        }
        Poll::Ready(())
    }

    fn error(&self, port: u16) -> Option<Error> {
        if self.text.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&self.text).trim_end().to_owned();
        let detail = format!("port {port} was not forwarded");
        Some(Error::connect(detail, RemoteError(text)))
    }
}

/// A forwarded connection: `AsyncRead + AsyncWrite`. `shutdown` ends our direction; dropping it before resets the stream.
///
/// Where the server has said on the error stream why it ends, reading fails with that instead of coming to an end:
/// [`is_connect`](Error::is_connect), with a [`RemoteError`] as its source.
#[derive(Debug)]
pub struct Forwarded {
    port: u16,
    data: Stream,
    error: ErrorText,
}

impl Forwarded {
    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the end of the error stream: what the server says went wrong, or `None` if nothing did.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn failure(&mut self) -> Option<Error> {
        poll_fn(|cx| self.error.poll_end(cx)).await;
        self.error.error(self.port)
    }

    /// Copies in both directions, each to its end. If `local` fails, the stream is reset. What came before the stream has
    /// ended early still goes to `local`, as long as that takes some of it every ten seconds.
    ///
    /// # Errors
    ///
    /// What the server says went wrong, why the stream has ended early, or [`is_io`](Error::is_io) for `local`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives both up.
    pub async fn copy<T: AsyncRead + AsyncWrite>(mut self, local: T) -> Result<()> {
        let loss = self.data.send_half().loss();
        match both(&mut self, loss, local).await {
            Ok(()) => Ok(()),
            Err(Failed::Stream(error)) => Err(match self.error.error(self.port) {
                Some(said) => said,
                None => stream_error(error),
            }),
            Err(Failed::Other(error)) => {
                self.data.reset(ResetStatus::CANCEL);
                Err(Error::io("the local side of a forwarded connection", error))
            }
        }
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let ended = match Pin::new(&mut self.data).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => buf.filled().len() == before && buf.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => {
                // A text that nobody takes would hold the session up, and with it the data.
                let _ = self.error.poll_end(cx);
                return Poll::Pending;
            }
        };
        if !ended {
            return Poll::Ready(Ok(()));
        }
        // Its text comes before the end of the data. The end of it is not waited for: not every server says it.
        let _ = self.error.poll_end(cx);
        Poll::Ready(match self.error.error(self.port) {
            Some(said) => Err(said.into()),
            // Again, for the error of the data stream.
            None => ready!(Pin::new(&mut self.data).poll_read(cx, buf)),
        })
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.data).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_shutdown(cx)
    }
}
