use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio_rustls::client::TlsStream;

use super::error;
use crate::alpn::NegotiatedAlpn;

/// The transport that [`ClientTls`](super::ClientTls) makes.
///
/// What fails behind the handshake is an IO error that holds an [`Error`](crate::Error): of TLS 1.3 a client learns only
/// there that the server does not accept its certificate.
pub struct ClientStream<Io> {
    io: TokioIo<TlsStream<TokioIo<Io>>>,
    /// For messages.
    peer: Arc<str>,
}

impl<Io> ClientStream<Io> {
    pub(super) fn new(io: TlsStream<TokioIo<Io>>, peer: Arc<str>) -> Self {
        let io = TokioIo::new(io);
        Self { io, peer }
    }

    /// The transport of tokio-rustls, for the certificates of the peer and the like.
    #[must_use]
    pub fn get_ref(&self) -> &TlsStream<TokioIo<Io>> {
        self.io.inner()
    }

    /// The transport of tokio-rustls.
    #[must_use]
    pub fn into_inner(self) -> TlsStream<TokioIo<Io>> {
        self.io.into_inner()
    }
}

impl<Io> ClientStream<Io>
where
    Io: Read + Write + Unpin,
{
    fn named<R>(
        &mut self,
        poll: impl FnOnce(Pin<&mut TokioIo<TlsStream<TokioIo<Io>>>>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        poll(Pin::new(&mut self.io)).map_err(|error| error::of_client_later(&self.peer, error))
    }
}

impl<Io> Read for ClientStream<Io>
where
    Io: Read + Write + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.named(|io| io.poll_read(cx, buf))
    }
}

impl<Io> Write for ClientStream<Io>
where
    Io: Read + Write + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.named(|io| io.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.named(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.named(|io| io.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.named(|io| io.poll_write_vectored(cx, bufs))
    }
}

impl<Io> NegotiatedAlpn for ClientStream<Io> {
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        self.io.negotiated_alpn()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<Io> fmt::Debug for ClientStream<Io> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
