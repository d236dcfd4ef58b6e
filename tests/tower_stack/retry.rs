//! `tower::retry` around a client: what the error and the answer tell is enough for a policy.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use http_body_util::Full;
use spdy::Error;
use spdy::frame::{GoAwayStatus, ResetStatus};
use tower::ServiceBuilder;
use tower::retry::Policy;

use super::*;

type Whole = Full<Bytes>;

/// Sends again what certainly was not processed, and what was answered with 503.
#[derive(Clone)]
struct Patient {
    more: usize,
}

impl Policy<Request<Whole>, Response<Body>, Error> for Patient {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Whole>,
        result: &mut Result<Response<Body>, Error>,
    ) -> Option<Ready<()>> {
        let again = match result {
            Ok(response) => response.status() == StatusCode::SERVICE_UNAVAILABLE,
            Err(error) => error.is_retryable(),
        };
        self.more = self.more.checked_sub(1)?;
        again.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Whole>) -> Option<Request<Whole>> {
        Some(request.clone())
    }
}

fn upload(body: &'static str) -> Request<Whole> {
    Request::post("http://a/").body(Full::from(body)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_asks_for_it_is_tried_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let service = tower::service_fn(move |request: Request<Body>| {
        let attempt = count.fetch_add(1, Ordering::SeqCst);
        async move {
            let body = bytes_of(request.into_body()).await;
            let mut response = Response::new(full(body));
            if attempt < 2 {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            Ok::<_, Infallible>(response)
        }
    });
    let send = serve(service).await;
    let mut client = ServiceBuilder::new()
        .retry(Patient { more: 5 })
        .service(send.clone());
    let (head, body) = whole(call(&mut client, upload("whole")).await.unwrap()).await;
    assert_eq!((head.status, &body[..]), (StatusCode::OK, &b"whole"[..]));
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_has_enough_hands_on_the_last_answer() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let service = tower::service_fn(move |_: Request<Body>| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        async { Ok::<_, Infallible>(response) }
    });
    let mut client = ServiceBuilder::new()
        .retry(Patient { more: 2 })
        .service(serve(service).await);
    let response = call(&mut client, upload("x")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_opened_again_with_the_same_request() {
    let (send, _driver, mut peer) = client_of::<Whole>(Config::client()).await;
    let mut client = ServiceBuilder::new()
        .retry(Patient { more: 5 })
        .service(send);
    let answer = spawn(async move { call(&mut client, upload("whole")).await });
    for (stream, last) in [(1, false), (3, false), (5, true)] {
        let (block, _) = expect_request(&mut peer, stream).await;
        assert_eq!(text(&block, ":method"), Some("POST"));
        peer.expect(data(stream, "whole").fin()).await;
        if last {
            peer.send(reply(stream, "200").fin()).await;
        } else {
            peer.send(rst(stream, ResetStatus::REFUSED_STREAM)).await;
        }
    }
    let response = within("the answer", answer).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_may_have_been_processed_is_not_opened_again() {
    let (send, _driver, mut peer) = client_of::<Whole>(Config::client()).await;
    let mut client = ServiceBuilder::new()
        .retry(Patient { more: 5 })
        .service(send.clone());
    let answer = spawn(async move { call(&mut client, upload("whole")).await });
    expect_request(&mut peer, 1).await;
    peer.expect(data(1, "whole").fin()).await;
    peer.send(rst(1, ResetStatus::INTERNAL_ERROR)).await;
    let error = within("the error", answer).await.unwrap().unwrap_err();
    assert_eq!(error.reset_status(), Some(ResetStatus::INTERNAL_ERROR));
    // Had it been sent again, its SYN_STREAM would come before the PING.
    expect_alive(&mut peer, 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_go_away_left_unprocessed_comes_back_whole_for_another_connection() {
    let (mut first, _driver, mut peer) = client_of::<AnyBody>(Config::client()).await;
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let mut second = serve(tower::service_fn(move |request: Request<Body>| {
        count.fetch_add(1, Ordering::SeqCst);
        let seen = request.headers()["x-attempt"].clone();
        async move {
            let mut response = Response::new(full(bytes_of(request.into_body()).await));
            response.headers_mut().insert("x-attempt", seen);
            Ok::<_, Infallible>(response)
        }
    }))
    .await;

    // The peer takes no byte of a body at first: a body that was begun could not come back.
    peer.send(settings().set(spdy::frame::SettingId::InitialWindowSize, 0))
        .await;
    expect_alive(&mut peer, 2).await;
    let (pieces, body) = channel();
    let request = Request::post("http://a/").header("x-attempt", "one");
    let attempt = spawn(first.try_send_request(request.body(body).unwrap()));
    expect_request(&mut peer, 1).await;
    peer.send(go_away(0, GoAwayStatus::OK)).await;
    let mut error = within("the error", attempt).await.unwrap().unwrap_err();
    assert!(error.error().is_retryable(), "{error}");
    assert!(error.error().is_go_away(), "{error}");
    let request = error.take_request().expect("the request comes back");

    let answer = second.try_send_request(request);
    pieces.send(chunk("whole")).await.unwrap();
    drop(pieces);
    let (head, body) = whole(within("the response", answer).await.unwrap()).await;
    assert_eq!(head.headers["x-attempt"], "one");
    assert_eq!(body, "whole");
    assert_eq!(served.load(Ordering::SeqCst), 1);
    // And the first connection says at once that it takes no more.
    let error = within("readiness", first.ready()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_begun_does_not_come_back() {
    let (mut send, _driver, mut peer) = client_of::<AnyBody>(Config::client()).await;
    let (pieces, body) = channel();
    pieces.send(chunk("begun")).await.unwrap();
    let request = Request::post("http://a/").body(body).unwrap();
    let attempt = spawn(send.try_send_request(request));
    expect_request(&mut peer, 1).await;
    peer.expect(data(1, "begun")).await;
    peer.send(rst(1, ResetStatus::REFUSED_STREAM)).await;
    let mut error = within("the error", attempt).await.unwrap().unwrap_err();
    assert!(error.error().is_retryable());
    assert!(error.take_request().is_none());
    // The upload ended with its stream.
    within("the end of the upload", pieces.closed()).await;
}
