//! Large bodies, both ways.

use std::time::Instant;

use bytes::Bytes;
use hyper::Method;

use super::{Effort, Http, Hyper, Scenario, Side, Spdy, less, more};
use crate::http::{App, Expected, STREAMS, connect, load, start};
use crate::service::{Idle, LARGE, request};

const BODIES: usize = 400;
const CONNECTIONS: usize = 1;
const PARALLEL: usize = 8;

#[derive(Clone, Copy)]
enum Way {
    Download,
    Upload,
}

pub(super) fn scenarios() -> Vec<Scenario> {
    [(Way::Download, "download"), (Way::Upload, "upload")]
        .into_iter()
        .map(|(way, name)| Scenario {
            rows: vec![
                less(format!("1 MiB {name}, 1 x {PARALLEL}: server CPU us")),
                less(format!("1 MiB {name}, 1 x {PARALLEL}: client CPU us")),
                more(format!("1 MiB {name}, 1 x {PARALLEL}: MiB/s")),
            ],
            rounds: 7,
            run: Box::new(move |side, effort| match side {
                Side::Spdy => run::<Spdy>(way, effort),
                Side::H2 => run::<Hyper>(way, effort),
            }),
        })
        .collect()
}

fn run<P: Http>(way: Way, effort: &Effort) -> Vec<f64> {
    let (server, address) = start::<P>(App::ServiceFn(Idle::default()), STREAMS);
    let (client, senders) = connect::<P>(address, CONNECTIONS, STREAMS);
    let go = |bodies, bytes| {
        let (request, body) = match way {
            Way::Download => (request(Method::GET, "/large", Bytes::new()), LARGE.clone()),
            // The server answers with what it has counted.
            Way::Upload => (
                request(Method::POST, "/upload", LARGE.clone()),
                LARGE.len().to_string().into(),
            ),
        };
        let expected = Expected { body, bytes };
        client.run(load::<P>(
            senders.clone(),
            PARALLEL,
            bodies,
            request,
            expected,
        ));
    };
    go(effort.pick(40, 16), true);
    server.mark();
    client.mark();
    let bodies = effort.pick(BODIES, 80);
    let start = Instant::now();
    go(bodies, matches!(way, Way::Upload));
    let wall = start.elapsed();
    let (server, client) = (server.mark(), client.mark());
    let each = bodies as f64 * 1e3;
    vec![
        server.cpu / each,
        client.cpu / each,
        bodies as f64 / wall.as_secs_f64(),
    ]
}
