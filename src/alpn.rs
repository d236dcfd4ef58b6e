//! Which protocol a transport has agreed on by ALPN (RFC 7301).

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The ALPN name of SPDY/3.1.
pub const SPDY_31: &[u8] = b"spdy/3.1";

/// The ALPN name of HTTP/2 (RFC 9113 section 3.1).
pub const H2: &[u8] = b"h2";

/// The ALPN name of HTTP/1.1 (RFC 7301 section 6).
pub const HTTP_11: &[u8] = b"http/1.1";

/// A transport that may know, from its TLS handshake, which protocol comes next.
///
/// A transport of another crate, or of your own, gets this with an empty `impl` if it has no TLS, else with one line:
///
/// ```
/// use spdy::NegotiatedAlpn;
///
/// # struct NativeTls;
/// # impl NativeTls { fn alpn(&self) -> Option<&[u8]> { Some(b"spdy/3.1") } }
/// impl NegotiatedAlpn for NativeTls {
///     fn negotiated_alpn(&self) -> Option<&[u8]> {
///         self.alpn()
///     }
/// }
/// # assert_eq!(NativeTls.negotiated_alpn(), Some(spdy::alpn::SPDY_31));
/// ```
pub trait NegotiatedAlpn {
    /// The protocol, as it stands in the TLS handshake; `None` without TLS, and where the peer has not used ALPN.
    /// Asked once, after the handshake.
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        None
    }
}

impl NegotiatedAlpn for TcpStream {}

#[cfg(unix)]
impl NegotiatedAlpn for tokio::net::UnixStream {}

impl NegotiatedAlpn for tokio::io::DuplexStream {}

impl<T: NegotiatedAlpn> NegotiatedAlpn for TokioIo<T> {
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        self.inner().negotiated_alpn()
    }
}

impl<T: NegotiatedAlpn + ?Sized> NegotiatedAlpn for Box<T> {
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        (**self).negotiated_alpn()
    }
}
