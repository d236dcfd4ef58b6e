//! Rounds, medians and what is printed of them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::machine;
use crate::rows::{Effort, Row, Scenario};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Spdy,
    /// hyper + h2, or `h2` alone for raw streams.
    H2,
}

/// A figure of both sides, one sample per round.
struct Figure {
    row: Row,
    spdy: Vec<f64>,
    h2: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
        Self {
            median: f64::midpoint(sorted[low], sorted[high]),
            min: sorted[0],
            max: sorted[sorted.len() - 1],
        }
    }

    fn json(self, samples: &[f64]) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max, "samples": samples })
    }
}

impl Figure {
    fn ratio(&self, spdy: f64, h2: f64) -> f64 {
        if self.row.more_is_better {
            spdy / h2
        } else {
            h2 / spdy
        }
    }

    /// Of the medians.
    fn ratio_of_medians(&self) -> f64 {
        self.ratio(Spread::of(&self.spdy).median, Spread::of(&self.h2).median)
    }

    /// Of each round.
    fn ratios(&self) -> Vec<f64> {
        let pairs = self.spdy.iter().zip(&self.h2);
        pairs.map(|(spdy, h2)| self.ratio(*spdy, *h2)).collect()
    }
}

pub(crate) struct Report {
    order: [Side; 2],
    quick: bool,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(order: [Side; 2], quick: bool) -> Self {
        Self {
            order,
            quick,
            figures: Vec::new(),
        }
    }

    /// Runs a scenario in interleaved rounds and prints its rows.
    pub(crate) fn measure(
        &mut self,
        scenario: &Scenario,
        effort: &Effort,
        rounds: usize,
        filter: &str,
    ) {
        let mut samples = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for side in self.order {
                let of_side = &mut samples[usize::from(side == Side::H2)];
                of_side.push(scenario.run(side, effort));
            }
        }
        let [spdy, h2] = samples;
        for (at, row) in scenario.rows().iter().enumerate() {
            let column = |samples: &[Vec<f64>]| samples.iter().map(|sample| sample[at]).collect();
            let figure = Figure {
                row: row.clone(),
                spdy: column(&spdy),
                h2: column(&h2),
            };
            let known = figure.spdy.iter().chain(&figure.h2).all(|x| x.is_finite());
            if known && row.name.contains(filter) {
                print_row(&figure);
                self.figures.push(figure);
            }
        }
    }

    pub(crate) fn print_head(&self) {
        let (cpu, cores) = machine::cpu();
        let first = match self.order[0] {
            Side::Spdy => "spdy first",
            Side::H2 => "h2 first",
        };
        println!("# {cpu}, {cores} cores; {first} in every round");
        println!(
            "{:<60}  {:>10}  {:>10}  {:>6}",
            "name", "spdy", "h2", "ratio"
        );
    }

    /// What the medians are of: the extremes, in lines of their own that no table reader takes for figures.
    pub(crate) fn print_ranges(&self) {
        println!("# least and most over the rounds:");
        for figure in &self.figures {
            let [spdy, h2, ratio] =
                [&figure.spdy, &figure.h2, &figure.ratios()].map(|samples| Spread::of(samples));
            println!(
                "# {}: spdy {} to {}, h2 {} to {}, ratio {} to {}, {} rounds",
                figure.row.name,
                number(spdy.min),
                number(spdy.max),
                number(h2.min),
                number(h2.max),
                number(ratio.min),
                number(ratio.max),
                figure.spdy.len(),
            );
        }
    }

    pub(crate) fn json(&self) -> String {
        let (cpu, cores) = machine::cpu();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let rows: Vec<Value> = self
            .figures
            .iter()
            .map(|figure| {
                let ratios = figure.ratios();
                json!({
                    "name": figure.row.name,
                    "more_is_better": figure.row.more_is_better,
                    "spdy": Spread::of(&figure.spdy).json(&figure.spdy),
                    "h2": Spread::of(&figure.h2).json(&figure.h2),
                    "ratio": figure.ratio_of_medians(),
                    "ratios": Spread::of(&ratios).json(&ratios),
                })
            })
            .collect();
        let report = json!({
            "unix_time": now.map_or(0, |since| since.as_secs()),
            "cpu": cpu,
            "cores": cores,
            "first": if self.order[0] == Side::Spdy { "spdy" } else { "h2" },
            "quick": self.quick,
            "rows": rows,
        });
        format!("{report:#}\n")
    }
}

/// Runs one side of a scenario and prints its medians.
pub(crate) fn run_alone(scenario: &Scenario, effort: &Effort, rounds: usize, side: Side) {
    let samples: Vec<_> = (0..rounds).map(|_| scenario.run(side, effort)).collect();
    for (at, row) in scenario.rows().iter().enumerate() {
        let column: Vec<f64> = samples.iter().map(|sample| sample[at]).collect();
        println!(
            "{:<60}  {:>10}",
            row.name,
            number(Spread::of(&column).median)
        );
    }
}

fn print_row(figure: &Figure) {
    println!(
        "{:<60}  {:>10}  {:>10}  {:>6.2}",
        figure.row.name,
        number(Spread::of(&figure.spdy).median),
        number(Spread::of(&figure.h2).median),
        figure.ratio_of_medians(),
    );
}

/// Three or more digits that say something.
fn number(x: f64) -> String {
    match x.abs() {
        big if big >= 100.0 => format!("{x:.0}"),
        big if big >= 10.0 => format!("{x:.1}"),
        big if big >= 1.0 => format!("{x:.2}"),
        _ => format!("{x:.4}"),
    }
}
