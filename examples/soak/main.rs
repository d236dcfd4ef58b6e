//! Endurance: servers and clients of this crate in one process, over TCP on the loopback and in WebSockets, under a load that
//! is as mixed and as rude as that of the world. Every byte of every body is checked; and when the load has stopped, nothing
//! may be left over: no stream, no task, no byte of a window, no memory, no file.
//!
//! `cargo run --release --all-features --example soak -- --minutes 10`

mod args;
mod body;
mod check;
mod jobs;
mod lanes;
mod pattern;
mod plant;
mod raw;
mod report;
mod server;
mod spdystream;
mod visits;
mod world;

use std::alloc::System;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cap::Cap;
use tokio::net::TcpListener;

use crate::args::Args;
use crate::check::{Start, settle};
use crate::lanes::Lane;
use crate::spdystream::Way;
use crate::world::{Kind, World};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Counts the bytes that are allocated.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// The longest warm-up.
const WARM_UP: Duration = Duration::from_secs(30);

/// How often a line is printed.
const PROGRESS: Duration = Duration::from_secs(5);

fn heap() -> usize {
    HEAP.allocated()
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = match args::parse(lexopt::Parser::from_env()) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("soak: {error} (try soak --help)");
            return ExitCode::from(2);
        }
    };
    match run(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all was well.
async fn run(args: &Args) -> Result<bool, BoxError> {
    let http = TcpListener::bind("127.0.0.1:0").await?;
    let raw = TcpListener::bind("127.0.0.1:0").await?;
    let mut listeners = Vec::new();
    for way in Way::ALL {
        listeners.push((way, TcpListener::bind("127.0.0.1:0").await?));
    }
    let [(_, tcp), (_, websocket)] = &listeners[..] else {
        return Err("two ways have two listeners".into());
    };
    let spdystream = [tcp.local_addr()?, websocket.local_addr()?];
    let world = World::new(
        args.seed,
        args.plant,
        http.local_addr()?,
        raw.local_addr()?,
        spdystream,
    );
    world.watch_panics();
    tokio::spawn(server::serve(http, Arc::clone(&world)));
    tokio::spawn(raw::serve(raw, Arc::clone(&world)));
    for (way, listener) in listeners {
        tokio::spawn(spdystream::serve(listener, way, Arc::clone(&world)));
    }
    let mut lanes = Vec::new();
    for number in 0..args.connections {
        lanes.push(Lane::open(&world, number).await?);
    }
    for way in Way::ALL {
        lanes.push(Lane::open_spdystream(&world, way).await?);
    }
    println!(
        "{} lasting connections and others that come and go, for {:?}; seed {}",
        lanes.len(),
        args.time,
        args.seed
    );
    println!("kinds: {}", Kind::NAMES.join(", "));

    let mut start = start(&lanes, args.time).await?;
    let warm_up = WARM_UP.min(args.time / 4);
    busy(&world, &lanes, 0, warm_up).await;
    let warm = settle(&world, &lanes, &start).await;
    if !report::findings("after the warm-up", &warm) {
        return Ok(false);
    }
    start.heap = Some(heap());
    world.arm();
    plant::plant(&world, &lanes, heap()).await?;
    busy(&world, &lanes, 1, args.time - warm_up).await;
    let end = settle(&world, &lanes, &start).await;

    report::table(&world);
    let mut well = report::findings("after the load", &end);
    let missing = report::missing(&world);
    if !missing.is_empty() {
        println!("never done: {}", missing.join(", "));
        well = false;
    }
    if world.failed() > 0 {
        println!("{} failures, the first of them:", world.failed());
        for failure in world.failures() {
            println!("  {failure}");
        }
        well = false;
    }
    println!(
        "{}",
        if well {
            "all is well"
        } else {
            "NOT all is well"
        }
    );
    Ok(well)
}

/// How things stand before the load, once all connections have said hello at both ends.
async fn start(lanes: &[Lane], run: Duration) -> Result<Start, BoxError> {
    for lane in lanes {
        lane.session.ping().await?;
    }
    Ok(Start::now(run))
}

/// Load for some time, and its end. It goes on until everything was done at least once, so that a warm-up is one: a short
/// run on a busy machine may need longer.
async fn busy(world: &Arc<World>, lanes: &[Lane], part: u64, time: Duration) {
    world.set_running(true);
    let load = async {
        let stop = async {
            tokio::time::sleep(time).await;
            let waits = async {
                while world.failed() == 0 && !report::missing(world).is_empty() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            // What is missing for good is in the report.
            drop(tokio::time::timeout(lanes::STALLED, waits).await);
            world.set_running(false);
        };
        tokio::join!(lanes::load(world, lanes, part), stop);
    };
    tokio::select! {
        () = load => {}
        () = report::progress(world, lanes, PROGRESS) => {}
    }
}
