use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http::uri::Scheme;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use tower_service::Service;

use super::request;
use crate::alpn::Protocol;
use crate::client::hyper_body::HyperBody;
use crate::client::{ResponseFuture, SendRequest};
use crate::error::{Error, Result};
use crate::http::{Body, BoxError, origin};

/// Sends requests over SPDY, HTTP/2 or HTTP/1.1, whichever the connection turned out to be of.
///
/// The same request works over all three: give its URI in absolute form. Over HTTP/1.1 one request is under way at a
/// time; wait for [`ready`](Self::ready) before each. It cannot be cloned, because HTTP/1.1 could not share; a clone of
/// [`as_spdy`](Self::as_spdy) can.
pub struct Sender<B>(Kind<B>);

enum Kind<B> {
    Spdy(SendRequest<B>),
    Http2 {
        // Pinned, because hyper wants bodies there that can be moved.
        send: http2::SendRequest<Pin<Box<B>>>,
        /// For requests that have a `Host` instead of a whole URI.
        scheme: Scheme,
    },
    Http1(http1::SendRequest<B>),
}

impl<B> Sender<B> {
    pub(super) fn spdy(send: SendRequest<B>) -> Self {
        Self(Kind::Spdy(send))
    }

    pub(super) fn http2(send: http2::SendRequest<Pin<Box<B>>>, scheme: Scheme) -> Self {
        Self(Kind::Http2 { send, scheme })
    }

    pub(super) fn http1(send: http1::SendRequest<B>) -> Self {
        Self(Kind::Http1(send))
    }

    /// What the connection is of.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self.0 {
            Kind::Spdy(_) => Protocol::Spdy31,
            Kind::Http2 { .. } => Protocol::Http2,
            Kind::Http1(_) => Protocol::Http11,
        }
    }

    /// The SPDY connection, if it is one: to be cloned, to ping, to look at its figures.
    #[must_use]
    pub fn as_spdy(&self) -> Option<&SendRequest<B>> {
        match &self.0 {
            Kind::Spdy(send) => Some(send),
            _ => None,
        }
    }

    /// Whether the connection takes no more requests.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.0 {
            Kind::Spdy(send) => send.is_closed(),
            Kind::Http2 { send, .. } => send.is_closed(),
            Kind::Http1(send) => send.is_closed(),
        }
    }

    /// Ready when a request can be sent: see [`SendRequest::poll_ready`]; over HTTP/2 at once, over HTTP/1.1 when the
    /// exchange before has ended, with the body of its response.
    ///
    /// # Errors
    ///
    /// A retryable error when the connection takes no more requests.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let ready = match &mut self.0 {
            Kind::Spdy(send) => return send.poll_ready(cx),
            Kind::Http2 { send, .. } => send.poll_ready(cx),
            Kind::Http1(send) => send.poll_ready(cx),
        };
        ready.map_err(|error| not_sent(self.protocol(), error))
    }

    /// Waits until [`poll_ready`](Self::poll_ready) is ready.
    ///
    /// # Errors
    ///
    /// A retryable error when the connection takes no more requests.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn ready(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }
}

