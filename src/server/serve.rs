use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use hyper_util::rt::TokioExecutor;
use tokio::task::{JoinError, JoinSet};
use tower_service::Service;

use super::{Builder, GracefulShutdown, Listener, MakeConnection};
use crate::error::Result;
use crate::http::BoxError;
use crate::session::Config;

/// Serves a tower service over SPDY on every connection of a listener.
///
/// An axum `Router` is such a service as it is:
///
/// ```no_run
/// use axum::{Router, routing::get};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Router::new().route("/", get(|| async { "hello" }));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:6121").await?;
/// spdy::serve(listener, app).await?;
/// # Ok(())
/// # }
/// ```
///
/// Runs until [`with_graceful_shutdown`](Serve::with_graceful_shutdown); without it, for ever. Needs a tokio runtime
/// with IO and time enabled.
pub fn serve<L, S>(listener: L, service: S) -> Serve<L, Same<S>>
where
    L: Listener,
{
    serve_with(listener, Same(service))
}

/// As [`serve`], with a service made for each connection from the address of its peer.
///
/// Axum's `into_make_service_with_connect_info::<SocketAddr>()` fits:
///
/// ```no_run
/// use std::net::SocketAddr;
/// use axum::{Router, extract::ConnectInfo, routing::get};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Router::new().route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:6121").await?;
/// spdy::serve_with(listener, app.into_make_service_with_connect_info::<SocketAddr>())
///     .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
///     .drain_timeout(std::time::Duration::from_secs(30))
///     .await?;
/// # Ok(())
/// # }
/// ```
pub fn serve_with<L, M>(listener: L, make: M) -> Serve<L, M>
where
    L: Listener,
{
    Serve {
        listener,
        make,
        builder: Builder::new(TokioExecutor::new()),
        signal: Box::pin(std::future::pending()),
        drain_timeout: None,
        graceful: GracefulShutdown::new(),
    }
}

/// Makes the same service for every connection.
#[derive(Clone, Debug)]
pub struct Same<S>(S);

impl<S: Clone, T> Service<T> for Same<S> {
    type Response = S;
    type Error = Infallible;
    type Future = std::future::Ready<Result<S, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: T) -> Self::Future {
        std::future::ready(Ok(self.0.clone()))
    }
}

/// What [`serve`] and [`serve_with`] return: options, then `.await`.
///
/// `P` is what makes a connection of each transport: a [`server::Builder`](Builder), or one for several protocols.
#[must_use = "nothing is served unless this is awaited"]
pub struct Serve<L, M, P = Builder<TokioExecutor>> {
    listener: L,
    make: M,
    builder: P,
    signal: Pin<Box<dyn Future<Output = ()> + Send>>,
    drain_timeout: Option<Duration>,
    graceful: GracefulShutdown,
}

/// How long a shutdown waits for transports that the listener has taken and not handed out.
const LAST_TAKEN: Duration = Duration::from_secs(1);

impl<L, M, P> Serve<L, M, P> {
    /// Shuts down gracefully when `signal` completes: no connection is accepted any more, every client is told with
    /// GOAWAY, requests under way are served to the end.
    pub fn with_graceful_shutdown<F>(mut self, signal: F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.signal = Box::pin(signal);
        self
    }

    /// Makes this server and its connections part of a shutdown that others share. It is one with the
    /// [signal](Self::with_graceful_shutdown): whichever comes first begins it for all.
    pub fn graceful(mut self, graceful: &GracefulShutdown) -> Self {
        self.graceful = graceful.clone();
        self
    }

    /// How long a graceful shutdown waits for requests under way; then their connections are cut, and the future
    /// ends with a time-out error. Default: for ever, and then a client that never reads its response holds it up for ever.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = Some(timeout);
        self
    }

    /// Replaces what makes the connections, and with it their options, executor and timer.
    pub fn builder<P2>(self, builder: P2) -> Serve<L, M, P2> {
        self.map_builder(|_| builder)
    }

    pub(super) fn map_builder<P2>(self, f: impl FnOnce(P) -> P2) -> Serve<L, M, P2> {
        Serve {
            listener: self.listener,
            make: self.make,
            builder: f(self.builder),
            signal: self.signal,
            drain_timeout: self.drain_timeout,
            graceful: self.graceful,
        }
    }
}

