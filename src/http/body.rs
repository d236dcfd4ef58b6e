//! The body of every message that comes out of this crate, and of every app that serves several protocols.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;

use super::BoxError;
use super::message::trailers_from_block;
use crate::error::{Error, Result};
use crate::frame::ResetStatus;
use crate::headers::HeaderBlock;
use crate::stream::RecvStream;

/// A request or response body: streamed from a SPDY stream, or any other body in a box.
///
/// Implements `http_body::Body<Data = Bytes, Error = spdy::Error>`. Reading it is what gives the peer credit to send
/// more: a body that is not read stops its own stream and no other. Trailers come as the last frame.
///
/// Dropping a response body before its end resets the stream with CANCEL. Dropping a request body only stops
/// reading: the response can still be sent.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(StreamBody),
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>),
}

impl Body {
    /// A body without bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Any body in a box, for example hyper's `Incoming`, so that one `Service<Request<spdy::Body>>` serves every
    /// protocol. A `Body` is left as it is.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut body = Some(body);
        let any: &mut dyn Any = &mut body;
        if let Some(ours) = any.downcast_mut::<Option<Self>>().and_then(Option::take) {
            return ours;
        }
        match body {
            Some(body) => Self(Kind::Boxed(Box::pin(MapError { body }))),
            None => Self::empty(),
        }
    }

    pub(crate) fn stream(body: StreamBody) -> Self {
        Self(Kind::Stream(body))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Kind::Full(bytes))
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => stream.poll_frame(cx),
            Kind::Boxed(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Stream(stream) => stream.is_end(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Empty => "empty",
            Kind::Full(_) => "full",
            Kind::Stream(_) => "stream",
            Kind::Boxed(_) => "boxed",
        };
        f.debug_tuple("Body").field(&kind).finish()
    }
}

pin_project! {
    /// A body whose error becomes ours.
    struct MapError<B> {
        #[pin]
        body: B,
    }
}

impl<B> http_body::Body for MapError<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = ready!(self.project().body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(into_error)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error of a body: ours as it is, others as the source of ours.
pub(crate) fn into_error(error: impl Into<BoxError>) -> Error {
    match error.into().downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::body("the body failed", other),
    }
}

/// Whether a request body turned out to be wrong, and whether its response was sent already: decides between 400
/// and RST_STREAM (SPDY/3.1 section 3.2.1). Shared by the body and the task that answers.
#[derive(Debug, Default)]
pub(crate) struct Verdict(AtomicU8);

impl Verdict {
    const OPEN: u8 = 0;
    const FAULTY: u8 = 1;
    const ANSWERED: u8 = 2;

    fn turn(&self, to: u8) -> Result<(), u8> {
        let turned = self
            .0
            .compare_exchange(Self::OPEN, to, Ordering::AcqRel, Ordering::Acquire);
        turned.map(drop)
    }

    /// A response is about to be sent; `false` if the body was faulty, and 400 is the answer.
    pub(crate) fn answer(&self) -> bool {
        self.turn(Self::ANSWERED) != Err(Self::FAULTY)
    }

    /// Whether the body turned out to be faulty before it was answered.
    pub(crate) fn is_faulty(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::FAULTY
    }

    /// The body is faulty; `false` if it was answered already.
    fn fault(&self) -> bool {
        self.turn(Self::FAULTY) != Err(Self::ANSWERED)
    }
}

/// What is to be done with the stream when its body is dropped, and how strict its length is.
#[derive(Debug)]
pub(crate) enum Side {
    /// A request body at the server: its length has to be what content-length says.
    Request(Option<Arc<Verdict>>),
    /// A response body at the client: content-length is advisory (section 3.2.2), a drop cancels.
    Response,
}

/// A body that arrives on a stream.
#[derive(Debug)]
pub(crate) struct StreamBody {
    recv: RecvStream,
    side: Side,
    content_length: Option<u64>,
    received: u64,
    done: bool,
}

impl StreamBody {
    pub(crate) fn new(mut recv: RecvStream, side: Side, content_length: Option<u64>) -> Self {
        if let Some(length) = content_length {
            recv.set_expected(length);
        }
        Self {
            recv,
            side,
            content_length,
            received: 0,
            done: false,
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.done {
            return Poll::Ready(None);
        }
        match ready!(self.recv.poll_data(cx)) {
            Ok(Some(bytes)) => {
                self.received += bytes.len() as u64;
                if self
                    .content_length
                    .is_some_and(|length| self.received > length)
                {
                    if let Some(error) =
                        self.wrong_length("the body is longer than its content-length")
                    {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Ok(None) => {
                if self
                    .content_length
                    .is_some_and(|length| self.received < length)
                {
                    if let Some(error) =
                        self.wrong_length("the body is shorter than its content-length")
                    {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                self.done = true;
                Poll::Ready(self.trailers().transpose())
            }
            Err(error) if self.is_late_reset(&error) => {
                tracing::debug!("RST_STREAM(INVALID_STREAM) after the whole body taken as its end");
                self.done = true;
                Poll::Ready(None)
            }
            Err(error) => {
                self.done = true;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// Section 3.2.1: a request whose body is not as long as it says is answered with 400; when it was answered
    /// already, the stream is reset.
    fn wrong_length(&mut self, why: &'static str) -> Option<Error> {
        let Side::Request(verdict) = &self.side else {
            return None;
        };
        self.done = true;
        if verdict.as_ref().is_none_or(|verdict| !verdict.fault()) {
            self.recv.reset(ResetStatus::PROTOCOL_ERROR);
        }
        Some(Error::reset(
            self.recv.id(),
            ResetStatus::PROTOCOL_ERROR,
            crate::error::Initiator::Library,
            why,
        ))
    }

    /// node answers a WINDOW_UPDATE for a stream that it has finished with INVALID_STREAM, sometimes instead of its
    /// FIN, although every byte was delivered.
    fn is_late_reset(&self, error: &Error) -> bool {
        matches!(self.side, Side::Response)
            && error.reset_status() == Some(ResetStatus::INVALID_STREAM)
            && error.is_remote()
            && self.content_length == Some(self.received)
    }

    /// All HEADERS that came behind the first: SPDY allows them anywhere, HTTP knows them at the end only.
    fn trailers(&mut self) -> Result<Option<Frame<Bytes>>> {
        let mut all: Option<http::HeaderMap> = None;
        while let Some(block) = self.recv.take_headers() {
            let headers = self.parse_trailers(&block)?;
            let all = all.get_or_insert_with(http::HeaderMap::new);
            for (name, value) in &headers {
                // The list is bounded by the header limits, far below what a map holds.
                if all.try_append(name.clone(), value.clone()).is_err() {
                    return Err(Error::user("too many trailers"));
                }
            }
        }
        Ok(all.filter(|all| !all.is_empty()).map(Frame::trailers))
    }

    fn parse_trailers(&mut self, block: &HeaderBlock) -> Result<http::HeaderMap> {
        trailers_from_block(block).map_err(|malformed| {
            self.recv.reset(ResetStatus::PROTOCOL_ERROR);
            malformed.into_error(self.recv.id())
        })
    }

    fn is_end(&self) -> bool {
        self.done
            || self.recv.is_end()
                && self
                    .content_length
                    .is_none_or(|length| length == self.received)
    }

    fn size_hint(&self) -> SizeHint {
        match self.content_length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.received)),
            None if self.done => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if matches!(self.side, Side::Response) && !self.done && !self.recv.is_end() {
            self.recv.reset(ResetStatus::CANCEL);
        }
    }
}