impl<B> Sender<B>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Sends a request. The future resolves to the response when its head has arrived; its body streams.
    ///
    /// # Errors
    ///
    /// Over SPDY those of [`SendRequest::send_request`]. Else a user error for a request without a host, and for one that
    /// has not waited for [`ready`](Self::ready) while another is under way over HTTP/1.1; or
    /// [`is_http`](Error::is_http) with hyper's error as the source; what was certainly not sent is
    /// [`is_retryable`](Error::is_retryable) on every protocol.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the response body before its end, cancels the request. HTTP/1.1 can do so only by ending
    /// the connection.
    pub fn send_request(&mut self, request: Request<B>) -> SenderFuture<B> {
        let protocol = self.protocol();
        let future = match &mut self.0 {
            Kind::Spdy(send) => Reply::Spdy(send.send_request(request)),
            Kind::Http2 { send, scheme } => {
                let (mut head, body) = request.into_parts();
                match request::for_http2(&mut head, scheme) {
                    Ok(()) => {
                        let request = Request::from_parts(head, Box::pin(body));
                        Reply::hyper(protocol, send.try_send_request(request))
                    }
                    Err(error) => Reply::refused(error),
                }
            }
            Kind::Http1(send) => {
                let (mut head, body) = request.into_parts();
                match origin::for_http1(&mut head) {
                    Ok(()) => {
                        let request = Request::from_parts(head, body);
                        let future = send.try_send_request(request);
                        Reply::hyper(protocol, future).refused_if_busy(send)
                    }
                    Err(error) => Reply::refused(error),
                }
            }
        };
        SenderFuture(future)
    }
}

impl<B> Service<Request<B>> for Sender<B>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = SenderFuture<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Self::poll_ready(self, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.send_request(request)
    }
}

impl<B> fmt::Debug for Sender<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("protocol", &self.protocol())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The response to come. Dropping it cancels the request.
#[must_use = "over SPDY the request is sent only while the future is polled"]
pub struct SenderFuture<B>(Reply<B>);

#[allow(
    clippy::large_enum_variant,
    reason = "the large one is the rule, and needs no allocation for it"
)]
enum Reply<B> {
    Spdy(ResponseFuture<B>),
    // Boxed: hyper's futures have no names.
    Http(Pin<Box<dyn Future<Output = Result<Response<Body>>> + Send>>),
}

impl<B> Reply<B> {
    fn refused(error: Error) -> Self {
        Self::Http(Box::pin(std::future::ready(Err(error))))
    }

    /// Tells a connection that is busy from one that is gone: hyper gives the request back at once in both cases. A
    /// connection gives back what it had taken only when it is closed.
    fn refused_if_busy(mut self, send: &http1::SendRequest<B>) -> Self {
        let mut cx = Context::from_waker(Waker::noop());
        if let Self::Http(future) = &mut self {
            // Whatever is not settled yet is polled again, by the caller.
            if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
                let result = match result {
                    Err(error) if error.is_retryable() && !send.is_closed() => Err(Error::user(
                        "a request is under way on this connection, and HTTP/1.1 takes one at a time: wait for \
                             `ready` before the next",
                    )),
                    result => result,
                };
                *future = Box::pin(std::future::ready(result));
            }
        }
        self
    }

    fn hyper<F, R>(protocol: Protocol, future: F) -> Self
    where
        F: Future<Output = Result<Response<Incoming>, TrySendError<R>>> + Send + 'static,
    {
        Self::Http(Box::pin(async move {
            match future.await {
                Ok(response) => Ok(response.map(|body| {
                    // A task has the connection.
                    Body::new(HyperBody::new(body, over(protocol), None))
                })),
                // hyper gives the request back if nothing of it was written.
                Err(error) if error.message().is_some() => {
                    Err(not_sent(protocol, error.into_error()))
                }
                Err(error) => Err(failed(protocol, error.into_error())),
            }
        }))
    }
}

impl<B> Future for SenderFuture<B>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Reply::Spdy(future) => Pin::new(future).poll(cx),
            Reply::Http(future) => future.as_mut().poll(cx),
        }
    }
}

impl<B> fmt::Debug for SenderFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SenderFuture").finish_non_exhaustive()
    }
}

/// For messages.
fn over(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Spdy31 => "over SPDY/3.1",
        Protocol::Http2 => "over HTTP/2",
        Protocol::Http11 => "over HTTP/1.1",
    }
}

fn failed(protocol: Protocol, error: hyper::Error) -> Error {
    Error::http(over(protocol), error)
}

fn not_sent(protocol: Protocol, error: hyper::Error) -> Error {
    Error::unprocessed_because(
        "the connection takes no more requests",
        failed(protocol, error),
    )
}
