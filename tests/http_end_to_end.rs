//! Our client and our server against each other.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod http_support;
mod support;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use http_support::*;
use hyper::body::Frame as BodyFrame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use spdy::client::{self, SendRequest};
use spdy::{Body, server};
use support::{settle, within};
use tokio::spawn;
use tokio::sync::Barrier;
use tower_http::services::ServeDir;

const BIG: usize = 10 << 20;

/// The bodies of this crate fit every place that hyper, axum and tower have for one.
#[test]
fn public_types_can_be_sent_and_shared() {
    fn body<B: http_body::Body<Data = Bytes, Error = spdy::Error> + Send + Unpin + 'static>() {}
    fn send<T: Send + 'static>() {}
    fn sync<T: Send + Sync + 'static>() {}
    fn future<F: Future + Send + 'static>() {}
    body::<Body>();
    sync::<spdy::Error>();
    sync::<SendRequest<AnyBody>>();
    sync::<client::Builder>();
    sync::<server::Builder<TokioExecutor>>();
    send::<client::TrySendError<Request<AnyBody>>>();
    future::<client::ResponseFuture<AnyBody>>();
    future::<client::TryResponseFuture<AnyBody>>();
    future::<client::Connection<TokioIo<tokio::net::TcpStream>>>();
    fn assert_size<T>(most: usize) {
        assert!(
            size_of::<T>() <= most,
            "{} takes {} bytes",
            std::any::type_name::<T>(),
            size_of::<T>()
        );
    }
    // Moved through every layer of an application.
    assert_size::<Body>(80);
    assert_size::<SendRequest<AnyBody>>(96);
}

/// An axum app on one end of an in-memory transport.
async fn app<B: 'static>(app: Router) -> SendRequest<B> {
    let (a, b) = tokio::io::duplex(64 * 1024);
    let service = TowerToHyperService::new(app);
    spawn(server::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(b), service));
    let (send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(a))
        .await
        .unwrap();
    spawn(connection);
    send
}

async fn echo(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::empty());
    for (name, value) in request.headers() {
        response.headers_mut().append(name, value.clone());
    }
    response.headers_mut().remove("content-length");
    *response.body_mut() = request.into_body();
    Ok(response)
}

#[tokio::test]
async fn an_axum_router_is_served_unmodified() {
    let router = Router::new()
        .route(
            "/hello/{name}",
            get(
                |axum::extract::Path(name): axum::extract::Path<String>| async move {
                    format!("hello {name}")
                },
            ),
        )
        .route(
            "/len",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route(
            "/json",
            post(
                |axum::Json(value): axum::Json<serde_json::Value>| async move { axum::Json(value) },
            ),
        )
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("on purpose")
                }
            }),
        )
        .layer(tower_http::timeout::TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            Duration::from_secs(60),
        ))
        .layer(tower_http::limit::RequestBodyLimitLayer::new(1000))
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
        .layer(tower_http::trace::TraceLayer::new_for_http());
    let mut send = app::<AnyBody>(router).await;
    let mut ask = async |method: Method, path: &str, body: AnyBody| {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://a{path}"));
        let request = request
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        let response = within("the response", send.send_request(request))
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        (head.status.as_u16(), head.headers, bytes_of(body).await)
    };
    let (status, head, body) = ask(Method::GET, "/hello/you", empty()).await;
    assert_eq!((status, &body[..]), (200, &b"hello you"[..]));
    assert_eq!(head["content-length"], "9");
    let (status, head, body) = ask(Method::HEAD, "/hello/you", empty()).await;
    assert_eq!((status, &body[..]), (200, &b""[..]));
    assert_eq!(head["content-length"], "9");
    assert_eq!(ask(Method::POST, "/len", full("12345")).await.2, "5");
    assert_eq!(
        ask(Method::POST, "/json", full("{\"a\":1}")).await.2,
        "{\"a\":1}"
    );
    assert_eq!(ask(Method::POST, "/len", full(vec![0; 2000])).await.0, 413);
    assert_eq!(ask(Method::GET, "/panic", empty()).await.0, 500);
    assert_eq!(ask(Method::GET, "/nowhere", empty()).await.0, 404);
    assert_eq!(ask(Method::GET, "/len", empty()).await.0, 405);
}

