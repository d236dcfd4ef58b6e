//! `CorsLayer`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::put;
use http::{HeaderValue, Method, StatusCode};
use tower_http::cors::CorsLayer;

use super::*;

/// An app for one origin, and how often its handler has run.
fn app() -> (Router, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let handler = move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { "done" }
    };
    let cors = CorsLayer::new()
        .allow_origin(HeaderValue::from_static("https://app.example"))
        .allow_methods([Method::PUT])
        .allow_headers([http::header::CONTENT_TYPE])
        .expose_headers([http::header::ETAG])
        .max_age(Duration::from_secs(600));
    (Router::new().route("/", put(handler)).layer(cors), runs)
}

fn header<'a>(head: &'a http::response::Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_preflight_is_answered_by_the_layer() {
    let (app, runs) = app();
    let mut send = serve(app).await;
    let preflight = Request::options("http://a/")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type")
        .body(empty())
        .unwrap();
    let (head, body) = whole(call(&mut send, preflight).await.unwrap()).await;
    assert_eq!(head.status, StatusCode::OK);
    let answer = |name| header(&head, name);
    assert_eq!(
        answer("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(answer("access-control-allow-methods"), Some("PUT"));
    assert_eq!(answer("access-control-allow-headers"), Some("content-type"));
    assert_eq!(answer("access-control-max-age"), Some("600"));
    assert!(body.is_empty());
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn the_answer_names_the_origin_and_what_it_may_see() {
    let (app, runs) = app();
    let mut send = serve(app).await;
    let request = Request::put("http://a/")
        .header("origin", "https://app.example")
        .body(empty())
        .unwrap();
    let (head, body) = whole(call(&mut send, request).await.unwrap()).await;
    assert_eq!(body, "done");
    assert_eq!(
        header(&head, "access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(header(&head, "access-control-expose-headers"), Some("etag"));
    let vary: Vec<_> = head.headers.get_all("vary").iter().collect();
    assert!(!vary.is_empty(), "the answer depends on its origin");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}
