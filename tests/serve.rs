//! `serve` and `serve_with`: listeners, services per connection, shutdown.

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
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http::Request;
use http_body_util::BodyExt;
use http_support::*;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::{self, SendRequest};
use spdy::server::{GracefulShutdown, Listener};
use support::within;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::spawn;
use tokio::sync::{Semaphore, oneshot};

async fn connect<T>(io: T) -> (SendRequest<AnyBody>, Driver)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .unwrap();
    (send, spawn(connection))
}

async fn ask(send: &mut SendRequest<AnyBody>, path: &str) -> String {
    let request = Request::get(format!("http://a{path}"))
        .body(empty())
        .unwrap();
    let response = within("the response", send.send_request(request))
        .await
        .unwrap();
    String::from_utf8(bytes_of(response.into_body()).await.to_vec()).unwrap()
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers `/slow` when a permit is there, all else at once.
fn slow_app() -> (Router, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&permits);
    let slow = move || {
        let wait = Arc::clone(&wait);
        async move {
            wait.acquire().await.unwrap().forget();
            "slow"
        }
    };
    let app = Router::new()
        .route("/slow", get(slow))
        .route("/", get(|| async { "quick" }));
    (app, permits)
}

#[tokio::test]
async fn connect_info_is_the_address_of_the_peer() {
    let (listener, address) = bind().await;
    let app = Router::new().route(
        "/",
        get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
    );
    let make = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = spawn(spdy::serve_with(listener, make).into_future());
    for _ in 0..2 {
        let io = TcpStream::connect(address).await.unwrap();
        let local = io.local_addr().unwrap().to_string();
        let (mut send, _driver) = connect(io).await;
        assert_eq!(ask(&mut send, "/").await, local);
    }
    serving.abort();
}

