//! Bodies that are made as they are sent, and the reading of those that arrive.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Frame, SizeHint};
use spdy::Body;

use crate::BoxError;
use crate::pattern::{self, Checker, Random};
use crate::world::{PLANNED, Trouble, planned_panic};

const MAX_CHUNK: u64 = 16 << 10;

/// How a body ends.
#[derive(Debug)]
pub(crate) enum Fate {
    /// As it should, with a length that is told.
    Whole,
    /// As it should, with trailers.
    Trailers(HeaderMap),
    /// With an error.
    Broken,
    /// With a panic.
    Panic,
    /// Never: no more bytes come.
    Stuck,
}

/// The bytes from `position` to `end` of body `key`.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) key: u64,
    pub(crate) position: u64,
    pub(crate) end: u64,
    pub(crate) fate: Fate,
    /// Decides the sizes of the pieces.
    pub(crate) random: Random,
    /// One byte is to be wrong.
    pub(crate) spoilt: bool,
}

impl Pattern {
    pub(crate) fn new(key: u64, position: u64, end: u64, fate: Fate) -> Self {
        Self {
            key,
            position,
            end,
            fate,
            random: Random::new(key, position),
            spoilt: false,
        }
    }

    pub(crate) fn body(self) -> Body {
        Body::new(self)
    }

    fn chunk(&mut self) -> Bytes {
        let most = if self.random.one_in(4) { 64 } else { MAX_CHUNK };
        let len = (1 + self.random.below(most)).min(self.end - self.position);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        pattern::fill(self.key, self.position, &mut bytes);
        if std::mem::take(&mut self.spoilt) {
            bytes[0] ^= 1;
        }
        self.position += len;
        bytes.into()
    }
}

impl hyper::body::Body for Pattern {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // A source is not always ready.
        if self.random.one_in(16) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.position < self.end {
            return Poll::Ready(Some(Ok(Frame::data(self.chunk()))));
        }
        match std::mem::replace(&mut self.fate, Fate::Whole) {
            Fate::Whole => Poll::Ready(None),
            Fate::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Fate::Broken => Poll::Ready(Some(Err(PLANNED.into()))),
            Fate::Panic => planned_panic(),
            Fate::Stuck => {
                self.fate = Fate::Stuck;
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.fate {
            Fate::Whole => SizeHint::with_exact(self.end - self.position),
            _ => SizeHint::default(),
        }
    }
}

/// A request body on its way back, with a trailer added to its trailers.
pub(crate) struct Echo(pub(crate) Body);

impl hyper::body::Body for Echo {
    type Data = Bytes;
    type Error = spdy::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, spdy::Error>>> {
        let polled = Pin::new(&mut self.0).poll_frame(cx);
        polled.map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                trailers.insert("x-echoed", hyper::header::HeaderValue::from_static("yes"));
            }
            frame
        })
    }
}

/// How fast a body is read.
#[derive(Debug)]
pub(crate) enum Pace {
    Fast,
    /// With pauses of some milliseconds, drawn from these numbers.
    Slow(Random),
}

impl Pace {
    pub(crate) async fn pause(&mut self) {
        if let Self::Slow(random) = self {
            if random.one_in(4) {
                tokio::time::sleep(Duration::from_millis(1 + random.below(8))).await;
            }
        }
    }
}

/// Reads at most `most` bytes, and more only as far as they came in one piece; the trailers if it came to the end.
pub(crate) async fn read(
    body: &mut Body,
    checker: &mut Checker,
    most: u64,
    mut pace: Pace,
) -> Result<Option<HeaderMap>, Trouble> {
    while checker.checked() < most {
        let Some(frame) = body.frame().await else {
            return Ok(Some(HeaderMap::new()));
        };
        match frame?.into_data() {
            Ok(bytes) => checker.check(&bytes).map_err(Trouble::Wrong)?,
            Err(frame) => return Ok(Some(frame.into_trailers().unwrap_or_default())),
        }
        pace.pause().await;
    }
    Ok(None)
}

/// Reads to the end, which has to come after exactly `length` bytes.
pub(crate) async fn read_whole(
    body: &mut Body,
    key: u64,
    length: u64,
    pace: Pace,
) -> Result<HeaderMap, Trouble> {
    let mut checker = Checker::new(key, 0);
    let trailers = read(body, &mut checker, u64::MAX, pace).await?;
    if checker.checked() != length {
        let got = checker.checked();
        return Err(Trouble::Wrong(format!("{got} bytes instead of {length}")));
    }
    Ok(trailers.unwrap_or_default())
}
