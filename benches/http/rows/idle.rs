//! What a request costs beside streams that are open and quiet.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use super::{Effort, Http, Hyper, Scenario, Side, Spdy, less};
use crate::http::{App, Expected, connect, load, start};
use crate::service::{Idle, SMALL, request};
use crate::worker::Worker;

/// How many streams are idle, from few to many on one connection.
const STEPS: [usize; 3] = [0, 1_000, 100_000];
const MAX_STREAMS: u32 = 110_000;
const PARALLEL: usize = 100;

pub(super) fn scenarios() -> Vec<Scenario> {
    let rows = STEPS.map(|n| {
        less(format!(
            "GET 1 KiB, 1 x 100 beside {n} idle streams: server CPU us"
        ))
    });
    vec![Scenario {
        rows: rows.to_vec(),
        rounds: 3,
        run: Box::new(|side, effort| match side {
            Side::Spdy => run::<Spdy>(effort),
            Side::H2 => run::<Hyper>(effort),
        }),
    }]
}

/// Opens streams until `total` wait in the service.
pub(super) fn open_idle<P: Http>(client: &Worker, sender: &P::Sender, idle: &Idle, total: usize) {
    let more = total - idle.load(Relaxed);
    let sender = sender.clone();
    client.run(async move {
        let get = request(Method::GET, "/idle", Bytes::new());
        for _ in 0..more {
            let (mut sender, get) = (sender.clone(), get.clone());
            tokio::spawn(async move {
                P::send(&mut sender, get).await;
                panic!("an idle request was answered");
            });
            // So that requests go out as they are made, not all at the end.
            tokio::task::yield_now().await;
        }
    });
    while idle.load(Relaxed) < total {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A client, its one connection and the server; to be dropped in this order, or the idle requests would fail.
struct Pair<P: Http> {
    client: Worker,
    senders: Vec<P::Sender>,
    server: Worker,
}

impl<P: Http> Pair<P> {
    fn with_idle(streams: usize) -> Self {
        let idle = Idle::default();
        let (server, address) = start::<P>(App::ServiceFn(Idle::clone(&idle)), MAX_STREAMS);
        let (client, senders) = connect::<P>(address, 1, MAX_STREAMS);
        open_idle::<P>(&client, &senders[0], &idle, streams);
        Self {
            client,
            senders,
            server,
        }
    }

    /// The server's CPU time.
    fn load(&self, requests: usize, bytes: bool) -> f64 {
        let get = request(Method::GET, "/small", Bytes::new());
        let expected = Expected {
            body: SMALL.clone(),
            bytes,
        };
        self.server.mark();
        let load = load::<P>(self.senders.clone(), PARALLEL, requests, get, expected);
        self.client.run(load);
        self.server.mark().cpu
    }
}

/// The pairs exist side by side and take turns, so that a slow second of the machine is everyone's.
fn run<P: Http>(effort: &Effort) -> Vec<f64> {
    let pairs = STEPS.map(Pair::<P>::with_idle);
    for pair in &pairs {
        pair.load(effort.pick(5_000, 500), true);
    }
    let turns = effort.pick(20, 4);
    let each = 1_000;
    let mut cpu = [0.0; STEPS.len()];
    for _ in 0..turns {
        for (sum, pair) in cpu.iter_mut().zip(&pairs) {
            *sum += pair.load(each, false);
        }
    }
    cpu.map(|sum| sum / (turns * each) as f64 / 1e3).to_vec()
}
