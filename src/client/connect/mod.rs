//! From a URI to a connection.

#[cfg(feature = "auto")]
mod fallback;
mod secure;
mod target;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

#[cfg(feature = "auto")]
pub use self::fallback::{Fallback, FallbackConnector, Sender, SenderFuture};
pub use self::secure::{NoTls, Secure};
use self::target::Target;
use super::{Builder, SendRequest};
use crate::alpn::{NegotiatedAlpn, Protocol, SPDY_31};
use crate::error::{Error, Result};
use crate::http::{Body, BoxError};

/// Dials, does TLS where the URI asks for it, and speaks SPDY: a tower service from [`Uri`] to [`SendRequest`].
///
/// `C` dials: a `Service<Uri>` of transports, such as hyper-util's `HttpConnector`, or hyper-rustls's `HttpsConnector`
/// with its protocols preset (feature `hyper-rustls`; see [`NegotiatedAlpn`]). Its time-outs are the ones for dialling,
/// and set TCP_NODELAY on it: frames are batched already. `T` is what goes between it and the session for `https`
/// URIs: nothing ([`NoTls`], the default), or `spdy::tls::ClientTls` by `Connector::tls` (feature `tls`).
///
/// - `https`: the server has to choose `spdy/3.1` by ALPN. SPDY is not tried on one that chose another protocol or none:
///   it would take the frames for a broken request.
/// - `http`: SPDY by prior knowledge.
///
/// Each call makes a connection of its own, a task on the executor of the [`Builder`] that ends when the last clone of
/// its [`SendRequest`] is gone and all streams have ended.
///
/// ```no_run
/// use http::{Request, Uri};
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper_util::client::legacy::connect::HttpConnector;
/// use spdy::client::Connector;
/// use tower::Service;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut connector = Connector::new(HttpConnector::new());
/// let mut client = connector.call(Uri::from_static("http://localhost:6121")).await?;
/// let request = Request::get("http://localhost:6121/").body(Empty::<Bytes>::new())?;
/// println!("{}", client.send_request(request).await?.status());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`is_user`](Error::is_user) for a URI without a host or of another scheme, and for `https` where neither `C` nor `T`
/// does TLS ([`NegotiatedAlpn::is_tls`] tells); [`is_connect`](Error::is_connect) if `C`
/// fails, with its error as the source; [`is_tls`](Error::is_tls) if `T` does;
/// [`is_negotiation`](Error::is_negotiation) if the server chose another protocol, or none, on `https`.
///
/// # Cancel safety
///
/// Dropping the future of a call closes what was dialled.
pub struct Connector<C, B = Body, T = NoTls> {
    dial: C,
    secure: T,
    builder: Builder,
    body: PhantomData<fn(B)>,
}

/// The connection to come: dropping it closes what was dialled.
pub type Connecting<R> = Pin<Box<dyn Future<Output = Result<R>> + Send>>;

impl<C, B> Connector<C, B> {
    /// Speaks SPDY over what `dial` gives, with the defaults of [`Config::client`](crate::Config::client), on tokio.
    pub fn new(dial: C) -> Self {
        Self {
            dial,
            secure: NoTls,
            builder: Builder::new(TokioExecutor::new()),
            body: PhantomData,
        }
    }
}

impl<C, B, T> Connector<C, B, T> {
    /// Replaces the options and the executor of the connections.
    #[must_use]
    pub fn builder(mut self, builder: Builder) -> Self {
        self.builder = builder;
        self
    }

    /// Replaces what goes between the transport and the session for `https` URIs.
    pub fn secure<S>(self, secure: S) -> Connector<C, B, S> {
        Connector {
            dial: self.dial,
            secure,
            builder: self.builder,
            body: PhantomData,
        }
    }
}

impl<C, B, T> Service<Uri> for Connector<C, B, T>
where
    C: Service<Uri>,
    C::Response: Read + Write + NegotiatedAlpn + Unpin + Send + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    T: Secure<C::Response> + Clone + Send + 'static,
    B: 'static,
{
    type Response = SendRequest<B>;
    type Error = Error;
    type Future = Connecting<SendRequest<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        poll_dialler(&mut self.dial, cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.connect(uri, SpdyOnly)
    }
}

