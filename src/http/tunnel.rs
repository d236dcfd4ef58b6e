//! CONNECT: the two bodies of an exchange as one byte stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{Method, Request, Response, Uri, uri::Authority};
use http_body::{Body as _, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use super::Body;
use crate::error::{Error, Result};

/// The largest piece that is copied out of a writer's buffer at once.
const MAX_CHUNK: usize = 64 * 1024;

/// A tunnel over a CONNECT request: `AsyncRead + AsyncWrite`.
///
/// What is written to it goes out as DATA of its stream, `shutdown` is FIN on our direction, and the end of the peer's
/// direction is the end of reading. Back-pressure is that of the stream. Dropping a tunnel that was not shut down
/// resets its stream: cut off is not ended.
///
/// This is for SPDY alone. Where the same service or client speaks HTTP/1.1 or HTTP/2 as well (`server::auto`,
/// `client::Sender`), hyper does not pass the bytes of a CONNECT as bodies: take `hyper::upgrade::on` of the request, or of
/// the response, there. A tunnel is then at its end from the beginning.
///
/// SPDY/3.1 does not describe CONNECT; the mapping is the one of Chromium and HTTP/2: `:path` and `:host` are
/// host:port, `:scheme` may be missing.
///
/// ```no_run
/// use hyper::{Request, Response};
/// use spdy::{Body, Tunnel};
///
/// /// A proxy's answer to CONNECT.
/// async fn connect(request: Request<Body>) -> Response<Body> {
///     let Some(authority) = request.uri().authority().cloned() else {
///         return Response::builder().status(400).body(Body::empty()).unwrap_or_default();
///     };
///     let Ok(mut target) = tokio::net::TcpStream::connect(authority.as_str()).await else {
///         return Response::builder().status(502).body(Body::empty()).unwrap_or_default();
///     };
///     let (response, mut tunnel) = Tunnel::accept(request);
///     tokio::spawn(async move {
///         drop(tokio::io::copy_bidirectional(&mut tunnel, &mut target).await);
///     });
///     response
/// }
/// ```
pub struct Tunnel {
    body: Body,
    /// What was read and not taken.
    rest: Bytes,
    sender: Option<PollSender<Bytes>>,
    finished: Arc<AtomicBool>,
}

impl Tunnel {
    /// The server's end: a response with status 200 to return from the service, and the tunnel.
    #[must_use]
    pub fn accept(request: Request<Body>) -> (Response<Body>, Self) {
        let (outgoing, body, finished) = pair();
        let tunnel = Self::new(request.into_body(), outgoing, finished);
        (Response::new(body), tunnel)
    }

    /// The client's end, to be sent by hand: the CONNECT request, and what makes the tunnel of its response.
    #[must_use]
    pub fn request(target: Authority) -> (Request<Body>, PendingTunnel) {
        let (sender, body, finished) = pair();
        let mut request = Request::new(body);
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = Uri::from(target);
        (request, PendingTunnel { sender, finished })
    }

    fn new(body: Body, sender: PollSender<Bytes>, finished: Arc<AtomicBool>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            sender: Some(sender),
            finished,
        }
    }
}

/// A CONNECT request under way; see [`Tunnel::request`].
pub struct PendingTunnel {
    sender: PollSender<Bytes>,
    finished: Arc<AtomicBool>,
}

impl PendingTunnel {
    /// The tunnel, once the response has come.
    ///
    /// # Errors
    ///
    /// Gives a response back whose status is not 2xx: there is no tunnel.
    #[allow(
        clippy::result_large_err,
        reason = "the response is not an error to pass on, but an answer to look at"
    )]
    pub fn finish(self, response: Response<Body>) -> Result<Tunnel, Response<Body>> {
        if !response.status().is_success() {
            return Err(response);
        }
        Ok(Tunnel::new(
            response.into_body(),
            self.sender,
            self.finished,
        ))
    }
}

/// The writing end of a tunnel and the body that it feeds. One chunk between them is enough: the stream behind the
/// body queues more.
fn pair() -> (PollSender<Bytes>, Body, Arc<AtomicBool>) {
    let (sender, chunks) = mpsc::channel(1);
    let finished = Arc::new(AtomicBool::new(false));
    let body = Body::new(Outgoing {
        chunks,
        finished: Arc::clone(&finished),
    });
    (PollSender::new(sender), body, finished)
}

/// The body behind a tunnel.
struct Outgoing {
    chunks: mpsc::Receiver<Bytes>,
    finished: Arc<AtomicBool>,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        Poll::Ready(match ready!(self.chunks.poll_recv(cx)) {
            Some(chunk) => Some(Ok(Frame::data(chunk))),
            None if self.finished.load(Ordering::Acquire) => None,
            None => Some(Err(Error::canceled(
                "the tunnel was dropped before it was shut down",
            ))),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(frame) => frame?,
            };
            // Trailers mean nothing in a tunnel.
            self.rest = frame.into_data().unwrap_or_default();
        }
        let n = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..n]);
        self.rest.advance(n);
        Poll::Ready(Ok(()))
    }
}

fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the stream of the tunnel has ended",
    )
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Some(sender) = &mut self.sender else {
            return Poll::Ready(Err(gone()));
        };
        ready!(sender.poll_reserve(cx)).map_err(|_| gone())?;
        let n = buf.len().min(MAX_CHUNK);
        let sent = sender.send_item(Bytes::copy_from_slice(&buf[..n]));
        Poll::Ready(sent.map(|()| n).map_err(|_| gone()))
    }

    /// Nothing is held back here.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Half-closes: FIN behind what was written.
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finished.store(true, Ordering::Release);
        self.sender = None;
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("open", &self.sender.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PendingTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingTunnel").finish_non_exhaustive()
    }
}