#[tokio::test]
async fn a_service_is_made_for_each_connection() {
    let (listener, address) = bind().await;
    let made = Arc::new(AtomicUsize::new(0));
    let make = tower::service_fn(move |_: SocketAddr| {
        let number = made.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 1 {
                return Err("the second one is not served");
            }
            Ok(tower::service_fn(
                move |_: Request<spdy::Body>| async move {
                    Ok::<_, Infallible>(http::Response::new(spdy::Body::from(number.to_string())))
                },
            ))
        }
    });
    let serving = spawn(spdy::serve_with(listener, make).into_future());
    let (mut first, _driver) = connect(TcpStream::connect(address).await.unwrap()).await;
    assert_eq!(ask(&mut first, "/").await, "0");
    let (mut second, _driver) = connect(TcpStream::connect(address).await.unwrap()).await;
    let request = Request::get("http://a/").body(empty()).unwrap();
    within("the response", second.send_request(request))
        .await
        .unwrap_err();
    let (mut third, _driver) = connect(TcpStream::connect(address).await.unwrap()).await;
    assert_eq!(ask(&mut third, "/").await, "2");
    assert_eq!(ask(&mut first, "/").await, "0");
    serving.abort();
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_listener_is_served() {
    let path = std::env::temp_dir().join(format!("spdy-serve-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = spawn(spdy::serve(listener, slow_app().0).into_future());
    let io = tokio::net::UnixStream::connect(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let (mut send, _driver) = connect(io).await;
    assert_eq!(ask(&mut send, "/").await, "quick");
    serving.abort();
}

#[tokio::test]
async fn a_graceful_shutdown_drains_every_connection() {
    let (listener, address) = bind().await;
    let (app, permits) = slow_app();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = spdy::serve(listener, app)
        .with_graceful_shutdown(async move { drop(stopped.await) })
        .drain_timeout(Duration::from_secs(60));
    let serving = spawn(serving.into_future());
    let (mut busy, busy_driver) = connect(TcpStream::connect(address).await.unwrap()).await;
    let (mut idle, idle_driver) = connect(TcpStream::connect(address).await.unwrap()).await;
    assert_eq!(ask(&mut idle, "/").await, "quick");
    let request = Request::get("http://a/slow").body(empty()).unwrap();
    let slow = spawn(busy.send_request(request));
    assert_eq!(ask(&mut busy, "/").await, "quick");
    stop.send(()).unwrap();
    within("the idle connection", idle_driver)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    while !busy.is_closed() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!serving.is_finished());
    permits.add_permits(1);
    let response = within("the slow one", slow).await.unwrap().unwrap();
    assert_eq!(bytes_of(response.into_body()).await, "slow");
    within("the busy connection", busy_driver)
        .await
        .unwrap()
        .unwrap();
    within("the server", serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_drain_timeout_cuts_what_is_left() {
    let (listener, address) = bind().await;
    let (app, _permits) = slow_app();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = spdy::serve(listener, app)
        .with_graceful_shutdown(async move { drop(stopped.await) })
        .drain_timeout(Duration::from_millis(100));
    let serving = spawn(serving.into_future());
    let (mut send, driver) = connect(TcpStream::connect(address).await.unwrap()).await;
    let request = Request::get("http://a/slow").body(empty()).unwrap();
    let slow = spawn(send.send_request(request));
    assert_eq!(ask(&mut send, "/").await, "quick");
    // A peer that says nothing at all is cut, too.
    let silent = TcpStream::connect(address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    stop.send(()).unwrap();
    let error = within("the server", serving).await.unwrap().unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(error.timeout_kind(), Some(spdy::Timeout::Drain));
    within("the slow one", slow).await.unwrap().unwrap_err();
    within("the connection", driver).await.unwrap().unwrap_err();
    drop(silent);
}

#[tokio::test]
async fn a_maker_that_hangs_does_not_hold_up_the_shutdown() {
    let (listener, address) = bind().await;
    let make =
        tower::service_fn(|_: SocketAddr| std::future::pending::<Result<Router, Infallible>>());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving =
        spdy::serve_with(listener, make).with_graceful_shutdown(async move { drop(stopped.await) });
    let serving = spawn(serving.into_future());
    let _io = TcpStream::connect(address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    stop.send(()).unwrap();
    within("the server", serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn peers_that_die_or_talk_nonsense_harm_nobody() {
    let (listener, address) = bind().await;
    let (app, _permits) = slow_app();
    let serving = spawn(spdy::serve(listener, app).into_future());
    let (mut good, _driver) = connect(TcpStream::connect(address).await.unwrap()).await;
    for nonsense in [
        &b""[..],
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x80\x03\x00\x01\x01\x00\x00\x20half a SYN_STREAM",
        &[0xff; 1000],
    ] {
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(nonsense).await.unwrap();
        drop(io);
        assert_eq!(ask(&mut good, "/").await, "quick");
    }
    // One that dies with requests under way.
    let (mut dying, driver) = connect(TcpStream::connect(address).await.unwrap()).await;
    let request = Request::get("http://a/slow").body(empty()).unwrap();
    let slow = spawn(dying.send_request(request));
    assert_eq!(ask(&mut dying, "/").await, "quick");
    driver.abort();
    within("the slow one", slow).await.unwrap().unwrap_err();
    assert_eq!(ask(&mut good, "/").await, "quick");
    serving.abort();
}

#[tokio::test]
async fn a_body_of_any_kind_can_be_a_request_or_response() {
    let (listener, address) = bind().await;
    let echo = tower::service_fn(|request: Request<spdy::Body>| async move {
        let boxed = request
            .into_body()
            .map_err(|error| -> BoxError { error.into() });
        Ok::<_, Infallible>(http::Response::new(spdy::Body::new(boxed)))
    });
    let serving = spawn(spdy::serve(listener, echo).into_future());
    let io = TcpStream::connect(address).await.unwrap();
    let (mut send, connection) =
        client::handshake::<_, _, spdy::Body>(TokioExecutor::new(), TokioIo::new(io))
            .await
            .unwrap();
    spawn(connection);
    for (body, text) in [
        (spdy::Body::empty(), ""),
        (spdy::Body::from("static"), "static"),
        (spdy::Body::from(String::from("string")), "string"),
        (
            spdy::Body::new(http_body_util::Full::from("boxed")),
            "boxed",
        ),
    ] {
        let request = Request::post("http://a/").body(body).unwrap();
        let response = within("the response", send.send_request(request))
            .await
            .unwrap();
        assert_eq!(bytes_of(response.into_body()).await, text);
    }
    serving.abort();
}

#[test]
fn a_body_that_is_ours_is_not_boxed() {
    let body = spdy::Body::new(spdy::Body::from("text"));
    assert_eq!(format!("{body:?}"), "Body(\"full\")");
    let body = spdy::Body::new(http_body_util::Full::<bytes::Bytes>::from("text"));
    assert_eq!(format!("{body:?}"), "Body(\"boxed\")");
}

/// A transport that panics when it is read.
struct Trap;

impl AsyncRead for Trap {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        panic!("a trap");
    }
}

impl AsyncWrite for Trap {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Gives one `Trap`, then nothing.
struct Traps(Option<Trap>);

impl spdy::server::Listener for Traps {
    type Io = Trap;
    type Addr = ();

    async fn accept(&mut self) -> (Trap, ()) {
        match self.0.take() {
            Some(trap) => (trap, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_connection_that_panics_is_logged_as_an_error() {
    let text = Text::default();
    let writer = text.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let (app, _) = slow_app();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = spdy::serve(Traps(Some(Trap)), app)
        .with_graceful_shutdown(async { drop(stopped.await) })
        .into_future();
    let serving = spawn(serving);
    support::settle().await;
    stop.send(()).unwrap();
    within("serve", serving).await.unwrap().unwrap();
    let log = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("ERROR") && log.contains("has panicked"),
        "{log}"
    );
}

/// A listener that holds a connection which it has not handed out.
struct Holding(TcpListener, Option<(DuplexStream, SocketAddr)>);

impl Listener for Holding {
    type Io = DuplexStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DuplexStream, SocketAddr) {
        std::future::pending().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    async fn drain(&mut self) -> Option<(DuplexStream, SocketAddr)> {
        self.1.take()
    }
}

#[tokio::test]
async fn what_a_listener_still_holds_is_served_by_the_shutdown() {
    let (io, peer) = tokio::io::duplex(64 * 1024);
    let (listener, address) = bind().await;
    let (mut send, driver) = connect(peer).await;
    let (app, permits) = slow_app();
    permits.add_permits(1);
    let serving = spdy::serve(Holding(listener, Some((io, address))), app)
        .with_graceful_shutdown(async {})
        .into_future();
    let serving = spawn(serving);
    assert_eq!(ask(&mut send, "/slow").await, "slow");
    within("the shutdown", serving).await.unwrap().unwrap();
    within("the client", driver).await.unwrap().unwrap();
}

#[tokio::test]
async fn servers_can_share_a_shutdown() {
    let graceful = GracefulShutdown::new();
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let (listener, address) = bind().await;
        let serving = spdy::serve(listener, slow_app().0).graceful(&graceful);
        servers.push(spawn(serving.into_future()));
        let (mut send, driver) = connect(TcpStream::connect(address).await.unwrap()).await;
        assert_eq!(ask(&mut send, "/").await, "quick");
        clients.push((send, driver));
    }
    within("the shutdown", graceful.shutdown()).await;
    for server in servers {
        within("a server", server).await.unwrap().unwrap();
    }
    for (_send, driver) in clients {
        within("a client", driver).await.unwrap().unwrap();
    }
}
