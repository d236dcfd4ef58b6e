//! As much of Kubernetes' API as kubectl asks for before it opens a stream.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::Pod;

/// The container that is meant where none is named.
pub(crate) const PLAIN: &str = "c";
/// The one that has a terminal.
pub(crate) const TERMINAL: &str = "t";

pub(crate) async fn versions() -> Json<Value> {
    Json(json!({"kind": "APIVersions", "versions": ["v1"]}))
}

pub(crate) async fn groups() -> Json<Value> {
    Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}))
}

pub(crate) async fn resources() -> Json<Value> {
    Json(json!({
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["get"], "shortNames": ["po"]},
        ],
    }))
}

pub(crate) async fn pod(State(pod): State<Arc<Pod>>, Path(name): Path<String>) -> Response {
    if let Some(refusal) = check(&pod, &name) {
        return refusal;
    }
    Json(json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [
            {"name": PLAIN, "stdin": true},
            {"name": TERMINAL, "stdin": true, "tty": true},
        ]},
        "status": {"phase": "Running"},
    }))
    .into_response()
}

pub(crate) async fn unknown(request: Request) -> Response {
    let what = format!("the server has no {}", request.uri().path());
    refuse(StatusCode::NOT_FOUND, "NotFound", &what)
}

/// The answer if there is no such pod.
pub(crate) fn check(pod: &Pod, name: &str) -> Option<Response> {
    if name == pod.name {
        return None;
    }
    let what = format!("pods \"{name}\" not found");
    Some(refuse(StatusCode::NOT_FOUND, "NotFound", &what))
}

/// A refusal as kubectl shows it: `Error from server (REASON): MESSAGE`.
pub(crate) fn refuse(status: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status.as_u16(),
    });
    (status, Json(body)).into_response()
}

/// Any page may open a WebSocket to this port, or post a form to it, on behalf of whoever looks at it. Kubernetes' tools
/// say nothing of an origin.
pub(crate) async fn refuse_browsers(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        let what = "requests of web pages are not served";
        return refuse(StatusCode::FORBIDDEN, "Forbidden", what);
    }
    next.run(request).await
}
