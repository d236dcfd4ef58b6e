//! The HTTP server that node talks to: an axum app over this crate.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use spdy::Config;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::pattern;

/// A running server; ends when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    accepting: JoinHandle<()>,
    outcomes: mpsc::UnboundedReceiver<spdy::Result<()>>,
}

impl Server {
    pub(crate) async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (report, outcomes) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            loop {
                let (io, _) = listener.accept().await.unwrap();
                io.set_nodelay(true).unwrap();
                tokio::spawn(serve(io, config.clone(), report.clone()));
            }
        });
        Self {
            port,
            accepting,
            outcomes,
        }
    }

    /// How the next connection ended.
    pub(crate) async fn outcome(&mut self) -> spdy::Result<()> {
        self.outcomes.recv().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    io: tokio::net::TcpStream,
    config: Config,
    report: mpsc::UnboundedSender<spdy::Result<()>>,
) {
    let stop = Arc::new(Notify::new());
    let service = TowerToHyperService::new(router(Arc::clone(&stop)));
    let mut builder = spdy::server::Builder::new(TokioExecutor::new());
    builder.config(config);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let outcome = loop {
        tokio::select! {
            outcome = connection.as_mut() => break outcome,
            () = stop.notified() => connection.as_mut().graceful_shutdown(),
        }
    };
    // The test may be over.
    drop(report.send(outcome));
}

/// The routes of node_server.js. `stop` is told when the connection is to be shut down.
pub(crate) fn router(stop: Arc<Notify>) -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello world" }))
        .route(
            "/echo",
            post(|request: Request| async { request.into_body() }),
        )
        .route("/bytes/{length}", get(bytes))
        .route("/slow/{length}", get(slow))
        .route("/reset", get(reset))
        .route("/hang", get(hang))
        .route("/goaway", get(go_away))
        .route("/headers", get(headers))
        .route("/cookies", get(cookies))
        .route("/trailers", get(trailers))
        .route("/status/{status}", get(status))
        .with_state(stop)
}

async fn bytes(Path(length): Path<usize>, RawQuery(query): RawQuery) -> Response {
    let body = Body::from_stream(pattern::pieces(length, 1 << 16, Duration::ZERO));
    if query.as_deref() == Some("nolength") {
        return body.into_response();
    }
    ([(header::CONTENT_LENGTH, length)], body).into_response()
}

async fn slow(Path(length): Path<usize>) -> Body {
    let size = length.div_ceil(20).max(1);
    Body::from_stream(pattern::pieces(length, size, Duration::from_millis(25)))
}

/// A body that fails behind its first bytes, late enough for these to be sent: a reset drops what is queued.
async fn reset() -> Body {
    let failure = stream::once(async {
        tokio::time::sleep(Duration::from_millis(25)).await;
        Err(io::Error::other("as asked for"))
    });
    let partial = stream::iter([Ok(Bytes::from_static(b"partial"))]);
    Body::from_stream(partial.chain(failure))
}

async fn hang() -> Body {
    let started = stream::iter([Ok::<_, Infallible>("started")]);
    Body::from_stream(started.chain(stream::pending()))
}

/// The shutdown begins while this very response is under way.
async fn go_away(State(stop): State<Arc<Notify>>) -> Body {
    let end = stream::once(async move { stop.notify_one() }).filter_map(|()| async { None });
    Body::from_stream(stream::iter([Ok::<_, Infallible>("going away")]).chain(end))
}

async fn headers(request: Request) -> Json<serde_json::Value> {
    let text = |value: &HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
    let headers: serde_json::Map<_, _> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), text(value).into()))
        .collect();
    Json(serde_json::json!({
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().unwrap().as_str(),
        "headers": headers,
    }))
}

async fn cookies() -> impl IntoResponse {
    let cookies = ["a=1; Path=/", "b=2; HttpOnly"];
    (
        AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie))),
        "ok",
    )
}

async fn trailers() -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-trailer", HeaderValue::from_static("done"));
    let frames = [
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"body"))),
        Ok(Frame::trailers(trailers)),
    ];
    Body::new(StreamBody::new(stream::iter(frames)))
}

async fn status(Path(status): Path<u16>) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}
