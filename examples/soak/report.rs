//! What is printed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::check::Finding;
use crate::lanes::Lane;
use crate::world::{Kind, World};

const MIB: f64 = 1024.0 * 1024.0;

#[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MIB)
}

/// What was done of each kind, with its bytes.
fn done(world: &World) -> impl Iterator<Item = (&'static str, u64, u64)> {
    let counts = Kind::NAMES.iter().zip(&world.counts);
    counts.map(|(name, count)| {
        let done = count.done.load(Ordering::Relaxed);
        (*name, done, count.bytes.load(Ordering::Relaxed))
    })
}

fn totals(world: &World) -> (u64, u64) {
    done(world).fold((0, 0), |(n, sum), (_, done, bytes)| (n + done, sum + bytes))
}

/// A line every few seconds, until it is dropped.
pub(crate) async fn progress(world: &World, lanes: &[Lane], every: Duration) {
    let began = tokio::time::Instant::now();
    let mut ticks = tokio::time::interval_at(began + every, every);
    let mut last = totals(world);
    loop {
        ticks.tick().await;
        let now = totals(world);
        let seconds = began.elapsed().as_secs();
        let streams: usize = lanes.iter().map(|lane| lane.session.stream_count()).sum();
        let kinds: Vec<_> = done(world).map(|(_, done, _)| done.to_string()).collect();
        println!(
            "{seconds:>5} s  {:>7} done, {} checked, {} connections, {streams} streams, heap {}, {} failures; by kind {}",
            now.0 - last.0,
            mib(now.1 - last.1),
            world.census.connections(),
            mib(crate::heap() as u64),
            world.failed(),
            kinds.join(" "),
        );
        last = now;
    }
}

/// The whole load, by kind.
pub(crate) fn table(world: &World) {
    println!("{:<28}{:>12}{:>16}", "kind", "done", "bytes checked");
    for (name, done, bytes) in done(world) {
        println!("{name:<28}{done:>12}{bytes:>16}");
    }
    let (done, bytes) = totals(world);
    println!("{:<28}{done:>12}{bytes:>16}", "all");
}

/// The checks of one kind; whether all are right.
pub(crate) fn findings(when: &str, findings: &[Finding]) -> bool {
    println!("{when}:");
    for finding in findings {
        if finding.wrong.is_empty() {
            println!("  {:<12} ok: {}", finding.what, finding.figure);
        }
        for wrong in &finding.wrong {
            println!("  {:<12} WRONG: {wrong}", finding.what);
        }
    }
    findings.iter().all(|finding| finding.wrong.is_empty())
}

/// Kinds of which nothing was done: a run that leaves something out has shown nothing about it.
pub(crate) fn missing(world: &World) -> Vec<&'static str> {
    let missing = done(world).filter(|(_, done, _)| *done == 0);
    missing.map(|(name, _, _)| name).collect()
}
