use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use crate::error::{Error, Result};

/// hyper's future of an HTTP/1.1 connection.
pub(crate) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Polls the connection until it has ended, and not beyond.
pub(crate) fn poll_driver(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    let Some(polled) = driver else {
        return;
    };
    if let Poll::Ready(ended) = polled.as_mut().poll(cx) {
        *driver = None;
        if let Err(error) = ended {
            tracing::debug!(%error, "the HTTP/1.1 connection of an Upgrade ended with an error");
        }
    }
}

/// The body of a response that did not come over SPDY, with hyper's errors as ours.
pub(crate) struct HyperBody {
    body: Incoming,
    /// For its errors.
    doing: &'static str,
    /// The connection that it comes on, where no task has it.
    driver: Option<Driver>,
}

impl HyperBody {
    pub(crate) fn new(body: Incoming, doing: &'static str, driver: Option<Driver>) -> Self {
        Self {
            body,
            doing,
            driver,
        }
    }
}

impl http_body::Body for HyperBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        poll_driver(&mut self.driver, cx);
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        frame.map_err(|error| Error::http(self.doing, error))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
