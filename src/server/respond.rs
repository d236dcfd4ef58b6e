//! From a service's answer to a stream.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::error::Result;
use crate::frame::ResetStatus;
use crate::headers::HeaderBlock;
use crate::http::body::{Verdict, into_error};
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

/// The answering end of a request.
///
/// Dropped without an answer, it resets the stream: INTERNAL_ERROR if a panic is under way, because the service
/// failed, else CANCEL.
pub(crate) struct Responder {
    send: Option<SendStream>,
    method: Option<Method>,
    verdict: Option<Arc<Verdict>>,
    warning: Arc<StripWarning>,
}

impl Responder {
    pub(crate) fn new(send: SendStream, warning: Arc<StripWarning>) -> Self {
        Self { send: Some(send), method: None, verdict: None, warning }
    }

    pub(crate) fn set_method(&mut self, method: &Method) {
        self.method = Some(method.clone());
    }

    pub(crate) fn set_verdict(&mut self, verdict: Option<Arc<Verdict>>) {
        self.verdict = verdict;
    }

    /// Answers with a bare status.
    pub(crate) fn refuse(&mut self, status: StatusCode) {
        let Some(mut send) = self.send.take() else { return };
        let mut response = Response::new(());
        *response.status_mut() = status;
        let (parts, ()) = response.into_parts();
        match response_to_block(&parts, Some(0), &date()) {
            // The stream may be gone: then there is nobody to answer.
            Ok(head) => drop(send.reply(head.block, None)),
            Err(_) => send.reset(ResetStatus::INTERNAL_ERROR),
        }
    }

    /// The service has failed.
    fn fail(&mut self, why: &dyn fmt::Display) {
        tracing::error!(error = %why, "the service failed; its stream is reset with INTERNAL_ERROR");
        if let Some(send) = self.send.take() {
            send.reset(ResetStatus::INTERNAL_ERROR);
        }
    }

    /// Resolves when the peer has ended the stream, so that nobody waits for the answer any more.
    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.send {
            Some(send) => match send.watch_end(cx) {
                Ok(()) => Poll::Pending,
                Err(_) => Poll::Ready(()),
            },
            None => Poll::Ready(()),
        }
    }

    /// Sends the head; a body of which more may come goes on in a pipe.
    fn respond<B>(&mut self, response: Response<B>, cx: &mut Context<'_>) -> Option<Pipe<B>>
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
        if self.verdict.as_ref().is_some_and(|verdict| !verdict.answer()) {
            // Section 3.2.1: the request body is not as long as its content-length says.
            self.refuse(StatusCode::BAD_REQUEST);
            return None;
        }
        let method = self.method.as_ref().unwrap_or(&Method::GET);
        let has_body = ResponseBody::of(method, parts.status) != ResponseBody::Forbidden;
        let length = if *method == Method::HEAD { None } else { body.size_hint().exact() };
        let head = match response_to_block(&parts, length, &date()) {
            Ok(head) => head,
            Err(error) => {
                self.fail(&error);
                return None;
            }
        };
        self.warning.note(head.stripped);
        let send = self.send.take()?;
        if !has_body || body.is_end_stream() {
            let mut send = send;
            drop(send.reply(head.block, None));
            return None;
        }
        start_body(send, head.block, body, cx)
    }
}

/// Replies, with the body at once if it is there as a whole: SYN_REPLY, DATA and FIN under one lock.
fn start_body<B>(mut send: SendStream, head: HeaderBlock, body: B, cx: &mut Context<'_>) -> Option<Pipe<B>>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    // A body whose length is known and small is there, or as good as: the first poll yields it.
    const AT_ONCE: u64 = 16 * 1024;
    let whole = body.size_hint().exact().is_some_and(|length| length <= AT_ONCE);
    if !whole {
        if send.open_reply(head).is_err() {
            return None;
        }
        return Some(Pipe::new(send, body, ResetStatus::INTERNAL_ERROR));
    }
    // Boxed only on this path would defeat its purpose: the body is polled where it will stay.
    let mut pipe = Pipe::new(send, body, ResetStatus::INTERNAL_ERROR);
    pipe.set_head(head);
    let _ = cx;
    Some(pipe)
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(send) = &self.send {
            if std::thread::panicking() {
                send.reset(ResetStatus::INTERNAL_ERROR);
            }
        }
    }
}
