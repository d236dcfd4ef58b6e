use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::uri::Authority;
use http::{Request, Response};
use tower_service::Service;
use tracing::Span;

use super::response::{ResponseFuture, TryResponseFuture};
use super::spawn::Spawner;
use crate::conn::{Shared, Stats};
use crate::error::{Error, Result};
use crate::http::{Body, BoxError, StripWarning, Tunnel};
use crate::stream::{Session, Slot, SlotWait};

/// Sends requests on a client connection.
///
/// Clones share the connection, each with a reservation of its own. When the last one is dropped, open requests finish
/// and the connection ends.
pub struct SendRequest<B> {
    session: Session,
    common: Arc<Common>,
    /// The open slot that `poll_ready` has reserved.
    slot: Option<Slot>,
    waiting: Option<SlotWait>,
    body: PhantomData<fn(B)>,
}

/// What every request of a connection needs.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) shared: Arc<Shared>,
    pub(super) spawner: Spawner,
    pub(super) warning: StripWarning,
    /// The span of the connection.
    pub(super) span: Span,
}

impl<B> SendRequest<B> {
    pub(super) fn new(session: Session, spawner: Spawner, span: Span) -> Self {
        let common = Common {
            shared: Arc::clone(session.shared()),
            spawner,
            warning: StripWarning::default(),
            span,
        };
        Self {
            session,
            common: Arc::new(common),
            slot: None,
            waiting: None,
            body: PhantomData,
        }
    }

    /// Reserves an open slot: ready while fewer requests are open or waiting than the peer allows, and 100 more.
    ///
    /// # Errors
    ///
    /// A retryable error when the connection takes no more requests.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.slot.is_some() {
            // Reserved before; but the connection may have ended since.
            if !self.is_closed() {
                return Poll::Ready(Ok(()));
            }
            self.slot = None;
        }
        let session = &self.session;
        let waiting = self
            .waiting
            .get_or_insert_with(|| SlotWait::new(Arc::clone(session.shared())));
        let slot = ready!(waiting.poll(cx));
        self.waiting = None;
        self.slot = Some(slot?);
        Poll::Ready(Ok(()))
    }

    /// Waits until [`poll_ready`](Self::poll_ready) is ready.
    ///
    /// # Errors
    ///
    /// A retryable error when the connection takes no more requests.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future keeps the place in the queue.
    pub async fn ready(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    /// Whether [`poll_ready`](Self::poll_ready) has reserved a slot on a connection that lives.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.slot.is_some() && !self.is_closed()
    }

    /// Whether the connection takes no more requests: it ended, drains, or the peer sent GOAWAY.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.session.is_closing()
    }

    /// Measures a round trip with a PING.
    ///
    /// # Errors
    ///
    /// The error that ended the connection, or a user error when 64 PINGs are under way.
    pub async fn ping(&self) -> Result<Duration> {
        self.session.ping().await
    }

    /// What the connection has done so far, and where it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.session.stats()
    }

    /// The raw session below, to look at it or to shut it down.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl<B> SendRequest<B>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Sends a request. The future resolves to the response when its head has arrived; its body streams.
    ///
    /// The upload is driven by the future and goes on as a task when the response comes first. The URI needs an
    /// authority, or the request a `Host` header. Set the priority as a request extension of type
    /// [`Priority`](crate::frame::Priority); the default is 3.
    ///
    /// # Errors
    ///
    /// The future resolves to a user error for a request that cannot be sent, else to the stream's or the connection's
    /// error; see [`Error::is_retryable`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the response body before its end, resets the stream with CANCEL; a request that was
    /// not sent yet is withdrawn.
    pub fn send_request(&mut self, request: Request<B>) -> ResponseFuture<B> {
        ResponseFuture::new(self.try_send_request(request))
    }

    /// As [`send_request`](Self::send_request), but the error gives the request back if it certainly was not processed
    /// and its body was not touched, so that it can be sent on another connection.
    pub fn try_send_request(&mut self, request: Request<B>) -> TryResponseFuture<B> {
        self.waiting = None;
        // Without a slot the future waits for one, and keeps the connection open meanwhile.
        let slot = self.slot.take().ok_or_else(|| self.session.clone());
        TryResponseFuture::new(Arc::clone(&self.common), slot, request)
    }
}

impl SendRequest<Body> {
    /// Opens a tunnel through a proxy, with CONNECT.
    ///
    /// # Errors
    ///
    /// The connection's error, or a user error that names the status with which the proxy refused.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the request.
    pub async fn tunnel(&mut self, target: Authority) -> Result<Tunnel> {
        let (request, pending) = Tunnel::request(target);
        self.ready().await?;
        let response = self.send_request(request).await?;
        pending.finish(response).map_err(|response| {
            Error::user(format!(
                "the proxy refused the tunnel with status {}",
                response.status()
            ))
        })
    }
}

impl<B> Clone for SendRequest<B> {
    fn clone(&self) -> Self {
        Self {
            session: self.session.clone(),
            common: Arc::clone(&self.common),
            slot: None,
            waiting: None,
            body: PhantomData,
        }
    }
}

impl<B> Service<Request<B>> for SendRequest<B>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Self::poll_ready(self, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.send_request(request)
    }
}

impl<B> fmt::Debug for SendRequest<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendRequest")
            .field("session", &self.session)
            .field("ready", &self.slot.is_some())
            .finish_non_exhaustive()
    }
}

/// The error of [`SendRequest::try_send_request`], with the request if it can be sent again as it is.
pub struct TrySendError<R> {
    error: Error,
    request: Option<R>,
}

impl<R> TrySendError<R> {
    pub(super) fn new(error: Error, request: Option<R>) -> Self {
        Self { error, request }
    }

    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The request, if it certainly was not processed and its body is untouched.
    #[must_use]
    pub fn request(&self) -> Option<&R> {
        self.request.as_ref()
    }

    /// Takes the request out.
    pub fn take_request(&mut self) -> Option<R> {
        self.request.take()
    }

    /// The error alone.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }
}

impl<R> fmt::Debug for TrySendError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrySendError")
            .field("error", &self.error)
            .field("returned", &self.request.is_some())
            .finish()
    }
}

impl<R> fmt::Display for TrySendError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<R> std::error::Error for TrySendError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}

/// A future, boxed: what an upload becomes when it outlives its response future.
pub(super) fn detach<F>(upload: F) -> super::spawn::BoxTask
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    Box::pin(async move {
        if let Err(error) = upload.await {
            tracing::debug!(%error, "an upload ended early, behind its response");
        }
    })
}
