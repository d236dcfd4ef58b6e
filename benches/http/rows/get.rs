//! Small requests.

use hyper::Method;

use super::{Effort, Http, Hyper, Scenario, Side, Spdy, less};
use crate::http::{App, Expected, STREAMS, connect, load, start};
use crate::service::{Idle, SMALL, request, router};

const REQUESTS: usize = 10_000;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (app, name) in [
        (App::ServiceFn(Idle::default()), "service_fn"),
        (App::Axum(router()), "axum route"),
    ] {
        for (connections, streams) in [(1, 100), (10, 10), (100, 1)] {
            let name = format!("GET 1 KiB, {name}, {connections} x {streams}");
            let app = app.clone();
            all.push(Scenario {
                rows: vec![
                    less(format!("{name}: server CPU us")),
                    less(format!("{name}: client CPU us")),
                    less(format!("{name}: server allocations")),
                ],
                rounds: 7,
                run: Box::new(move |side, effort| match side {
                    Side::Spdy => run::<Spdy>(&app, connections, streams, effort),
                    Side::H2 => run::<Hyper>(&app, connections, streams, effort),
                }),
            });
        }
    }
    all
}

fn run<P: Http>(app: &App, connections: usize, streams: usize, effort: &Effort) -> Vec<f64> {
    let (server, address) = start::<P>(app.clone(), STREAMS);
    let (client, senders) = connect::<P>(address, connections, STREAMS);
    let get = || request(Method::GET, "/small", bytes::Bytes::new());
    let go = |requests, bytes| {
        let expected = Expected {
            body: SMALL.clone(),
            bytes,
        };
        client.run(load::<P>(
            senders.clone(),
            streams,
            requests,
            get(),
            expected,
        ));
    };
    go(effort.pick(2_000, 500), true);
    server.mark();
    client.mark();
    let requests = effort.pick(REQUESTS, 2_000);
    go(requests, false);
    let (server, client) = (server.mark(), client.mark());
    let each = requests as f64 * 1e3;
    vec![
        server.cpu / each,
        client.cpu / each,
        server.allocations / requests as f64,
    ]
}
