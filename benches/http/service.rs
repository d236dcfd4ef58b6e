//! The application, the same on both sides, and the requests for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode};

/// The body of `/small`.
pub(crate) static SMALL: LazyLock<Bytes> = LazyLock::new(|| pattern(1 << 10));

/// The body of `/large`, and of uploads.
pub(crate) static LARGE: LazyLock<Bytes> = LazyLock::new(|| pattern(1 << 20));

/// Bytes that do not repeat within a window or a frame, so that lost or doubled ones are noticed.
fn pattern(len: usize) -> Bytes {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

/// How many requests for `/idle` wait in the service.
pub(crate) type Idle = Arc<AtomicUsize>;

const CONTENT_TYPE: &str = "application/octet-stream";
const SERVER: &str = "bench";

fn response(body: Bytes) -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", CONTENT_TYPE)
        .header("server", SERVER)
        .body(Full::new(body))
        .expect("a response")
}

/// The bare service: `/small` and `/large` are downloads, `/upload` answers with the number of bytes it got,
/// `/idle` never answers.
pub(crate) async fn answer<B>(
    request: Request<B>,
    idle: Idle,
) -> Result<Response<Full<Bytes>>, Infallible>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    Ok(match request.uri().path() {
        "/small" => response(SMALL.clone()),
        "/large" => response(LARGE.clone()),
        "/upload" => {
            let mut body = request.into_body();
            let mut len = 0;
            while let Some(frame) = body.frame().await {
                len += frame.expect("an upload").data_ref().map_or(0, Bytes::len);
            }
            response(len.to_string().into())
        }
        "/idle" => {
            idle.fetch_add(1, Relaxed);
            std::future::pending().await
        }
        _ => {
            let mut response = response(Bytes::new());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

/// `/small` behind axum's router.
pub(crate) fn router() -> Router {
    let small = || async {
        let headers = [("content-type", CONTENT_TYPE), ("server", SERVER)];
        (headers, SMALL.clone())
    };
    Router::new().route("/small", get(small))
}

/// A request with the headers that a browser sends.
pub(crate) fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("http://bench.example{path}"))
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
        )
        .header(
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        )
        .header("accept-encoding", "gzip, deflate")
        .header("accept-language", "en-US,en;q=0.5")
        .header("cookie", "session=8d2f6c1b9a7e4035; theme=light")
        .body(Full::new(body))
        .expect("a request")
}
