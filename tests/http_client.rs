//! Our HTTP client against a scripted server.

#![cfg(feature = "client")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod http_support;
mod support;

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{join_all, poll_fn};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use http_support::*;
use hyper::body::Frame as BodyFrame;
use spdy::Config;
use spdy::client::SendRequest;
use spdy::frame::{Frame, GoAwayStatus, Priority, ResetStatus, SettingId};
use support::*;
use tokio::spawn;
use tower::ServiceExt;

const URI: &str = "http://example.com/";

fn get_request() -> Request<AnyBody> {
    Request::get(URI).body(empty()).unwrap()
}

fn post(body: AnyBody) -> Request<AnyBody> {
    Request::post(URI).body(body).unwrap()
}

async fn client() -> (SendRequest<AnyBody>, Driver, Peer) {
    client_of(Config::client()).await
}

#[tokio::test(start_paused = true)]
async fn a_get_is_one_syn_stream_with_fin() {
    let (mut send, _driver, mut peer) = client().await;
    let request = Request::get("http://user@example.com:81/a?b=c")
        .header("host", "other")
        .header("x-a", "1")
        .header("connection", "x-b")
        .header("x-b", "2")
        .header("te", "trailers")
        .header("expect", "100-continue")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .extension(Priority::new(6))
        .body(empty())
        .unwrap();
    let response = spawn(send.send_request(request));
    let syn = match next(&mut peer).await {
        Frame::SynStream(syn) => syn,
        other => panic!("{other:?}"),
    };
    assert!(syn.fin && !syn.unidirectional && syn.associated.is_none());
    assert_eq!(syn.priority, Priority::new(6));
    let mut fields: Vec<_> = syn
        .block
        .iter()
        .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
        .collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            ":host=example.com:81",
            ":method=GET",
            ":path=/a?b=c",
            ":scheme=http",
            ":version=HTTP/1.1",
            "cookie=a=1; b=2",
            "te=trailers",
            "x-a=1",
        ]
    );
    peer.send(reply(1, "200 OK").header("set-cookie", "c=3").fin())
        .await;
    let response = within("the response", response).await.unwrap().unwrap();
    assert_eq!(response.headers()["set-cookie"], "c=3");
    assert!(http_body::Body::is_end_stream(response.body()));
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_post_has_its_content_length_and_fin_on_its_last_data() {
    let (mut send, _driver, mut peer) = client().await;
    let _response = spawn(send.send_request(post(full("hello"))));
    let (head, fin) = expect_request(&mut peer, 1).await;
    assert!(!fin);
    assert_eq!(text(&head, "content-length"), Some("5"));
    peer.expect(data(1, "hello").fin()).await;
    let _empty = spawn(send.send_request(post(empty())));
    let (head, fin) = expect_request(&mut peer, 3).await;
    assert!(fin);
    assert_eq!(text(&head, "content-length"), Some("0"));
}

#[tokio::test(start_paused = true)]
async fn request_trailers_follow_the_data() {
    let (mut send, _driver, mut peer) = client().await;
    let (body, request_body) = channel();
    let _response = spawn(send.send_request(post(request_body)));
    expect_request(&mut peer, 1).await;
    body.send(chunk("data")).await.unwrap();
    peer.expect(data(1, "data")).await;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    body.send(Ok(BodyFrame::trailers(trailers))).await.unwrap();
    // FIN follows by itself: peers miss it on HEADERS.
    peer.expect(headers(1).header("x-sum", "7")).await;
    peer.expect(data(1, "").fin()).await;
}

