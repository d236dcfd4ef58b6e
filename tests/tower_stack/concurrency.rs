//! Concurrency and rate limits, load shedding, buffers; what each means where the limit of the peer is another.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::routing::get;
use futures_util::future::join_all;
use http::StatusCode;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower::buffer::Buffer;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::error::Overloaded;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt};

use super::*;

/// Counts how many run at once, and lets each go on when there is a permit.
#[derive(Clone)]
struct Gauge {
    now: Census,
    most: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
}

impl Gauge {
    fn new() -> Self {
        Self {
            now: Census::default(),
            most: Arc::default(),
            permits: Arc::new(Semaphore::new(0)),
        }
    }

    async fn pass(&self) {
        let _alive = self.now.enter();
        self.most.fetch_max(self.now.count(), Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    /// A service that passes.
    fn service(
        &self,
    ) -> impl Service<
        Request<Body>,
        Response = Response<AnyBody>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<AnyBody>, Infallible>> + Send,
    > + Clone
    + Send
    + 'static {
        let gauge = self.clone();
        tower::service_fn(move |_| {
            let gauge = gauge.clone();
            async move {
                gauge.pass().await;
                Ok(Response::new(empty()))
            }
        })
    }

    /// A router that passes.
    fn router(&self) -> Router {
        let gauge = self.clone();
        Router::new().route("/", get(move || async move { gauge.pass().await }))
    }
}

fn request() -> Request<AnyBody> {
    to("/").body(empty()).unwrap()
}

/// Lets what can run arrive at the server, then says that as many run there as expected, and lets all go.
async fn expect_most(gauge: &Gauge, most: usize) {
    settle().await;
    assert_eq!(gauge.now.count(), most, "running at the server");
    gauge.permits.add_permits(1000);
}

async fn all_ok<F, B, E>(requests: Vec<F>)
where
    F: Future<Output = Result<Response<B>, E>>,
    E: std::fmt::Debug,
{
    for response in within("all responses", join_all(requests)).await {
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_client_is_what_the_server_sees() {
    let gauge = Gauge::new();
    let send = serve(gauge.service()).await;
    let client = ServiceBuilder::new().concurrency_limit(3).service(send);
    let requests: Vec<_> = (0..10).map(|_| client.clone().oneshot(request())).collect();
    let all = spawn(all_ok(requests));
    expect_most(&gauge, 3).await;
    within("all requests", all).await.unwrap();
    assert_eq!(gauge.most(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_global_limit_of_a_router_holds_over_all_connections() {
    let gauge = Gauge::new();
    let app = gauge.router().layer(GlobalConcurrencyLimitLayer::new(3));
    let served = serve_to::<2, _, _, _>(Config::server(), app).await;
    let requests: Vec<_> = (0..10)
        .map(|n| served.clients[n % 2].clone().oneshot(request()))
        .collect();
    let all = spawn(all_ok(requests));
    expect_most(&gauge, 3).await;
    within("all requests", all).await.unwrap();
    assert_eq!(gauge.most(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_session_is_kept_without_any_layer() {
    let gauge = Gauge::new();
    let config = Config::server().max_concurrent_streams(3);
    let served = serve_to::<1, _, _, _>(config, gauge.service()).await;
    let send = &served.clients[0];
    // The limit is in the first SETTINGS.
    within("a PING", send.ping()).await.unwrap();
    let requests: Vec<_> = (0..10).map(|_| send.clone().oneshot(request())).collect();
    let all = spawn(all_ok(requests));
    expect_most(&gauge, 3).await;
    within("all requests", all).await.unwrap();
    assert_eq!(gauge.most(), 3);
    assert_eq!(send.stats().received.rst_stream, 0, "none was refused");
}

/// When requests have arrived, in whole seconds since the first.
type Arrivals = Arc<Mutex<Vec<u64>>>;

fn expect_two_a_second(arrivals: &Arrivals) {
    assert_eq!(*arrivals.lock().unwrap(), [0, 0, 1, 1, 2, 2]);
}

fn noting(
    began: Instant,
    arrivals: &Arrivals,
) -> impl Fn(Request<Body>) -> Ready<Result<Response<AnyBody>, Infallible>> + Clone + Send + 'static
{
    let arrivals = Arc::clone(arrivals);
    move |_| {
        arrivals.lock().unwrap().push(began.elapsed().as_secs());
        ready(Ok(Response::new(empty())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_the_client_is_what_the_server_sees() {
    let arrivals = Arrivals::default();
    let send = serve(tower::service_fn(noting(Instant::now(), &arrivals))).await;
    let mut client = ServiceBuilder::new()
        .rate_limit(2, Duration::from_secs(1))
        .service(send);
    for _ in 0..6 {
        call(&mut client, request()).await.unwrap();
    }
    expect_two_a_second(&arrivals);
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_the_server_needs_a_buffer_to_be_cloned() {
    let arrivals = Arrivals::default();
    let service = ServiceBuilder::new()
        .buffer(16)
        .rate_limit(2, Duration::from_secs(1))
        .service_fn(noting(Instant::now(), &arrivals));
    let served = serve_to::<2, _, _, _>(Config::server(), service).await;
    let requests: Vec<_> = (0..6)
        .map(|n| served.clients[n % 2].clone().oneshot(request()))
        .collect();
    all_ok(requests).await;
    expect_two_a_second(&arrivals);
}

#[tokio::test(start_paused = true)]
async fn a_router_sheds_what_passes_its_limit() {
    let gauge = Gauge::new();
    let shed = HandleErrorLayer::new(|error: BoxError| async move {
        assert!(error.is::<Overloaded>(), "{error}");
        StatusCode::SERVICE_UNAVAILABLE
    });
    let layers = ServiceBuilder::new()
        .layer(shed)
        .load_shed()
        .layer(GlobalConcurrencyLimitLayer::new(1));
    let mut send = serve(gauge.router().layer(layers)).await;
    let first = spawn(send.clone().oneshot(request()));
    settle().await;
    assert_eq!(gauge.now.count(), 1);
    for _ in 0..3 {
        let response = call(&mut send, request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    gauge.permits.add_permits(2);
    let response = within("the first", first).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let response = call(&mut send, request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(gauge.most(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_sheds_when_the_connection_has_no_slot_left() {
    // The limit of the peer, and 100 that wait.
    const SLOTS: usize = 101;
    let gauge = Gauge::new();
    let config = Config::server().max_concurrent_streams(1);
    let served = serve_to::<1, _, _, _>(config, gauge.service()).await;
    let send = &served.clients[0];
    within("a PING", send.ping()).await.unwrap();
    let client = ServiceBuilder::new().load_shed().service(send.clone());
    let requests: Vec<_> = (0..SLOTS)
        .map(|_| client.clone().oneshot(request()))
        .collect();
    let all = spawn(all_ok(requests));
    settle().await;
    let shed = within("the answer", client.clone().oneshot(request()));
    let error = shed.await.unwrap_err();
    assert!(error.is::<Overloaded>(), "{error}");
    gauge.permits.add_permits(SLOTS + 1);
    within("all requests", all).await.unwrap();
    all_ok(vec![client.oneshot(request())]).await;
    assert_eq!(gauge.most(), 1);
}

#[tokio::test(start_paused = true)]
async fn clones_of_a_buffer_share_one_sender() {
    let gauge = Gauge::new();
    let send = serve(gauge.service()).await;
    let buffer = Buffer::new(send.clone(), 4);
    let requests: Vec<_> = (0..50).map(|_| buffer.clone().oneshot(request())).collect();
    let all = spawn(all_ok(requests));
    expect_most(&gauge, 50).await;
    within("all requests", all).await.unwrap();
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn the_error_behind_a_buffer_still_says_that_it_can_be_retried() {
    let send = serve(Gauge::new().service()).await;
    let mut buffer = Buffer::new(send.clone(), 4);
    send.session().shutdown();
    settle().await;
    let error = call(&mut buffer, request()).await.unwrap_err();
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    let mut ours = None;
    while let Some(error) = source {
        ours = ours.or_else(|| error.downcast_ref::<spdy::Error>());
        source = error.source();
    }
    assert!(ours.expect("our error is the source").is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_client_fits_in_a_box_that_can_be_cloned_and_shared() {
    let gauge = Gauge::new();
    gauge.permits.add_permits(10);
    let boxed: BoxCloneSyncService<Request<AnyBody>, Response<Body>, spdy::Error> =
        BoxCloneSyncService::new(serve(gauge.service()).await);
    all_ok((0..10).map(|_| boxed.clone().oneshot(request())).collect()).await;
}
