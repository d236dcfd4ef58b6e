//! What is measured.

mod body;
mod get;
mod idle;
mod latency;
mod memory;
mod streams;

use crate::http::{Http, Hyper, Spdy};
use crate::report::Side;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    quick: bool,
}

impl Effort {
    pub(crate) fn full() -> Self {
        Self { quick: false }
    }

    pub(crate) fn quick() -> Self {
        Self { quick: true }
    }

    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// A line of the report.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) more_is_better: bool,
}

/// A cost.
fn less(name: String) -> Row {
    Row {
        name,
        more_is_better: false,
    }
}

/// A speed.
fn more(name: String) -> Row {
    Row {
        name,
        more_is_better: true,
    }
}

type Run = Box<dyn Fn(Side, &Effort) -> Vec<f64>>;

/// What is done once per round and side, and gives one number for each of its rows.
pub(crate) struct Scenario {
    rows: Vec<Row>,
    /// Rounds when not quick.
    rounds: usize,
    run: Run,
}

impl Scenario {
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn rounds(&self, effort: &Effort) -> usize {
        effort.pick(self.rounds, self.rounds.min(2))
    }

    pub(crate) fn run(&self, side: Side, effort: &Effort) -> Vec<f64> {
        (self.run)(side, effort)
    }

    pub(crate) fn matches(&self, filter: &str) -> bool {
        self.rows.iter().any(|row| row.name.contains(filter))
    }
}

/// Every scenario, in the order of the report.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = get::scenarios();
    all.extend(body::scenarios());
    all.extend(streams::scenarios());
    all.extend(latency::scenarios());
    all.extend(idle::scenarios());
    all.extend(memory::scenarios());
    all
}
