//! From a service's answer to a stream.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tracing::Span;

use crate::error::Result;
use crate::frame::ResetStatus;
use crate::http::body::Verdict;
use crate::http::message::{DateCache, ResponseBody, response_to_block};
use crate::http::pipe::Pipe;
use crate::http::{BoxError, StripWarning};
use crate::stream::SendStream;

/// The value of the `date` header, rendered once a second and thread.
fn date() -> HeaderValue {
    thread_local! {
        static DATE: RefCell<DateCache> = RefCell::new(DateCache::new(SystemTime::UNIX_EPOCH));
    }
    DATE.with_borrow_mut(|date| date.get(SystemTime::now()).clone())
}

/// Wakes a task when the stream ends that it answers. Its state can be seen without the lock of the session, so that a
/// service that is polled often costs none.
struct EndWatch {
    task: Waker,
    fired: AtomicBool,
}

impl Wake for EndWatch {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // First: the task must not find the watch intact.
        self.fired.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl EndWatch {
    fn still_wakes(&self, waker: &Waker) -> bool {
        !self.fired.load(Ordering::Acquire) && self.task.will_wake(waker)
    }
}

/// The answering end of a request; dropped without an answer, it resets the stream.
pub(crate) struct Responder {
    send: Option<SendStream>,
    method: Option<Method>,
    verdict: Option<Arc<Verdict>>,
    warning: Arc<StripWarning>,
    span: Span,
    /// What is registered at the session, which owns it: a task must not own its own waker.
    watch: Weak<EndWatch>,
}

impl Responder {
    pub(crate) fn new(send: SendStream, warning: Arc<StripWarning>, span: Span) -> Self {
        Self {
            send: Some(send),
            method: None,
            verdict: None,
            warning,
            span,
            watch: Weak::new(),
        }
    }

    pub(crate) fn set_method(&mut self, method: &Method) {
        self.method = Some(method.clone());
    }

    pub(crate) fn set_verdict(&mut self, verdict: Option<Arc<Verdict>>) {
        self.verdict = verdict;
    }

    /// Answers with a bare status.
    pub(crate) fn refuse(&mut self, status: StatusCode) {
        let Some(mut send) = self.send.take() else {
            return;
        };
        let mut response = Response::new(());
        *response.status_mut() = status;
        let (parts, ()) = response.into_parts();
        self.span.record("status", status.as_u16());
        match response_to_block(&parts, Some(0), &date()) {
            // The stream may be gone: then there is nobody to answer.
            Ok(head) => drop(send.respond(head.block, Bytes::new(), true)),
            Err(_) => send.reset(ResetStatus::INTERNAL_ERROR),
        }
    }

    /// The service has failed.
    pub(crate) fn fail(&mut self, why: &dyn fmt::Display) {
        if self
            .verdict
            .as_ref()
            .is_some_and(|verdict| verdict.is_faulty())
        {
            // It failed because its request did: section 3.2.1 names the answer.
            tracing::debug!(error = %why, "the service failed at a request body of the wrong length; 400 is sent");
            return self.refuse(StatusCode::BAD_REQUEST);
        }
        tracing::error!(error = %why, "the service failed; its stream is reset with INTERNAL_ERROR");
        if let Some(send) = self.send.take() {
            send.reset(ResetStatus::INTERNAL_ERROR);
        }
    }

    /// Resolves when the peer has ended the stream, so that nobody waits for the answer any more.
    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(send) = &mut self.send else {
            return Poll::Ready(());
        };
        let watch = self.watch.upgrade();
        if watch.is_some_and(|watch| watch.still_wakes(cx.waker())) {
            return Poll::Pending;
        }
        let watch = Arc::new(EndWatch {
            task: cx.waker().clone(),
            fired: AtomicBool::new(false),
        });
        self.watch = Arc::downgrade(&watch);
        match send.watch_end(&mut Context::from_waker(&Waker::from(watch))) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(()),
        }
    }

    /// Sends the head; a body of which more may come goes on in a pipe.
    fn respond<B>(&mut self, response: Response<B>) -> Option<Pipe<B>>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = response.into_parts();
        if parts.status.is_informational() {
            // SPDY has one SYN_REPLY per stream and so no 1xx.
            tracing::error!(status = %parts.status, "the service answered with an informational status; 500 is sent");
            self.refuse(StatusCode::INTERNAL_SERVER_ERROR);
            return None;
        }
        if self
            .verdict
            .as_ref()
            .is_some_and(|verdict| !verdict.answer())
        {
            // Section 3.2.1: the request body is not as long as its content-length says.
            self.refuse(StatusCode::BAD_REQUEST);
            return None;
        }
        let method = self.method.as_ref().unwrap_or(&Method::GET);
        let kind = ResponseBody::of(method, parts.status);
        let has_body = kind != ResponseBody::Forbidden;
        let length = if *method == Method::HEAD || kind == ResponseBody::Tunnel {
            None
        } else {
            body.size_hint().exact()
        };
        let head = match response_to_block(&parts, length, &date()) {
            Ok(head) => head,
            Err(error) => {
                self.fail(&error);
                return None;
            }
        };
        self.warning.note(head.stripped);
        self.span.record("status", parts.status.as_u16());
        let mut send = self.send.take()?;
        if !has_body || body.is_end_stream() {
            // The stream may be gone: then there is nobody to answer.
            drop(send.respond(head.block, Bytes::new(), true));
            return None;
        }
        Some(Pipe::with_reply(
            send,
            head.block,
            body,
            ResetStatus::INTERNAL_ERROR,
        ))
    }
}

pin_project! {
    /// One request at the server: its service future, then its response body. Run by the executor of the
    /// [`Builder`](super::Builder), whose bound names this type; there is nothing to do with it otherwise.
    pub struct StreamTask<F, B> {
        #[pin]
        stage: Stage<F, B>,
        responder: Responder,
        span: Span,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, B> {
        Service { #[pin] future: F },
        Body { #[pin] pipe: Pipe<B> },
        Done,
    }
}

impl<F, B> StreamTask<F, B> {
    pub(crate) fn new(future: F, responder: Responder, span: Span) -> Self {
        Self {
            stage: Stage::Service { future },
            responder,
            span,
        }
    }
}

impl<F, B, E> Future for StreamTask<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let _entered = this.span.enter();
        loop {
            let next = match this.stage.as_mut().project() {
                StageProjection::Service { future } => match future.poll(cx) {
                    Poll::Ready(Ok(response)) => match this.responder.respond(response) {
                        Some(pipe) => Stage::Body { pipe },
                        None => Stage::Done,
                    },
                    Poll::Ready(Err(error)) => {
                        let error: BoxError = error.into();
                        this.responder.fail(&error);
                        Stage::Done
                    }
                    Poll::Pending => {
                        // The client has cancelled: the service is dropped where it stands.
                        ready!(this.responder.poll_abandoned(cx));
                        Stage::Done
                    }
                },
                StageProjection::Body { pipe } => {
                    if let Err(error) = ready!(pipe.poll(cx)) {
                        tracing::debug!(%error, "the response body ended early");
                    }
                    Stage::Done
                }
                StageProjection::Done => return Poll::Ready(()),
            };
            this.stage.set(next);
        }
    }
}

impl<F, B> fmt::Debug for StreamTask<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTask").finish_non_exhaustive()
    }
}
