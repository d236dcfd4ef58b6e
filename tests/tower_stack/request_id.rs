//! `SetRequestIdLayer` and `PropagateRequestIdLayer`, at either end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use http::{HeaderMap, HeaderValue};
use tower::ServiceBuilder;
use tower_http::ServiceBuilderExt;
use tower_http::request_id::{MakeRequestId, MakeRequestUuid, RequestId};

use super::*;

/// `id-0`, `id-1`, ..
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl MakeRequestId for Counting {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let id = format!("id-{}", self.0.fetch_add(1, Ordering::SeqCst));
        Some(HeaderValue::try_from(id).unwrap().into())
    }
}

/// Answers with the id in the body.
async fn tell(headers: HeaderMap) -> String {
    headers["x-request-id"].to_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_id_of_the_client_layer_reaches_the_handler_and_comes_back() {
    let server = ServiceBuilder::new()
        .set_x_request_id(MakeRequestUuid)
        .propagate_x_request_id();
    let app = Router::new().route("/", get(tell)).layer(server);
    let send = serve(app).await;
    let mut client = ServiceBuilder::new()
        .set_x_request_id(Counting::default())
        .service(send);
    for expected in ["id-0", "id-1"] {
        let request = to("/").body(empty()).unwrap();
        let (head, body) = whole(call(&mut client, request).await.unwrap()).await;
        assert_eq!(body, expected, "seen by the handler");
        assert_eq!(head.headers["x-request-id"], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_layer_makes_an_id_where_there_is_none() {
    let service = ServiceBuilder::new()
        .set_x_request_id(MakeRequestUuid)
        .propagate_x_request_id()
        .service_fn(|request: Request<Body>| async move {
            let id = tell(request.headers().clone()).await;
            Ok::<_, Infallible>(Response::new(full(id)))
        });
    let mut send = serve(service).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let request = to("/").body(empty()).unwrap();
        let (head, body) = whole(call(&mut send, request).await.unwrap()).await;
        assert_eq!(head.headers["x-request-id"].as_bytes(), &body[..]);
        assert_eq!(body.len(), 36, "a UUID");
        seen.push(body);
    }
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test(start_paused = true)]
async fn the_client_layer_propagates_its_id_to_the_answer_of_a_server_that_does_not() {
    let send = serve(Router::new().route("/", get(tell))).await;
    let mut client = ServiceBuilder::new()
        .set_x_request_id(Counting::default())
        .propagate_x_request_id()
        .service(send);
    let request = to("/").body(empty()).unwrap();
    let (head, body) = whole(call(&mut client, request).await.unwrap()).await;
    assert_eq!(body, "id-0");
    assert_eq!(head.headers["x-request-id"], "id-0");
}
