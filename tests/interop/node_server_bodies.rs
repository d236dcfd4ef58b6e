//! Our client against npm `spdy` as the server: many streams and long bodies.

use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use spdy::{Config, FlowControl};

use crate::client::{Client, check_pattern, empty, full, streamed};
use crate::pattern::{self, Check};
use crate::peer::{LONG, Server, within};

const MIB: usize = 1 << 20;

async fn with_config(config: Config, test: impl AsyncFnOnce(&Client)) {
    within(LONG, async {
        let server = Server::node().await;
        let client = Client::connect_with(server.port(), config).await;
        test(&client).await;
        client.finish().await;
        server.assert_quiet();
    })
    .await;
}

/// 1 MiB both ways, more than any window of either side at the start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo() {
    with_config(Config::client(), async |client| {
        let mut check = Vec::new();
        while check.len() < MIB {
            check.extend_from_slice(&pattern::piece(check.len(), MIB - check.len()));
        }
        for (body, length) in [
            (empty(), 0),
            (streamed(1), 1),
            (streamed(MIB), MIB),
            (full(check), MIB),
        ] {
            let exact = body.size_hint().exact();
            let request = client.request("POST", "/echo").body(body).unwrap();
            let response = client.send(request).await.unwrap();
            assert_eq!(response.status(), 200);
            // The server repeats the content-length of the request.
            assert_eq!(response.body().size_hint().exact(), exact);
            assert_eq!(check_pattern(response.into_body()).await, length);
        }
    })
    .await;
}

/// With the smallest windows that the protocol starts with, all of the flow control is at work all the time.
///
/// Lenient, because the server overruns windows that are used up: a piece of 8 KiB that waits for credit is sent whole
/// as soon as there is a byte of it (window.js of spdy-transport 3.0.0, `update`). With several streams the window of
/// the connection is overrun as well, by more than was ever granted on a recording of the wire.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo_through_small_windows() {
    let config = Config::client()
        .flow_control(FlowControl::Lenient)
        .initial_stream_window_size(10_000)
        .initial_connection_window_size(1);
    with_config(config, async |client| {
        let echo = async || {
            let request = client.request("POST", "/echo").body(streamed(MIB)).unwrap();
            let response = client.send(request).await.unwrap();
            check_pattern(response.into_body()).await
        };
        let echoes = (0..4).map(|_| echo());
        assert_eq!(join_all(echoes).await, [MIB; 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_at_once() {
    const STREAMS: usize = 200;
    let config = Config::client().initial_max_open_streams(200);
    with_config(config, async |client| {
        // These take half a second each: no head comes so late that another stream has ended before.
        let slow = (0..STREAMS).map(async |i| {
            let response = client
                .get(&format!("/slow/{}", 1000 + 37 * i))
                .await
                .unwrap();
            assert_eq!(response.status(), 200);
            response.into_body()
        });
        let bodies = join_all(slow).await;
        assert_eq!(client.send.session().stream_count(), STREAMS);
        let lengths = join_all(bodies.into_iter().map(check_pattern)).await;
        for (i, length) in lengths.into_iter().enumerate() {
            assert_eq!(length, 1000 + 37 * i);
        }
        assert_eq!(client.send.session().stream_count(), 0);
    })
    .await;
}

/// 10 MiB read with pauses: what waits is never more than the window that we gave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_reader() {
    const WINDOW: u32 = 256 << 10;
    let config = Config::client().initial_stream_window_size(WINDOW);
    with_config(config, async |client| {
        for path in [
            format!("/bytes/{}", 10 * MIB),
            format!("/bytes/{}?nolength", 10 * MIB),
        ] {
            let mut body = client.get(&path).await.unwrap().into_body();
            let mut check = Check::default();
            let mut pause_at = MIB;
            let mut most = 0;
            while let Some(frame) = body.frame().await {
                check.push(&frame.unwrap().into_data().unwrap());
                if check.length() >= pause_at {
                    pause_at += MIB;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    // Another stream is not held up.
                    assert_eq!(client.get_text("/hello").await, "hello world");
                    most = most.max(client.send.session().unread_bytes());
                }
            }
            assert_eq!(check.length(), 10 * MIB);
            assert!(most <= WINDOW as usize, "{most} bytes were unread");
            assert!(most > 100_000, "only {most} bytes were ever unread");
        }
    })
    .await;
}
