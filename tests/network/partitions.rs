//! Links that are cut, held, lossy, and repaired.

use crate::hosts::Ledger;
use crate::story::{CLIENTS, Tally, at, network, tell, with_proxy};
use crate::support::Random;

const SEEDS: std::ops::Range<u64> = 0..3;

/// Cuts links one after the other by `cut`, and repairs each by `repair`.
fn disturbed(
    seed: u64,
    cut: fn(&mut turmoil::Sim<'_>, &'static str, &'static str),
    repair: fn(&mut turmoil::Sim<'_>, &'static str, &'static str),
) -> (Tally, Ledger) {
    let ledger = Ledger::default();
    let mut sim = network(seed);
    with_proxy(&mut sim, &ledger);
    let mut random = Random(seed);
    let mut events = Vec::new();
    let mut time = 1.0;
    for (a, b) in [
        ("proxy", "server-0"),
        (CLIENTS[0], "proxy"),
        ("server-1", "proxy"),
        ("proxy", CLIENTS[1]),
    ] {
        let mut tenths = |least: u32, more: u64| {
            f64::from(least + u32::try_from(random.below(more)).unwrap()) / 10.0
        };
        time += tenths(5, 20);
        let lasts = tenths(1, 80);
        events.push(at(time, move |sim| cut(sim, a, b)));
        events.push(at(time + lasts, move |sim| repair(sim, a, b)));
        time += lasts;
    }
    let tally = tell(sim, "proxy", &ledger, seed, events);
    (tally, ledger)
}

fn partition(sim: &mut turmoil::Sim<'_>, a: &'static str, b: &'static str) {
    sim.partition(a, b);
}

fn repair(sim: &mut turmoil::Sim<'_>, a: &'static str, b: &'static str) {
    sim.repair(a, b);
}

#[test]
fn requests_work_again_after_partitions_and_none_is_served_twice() {
    let mut unknown = 0;
    for seed in SEEDS {
        unknown += disturbed(seed, partition, repair).0.unknown.get();
    }
    assert!(unknown > 0, "no partition has hit a request");
}

#[test]
fn requests_work_again_after_one_direction_was_cut() {
    for seed in SEEDS {
        disturbed(
            seed,
            |sim, a, b| sim.partition_oneway(a, b),
            |sim, a, b| {
                sim.repair_oneway(a, b);
            },
        );
    }
}

/// Nothing is lost, but it comes seconds later; keep-alive may have given the connection up by then.
#[test]
fn requests_work_again_after_links_were_held() {
    for seed in SEEDS {
        disturbed(
            seed,
            |sim, a, b| sim.hold(a, b),
            |sim, a, b| sim.release(a, b),
        );
    }
}

/// A lost segment never comes: as on a real network with a broken path, only time tells.
#[test]
fn requests_work_again_after_a_time_of_loss() {
    for seed in SEEDS {
        let ledger = Ledger::default();
        let mut sim = network(seed);
        with_proxy(&mut sim, &ledger);
        let events = vec![
            at(1.0, |sim| sim.set_fail_rate(0.002)),
            at(20.0, |sim| {
                sim.set_fail_rate(0.0);
                for name in CLIENTS.into_iter().chain(crate::story::SERVERS) {
                    sim.repair(name, "proxy");
                }
            }),
        ];
        tell(sim, "proxy", &ledger, seed, events);
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let once = disturbed(3, partition, repair).1.story();
    let again = disturbed(3, partition, repair).1.story();
    for (i, (once, again)) in once.iter().zip(&again).enumerate() {
        assert_eq!(once, again, "line {i}");
    }
    assert_eq!(once.len(), again.len());
    assert_ne!(once, disturbed(4, partition, repair).1.story());
}
