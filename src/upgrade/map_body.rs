use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use tower_service::Service;

use crate::http::{Body, BoxError};

/// A service of `Request<spdy::Body>` as a service of requests with any body.
#[derive(Clone, Copy, Debug)]
pub struct MapBody<S>(S);

impl<S> MapBody<S> {
    pub(super) fn new(service: S) -> Self {
        Self(service)
    }
}

impl<S, B> Service<Request<B>> for MapBody<S>
where
    S: Service<Request<Body>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.0.call(request.map(Body::new))
    }
}
