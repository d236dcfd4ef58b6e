use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Method, Request, Response};
use tracing::Span;
use tracing::field::Empty;

use super::request::{Common, TrySendError, detach};
use crate::error::{Error, Result};
use crate::frame::{Priority, ResetStatus};
use crate::headers::HeaderBlock;
use crate::http::body::{Side, StreamBody};
use crate::http::message::{ReceivedResponse, ResponseBody, request_to_block, response_from_block};
use crate::http::pipe::Pipe;
use crate::http::{Body, BoxError, DEFAULT_PRIORITY};
use crate::session::OpenOptions;
use crate::stream::{RecvStream, SendStream, Session, Slot, SlotWait};

/// The response to come. Dropping it cancels the request.
#[must_use = "the request is sent only while the future is polled"]
pub struct ResponseFuture<B>(TryResponseFuture<B>);

/// As [`ResponseFuture`], with an error that may give the request back.
#[must_use = "the request is sent only while the future is polled"]
pub struct TryResponseFuture<B> {
    common: Arc<Common>,
    /// The request, until it is known that it will not come back: a body that was polled is not in it any more.
    head: Option<Parts>,
    body: Option<B>,
    stage: Stage<B>,
    span: Span,
}

enum Stage<B> {
    /// Not opened; the slot is reserved.
    Ready(Slot),
    /// Not opened; the handle keeps the connection from ending as idle meanwhile.
    Waiting {
        wait: SlotWait,
        handle: Session,
    },
    Open(Exchange<B>),
    Done,
}

/// A request on its stream.
struct Exchange<B> {
    recv: RecvStream,
    method: Method,
    /// The sending half of a request whose body was not polled yet.
    unstarted: Option<SendStream>,
    upload: Option<Pin<Box<Pipe<B>>>>,
}

// No field is pinned in place: a body is boxed before it is polled.
impl<B> Unpin for ResponseFuture<B> {}
impl<B> Unpin for TryResponseFuture<B> {}

impl<B> TryResponseFuture<B> {
    pub(super) fn new(
        common: Arc<Common>,
        slot: Result<Slot, Session>,
        request: Request<B>,
    ) -> Self {
        let (head, body) = request.into_parts();
        let stage = match slot {
            Ok(slot) => Stage::Ready(slot),
            Err(handle) => Stage::Waiting {
                wait: SlotWait::new(Arc::clone(&common.shared)),
                handle,
            },
        };
        let span = tracing::debug_span!(
            parent: &common.span, "stream",
            id = Empty, method = head.method.as_str(), path = head.uri.path(), status = Empty,
        );
        Self {
            common,
            head: Some(head),
            body: Some(body),
            stage,
            span,
        }
    }

    /// The error of the request, with the request itself if it certainly was not processed and is whole.
    fn error(&mut self, error: Error) -> TrySendError<Request<B>> {
        let request = match (self.head.take(), self.body.take()) {
            (Some(head), Some(body)) if error.is_retryable() => {
                Some(Request::from_parts(head, body))
            }
            _ => None,
        };
        self.stage = Stage::Done;
        TrySendError::new(error, request)
    }
}

