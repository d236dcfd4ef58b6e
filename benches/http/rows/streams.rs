//! Raw streams: chunks of one size, written by the client on some streams at once and read by the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::{Scenario, Side, less, more};
use crate::net::{Io, Writes, listen};
use crate::raw::{H2, Load, Raw, Spdy, push_all};
use crate::service::LARGE;
use crate::worker::Worker;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    // With the MiB that a round moves: enough for a quarter of a second.
    for (size, label, mebibytes) in [
        (100, "100 B", 24),
        (1 << 10, "1 KiB", 64),
        (16 << 10, "16 KiB", 256),
    ] {
        for streams in [1, 16, 512] {
            let name = format!("raw {label} x {streams}");
            all.push(Scenario {
                rows: vec![
                    more(format!("{name}: MiB/s")),
                    less(format!("{name}: writes per chunk")),
                    less(format!("{name}: allocations per chunk")),
                ],
                rounds: 5,
                run: Box::new(move |side, effort| {
                    let bytes = mebibytes << effort.pick(20, 17);
                    match side {
                        Side::Spdy => run::<Spdy>(size, streams, bytes),
                        Side::H2 => run::<H2>(size, streams, bytes),
                    }
                }),
            });
        }
    }
    all
}

/// A sink, and a connection to it, each on a thread of its own.
pub(super) fn start<R: Raw>(writes: &Writes) -> (Worker, Worker, Arc<R::Sender>) {
    let server = Worker::new("server");
    let address: SocketAddr = server.run(listen(R::sink));
    let client = Worker::new("client");
    let writes = Writes::clone(writes);
    let sender = client.run(async move { R::connect(Io::connect(address, &writes).await).await });
    (server, client, Arc::new(sender))
}

fn run<R: Raw>(size: usize, streams: usize, bytes: usize) -> Vec<f64> {
    let writes = Writes::default();
    let (server, client, sender) = start::<R>(&writes);
    let go = |chunks: usize| {
        let load = Load {
            chunk: LARGE.slice(..size),
            chunks: chunks.div_ceil(streams),
        };
        client.run(push_all::<R>(Arc::clone(&sender), streams, load));
        chunks.div_ceil(streams) * streams
    };
    let chunks = bytes / size;
    go(chunks / 8);
    server.mark();
    client.mark();
    writes.store(0, Relaxed);
    let start = Instant::now();
    let chunks = go(chunks) as f64;
    let wall = start.elapsed().as_secs_f64();
    let writes = writes.load(Relaxed) as f64;
    let (server, client) = (server.mark(), client.mark());
    vec![
        chunks * size as f64 / f64::from(1 << 20) / wall,
        writes / chunks,
        (server.allocations + client.allocations) / chunks,
    ]
}
