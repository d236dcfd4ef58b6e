use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::NegotiatedAlpn;

pin_project! {
    /// A transport of another crate, with what its TLS has negotiated.
    ///
    /// It reads and writes as the transport does, by the traits of tokio or hyper, whichever the transport has.
    ///
    /// ```
    /// use spdy::NegotiatedAlpn;
    /// use spdy::alpn::WithAlpn;
    ///
    /// # fn example(stream: tokio::io::Join<tokio::io::Empty, tokio::io::Sink>, alpn: Option<Vec<u8>>) {
    /// // No TLS.
    /// let plain = WithAlpn::new(tokio::io::empty(), None::<&[u8]>);
    /// assert!(!plain.is_tls());
    ///
    /// // `stream` and `alpn` are what a TLS library gives. Its peer may have used no ALPN; it is TLS nevertheless.
    /// let io = WithAlpn::new(stream, alpn).over_tls();
    /// assert!(io.is_tls());
    /// # }
    /// # example(tokio::io::join(tokio::io::empty(), tokio::io::sink()), None);
    /// ```
    #[derive(Clone)]
    pub struct WithAlpn<T> {
        #[pin]
        io: T,
        alpn: Option<Vec<u8>>,
        tls: bool,
    }
}

impl<T> WithAlpn<T> {
    /// With this protocol by ALPN, which says that `io` is TLS as well. `None`: nothing was negotiated, and it is taken
    /// for plain text unless [`over_tls`](Self::over_tls) says otherwise.
    pub fn new(io: T, alpn: Option<impl Into<Vec<u8>>>) -> Self {
        let alpn = alpn.map(Into::into);
        let tls = alpn.is_some();
        Self { io, alpn, tls }
    }

    /// Says that the transport is TLS, also where its peer has used no ALPN. Without it an `https` URI is refused then.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The transport.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// The transport.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// The transport.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.io
    }
}

impl<T> NegotiatedAlpn for WithAlpn<T> {
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    fn is_tls(&self) -> bool {
        self.tls
    }
}

impl<T: AsyncRead> AsyncRead for WithAlpn<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().io.poll_read(cx, buf)
    }
}

impl<T: Read> Read for WithAlpn<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().io.poll_read(cx, buf)
    }
}

/// tokio's and hyper's traits for writing have the same methods.
macro_rules! forward_writes {
    ($($write:ident)+) => {$(
        impl<T: $write> $write for WithAlpn<T> {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.project().io.poll_write(cx, buf)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.project().io.poll_flush(cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.project().io.poll_shutdown(cx)
            }

            fn is_write_vectored(&self) -> bool {
                self.io.is_write_vectored()
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.project().io.poll_write_vectored(cx, bufs)
            }
        }
    )+};
}

forward_writes!(AsyncWrite Write);

impl<T> fmt::Debug for WithAlpn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alpn = self.alpn.as_deref();
        f.debug_struct("WithAlpn")
            .field("alpn", &alpn.map(|name| name.escape_ascii().to_string()))
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
