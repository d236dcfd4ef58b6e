#[cfg(feature = "client")]
mod client;
#[cfg(feature = "upgrade")]
mod http1;
#[cfg(feature = "auto")]
mod http2;

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use http::{Request, Response};
use hyper::rt::{Executor, Read, Write};
use hyper::service::Service;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::{Connection, StreamTask};
use crate::error::{Error, Result, Timeout};
use crate::http::{Body, BoxError};

/// A connection that can be asked to finish what is under way and to begin nothing new.
///
/// Those of this crate are such, server, client and raw; and hyper's own servers of HTTP/1.1 (feature `upgrade`) and HTTP/2
/// (feature `auto`), because a server whose connections may be upgraded has both kinds.
pub trait GracefulConnection: Future<Output = Result<(), Self::Error>> {
    /// Why the connection ended.
    type Error: Into<BoxError>;

    /// Starts a graceful shutdown and returns at once; the connection is polled on until it ends.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

/// The end of a connection: an error of this crate is left as it is.
pub(crate) fn outcome<E: Into<BoxError>>(output: Result<(), E>) -> Result<()> {
    output.map_err(|error| match error.into().downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::http("a connection ended with an error", other),
    })
}

/// How long connections that are cut are given to be gone.
const CUT: Duration = Duration::from_secs(1);

/// How far a shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Connections finish what is under way.
    Draining,
    /// The deadline has passed: connections are dropped.
    Cut,
}

/// Shuts connections down together: watches them, tells all of them to finish, waits for them, and cuts those that
/// have not ended at the deadline.
///
/// Clones are the same shutdown. A connection that is watched after the shutdown began is told so at once; hyper-util's
/// type of this name leaves that one waiting, which is why it cannot be cloned.
///
/// ```no_run
/// # use std::time::Duration;
/// # use hyper_util::rt::{TokioExecutor, TokioIo};
/// # use spdy::server::{self, GracefulShutdown};
/// # async fn example(listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
/// # let service = hyper::service::service_fn(|_: hyper::Request<spdy::Body>| async {
/// #     Ok::<_, std::convert::Infallible>(hyper::Response::new(spdy::Body::empty()))
/// # });
/// let graceful = GracefulShutdown::new();
/// loop {
///     tokio::select! {
///         accepted = listener.accept() => {
///             let connection = server::Builder::new(TokioExecutor::new())
///                 .serve_connection(TokioIo::new(accepted?.0), service);
///             tokio::spawn(graceful.watch(connection));
///         }
///         _ = tokio::signal::ctrl_c() => break,
///     }
/// }
/// graceful.shutdown_within(Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct GracefulShutdown {
    phase: watch::Sender<Phase>,
    /// For those who want to know, and are not waited for.
    started: watch::Sender<bool>,
}

