//! `CompressionLayer`, `DecompressionLayer`, `RequestDecompressionLayer`.

use std::convert::Infallible;
use std::io::{Read, Write};

use axum::Router;
use axum::routing::{get, post};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::{DecompressionLayer, RequestDecompressionLayer};

use super::*;

/// Compresses well, and no part looks like another.
fn text() -> String {
    (0..20_000).map(|n| format!("line {n}\n")).collect()
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

fn gzip(text: &str) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

fn compressing() -> Router {
    Router::new()
        .route("/", get(|| async { text() }))
        .layer(CompressionLayer::new())
}

#[tokio::test(start_paused = true)]
async fn a_compressed_body_arrives_compressed() {
    let mut send = serve(compressing()).await;
    let request = to("/").header("accept-encoding", "gzip");
    let response = call(&mut send, request.body(empty()).unwrap())
        .await
        .unwrap();
    let (head, bytes) = whole(response).await;
    assert_eq!(head.headers["content-encoding"], "gzip");
    assert_eq!(head.headers["vary"], "accept-encoding");
    assert!(!head.headers.contains_key("content-length"));
    assert!(bytes.len() < text().len() / 2, "{} bytes", bytes.len());
    assert_eq!(gunzip(&bytes), text());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_accepts_no_encoding_gets_none() {
    let mut send = serve(compressing()).await;
    let response = call(&mut send, to("/").body(empty()).unwrap())
        .await
        .unwrap();
    let (head, bytes) = whole(response).await;
    assert!(!head.headers.contains_key("content-encoding"));
    assert_eq!(head.headers["content-length"], text().len().to_string());
    assert_eq!(bytes, text());
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_compressed_body_says_no_length() {
    let mut send = serve(compressing()).await;
    let request = Request::head("http://a/").header("accept-encoding", "gzip");
    let response = call(&mut send, request.body(empty()).unwrap())
        .await
        .unwrap();
    let (head, bytes) = whole(response).await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.headers["content-encoding"], "gzip");
    assert!(!head.headers.contains_key("content-length"));
    assert!(bytes.is_empty());
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn each_piece_of_a_compressed_stream_arrives_before_the_next_is_made() {
    let (pieces, body) = channel();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let service = ServiceBuilder::new()
        .layer(CompressionLayer::new())
        .service_fn(move |_: Request<Body>| {
            let body = body.lock().unwrap().take().unwrap();
            async { Ok::<_, Infallible>(Response::new(body)) }
        });
    let send = serve(service).await;
    let mut client = ServiceBuilder::new()
        .layer(DecompressionLayer::new())
        .service(send);
    let request = to("/").body(empty()).unwrap();
    let mut body = call(&mut client, request).await.unwrap().into_body();
    for n in 0..10 {
        let piece = format!("piece {n}, which is not long enough to fill any buffer");
        pieces.send(chunk(piece.clone())).await.unwrap();
        let frame = within("the piece", body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_layer_asks_for_gzip_and_undoes_it() {
    let app = Router::new()
        .route(
            "/",
            get(|headers: HeaderMap| async move {
                let asked = headers["accept-encoding"].to_str().unwrap().to_owned();
                ([("x-asked", asked)], text())
            }),
        )
        .layer(CompressionLayer::new());
    let send = serve(app).await;
    let mut client = ServiceBuilder::new()
        .layer(DecompressionLayer::new())
        .service(send.clone());
    let request = to("/").body(empty()).unwrap();
    let (head, bytes) = whole(call(&mut client, request).await.unwrap()).await;
    assert_eq!(head.headers["x-asked"], "gzip");
    assert!(!head.headers.contains_key("content-encoding"));
    assert_eq!(bytes, text());
    // What was read is what was compressed, the rest came out of the layer.
    let received = send.stats().bytes_read;
    assert!(received < text().len() as u64 / 2, "{received} bytes");
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn a_compressed_upload_reaches_the_handler_as_plain_text() {
    let app = Router::new()
        .route(
            "/",
            post(|headers: HeaderMap, body: String| async move {
                assert!(!headers.contains_key("content-encoding"));
                body
            }),
        )
        .layer(RequestDecompressionLayer::new());
    let mut send = serve(app).await;
    let upload = Request::post("http://a/").header("content-encoding", "gzip");
    let upload = upload.body(full(gzip(&text()))).unwrap();
    let (head, bytes) = whole(call(&mut send, upload).await.unwrap()).await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(bytes, text());

    let unknown = Request::post("http://a/").header("content-encoding", "unheard-of");
    let response = call(&mut send, unknown.body(full("x")).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
