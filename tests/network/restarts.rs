//! Hosts that crash and come back.

use crate::hosts::Ledger;
use crate::story::{CLIENTS, SERVERS, Tally, at, network, tell, with_proxy};
use crate::support::Random;

const SEEDS: std::ops::Range<u64> = 0..3;

/// Crashes a host several times. With `silent` nobody is told: its links are cut before, and repaired when it is back.
fn crashed(seed: u64, host: &'static str, silent: bool) -> Tally {
    let ledger = Ledger::default();
    let mut sim = network(seed);
    with_proxy(&mut sim, &ledger);
    let mut random = Random(seed);
    let mut events = Vec::new();
    let links = move |sim: &mut turmoil::Sim<'_>, change: fn(&turmoil::Sim<'_>, &str, &str)| {
        let others = CLIENTS.into_iter().chain(SERVERS).chain(["proxy"]);
        for other in others.filter(|other| silent && *other != host) {
            change(sim, host, other);
        }
    };
    let mut time = 1.0;
    for _ in 0..4 {
        time += f64::from(u32::try_from(10 + random.below(20)).unwrap()) / 10.0;
        let down = f64::from(u32::try_from(1 + random.below(50)).unwrap()) / 10.0;
        events.push(at(time, move |sim| {
            links(sim, |sim, a, b| sim.partition(a, b));
            sim.crash(host);
        }));
        events.push(at(time + down, move |sim| {
            sim.bounce(host);
            links(sim, |sim, a, b| sim.repair(a, b));
        }));
        time += down;
    }
    tell(sim, "proxy", &ledger, seed, events)
}

#[test]
fn requests_work_again_after_a_server_was_restarted() {
    for seed in SEEDS {
        crashed(seed, "server-0", false);
        crashed(seed, "server-1", true);
    }
}

#[test]
fn requests_work_again_after_the_proxy_was_restarted() {
    let mut unknown = 0;
    for seed in SEEDS {
        unknown += crashed(seed, "proxy", false).unknown.get();
        unknown += crashed(seed, "proxy", true).unknown.get();
    }
    assert!(unknown > 0, "no crash has hit a request");
}
