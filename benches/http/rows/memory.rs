//! Heap bytes of what is open and quiet: what was allocated and not freed, by the thread that owns it.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use super::idle::open_idle;
use super::{Effort, Http, Hyper, Scenario, Side, Spdy, less};
use crate::http::{App, Expected, STREAMS, connect, load, start};
use crate::service::{Idle, SMALL, request};

const CONNECTIONS: usize = 200;
const IDLE_STREAMS: usize = 10_000;
const MAX_STREAMS: u32 = 11_000;

/// Long enough for what is under way to arrive and for buffers to be given back.
const SETTLE: Duration = Duration::from_millis(50);

pub(super) fn scenarios() -> Vec<Scenario> {
    let rows = |what: &str| {
        let ends = ["server", "client"];
        ends.map(|end| less(format!("mem: {what}, {end} bytes")))
    };
    vec![
        Scenario {
            rows: [
                rows("idle connection before a request"),
                rows("idle connection after a request"),
            ]
            .concat(),
            rounds: 3,
            run: Box::new(|side, effort| match side {
                Side::Spdy => connections::<Spdy>(effort),
                Side::H2 => connections::<Hyper>(effort),
            }),
        },
        Scenario {
            rows: rows("idle open stream at 10000").to_vec(),
            rounds: 3,
            run: Box::new(|side, _| match side {
                Side::Spdy => streams::<Spdy>(),
                Side::H2 => streams::<Hyper>(),
            }),
        },
    ]
}

fn connections<P: Http>(effort: &Effort) -> Vec<f64> {
    let count = effort.pick(CONNECTIONS, 50);
    let (server, address) = start::<P>(App::ServiceFn(Idle::default()), STREAMS);
    server.mark();
    let (client, senders) = connect::<P>(address, count, STREAMS);
    std::thread::sleep(SETTLE);
    let before = [server.mark().heap, client.mark().heap];
    let expected = Expected {
        body: SMALL.clone(),
        bytes: true,
    };
    let get = request(Method::GET, "/small", Bytes::new());
    // The senders stay: a connection ends with its last.
    client.run(load::<P>(senders.clone(), 1, count, get, expected));
    std::thread::sleep(SETTLE);
    let after = [server.mark().heap, client.mark().heap];
    let count = count as f64;
    let [server, client] = before;
    let [more_server, more_client] = after;
    vec![
        server / count,
        client / count,
        (server + more_server) / count,
        (client + more_client) / count,
    ]
}

fn streams<P: Http>() -> Vec<f64> {
    let idle = Idle::default();
    let (server, address) = start::<P>(App::ServiceFn(Idle::clone(&idle)), MAX_STREAMS);
    let (client, senders) = connect::<P>(address, 1, MAX_STREAMS);
    // What a connection allocates once is not counted.
    open_idle::<P>(&client, &senders[0], &idle, 1);
    std::thread::sleep(SETTLE);
    server.mark();
    client.mark();
    open_idle::<P>(&client, &senders[0], &idle, 1 + IDLE_STREAMS);
    std::thread::sleep(SETTLE);
    [server.mark(), client.mark()]
        .map(|usage| usage.heap / IDLE_STREAMS as f64)
        .to_vec()
}
