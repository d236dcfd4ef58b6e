use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use hyper::rt::{Executor, Timer};
use hyper_util::rt::TokioExecutor;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::MapBody;
use super::pending::check_server;
use crate::client::BoxTask;
use crate::error::Result;
use crate::http::{Body, BoxError, switching};
use crate::server::{Builder, GracefulShutdown, StreamTask};
use crate::session::Config;

/// Serves SPDY behind the Upgrade of an HTTP/1.1 service, with the same app on both sides.
///
/// Any other request goes to the app as it came, its body boxed as a [`spdy::Body`](crate::Body): the app is a service of
/// `Request<spdy::Body>` that makes no difference between protocols, as an axum `Router` is. The result is a service
/// for hyper's HTTP/1.1 server, `axum::serve` included.
///
/// Options: `UpgradeLayer::new(app)`, and [`UpgradeLayer::wrap`] in the end.
pub fn wrap<A: Clone>(app: A) -> Upgrade<MapBody<A>, A> {
    UpgradeLayer::new(app).wrap()
}

/// A tower layer around an HTTP/1.1 service: a request with `Upgrade: SPDY/3.1` is answered with 101, and its
/// connection goes on as SPDY; every other request goes to the service below.
///
/// What is served over SPDY is an app of its own, because what the layer wraps may see only a part of the requests:
/// axum's `Router::layer` wraps each route, behind the routing. Put the layer around the whole `Router`, or use
/// [`wrap`].
///
/// The server below has to do upgrades: hyper's `with_upgrades()`, or `axum::serve`. Once upgraded, a connection is no
/// longer tracked by that server, but runs as a task on the executor; give the layer a
/// [`graceful_shutdown`](Self::graceful_shutdown), so that nothing is cut when the process ends.
///
/// ```no_run
/// use std::time::Duration;
/// use axum::{Router, ServiceExt, extract::Request, routing::get};
/// use spdy::{server::GracefulShutdown, upgrade::UpgradeLayer};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Router::new().route("/", get(|| async { "hello over either" }));
/// let graceful = GracefulShutdown::new();
/// let service = UpgradeLayer::new(app).graceful_shutdown(&graceful).wrap();
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let stop = graceful.clone();
/// axum::serve(listener, ServiceExt::<Request>::into_make_service(service))
///     .with_graceful_shutdown(async move {
///         drop(tokio::signal::ctrl_c().await);
///         stop.start(); // both drain at the same time
///     })
///     .await?;
/// graceful.shutdown_within(Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct UpgradeLayer<A, E = TokioExecutor> {
    app: A,
    builder: Builder<E>,
    graceful: Option<GracefulShutdown>,
}

impl<A> UpgradeLayer<A> {
    /// Serves `app` over SPDY, with the defaults of [`Config::server`], on tokio's runtime.
    pub fn new(app: A) -> Self {
        Self {
            app,
            builder: Builder::new(TokioExecutor::new()),
            graceful: None,
        }
    }
}

impl<A, E> UpgradeLayer<A, E> {
    /// Runs connections and requests on another executor. Default: tokio's.
    pub fn executor<E2>(self, exec: E2) -> UpgradeLayer<A, E2> {
        UpgradeLayer {
            app: self.app,
            builder: self.builder.executor(exec),
            graceful: self.graceful,
        }
    }

    /// The options of every SPDY connection; [`hold_until_peer_speaks`](Config::hold_until_peer_speaks) is always set.
    /// Default: [`Config::server`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.builder.config(config);
        self
    }

    /// Where time comes from. Default: tokio's.
    #[must_use]
    pub fn timer<T>(mut self, timer: T) -> Self
    where
        T: Timer + Send + Sync + 'static,
    {
        self.builder.timer(timer);
        self
    }

    /// Makes upgraded connections part of this shutdown, from the moment their 101 is on its way.
    #[must_use]
    pub fn graceful_shutdown(mut self, graceful: &GracefulShutdown) -> Self {
        self.graceful = Some(graceful.clone());
        self
    }

    /// The app over HTTP/1.1 and behind the Upgrade.
    pub fn wrap(self) -> Upgrade<MapBody<A>, A, E>
    where
        A: Clone,
    {
        Upgrade {
            inner: MapBody::new(self.app.clone()),
            layer: self,
        }
    }
}

