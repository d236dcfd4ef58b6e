//! Deadlines: `grpc-timeout` is what the client says, who holds to it is a layer at either end. Those that tonic has
//! are part of its own transport.

use std::time::Duration;

use axum::extract::Request as AxumRequest;
use axum::middleware::{Next, from_fn};
use axum::response::Response as AxumResponse;
use tokio::time::Instant;
use tower::ServiceBuilder;
use tower::timeout::error::Elapsed;

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

/// What `grpc-timeout` says; tonic sends the finest unit that fits eight digits.
fn limit_of(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count = digits.parse().ok()?;
    Some(match unit {
        "n" => Duration::from_nanos(count),
        "u" => Duration::from_micros(count),
        "m" => Duration::from_millis(count),
        "S" => Duration::from_secs(count),
        "M" => Duration::from_secs(count * 60),
        "H" => Duration::from_secs(count * 3600),
        _ => return None,
    })
}

async fn hold_to_it(request: AxumRequest, next: Next) -> AxumResponse {
    let Some(limit) = limit_of(request.headers()) else {
        return next.run(request).await;
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Status::deadline_exceeded("too late").into_http(),
    }
}

fn with_limit(text: &str) -> Request<Note> {
    let mut request = Request::new(Note::text(text));
    request.set_timeout(LIMIT);
    request
}

#[tokio::test(start_paused = true)]
async fn a_server_that_holds_to_the_deadline_answers_and_drops_the_handler() {
    let server = Server::default();
    let app = routes(&server)
        .into_axum_router()
        .layer(from_fn(hold_to_it));
    let send = connect(app).await;
    let mut client = client_on(&send);
    let answer = within("the answer", client.unary(with_limit("in time"))).await;
    let answer = answer.unwrap();
    assert!(answer.metadata().contains_key("seen-grpc-timeout"));
    let began = Instant::now();
    let status = within("the answer", client.unary(with_limit("stuck"))).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "too late");
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    assert_eq!(server.alive.count(), 0);
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_holds_to_the_deadline_cancels_the_call() {
    let (server, _client, send) = notes().await;
    let service = ServiceBuilder::new()
        .map_err(|error: BoxError| match error.downcast::<Elapsed>() {
            Ok(_) => Status::deadline_exceeded("too late").into(),
            Err(error) => error,
        })
        .timeout(LIMIT)
        .service(send.clone());
    let mut client = NotesClient::with_origin(service, "http://a".parse().unwrap());
    let began = Instant::now();
    let status = within("the answer", client.unary(Note::text("stuck"))).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    expect_idle_and_alive(&send).await;
    assert_eq!(server.alive.count(), 0, "the handler is gone");
    assert_eq!(send.stats().sent.rst_stream, 1);
}
