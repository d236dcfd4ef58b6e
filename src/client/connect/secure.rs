use std::future::{Future, Ready, ready};

use http::Uri;
use hyper::rt::{Read, Write};

use crate::alpn::NegotiatedAlpn;
use crate::error::Result;

/// What goes between a dialled transport and the session on `https` URIs: TLS, or nothing.
///
/// What comes out has to say that it is TLS, by [`NegotiatedAlpn::is_tls`]: else it is refused.
///
/// A TLS library of your choice fits in here; `spdy::tls::ClientTls` is the one for rustls.
pub trait Secure<Io> {
    /// The transport that comes out.
    type Io: Read + Write + NegotiatedAlpn + Unpin + Send + 'static;

    /// The handshake to come.
    type Future: Future<Output = Result<Self::Io>> + Send + 'static;

    /// Does the handshake. `offer` has the ALPN names to offer, the preferred one first; what the peer chose is asked
    /// of the result, and checked there.
    fn secure(&self, uri: &Uri, io: Io, offer: &'static [&'static [u8]]) -> Self::Future;
}

/// No TLS in here: for plain text, and for diallers that do TLS themselves, as hyper-rustls does. They have to offer
/// `spdy/3.1` by ALPN, and their transports to say that they are TLS: an `https` URI over any other is an error.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTls;

impl<Io> Secure<Io> for NoTls
where
    Io: Read + Write + NegotiatedAlpn + Unpin + Send + 'static,
{
    type Io = Io;
    type Future = Ready<Result<Io>>;

    fn secure(&self, _: &Uri, io: Io, _: &'static [&'static [u8]]) -> Self::Future {
        ready(Ok(io))
    }
}