#[tokio::test]
async fn an_echo_answers_while_the_upload_goes_on() {
    let (mut send, _client, _server) = both(echo).await;
    let (upload, body) = channel();
    let request = Request::post("http://a/").body(body).unwrap();
    let response = within("the response", send.send_request(request))
        .await
        .unwrap();
    let mut body = response.into_body();
    for n in 0..50 {
        let sent = format!("message {n}");
        upload.send(chunk(sent.clone())).await.unwrap();
        let got = within("the echo", body.frame()).await.unwrap().unwrap();
        assert_eq!(got.into_data().unwrap(), sent);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "50".parse().unwrap());
    upload
        .send(Ok(BodyFrame::trailers(trailers.clone())))
        .await
        .unwrap();
    let got = within("the trailers", body.frame()).await.unwrap().unwrap();
    assert_eq!(got.into_trailers().unwrap(), trailers);
    assert!(http_body::Body::is_end_stream(&body));
    assert!(within("the end", body.frame()).await.is_none());
    drop(body);
    settle().await;
    assert_eq!(send.session().stream_count(), 0);
}

/// Compares a body with the pattern, with a pause now and then.
async fn expect_pattern(mut body: Body, len: usize, pause: Duration) {
    let mut at = 0;
    let mut frames = 0;
    while let Some(frame) = within("a frame", body.frame()).await {
        let bytes = frame.unwrap().into_data().unwrap();
        assert!(bytes == pattern(at, bytes.len()), "wrong bytes behind {at}");
        at += bytes.len();
        frames += 1;
        if frames % 16 == 0 {
            tokio::time::sleep(pause).await;
        }
    }
    assert_eq!(at, len);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn big_bodies_pass_both_ways_over_tcp_with_slow_readers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(|request: Request<Body>| async move {
            expect_pattern(request.into_body(), BIG, Duration::from_millis(1)).await;
            Ok::<_, Infallible>(Response::new(pattern_body(BIG)))
        });
        server::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(io), service)
            .await
    });
    let io = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .unwrap();
    let driver = spawn(connection);
    let request = Request::post("http://a/").body(pattern_body(BIG)).unwrap();
    let response = within("the response", send.send_request(request))
        .await
        .unwrap();
    expect_pattern(response.into_body(), BIG, Duration::from_millis(1)).await;
    drop(send);
    within("the client", driver).await.unwrap().unwrap();
    within("the server", serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_big_echo_streams_both_ways_at_once() {
    let (mut send, _client, _server) = both(echo).await;
    let request = Request::post("http://a/").body(pattern_body(BIG)).unwrap();
    let response = within("the response", send.send_request(request))
        .await
        .unwrap();
    expect_pattern(response.into_body(), BIG, Duration::ZERO).await;
}

#[tokio::test]
async fn headers_arrive_as_they_were_meant() {
    let (mut send, _client, _server) = both(|request: Request<Body>| async move {
        assert_eq!(request.uri(), "http://example.com:81/a%20b?c=d&e");
        assert_eq!(request.headers()["host"], "example.com:81");
        let cookies: Vec<_> = request.headers().get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
        assert_eq!(request.headers()["te"], "trailers");
        for gone in ["connection", "x-hop", "keep-alive", "expect"] {
            assert!(!request.headers().contains_key(gone), "{gone}");
        }
        let several: Vec<_> = request.headers().get_all("x-several").iter().collect();
        assert_eq!(several, ["1", "2"]);
        let response = Response::builder()
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("connection", "x-hop")
            .header("x-hop", "1");
        Ok::<_, Infallible>(response.body(full("body")).unwrap())
    })
    .await;
    let request = Request::get("http://example.com:81/a%20b?c=d&e")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers, deflate")
        .header("expect", "100-continue")
        .header("connection", "keep-alive, x-hop")
        .header("keep-alive", "5")
        .header("x-hop", "1")
        .header("x-several", "1")
        .header("x-several", "2")
        .body(empty())
        .unwrap();
    let response = within("the response", send.send_request(request))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert!(!response.headers().contains_key("x-hop"));
    assert!(response.headers().contains_key("date"));
    assert_eq!(response.headers()["content-length"], "4");
    assert_eq!(bytes_of(response.into_body()).await, "body");
}

#[tokio::test]
async fn a_hundred_and_fifty_requests_run_at_once() {
    const N: usize = 150;
    // Each waits for all others.
    let barrier = Arc::new(Barrier::new(N));
    let (mut send, _client, _server) = both(move |request: Request<Body>| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            echo(request).await
        }
    })
    .await;
    within("the first PING", send.ping()).await.unwrap();
    let mut responses = Vec::new();
    for n in 0..N {
        within("readiness", send.ready()).await.unwrap();
        let request = Request::post("http://a/")
            .body(full(format!("request {n}")))
            .unwrap();
        responses.push(spawn(send.send_request(request)));
    }
    for (n, response) in join_all(responses).await.into_iter().enumerate() {
        let body = response.unwrap().unwrap().into_body();
        assert_eq!(bytes_of(body).await, format!("request {n}"));
    }
}

