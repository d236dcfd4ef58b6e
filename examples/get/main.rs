//! A curl for SPDY/3.1: fetches and uploads, resumes, repeats and measures, and shows the frames.
//!
//! `cargo run --release --example get -- --help`

mod args;
mod connect;
mod failure;
mod output;
mod progress;
mod repeat;
mod report;
mod target;
mod trace;
mod transfer;
mod upload;

use std::cell::RefCell;
use std::future::Future;
use std::process::ExitCode;
use std::time::Instant;

use crate::args::Args;
use crate::connect::{Link, Times};
use crate::failure::{Code, Failure};
use crate::output::Output;
use crate::repeat::Tally;
use crate::upload::Upload;

fn main() -> ExitCode {
    let outcome = match args::parse() {
        Ok(Some(args)) => start(&args),
        Ok(None) => Ok(()),
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::say(format_args!("get: {failure}"));
            ExitCode::from(failure.code as u8)
        }
    }
}

fn start(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(run(args));
    // A thread may still be stuck in a read or a write of the standard streams.
    runtime.shutdown_background();
    outcome
}

async fn run(args: &Args) -> Result<(), Failure> {
    let upload = Upload::open(&args.source).await?;
    let mut output = Output::open(args.output.as_deref(), args.resume)?;
    let mut times = Times::default();
    let tally = RefCell::new(Tally::default());
    // One deadline for everything.
    let limit = args.max_time.map(|limit| Instant::now() + limit);

    let outcome = match bounded(limit, Link::open(args, &mut times)).await {
        Ok(mut link) => {
            let started = Instant::now();
            let work = async {
                if args.requests.is_some() {
                    repeat::run(args, &link, &tally).await
                } else {
                    transfer::run(args, upload, &mut link, &mut output, &mut times).await
                }
            };
            // When this returns early the work is dropped, which resets its streams with CANCEL.
            let outcome = bounded(limit, work).await;
            let elapsed = started.elapsed();
            let ended = link.close().await;
            if args.requests.is_some() {
                let table = report::table(&tally.borrow(), args.parallel, elapsed);
                output::print(table.as_bytes())?;
            }
            outcome.map_err(|failure| match ended {
                Some(error) if failure.code == Code::Lost => {
                    Failure::not_spdy(&args.target.peer(), &error).unwrap_or(failure)
                }
                _ => failure,
            })
        }
        Err(failure) => Err(failure),
    };
    let outcome = outcome.map_err(|failure| output.give_up(failure));
    if args.time {
        output::say(times);
    }
    outcome
}

/// The future, unless Ctrl-C or the deadline comes first.
async fn bounded<T>(
    limit: Option<Instant>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let expired = async {
        match limit {
            Some(limit) => tokio::time::sleep_until(limit.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = work => outcome,
        signal = tokio::signal::ctrl_c() => match signal {
            Ok(()) => Err(Failure::interrupted()),
            Err(error) => Err(Failure::usage(format!("cannot wait for Ctrl-C: {error}"))),
        },
        () = expired => Err(Failure::new(Code::Timeout, "the time of --max-time is over")),
    }
}
