//! `UpgradeLayer` and `wrap` under HTTP servers of others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, Path, Request as AxumRequest};
use axum::routing::get;
use axum::{Router, ServiceExt};
use http::Request;
use hyper::rt::Executor;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use spdy::client::{self, SendRequest};
use spdy::server::GracefulShutdown;
use spdy::upgrade::{self, UpgradeLayer};
use spdy::{Body, Config};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::spawn;
use tokio::sync::Semaphore;
use tower::{Layer, Service};

use crate::http_support::*;
use crate::support::*;

fn app() -> Router {
    Router::new().route("/", get(|| async { "root" })).route(
        "/other/{id}",
        get(|Path(id): Path<u32>| async move { format!("other {id}") }),
    )
}

/// The service under `axum::serve`.
async fn under_axum<S>(service: S) -> SocketAddr
where
    S: Service<AxumRequest, Response = axum::response::Response, Error = std::convert::Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let make = ServiceExt::<AxumRequest>::into_make_service(service);
    spawn(axum::serve(listener, make).into_future());
    address
}

async fn upgraded(address: SocketAddr, path: &str) -> SendRequest<AnyBody> {
    upgraded_on(TcpStream::connect(address).await.unwrap(), address, path).await
}

async fn upgraded_on(io: TcpStream, address: SocketAddr, path: &str) -> SendRequest<AnyBody> {
    let request = Request::get(format!("http://{address}{path}"))
        .body(empty())
        .unwrap();
    let answer = within("the upgrade", upgrade::connect(TokioIo::new(io), request)).await;
    let switched = answer.unwrap().switched().unwrap();
    let builder = client::Builder::new(TokioExecutor::new());
    let (send, connection) = switched.into_send_request(&builder).await.unwrap();
    spawn(connection);
    send
}

async fn ask(send: &mut SendRequest<AnyBody>, path: &str) -> String {
    let request = Request::get(format!("http://a{path}"))
        .body(empty())
        .unwrap();
    let response = within("the response", send.send_request(request)).await;
    let body = response.unwrap().into_body();
    String::from_utf8(bytes_of(body).await.to_vec()).unwrap()
}

/// The same over HTTP/1.1.
async fn ask_http1(address: SocketAddr, path: &str) -> String {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    spawn(connection);
    let request = Request::get(path)
        .header("host", "a")
        .body(empty())
        .unwrap();
    let response = within("the response", send.send_request(request)).await;
    let body = Body::new(response.unwrap().into_body());
    String::from_utf8(bytes_of(body).await.to_vec()).unwrap()
}

#[tokio::test]
async fn an_app_under_axum_serve_answers_over_http_and_behind_the_upgrade() {
    let address = under_axum(upgrade::wrap(app())).await;
    let mut send = upgraded(address, "/").await;
    assert_eq!(ask(&mut send, "/other/7").await, "other 7");
    assert_eq!(ask(&mut send, "/").await, "root");
    assert_eq!(ask_http1(address, "/other/8").await, "other 8");
    // A path that the app does not know is no obstacle: the Upgrade is in front of the routing.
    let mut send = upgraded(address, "/no/such/path").await;
    assert_eq!(ask(&mut send, "/other/9").await, "other 9");
}

#[tokio::test]
async fn the_app_behind_the_upgrade_can_be_another() {
    let http = Router::new().route("/", get(|| async { "over HTTP" }));
    let spdy = Router::new().route("/", get(|| async { "over SPDY" }));
    let address = under_axum(UpgradeLayer::new(spdy).layer(http)).await;
    assert_eq!(ask_http1(address, "/").await, "over HTTP");
    assert_eq!(
        ask(&mut upgraded(address, "/").await, "/").await,
        "over SPDY"
    );
}

/// axum layers what is behind the routing: where there is a route, the whole app is there after the Upgrade all the same,
/// because it was given explicitly.
#[tokio::test]
async fn a_layer_inside_a_router_serves_the_whole_app() {
    let address = under_axum(app().layer(UpgradeLayer::new(app()))).await;
    let mut send = upgraded(address, "/").await;
    assert_eq!(ask(&mut send, "/other/7").await, "other 7");
    assert_eq!(ask_http1(address, "/").await, "root");
}

#[tokio::test]
async fn a_plain_hyper_server_upgrades_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = TowerToHyperService::new(upgrade::wrap(app()));
    spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades()
            .await
    });
    let mut send = upgraded(address, "/").await;
    assert_eq!(ask(&mut send, "/other/7").await, "other 7");
}

#[tokio::test]
async fn what_is_known_of_the_connection_is_known_behind_the_upgrade() {
    let app = Router::new().route(
        "/who",
        get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = upgrade::wrap(app);
    let make =
        ServiceExt::<AxumRequest>::into_make_service_with_connect_info::<SocketAddr>(service);
    spawn(axum::serve(listener, make).into_future());
    let io = TcpStream::connect(address).await.unwrap();
    let local = io.local_addr().unwrap().to_string();
    let mut send = upgraded_on(io, address, "/").await;
    for _ in 0..2 {
        assert_eq!(ask(&mut send, "/who").await, local);
    }
}

/// The 101 is never read, so the connection is never upgraded.
#[tokio::test(start_paused = true)]
async fn an_upgrade_that_never_comes_about_is_cut_at_the_deadline() {
    let graceful = GracefulShutdown::new();
    let service = UpgradeLayer::new(app()).graceful_shutdown(&graceful).wrap();
    let (io, mut peer) = tokio::io::duplex(16);
    let serving = spawn(
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(io), TowerToHyperService::new(service))
            .with_upgrades(),
    );
    let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: spdy/3.1\r\n\r\n";
    peer.write_all(head.as_bytes()).await.unwrap();
    settle().await;
    assert_eq!(graceful.count(), 1);
    let began = tokio::time::Instant::now();
    let deadline = Duration::from_secs(5);
    graceful.shutdown_within(deadline).await.unwrap_err();
    assert_eq!((began.elapsed(), graceful.count()), (deadline, 0));
    serving.abort();
}

