//! The transport: TCP on loopback, its writes counted. TLS would be a second type here, and a second set of rows.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// How often the transport was written to.
pub(crate) type Writes = Arc<AtomicU64>;

/// A socket that counts the writes that took something.
pub(crate) struct Io {
    tcp: TcpStream,
    writes: Writes,
}

impl Io {
    fn new(tcp: TcpStream, writes: &Writes) -> Self {
        tcp.set_nodelay(true).expect("TCP_NODELAY");
        Self {
            tcp,
            writes: Arc::clone(writes),
        }
    }

    pub(crate) async fn connect(address: SocketAddr, writes: &Writes) -> Self {
        Self::new(TcpStream::connect(address).await.expect("connect"), writes)
    }

    fn note(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(polled, Poll::Ready(Ok(_))) {
            self.writes.fetch_add(1, Relaxed);
        }
        polled
    }
}

/// A listener whose connections are handed to `serve`, each of whose futures is a task.
pub(crate) async fn listen<F>(serve: impl Fn(Io) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        let writes = Writes::default();
        loop {
            let (tcp, _) = listener.accept().await.expect("accept");
            tokio::spawn(serve(Io::new(tcp, &writes)));
        }
    });
    address
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
