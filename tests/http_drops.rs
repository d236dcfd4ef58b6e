//! Requests, bodies, services and connections dropped at random points: nothing may be left, nothing may hang.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod http_support;
mod support;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use http::{Request, Response};
use http_body_util::BodyExt;
use http_support::*;
use spdy::client::SendRequest;
use spdy::{Body, Config};
use support::{PATIENCE, Random};
use tokio::runtime::Handle;
use tokio::spawn;
use tokio::task::yield_now;

const CONNECTIONS: u64 = 50;
const REQUESTS: u64 = 200;

fn size(random: &mut Random) -> usize {
    let sizes = [0, 1, 100, 5_000, 20_000, 70_000, 150_000];
    sizes[usize::try_from(random.below(7)).unwrap()]
}

async fn pause(random: &mut Random) {
    for _ in 0..random.below(12) {
        yield_now().await;
    }
}

/// A body that is counted while it lives, and fails at random.
fn counted_body(census: &Census, random: &mut Random) -> AnyBody {
    let alive = census.enter();
    let len = size(random);
    let fails = random.below(10) == 0;
    let mut sent = 0;
    let mut random = random.clone();
    let frames = futures_util::stream::poll_fn(move |cx| {
        let _alive = &alive;
        if random.below(4) == 0 {
            cx.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        if sent >= len {
            return std::task::Poll::Ready(None);
        }
        if fails && random.below(3) == 0 {
            sent = len;
            return std::task::Poll::Ready(Some(Err(BoxError::from("a failure on purpose"))));
        }
        let n = usize::try_from(1 + random.below(30_000))
            .unwrap()
            .min(len - sent);
        sent += n;
        std::task::Poll::Ready(Some(chunk(pattern(0, n))))
    });
    http_body_util::StreamBody::new(frames).boxed_unsync()
}

/// Reads a body, all of it or some.
async fn read(mut body: Body, random: &mut Random) {
    let frames = if random.below(2) == 0 {
        u64::MAX
    } else {
        random.below(4)
    };
    for _ in 0..frames {
        match body.frame().await {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
        if random.below(3) == 0 {
            pause(random).await;
        }
    }
}

async fn serve(
    request: Request<Body>,
    census: Census,
    mut random: Random,
) -> Result<Response<AnyBody>, BoxError> {
    let _alive = census.enter();
    let body = request.into_body();
    match random.below(4) {
        0 => drop(body),
        1 => read(body, &mut random).await,
        2 => {
            let mut random = random.clone();
            spawn(async move { read(body, &mut random).await });
        }
        // An echo: the response depends on the request.
        _ => return Ok(Response::new(body.map_err(Into::into).boxed_unsync())),
    }
    pause(&mut random).await;
    if random.below(10) == 0 {
        return Err("a failure on purpose".into());
    }
    Ok(Response::new(counted_body(&census, &mut random)))
}

/// How many responses came; the test would prove little if all requests failed.
static ANSWERED: AtomicUsize = AtomicUsize::new(0);

async fn one_request(mut send: SendRequest<AnyBody>, census: Census, mut random: Random) {
    let request = Request::post("http://example.com/").body(counted_body(&census, &mut random));
    if random.below(2) == 0 && send.ready().await.is_err() {
        return;
    }
    let mut reading = random.clone();
    let exchange = async {
        if let Ok(response) = send.send_request(request.unwrap()).await {
            ANSWERED.fetch_add(1, Ordering::Relaxed);
            read(response.into_body(), &mut reading).await;
        }
    };
    if random.below(3) == 0 {
        let mut other = random.clone();
        let patience = std::pin::pin!(async move {
            for _ in 0..5 {
                pause(&mut other).await;
            }
        });
        // Either is dropped where it stands.
        if let Either::Left(((), _)) = select(std::pin::pin!(exchange), patience).await {}
    } else {
        exchange.await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn one_connection(census: Census, seed: u64) {
    let mut random = Random(seed);
    let services = census.clone();
    let seeds = AtomicU64::new(random.next());
    let service = move |request: Request<Body>| {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        serve(request, services.clone(), Random(seed))
    };
    // Small windows, so that most streams block somewhere, and few streams, so that requests queue.
    let window = |random: &mut Random| 1 << (13 + random.below(6));
    let client = Config::client()
        .initial_stream_window_size(window(&mut random))
        .initial_connection_window_size(1 << 16);
    let server = Config::server()
        .initial_stream_window_size(window(&mut random))
        .initial_connection_window_size(1 << 16)
        .max_concurrent_streams(if random.below(2) == 0 { 8 } else { 200 });
    let (send, client, server) = both_with(client, server, service).await;
    let end = random.below(4);
    let killer = {
        let (client, server) = (client.abort_handle(), server.abort_handle());
        let after = Duration::from_micros(random.below(60_000));
        async move {
            tokio::time::sleep(after).await;
            match end {
                0 => client.abort(),
                1 => server.abort(),
                _ => {}
            }
        }
    };
    let killer = spawn(killer);
    let mut requests = Vec::new();
    for _ in 0..REQUESTS {
        let (send, census) = (send.clone(), census.clone());
        let seed = Random(random.next());
        requests.push(spawn(one_request(send, census, seed)));
        pause(&mut random).await;
    }
    for request in requests {
        request.await.unwrap();
    }
    let session = send.session().clone();
    until(
        &format!("seed {seed}: streams are left: {session:?}"),
        || session.stream_count() == 0,
    )
    .await;
    assert_eq!(session.unread_bytes(), 0, "seed {seed}");
    killer.await.unwrap();
    drop((send, session));
    let client = client.await;
    let server = server.await;
    if end > 1 {
        client.unwrap().unwrap();
        server.unwrap().unwrap();
    }
}

#[test]
fn ten_thousand_requests_dropped_at_random_leave_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let census = Census::default();
        let all = async {
            for round in 0..CONNECTIONS / 5 {
                let connections: Vec<_> = (0..5)
                    .map(|n| spawn(one_connection(census.clone(), 1 + 5 * round + n)))
                    .collect();
                for connection in connections {
                    connection.await.unwrap();
                }
            }
        };
        tokio::time::timeout(PATIENCE.min(Duration::from_secs(300)), all)
            .await
            .expect("a hang");
        let tasks = || Handle::current().metrics().num_alive_tasks();
        until("tasks are left", || tasks() == 0).await;
        until("services or bodies are left", || census.count() == 0).await;
        let answered = ANSWERED.load(Ordering::Relaxed);
        assert!(
            answered > 2000,
            "only {answered} of {} were answered",
            CONNECTIONS * REQUESTS
        );
    });
}
