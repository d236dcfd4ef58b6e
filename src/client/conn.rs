use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Executor, Read, Timer, Write};
use hyper_util::rt::TokioIo;

use super::request::SendRequest;
use super::spawn::{BoxTask, Spawner};
use crate::conn::{Clock, Driver, TokioClock, handshake as conn_handshake, own_span};
use crate::error::Result;
use crate::frame::Role;

use crate::session::Config;
use crate::stream::Session;

/// Puts a client session on a transport, with the defaults of [`Config::client`].
///
/// Nothing moves before the [`Connection`] is polled; spawn it.
///
/// # Errors
///
/// None yet: SPDY has no preface to wait for. The result keeps hyper's shape.
pub async fn handshake<E, T, B>(exec: E, io: T) -> Result<(SendRequest<B>, Connection<T>)>
where
    E: Executor<BoxTask> + Send + Sync + 'static,
    T: Read + Write + Unpin,
{
    Builder::new(exec).handshake(io).await
}

/// Builds client connections: all options, and the executor for uploads that outlive their response future and, below a
/// [`Connector`](super::Connector), for the connections.
#[derive(Clone, Debug)]
pub struct Builder {
    spawner: Spawner,
    config: Config,
    clock: Arc<dyn Clock>,
}

crate::rt::builder_setters!($ [impl Builder]);

impl Builder {
    /// The defaults of [`Config::client`]. An upload runs inside its response future; what is left of it when the
    /// response has arrived goes on as a task on `exec`.
    pub fn new<E>(exec: E) -> Self
    where
        E: Executor<BoxTask> + Send + Sync + 'static,
    {
        Self {
            spawner: Spawner::new(exec),
            config: Config::client(),
            clock: Arc::new(TokioClock::new()),
        }
    }

    /// Replaces all options.
    pub fn config(&mut self, config: Config) -> &mut Self {
        self.config = config;
        self
    }

    /// Where time comes from. Default: tokio's; a runtime without its time driver has no time-outs.
    pub fn timer<T>(&mut self, timer: T) -> &mut Self
    where
        T: Timer + Send + Sync + 'static,
    {
        self.clock = crate::rt::clock(timer);
        self
    }

    /// The executor.
    pub(super) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Puts a client session on a transport.
    ///
    /// Nothing moves before the [`Connection`] is polled; spawn it.
    ///
    /// # Errors
    ///
    /// None yet: SPDY has no preface to wait for. The result keeps hyper's shape.
    #[allow(
        clippy::unused_async,
        reason = "hyper's shape; a later version may have something to wait for"
    )]
    pub async fn handshake<T, B>(&self, io: T) -> Result<(SendRequest<B>, Connection<T>)>
    where
        T: Read + Write + Unpin,
    {
        let mut config = self.config.clone();
        // Pushed streams are refused: nobody could look at them.
        config.accept_streams = false;
        config.skip_interim_replies = true;
        let (shared, driver) = conn_handshake(
            TokioIo::new(io),
            Role::Client,
            config,
            Arc::clone(&self.clock),
            own_span(Role::Client),
        );
        let session = Session::from_shared(shared);
        Ok((
            SendRequest::new(session, self.spawner.clone(), driver.span().clone()),
            Connection { driver },
        ))
    }
}

/// The future that moves the bytes of a client connection; spawn it.
///
/// Resolves when the transport is closed: `Ok` if the session ended without an error. It ends by itself when the
/// last [`SendRequest`] is gone and all streams have ended. Dropping it fails every request at once.
#[must_use = "nothing moves unless the connection is polled"]
pub struct Connection<T> {
    driver: Driver<TokioIo<T>>,
}

impl<T> Connection<T> {
    /// Names the peer in the tracing span of the connection.
    pub fn set_peer(&self, peer: impl fmt::Display) {
        self.driver
            .span()
            .record("peer", tracing::field::display(peer));
    }
}

impl<T: Unpin> Connection<T> {
    /// Starts a graceful shutdown and returns at once; go on polling the connection. Requests that were not sent
    /// fail as retryable, those under way finish.
    pub fn graceful_shutdown(mut self: Pin<&mut Self>) {
        self.driver.graceful_shutdown();
    }
}

impl<T> Future for Connection<T>
where
    T: Read + Write + Unpin,
{
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.driver.poll(cx)
    }
}

impl<T> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}
