//! `tower::balance::p2c` over several connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use http::StatusCode;
use http_body_util::Full;
use tokio::sync::Semaphore;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::retry::Policy;
use tower::{BoxError, ServiceBuilder, ServiceExt};

use super::*;

type Whole = Full<Bytes>;

/// A server that counts, and holds its answers until there are permits.
struct Counted {
    send: SendRequest<Whole>,
    requests: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
    server: JoinHandle<spdy::Result<()>>,
}

impl Counted {
    async fn new() -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let permits = Arc::new(Semaphore::new(0));
        let (count, wait) = (Arc::clone(&requests), Arc::clone(&permits));
        let service = tower::service_fn(move |_: Request<Body>| {
            count.fetch_add(1, Ordering::SeqCst);
            let wait = Arc::clone(&wait);
            async move {
                wait.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(Response::new(empty()))
            }
        });
        let mut served = serve_to::<1, _, _, _>(Config::server(), service).await;
        Self {
            send: served.clients.remove(0),
            requests,
            permits,
            server: served.server,
        }
    }

    fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

type Loaded = PendingRequests<SendRequest<Whole>, CompleteOnResponse>;

fn balance(servers: &[&Counted]) -> Balance<ServiceList<Vec<Loaded>>, Request<Whole>> {
    let services = servers
        .iter()
        .map(|server| PendingRequests::new(server.send.clone(), CompleteOnResponse::default()))
        .collect();
    Balance::new(ServiceList::new(services))
}

fn request() -> Request<Whole> {
    to("/").body(Whole::default()).unwrap()
}

/// Sends `count` requests, without waiting for any answer.
async fn send<S>(service: &mut S, count: usize) -> Vec<S::Future>
where
    S: Service<Request<Whole>>,
    S::Error: std::fmt::Debug,
{
    let mut sent = Vec::new();
    for _ in 0..count {
        let ready = within("readiness", service.ready()).await.unwrap();
        sent.push(ready.call(request()));
    }
    sent
}

async fn all_ok<F, B, E>(sent: Vec<F>)
where
    F: Future<Output = Result<Response<B>, E>>,
    E: std::fmt::Debug,
{
    for response in within("the responses", join_all(sent)).await {
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_go_where_fewer_are_pending() {
    let (a, b) = (Counted::new().await, Counted::new().await);
    let mut balance = balance(&[&a, &b]);
    let sent = spawn(all_ok(send(&mut balance, 40).await));
    settle().await;
    assert_eq!((a.count(), b.count()), (20, 20));
    a.permits.add_permits(100);
    b.permits.add_permits(100);
    within("all requests", sent).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_is_dropped_and_the_other_takes_all() {
    let (a, b) = (Counted::new().await, Counted::new().await);
    a.permits.add_permits(1000);
    b.permits.add_permits(1000);
    let mut balance = balance(&[&a, &b]);
    all_ok(send(&mut balance, 40).await).await;
    assert_eq!(a.count() + b.count(), 40);
    assert_eq!(balance.len(), 2);
    // Both are reserved; the reservation on the lost one must not be used.
    within("readiness", balance.ready()).await.unwrap();
    a.server.abort();
    settle().await;
    let (before_a, before_b) = (a.count(), b.count());
    all_ok(send(&mut balance, 40).await).await;
    assert_eq!((a.count() - before_a, b.count() - before_b), (0, 40));
    assert_eq!(balance.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_drains_gets_no_more_and_finishes_what_it_has() {
    let (a, b) = (Counted::new().await, Counted::new().await);
    let mut balance = balance(&[&a, &b]);
    let first = spawn(all_ok(send(&mut balance, 10).await));
    settle().await;
    assert_eq!((a.count(), b.count()), (5, 5));
    a.send.session().shutdown();
    let second = spawn(all_ok(send(&mut balance, 10).await));
    settle().await;
    assert_eq!((a.count(), b.count()), (5, 15));
    a.permits.add_permits(100);
    b.permits.add_permits(100);
    within("the first ten", first).await.unwrap();
    within("the others", second).await.unwrap();
}

/// So it is with every service: new ones may be discovered. Who wants an error has a time-out outside.
#[tokio::test(start_paused = true)]
async fn a_balancer_whose_connections_are_all_lost_waits() {
    let (a, b) = (Counted::new().await, Counted::new().await);
    let mut balance = balance(&[&a, &b]);
    within("readiness", balance.ready()).await.unwrap();
    a.server.abort();
    b.server.abort();
    settle().await;
    let mut client = ServiceBuilder::new()
        .timeout(std::time::Duration::from_secs(5))
        .buffer(1)
        .service(balance);
    let call = async { client.ready().await?.call(request()).await };
    let error = within("the time-out", call).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>(), "{error}");
}

/// Sends again what was not processed; errors of the balancer and of the buffer have ours inside.
#[derive(Clone)]
struct Elsewhere;

impl Policy<Request<Whole>, Response<Body>, BoxError> for Elsewhere {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Whole>,
        result: &mut Result<Response<Body>, BoxError>,
    ) -> Option<Self::Future> {
        let error = result.as_ref().err()?.downcast_ref::<spdy::Error>()?;
        error.is_retryable().then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Whole>) -> Option<Request<Whole>> {
        Some(request.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dying_connection_has_not_processed_is_retried_on_the_other() {
    let living = Counted::new().await;
    living.permits.add_permits(100);
    // A peer that takes requests, and then says that it has processed none.
    let (dying, _driver, mut peer) = client_of::<Whole>(Config::client()).await;
    let services = [dying, living.send.clone()]
        .map(|send| PendingRequests::new(send, CompleteOnResponse::default()));
    let balance = Balance::new(ServiceList::new(services));
    let client = ServiceBuilder::new()
        .retry(Elsewhere)
        .buffer(16)
        .service(balance);
    let requests: Vec<_> = (0..10).map(|_| client.clone().oneshot(request())).collect();
    let all = spawn(all_ok(requests));
    expect_request(&mut peer, 1).await;
    settle().await;
    peer.send(go_away(0, spdy::frame::GoAwayStatus::OK)).await;
    within("all requests", all).await.unwrap();
    assert_eq!(living.count(), 10);
}
