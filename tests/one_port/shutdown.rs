//! Graceful shutdown of a port with several protocols.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::server::{GracefulShutdown, Listener, auto};
use spdy::{Body, NegotiatedAlpn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::{join, spawn};

use super::clients::Client;
use crate::http_support::*;
use crate::support::*;

#[derive(Clone, Default)]
struct Served(Arc<Mutex<HashMap<u32, u32>>>);

/// Counts how often each request was served, and lets half of them take their time.
fn counting_app(served: &Served, permits: &Arc<Semaphore>) -> Router {
    let permits = Arc::clone(permits);
    let handler = move |Path(id): Path<u32>, State(served): State<Served>| async move {
        *served.0.lock().unwrap().entry(id).or_default() += 1;
        if id % 2 == 0 {
            permits.acquire().await.unwrap().forget();
        }
        id.to_string()
    };
    Router::new()
        .route("/{id}", get(handler))
        .with_state(served.clone())
}

/// 200 requests at once, a shutdown among them: each is answered, or came back as unprocessed.
pub(crate) async fn drain_under_load<L, F>(listener: L, connect: impl FnOnce(SocketAddr) -> F)
where
    L: Listener<Addr = SocketAddr, Io: NegotiatedAlpn>,
    F: Future<Output = Client>,
{
    const REQUESTS: u32 = 200;
    let served = Served::default();
    let permits = Arc::new(Semaphore::new(0));
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = spawn(
        spdy::serve(listener, counting_app(&served, &permits))
            .auto()
            .with_graceful_shutdown(async { drop(stopped.await) })
            .drain_timeout(Duration::from_secs(60))
            .into_future(),
    );
    let Client::Spdy(send) = connect(address).await else {
        panic!("this is about our own client");
    };
    let requests: Vec<_> = (0..REQUESTS)
        .map(|id| {
            let mut send = send.clone();
            spawn(async move {
                let request = Request::get(format!("http://a/{id}"))
                    .body(empty())
                    .unwrap();
                let response = send.try_send_request(request).await;
                match response {
                    Ok(response) => {
                        let body = bytes_of(response.into_body()).await;
                        assert_eq!(body, id.to_string());
                        true
                    }
                    Err(mut error) => {
                        assert!(error.error().is_retryable(), "{id} is lost: {error}");
                        assert!(error.take_request().is_some(), "{id} is not given back");
                        false
                    }
                }
            })
        })
        .collect();
    // In the middle of it.
    within("some requests", async {
        while served.0.lock().unwrap().len() < 20 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stop.send(()).unwrap();
    permits.add_permits(REQUESTS as usize);
    let mut answered = HashMap::new();
    for (id, request) in (0..).zip(requests) {
        if within("each request", request).await.unwrap() {
            answered.insert(id, 1);
        }
    }
    within("the drain", serving).await.unwrap().unwrap();
    assert_eq!(
        *served.0.lock().unwrap(),
        answered,
        "served is answered, once"
    );
    assert!(answered.len() >= 20);
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_drain_under_load_loses_no_request_over_spdy() {
    drain_under_load(bind().await, Client::spdy).await;
}

#[tokio::test]
async fn a_drain_under_load_loses_no_request_behind_an_upgrade() {
    let connect = |address| async move { Client::upgraded(address, "/1").await };
    drain_under_load(bind().await, connect).await;
}

#[tokio::test]
async fn every_protocol_drains() {
    let served = Served::default();
    let permits = Arc::new(Semaphore::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = spawn(
        spdy::serve(listener, counting_app(&served, &permits))
            .auto()
            .with_graceful_shutdown(async { drop(stopped.await) })
            .into_future(),
    );
    let mut clients = [
        Client::spdy(address).await,
        Client::upgraded(address, "/").await,
        Client::http1(address).await,
        Client::http2(address).await,
    ];
    let [spdy, upgraded, http1, http2] = &mut clients;
    let answers = async {
        join!(
            spdy.get("/0"),
            upgraded.get("/2"),
            http1.get("/4"),
            http2.get("/6")
        )
    };
    let shutdown = async {
        while served.0.lock().unwrap().len() < 4 {
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
        settle().await;
        assert!(!serving.is_finished());
        permits.add_permits(4);
    };
    let (answers, ()) = within("the answers", async { join!(answers, shutdown) }).await;
    assert_eq!(answers, ("0".into(), "2".into(), "4".into(), "6".into()));
    // An HTTP/1.1 connection that is kept open by its client ends by itself, like the others.
    within("the drain", serving).await.unwrap().unwrap();
    drop(clients);
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("hello")))
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_word_ends_a_second_after_the_shutdown() {
    let (io, mut peer) = tokio::io::duplex(1024);
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(io), service_fn(hello)));
    connection.as_mut().graceful_shutdown();
    let began = tokio::time::Instant::now();
    within("the end", &mut connection).await.unwrap();
    drop(connection);
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
}

/// HTTP/2 that never gets beyond its preface, by its bytes or by ALPN, would be waited for without end by hyper.
#[tokio::test(start_paused = true)]
async fn half_a_preface_holds_no_shutdown_up() {
    let (io, mut peer) = tokio::io::duplex(1024);
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(io), service_fn(hello)));
    peer.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    let polled = tokio::time::timeout(Duration::ZERO, &mut connection).await;
    assert!(polled.is_err(), "it waits for the rest");
    connection.as_mut().graceful_shutdown();
    let began = tokio::time::Instant::now();
    let error = within("the end", connection).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(spdy::Timeout::Detect));
    assert_eq!(began.elapsed(), Duration::from_secs(1));
}

/// Whatever it has said so far: nothing may hold a shutdown up for ever.
#[tokio::test(start_paused = true)]
async fn a_client_that_stops_in_the_middle_does_not_hold_up_a_shutdown() {
    const HEAD: &str =
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
    for start in [
        &b"\x80"[..],
        b"\x80\x03\x00",
        b"PRI * HTTP",
        b"GET / HT",
        HEAD.as_bytes(),
    ] {
        let (io, mut peer) = tokio::io::duplex(1024);
        let graceful = GracefulShutdown::new();
        let builder = auto::Builder::new(TokioExecutor::new());
        let connection = builder.serve_connection(TokioIo::new(io), service_fn(hello));
        let driver = spawn(graceful.watch(connection));
        peer.write_all(start).await.unwrap();
        settle().await;
        let began = tokio::time::Instant::now();
        within("the shutdown", graceful.shutdown()).await;
        // hyper waits longest, for an HTTP/1.1 head.
        let text = String::from_utf8_lossy(start);
        assert!(began.elapsed() <= Duration::from_secs(30), "{text}");
        drop(driver.await.unwrap());
    }
}

/// The request was on its way when the shutdown began.
#[tokio::test(start_paused = true)]
async fn a_request_that_crosses_the_shutdown_is_served() {
    let (io, mut peer) = tokio::io::duplex(1024);
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(io), service_fn(hello)));
    connection.as_mut().graceful_shutdown();
    let driver = spawn(connection);
    tokio::time::sleep(Duration::from_millis(900)).await;
    peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    within("the answer", peer.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    within("the end", driver).await.unwrap().unwrap();
}
