//! `GracefulShutdown` over connections of every kind, `SpdyLayer`, and an accept loop without file descriptors.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod http_support;
mod support;

use std::convert::Infallible;
use std::io::{Read as _, Seek as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_support::*;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::{self, SendRequest};
use spdy::server::{self, GracefulConnection, GracefulShutdown};
use spdy::stream::OpenOptions;
use spdy::{Body, Config, SpdyLayer};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::spawn;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tower::{Layer, Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);

/// A connection that ends when the test says so, and knows what it was told.
struct Fake {
    end: oneshot::Receiver<&'static str>,
    told: Option<oneshot::Sender<()>>,
}

impl Future for Fake {
    type Output = Result<(), &'static str>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let end = Pin::new(&mut self.end).poll(cx);
        end.map(|end| match end.unwrap() {
            "ended" => Ok(()),
            why => Err(why),
        })
    }
}

impl GracefulConnection for Fake {
    type Error = &'static str;

    fn graceful_shutdown(mut self: Pin<&mut Self>) {
        let told = self.told.take().expect("it is told once");
        told.send(()).unwrap();
    }
}

fn fake() -> (Fake, oneshot::Sender<&'static str>, oneshot::Receiver<()>) {
    let (end, ended) = oneshot::channel();
    let (told, hears) = oneshot::channel();
    let fake = Fake {
        end: ended,
        told: Some(told),
    };
    (fake, end, hears)
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tells_every_connection_and_waits_for_all() {
    let graceful = GracefulShutdown::new();
    let (first, end_first, first_told) = fake();
    let (second, end_second, second_told) = fake();
    let first = spawn(graceful.watch(first));
    let second = spawn(graceful.clone().watch(second));
    settle().await;
    assert_eq!((graceful.count(), graceful.is_shutting_down()), (2, false));
    let shutdown = spawn({
        let graceful = graceful.clone();
        async move { graceful.shutdown().await }
    });
    within("the first hears of it", first_told).await.unwrap();
    within("the second hears of it", second_told).await.unwrap();
    end_first.send("ended").unwrap();
    within("the first", first).await.unwrap().unwrap();
    settle().await;
    assert!(!shutdown.is_finished(), "one is left");
    end_second.send("ended").unwrap();
    within("the second", second).await.unwrap().unwrap();
    within("the shutdown", shutdown).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_to_know_of_a_shutdown_is_not_waited_for() {
    let graceful = GracefulShutdown::new();
    let mut before = Box::pin(graceful.started());
    assert!(timeout(SECOND, &mut before).await.is_err(), "told before");
    assert_eq!(graceful.count(), 0);
    let watcher = graceful.watcher();
    let ending = graceful.clone();
    let shutdown = spawn(async move { ending.shutdown().await });
    within("the start", before).await;
    // Late, too, and more than one.
    within("the start", graceful.started()).await;
    assert!(!shutdown.is_finished(), "the watcher is waited for");
    let held = graceful.started();
    drop(watcher);
    within("the shutdown", shutdown).await.unwrap();
    drop(held);

    // Nobody is left to begin one.
    let orphan = GracefulShutdown::new().started();
    assert!(timeout(SECOND, orphan).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_late_is_told_at_once() {
    let graceful = GracefulShutdown::new();
    graceful.start();
    let (late, end, told) = fake();
    let late = spawn(graceful.watch(late));
    within("it hears of it", told).await.unwrap();
    let shutdown = spawn(async move { graceful.shutdown().await });
    settle().await;
    assert!(!shutdown.is_finished(), "it is waited for all the same");
    end.send("ended").unwrap();
    late.await.unwrap().unwrap();
    within("the shutdown", shutdown).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_place_is_waited_for_until_it_is_given_up() {
    let graceful = GracefulShutdown::new();
    let place = graceful.watcher();
    let began = Instant::now();
    let shutdown = graceful.shutdown_within(Duration::from_secs(5));
    let give_up = async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        drop(place);
    };
    let (shutdown, ()) = tokio::join!(shutdown, give_up);
    shutdown.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_deadline_is_cut() {
    let graceful = GracefulShutdown::new();
    let (stuck, mut end, _told) = fake();
    let stuck = spawn(graceful.watch(stuck));
    let began = Instant::now();
    let deadline = Duration::from_secs(5);
    let error = graceful.shutdown_within(deadline).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(spdy::Timeout::Drain));
    assert_eq!(began.elapsed(), deadline);
    end.closed().await; // the connection is gone, not only forgotten
    let error = stuck.await.unwrap().unwrap_err();
    assert_eq!(error.timeout_kind(), Some(spdy::Timeout::Drain));
    assert_eq!(graceful.count(), 0);
    // And whatever comes now.
    let (later, _end, _told) = fake();
    graceful.watch(later).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_place_without_a_connection_does_not_hold_a_deadline_up() {
    let graceful = GracefulShutdown::new();
    let place = graceful.watcher();
    let began = Instant::now();
    let deadline = Duration::from_secs(5);
    graceful.shutdown_within(deadline).await.unwrap_err();
    assert_eq!(began.elapsed(), deadline + Duration::from_secs(1));
    // What comes into it is cut.
    let (late, _end, _told) = fake();
    place.watch(late).await.unwrap_err();
}

/// hyper closes an HTTP/1.1 connection that is idle in its eyes: what has arrived by then has to be read before.
#[cfg(feature = "upgrade")]
#[tokio::test]
async fn a_request_that_has_arrived_is_read_before_the_shutdown_is_told() {
    for _ in 0..100 {
        let graceful = GracefulShutdown::new();
        let (io, mut peer) = tokio::io::duplex(64 * 1024);
        let service = service_fn(|_: Request<hyper::body::Incoming>| async {
            Ok::<_, Infallible>(Response::new(Body::from("hello")))
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service);
        let serving = spawn(graceful.watch(connection));
        settle().await;
        // Both before the connection's task runs again.
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        peer.write_all(request).await.unwrap();
        graceful.start();
        let mut answer = String::new();
        within("the answer", peer.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.ends_with("hello"), "{answer:?}");
        within("the end", serving).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn connections_go_on_when_nobody_can_shut_them_down_any_more() {
    let graceful = GracefulShutdown::new();
    let (connection, end, _told) = fake();
    let watched = spawn(graceful.watch(connection));
    drop(graceful);
    settle().await;
    assert!(!watched.is_finished());
    end.send("ended").unwrap();
    watched.await.unwrap().unwrap();
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("hello")))
}

async fn client_on(io: DuplexStream) -> (SendRequest<AnyBody>, Driver) {
    let (send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .unwrap();
    (send, spawn(connection))
}

/// Waits until a service of connections takes one.
async fn ready<S: Service<DuplexStream>>(service: &mut S) -> &mut S
where
    S::Error: std::fmt::Debug,
{
    ServiceExt::<DuplexStream>::ready(service).await.unwrap()
}

async fn ask(send: &mut SendRequest<AnyBody>) -> bytes::Bytes {
    let request = Request::get("http://a/").body(empty()).unwrap();
    let response = within("the response", send.send_request(request)).await;
    bytes_of(response.unwrap().into_body()).await
}

#[tokio::test(start_paused = true)]
async fn server_and_raw_connections_are_shut_down_together() {
    let graceful = GracefulShutdown::new();
    let (io, peer) = tokio::io::duplex(64 * 1024);
    let builder = server::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(io), service_fn(hello));
    let serving = spawn(graceful.watch(connection));
    let (mut send, driver) = client_on(peer).await;
    assert_eq!(ask(&mut send).await, "hello");

    let (ours, theirs) = pair(Config::client(), Config::server());
    let raw = spawn(graceful.watch(theirs.1));
    let raw_client = spawn(ours.1);
    let options = OpenOptions::new();
    let mut stream = ours.0.open(block(&[]), options).await.unwrap();
    let incoming = theirs.0.accept().await.unwrap().unwrap();
    let mut accepted = incoming.reply(block(&[])).unwrap();

    let shutdown = spawn(async move { graceful.shutdown().await });
    within("the server", serving).await.unwrap().unwrap();
    within("the client", driver).await.unwrap().unwrap();
    assert!(send.is_closed());
    assert!(!shutdown.is_finished(), "a raw stream is open");
    accepted.shutdown().await.unwrap();
    stream.shutdown().await.unwrap();
    within("the raw connection", raw).await.unwrap().unwrap();
    within("the raw client", raw_client).await.unwrap().unwrap();
    within("the shutdown", shutdown).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_layer_makes_a_service_of_connections() {
    let app = tower::service_fn(hello);
    let graceful = GracefulShutdown::new();
    let layer = SpdyLayer::new()
        .config(Config::server().max_concurrent_streams(3))
        .graceful_shutdown(&graceful);
    let mut connections = tower::limit::ConcurrencyLimit::new(layer.layer(app), 2);
    let mut clients = Vec::new();
    for _ in 0..2 {
        let (io, peer) = tokio::io::duplex(64 * 1024);
        let served = ready(&mut connections).await.call(io);
        let served = spawn(served);
        let (mut send, driver) = client_on(peer).await;
        assert_eq!(ask(&mut send).await, "hello");
        clients.push((send, driver, served));
    }
    // Other layers of tower see connections where they would see requests.
    assert_eq!(graceful.count(), 2);
    assert!(
        tokio::time::timeout(Duration::from_secs(9), ready(&mut connections))
            .await
            .is_err()
    );
    let (send, _, served) = clients.pop().unwrap();
    drop(send);
    within("the end of one", served).await.unwrap().unwrap();
    within("room for another", ready(&mut connections)).await;
    within("the shutdown", graceful.shutdown()).await;
    let (_, _, served) = clients.pop().unwrap();
    within("the end of the other", served)
        .await
        .unwrap()
        .unwrap();
}

#[cfg(feature = "auto")]
#[tokio::test]
async fn a_layer_takes_any_builder() {
    let builder = server::auto::Builder::new(TokioExecutor::new());
    let layer = SpdyLayer::new().builder(builder);
    let mut connections = layer.layer(tower::service_fn(hello));
    let (io, peer) = tokio::io::duplex(64 * 1024);
    let served = spawn(connections.call(io));
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(peer))
        .await
        .unwrap();
    spawn(connection);
    let request = Request::get("/").header("host", "a").body(empty()).unwrap();
    let response = within("the response", send.send_request(request)).await;
    let body = Body::new(response.unwrap().into_body());
    assert_eq!(bytes_of(body).await, "hello");
    drop(send);
    within("the end", served).await.unwrap().unwrap();
}

/// What happens in the process with few file descriptors.
#[tokio::main(flavor = "current_thread")]
async fn accept_without_file_descriptors() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stat = std::fs::File::open("/proc/self/stat").unwrap();
    // Connects until there is no descriptor left: the kernel completes what nobody has accepted yet.
    let mut clients = Vec::new();
    let refused = loop {
        match TcpStream::connect(address).await {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
        assert!(clients.len() < 1000, "the limit is not in force");
    };
    assert_eq!(refused.raw_os_error(), Some(24), "EMFILE: {refused}");
    let serving = spawn(spdy::serve(listener, tower::service_fn(hello)).into_future());
    let used = cpu_time(&stat);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let spun = cpu_time(&stat) - used;
    assert!(
        spun < Duration::from_millis(500),
        "the loop spins: {spun:?} of two seconds"
    );
    assert!(!serving.is_finished());
    // There is room again: the next client is served.
    clients.clear();
    let io = TcpStream::connect(address).await.unwrap();
    let (mut send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .unwrap();
    spawn(connection);
    assert_eq!(ask(&mut send).await, "hello");
    println!("served again");
}

/// The time this process has spent on a CPU, in user mode and in the kernel, from its open `/proc/self/stat`.
fn cpu_time(mut stat: &std::fs::File) -> Duration {
    let mut text = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut text).unwrap();
    // Behind the name, which may hold anything: state is field 3, utime and stime are 14 and 15, in ticks of 10 ms.
    let fields: Vec<_> = text
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(10 * ticks)
}

#[cfg(target_os = "linux")]
#[test]
fn an_accept_loop_without_file_descriptors_waits_and_goes_on() {
    // This test once more, in a process of its own.
    if std::env::var_os("SPDY_FEW_DESCRIPTORS").is_some() {
        return accept_without_file_descriptors();
    }
    let name = "an_accept_loop_without_file_descriptors_waits_and_goes_on";
    let run = format!("ulimit -n 40 && exec \"$0\" --exact {name} --nocapture");
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(run)
        .arg(std::env::current_exe().unwrap())
        .env("SPDY_FEW_DESCRIPTORS", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("served again"), "{text}\n{errors}");
}
