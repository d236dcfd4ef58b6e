//! Faults of the transport: exchanges cut at every byte, slowed down, and taken apart, in both roles at once.
//!
//! Time is virtual, so that a hang is a failure at once. What each side may say is judged by the bytes that have
//! arrived at it: a response whose last frame has arrived is whole, and any other is an error.

#![cfg(feature = "upgrade")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod cut_http;
mod cut_raw;
mod exchange;
#[path = "../http_support/mod.rs"]
mod http_support;
mod joins;
#[cfg(feature = "kube")]
mod joins_kube;
mod pace;
mod run;
#[path = "../support/mod.rs"]
mod support;
mod verdict;
mod wire;
