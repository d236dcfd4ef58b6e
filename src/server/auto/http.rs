//! The service as hyper's HTTP/1.1 and HTTP/2 see it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Method, Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;
use tokio::sync::mpsc;

use crate::alpn::Protocol;
use crate::http::message::ResponseBody as Content;
use crate::http::{Body, switching};

/// The application, with the Upgrade to SPDY answered in front of it.
pub(super) struct HttpService<S> {
    app: S,
    /// Where the connection learns that it goes on as SPDY; `None` if upgrades are the application's.
    upgrades: Option<mpsc::Sender<OnUpgrade>>,
}

impl<S> HttpService<S> {
    pub(super) fn new(app: S, upgrades: Option<mpsc::Sender<OnUpgrade>>) -> Self {
        Self { app, upgrades }
    }

    /// Takes a request to upgrade; whether it was one.
    fn take_upgrade(&self, request: &mut Request<Incoming>) -> bool {
        let Some(upgrades) = &self.upgrades else {
            return false;
        };
        // The server below is ours, and does upgrades.
        if !switching::is_taken(request, |_| Ok(())) {
            return false;
        }
        // There is room: 101 is the last answer of its connection.
        upgrades.try_send(hyper::upgrade::on(request)).is_ok()
    }
}

impl<S, B> Service<Request<Incoming>> for HttpService<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ServiceFuture<S::Future, B>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let protocol = match request.version() {
            Version::HTTP_2 => Protocol::Http2,
            _ => Protocol::Http11,
        };
        let http2 = (protocol == Protocol::Http2).then(|| request.method().clone());
        let answer = if self.take_upgrade(&mut request) {
            Answer::Switching
        } else {
            request.extensions_mut().insert(protocol);
            Answer::App {
                future: self.app.call(request.map(Body::new)),
            }
        };
        ServiceFuture {
            answer,
            http2,
            body: PhantomData,
        }
    }
}

pin_project! {
    /// The answer of the service to an HTTP request.
    pub struct ServiceFuture<F, B> {
        #[pin]
        answer: Answer<F>,
        // The method, over HTTP/2.
        http2: Option<Method>,
        body: PhantomData<fn() -> B>,
    }
}

pin_project! {
    #[project = AnswerProjection]
    enum Answer<F> {
        App { #[pin] future: F },
        Switching,
    }
}

impl<F, B, E> Future for ServiceFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match this.answer.project() {
            AnswerProjection::App { future } => ready!(future.poll(cx)).map(|response| {
                let forbidden = this.http2.as_ref().is_some_and(|method| {
                    Content::of(method, response.status()) == Content::Forbidden
                });
                if forbidden {
                    // RFC 9110 sections 6.4.1 and 9.3.2. hyper leaves these bodies out of HTTP/1.1 only, and clients take
                    // them for an error of the protocol.
                    response.map(|_| ResponseBody::default())
                } else {
                    response.map(ResponseBody::app)
                }
            }),
            AnswerProjection::Switching => Ok(switching::response()),
        };
        Poll::Ready(response)
    }
}

impl<F, B> fmt::Debug for ServiceFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// The body of an HTTP answer: the application's, or none where there must be none.
    pub struct ResponseBody<B> {
        #[pin]
        body: Option<B>,
    }
}

impl<B> ResponseBody<B> {
    fn app(body: B) -> Self {
        Self { body: Some(body) }
    }
}

impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self { body: None }
    }
}

impl<B: http_body::Body> http_body::Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = SizeHint::with_exact(0);
        self.body.as_ref().map_or(none, B::size_hint)
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
