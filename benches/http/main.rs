//! Ours against hyper + h2, and against `h2` alone for raw streams: the same work, in one process and one run.
//!
//! `cargo bench --bench http -- [--quick] [--swap] [--filter TEXT] [--rounds N] [--json FILE] [--list]
//! [--only spdy|h2]`
//!
//! Prints one line per figure, `name  spdy  h2  ratio`: medians over interleaved rounds. A ratio above 1 is better
//! for us, whatever is measured. How to read it, and the last figures, are in docs/performance.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench that cannot run has to stop; its numbers are statistics"
)]

mod http;
mod machine;
mod net;
mod raw;
mod report;
mod rows;
mod service;
mod worker;

use std::process::ExitCode;

use report::{Report, Side};
use rows::{Effort, Scenario};

/// What was asked for on the command line.
struct Options {
    quick: bool,
    swap: bool,
    list: bool,
    /// For a profiler: one side alone, no ratios.
    only: Option<Side>,
    filter: String,
    rounds: Option<usize>,
    json: Option<String>,
}

const USAGE: &str = "usage: cargo bench --bench http -- [--quick] [--swap] [--filter TEXT] [--rounds N] [--json FILE] \
                     [--list] [--only spdy|h2]";

fn options() -> Result<Options, String> {
    let mut options = Options {
        quick: false,
        swap: false,
        list: false,
        only: None,
        filter: String::new(),
        rounds: None,
        json: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value\n{USAGE}"));
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--swap" => options.swap = true,
            "--list" => options.list = true,
            "--filter" => options.filter = value()?,
            "--json" => options.json = Some(value()?),
            "--rounds" => {
                let rounds = value()?;
                let rounds = rounds.parse().ok().filter(|rounds| *rounds > 0);
                options.rounds = Some(rounds.ok_or(format!("--rounds: no number\n{USAGE}"))?);
            }
            "--only" => {
                options.only = Some(match value()?.as_str() {
                    "spdy" => Side::Spdy,
                    "h2" => Side::H2,
                    _ => return Err(format!("--only: spdy or h2\n{USAGE}")),
                });
            }
            // Given by cargo.
            "--bench" => {}
            other => return Err(format!("unknown argument {other}\n{USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let scenarios: Vec<_> = rows::all()
        .into_iter()
        .filter(|scenario| scenario.matches(&options.filter))
        .collect();
    if scenarios.is_empty() {
        eprintln!("no row matches --filter {}", options.filter);
        return ExitCode::FAILURE;
    }
    if options.list {
        for row in scenarios.iter().flat_map(Scenario::rows) {
            println!("{}", row.name);
        }
        return ExitCode::SUCCESS;
    }
    if !machine::has_cpu_times() {
        eprintln!(
            "CPU times come from /proc/thread-self/schedstat, which is missing: rows of CPU time are left out"
        );
    }
    let order = if options.swap {
        [Side::H2, Side::Spdy]
    } else {
        [Side::Spdy, Side::H2]
    };
    let effort = if options.quick {
        Effort::quick()
    } else {
        Effort::full()
    };
    if let Some(side) = options.only {
        for scenario in &scenarios {
            let rounds = options.rounds.unwrap_or(scenario.rounds(&effort));
            report::run_alone(scenario, &effort, rounds, side);
        }
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new(order, options.quick);
    report.print_head();
    for scenario in &scenarios {
        let rounds = options.rounds.unwrap_or(scenario.rounds(&effort));
        report.measure(scenario, &effort, rounds, &options.filter);
    }
    report.print_ranges();
    if let Some(path) = &options.json {
        if let Err(error) = std::fs::write(path, report.json()) {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
