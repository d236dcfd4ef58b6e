//! The targets of `fuzz/` without a fuzzer: their seeds, what they have found, and random inputs.

#![cfg(all(feature = "client", feature = "server"))]

#[path = "../fuzz_support/mod.rs"]
mod fuzz_support;
mod random;
