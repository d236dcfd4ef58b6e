//! Peers that attack the ways in: they split, stop, reset and vanish anywhere, and nothing is left behind or lost.

#![cfg(all(feature = "auto", feature = "tls"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod http_support;
mod support;
mod tls_support;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Request as AxumRequest};
use axum::routing::get;
use axum::{Router, ServiceExt};
use http::{Request, Response};
use http_support::{AnyBody, bytes_of, empty};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::{self, Connector, SendRequest};
use spdy::frame::Role;
use spdy::server::{GracefulShutdown, auto};
use spdy::tls::TlsListener;
use spdy::upgrade::{self, Answer, UpgradeLayer};
use spdy::{Body, Error};
use support::*;
use tls_support::{Authority, bind, dialler, https};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::spawn;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tower::Service;

const HTTP1: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// A GET over SPDY.
fn spdy_get() -> Vec<u8> {
    let mut peer = Peer::new(pipe().1, Role::Client);
    peer.encode(http_support::get(1)).to_vec()
}

/// One behind its Upgrade.
fn upgraded_get() -> Vec<u8> {
    [UPGRADE, &spdy_get()].concat()
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("hello")))
}

async fn slow(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(Response::new(Body::from("hello")))
}

fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

/// Waits until no more than these tasks are left. Each owns its transport: with it a descriptor is gone, too.
#[track_caller]
fn gone(tasks_left: usize) -> impl Future<Output = ()> {
    within("the end of all connections", async move {
        while tasks() > tasks_left {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}

/// Every protocol on one port, slowly.
async fn serve_slowly(detect_timeout: Duration) -> (SocketAddr, JoinHandle<spdy::Result<()>>) {
    let (listener, address) = bind().await;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.detect_timeout(detect_timeout);
    let serving = spdy::serve(listener, tower::service_fn(slow)).builder(builder);
    (address, spawn(serving.into_future()))
}

/// An app on `UpgradeLayer` under `axum::serve`, until it is told to stop.
async fn under_axum(
    app: Router,
    graceful: &GracefulShutdown,
) -> (
    SocketAddr,
    oneshot::Sender<()>,
    JoinHandle<std::io::Result<()>>,
) {
    let service = UpgradeLayer::new(app).graceful_shutdown(graceful).wrap();
    let make = ServiceExt::<AxumRequest>::into_make_service(service);
    let (listener, address) = bind().await;
    let (stop, stopped) = oneshot::channel();
    let graceful = graceful.clone();
    let serving = axum::serve(listener, make).with_graceful_shutdown(async move {
        drop(stopped.await);
        graceful.start();
    });
    (address, stop, spawn(serving.into_future()))
}

/// Connects and says this.
async fn say(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut io = TcpStream::connect(address).await.unwrap();
    io.set_nodelay(true).unwrap();
    io.write_all(bytes).await.unwrap();
    io
}

/// Leaves with a reset.
fn reset(io: TcpStream) {
    io.set_zero_linger().unwrap();
    drop(io);
}

#[tokio::test]
async fn a_request_is_served_wherever_its_bytes_are_split() {
    for bytes in [spdy_get(), HTTP1.to_vec(), upgraded_get()] {
        for at in 0..=bytes.len() {
            let (io, mut peer) = tokio::io::duplex(64 * 1024);
            let builder = auto::Builder::new(TokioExecutor::new());
            let driver = spawn(builder.serve_connection(TokioIo::new(io), service_fn(hello)));
            peer.write_all(&bytes[..at]).await.unwrap();
            settle().await;
            peer.write_all(&bytes[at..]).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"hello") {
                let byte = within("the answer", peer.read_u8()).await;
                answer.push(byte.unwrap_or_else(|error| panic!("split at {at}: {error}")));
            }
            drop(peer);
            drop(within("the end", driver).await.unwrap());
        }
    }
}

#[tokio::test]
async fn clients_that_say_too_little_are_given_up() {
    let (address, serving) = serve_slowly(Duration::from_millis(300)).await;
    let idle = tasks();
    let mut clients = Vec::new();
    for n in 0..150 {
        let start = [&b""[..], b"\x80", &HTTP2[..23]][n % 3];
        clients.push(say(address, start).await);
    }
    within("all connections", async {
        while tasks() < idle + clients.len() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // All of them still hold their end.
    gone(idle).await;
    serving.abort();
}

#[tokio::test]
async fn a_client_that_leaves_after_any_byte_leaves_nothing() {
    let (address, serving) = serve_slowly(Duration::from_secs(600)).await;
    let idle = tasks();
    for bytes in [spdy_get(), HTTP1.to_vec(), upgraded_get(), HTTP2.to_vec()] {
        for at in 0..=bytes.len() {
            reset(say(address, &bytes[..at]).await);
            drop(say(address, &bytes[..at]).await);
        }
    }
    gone(idle).await;
    serving.abort();
}

#[tokio::test]
async fn upgrades_that_are_abandoned_leave_nothing() {
    let graceful = GracefulShutdown::new();
    let app = Router::new().route("/", get(|| async { "hello" }));
    let (under_axum, _stop, axum_serving) = under_axum(app, &graceful).await;
    let (port, serving) = serve_slowly(Duration::from_secs(600)).await;
    // axum has a task for its signal, too.
    settle().await;
    let idle = tasks();
    for address in [under_axum, port] {
        for n in 0..200 {
            let mut io = say(address, UPGRADE).await;
            if n % 4 > 0 {
                let mut answer = [0; 12];
                within("the answer", io.read_exact(&mut answer))
                    .await
                    .unwrap();
                assert_eq!(&answer, b"HTTP/1.1 101");
            }
            if n % 4 > 1 {
                // A part of a frame.
                let frame = spdy_get();
                io.write_all(&frame[..n % frame.len()]).await.unwrap();
            }
            if n % 4 == 3 {
                reset(io);
            }
        }
        gone(idle).await;
    }
    assert_eq!(graceful.count(), 0);
    serving.abort();
    axum_serving.abort();
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_nothing() {
    let before = tasks();
    let (address, serving) = serve_slowly(Duration::from_secs(600)).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        for start in [
            &upgraded_get()[..],
            UPGRADE,
            &spdy_get(),
            HTTP1,
            HTTP2,
            b"P",
        ] {
            clients.push(say(address, start).await);
        }
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    serving.abort();
    gone(before).await;
}

/// How often each request was served.
type Served = Arc<Mutex<HashMap<u32, u32>>>;

fn counting_app(served: &Served) -> Router {
    let served = Arc::clone(served);
    let count = move |Path(id): Path<u32>| {
        *served.lock().unwrap().entry(id).or_default() += 1;
        async move {
            tokio::time::sleep(Duration::from_millis(u64::from(id % 4))).await;
            id.to_string()
        }
    };
    Router::new().route("/{id}", get(count))
}

/// Connects again and again, and sends some requests each time; what became of every one.
async fn send_many(address: SocketAddr, upgrade: bool, from: u32) -> Vec<(u32, Option<Error>)> {
    let mut outcomes = Vec::new();
    for round in 0..10 {
        // Once the port is closed, nothing can be lost any more.
        let Ok(mut send) = connect(address, upgrade).await else {
            break;
        };
        for id in (from + round * 10..).take(5) {
            let request = Request::get(format!("http://a/{id}"))
                .body(empty())
                .unwrap();
            match send.send_request(request).await {
                Ok(response) => {
                    assert_eq!(bytes_of(response.into_body()).await, id.to_string());
                    outcomes.push((id, None));
                }
                Err(error) => {
                    outcomes.push((id, Some(error)));
                    break;
                }
            }
        }
    }
    outcomes
}

async fn connect(
    address: SocketAddr,
    upgrade: bool,
) -> Result<SendRequest<AnyBody>, Box<dyn std::error::Error>> {
    let io = TokioIo::new(TcpStream::connect(address).await?);
    if !upgrade {
        let (send, connection) = client::handshake(TokioExecutor::new(), io).await?;
        spawn(connection);
        return Ok(send);
    }
    let request = Request::get("http://a/0").body(empty())?;
    let switched = upgrade::connect(io, request).await?.switched()?;
    let builder = client::Builder::new(TokioExecutor::new());
    let (send, connection) = switched.into_send_request(&builder).await?;
    spawn(connection);
    Ok(send)
}

/// The connection was lost, by a reset or by an end, before the server had said anything.
fn never_served(error: &Error) -> bool {
    let said = error.to_string();
    ["had not sent a byte yet", "before the peer had sent a byte"]
        .iter()
        .any(|way| said.contains(way))
}

/// Every request was answered and served once, or says truly that it was not served.
async fn check(clients: &mut JoinSet<Vec<(u32, Option<Error>)>>, served: &Served) {
    while let Some(outcomes) = within("the clients", clients.join_next()).await {
        for (id, error) in outcomes.unwrap() {
            let times = served.lock().unwrap().get(&id).copied().unwrap_or(0);
            match error {
                None => assert_eq!(times, 1, "{id} was answered"),
                // The kernel had taken the connection, and nobody did behind it: as good as refused.
                Some(error) if never_served(&error) => {
                    assert_eq!(times, 0, "{id}: {error}");
                }
                Some(error) => {
                    assert!(error.is_retryable(), "{id} is lost: {error}");
                    assert_eq!(times, 0, "{id}: {error}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_at_any_moment_loses_no_request_under_axum() {
    for moment in 0..10 {
        let before = tasks();
        let served = Served::default();
        let graceful = GracefulShutdown::new();
        let (address, stop, serving) = under_axum(counting_app(&served), &graceful).await;
        let mut clients = JoinSet::new();
        for n in 0..8 {
            clients.spawn(send_many(address, true, 1000 * n + 1));
        }
        tokio::time::sleep(Duration::from_micros(moment * 2300)).await;
        stop.send(()).unwrap();
        within("the HTTP server", serving).await.unwrap().unwrap();
        within("the drain", graceful.shutdown()).await;
        check(&mut clients, &served).await;
        gone(before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_at_any_moment_loses_no_request_on_one_port() {
    for moment in 0..10 {
        let before = tasks();
        let served = Served::default();
        let (listener, address) = bind().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = spdy::serve(listener, counting_app(&served)).auto();
        let serving = serving.with_graceful_shutdown(async { drop(stopped.await) });
        let serving = spawn(serving.into_future());
        let mut clients = JoinSet::new();
        for n in 0..8 {
            clients.spawn(send_many(address, n % 2 == 0, 1000 * n + 1));
        }
        tokio::time::sleep(Duration::from_micros(moment * 2300)).await;
        stop.send(()).unwrap();
        within("the drain", serving).await.unwrap().unwrap();
        check(&mut clients, &served).await;
        gone(before).await;
    }
}

#[tokio::test]
async fn an_upgrade_that_is_dropped_anywhere_leaves_nothing() {
    let (address, serving) = serve_slowly(Duration::from_secs(600)).await;
    let idle = tasks();
    for wait in (0..2000).step_by(40) {
        let connecting = connect(address, true);
        let wait = Duration::from_micros(wait);
        drop(tokio::time::timeout(wait, connecting).await);
    }
    gone(idle).await;
    serving.abort();
}

/// What `upgrade::connect` makes of this answer, behind which the server stays.
async fn answered(answer: &[u8]) -> (spdy::Result<Answer>, tokio::io::DuplexStream) {
    let (io, mut server) = tokio::io::duplex(1 << 20);
    let request = Request::get("http://a/").body(empty()).unwrap();
    let asking = spawn(upgrade::connect(TokioIo::new(io), request));
    let mut head = [0; 4096];
    assert!(server.read(&mut head).await.unwrap() > 0);
    server.write_all(answer).await.unwrap();
    let answer = within("the outcome", asking).await.unwrap();
    (answer, server)
}

#[tokio::test]
async fn servers_that_answer_an_upgrade_oddly_are_understood_or_named() {
    const SWITCHING: &str =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: spdy/3.1\r\n\r\n";
    // Interim answers come first.
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n";
    let (answer, _server) = answered(format!("{interim}{SWITCHING}").as_bytes()).await;
    answer.unwrap().switched().unwrap();

    // What is behind the 101 is no SPDY.
    for (behind, says) in [
        (SWITCHING, "peer sent an HTTP/1 response instead of SPDY"),
        ("garbage of no protocol", "peer sent text instead of SPDY"),
    ] {
        let (answer, _server) = answered(format!("{SWITCHING}{behind}").as_bytes()).await;
        let switched = answer.unwrap().switched().unwrap();
        let builder = client::Builder::new(TokioExecutor::new());
        let (mut send, connection) = switched.into_send_request(&builder).await.unwrap();
        spawn(connection);
        let request = Request::get("http://a/").body(empty()).unwrap();
        let error = within("the response", send.send_request(request))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }

    // A head without end is not read to its end.
    let endless = "HTTP/1.1 101 Switching Protocols\r\n".to_owned() + &"a: b\r\n".repeat(160_000);
    let (answer, _server) = answered(endless.as_bytes()).await;
    let error = answer.unwrap_err();
    assert!(error.is_http(), "{error}");

    // A refusal without end is given up with its body.
    let (answer, mut server) = answered(b"HTTP/1.1 403 Forbidden\r\n\r\nbecause").await;
    let Answer::Refused(response) = answer.unwrap() else {
        panic!("403 does not switch");
    };
    drop(response.into_body());
    assert_eq!(within("the end", server.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_clients_get_in_among_stalled_handshakes() {
    const HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let before = tasks();
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let listener = TlsListener::new(listener, authority.server()).max_handshakes(20);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = spdy::serve(listener, tower::service_fn(hello)).auto();
    let serving = serving.with_graceful_shutdown(async { drop(stopped.await) });
    let serving = spawn(serving.into_future());
    let mut connector: Connector<_, AnyBody, _> = Connector::new(dialler()).tls(authority.client());
    let mut stalled = Vec::new();
    for n in 0..100 {
        stalled.push(say(address, &HELLO[..n % HELLO.len()]).await);
        if n % 10 == 0 {
            let connecting = connector.call(https(address));
            let mut send = within("the connection", connecting).await.unwrap();
            let request = Request::get("https://a/").body(empty()).unwrap();
            let response = within("the response", send.send_request(request)).await;
            assert_eq!(bytes_of(response.unwrap().into_body()).await, "hello");
        }
    }
    // Nor do they hold up the end.
    stop.send(()).unwrap();
    within("the drain", serving).await.unwrap().unwrap();
    gone(before).await;
}
