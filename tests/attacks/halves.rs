//! Streams to forward that never become pairs.

use std::time::Duration;

use spdy::kube::port_forward::Server;
use spdy::stream::Session;
use spdy::{Config, FlowControl};
use tokio::spawn;

use crate::line::Flood;
use crate::victim::watch;
use crate::*;

/// What SECURITY.md says may wait, with the default of `max_pending`.
const PENDING: usize = 256;

/// More than there may be streams.
const STREAMS: u32 = 5000;

/// What `Config::spdystream_server` makes of the bound.
fn limits() -> Limits {
    Limits {
        flow_control: FlowControl::Off,
        max_concurrent_streams: 4096,
        ..Limits::of(Role::Server)
    }
}

/// A server of ports whose connections are held.
fn connect() -> Line {
    let (io, wire) = pipe();
    wire.set_in_capacity(64 * KIB);
    let peer = Peer::new(wire, Role::Client);
    let (session, connection) = Session::server(io, Config::spdystream_server());
    let driver = spawn(connection);
    let mut server = Server::new(session.clone());
    spawn(async move {
        let mut held = Vec::new();
        while let Ok(Some(forward)) = server.accept().await {
            held.push(forward);
        }
    });
    Line::new(peer, Role::Client, Some(session), driver)
}

fn half(id: u32, kind: &str, request: u32) -> Draft {
    syn_stream(id)
        .header("streamtype", kind)
        .header("port", "80")
        .header("requestid", &request.to_string())
}

/// A new pair is served.
async fn serves(line: &mut Line) {
    let replies = line.seen.replies;
    for kind in ["error", "data"] {
        let id = line.fresh();
        line.peer.send(half(id, kind, u32::MAX)).await;
    }
    settle().await;
    line.drain().await;
    assert_eq!(line.seen.replies, replies + 2);
}

#[test]
fn halves_of_pairs_are_bounded_whatever_comes_on_them() {
    for kind in ["error", "data"] {
        // A connection that is used, too.
        let bound = limits().bound(PENDING + 2);
        let works = async || {
            let mut line = connect();
            line.start().await;
            serves(&mut line).await;
            line.leave().await;
        };
        let run = async || {
            let mut line = connect();
            line.start().await;
            let filler = "x".repeat(15_000);
            let flood = line
                .flood(STREAMS, |peer, n, out| {
                    let id = 2 * n + 1;
                    out.extend(peer.encode(half(id, kind, n).header("filler", &filler)));
                })
                .await;
            assert_eq!(flood, Flood::Taken);
            settle().await;
            line.drain().await;
            let waiting = line.seen.replies;
            assert_eq!(line.seen.refused, STREAMS as usize - waiting, "{kind}");
            // On each that waits: HEADERS that nobody takes, and bytes that pin a read buffer.
            let padding = raw_window_update(9, 1).repeat(3900);
            for n in 0..u32::try_from(waiting).unwrap() {
                let more = line.peer.encode(headers(2 * n + 1).header("more", &filler));
                let byte = line.peer.encode(data(2 * n + 1, [7; 1024]));
                line.peer
                    .send_raw(&[&padding[..], &more, &byte].concat())
                    .await;
                settle().await;
            }
            assert_eq!(waiting, PENDING, "{kind}");
            tokio::time::advance(Duration::from_secs(31)).await;
            settle().await;
            line.drain().await;
            line.used(2 * STREAMS);
            serves(&mut line).await;
            line.leave().await;
        };
        watch(&format!("half pairs, {kind}"), bound, 0, works, run);
    }
}

#[test]
fn the_security_page_has_the_numbers_of_these_options() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mib = |streams| limits().bound(streams).div_ceil(MIB);
    for numbers in [
        format!("{} MiB for the open ones", mib(4096)),
        format!("{} MiB with none", mib(PENDING)),
    ] {
        assert!(page.contains(&numbers), "not in SECURITY.md: {numbers}");
    }
}
