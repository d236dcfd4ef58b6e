//! `RequestBodyLimitLayer`: what is too long is refused, and is not uploaded either.

use std::convert::Infallible;

use axum::Router;
use axum::routing::post;
use http::StatusCode;
use http_body_util::BodyExt;
use tower::ServiceBuilder;
use tower_http::limit::RequestBodyLimitLayer;

use super::*;

const LIMIT: usize = 1000;

fn app() -> Router {
    Router::new()
        .route(
            "/",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .layer(RequestBodyLimitLayer::new(LIMIT))
}

fn upload(body: AnyBody) -> Request<AnyBody> {
    Request::post("http://a/").body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_body_of_the_limit_passes_and_one_byte_more_does_not() {
    let mut send = serve(app()).await;
    let (head, bytes) = whole(call(&mut send, upload(full(vec![0; LIMIT]))).await.unwrap()).await;
    assert_eq!((head.status, &bytes[..]), (StatusCode::OK, &b"1000"[..]));
    let (head, _) = whole(
        call(&mut send, upload(full(vec![0; LIMIT + 1])))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(head.status, StatusCode::PAYLOAD_TOO_LARGE);
    expect_idle_and_alive(&send).await;
}

/// Without a content-length, only the bytes themselves can pass the limit; who sends them must not be kept waiting.
async fn endless_upload_is_refused(mut send: SendRequest<AnyBody>) {
    let (pieces, body) = channel();
    let feeding = spawn(async move {
        let mut sent = 0;
        while pieces.send(chunk(vec![0; 400])).await.is_ok() {
            sent += 1;
        }
        sent
    });
    let (head, _) = whole(call(&mut send, upload(body)).await.unwrap()).await;
    assert_eq!(head.status, StatusCode::PAYLOAD_TOO_LARGE);
    let sent = within("the end of the upload", feeding).await.unwrap();
    assert!(sent >= 2, "{sent} pieces");
    expect_idle_and_alive(&send).await;
    let (head, _) = whole(call(&mut send, upload(full("short"))).await.unwrap()).await;
    assert_eq!(head.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_passes_the_limit_is_refused_and_its_upload_ends() {
    endless_upload_is_refused(serve(app()).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_bare_service_can_answer_for_the_limit_itself() {
    let service = ServiceBuilder::new()
        .layer(RequestBodyLimitLayer::new(LIMIT))
        .service_fn(|request: Request<tower_http::body::Limited<Body>>| async {
            let mut response = Response::new(empty());
            if request.into_body().collect().await.is_err() {
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            }
            Ok::<_, Infallible>(response)
        });
    endless_upload_is_refused(serve(service).await).await;
}