impl<S, A: Clone, E: Clone> Layer<S> for UpgradeLayer<A, E> {
    type Service = Upgrade<S, A, E>;

    fn layer(&self, inner: S) -> Self::Service {
        Upgrade {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of an [`UpgradeLayer`].
#[derive(Clone, Debug)]
pub struct Upgrade<S, A, E = TokioExecutor> {
    inner: S,
    layer: UpgradeLayer<A, E>,
}

impl<S, A, E> Upgrade<S, A, E> {
    /// Switches, if the request asks for it and it can be done.
    fn take<Q, B, R>(&self, request: &mut Request<Q>) -> Option<Response<R>>
    where
        A: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        A::Future: Send,
        A::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
        E: Executor<BoxTask>
            + Executor<StreamTask<TowerToHyperServiceFuture<A, Request<Body>>, B>>
            + Clone
            + Send
            + 'static,
        Q: http_body::Body,
        R: Default,
    {
        if !switching::is_taken(request, check_server) {
            return None;
        }
        let upgrade = hyper::upgrade::on(&mut *request);
        // What the HTTP server and the layers in front know of the connection, such as axum's `ConnectInfo`, holds for its
        // requests over SPDY, too.
        let app = Inherit {
            app: TowerToHyperService::new(self.layer.app.clone()),
            extensions: request.extensions().clone(),
        };
        let connection = self.layer.builder.serve_upgrade(upgrade, app, None);
        let task: BoxTask = match &self.layer.graceful {
            // The place is taken now: between the end of the HTTP connection and the start of the task no shutdown may
            // believe that nothing is left.
            Some(graceful) => Box::pin(note(graceful.watch(connection))),
            None => Box::pin(note(connection)),
        };
        Executor::<BoxTask>::execute(self.layer.builder.exec(), task);
        Some(switching::response())
    }
}

/// Runs an upgraded connection; nobody is there to take its outcome.
async fn note(connection: impl Future<Output = Result<()>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an upgraded connection ended with an error");
    }
}

/// The app behind an Upgrade; its requests have the extensions of the request to upgrade, and their own.
struct Inherit<A> {
    app: A,
    extensions: Extensions,
}

impl<A> hyper::service::Service<Request<Body>> for Inherit<A>
where
    A: hyper::service::Service<Request<Body>>,
{
    type Response = A::Response;
    type Error = A::Error;
    type Future = A::Future;

    fn call(&self, mut request: Request<Body>) -> A::Future {
        if !self.extensions.is_empty() {
            let own = std::mem::replace(request.extensions_mut(), self.extensions.clone());
            request.extensions_mut().extend(own);
        }
        self.app.call(request)
    }
}

impl<S, A, E, Q, R, B> Service<Request<Q>> for Upgrade<S, A, E>
where
    S: Service<Request<Q>, Response = Response<R>>,
    A: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    A::Future: Send,
    A::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    E: Executor<BoxTask>
        + Executor<StreamTask<TowerToHyperServiceFuture<A, Request<Body>>, B>>
        + Clone
        + Send
        + 'static,
    Q: http_body::Body,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = UpgradeFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Q>) -> Self::Future {
        UpgradeFuture {
            answer: match self.take(&mut request) {
                Some(response) => FutureKind::Switching {
                    response: Some(response),
                },
                None => FutureKind::Inner {
                    future: self.inner.call(request),
                },
            },
        }
    }
}

pin_project! {
    /// The answer of an [`Upgrade`].
    pub struct UpgradeFuture<F, R> {
        #[pin]
        answer: FutureKind<F, R>,
    }
}

pin_project! {
    #[project = FutureKindProjection]
    enum FutureKind<F, R> {
        Inner { #[pin] future: F },
        Switching { response: Option<Response<R>> },
    }
}

impl<F, R, E> Future for UpgradeFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().answer.project() {
            FutureKindProjection::Inner { future } => future.poll(cx),
            FutureKindProjection::Switching { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Polled again after it was ready.
                None => Poll::Pending,
            },
        }
    }
}

impl<F, R> fmt::Debug for UpgradeFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeFuture").finish_non_exhaustive()
    }
}
