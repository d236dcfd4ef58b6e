//! The session, driven by a scripted peer or beside a second session; no bytes, no IO, no clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "../support/pair.rs"]
mod pair;
#[path = "../support/random.rs"]
mod random;

mod flow;
mod limits;
mod liveness;
mod patience;
mod records;
mod rules;
mod shutdown;
mod spdystream;
mod states;
mod streams;
mod stuck;
mod unread;
mod vectors;
mod wakes;