#[tokio::test]
async fn trailers_come_without_data_too() {
    let (mut send, _client, _server) = both(|_| async {
        let (body, answer) = channel();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "12".parse().unwrap());
        body.try_send(Ok(BodyFrame::trailers(trailers))).unwrap();
        Ok::<_, Infallible>(Response::new(answer))
    })
    .await;
    let request = Request::post("http://a/").body(empty()).unwrap();
    let response = within("the response", send.send_request(request))
        .await
        .unwrap();
    let body = within("the body", response.into_body().collect())
        .await
        .unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "12");
    assert_eq!(body.to_bytes(), "");
}

#[tokio::test]
async fn a_failure_behind_a_proxy_is_never_a_clean_end() {
    // The outer server passes on the body of an inner connection, which dies half-way.
    let (inner, answer) = channel();
    let answer = std::sync::Mutex::new(Some(answer));
    let (to_inner, _inner_client, inner_server) = both(move |_| {
        let body = answer.lock().unwrap().take().unwrap();
        async { Ok::<_, Infallible>(Response::new(body)) }
    })
    .await;
    let (mut to_outer, _outer_client, _outer_server) = both(move |_| {
        let request = Request::get("http://inner/").body(empty()).unwrap();
        to_inner.clone().send_request(request)
    })
    .await;
    let request = Request::get("http://outer/").body(empty()).unwrap();
    let response = within("the response", to_outer.send_request(request))
        .await
        .unwrap();
    let mut body = response.into_body();
    inner.send(chunk("half")).await.unwrap();
    let half = within("data", body.frame()).await.unwrap().unwrap();
    assert_eq!(half.into_data().unwrap(), "half");
    inner_server.abort();
    let error = within("the error", body.frame())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error.reset_status(),
        Some(spdy::frame::ResetStatus::INTERNAL_ERROR)
    );
}

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn with(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("spdy-test-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(name), bytes).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_files_are_served_while_many_are_cancelled() {
    const LEN: usize = 4 << 20;
    let directory = Directory::with("file", &pattern(0, LEN));
    let router = Router::new().fallback_service(ServeDir::new(&directory.0));
    let mut send = app::<Empty<Bytes>>(router).await;
    let request = |range: &str| {
        let request = Request::get("http://a/file");
        let request = if range.is_empty() {
            request
        } else {
            request.header("range", range)
        };
        request.body(Empty::new()).unwrap()
    };
    let length = LEN.to_string();

    // A long download goes on slowly...
    let response = within("the response", send.send_request(request("")))
        .await
        .unwrap();
    assert_eq!(response.headers()["content-length"], length);
    let download = spawn(expect_pattern(
        response.into_body(),
        LEN,
        Duration::from_millis(4),
    ));

    // ... while others look around,
    for (range, from, len) in [
        ("bytes=0-99".to_owned(), 0, 100),
        ("bytes=1000000-1099999".to_owned(), 1_000_000, 100_000),
        (format!("bytes={}-", LEN - 7), LEN - 7, 7),
        ("bytes=-500".to_owned(), LEN - 500, 500),
    ] {
        let response = within("the response", send.send_request(request(&range)))
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(
            response.headers()["content-range"],
            format!("bytes {from}-{}/{LEN}", from + len - 1)
        );
        assert!(
            bytes_of(response.into_body()).await == pattern(from, len),
            "{range}"
        );
    }
    let beyond = format!("bytes={LEN}-");
    let response = within("the response", send.send_request(request(&beyond)))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    drop(response);

    // ... and jump about, cancelling what they asked for.
    for n in 0..50 {
        let range = format!("bytes={}-", n * 50_000);
        let response = within("the response", send.send_request(request(&range)))
            .await
            .unwrap();
        let mut body = response.into_body();
        if n % 2 == 0 {
            let first = within("data", body.frame())
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap();
            assert!(first == pattern(n * 50_000, first.len()));
        }
    }
    within("the download", download).await.unwrap();
    let session = send.session();
    assert_eq!((session.stream_count(), session.unread_bytes()), (0, 0));
}

#[tokio::test]
async fn the_last_bytes_reach_a_client_that_reads_behind_the_end() {
    let (mut send, client, server) =
        both(|_| async { Ok::<_, Infallible>(Response::new(Full::new(pattern(0, 200_000)))) })
            .await;
    let request = Request::get("http://a/").body(empty()).unwrap();
    let response = within("the response", send.send_request(request))
        .await
        .unwrap();
    drop(send);
    within("the client", client).await.unwrap().unwrap();
    within("the server", server).await.unwrap().unwrap();
    assert!(bytes_of(response.into_body()).await == pattern(0, 200_000));
}