/// Tokio's, and it counts.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl<F> Executor<F> for Counting
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.fetch_add(1, Ordering::SeqCst);
        spawn(task);
    }
}

#[tokio::test]
async fn connections_and_requests_run_on_the_executor_given() {
    let counting = Counting::default();
    let service = UpgradeLayer::new(app())
        .executor(counting.clone())
        .config(Config::server().max_concurrent_streams(7))
        .wrap();
    let address = under_axum(service).await;
    let mut send = upgraded(address, "/").await;
    assert_eq!(ask(&mut send, "/").await, "root");
    assert_eq!(ask(&mut send, "/").await, "root");
    assert_eq!(counting.0.load(Ordering::SeqCst), 3);
}

/// An app whose `/slow` waits for a permit.
fn slow_app() -> (Router, Arc<Semaphore>, Census) {
    let permits = Arc::new(Semaphore::new(0));
    let census = Census::default();
    let (wait, inside) = (Arc::clone(&permits), census.clone());
    let slow = move || {
        let (wait, inside) = (Arc::clone(&wait), inside.clone());
        async move {
            let _inside = inside.enter();
            wait.acquire().await.unwrap().forget();
            "slow"
        }
    };
    (Router::new().route("/slow", get(slow)), permits, census)
}

#[tokio::test]
async fn a_shutdown_waits_for_upgraded_connections() {
    let (app, permits, inside) = slow_app();
    let graceful = GracefulShutdown::new();
    let service = UpgradeLayer::new(app).graceful_shutdown(&graceful).wrap();
    let address = under_axum(service).await;
    let mut send = upgraded(address, "/").await;
    assert_eq!(graceful.count(), 1);
    let request = Request::get("http://a/slow").body(empty()).unwrap();
    let slow = spawn(send.send_request(request));
    while inside.count() == 0 {
        tokio::task::yield_now().await;
    }
    let shutdown = spawn({
        let graceful = graceful.clone();
        async move { graceful.shutdown().await }
    });
    settle().await;
    assert!(graceful.is_shutting_down() && !shutdown.is_finished());
    permits.add_permits(1);
    let response = within("the answer", slow).await.unwrap().unwrap();
    assert_eq!(bytes_of(response.into_body()).await, "slow");
    drop(send);
    within("the shutdown", shutdown).await.unwrap();
    assert_eq!(graceful.count(), 0);
}

#[tokio::test]
async fn a_shutdown_cuts_upgraded_connections_at_its_deadline() {
    let (app, _permits, inside) = slow_app();
    let graceful = GracefulShutdown::new();
    let service = UpgradeLayer::new(app).graceful_shutdown(&graceful).wrap();
    let address = under_axum(service).await;
    let mut send = upgraded(address, "/").await;
    let request = Request::get("http://a/slow").body(empty()).unwrap();
    let slow = spawn(send.send_request(request));
    while inside.count() == 0 {
        tokio::task::yield_now().await;
    }
    let deadline = Duration::from_millis(200);
    let cut = within("the shutdown", graceful.shutdown_within(deadline)).await;
    assert_eq!(cut.unwrap_err().timeout_kind(), Some(spdy::Timeout::Drain));
    assert_eq!(graceful.count(), 0);
    within("the answer", slow).await.unwrap().unwrap_err();
    within("the end of the handler", async {
        while inside.count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A layer outside answers with something else than the 101, and the connection is kept alive.
#[tokio::test]
async fn a_shutdown_does_not_wait_for_an_upgrade_that_does_not_come_about() {
    let graceful = GracefulShutdown::new();
    let service = UpgradeLayer::new(app()).graceful_shutdown(&graceful).wrap();
    let refusing = tower::util::MapResponse::new(service, |_: axum::response::Response| {
        axum::response::IntoResponse::into_response(axum::http::StatusCode::FORBIDDEN)
    });
    let address = under_axum(refusing).await;
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    spawn(connection);
    let request = Request::get("/")
        .header("host", "a")
        .header("connection", "upgrade")
        .header("upgrade", "SPDY/3.1")
        .body(empty())
        .unwrap();
    let response = within("the answer", send.send_request(request)).await;
    assert_eq!(response.unwrap().status(), 403);
    assert_eq!(graceful.count(), 1);
    let deadline = Duration::from_millis(100);
    let cut = within("the shutdown", graceful.shutdown_within(deadline)).await;
    assert_eq!(cut.unwrap_err().timeout_kind(), Some(spdy::Timeout::Drain));
    assert_eq!(graceful.count(), 0);
}

/// The shutdown had begun when the request to upgrade came: the connection ends well, with nothing lost.
#[tokio::test]
async fn an_upgrade_during_a_shutdown_is_drained_at_once() {
    let graceful = GracefulShutdown::new();
    let service = UpgradeLayer::new(app()).graceful_shutdown(&graceful).wrap();
    let address = under_axum(service).await;
    graceful.start();
    let mut send = upgraded(address, "/").await;
    let request = Request::get("http://a/").body(empty()).unwrap();
    match within("an outcome", send.send_request(request)).await {
        Ok(response) => assert_eq!(bytes_of(response.into_body()).await, "root"),
        Err(error) => assert!(error.is_retryable(), "{error}"),
    }
    within("the shutdown", graceful.shutdown()).await;
}
