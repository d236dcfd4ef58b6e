use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Where [`serve`](crate::serve) gets its connections from; the shape of axum's trait of the same name.
pub trait Listener: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The address of a peer.
    type Addr: Send;

    /// The next connection.
    ///
    /// Errors are the listener's to log and to wait out. It has to be cancel-safe: a connection must not be lost
    /// with a dropped future.
    fn accept(&mut self) -> impl Future<Output = (Self::Io, Self::Addr)> + Send;

    /// The address this listener is bound to.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    fn local_addr(&self) -> io::Result<Self::Addr>;

    /// Is told, before the first [`accept`](Self::accept), which protocols are served: their ALPN names, the preferred
    /// one first. A listener that does TLS offers them, so that no client agrees on a protocol that nobody here
    /// speaks; others do nothing, which is the default.
    fn set_protocols(&mut self, alpn: &[&[u8]]) {
        let _ = alpn;
    }

    /// A connection that was taken from the operating system and not handed out yet, when no more are to be accepted: one
    /// whose TLS handshake is under way, for example, and whose client may have sent a request already. Called until it
    /// gives `None`, which is the default. It has to be as cancel-safe as [`accept`](Self::accept), and not to take long:
    /// a shutdown waits for it.
    fn drain(&mut self) -> impl Future<Output = Option<(Self::Io, Self::Addr)>> + Send {
        std::future::ready(None)
    }
}

/// Sets TCP_NODELAY: frames are batched here already, and waiting for more would only delay them.
impl Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match Self::accept(self).await {
                Ok((io, address)) => {
                    if let Err(error) = io.set_nodelay(true) {
                        tracing::debug!(%address, %error, "TCP_NODELAY not set");
                    }
                    return (io, address);
                }
                Err(error) => back_off(&error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Io = tokio::net::UnixStream;
    type Addr = tokio::net::unix::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match Self::accept(self).await {
                Ok(accepted) => return accepted,
                Err(error) => back_off(&error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Self::local_addr(self)
    }
}

/// An error of one connection is passed over. Any other, above all "too many open files", would come back at once:
/// it is waited out, so that the loop does not spin.
async fn back_off(error: &io::Error) {
    let of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    );
    if of_one_connection {
        return;
    }
    tracing::error!(%error, "accepting a connection failed; trying again in a second");
    tokio::time::sleep(Duration::from_secs(1)).await;
}
