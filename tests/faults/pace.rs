//! The HTTP exchange over transports that fragment, delay and throttle: what comes of it may not depend on the pace.

use std::time::Duration;

use crate::run::{Start, run};
use crate::support::*;
use crate::verdict::same;

async fn the_same_at(start: Start, faults: impl Iterator<Item = Faults>) {
    let calm = run(start, Faults::default()).await;
    let calm = calm.report.unwrap();
    for faults in faults {
        let said = on_failure(move || eprintln!("with {faults:?}"));
        same(&run(start, faults).await, &calm);
        drop(said);
    }
}

fn pieces(seed: u64) -> Faults {
    let pace = Pace {
        piece: [1, 1, 2, 9, 100][usize::try_from(seed % 5).unwrap()],
        stutters: seed % 2 == 0,
        ..Pace::default()
    };
    Faults {
        seed,
        pace,
        cut: None,
    }
}

fn slow(seed: u64) -> Faults {
    let pace = Pace {
        piece: [1, 7, 50, 1000, 0][usize::try_from(seed % 5).unwrap()],
        stutters: seed % 3 == 0,
        delay: Duration::from_millis([0, 1, 30, 300][usize::try_from(seed % 4).unwrap()]),
        rate: [0, 50, 10_000][usize::try_from(seed % 3).unwrap()],
    };
    Faults {
        seed,
        pace,
        cut: None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_in_single_bytes_and_small_pieces_is_the_same() {
    the_same_at(Start::Direct, (0..100).map(pieces)).await;
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_is_delayed_and_throttled_is_the_same() {
    the_same_at(Start::Direct, (0..100).map(slow)).await;
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_exchange_at_any_pace_is_the_same() {
    the_same_at(Start::Upgrade, (0..50).map(pieces)).await;
    the_same_at(Start::Upgrade, (0..50).map(slow)).await;
}
