//! The HTTP exchange, directly and over an Upgrade, cut at every byte of both directions, or at a sample of them where
//! a test beside it has taken all.

use std::io::ErrorKind;

use crate::run::{DOWN, Start, UP, run};
use crate::support::*;
use crate::verdict::check;
use crate::wire::head_len;

/// Cuts at every position; `every` above 1 takes a sample of one in so many, the same in every run.
async fn cut_everywhere(start: Start, cut: Cut, every: u64) {
    let mut random = Random(every);
    let calm = run(start, Faults::default()).await;
    check(&calm, cut, &calm);
    for way in [UP, DOWN] {
        let bytes = calm.tap.arrived(way);
        // How long to wait for the answer to an Upgrade is the caller's to say, and there are no PINGs yet.
        let silent = matches!(cut, Cut::Silent | Cut::HalfSilent);
        let first = match start {
            Start::Upgrade if silent => head_len(&bytes).unwrap() + 1,
            _ => 0,
        };
        let mut at = first;
        while at <= bytes.len() {
            let faults = Faults {
                cut: Some((way, at, cut)),
                ..Faults::default()
            };
            let said = on_failure(move || eprintln!("with {faults:?}"));
            check(&run(start, faults).await, cut, &calm);
            drop(said);
            at += usize::try_from(1 + random.below(2 * every - 1)).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_closed_at_any_byte_is_right_on_both_sides() {
    cut_everywhere(Start::Direct, Cut::Closed, 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_fails_at_any_byte_is_right_on_both_sides() {
    cut_everywhere(Start::Direct, Cut::Failed(ErrorKind::ConnectionReset), 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_exchange_half_closed_at_any_byte_is_right_on_both_sides() {
    cut_everywhere(Start::Direct, Cut::HalfClosed, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_transport_silent_from_any_byte_is_noticed_by_keep_alive() {
    cut_everywhere(Start::Direct, Cut::Silent, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_direction_that_falls_silent_is_noticed_by_keep_alive() {
    cut_everywhere(Start::Direct, Cut::HalfSilent, 3).await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_closed_at_any_byte_is_right_on_both_sides() {
    cut_everywhere(Start::Upgrade, Cut::Closed, 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_fails_at_any_byte_is_right_on_both_sides() {
    cut_everywhere(Start::Upgrade, Cut::Failed(ErrorKind::ConnectionReset), 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_half_closed_is_right_on_both_sides() {
    cut_everywhere(Start::Upgrade, Cut::HalfClosed, 4).await;
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_transport_that_falls_silent_is_noticed_by_keep_alive() {
    cut_everywhere(Start::Upgrade, Cut::Silent, 4).await;
}