impl GracefulShutdown {
    /// Watches nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            started: watch::Sender::new(false),
        }
    }

    /// The connection, which from now on is part of the shutdown until the returned future ends or is dropped.
    ///
    /// The future ends as the connection does, or with a drain time-out when it was cut.
    pub fn watch<C: GracefulConnection>(
        &self,
        connection: C,
    ) -> impl Future<Output = Result<()>> + use<C> {
        // The place is taken here, not when the future is first polled.
        self.watcher().watch(connection)
    }

    /// Takes part in the shutdown at once, for a connection that is still to come: a shutdown waits for it from now
    /// on.
    pub fn watcher(&self) -> Watcher {
        Watcher {
            phase: self.phase.subscribe(),
        }
    }

    /// How many connections and watchers there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.phase.receiver_count()
    }

    /// Whether a shutdown has begun.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        *self.phase.borrow() != Phase::Serving
    }

    /// Completes when a shutdown begins, for what is no connection: a handler that tells its client so, a command that has to
    /// be ended before its connection is cut. The shutdown does not wait for whoever awaits this; see
    /// [`watcher`](Self::watcher). Never completes if nobody is left to begin one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn started(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut started = self.started.subscribe();
        async move {
            if started.wait_for(|started| *started).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tells every connection to finish, without waiting.
    pub fn start(&self) {
        self.phase.send_if_modified(|phase| {
            let begins = *phase == Phase::Serving;
            if begins {
                *phase = Phase::Draining;
            }
            begins
        });
        self.started.send_replace(true);
    }

    /// Tells every connection to finish, and waits until all have ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting, not the shutdown.
    pub async fn shutdown(&self) {
        self.start();
        self.phase.closed().await;
    }

    /// As [`shutdown`](Self::shutdown), for at most `deadline`; connections that have not ended then are cut, with
    /// everything that is under way on them. Needs tokio's time. A deadline is what bounds a shutdown: without one, a
    /// client that never reads its response holds it up for ever.
    ///
    /// It is the future of a connection that cuts it: one that is neither polled nor dropped, like a [`Watcher`] that is
    /// held without a connection, is waited for one second beyond the deadline, and left behind.
    ///
    /// # Errors
    ///
    /// A drain time-out if connections were cut.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting and takes the deadline away, the shutdown goes on.
    pub async fn shutdown_within(&self, deadline: Duration) -> Result<()> {
        if tokio::time::timeout(deadline, self.shutdown())
            .await
            .is_ok()
        {
            return Ok(());
        }
        self.phase.send_replace(Phase::Cut);
        // Connections go at once. What may stay is a place that nobody has put a connection in, and which is not waited
        // for: it will be cut when one comes.
        drop(tokio::time::timeout(CUT, self.phase.closed()).await);
        Err(Error::timeout(Timeout::Drain))
    }
}

impl Default for GracefulShutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for GracefulShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GracefulShutdown")
            .field("phase", &*self.phase.borrow())
            .field("count", &self.count())
            .finish()
    }
}

/// A place in a [`GracefulShutdown`] for one connection. Dropping it gives the place up.
#[derive(Debug)]
#[must_use = "a shutdown waits for as long as this lives"]
pub struct Watcher {
    phase: watch::Receiver<Phase>,
}

impl Watcher {
    /// Waits until the shutdown begins; for ever if nobody is left to begin it.
    pub(crate) async fn begun(&mut self) {
        let begun = self.phase.wait_for(|phase| *phase != Phase::Serving).await;
        if begun.map(drop).is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Puts a connection in the place. The future ends as the connection does, or with a drain time-out when it was
    /// cut.
    ///
    /// # Errors
    ///
    /// The connection's, that of another crate as an [`is_http`](Error::is_http); a drain time-out when the deadline of
    /// the shutdown has passed.
    pub async fn watch<C: GracefulConnection>(self, connection: C) -> Result<()> {
        // Declared first, so that it is dropped behind the connection: who waits for the last place to be given up may
        // rely on the connection being gone.
        let mut phase = self.phase;
        let mut connection = pin!(connection);
        let draining = tokio::select! {
            // The connection first: what has arrived before the shutdown is taken before it is told. hyper closes an
            // HTTP/1.1 connection that is idle in its eyes, with a request unread.
            biased;
            output = connection.as_mut() => return outcome(output),
            draining = phase.wait_for(|phase| *phase != Phase::Serving) => draining.is_ok(),
        };
        if draining {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                output = connection.as_mut() => return outcome(output),
                cut = phase.wait_for(|phase| *phase == Phase::Cut) => if cut.is_ok() {
                    return Err(Error::timeout(Timeout::Drain));
                },
            }
        }
        // Nobody is left who could shut down or cut.
        outcome(connection.await)
    }
}

impl<I, S, E, B> GracefulConnection for Connection<I, S, E>
where
    I: Read + Write + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Executor<StreamTask<S::Future, B>>,
{
    type Error = Error;

    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

impl<T> GracefulConnection for crate::stream::Connection<T>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    type Error = Error;

    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}
