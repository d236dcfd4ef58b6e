//! Our HTTP server against a scripted client.

#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod http_support;
mod support;

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_support::*;
use hyper::body::Frame as BodyFrame;
use spdy::frame::{Frame, GoAwayStatus, ResetStatus, SettingId};
use spdy::{Body, Config};
use support::*;
use tokio::sync::{mpsc, oneshot};

/// A service that answers with the method, the URI and the length of the body.
async fn describe(request: Request<Body>) -> Result<Response<AnyBody>, spdy::Error> {
    let head = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await?.to_bytes();
    Ok(Response::new(full(format!("{head} {}", body.len()))))
}

/// A service whose answer is a body fed by the test; requests arrive at the receiver.
type Fed = (
    Request<Body>,
    oneshot::Sender<Result<Response<AnyBody>, BoxError>>,
);

type Answer = futures_util::future::BoxFuture<'static, Result<Response<AnyBody>, BoxError>>;

fn fed() -> (
    impl Fn(Request<Body>) -> Answer + Send + 'static,
    mpsc::UnboundedReceiver<Fed>,
) {
    let (requests, receiver) = mpsc::unbounded_channel();
    let service = move |request| {
        let (answer, answered) = oneshot::channel();
        requests.send((request, answer)).unwrap();
        let future: Answer =
            Box::pin(async move { answered.await.unwrap_or_else(|gone| Err(gone.into())) });
        future
    };
    (service, receiver)
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_with_reply_data_and_fin() {
    let (_driver, mut peer) = server_of(describe).await;
    peer.send(request(1, "GET", "/a/b?c=d").fin()).await;
    let (head, fin) = expect_reply(&mut peer, 1, "200").await;
    assert!(!fin);
    assert_eq!(text(&head, "content-length"), Some("32"));
    assert!(text(&head, "date").is_some_and(|date| date.ends_with(" GMT")));
    peer.expect(data(1, "GET http://example.com/a/b?c=d 0").fin())
        .await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_arrives_with_its_head_in_one_read_is_not_lost() {
    let (_driver, mut peer) = server_of(describe).await;
    let mut bytes = peer.encode(request(1, "POST", "/")).to_vec();
    bytes.extend(peer.encode(data(1, "12345").fin()));
    peer.send_raw(bytes).await;
    expect_reply(&mut peer, 1, "200").await;
    peer.expect(data(1, "POST http://example.com/ 5").fin())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_and_its_reset_in_one_read_reach_no_service_as_an_end() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ends);
    let (_driver, mut peer) = server_of(move |request: Request<Body>| {
        let seen = Arc::clone(&seen);
        async move {
            let result = request.into_body().collect().await;
            seen.lock().unwrap().push(result.is_ok());
            Ok::<_, Infallible>(Response::new(empty()))
        }
    })
    .await;
    let mut bytes = peer.encode(request(1, "POST", "/")).to_vec();
    bytes.extend(peer.encode(data(1, "12345")));
    bytes.extend(peer.encode(rst(1, ResetStatus::CANCEL)));
    peer.send_raw(bytes).await;
    expect_alive(&mut peer, 1).await;
    settle().await;
    assert!(!ends.lock().unwrap().contains(&true));
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_has_fin_on_its_reply() {
    let (_driver, mut peer) =
        server_of(|_| async { Ok::<_, Infallible>(Response::new(Body::empty())) }).await;
    peer.send(get(1)).await;
    let (head, fin) = expect_reply(&mut peer, 1, "200").await;
    assert!(fin);
    assert_eq!(text(&head, "content-length"), Some("0"));
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn responses_without_body_keep_their_content_length() {
    let (_driver, mut peer) = server_of(|request: Request<Body>| async move {
        let status: u16 = request.uri().path()[1..].parse().unwrap();
        let response = Response::builder()
            .status(status)
            .header("content-length", "42");
        Ok::<_, Infallible>(response.body(full("not to be sent")).unwrap())
    })
    .await;
    for (stream, method, status) in [(1, "HEAD", "200"), (3, "GET", "204"), (5, "GET", "304")] {
        peer.send(request(stream, method, &format!("/{status}")).fin())
            .await;
        let (head, fin) = expect_reply(&mut peer, stream, status).await;
        assert!(fin, "{method} {status}");
        assert_eq!(
            text(&head, "content-length"),
            Some("42"),
            "{method} {status}"
        );
    }
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_date_is_not_overwritten_and_hop_by_hop_headers_are_left_out() {
    let (_driver, mut peer) = server_of(|_| async {
        let response = Response::builder()
            .header("date", "then")
            .header("connection", "x-private, close")
            .header("x-private", "1")
            .header("keep-alive", "timeout=5")
            .header("transfer-encoding", "chunked")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("x-public", "2");
        Ok::<_, Infallible>(response.body(Body::empty()).unwrap())
    })
    .await;
    peer.send(get(1)).await;
    let (head, _) = expect_reply(&mut peer, 1, "200").await;
    assert_eq!(text(&head, "date"), Some("then"));
    assert_eq!(text(&head, "x-public"), Some("2"));
    assert_eq!(head.get("set-cookie"), Some(&b"a=1\0b=2"[..]));
    for gone in ["connection", "x-private", "keep-alive", "transfer-encoding"] {
        assert_eq!(text(&head, gone), None, "{gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_lacks_a_pseudo_header_gets_400_and_the_next_one_works() {
    const ALL: [(&str, &str); 5] = [
        (":method", "GET"),
        (":path", "/"),
        (":version", "HTTP/1.1"),
        (":host", "example.com"),
        (":scheme", "http"),
    ];
    let (_driver, mut peer) = server_of(describe).await;
    let mut stream = 1;
    for (missing, _) in ALL {
        let mut draft = syn_stream(stream).fin();
        for (name, value) in ALL.into_iter().filter(|(name, _)| *name != missing) {
            draft = draft.header(name, value);
        }
        peer.send(draft).await;
        let (_, fin) = expect_reply(&mut peer, stream, "400").await;
        assert!(fin, "without {missing}");
        peer.send(request(stream + 2, "GET", &format!("/{stream}")).fin())
            .await;
        expect_reply(&mut peer, stream + 2, "200").await;
        let body = format!("GET http://example.com/{stream} 0");
        peer.expect(data(stream + 2, body).fin()).await;
        stream += 4;
    }
}

#[tokio::test(start_paused = true)]
async fn oversized_headers_get_431_and_the_next_request_works() {
    let (_driver, mut peer) = server_of(describe).await;
    peer.send(get(1).header("x-big", &"b".repeat(20_000))).await;
    let (_, fin) = expect_reply(&mut peer, 1, "431").await;
    assert!(fin);
    peer.send(get(3)).await;
    expect_reply(&mut peer, 3, "200").await;
    peer.expect(data(3, "GET http://example.com/ 0").fin())
        .await;
}

#[tokio::test(start_paused = true)]
async fn headers_beyond_four_times_the_limit_end_the_session() {
    let (driver, mut peer) = server_of(describe).await;
    peer.send(get(1)).await;
    expect_reply(&mut peer, 1, "200").await;
    peer.expect(data(1, "GET http://example.com/ 0").fin())
        .await;
    peer.send(get(3).header("x-big", &"b".repeat(70_000))).await;
    peer.expect(go_away(1, GoAwayStatus::PROTOCOL_ERROR)).await;
    peer.expect_end().await;
    peer.close();
    let error = within("the driver", driver).await.unwrap().unwrap_err();
    assert_eq!(error.go_away_status(), Some(GoAwayStatus::PROTOCOL_ERROR));
}

#[tokio::test(start_paused = true)]
async fn a_body_of_the_wrong_length_gets_400() {
    let (_driver, mut peer) = server_of(describe).await;
    // Too short, too long, missing; the service reads it and passes the error on.
    peer.send(request(1, "POST", "/").header("content-length", "10"))
        .await;
    peer.send(data(1, "12345").fin()).await;
    assert!(expect_reply(&mut peer, 1, "400").await.1);
    peer.send(request(3, "POST", "/").header("content-length", "3"))
        .await;
    peer.send(data(3, "12345").fin()).await;
    assert!(expect_reply(&mut peer, 3, "400").await.1);
    peer.send(request(5, "POST", "/").header("content-length", "3").fin())
        .await;
    assert!(expect_reply(&mut peer, 5, "400").await.1);
    peer.send(request(7, "POST", "/").header("content-length", "5"))
        .await;
    peer.send(data(7, "12345").fin()).await;
    expect_reply(&mut peer, 7, "200").await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hides_the_wrong_length_still_gets_400() {
    let (_driver, mut peer) = server_of(|request: Request<Body>| async move {
        drop(request.into_body().collect().await);
        Ok::<_, Infallible>(Response::new(full("all is well")))
    })
    .await;
    peer.send(request(1, "POST", "/").header("content-length", "3"))
        .await;
    peer.send(data(1, "12345").fin()).await;
    assert!(expect_reply(&mut peer, 1, "400").await.1);
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_of_the_wrong_length_behind_the_answer_is_reset() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_of(service).await;
    for (stream, length, end) in [(1, "3", false), (3, "10", true)] {
        peer.send(request(stream, "POST", "/").header("content-length", length))
            .await;
        let (request, answer) = within("the request", requests.recv()).await.unwrap();
        let (_body, answer_body) = channel();
        answer.send(Ok(Response::new(answer_body))).unwrap();
        expect_reply(&mut peer, stream, "200").await;
        let more = data(stream, "12345");
        peer.send(if end { more.fin() } else { more }).await;
        let error = within("the body", request.into_body().collect())
            .await
            .unwrap_err();
        assert_eq!(error.reset_status(), Some(ResetStatus::PROTOCOL_ERROR));
        expect_rst(&mut peer, stream, ResetStatus::PROTOCOL_ERROR).await;
    }
    expect_alive(&mut peer, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_service_resets_its_stream_and_no_other() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_of(service).await;
    peer.send(get(1)).await;
    peer.send(get(3)).await;
    let (_, first) = within("the request", requests.recv()).await.unwrap();
    let (_, second) = within("the request", requests.recv()).await.unwrap();
    first.send(Err("no".into())).unwrap();
    peer.expect(rst(1, ResetStatus::INTERNAL_ERROR)).await;
    second.send(Ok(Response::new(full("yes")))).unwrap();
    expect_reply(&mut peer, 3, "200").await;
    peer.expect(data(3, "yes").fin()).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_service_resets_its_stream_and_no_other() {
    let (_driver, mut peer) = server_of(|request: Request<Body>| {
        assert!(
            request.uri().path() != "/call",
            "a panic on purpose, in the call"
        );
        async move {
            if request.uri().path() == "/body" {
                let frames = futures_util::stream::poll_fn(
                    |_| -> std::task::Poll<Option<Result<BodyFrame<Bytes>, BoxError>>> {
                        panic!("a panic on purpose, in the body")
                    },
                );
                return Ok::<_, Infallible>(Response::new(
                    http_body_util::StreamBody::new(frames).boxed_unsync(),
                ));
            }
            assert!(
                request.uri().path() != "/future",
                "a panic on purpose, in the future"
            );
            Ok::<_, Infallible>(Response::new(full("yes")))
        }
    })
    .await;
    for (stream, path) in [(1, "/call"), (3, "/future"), (5, "/body")] {
        peer.send(request(stream, "GET", path).fin()).await;
        peer.expect(rst(stream, ResetStatus::INTERNAL_ERROR)).await;
    }
    peer.send(get(7)).await;
    expect_reply(&mut peer, 7, "200").await;
    peer.expect(data(7, "yes").fin()).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_response_body_resets_the_stream() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_of(service).await;
    peer.send(get(1)).await;
    let (_, answer) = within("the request", requests.recv()).await.unwrap();
    let (body, answer_body) = channel();
    answer.send(Ok(Response::new(answer_body))).unwrap();
    body.send(chunk("half")).await.unwrap();
    expect_reply(&mut peer, 1, "200").await;
    peer.expect(data(1, "half")).await;
    body.send(Err("the disk is gone".into())).await.unwrap();
    peer.expect(rst(1, ResetStatus::INTERNAL_ERROR)).await;
    expect_alive(&mut peer, 1).await;
}

#[tokio::test(start_paused = true)]
async fn trailers_go_behind_data_and_right_behind_the_head() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_of(service).await;
    for (stream, with_data) in [(1, true), (3, false)] {
        peer.send(get(stream)).await;
        let (_, answer) = within("the request", requests.recv()).await.unwrap();
        let (body, answer_body) = channel();
        answer.send(Ok(Response::new(answer_body))).unwrap();
        if with_data {
            body.send(chunk("data")).await.unwrap();
        }
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        body.send(Ok(BodyFrame::trailers(trailers))).await.unwrap();
        expect_reply(&mut peer, stream, "200").await;
        if with_data {
            peer.expect(data(stream, "data")).await;
        }
        // FIN follows by itself: peers miss it on HEADERS.
        peer.expect(headers(stream).header("grpc-status", "0"))
            .await;
        peer.expect(data(stream, "").fin()).await;
    }
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn trailers_of_a_request_come_behind_its_data() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_of(service).await;
    peer.send(request(1, "POST", "/").header("te", "trailers"))
        .await;
    peer.send(data(1, "data")).await;
    peer.send(
        headers(1)
            .header("x-sum", "7")
            .header("connection", "close")
            .fin(),
    )
    .await;
    let (request, _answer) = within("the request", requests.recv()).await.unwrap();
    assert_eq!(request.headers()["te"], "trailers");
    let body = within("the body", request.into_body().collect())
        .await
        .unwrap();
    let trailers = body.trailers().unwrap();
    assert_eq!(trailers.len(), 1);
    assert_eq!(trailers["x-sum"], "7");
    assert_eq!(body.to_bytes(), "data");
}

#[tokio::test(start_paused = true)]
async fn pseudo_headers_in_trailers_are_an_error() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_of(service).await;
    peer.send(request(1, "POST", "/")).await;
    peer.send(headers(1).header(":status", "200").fin()).await;
    let (request, _answer) = within("the request", requests.recv()).await.unwrap();
    let error = within("the body", request.into_body().collect())
        .await
        .unwrap_err();
    assert_eq!(error.reset_status(), Some(ResetStatus::PROTOCOL_ERROR));
    peer.expect(rst(1, ResetStatus::PROTOCOL_ERROR)).await;
}

#[tokio::test(start_paused = true)]
async fn the_request_has_its_host_as_header_and_in_its_uri() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_of(service).await;
    peer.send(
        request(1, "OPTIONS", "*")
            .header("cookie", "a=1; b=2")
            .header("connection", "x-gone")
            .header("x-gone", "1")
            .header("proxy-connection", "close")
            .fin(),
    )
    .await;
    let (request, _answer) = within("the request", requests.recv()).await.unwrap();
    assert_eq!(request.method(), Method::OPTIONS);
    assert_eq!(request.uri().path(), "*");
    assert_eq!(request.uri().authority().unwrap(), "example.com");
    assert_eq!(request.headers()["host"], "example.com");
    let cookies: Vec<_> = request.headers().get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2"]);
    for gone in ["connection", "x-gone", "proxy-connection"] {
        assert!(!request.headers().contains_key(gone), "{gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_by_the_peer_drops_the_service_future_and_the_body() {
    let census = Census::default();
    let counted = census.clone();
    let (_driver, mut peer) = server_of(move |request: Request<Body>| {
        let alive = counted.enter();
        async move {
            if request.uri().path() == "/future" {
                let _alive = alive;
                // Polled more than once before the reset.
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
                return pending().await;
            }
            let frames = futures_util::stream::poll_fn(move |_| {
                let _alive = &alive;
                std::task::Poll::<Option<Result<BodyFrame<Bytes>, BoxError>>>::Pending
            });
            Ok::<_, Infallible>(Response::new(
                http_body_util::StreamBody::new(frames).boxed_unsync(),
            ))
        }
    })
    .await;
    peer.send(request(1, "GET", "/future").fin()).await;
    peer.send(request(3, "POST", "/future")).await;
    peer.send(request(5, "GET", "/body").fin()).await;
    expect_reply(&mut peer, 5, "200").await;
    settle().await;
    assert_eq!(census.count(), 3);
    for (stream, left) in [(1, 2), (3, 1), (5, 0)] {
        peer.send(rst(stream, ResetStatus::CANCEL)).await;
        settle().await;
        assert_eq!(census.count(), left);
    }
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_drops_every_service_future() {
    let census = Census::default();
    let counted = census.clone();
    let (driver, mut peer) = server_of(move |_| {
        let alive = counted.enter();
        async move {
            let _alive = alive;
            pending::<Result<Response<Body>, Infallible>>().await
        }
    })
    .await;
    for stream in [1, 3, 5, 7] {
        peer.send(request(stream, "POST", "/")).await;
    }
    settle().await;
    assert_eq!(census.count(), 4);
    peer.fail(std::io::ErrorKind::ConnectionReset);
    assert!(
        within("the driver", driver)
            .await
            .unwrap()
            .unwrap_err()
            .is_io()
    );
    settle().await;
    assert_eq!(census.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_body_that_is_cut_off_is_an_error() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_of(service).await;
    peer.send(request(1, "POST", "/")).await;
    peer.send(data(1, "half")).await;
    let (request, _answer) = within("the request", requests.recv()).await.unwrap();
    let mut body = request.into_body();
    let first = within("a frame", body.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "half");
    peer.close();
    settle().await;
    assert!(
        !http_body::Body::is_end_stream(&body),
        "a cut-off body must not look whole"
    );
    let error = within("the error", body.frame())
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.is_closed(), "{error}");
    assert!(within("the end", body.frame()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn data_for_a_dropped_request_body_is_credited_to_the_connection_only() {
    let (service, mut requests) = fed();
    let config = Config::server().initial_connection_window_size(512 << 10);
    let (_driver, mut peer) = server_with(config, service);
    peer.expect_preface().await;
    peer.send(request(1, "POST", "/")).await;
    let (request, answer) = within("the request", requests.recv()).await.unwrap();
    drop(request);
    for _ in 0..16 {
        peer.send(data(1, vec![7; 16_000])).await;
    }
    expect_alive_with_updates(&mut peer, 1, |stream, _| assert_eq!(stream, None)).await;
    // The response can still be sent; the peer has not ended, and is told to stop.
    answer.send(Ok(Response::new(full("enough")))).unwrap();
    expect_reply(&mut peer, 1, "200").await;
    peer.expect(data(1, "enough").fin()).await;
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
}

/// A PING, with a look at every WINDOW_UPDATE before its echo.
async fn expect_alive_with_updates(peer: &mut Peer, ping_id: u32, look: impl Fn(Option<u32>, u32)) {
    settle().await;
    peer.send(ping(ping_id)).await;
    loop {
        match within("a frame", peer.recv()).await.unwrap() {
            Frame::WindowUpdate(update) => {
                look(update.id.map(spdy::frame::StreamId::get), update.delta);
            }
            Frame::Ping(id) if id == ping_id => return,
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_upload_is_told_to_stop() {
    let (_driver, mut peer) = server_of(|_| async {
        let response = Response::builder().status(StatusCode::FORBIDDEN);
        Ok::<_, Infallible>(response.body(Body::empty()).unwrap())
    })
    .await;
    peer.send(request(1, "POST", "/")).await;
    assert!(expect_reply(&mut peer, 1, "403").await.1);
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
    peer.send(data(1, "still in flight").fin()).await;
    expect_alive(&mut peer, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_may_go_on_reading_behind_its_answer() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_of(service).await;
    peer.send(request(1, "POST", "/")).await;
    let (request, answer) = within("the request", requests.recv()).await.unwrap();
    answer.send(Ok(Response::new(full("early")))).unwrap();
    expect_reply(&mut peer, 1, "200").await;
    peer.expect(data(1, "early").fin()).await;
    peer.send(data(1, "late").fin()).await;
    assert_eq!(bytes_of(request.into_body()).await, "late");
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_informational_answer_becomes_500() {
    let (_driver, mut peer) = server_of(|_| async {
        let response = Response::builder().status(StatusCode::EARLY_HINTS);
        Ok::<_, Infallible>(response.body(Body::empty()).unwrap())
    })
    .await;
    peer.send(get(1)).await;
    assert!(expect_reply(&mut peer, 1, "500").await.1);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_may_not_open_is_reset() {
    let (_driver, mut peer) = server_of(describe).await;
    peer.send(request(1, "GET", "/").unidirectional()).await;
    peer.expect(rst(1, ResetStatus::PROTOCOL_ERROR)).await;
    peer.send(get(3).associated(1)).await;
    peer.expect(rst(3, ResetStatus::PROTOCOL_ERROR)).await;
    expect_alive(&mut peer, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_serves_what_is_under_way() {
    use std::pin::pin;
    let (service, mut requests) = fed();
    let (io, wire) = pipe();
    let mut peer = Peer::new(wire, spdy::frame::Role::Client);
    let connection = spdy::server::Builder::new(hyper_util::rt::TokioExecutor::new())
        .serve_connection(
            hyper_util::rt::TokioIo::new(io),
            hyper::service::service_fn(service),
        );
    let (stop, stopped) = oneshot::channel::<()>();
    let driver = tokio::spawn(async move {
        let mut connection = pin!(connection);
        tokio::select! {
            result = connection.as_mut() => return result,
            _ = stopped => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    });
    peer.expect_preface().await;
    peer.send(get(1)).await;
    let (_, first) = within("the request", requests.recv()).await.unwrap();
    stop.send(()).unwrap();
    peer.expect(go_away(0x7fff_ffff, GoAwayStatus::OK)).await;
    let echo = match next(&mut peer).await {
        Frame::Ping(id) => id,
        other => panic!("expected a PING, got {other:?}"),
    };
    // Sent before the peer knew.
    peer.send(get(3)).await;
    let (_, second) = within("the request", requests.recv()).await.unwrap();
    peer.send(ping(echo)).await;
    peer.expect(go_away(3, GoAwayStatus::OK)).await;
    peer.send(get(5)).await;
    peer.expect_quiet().await;
    second.send(Ok(Response::new(full("b")))).unwrap();
    expect_reply(&mut peer, 3, "200").await;
    peer.expect(data(3, "b").fin()).await;
    first.send(Ok(Response::new(full("a")))).unwrap();
    expect_reply(&mut peer, 1, "200").await;
    peer.expect(data(1, "a").fin()).await;
    peer.expect_end().await;
    peer.close();
    within("the driver", driver).await.unwrap().unwrap();
    assert!(
        requests.try_recv().is_err(),
        "the late request was not served"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stuck_reader_stalls_its_own_stream_only() {
    let (_driver, mut peer) = server_of(|request: Request<Body>| async move {
        let len = if request.uri().path() == "/big" {
            1 << 20
        } else {
            100
        };
        Ok::<_, Infallible>(Response::new(pattern_body(len)))
    })
    .await;
    // Room for the connection, not for the stream.
    peer.send(window_update(0, 10 << 20)).await;
    peer.send(request(1, "GET", "/big").fin()).await;
    expect_reply(&mut peer, 1, "200").await;
    let (bytes, fin) = peer.expect_data(1, 65_536).await;
    assert_eq!(bytes, pattern(0, 65_536));
    assert!(!fin);
    peer.expect_quiet().await;
    for stream in [3, 5, 7, 9, 11] {
        peer.send(get(stream)).await;
        expect_reply(&mut peer, stream, "200").await;
        peer.expect(data(stream, pattern(0, 100)).fin()).await;
    }
    expect_alive(&mut peer, 1).await;
    peer.send(window_update(1, 2 << 20)).await;
    let (bytes, _) = peer.expect_data(1, (1 << 20) - 65_536).await;
    assert_eq!(bytes, pattern(65_536, (1 << 20) - 65_536));
}

#[tokio::test(start_paused = true)]
async fn a_window_of_zero_holds_the_body_and_not_the_head() {
    let (_driver, mut peer) =
        server_of(|_| async { Ok::<_, Infallible>(Response::new(full("held back"))) }).await;
    peer.send(settings().set(SettingId::InitialWindowSize, 0))
        .await;
    peer.send(get(1)).await;
    expect_reply(&mut peer, 1, "200").await;
    peer.expect_quiet().await;
    peer.send(window_update(1, 4)).await;
    peer.expect(data(1, "held")).await;
    peer.expect_quiet().await;
    peer.send(window_update(1, 100)).await;
    peer.expect(data(1, " back").fin()).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_read_stops_the_upload_at_the_window() {
    let (service, mut requests) = fed();
    let config = Config::server().initial_stream_window_size(64 << 10);
    let (_driver, mut peer) = server_with(config, service);
    peer.expect_preface().await;
    peer.send(request(1, "POST", "/")).await;
    let (request, _answer) = within("the request", requests.recv()).await.unwrap();
    for _ in 0..4 {
        peer.send(data(1, vec![1; 16 << 10])).await;
    }
    expect_alive_with_updates(&mut peer, 1, |_, _| panic!("nothing was consumed yet")).await;
    let mut body = request.into_body();
    let mut read = 0;
    while read < 64 << 10 {
        read += within("data", body.frame())
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap()
            .len();
    }
    let credited = std::cell::Cell::new(0);
    expect_alive_with_updates(&mut peer, 3, |stream, delta| {
        if stream == Some(1) {
            credited.set(credited.get() + delta);
        }
    })
    .await;
    assert!(credited.get() >= 32 << 10, "{} bytes", credited.get());
}

#[tokio::test(start_paused = true)]
async fn an_upload_longer_than_said_by_a_whole_window_gets_400() {
    // The peer stands at a window of 0, with all the bytes of its content-length sent and no FIN.
    let config = Config::server().initial_stream_window_size(64 << 10);
    let (_driver, mut peer) = server_with(config, describe);
    peer.expect_preface().await;
    peer.send(request(1, "POST", "/").header("content-length", "65536"))
        .await;
    for _ in 0..4 {
        peer.send(data(1, vec![1; 16 << 10])).await;
    }
    match within("WINDOW_UPDATE", peer.recv()).await {
        Some(Frame::WindowUpdate(update)) => assert_eq!(update.id, Some(id(1))),
        other => panic!("expected WINDOW_UPDATE, got {other:?}"),
    }
    peer.send(data(1, "more")).await;
    expect_reply(&mut peer, 1, "400").await;
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_than_announced_are_served_at_once() {
    let (service, mut requests) = fed();
    let (_driver, mut peer) = server_with(Config::server().max_concurrent_streams(2), service);
    peer.expect_preface().await;
    for stream in [1, 3, 5] {
        peer.send(get(stream)).await;
    }
    peer.expect(rst(5, ResetStatus::REFUSED_STREAM)).await;
    let (_, first) = within("the request", requests.recv()).await.unwrap();
    first.send(Ok(Response::new(empty()))).unwrap();
    expect_reply(&mut peer, 1, "200").await;
    peer.send(get(7)).await;
    let (_, _second) = within("the request", requests.recv()).await.unwrap();
    let (_, _fourth) = within("the request", requests.recv()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    peer.expect_quiet().await;
}

/// Says that it has ten bytes and yields three.
struct Liar(Option<Bytes>);

impl http_body::Body for Liar {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(10)
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_shorter_than_it_announced_does_not_look_whole() {
    let (_driver, mut peer) = server_of(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Liar(Some(Bytes::from_static(b"abc")))))
    })
    .await;
    peer.send(get(1)).await;
    loop {
        match within("the answer", peer.recv()).await {
            Some(Frame::RstStream(reset)) => {
                assert_eq!(reset.status, ResetStatus::INTERNAL_ERROR);
                break;
            }
            Some(Frame::Data(data)) => assert!(!data.fin),
            Some(Frame::SynReply(reply)) => assert!(!reply.fin),
            other => panic!("{other:?}"),
        }
    }
}