impl<C, B, T> Connector<C, B, T>
where
    C: Service<Uri>,
    C::Response: Read + Write + NegotiatedAlpn + Unpin + Send + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    T: Secure<C::Response> + Clone + Send + 'static,
{
    /// All of both connectors: dials, does TLS, and speaks what was agreed on.
    fn connect<S: Speak<B>>(&mut self, uri: Uri, speak: S) -> Connecting<S::Sender> {
        let target = match Target::of(&uri) {
            Ok(target) => target,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let dialling = self.dial.call(uri.clone());
        let secure = self.secure.clone();
        let builder = self.builder.clone();
        Box::pin(async move {
            let offer = speak.offer();
            let io = dialling.await.map_err(|error| target.not_dialled(error))?;
            if target.https {
                let io = secure.secure(&uri, io, offer).await?;
                let protocol = target.agreed(&io, offer, speak.without_alpn())?;
                speak.speak(&builder, &target, io, protocol).await
            } else {
                let protocol = target.agreed(&io, offer, Some(speak.without_tls()))?;
                speak.speak(&builder, &target, io, protocol).await
            }
        })
    }
}

/// What a connector speaks.
trait Speak<B>: Copy + Send + 'static {
    type Sender: Send + 'static;

    /// By ALPN.
    fn offer(self) -> &'static [&'static [u8]];

    /// Over TLS with a server that has not used ALPN; `None`: nothing.
    fn without_alpn(self) -> Option<Protocol>;

    fn without_tls(self) -> Protocol;

    /// Begins on a transport that is for `protocol`; the connection goes on the executor.
    fn speak<Io>(
        self,
        builder: &Builder,
        target: &Target,
        io: Io,
        protocol: Protocol,
    ) -> impl Future<Output = Result<Self::Sender>> + Send
    where
        Io: Read + Write + Unpin + Send + 'static;
}

#[derive(Clone, Copy)]
struct SpdyOnly;

impl<B: 'static> Speak<B> for SpdyOnly {
    type Sender = SendRequest<B>;

    fn offer(self) -> &'static [&'static [u8]] {
        &[SPDY_31]
    }

    fn without_alpn(self) -> Option<Protocol> {
        None
    }

    fn without_tls(self) -> Protocol {
        Protocol::Spdy31
    }

    /// `protocol` is the only one offered.
    async fn speak<Io>(
        self,
        builder: &Builder,
        target: &Target,
        io: Io,
        _: Protocol,
    ) -> Result<SendRequest<B>>
    where
        Io: Read + Write + Unpin + Send + 'static,
    {
        speak(builder, target, io).await
    }
}

fn poll_dialler<C>(dial: &mut C, cx: &mut Context<'_>) -> Poll<Result<()>>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
{
    dial.poll_ready(cx)
        .map_err(|error| Error::connect("nothing can be dialled", error))
}

/// Puts a session on a transport, and its connection on the executor.
async fn speak<Io, B>(builder: &Builder, target: &Target, io: Io) -> Result<SendRequest<B>>
where
    Io: Read + Write + Unpin + Send + 'static,
{
    let (send, connection) = builder.handshake(io).await?;
    connection.set_peer(&target.peer);
    let peer = target.peer.clone();
    builder.spawner().spawn(Box::pin(async move {
        if let Err(error) = connection.await {
            tracing::debug!(peer, %error, "connection ended with an error");
        }
    }));
    Ok(send)
}

impl<C: Clone, B, T: Clone> Clone for Connector<C, B, T> {
    fn clone(&self) -> Self {
        Self {
            dial: self.dial.clone(),
            secure: self.secure.clone(),
            builder: self.builder.clone(),
            body: PhantomData,
        }
    }
}

impl<C, B, T: fmt::Debug> fmt::Debug for Connector<C, B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("secure", &self.secure)
            .field("builder", &self.builder)
            .finish_non_exhaustive()
    }
}
