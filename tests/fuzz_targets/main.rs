//! The targets of `fuzz/` without a fuzzer: their seeds, what they have found, and random inputs.

#![cfg(all(
    feature = "client",
    feature = "server",
    feature = "kube",
    feature = "ws"
))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "../fuzz_support/mod.rs"]
mod fuzz_support;
mod random;
mod replay;

/// A target by its name.
fn target(name: &str) -> fn(&[u8]) {
    let found = fuzz_support::TARGETS
        .iter()
        .find(|(other, _)| *other == name);
    found
        .unwrap_or_else(|| panic!("no target is called {name}"))
        .1
}
