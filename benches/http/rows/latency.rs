//! How long something small waits behind something large on the same connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Method;

use super::{Effort, Http, Hyper, Scenario, Side, Spdy, less, streams};
use crate::http::{App, Expected, STREAMS, connect, exchange, start};
use crate::net::Writes;
use crate::raw::{self, Load, Raw};
use crate::service::{Idle, LARGE, SMALL, request};

/// How many large transfers never stop.
const BULK: usize = 4;
const SAMPLES: usize = 300;

/// More PINGs in so short a time are a flood, which ends a SPDY session.
const PINGS: usize = 80;

/// What lies between two samples.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) fn scenarios() -> Vec<Scenario> {
    let rows = |what| {
        ["median", "p99"]
            .map(|which| less(format!("{what} behind {BULK} bulk streams: {which} us")))
            .to_vec()
    };
    vec![
        Scenario {
            rows: rows("GET 1 KiB"),
            rounds: 5,
            run: Box::new(|side, effort| match side {
                Side::Spdy => get::<Spdy>(effort),
                Side::H2 => get::<Hyper>(effort),
            }),
        },
        Scenario {
            rows: rows("PING"),
            rounds: 5,
            run: Box::new(|side, effort| match side {
                Side::Spdy => ping::<raw::Spdy>(effort),
                Side::H2 => ping::<raw::H2>(effort),
            }),
        },
    ]
}

/// Median and 99th percentile, in us.
fn percentiles(mut samples: Vec<Duration>) -> Vec<f64> {
    samples.sort_unstable();
    [50, 99]
        .map(|percent| samples[(samples.len() - 1) * percent / 100].as_secs_f64() * 1e6)
        .to_vec()
}

/// Behind downloads.
fn get<P: Http>(effort: &Effort) -> Vec<f64> {
    let (_server, address) = start::<P>(App::ServiceFn(Idle::default()), STREAMS);
    let (client, mut senders) = connect::<P>(address, 1, STREAMS);
    let mut sender = senders.remove(0);
    let count = effort.pick(SAMPLES, 100);
    let samples = client.run(async move {
        for _ in 0..BULK {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                let expected = Expected {
                    body: LARGE.clone(),
                    bytes: false,
                };
                loop {
                    let get = request(Method::GET, "/large", Bytes::new());
                    exchange::<P>(&mut sender, get, &expected).await;
                }
            });
        }
        let expected = Expected {
            body: SMALL.clone(),
            bytes: true,
        };
        tokio::time::sleep(20 * PAUSE).await;
        let mut samples = Vec::new();
        for _ in 0..count {
            tokio::time::sleep(PAUSE).await;
            let get = request(Method::GET, "/small", Bytes::new());
            let start = Instant::now();
            exchange::<P>(&mut sender, get, &expected).await;
            samples.push(start.elapsed());
        }
        samples
    });
    percentiles(samples)
}

/// Behind uploads: the echo comes from the reading end of the bulk.
fn ping<R: Raw>(effort: &Effort) -> Vec<f64> {
    let (_server, client, sender) = streams::start::<R>(&Writes::default());
    let count = effort.pick(PINGS, 40);
    let samples = client.run(async move {
        for _ in 0..BULK {
            let sender = Arc::clone(&sender);
            tokio::spawn(async move {
                loop {
                    let load = Load {
                        chunk: LARGE.slice(..16 << 10),
                        chunks: 1_000,
                    };
                    R::push(&sender, load).await;
                }
            });
        }
        tokio::time::sleep(20 * PAUSE).await;
        let mut samples = Vec::new();
        for _ in 0..count {
            tokio::time::sleep(PAUSE).await;
            samples.push(R::ping(&sender).await);
        }
        samples
    });
    percentiles(samples)
}
