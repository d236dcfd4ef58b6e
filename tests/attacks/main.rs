//! Attacks on a whole connection, by a scripted peer against the real driver: what each may cost in memory at its
//! peak, how it ends, and that nothing of it is left. SECURITY.md names these tests and has their formula.
//!
//! Allocations are counted for each thread, and each test has a runtime on its own: tests run side by side.
#![cfg(all(feature = "server", feature = "client"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "../http_support/mod.rs"]
mod http_support;
#[path = "../support/mod.rs"]
mod support;

mod amahi;
mod blame;
mod blocks;
mod bound;
mod client;
mod control;
mod data;
#[cfg(feature = "kube")]
mod halves;
mod honest;
mod line;
mod mixed;
mod page;
mod slow;
mod spdystream;
mod streams;
mod victim;
mod windows;

use bound::Limits;
use line::Line;
use spdy::frame::{ResetStatus, Role};
use support::*;
use victim::{App, Victim, attack};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const BOTH: [Role; 2] = [Role::Server, Role::Client];

/// A control frame as it is.
fn raw(kind: u32, len: u32, payload: &[u8]) -> Vec<u8> {
    let head = (0x8003_0000 | kind).to_be_bytes();
    [&head[..], &len.to_be_bytes(), payload].concat()
}

/// WINDOW_UPDATE with any delta.
fn raw_window_update(stream: u32, delta: u32) -> Vec<u8> {
    raw(9, 8, &[stream.to_be_bytes(), delta.to_be_bytes()].concat())
}
