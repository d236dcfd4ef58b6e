//! One exchange of our HTTP client and our server with a bit of everything, and what each side saw of it.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame as BodyFrame;
use spdy::client::SendRequest;
use spdy::server::GracefulShutdown;
use spdy::{Body, Error};

use crate::http_support::*;

/// All requests, by path.
pub(crate) const PATHS: [&str; 9] = [
    "/plain", "/echo", "/stream", "/cancel", "/extra", "/never", "/late", "/slow", "/after",
];

/// All that ever comes of `/cancel`.
const FIRST: &str = "the first bytes";

/// What came of a request at the client.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Whole {
        status: u16,
        body: Bytes,
        trailers: Option<HeaderMap>,
    },
    /// The response has begun; then came an error.
    Broken { body: Bytes, error: Error },
    /// No response. `late`: the connection was known to be gone before.
    Failed { error: Error, late: bool },
    /// Dropped by the client in the middle of its body.
    Cancelled { body: Bytes },
}

impl Outcome {
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Self::Broken { error, .. } | Self::Failed { error, .. } => Some(error),
            Self::Whole { .. } | Self::Cancelled { .. } => None,
        }
    }

    /// What may not depend on the pace of the transport.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Whole {
                status,
                body,
                trailers,
            } => format!("{status} {body:?} {trailers:?}"),
            Self::Cancelled { body } => format!("cancelled behind {body:?}"),
            Self::Broken { body, error } => format!("{error} behind {body:?}"),
            Self::Failed { error, .. } => format!("failed, retryable: {}", error.is_retryable()),
        }
    }
}

pub(crate) type Report = BTreeMap<&'static str, Outcome>;

/// How a request body ended for the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    Whole(Vec<u8>),
    Failed(String),
    Dropped,
}

/// What the server saw, by path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<BTreeMap<String, Vec<Upload>>>>);

impl Log {
    /// How the uploads of the requests with this path ended, one for each.
    pub(crate) fn of(&self, path: &str) -> Vec<Upload> {
        let log = self.0.lock().unwrap();
        log.get(path).cloned().unwrap_or_default()
    }
}

/// A request body whose end is logged.
struct Witnessed {
    body: Body,
    bytes: Vec<u8>,
    path: String,
    log: Log,
    ended: Option<Upload>,
    _alive: Alive,
}

impl http_body::Body for Witnessed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Error>>> {
        let polled = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => {
                let data = frame.data_ref().cloned().unwrap_or_default();
                self.bytes.extend_from_slice(&data);
            }
            Some(Err(error)) => self.ended = Some(Upload::Failed(error.to_string())),
            None => {
                // What comes behind an error is no whole body.
                let bytes = std::mem::take(&mut self.bytes);
                self.ended.get_or_insert(Upload::Whole(bytes));
            }
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Witnessed {
    fn drop(&mut self) {
        let whole = self.body.is_end_stream();
        let ended = self.ended.take().unwrap_or(if whole {
            Upload::Whole(std::mem::take(&mut self.bytes))
        } else {
            Upload::Dropped
        });
        let mut log = self.log.0.lock().unwrap();
        log.entry(self.path.clone()).or_default().push(ended);
    }
}

fn trailers(name: &'static str, value: &'static str) -> Result<BodyFrame<Bytes>, BoxError> {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, value.parse().unwrap());
    Ok(BodyFrame::trailers(trailers))
}