impl<L, M, E> Serve<L, M, Builder<E>> {
    /// The options of every connection. Default: [`Config::server`].
    pub fn config(mut self, config: Config) -> Self {
        self.builder.config(config);
        self
    }
}

impl<L, M, P> Serve<L, M, P>
where
    L: Listener,
    L::Addr: fmt::Debug,
    M: Service<L::Addr> + Send + 'static,
    M::Error: Into<BoxError>,
    M::Future: Send,
    P: MakeConnection<L::Io, M::Response>,
{
    async fn run(self) -> Result<()> {
        let Self {
            mut listener,
            make,
            builder,
            mut signal,
            drain_timeout,
            graceful,
        } = self;
        listener.set_protocols(builder.alpn());
        // Accepting takes part in the shutdown, too.
        let mut place = graceful.watcher();
        let mut accepting = Accepting {
            make,
            builder,
            graceful,
            connections: JoinSet::new(),
        };
        loop {
            tokio::select! {
                () = &mut signal => break,
                () = place.begun() => break,
                // Ended ones are taken out, so that the set holds live ones only.
                Some(ended) = accepting.connections.join_next() => note_panic(ended),
                (io, address) = listener.accept() => {
                    // A maker that takes its time must not hold up the shutdown.
                    tokio::select! {
                        () = &mut signal => break,
                        () = place.begun() => break,
                        () = accepting.serve(io, address) => {}
                    }
                }
            }
        }
        let graceful = accepting.graceful.clone();
        graceful.start();
        // What was taken before the signal: its client may have sent a request already.
        let taken = async {
            while let Some((io, address)) = listener.drain().await {
                accepting.serve(io, address).await;
            }
        };
        drop(tokio::time::timeout(LAST_TAKEN, taken).await);
        drop(listener);
        drop(place);
        let drained = match drain_timeout {
            None => {
                graceful.shutdown().await;
                Ok(())
            }
            Some(timeout) => graceful.shutdown_within(timeout).await,
        };
        // All have ended: what is left is to see how. Those that were cut are dropped with the set.
        if drained.is_ok() {
            while let Some(ended) = accepting.connections.join_next().await {
                note_panic(ended);
            }
        }
        drained
    }
}

/// What becomes of accepted transports.
struct Accepting<M, P> {
    make: M,
    builder: P,
    graceful: GracefulShutdown,
    connections: JoinSet<()>,
}

impl<M, P> Accepting<M, P> {
    /// Makes a service for a transport, and starts its connection.
    async fn serve<I, A>(&mut self, io: I, address: A)
    where
        A: fmt::Debug,
        M: Service<A>,
        M::Error: Into<BoxError>,
        P: MakeConnection<I, M::Response>,
    {
        let peer = format!("{address:?}");
        match make(&mut self.make, address).await {
            Ok(service) => {
                let connection = self.builder.connection(io, service, Some(&peer));
                let connection = self.graceful.watch(connection);
                self.connections.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(peer, %error, "connection ended with an error");
                    }
                });
            }
            Err(error) => {
                let error: BoxError = error.into();
                tracing::error!(peer, %error, "no service was made for a connection; it is closed");
            }
        }
    }
}

/// Says that the task of a connection has panicked: a transport, or something else that is not ours, did. Over SPDY
/// services have a guard of their own, over HTTP/1.1 they run in the task of their connection, as everywhere with hyper.
fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        if error.is_panic() {
            tracing::error!(%error, "the task of a connection has panicked; the connection is lost");
        }
    }
}

/// Waits until the maker is ready, then makes a service.
async fn make<M, T>(maker: &mut M, target: T) -> Result<M::Response, M::Error>
where
    M: Service<T>,
{
    poll_fn(|cx| maker.poll_ready(cx)).await?;
    maker.call(target).await
}

impl<L, M, P> IntoFuture for Serve<L, M, P>
where
    L: Listener,
    L::Addr: fmt::Debug,
    M: Service<L::Addr> + Send + 'static,
    M::Error: Into<BoxError>,
    M::Future: Send,
    M::Response: Send,
    P: MakeConnection<L::Io, M::Response>,
{
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<L, M, P: fmt::Debug> fmt::Debug for Serve<L, M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("builder", &self.builder)
            .field("drain_timeout", &self.drain_timeout)
            .finish_non_exhaustive()
    }
}
