//! Servers that may speak no SPDY.

mod request;
mod sender;

use std::fmt;
use std::task::{Context, Poll};

use http::Uri;
use http::uri::Scheme;
use hyper::client::conn::{http1, http2};
use hyper::rt::{Read, Write};
use tower_service::Service;

pub use self::sender::{Sender, SenderFuture};
use super::{Connecting, Connector, NoTls, Secure, Speak, Target, poll_dialler, speak};
use crate::alpn::{H2, HTTP_11, NegotiatedAlpn, Protocol, SPDY_31};
use crate::client::Builder;
use crate::error::{Error, Result};
use crate::http::{Body, BoxError};

/// Which protocols a [`FallbackConnector`] speaks besides SPDY.
///
/// SPDY is always preferred. Over TLS, ALPN decides; a server that does not use ALPN is taken for one of HTTP/1.1.
/// An `https` URI is spoken to over TLS or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    http2: bool,
    plain: Protocol,
}

impl Fallback {
    /// HTTP/1.1. The ALPN offer is `spdy/3.1, http/1.1`.
    #[must_use]
    pub const fn http1() -> Self {
        Self {
            http2: false,
            plain: Protocol::Spdy31,
        }
    }

    /// HTTP/2, and HTTP/1.1 where that is unknown, too. The ALPN offer is `spdy/3.1, h2, http/1.1`.
    #[must_use]
    pub const fn http2() -> Self {
        Self {
            http2: true,
            plain: Protocol::Spdy31,
        }
    }

    /// What `http` URIs are spoken to with: without TLS nothing is negotiated. Default: [`Protocol::Spdy31`].
    #[must_use]
    pub const fn plain_http(mut self, protocol: Protocol) -> Self {
        self.plain = protocol;
        self
    }
}

/// As [`Connector`], for servers that may speak no SPDY: a tower service from [`Uri`] to [`Sender`].
///
/// ```no_run
/// use http::{Request, Uri};
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper_util::client::legacy::connect::HttpConnector;
/// use spdy::client::{Connector, Fallback};
/// use tower::Service;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // With `tls(config)` in between, `https` goes too, and ALPN decides.
/// let fallback = Fallback::http2().plain_http(spdy::Protocol::Http11);
/// let mut connector = Connector::new(HttpConnector::new()).fallback(fallback);
/// let mut client = connector.call(Uri::from_static("http://example.com")).await?;
/// println!("{}", client.protocol());
/// client.ready().await?;
/// let request = Request::get("http://example.com/").body(Empty::<Bytes>::new())?;
/// println!("{}", client.send_request(request).await?.status());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of [`Connector`]; and [`is_http`](Error::is_http) if hyper fails to begin.
pub struct FallbackConnector<C, B = Body, T = NoTls> {
    connector: Connector<C, B, T>,
    fallback: Fallback,
}

impl<C, B, T> Connector<C, B, T> {
    /// Falls back to HTTP where a server does not choose SPDY.
    pub fn fallback(self, fallback: Fallback) -> FallbackConnector<C, B, T> {
        FallbackConnector {
            connector: self,
            fallback,
        }
    }
}

impl<C, B, T> Service<Uri> for FallbackConnector<C, B, T>
where
    C: Service<Uri>,
    C::Response: Read + Write + NegotiatedAlpn + Unpin + Send + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    T: Secure<C::Response> + Clone + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Sender<B>;
    type Error = Error;
    type Future = Connecting<Sender<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        poll_dialler(&mut self.connector.dial, cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.connector.connect(uri, self.fallback)
    }
}

impl<B> Speak<B> for Fallback
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Sender = Sender<B>;

    fn offer(self) -> &'static [&'static [u8]] {
        if self.http2 {
            &[SPDY_31, H2, HTTP_11]
        } else {
            &[SPDY_31, HTTP_11]
        }
    }

    fn without_alpn(self) -> Option<Protocol> {
        Some(Protocol::Http11)
    }

    fn without_tls(self) -> Protocol {
        self.plain
    }

    async fn speak<Io>(
        self,
        builder: &Builder,
        target: &Target,
        io: Io,
        protocol: Protocol,
    ) -> Result<Sender<B>>
    where
        Io: Read + Write + Unpin + Send + 'static,
    {
        let failed = |error| Error::http(format!("{protocol} with {} failed", target.peer), error);
        let spawner = builder.spawner();
        let peer = target.peer.clone();
        match protocol {
            Protocol::Spdy31 => Ok(Sender::spdy(speak(builder, target, io).await?)),
            Protocol::Http2 => {
                let handshake = http2::Builder::new(spawner.clone()).handshake(io);
                let (send, connection) = handshake.await.map_err(failed)?;
                spawner.spawn(Box::pin(run(connection, protocol, peer)));
                let scheme = if target.https {
                    Scheme::HTTPS
                } else {
                    Scheme::HTTP
                };
                Ok(Sender::http2(send, scheme))
            }
            Protocol::Http11 => {
                let (send, connection) = http1::handshake(io).await.map_err(failed)?;
                spawner.spawn(Box::pin(run(connection.with_upgrades(), protocol, peer)));
                Ok(Sender::http1(send))
            }
        }
    }
}

/// The task of a connection of hyper's.
async fn run<F>(connection: F, protocol: Protocol, peer: String)
where
    F: Future<Output = hyper::Result<()>>,
{
    if let Err(error) = connection.await {
        tracing::debug!(peer, %protocol, %error, "connection ended with an error");
    }
}

impl<C: Clone, B, T: Clone> Clone for FallbackConnector<C, B, T> {
    fn clone(&self) -> Self {
        Self {
            connector: self.connector.clone(),
            fallback: self.fallback,
        }
    }
}

impl<C, B, T: fmt::Debug> fmt::Debug for FallbackConnector<C, B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackConnector")
            .field("connector", &self.connector)
            .field("fallback", &self.fallback)
            .finish()
    }
}
