//! SPDY as a piece of a tower stack of connections: [`SpdyLayer`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::rt::TokioExecutor;
use tower_layer::Layer;
use tower_service::Service;

use crate::error::{Error, Result};
use crate::server::{Builder, GracefulShutdown, MakeConnection, outcome};
use crate::session::Config;

/// Makes a service of connections of a service of requests: `Service<Io>`, for any tokio transport.
///
/// So SPDY fits on top of a stack of acceptors, such as limits, time-outs, TLS or PROXY protocol in layers of their own.
/// A call serves one connection to its end; the request service is cloned for each.
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use spdy::{SpdyLayer, server::Listener};
/// use tokio::net::{TcpListener, TcpStream};
/// use tower::{Service, ServiceBuilder, ServiceExt};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Router::new().route("/", get(|| async { "hello" }));
/// let mut connections = ServiceBuilder::new()
///     .concurrency_limit(1000) // connections at once
///     .layer(SpdyLayer::new())
///     .service(app);
///
/// let mut listener = TcpListener::bind("127.0.0.1:6121").await?;
/// loop {
///     // Ready first: nothing is accepted that would only wait.
///     let ready = ServiceExt::<TcpStream>::ready(&mut connections).await?;
///     let (io, _) = Listener::accept(&mut listener).await;
///     tokio::spawn(ready.call(io));
/// }
/// # }
/// ```
///
/// With [`builder`](Self::builder) it is any [`MakeConnection`]: options, an executor, or several protocols.
#[derive(Clone)]
pub struct SpdyLayer<P = Builder<TokioExecutor>> {
    maker: P,
    graceful: Option<GracefulShutdown>,
}

impl SpdyLayer {
    /// The defaults of [`Config::server`]; requests run on tokio's runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            maker: Builder::new(TokioExecutor::new()),
            graceful: None,
        }
    }
}

impl Default for SpdyLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> SpdyLayer<Builder<E>> {
    /// The options of every connection. Default: [`Config::server`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.maker.config(config);
        self
    }
}

impl<P> SpdyLayer<P> {
    /// Replaces what makes the connections.
    pub fn builder<P2>(self, builder: P2) -> SpdyLayer<P2> {
        SpdyLayer {
            maker: builder,
            graceful: self.graceful,
        }
    }

    /// Makes every connection part of this shutdown.
    #[must_use]
    pub fn graceful_shutdown(mut self, graceful: &GracefulShutdown) -> Self {
        self.graceful = Some(graceful.clone());
        self
    }
}

impl<S, P: Clone> Layer<S> for SpdyLayer<P> {
    type Service = SpdyService<S, P>;

    fn layer(&self, service: S) -> Self::Service {
        SpdyService {
            service,
            layer: self.clone(),
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for SpdyLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpdyLayer")
            .field("maker", &self.maker)
            .field("graceful", &self.graceful)
            .finish()
    }
}

/// The service of a [`SpdyLayer`]: its requests are transports.
///
/// The future of a call resolves when the connection is closed; dropping it cuts the connection.
#[derive(Clone, Debug)]
pub struct SpdyService<S, P = Builder<TokioExecutor>> {
    service: S,
    layer: SpdyLayer<P>,
}

impl<S, P, Io> Service<Io> for SpdyService<S, P>
where
    S: Clone,
    P: MakeConnection<Io, S>,
{
    type Response = ();
    type Error = Error;
    // Boxed once a connection: its type could not be named.
    type Future = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

    /// Always ready: whether the request service is, is asked for each request.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, io: Io) -> Self::Future {
        let service = self.service.clone();
        let connection = self.layer.maker.connection(io, service, None);
        match &self.layer.graceful {
            Some(graceful) => Box::pin(graceful.watch(connection)),
            None => Box::pin(async move { outcome(connection.await) }),
        }
    }
}
