//! The axum app: nothing in it knows of SPDY.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, Request};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use tower_http::services::ServeDir;

/// How many chunks the streamed route sends, and how long each is.
pub(crate) const CHUNKS: u8 = 50;
pub(crate) const CHUNK: usize = 4096;

pub(crate) fn router(directory: &Path) -> Router {
    Router::new()
        .route("/json/{number}", get(json))
        .route("/echo", post(echo))
        .route("/stream", get(stream))
        .nest_service("/files", ServeDir::new(directory))
}

async fn json(UrlPath(number): UrlPath<u64>) -> Result<Json<serde_json::Value>, StatusCode> {
    let square = number.checked_mul(number).ok_or(StatusCode::BAD_REQUEST)?;
    Ok(Json(
        serde_json::json!({ "number": number, "square": square }),
    ))
}

/// Sends the request body back while it arrives.
async fn echo(request: Request) -> Body {
    request.into_body()
}

/// A body that is made while it is sent.
async fn stream() -> Body {
    let chunks = futures_util::stream::iter(0..CHUNKS).then(|number| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok::<_, Infallible>(Bytes::from(vec![number; CHUNK]))
    });
    Body::from_stream(chunks)
}