#[tokio::test(start_paused = true)]
async fn statuses_come_with_or_without_a_reason() {
    let (mut send, _driver, mut peer) = client().await;
    for (stream, status) in [(1, "200"), (3, "200 OK"), (5, "200 "), (7, "404 Not Found")] {
        let response = spawn(send.send_request(get_request()));
        expect_request(&mut peer, stream).await;
        peer.send(reply(stream, status).fin()).await;
        let response = within("the response", response).await.unwrap().unwrap();
        assert_eq!(response.status().as_str(), &status[..3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_status_or_version_is_reset() {
    let (mut send, _driver, mut peer) = client().await;
    let drafts = [
        syn_reply(1).header(":version", "HTTP/1.1"),
        syn_reply(3).header(":status", "200"),
        reply(5, "20"),
        reply(7, "abc"),
        syn_reply(9),
    ];
    for (stream, draft) in (1..).step_by(2).zip(drafts) {
        let response = spawn(send.send_request(get_request()));
        expect_request(&mut peer, stream).await;
        peer.send(draft).await;
        let error = within("the response", response).await.unwrap().unwrap_err();
        assert_eq!(error.reset_status(), Some(ResetStatus::PROTOCOL_ERROR));
        assert!(!error.is_remote() && !error.is_retryable());
        peer.expect(rst(stream, ResetStatus::PROTOCOL_ERROR)).await;
    }
    expect_alive(&mut peer, 2).await;
}

#[tokio::test(start_paused = true)]
async fn one_interim_response_is_skipped() {
    let (mut send, _driver, mut peer) = client().await;
    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 1).await;
    peer.send(reply(1, "100 Continue")).await;
    peer.send(reply(1, "201").fin()).await;
    let response = within("the response", response).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);

    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 3).await;
    peer.send(reply(3, "100")).await;
    peer.send(reply(3, "100")).await;
    let error = within("the response", response).await.unwrap().unwrap_err();
    assert_eq!(error.reset_status(), Some(ResetStatus::PROTOCOL_ERROR));
    peer.expect(rst(3, ResetStatus::PROTOCOL_ERROR)).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_content_length_of_a_response_is_ignored() {
    let (mut send, _driver, mut peer) = client().await;
    for (stream, length) in [(1, "3"), (3, "100"), (5, "many")] {
        let response = spawn(send.send_request(get_request()));
        expect_request(&mut peer, stream).await;
        peer.send(reply(stream, "200").header("content-length", length))
            .await;
        let response = within("the response", response).await.unwrap().unwrap();
        peer.send(data(stream, "12345").fin()).await;
        assert_eq!(bytes_of(response.into_body()).await, "12345");
    }
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_far_longer_than_its_content_length_does_not_hang() {
    let config = Config::client().initial_stream_window_size(64 << 10);
    let (mut send, _driver, mut peer) = client_of(config).await;
    for (stream, length) in [(1, "10"), (3, "65536")] {
        let response = spawn(send.send_request(get_request()));
        expect_request(&mut peer, stream).await;
        peer.send(reply(stream, "200").header("content-length", length))
            .await;
        let body = spawn(bytes_of(
            within("the response", response)
                .await
                .unwrap()
                .unwrap()
                .into_body(),
        ));
        let (mut window, mut rest) = (64 << 10, 20 << 14);
        while rest > 0 {
            while window == 0 {
                match within("WINDOW_UPDATE", peer.recv()).await {
                    Some(Frame::WindowUpdate(update)) if update.id == Some(id(stream)) => {
                        window += update.delta;
                    }
                    Some(Frame::WindowUpdate(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
            // All that the window takes: credit is due at the latest when nothing is left of it.
            let n = rest.min(window).min(16 << 10);
            peer.send(data(stream, vec![1; n as usize])).await;
            window -= n;
            rest -= n;
        }
        peer.send(data(stream, "").fin()).await;
        assert_eq!(within("the body", body).await.unwrap().len(), 20 << 14);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_reset_behind_the_whole_body_is_its_end() {
    let (mut send, _driver, mut peer) = client().await;
    for (stream, length, clean) in [(1, "5", true), (3, "6", false)] {
        let response = spawn(send.send_request(get_request()));
        expect_request(&mut peer, stream).await;
        peer.send(reply(stream, "200").header("content-length", length))
            .await;
        peer.send(data(stream, "12345")).await;
        peer.send(rst(stream, ResetStatus::INVALID_STREAM)).await;
        let response = within("the response", response).await.unwrap().unwrap();
        let result = within("the body", response.into_body().collect()).await;
        assert_eq!(result.is_ok(), clean);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_before_the_reply_is_an_error_with_its_status() {
    let (mut send, _driver, mut peer) = client().await;
    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 1).await;
    peer.send(rst(1, ResetStatus::INTERNAL_ERROR)).await;
    let error = within("the response", response).await.unwrap().unwrap_err();
    assert_eq!(error.reset_status(), Some(ResetStatus::INTERNAL_ERROR));
    assert!(error.is_remote() && !error.is_retryable());
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_in_the_body_is_an_error_and_never_its_end() {
    let (mut send, _driver, mut peer) = client().await;
    // Once while the response waits, once while everything arrives before anyone looks.
    for (stream, at_once) in [(1, false), (3, true)] {
        let mut response = std::pin::pin!(send.send_request(get_request()));
        assert!(response.as_mut().now_or_never().is_none());
        expect_request(&mut peer, stream).await;
        peer.send(reply(stream, "200")).await;
        let early = if at_once {
            None
        } else {
            Some(within("the response", response.as_mut()).await)
        };
        peer.send(data(stream, "half")).await;
        peer.send(rst(stream, ResetStatus::CANCEL)).await;
        settle().await;
        let response = match early {
            Some(response) => response,
            None => within("the response", response).await,
        };
        let mut body = response.unwrap().into_body();
        assert!(!http_body::Body::is_end_stream(&body));
        let half = within("data", body.frame()).await.unwrap().unwrap();
        assert_eq!(half.into_data().unwrap(), "half");
        assert!(!http_body::Body::is_end_stream(&body));
        let error = within("the error", body.frame())
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.reset_status(), Some(ResetStatus::CANCEL));
        assert!(error.is_remote());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_right_behind_the_reply_is_no_empty_body() {
    let (mut send, _driver, mut peer) = client().await;
    let mut response = std::pin::pin!(send.send_request(get_request()));
    assert!(response.as_mut().now_or_never().is_none());
    expect_request(&mut peer, 1).await;
    peer.send(reply(1, "200")).await;
    peer.send(rst(1, ResetStatus::CANCEL)).await;
    settle().await;
    let body = within("the response", response).await.unwrap().into_body();
    assert!(!http_body::Body::is_end_stream(&body));
    within("the body", body.collect()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_fails_every_response_and_body() {
    for cut in [false, true] {
        let (mut send, driver, mut peer) = client().await;
        let first = spawn(send.send_request(get_request()));
        expect_request(&mut peer, 1).await;
        let second = spawn(send.send_request(get_request()));
        expect_request(&mut peer, 3).await;
        let (_body, request_body) = channel();
        let third = spawn(send.send_request(post(request_body)));
        expect_request(&mut peer, 5).await;
        peer.send(reply(1, "200")).await;
        peer.send(data(1, "half")).await;
        let mut body = within("the response", first)
            .await
            .unwrap()
            .unwrap()
            .into_body();
        if cut {
            peer.fail(ErrorKind::ConnectionReset);
        } else {
            peer.close();
        }
        let half = within("data", body.frame()).await.unwrap().unwrap();
        assert_eq!(half.into_data().unwrap(), "half");
        let error = within("the error", body.frame())
            .await
            .unwrap()
            .unwrap_err();
        assert!(error.is_closed() && !error.is_retryable(), "{error}");
        for response in [second, third] {
            let error = within("the response", response).await.unwrap().unwrap_err();
            assert!(error.is_closed() && !error.is_retryable(), "{error}");
        }
        assert!(send.is_closed());
        let error = within("a late request", send.send_request(get_request()))
            .await
            .unwrap_err();
        assert!(error.is_retryable(), "{error}");
        within("readiness", send.ready()).await.unwrap_err();
        within("the driver", driver).await.unwrap().unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connection_fails_every_response() {
    let (mut send, driver, mut peer) = client().await;
    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 1).await;
    driver.abort();
    let error = within("the response", response).await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn refused_requests_come_back_whole() {
    let (mut send, _driver, mut peer) = client().await;
    let request = Request::get(URI).header("x-a", "1").body(empty()).unwrap();
    let response = spawn(send.try_send_request(request));
    expect_request(&mut peer, 1).await;
    peer.send(rst(1, ResetStatus::REFUSED_STREAM)).await;
    let mut error = within("the response", response).await.unwrap().unwrap_err();
    assert!(error.error().is_retryable());
    let request = error.take_request().unwrap();
    assert_eq!(
        (request.method(), request.uri().path()),
        (&Method::GET, "/")
    );
    assert_eq!(request.headers()["x-a"], "1");

    // The body was read: the request is retryable, but does not come back.
    let response = spawn(send.try_send_request(post(full("body"))));
    expect_request(&mut peer, 3).await;
    peer.expect(data(3, "body").fin()).await;
    peer.send(rst(3, ResetStatus::REFUSED_STREAM)).await;
    let error = within("the response", response).await.unwrap().unwrap_err();
    assert!(error.error().is_retryable());
    assert!(error.request().is_none());
}

#[tokio::test(start_paused = true)]
async fn go_away_gives_back_what_was_not_processed() {
    let (mut send, driver, mut peer) =
        client_of::<Untouched>(Config::client().initial_max_open_streams(2)).await;
    let request = || Request::post(URI).body(Untouched::default()).unwrap();
    let responses: Vec<_> = (0..4)
        .map(|_| spawn(send.try_send_request(request())))
        .collect();
    for stream in [1, 3] {
        expect_request(&mut peer, stream).await;
    }
    for stream in [1, 3] {
        peer.expect(data(stream, "x").fin()).await;
    }
    // 5 and 7 wait for a slot.
    peer.expect_quiet().await;
    peer.send(go_away(1, GoAwayStatus::OK)).await;
    let mut responses = responses.into_iter();
    let first = responses.next().unwrap();
    let second = responses.next().unwrap();
    let error = within("the second", second).await.unwrap().unwrap_err();
    assert!(error.error().is_retryable());
    assert!(error.request().is_none(), "its body was read");
    for waiting in responses {
        let mut error = within("a waiting one", waiting).await.unwrap().unwrap_err();
        assert!(error.error().is_retryable());
        assert!(!error.take_request().unwrap().into_body().polled);
    }
    assert!(send.is_closed());
    let mut error = within("a late one", send.try_send_request(request()))
        .await
        .unwrap_err();
    assert!(error.error().is_retryable() && error.take_request().is_some());
    // What is below the last good id goes on; then the connection ends.
    peer.send(reply(1, "200")).await;
    peer.send(data(1, "done").fin()).await;
    let response = within("the first", first).await.unwrap().unwrap();
    assert_eq!(bytes_of(response.into_body()).await, "done");
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    peer.close();
    within("the driver", driver).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn go_away_gives_back_requests_that_wait_for_a_slot() {
    let (mut send, driver, mut peer) = client_of::<Untouched>(Config::client()).await;
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 0))
        .await;
    settle().await;
    let request = || Request::post(URI).body(Untouched::default()).unwrap();
    // 100 may wait in the session; those behind wait for a place there.
    let responses: Vec<_> = (0..150)
        .map(|_| spawn(send.try_send_request(request())))
        .collect();
    settle().await;
    peer.send(go_away(0, GoAwayStatus::OK)).await;
    for response in responses {
        let mut error = within("the error", response).await.unwrap().unwrap_err();
        assert!(error.error().is_retryable());
        assert!(!error.take_request().unwrap().into_body().polled);
    }
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    peer.close();
    within("the driver", driver).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_dropped_before_it_was_sent_leaves_no_trace() {
    let (mut send, _driver, mut peer) = client().await;
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 1))
        .await;
    settle().await;
    let first = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 1).await;
    let mut dropped = Box::pin(send.send_request(get_request()));
    assert!(dropped.as_mut().now_or_never().is_none());
    let last = spawn(
        send.send_request(
            Request::get("http://example.com/last")
                .body(empty())
                .unwrap(),
        ),
    );
    settle().await;
    drop(dropped);
    peer.expect_quiet().await;
    peer.send(reply(1, "200").fin()).await;
    within("the first", first).await.unwrap().unwrap();
    let (head, _) = expect_request(&mut peer, 3).await;
    assert_eq!(text(&head, ":path"), Some("/last"));
    peer.send(reply(3, "200").fin()).await;
    within("the last", last).await.unwrap().unwrap();
    assert_eq!(send.session().stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_response_or_its_body_cancels() {
    let (mut send, _driver, mut peer) = client().await;
    let mut response = Box::pin(send.send_request(get_request()));
    assert!(response.as_mut().now_or_never().is_none());
    expect_request(&mut peer, 1).await;
    drop(response);
    peer.expect(rst(1, ResetStatus::CANCEL)).await;

    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 3).await;
    peer.send(reply(3, "200")).await;
    let response = within("the response", response).await.unwrap().unwrap();
    peer.expect_quiet().await;
    drop(response);
    peer.expect(rst(3, ResetStatus::CANCEL)).await;

    // A body that was read to its end is not cancelled.
    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 5).await;
    peer.send(reply(5, "200")).await;
    peer.send(data(5, "all").fin()).await;
    let response = within("the response", response).await.unwrap().unwrap();
    assert_eq!(bytes_of(response.into_body()).await, "all");
    peer.expect_quiet().await;
    assert_eq!(send.session().stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_response_future_stops_the_upload() {
    let (mut send, _driver, mut peer) = client().await;
    let (body, request_body) = channel();
    let mut response = Box::pin(send.send_request(post(request_body)));
    assert!(response.as_mut().now_or_never().is_none());
    expect_request(&mut peer, 1).await;
    drop(response);
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
    assert!(body.is_closed(), "the upload goes on");

    // The same behind the head: the upload is a task then.
    let (body, request_body) = channel();
    let response = spawn(send.send_request(post(request_body)));
    expect_request(&mut peer, 3).await;
    peer.send(reply(3, "200")).await;
    let response = within("the response", response).await.unwrap().unwrap();
    drop(response);
    peer.expect(rst(3, ResetStatus::CANCEL)).await;
    within("the end of the upload", body.closed()).await;
    assert_eq!(send.session().stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_upload_goes_on_behind_the_response_head_and_its_whole_body() {
    let (mut send, _driver, mut peer) = client().await;
    let (body, request_body) = channel();
    let response = spawn(send.send_request(post(request_body)));
    expect_request(&mut peer, 1).await;
    body.send(chunk("one")).await.unwrap();
    peer.expect(data(1, "one")).await;
    peer.send(reply(1, "200")).await;
    let response = within("the response", response).await.unwrap().unwrap();
    body.send(chunk("two")).await.unwrap();
    peer.expect(data(1, "two")).await;
    peer.send(data(1, "answer").fin()).await;
    assert_eq!(bytes_of(response.into_body()).await, "answer");
    body.send(chunk("three")).await.unwrap();
    peer.expect(data(1, "three")).await;
    drop(body);
    peer.expect(data(1, "").fin()).await;
    settle().await;
    assert_eq!(send.session().stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_early_response_is_delivered_although_it_stops_the_upload() {
    let (mut send, _driver, mut peer) = client().await;
    let (body, request_body) = channel();
    let mut response = std::pin::pin!(send.send_request(post(request_body)));
    assert!(response.as_mut().now_or_never().is_none());
    expect_request(&mut peer, 1).await;
    body.send(chunk("one")).await.unwrap();
    assert!(response.as_mut().now_or_never().is_none());
    peer.expect(data(1, "one")).await;
    peer.send(reply(1, "413")).await;
    peer.send(data(1, "too much").fin()).await;
    peer.send(rst(1, ResetStatus::CANCEL)).await;
    settle().await;
    let response = within("the response", response).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(bytes_of(response.into_body()).await, "too much");
    within("the end of the upload", body.closed()).await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_upload_is_the_error_of_its_request() {
    let (mut send, _driver, mut peer) = client().await;
    let (body, request_body) = channel();
    let response = spawn(send.send_request(post(request_body)));
    expect_request(&mut peer, 1).await;
    body.send(Err("the disk is gone".into())).await.unwrap();
    let error = within("the response", response).await.unwrap().unwrap_err();
    assert!(error.is_body(), "{error:?}");
    assert_eq!(error.source().unwrap().to_string(), "the disk is gone");
    peer.expect(rst(1, ResetStatus::CANCEL)).await;

    // An error of this crate, from another connection, is no less one of the body.
    let (body, request_body) = channel();
    let response = spawn(send.send_request(post(request_body)));
    expect_request(&mut peer, 3).await;
    let (mut other, _, mut gone) = client().await;
    let lost = spawn(other.send_request(get_request()));
    expect_request(&mut gone, 1).await;
    gone.close();
    let lost = within("the loss", lost).await.unwrap().unwrap_err();
    body.send(Err(lost.into())).await.unwrap();
    let error = within("the response", response).await.unwrap().unwrap_err();
    assert!(error.is_body() && error.source().is_some(), "{error:?}");
    peer.expect(rst(3, ResetStatus::CANCEL)).await;
    assert_eq!(send.session().stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_queue_behind_the_limit_of_the_peer() {
    let (mut send, _driver, mut peer) = client().await;
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 2))
        .await;
    settle().await;
    let responses: Vec<_> = (0..5)
        .map(|_| spawn(send.send_request(get_request())))
        .collect();
    expect_request(&mut peer, 1).await;
    expect_request(&mut peer, 3).await;
    peer.expect_quiet().await;
    for stream in [1, 3, 5, 7, 9] {
        peer.send(reply(stream, "200").fin()).await;
        if stream + 4 <= 9 {
            expect_request(&mut peer, stream + 4).await;
        }
    }
    for response in join_all(responses).await {
        assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_ends_at_the_limit_and_a_hundred_more() {
    let (mut send, _driver, mut peer) = client().await;
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 3))
        .await;
    settle().await;
    let mut responses = Vec::new();
    for _ in 0..103 {
        within("readiness", send.ready()).await.unwrap();
        assert!(send.is_ready());
        responses.push(spawn(send.send_request(get_request())));
        settle().await;
    }
    assert!(!send.is_ready());
    let mut clone = send.clone();
    assert!(poll_fn(|cx| clone.poll_ready(cx)).now_or_never().is_none());
    let waiting = spawn(async move {
        send.ready().await.unwrap();
        send
    });
    settle().await;
    assert!(!waiting.is_finished());
    // First come, first served: one that gives up its place makes way.
    drop(clone);
    settle().await;
    assert!(!waiting.is_finished());
    // Dropping a request that waits makes room.
    responses.pop().unwrap().abort();
    within("readiness", waiting).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unused_reservation_goes_back() {
    let (mut send, _driver, mut peer) = client().await;
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 0))
        .await;
    settle().await;
    let mut clones: Vec<_> = (0..100).map(|_| send.clone()).collect();
    for clone in &mut clones {
        within("readiness", clone.ready()).await.unwrap();
    }
    let waiting = spawn(async move { send.ready().await.map(|()| send) });
    settle().await;
    assert!(!waiting.is_finished());
    clones.pop();
    let mut send = within("readiness", waiting).await.unwrap().unwrap();
    // So does the slot of a request that cannot be sent.
    let mut clone = clones.pop().unwrap();
    let waiting = spawn(async move { clone.ready().await.map(|()| clone) });
    let request = Request::get("/no-host").body(empty()).unwrap();
    let error = within("the error", send.send_request(request))
        .await
        .unwrap_err();
    assert!(error.is_user() && !error.is_retryable(), "{error}");
    within("readiness", waiting).await.unwrap().unwrap();
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_sent_is_a_user_error() {
    let (mut send, _driver, mut peer) = client().await;
    let bad = [
        Request::get("/").body(empty()).unwrap(),
        Request::get("*")
            .header("host", "example.com")
            .body(empty())
            .unwrap(),
        Request::post(URI)
            .header("content-length", "7")
            .body(full("x"))
            .unwrap(),
        Request::connect("example.com").body(empty()).unwrap(),
    ];
    for request in bad {
        let what = format!("{request:?}");
        let error = within("the error", send.send_request(request))
            .await
            .unwrap_err();
        assert!(error.is_user(), "{what}: {error}");
    }
    peer.expect_quiet().await;
    assert_eq!(send.session().stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_push_is_refused_and_the_header_context_goes_on() {
    let (mut send, _driver, mut peer) = client().await;
    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 1).await;
    let push = syn_stream(2)
        .unidirectional()
        .associated(1)
        .header(":host", "example.com")
        .header(":path", "/pushed")
        .header(":scheme", "http");
    peer.send(push).await;
    peer.expect(rst(2, ResetStatus::REFUSED_STREAM)).await;
    peer.send(data(2, "pushed").fin()).await;
    peer.send(reply(1, "200").header("x-a", "1").fin()).await;
    let response = within("the response", response).await.unwrap().unwrap();
    assert_eq!(response.headers()["x-a"], "1");
    expect_alive(&mut peer, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_measures_and_fails_with_its_connection() {
    let (send, driver, mut peer) = client().await;
    let measure = |send: &SendRequest<AnyBody>| {
        let send = send.clone();
        spawn(async move { send.ping().await })
    };
    let ping_of = async |peer: &mut Peer| match next(peer).await {
        Frame::Ping(id) => id,
        other => panic!("{other:?}"),
    };
    let time = measure(&send);
    let echo = ping_of(&mut peer).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    peer.send(ping(echo)).await;
    let time = within("the echo", time).await.unwrap().unwrap();
    assert!(
        time >= Duration::from_millis(30) && time < Duration::from_millis(60),
        "{time:?}"
    );
    let lost = measure(&send);
    ping_of(&mut peer).await;
    driver.abort();
    within("the error", lost).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn the_connection_ends_with_its_last_sender_and_stream() {
    let (mut send, driver, mut peer) = client().await;
    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 1).await;
    let clone = send.clone();
    drop(send);
    drop(clone);
    peer.expect_quiet().await;
    peer.send(reply(1, "200")).await;
    let response = within("the response", response).await.unwrap().unwrap();
    peer.send(data(1, "behind the last sender").fin()).await;
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    peer.close();
    within("the driver", driver).await.unwrap().unwrap();
    assert_eq!(
        bytes_of(response.into_body()).await,
        "behind the last sender"
    );
}

#[tokio::test(start_paused = true)]
async fn a_response_that_waits_for_a_slot_keeps_the_connection() {
    let (mut send, driver, mut peer) = client().await;
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 0))
        .await;
    settle().await;
    let mut others: Vec<_> = (0..100).map(|_| send.clone()).collect();
    for other in &mut others {
        within("readiness", other.ready()).await.unwrap();
    }
    // No slot is left: this one waits, and is all there is when the handles are gone.
    let response = spawn(send.send_request(get_request()));
    settle().await;
    drop(send);
    drop(others);
    settle().await;
    peer.expect_quiet().await;
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 1))
        .await;
    expect_request(&mut peer, 1).await;
    peer.send(reply(1, "200").fin()).await;
    within("the response", response).await.unwrap().unwrap();
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    peer.close();
    within("the driver", driver).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn responses_without_a_body_have_none() {
    let (mut send, _driver, mut peer) = client().await;
    for (stream, method, status) in [
        (1, Method::HEAD, "200"),
        (3, Method::GET, "204"),
        (5, Method::GET, "304"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(URI)
            .body(empty())
            .unwrap();
        let response = spawn(send.send_request(request));
        expect_request(&mut peer, stream).await;
        peer.send(reply(stream, status).header("content-length", "42").fin())
            .await;
        let response = within("the response", response).await.unwrap().unwrap();
        assert_eq!(response.headers()["content-length"], "42");
        assert!(http_body::Body::is_end_stream(response.body()));
        assert_eq!(bytes_of(response.into_body()).await, "");
    }
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_window_of_zero_leaves_the_body_untouched_until_it_opens() {
    let (mut send, _driver, mut peer) = client_of::<Untouched>(Config::client()).await;
    peer.send(settings().set(SettingId::InitialWindowSize, 0))
        .await;
    settle().await;
    let request = Request::post(URI).body(Untouched::default()).unwrap();
    let response = spawn(send.try_send_request(request));
    expect_request(&mut peer, 1).await;
    peer.expect_quiet().await;
    peer.send(rst(1, ResetStatus::REFUSED_STREAM)).await;
    let mut error = within("the response", response).await.unwrap().unwrap_err();
    assert!(!error.take_request().unwrap().into_body().polled);

    let request = Request::post(URI).body(Untouched::default()).unwrap();
    let _response = spawn(send.try_send_request(request));
    expect_request(&mut peer, 3).await;
    peer.send(window_update(3, 1)).await;
    peer.expect(data(3, "x").fin()).await;
}

#[tokio::test(start_paused = true)]
async fn send_request_is_a_tower_service() {
    let (send, _driver, mut peer) = client_of::<Full<Bytes>>(Config::client()).await;
    let request = Request::get(URI).body(Full::default()).unwrap();
    let response = spawn(send.clone().oneshot(request));
    expect_request(&mut peer, 1).await;
    peer.send(reply(1, "200").fin()).await;
    within("the response", response).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn response_trailers_are_the_last_frame() {
    let (mut send, _driver, mut peer) = client().await;
    for (stream, with_data) in [(1, true), (3, false)] {
        let response = spawn(send.send_request(get_request()));
        expect_request(&mut peer, stream).await;
        peer.send(reply(stream, "200")).await;
        if with_data {
            // HEADERS in mid-body do not break it.
            peer.send(data(stream, "da")).await;
            peer.send(headers(stream).header("x-early", "1")).await;
            peer.send(data(stream, "ta")).await;
        }
        peer.send(headers(stream).header("grpc-status", "0").fin())
            .await;
        let response = within("the response", response).await.unwrap().unwrap();
        let body = within("the body", response.into_body().collect())
            .await
            .unwrap();
        let trailers = body.trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers.contains_key("x-early"), with_data);
        assert_eq!(body.to_bytes(), if with_data { "data" } else { "" });
    }
    peer.expect_quiet().await;
    assert_eq!(send.session().stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn repeated_trailers_are_appended_and_pseudo_headers_among_them_are_an_error() {
    let (mut send, _driver, mut peer) = client().await;
    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 1).await;
    peer.send(reply(1, "200").header("x", "head")).await;
    peer.send(headers(1).header("x", "1")).await;
    peer.send(headers(1).header("x", "2").fin()).await;
    let response = within("the response", response).await.unwrap().unwrap();
    assert_eq!(response.headers()["x"], "head");
    let body = within("the body", response.into_body().collect())
        .await
        .unwrap();
    let values: Vec<_> = body.trailers().unwrap().get_all("x").iter().collect();
    assert_eq!(values, ["1", "2"]);

    // With the upload under way: a stream that is over at both ends has nothing to reset.
    let (_upload, request_body) = channel();
    let response = spawn(send.send_request(post(request_body)));
    expect_request(&mut peer, 3).await;
    peer.send(reply(3, "200")).await;
    peer.send(headers(3).header(":status", "500")).await;
    peer.send(data(3, "").fin()).await;
    let response = within("the response", response).await.unwrap().unwrap();
    let error = within("the body", response.into_body().collect())
        .await
        .unwrap_err();
    assert_eq!(error.reset_status(), Some(ResetStatus::PROTOCOL_ERROR));
    peer.expect(rst(3, ResetStatus::PROTOCOL_ERROR)).await;
    expect_alive(&mut peer, 2).await;
}

#[tokio::test(start_paused = true)]
async fn graceful_shutdown_of_a_client_finishes_what_is_under_way() {
    use std::pin::pin;
    let (io, wire) = pipe();
    let (mut send, connection) = spdy::client::Builder::new(hyper_util::rt::TokioExecutor::new())
        .handshake::<_, AnyBody>(hyper_util::rt::TokioIo::new(io))
        .await
        .unwrap();
    let mut peer = Peer::new(wire, spdy::frame::Role::Server);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let driver = spawn(async move {
        let mut connection = pin!(connection);
        tokio::select! {
            result = connection.as_mut() => return result,
            _ = stopped => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    });
    peer.expect_preface().await;
    let response = spawn(send.send_request(get_request()));
    expect_request(&mut peer, 1).await;
    stop.send(()).unwrap();
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    assert!(send.is_closed());
    let error = within("a late one", send.send_request(get_request()))
        .await
        .unwrap_err();
    assert!(error.is_retryable());
    peer.send(reply(1, "200").fin()).await;
    within("the response", response).await.unwrap().unwrap();
    peer.expect_end().await;
    peer.close();
    within("the driver", driver).await.unwrap().unwrap();
}