/// A body of these frames, counted while it lives; between two frames others may run.
fn frames(
    alive: Option<Alive>,
    frames: Vec<Result<BodyFrame<Bytes>, BoxError>>,
    ends: bool,
) -> AnyBody {
    let mut frames = frames.into_iter();
    let mut yielded = false;
    let stream = futures_util::stream::poll_fn(move |cx| {
        let _alive = &alive;
        yielded = !yielded;
        if yielded {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match frames.next() {
            None if !ends => Poll::Pending,
            frame => Poll::Ready(frame),
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// The service.
pub(crate) async fn answer(
    request: Request<Body>,
    log: Log,
    census: Census,
    graceful: GracefulShutdown,
) -> Result<Response<AnyBody>, BoxError> {
    let _alive = census.enter();
    let path = request.uri().path().to_owned();
    let upload = Witnessed {
        body: request.into_body(),
        bytes: Vec::new(),
        path: path.clone(),
        log,
        ended: None,
        _alive: census.enter(),
    };
    let alive = Some(census.enter());
    let body = match path.as_str() {
        "/plain" | "/extra" => {
            upload.collect().await?;
            full("some plain bytes")
        }
        "/echo" => upload.map_err(Into::into).boxed_unsync(),
        "/stream" => frames(
            alive,
            vec![
                chunk(pattern(0, 150)),
                chunk(pattern(150, 90)),
                trailers("x-sum", "240"),
            ],
            true,
        ),
        "/cancel" => frames(alive, vec![chunk(FIRST)], false),
        "/never" => std::future::pending().await,
        "/late" => full(upload.collect().await?.to_bytes()),
        "/slow" => {
            graceful.start();
            frames(alive, vec![chunk("slow"), chunk("ly")], true)
        }
        other => return Err(format!("nobody asks for {other}").into()),
    };
    Ok(Response::new(body))
}

/// Reads a body to its end (`true`) or until there is enough.
async fn read(mut body: Body, enough: usize) -> (BytesMut, Option<HeaderMap>, Result<bool, Error>) {
    let (mut bytes, mut trailers) = (BytesMut::new(), None);
    while bytes.len() < enough {
        match body.frame().await {
            None => return (bytes, trailers, Ok(true)),
            Some(Err(error)) => return (bytes, trailers, Err(error)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
        }
    }
    (bytes, trailers, Ok(false))
}

/// Sends a request; its response is given up once so many bytes were read.
async fn ask(
    mut send: SendRequest<AnyBody>,
    path: &'static str,
    body: AnyBody,
    enough: usize,
) -> (&'static str, Outcome) {
    let late = send.is_closed();
    let method = if body.is_end_stream() { "GET" } else { "POST" };
    let request = Request::builder()
        .method(method)
        .uri(format!("http://a{path}"))
        .body(body)
        .unwrap();
    let response = match send.send_request(request).await {
        Ok(response) => response,
        Err(error) => return (path, Outcome::Failed { error, late }),
    };
    let status = response.status().as_u16();
    let (bytes, trailers, end) = read(response.into_body(), enough).await;
    let body = bytes.freeze();
    let outcome = match end {
        Ok(true) => Outcome::Whole {
            status,
            body,
            trailers,
        },
        Ok(false) => Outcome::Cancelled { body },
        Err(error) => Outcome::Broken { body, error },
    };
    (path, outcome)
}

/// The client's part. Five requests at once, of which the server takes four; then one by one, the last two across the
/// server's graceful shutdown.
pub(crate) async fn client_part(send: SendRequest<AnyBody>, census: &Census) -> Report {
    let all = usize::MAX;
    let ask = |path, body, enough| ask(send.clone(), path, body, enough);
    let upload = frames(
        Some(census.enter()),
        vec![
            chunk(pattern(7, 100)),
            chunk(pattern(107, 60)),
            trailers("x-end", "echo"),
        ],
        true,
    );
    let (a, b, c, d, e) = tokio::join!(
        ask("/plain", empty(), all),
        ask("/echo", upload, all),
        ask("/stream", empty(), all),
        ask("/cancel", empty(), FIRST.len()),
        ask("/extra", empty(), all),
    );
    let mut report = Report::from([a, b, c, d, e]);
    // One that is not answered stays open meanwhile, and is then given up.
    let never = pin!(ask("/never", empty(), all));
    let meanwhile = pin!(async {
        let late = send.is_closed();
        match send.ping().await {
            Ok(_) => assert!(!late, "a PING was answered on a connection that is over"),
            Err(error) => assert!(!error.is_user(), "{error:?}"),
        }
        let parts = vec![chunk("paid "), chunk("once")];
        let body = frames(Some(census.enter()), parts, true);
        ask("/late", body, all).await
    });
    let given_up = ("/never", Outcome::Cancelled { body: Bytes::new() });
    report.extend(match select(never, meanwhile).await {
        Either::Left((failed, meanwhile)) => [failed, meanwhile.await],
        Either::Right((late, never)) if send.is_closed() => [never.await, late],
        Either::Right((late, _)) => [given_up, late],
    });
    report.extend([ask("/slow", empty(), all).await]);
    // GOAWAY came before, or the connection is gone: it may not even be tried.
    let mut other = send.clone();
    if let Err(error) = other.ready().await {
        assert!(error.is_retryable(), "{error:?}");
    }
    report.extend([ask("/after", empty(), all).await]);
    report
}
