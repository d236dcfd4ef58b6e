//! A server that nobody can dial: it dials a relay itself, and serves over that connection.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use http::{Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::{self, SendRequest};
use spdy::{Body, Config};
use turmoil::net::TcpListener;

use crate::hosts::{Ledger, dialling_server_host, forwarded, listen};
use crate::pool::{Lost, send_on, watchful};
use crate::story::{Tally, at, network, tell};
use crate::support::Random;

/// Takes the connections of the server behind NAT on one port, as their client, and forwards to the latest what comes in
/// on the other port.
async fn relay_host() -> turmoil::Result {
    let current: Rc<RefCell<Option<SendRequest<Body>>>> = Rc::default();
    let latest = Rc::clone(&current);
    let front = listen(80, move |request: Request<Body>| {
        let send = latest.borrow().clone().filter(|send| !send.is_closed());
        async move {
            let (mut head, body) = request.into_parts();
            head.uri = Uri::from_static("http://home/work");
            let request = Request::from_parts(head, body);
            let sent = match send {
                Some(send) => send_on(send, request).await,
                None => Err(Lost::Unprocessed),
            };
            Ok::<_, Infallible>(forwarded(sent))
        }
    });
    tokio::task::spawn_local(front);
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 7000)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let mut builder = client::Builder::new(TokioExecutor::new());
        builder.config(watchful(Config::client()));
        let (send, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(async move { drop(connection.await) });
        *current.borrow_mut() = Some(send);
    }
}

fn relayed(seed: u64, disturb: &dyn Fn(f64, f64) -> Vec<crate::story::Event>) -> Tally {
    let ledger = Ledger::default();
    let mut sim = network(seed);
    let behind = ledger.clone();
    sim.host("home", move || {
        dialling_server_host("home", "relay", behind.clone())
    });
    sim.host("relay", relay_host);
    let mut random = Random(seed);
    let mut events = Vec::new();
    let mut time = 1.5;
    for _ in 0..3 {
        let lasts = f64::from(u32::try_from(2 + random.below(60)).unwrap()) / 10.0;
        events.extend(disturb(time, lasts));
        time += lasts + 4.0;
    }
    tell(sim, "relay", &ledger, seed, events)
}

#[test]
fn a_server_that_dials_out_comes_back_after_a_partition() {
    for seed in 0..3 {
        relayed(seed, &|time, lasts| {
            vec![
                at(time, |sim| sim.partition("home", "relay")),
                at(time + lasts, |sim| sim.repair("home", "relay")),
            ]
        });
    }
}

#[test]
fn a_server_that_dials_out_comes_back_after_restarts_of_either_side() {
    for seed in 0..3 {
        for host in ["home", "relay"] {
            relayed(seed, &|time, lasts| {
                vec![
                    at(time, move |sim| sim.crash(host)),
                    at(time + lasts, move |sim| sim.bounce(host)),
                ]
            });
        }
    }
}
