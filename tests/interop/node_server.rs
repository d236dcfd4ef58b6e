//! Our client against npm `spdy` as the server: messages, and how streams and connections end. The routes are in
//! peers/node_server.js.

use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use spdy::frame::ResetStatus;

use crate::client::{Client, check_pattern, empty, json, text};
use crate::peer::{SHORT, Server, until, within};
use crate::recorder::record;

/// A test on one connection, which has to end well, and without complaints of the server.
async fn on_connection(test: impl AsyncFnOnce(&Client)) {
    within(SHORT, async {
        let server = Server::node().await;
        let client = Client::connect(server.port()).await;
        test(&client).await;
        client.finish().await;
        server.assert_quiet();
    })
    .await;
}

/// Waits until the server has noticed something about a path; what it was.
async fn event(client: &Client, path: &str) -> serde_json::Value {
    let mut seen = serde_json::Value::Null;
    until(async || {
        let events = json(client.get("/events").await.unwrap()).await;
        let found = events.as_array().unwrap().iter();
        match found.clone().find(|event| event["path"] == path) {
            Some(event) => seen = event.clone(),
            None => return false,
        }
        true
    })
    .await;
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get() {
    on_connection(async |client| {
        let response = client.get("/hello").await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-length"], "11");
        assert_eq!(response.headers()["content-type"], "text/plain");
        assert_eq!(response.body().size_hint().exact(), Some(11));
        assert_eq!(text(response).await, "hello world");
        let response = client.get("/no-such-path").await.unwrap();
        assert_eq!(response.status(), 404);
        assert_eq!(text(response).await, "not found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head() {
    on_connection(async |client| {
        let request = client.request("HEAD", "/hello").body(empty()).unwrap();
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-length"], "11");
        assert!(response.body().is_end_stream());
        assert_eq!(text(response).await, "");
        assert_eq!(client.get_text("/hello").await, "hello world");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status() {
    on_connection(async |client| {
        for status in [204, 304, 500] {
            let response = client.get(&format!("/status/{status}")).await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(text(response).await, "");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers() {
    on_connection(async |client| {
        let long = "v".repeat(4000);
        let request = client
            .request("GET", "/headers?query=1%202")
            .header("x-plain", "value")
            .header("X-Mixed-Case", "Value")
            .header("x-empty", "")
            .header("x-long", &long)
            .header("x-twice", "one")
            .header("x-twice", "two")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("te", "trailers")
            // None of these may cross.
            .header("connection", "keep-alive, x-hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("transfer-encoding", "chunked")
            .header("upgrade", "h2c")
            .body(empty())
            .unwrap();
        let host = request.uri().authority().unwrap().to_string();
        let seen = json(client.send(request).await.unwrap()).await;
        assert_eq!(seen["method"], "GET");
        assert_eq!(seen["path"], "/headers?query=1%202");
        let expected = serde_json::json!({
            "x-plain": "value",
            "x-mixed-case": "Value",
            "x-empty": "",
            "x-long": long,
            "x-twice": "one, two",
            "cookie": "a=1; b=2",
            "te": "trailers",
            "host": host,
        });
        assert_eq!(seen["headers"], expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies() {
    on_connection(async |client| {
        let response = client.get("/cookies").await.unwrap();
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1; Path=/", "b=2; HttpOnly"]);
        assert_eq!(text(response).await, "ok");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers() {
    on_connection(async |client| {
        let response = client.get("/trailers").await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-trailer"], "done");
        assert_eq!(body.to_bytes(), "body");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ping() {
    on_connection(async |client| {
        assert!(client.send.ping().await.unwrap() < Duration::from_secs(5));
        assert_eq!(client.get_text("/ping").await, "pong");
    })
    .await;
}

/// The server has written the whole push, and forgotten its stream, before the refusal reaches it: only the bytes on the
/// wire show it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_is_refused() {
    const REFUSAL: [u8; 16] = [0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 3];
    within(SHORT, async {
        let server = Server::node().await;
        let (port, recording) = record(server.port()).await;
        let client = Client::connect(port).await;
        assert_eq!(client.get_text("/push").await, "pusher");
        assert_eq!(event(&client, "/push").await["event"], "push-closed");
        assert_eq!(client.get_text("/hello").await, "hello world");
        client.finish().await;
        let sent = recording.await.unwrap().to_server;
        let resets = sent.windows(4).filter(|bytes| *bytes == [0x80, 3, 0, 3]);
        assert_eq!(resets.count(), 1, "RST_STREAM frames");
        assert!(
            sent.windows(16).any(|bytes| *bytes == REFUSAL),
            "no RST_STREAM(2, REFUSED_STREAM)"
        );
        server.assert_quiet();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset_by_the_server() {
    on_connection(async |client| {
        let response = client.get("/reset").await.unwrap();
        assert_eq!(response.status(), 200);
        let error = response.into_body().collect().await.unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error}");
        assert!(!error.is_retryable(), "{error}");
        assert_eq!(error.reset_status(), Some(ResetStatus::INTERNAL_ERROR));
        assert_eq!(client.get_text("/hello").await, "hello world");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_by_dropping_the_future() {
    on_connection(async |client| {
        let mut pending = Box::pin(client.get("/hang"));
        // Polled once, so that it is sent; then left alone.
        let early = tokio::time::timeout(Duration::ZERO, pending.as_mut()).await;
        if early.is_err() {
            until(async || client.send.session().stream_count() == 1).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(early);
        drop(pending);
        let seen = event(client, "/hang").await;
        assert_eq!(seen["event"], "aborted");
        assert_eq!(client.get_text("/hello").await, "hello world");
        assert_eq!(client.send.session().stream_count(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_by_dropping_the_body() {
    on_connection(async |client| {
        let path = format!("/bytes/{}", 100 << 20);
        let mut body = client.get(&path).await.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert!(!first.into_data().unwrap().is_empty());
        // The rest of the window lies unread and has to come back to the connection.
        until(async || client.send.session().unread_bytes() > 500_000).await;
        drop(body);
        assert_eq!(event(client, &path).await["event"], "aborted");
        assert_eq!(client.send.session().unread_bytes(), 0);
        // More than a whole window of the connection.
        let length = 20 << 20;
        client
            .get_pattern(&format!("/bytes/{length}"), length)
            .await;
    })
    .await;
}

/// Open streams finish, nothing new starts, and the connection ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goaway() {
    within(SHORT, async {
        let server = Server::node().await;
        let client = Client::connect(server.port()).await;
        let slow = (0..5).map(async |_| client.get("/slow/100000").await.unwrap());
        let slow = join_all(slow).await;
        assert_eq!(client.get_text("/goaway").await, "going away");
        until(async || client.send.is_closed()).await;
        let error = client.get("/hello").await.unwrap_err();
        assert!(error.is_retryable() && error.is_go_away(), "{error}");
        let bodies = slow
            .into_iter()
            .map(|response| check_pattern(response.into_body()));
        assert_eq!(join_all(bodies).await, [100_000; 5]);
        // Although the handle is still there.
        client.connection.await.unwrap().unwrap();
        let error = client.send.clone().ready().await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        server.assert_quiet();
    })
    .await;
}
