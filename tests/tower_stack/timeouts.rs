//! tower-http's and tower's time-outs: what took too long is dropped, its stream is freed, the connection lives.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use http_body_util::BodyExt;
use spdy::frame::ResetStatus;
use tower::timeout::TimeoutLayer as TowerTimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::timeout::{
    RequestBodyTimeoutLayer, ResponseBodyTimeoutLayer, TimeoutError, TimeoutLayer,
};

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

/// Never answers; the handler that waits is counted.
async fn stuck(census: Census) -> Response<AnyBody> {
    let _alive = census.enter();
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_took_too_long_is_answered_for_and_dropped() {
    for status in [StatusCode::REQUEST_TIMEOUT, StatusCode::GATEWAY_TIMEOUT] {
        let census = Census::default();
        let count = census.clone();
        let handler = move || async move { stuck(count.clone()).await.map(axum::body::Body::new) };
        let app = Router::new()
            .route("/stuck", get(handler))
            .route("/quick", get(|| async { "quick" }))
            .layer(TimeoutLayer::with_status_code(status, LIMIT));
        let mut send = serve(app).await;
        let waiting = spawn(send.clone().oneshot(to("/stuck").body(empty()).unwrap()));
        settle().await;
        assert_eq!(census.count(), 1, "the handler runs");
        // Others are not held up.
        let request = to("/quick").body(empty()).unwrap();
        assert_eq!(
            whole(call(&mut send, request).await.unwrap()).await.1,
            "quick"
        );

        let response = within("the time-out", waiting).await.unwrap().unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(bytes_of(response.into_body()).await, "");
        assert_eq!(census.count(), 0, "the handler is gone");
        expect_idle_and_alive(&send).await;
        let request = to("/quick").body(empty()).unwrap();
        assert_eq!(
            whole(call(&mut send, request).await.unwrap()).await.1,
            "quick"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_by_its_time_out_resets_its_stream_only() {
    let census = Census::default();
    let count = census.clone();
    let service = ServiceBuilder::new()
        .layer(TowerTimeoutLayer::new(LIMIT))
        .service_fn(move |request: Request<Body>| {
            let count = count.clone();
            async move {
                if request.uri().path() == "/stuck" {
                    return Ok(stuck(count).await);
                }
                Ok::<_, Infallible>(Response::new(full("quick")))
            }
        });
    let mut send = serve(service).await;
    let request = to("/stuck").body(empty()).unwrap();
    let error = call(&mut send, request).await.unwrap_err();
    assert_eq!(error.reset_status(), Some(ResetStatus::INTERNAL_ERROR));
    assert!(error.is_remote());
    assert_eq!(census.count(), 0, "the service future is gone");
    expect_idle_and_alive(&send).await;
    let request = to("/quick").body(empty()).unwrap();
    assert_eq!(
        whole(call(&mut send, request).await.unwrap()).await.1,
        "quick"
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_out_of_the_client_cancels_the_handler() {
    let census = Census::default();
    let count = census.clone();
    let service = tower::service_fn(move |_: Request<Body>| {
        let count = count.clone();
        async { Ok::<_, Infallible>(stuck(count).await) }
    });
    let send = serve(service).await;
    let client = ServiceBuilder::new().timeout(LIMIT).service(send.clone());
    let began = tokio::time::Instant::now();
    let request = to("/stuck").body(empty()).unwrap();
    let waiting = spawn(client.oneshot(request));
    settle().await;
    assert_eq!(census.count(), 1, "the handler runs");
    let error = within("the time-out", waiting).await.unwrap().unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    expect_idle_and_alive(&send).await;
    assert_eq!(census.count(), 0, "the handler is gone");
    assert_eq!(send.stats().sent.rst_stream, 1);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stalls_fails_at_the_handler() {
    let service = ServiceBuilder::new()
        .layer(RequestBodyTimeoutLayer::new(LIMIT))
        .service_fn(|request: Request<_>| async {
            let body: tower_http::timeout::TimeoutBody<Body> = request.into_body();
            let error = body.collect().await.unwrap_err();
            assert!(error.is::<TimeoutError>(), "{error}");
            Ok::<_, Infallible>(Response::new(full("too slow")))
        });
    let mut send = serve(service).await;
    let (pieces, body) = channel();
    pieces.send(chunk("a beginning")).await.unwrap();
    let request = Request::post("http://a/").body(body).unwrap();
    let (_, answer) = whole(call(&mut send, request).await.unwrap()).await;
    assert_eq!(answer, "too slow");
    within("the end of the upload", pieces.closed()).await;
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn a_response_body_that_stalls_is_reset_and_not_ended() {
    let census = Census::default();
    let count = census.clone();
    let service = ServiceBuilder::new()
        .layer(ResponseBodyTimeoutLayer::new(LIMIT))
        .service_fn(move |_: Request<Body>| {
            let alive = count.enter();
            let (pieces, body) = channel();
            pieces.try_send(chunk("a beginning")).unwrap();
            let body = body.map_frame(move |frame| {
                // The body owns what is counted, and the sender, so that it does not end.
                let _owned = (&alive, &pieces);
                frame
            });
            async { Ok::<_, Infallible>(Response::new(body)) }
        });
    let mut send = serve(service).await;
    let request = to("/").body(empty()).unwrap();
    let mut body = call(&mut send, request).await.unwrap().into_body();
    let first = within("data", body.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "a beginning");
    assert_eq!(census.count(), 1);
    let error = within("the reset", body.frame())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.reset_status(), Some(ResetStatus::INTERNAL_ERROR));
    drop(body);
    expect_idle_and_alive(&send).await;
    assert_eq!(census.count(), 0, "the body is gone");
}

#[tokio::test(start_paused = true)]
async fn a_response_body_that_stalls_is_given_up_by_the_client_layer() {
    let (pieces, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    let (send, _client, _server) = both(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async { Ok::<_, Infallible>(Response::new(body)) }
    })
    .await;
    let mut client = ServiceBuilder::new()
        .layer(ResponseBodyTimeoutLayer::new(LIMIT))
        .service(send.clone());
    let request = to("/").body(empty()).unwrap();
    let mut body = Box::pin(call(&mut client, request).await.unwrap().into_body());
    pieces.send(chunk("a beginning")).await.unwrap();
    let first = within("data", body.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "a beginning");
    let error = within("the time-out", body.frame())
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.is::<TimeoutError>(), "{error}");
    drop(body);
    within("the end of the body at the server", pieces.closed()).await;
    expect_idle_and_alive(&send).await;
}
