//! Which protocol a transport has agreed on by ALPN (RFC 7301).

mod with_alpn;

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufStream, BufWriter};
use tokio::net::TcpStream;

pub use self::with_alpn::WithAlpn;

/// The ALPN name of SPDY/3.1.
pub const SPDY_31: &[u8] = b"spdy/3.1";

/// The ALPN name of HTTP/2 (RFC 9113 section 3.1).
pub const H2: &[u8] = b"h2";

/// The ALPN name of HTTP/1.1 (RFC 7301 section 6).
pub const HTTP_11: &[u8] = b"http/1.1";

/// A protocol that a connection can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// SPDY/3.1.
    Spdy31,
    /// HTTP/2.
    Http2,
    /// HTTP/1.1.
    Http11,
}

impl Protocol {
    /// The name in ALPN.
    #[must_use]
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Spdy31 => SPDY_31,
            Self::Http2 => H2,
            Self::Http11 => HTTP_11,
        }
    }

    /// The protocol of this name in ALPN; `None` for one that is not spoken here.
    #[must_use]
    pub fn from_alpn(name: &[u8]) -> Option<Self> {
        [Self::Spdy31, Self::Http2, Self::Http11]
            .into_iter()
            .find(|protocol| protocol.alpn() == name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spdy31 => "SPDY/3.1",
            Self::Http2 => "HTTP/2",
            Self::Http11 => "HTTP/1.1",
        })
    }
}

/// Names of protocols as text for a message: a list with commas, `nothing` if there are none. What a peer has sent is
/// escaped, and cut after 200 bytes.
#[allow(
    dead_code,
    reason = "used by the client connector and the TLS listener"
)]
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for name in names {
        if text.len() > 200 {
            text.push_str(", ..");
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        let shown = name.get(..64).unwrap_or(name);
        text.extend(shown.escape_ascii().map(char::from));
    }
    if text.is_empty() {
        text.push_str("nothing");
    }
    text
}

/// A transport that may know, from its TLS handshake, which protocol comes next.
///
/// Those of tokio, tokio-rustls and (feature `hyper-rustls`) hyper-rustls have it, and boxes, buffers and `TokioIo`
/// around any that has. A type of another crate goes into [`WithAlpn`], because no third crate may implement the trait
/// for it. A type of your own has it by an empty `impl` if there is no TLS in it, else by two lines:
///
/// ```
/// use spdy::NegotiatedAlpn;
///
/// # struct MyTls;
/// # impl MyTls { fn alpn(&self) -> Option<&[u8]> { Some(b"spdy/3.1") } }
/// impl NegotiatedAlpn for MyTls {
///     fn negotiated_alpn(&self) -> Option<&[u8]> {
///         self.alpn()
///     }
///
///     fn is_tls(&self) -> bool {
///         true
///     }
/// }
/// # assert_eq!(MyTls.negotiated_alpn(), Some(spdy::alpn::SPDY_31));
/// ```
pub trait NegotiatedAlpn {
    /// The protocol, as it stands in the TLS handshake; `None` without TLS, and where the peer has not used ALPN.
    /// Asked once, after the handshake.
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        None
    }

    /// Whether this is TLS, with or without ALPN. Nothing is sent in clear text on an `https` URI: the connectors refuse
    /// a transport that says no. The default takes what has negotiated a protocol for TLS, so that a TLS transport which
    /// forgets to say so is refused where its peer does not use ALPN, and plain text never passes for TLS.
    fn is_tls(&self) -> bool {
        self.negotiated_alpn().is_some()
    }
}

impl NegotiatedAlpn for TcpStream {}

#[cfg(unix)]
impl NegotiatedAlpn for tokio::net::UnixStream {}

impl NegotiatedAlpn for tokio::io::DuplexStream {}

/// What is around a transport says what the transport does.
macro_rules! forward {
    ($($type:ty, [$($bounds:tt)*], $this:ident => $inner:expr;)+) => {$(
        impl<$($bounds)*> NegotiatedAlpn for $type {
            fn negotiated_alpn(&self) -> Option<&[u8]> {
                let $this = self;
                $inner.negotiated_alpn()
            }

            fn is_tls(&self) -> bool {
                let $this = self;
                $inner.is_tls()
            }
        }
    )+};
}

forward! {
    TokioIo<T>, [T: NegotiatedAlpn], this => this.inner();
    &mut T, [T: NegotiatedAlpn + ?Sized], this => (**this);
    Box<T>, [T: NegotiatedAlpn + ?Sized], this => (**this);
    Pin<P>, [P: Deref<Target: NegotiatedAlpn>], this => (**this);
    BufReader<T>, [T: NegotiatedAlpn + AsyncRead], this => this.get_ref();
    BufWriter<T>, [T: NegotiatedAlpn + AsyncWrite], this => this.get_ref();
    BufStream<T>, [T: NegotiatedAlpn + AsyncRead + AsyncWrite], this => this.get_ref();
}
