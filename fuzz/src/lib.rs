//! The fuzz targets of `spdy`. Their bodies are in `tests/fuzz_support`, which the tests of the crate share.

#![forbid(unsafe_code)]

#[path = "../../tests/fuzz_support/mod.rs"]
mod fuzz_support;

/// Runs one target on one input; panics if the library breaks a promise, and if there is no such target.
pub fn run(target: &str, input: &[u8]) {
    let found = fuzz_support::TARGETS
        .iter()
        .find(|(name, _)| *name == target);
    let (_, run) = found.expect("a target of this name");
    run(input);
}