impl<B> TryResponseFuture<B>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Opens the stream.
    fn open(&mut self, slot: Slot) -> Result<Exchange<B>> {
        let gone = || Error::user("the response future was polled after it had ended");
        let head = self.head.as_ref().ok_or_else(gone)?;
        let body = self.body.as_ref().ok_or_else(gone)?;
        let length = if head.method == Method::CONNECT {
            None
        } else {
            body.size_hint().exact()
        };
        let outgoing = request_to_block(head, length)?;
        self.common.warning.note(outgoing.stripped);
        let priority = head
            .extensions
            .get::<Priority>()
            .copied()
            .unwrap_or(DEFAULT_PRIORITY);
        let empty = body.is_end_stream();
        // Section 3.2.1: a request without a body carries FIN on its SYN_STREAM.
        let options = OpenOptions::new().priority(priority).fin(empty);
        let method = head.method.clone();
        let shared = &self.common.shared;
        let key = slot.open(outgoing.block, options)?;
        let send = SendStream::new(Arc::clone(shared), key);
        let recv = RecvStream::new(Arc::clone(shared), key);
        Ok(Exchange {
            recv,
            method,
            unstarted: (!empty).then_some(send),
            upload: None,
        })
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Exchange<B>>> {
        let slot = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Ready(slot) => slot,
            Stage::Waiting { mut wait, handle } => match wait.poll(cx) {
                Poll::Ready(slot) => {
                    let opened = slot.and_then(|slot| self.open(slot));
                    drop(handle);
                    return Poll::Ready(opened);
                }
                Poll::Pending => {
                    self.stage = Stage::Waiting { wait, handle };
                    return Poll::Pending;
                }
            },
            Stage::Open(_) | Stage::Done => {
                return Poll::Ready(Err(Error::user(
                    "the response future was polled after it had ended",
                )));
            }
        };
        Poll::Ready(self.open(slot))
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Body>>> {
        let span = self.span.clone();
        let _entered = span.enter();
        if !matches!(self.stage, Stage::Open(_)) {
            let exchange = ready!(self.poll_open(cx))?;
            self.stage = Stage::Open(exchange);
        }
        let Stage::Open(exchange) = &mut self.stage else {
            return Poll::Pending;
        };
        if let Some(send) = exchange.start_upload(cx) {
            if let Some(body) = self.body.take() {
                exchange.upload = Some(Box::pin(Pipe::new(send, body, ResetStatus::CANCEL)));
            }
        }
        if let Some(upload) = &mut exchange.upload {
            if let Poll::Ready(result) = upload.as_mut().poll(cx) {
                exchange.upload = None;
                match result {
                    // The body failed: that is the error, not the reset that it causes.
                    Err(error) if error.is_body() || error.is_user() => {
                        return Poll::Ready(Err(error));
                    }
                    // The stream ended: the reply, or why there is none, says more.
                    Err(_) | Ok(()) => {}
                }
            }
        }
        let block = ready!(exchange.recv.poll_reply(cx))?;
        let response = self.finish(&block);
        self.stage = Stage::Done;
        Poll::Ready(response)
    }

    /// The reply has arrived: what is left of the upload goes on by itself.
    fn finish(&mut self, block: &HeaderBlock) -> Result<Response<Body>> {
        let Stage::Open(exchange) = std::mem::replace(&mut self.stage, Stage::Done) else {
            return Err(Error::user(
                "the response future was polled after it had ended",
            ));
        };
        let Exchange {
            recv,
            method,
            unstarted,
            upload,
        } = exchange;
        let head = match response_from_block(block) {
            Ok(ReceivedResponse::Final(head)) => head,
            Ok(ReceivedResponse::Interim(status)) => {
                recv.reset(ResetStatus::PROTOCOL_ERROR);
                let why = format!("a second interim response ({status}); SPDY has none");
                return Err(Error::reset(
                    recv.id(),
                    ResetStatus::PROTOCOL_ERROR,
                    crate::Initiator::Library,
                    why,
                ));
            }
            Err(malformed) => {
                recv.reset(ResetStatus::PROTOCOL_ERROR);
                return Err(malformed.into_error(recv.id()));
            }
        };
        if let Some(upload) = upload {
            self.common.spawner.spawn(detach(upload));
        } else if let (Some(send), Some(body)) = (unstarted, self.body.take()) {
            self.common
                .spawner
                .spawn(detach(Pipe::new(send, body, ResetStatus::CANCEL)));
        }
        if head.stripped {
            tracing::debug!("headers that concern one hop were left out of the response");
        }
        if !self.span.is_disabled() {
            self.span
                .record("id", recv.id().map(crate::frame::StreamId::get));
            self.span.record("status", head.response.status().as_u16());
        }
        let without_body =
            ResponseBody::of(&method, head.response.status()) == ResponseBody::Forbidden;
        let body = if recv.is_end() || without_body {
            Body::empty()
        } else {
            Body::stream(StreamBody::new(recv, Side::Response, head.content_length))
        };
        Ok(head.response.map(|()| body))
    }
}

impl<B> Exchange<B> {
    /// The sending half, once the stream takes bytes: until then the body stays untouched, and the request whole.
    fn start_upload(&mut self, cx: &mut Context<'_>) -> Option<SendStream> {
        let send = self.unstarted.as_mut()?;
        match send.poll_capacity(cx) {
            Poll::Ready(Ok(_)) => self.unstarted.take(),
            // The reply, or why there is none, says more.
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }
}

impl<B> Future for TryResponseFuture<B>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, TrySendError<Request<B>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match ready!(self.poll_response(cx)) {
            Ok(response) => Poll::Ready(Ok(response)),
            Err(error) => Poll::Ready(Err(self.error(error))),
        }
    }
}

impl<B> Future for ResponseFuture<B>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_response(cx)
    }
}

impl<B> ResponseFuture<B> {
    pub(super) fn new(future: TryResponseFuture<B>) -> Self {
        Self(future)
    }
}

impl<B> Drop for TryResponseFuture<B> {
    fn drop(&mut self) {
        // Also takes back a SYN_STREAM that was not sent.
        if let Stage::Open(exchange) = &self.stage {
            exchange.recv.reset(ResetStatus::CANCEL);
        }
    }
}

impl<B> fmt::Debug for TryResponseFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryResponseFuture").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for ResponseFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
