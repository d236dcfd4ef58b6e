//! Header blocks, to and from the wire: ours at `Off` and `Level(1)` against HPACK as h2 does it.
//!
//! `cargo bench --bench headers -- [--quick] [--filter TEXT]`
//!
//! Both sides go from http types to bytes and back, through the public codec of each crate: frame headers are part
//! of it, streams and IO are not. One line per figure, `name  spdy  h2  ratio`; a ratio above 1 is better for us.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot run has to stop"
)]

mod corpus;
mod hpack;
mod ours;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use corpus::{Corpus, Message};
use spdy::HeaderCompression;

/// Blocks of one round, all on one connection.
const BLOCKS: usize = 2_048;

/// One round of a side: the time for all blocks, and the bytes they took.
#[derive(Clone, Copy)]
struct Sample {
    encode: Duration,
    decode: Duration,
    bytes: usize,
}

/// Times both directions, and compares what came out with what went in.
fn sample(
    messages: &[Message],
    encode: impl FnOnce(&[Message]) -> (Duration, Vec<u8>),
    decode: impl FnOnce(&[u8], usize) -> (Duration, Vec<Message>),
) -> Sample {
    let (encoding, wire) = encode(messages);
    let (decoding, decoded) = decode(&wire, messages.len());
    assert!(
        decoded == messages,
        "what was decoded is not what was encoded"
    );
    Sample {
        encode: encoding,
        decode: decoding,
        bytes: wire.len(),
    }
}

/// The median, per block.
fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let mut all: Vec<f64> = samples.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2] / BLOCKS as f64
}

fn measure(corpus: Corpus, rounds: usize, filter: &str) {
    let messages = corpus.messages(BLOCKS);
    let compressions = [
        ("Off", HeaderCompression::Off),
        ("Level(1)", HeaderCompression::Level(1)),
    ];
    let mut spdy = [const { Vec::new() }; 2];
    let mut h2 = Vec::new();
    for _ in 0..rounds {
        for ((_, compression), samples) in compressions.iter().zip(&mut spdy) {
            samples.push(sample(
                &messages,
                |messages| ours::encode(messages, *compression),
                ours::decode,
            ));
        }
        h2.push(sample(&messages, hpack::encode, hpack::decode));
    }
    type Column = (&'static str, fn(&Sample) -> f64);
    let columns: [Column; 3] = [
        ("encode ns", |sample| sample.encode.as_secs_f64() * 1e9),
        ("decode ns", |sample| sample.decode.as_secs_f64() * 1e9),
        ("bytes", |sample| sample.bytes as f64),
    ];
    for ((compression, _), samples) in compressions.iter().zip(&spdy) {
        for (what, column) in columns {
            let name = format!("{} block, {compression}: {what}", corpus.name());
            if name.contains(filter) {
                let (ours, theirs) = (median(samples, column), median(&h2, column));
                println!(
                    "{name:<36}  {ours:>8.1}  {theirs:>8.1}  {:>6.2}",
                    theirs / ours
                );
            }
        }
    }
}

fn main() -> ExitCode {
    let mut rounds = 31;
    let mut filter = String::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => rounds = 5,
            "--filter" => filter = args.next().unwrap_or_default(),
            // Given by cargo.
            "--bench" => {}
            other => {
                eprintln!("unknown argument {other}: there are --quick and --filter TEXT");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{:<36}  {:>8}  {:>8}  {:>6}", "name", "spdy", "h2", "ratio");
    for corpus in [Corpus::Request, Corpus::Response, Corpus::Browser] {
        measure(corpus, rounds, &filter);
    }
    ExitCode::SUCCESS
}

/// Times `work`; what it makes is dropped after the clock has stopped.
fn timed<R>(work: impl FnOnce() -> R) -> (Duration, R) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}
