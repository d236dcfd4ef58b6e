//! Our server for Go's spdystream against a server built on spdystream itself, with the same Go client in front of both.
//!
//! `scripts/bench-spdystream [--quick] [--rounds N] [--filter TEXT] [--threads N]` installs Go and spdystream, builds
//! `go_bench.go`, and runs this. By hand:
//!
//! ```text
//! cargo bench --bench spdystream -- compare GO_BENCH [--quick] [--rounds N] [--filter TEXT] [--threads N]
//! cargo bench --bench spdystream -- serve [--reset-after MS] [--threads N]     # for a profiler; ends with its stdin
//! ```
//!
//! Without a command it says so and does nothing: `cargo bench` has no Go. How to read the figures, and the last ones, are in
//! docs/performance.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench that cannot run has to stop; its numbers are statistics"
)]

mod compare;
mod process;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use spdy::Overflow;

const USAGE: &str = "usage: scripts/bench-spdystream [--quick] [--rounds N] [--filter TEXT] [--threads N], or cargo \
                     bench --bench spdystream -- compare GO_BENCH [..] | serve [--reset-after MS] [--threads N]";

/// What was asked for on the command line.
enum Command {
    Nothing,
    Serve(Overflow, Option<usize>),
    Compare(compare::Options),
}

fn command() -> Result<Command, String> {
    // `--bench` is given by cargo.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    match args.next().as_deref() {
        None => Ok(Command::Nothing),
        Some("serve") => serve_options(args),
        Some("compare") => compare_options(args).map(Command::Compare),
        Some(other) => Err(format!("unknown command {other}")),
    }
}

fn serve_options(mut args: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut overflow, mut threads) = (Overflow::Pause, None);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--reset-after" => {
                overflow = Overflow::Reset {
                    after: Duration::from_millis(number(&arg, args.next())?),
                };
            }
            "--threads" => threads = Some(number(&arg, args.next())? as usize),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(Command::Serve(overflow, threads))
}

fn compare_options(mut args: impl Iterator<Item = String>) -> Result<compare::Options, String> {
    let go = args.next().ok_or("compare needs the program GO_BENCH")?;
    let mut options = compare::Options {
        go: PathBuf::from(go),
        quick: false,
        rounds: None,
        threads: None,
        filter: String::new(),
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--rounds" => options.rounds = Some(number(&arg, args.next())? as usize),
            "--threads" => options.threads = Some(number(&arg, args.next())?),
            "--filter" => options.filter = args.next().ok_or("--filter needs a value")?,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(options)
}

fn number(option: &str, value: Option<String>) -> Result<u64, String> {
    let value = value.ok_or(format!("{option} needs a value"))?;
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or(format!("{option}: {value} is no number above 0"))
}

fn main() -> ExitCode {
    match command() {
        Ok(Command::Nothing) => println!("spdystream: nothing to run here. {USAGE}"),
        Ok(Command::Serve(overflow, threads)) => server::run(overflow, threads),
        Ok(Command::Compare(options)) => compare::run(&options),
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
