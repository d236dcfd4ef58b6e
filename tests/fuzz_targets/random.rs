//! Random inputs: shallower than what the fuzzer finds, and always run.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use crate::target;

/// Shown as hex digits, which `xxd -r -p` turns into a file for `fuzz/regressions`.
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Runs a target on inputs of up to `most` bytes; PROPTEST_CASES asks for more of them.
fn holds(name: &str, cases: u32, most: usize) {
    let target = target(name);
    let default = ProptestConfig::default();
    let config = ProptestConfig {
        cases: default.cases.max(cases),
        // What is found becomes a file in `fuzz/regressions`.
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..default
    };
    let inputs = vec(any::<u8>(), 0..most).prop_map(Input);
    let result = TestRunner::new(config).run(&inputs, |Input(input)| {
        target(&input);
        Ok::<(), TestCaseError>(())
    });
    if let Err(error) = result {
        panic!("{name}: {error}");
    }
}

#[test]
fn decoding_does_not_depend_on_the_cuts_and_keeps_the_limits() {
    holds("decode", 3_000, 800);
}

#[test]
fn header_blocks_are_what_zlib_makes_of_them() {
    holds("header_block", 2_000, 600);
}

#[test]
fn sessions_keep_the_ledger() {
    holds("session_ops", 2_000, 1_500);
}

#[test]
fn a_server_survives_a_hostile_client_and_leaves_nothing() {
    holds("server", 1_600, 800);
}

#[test]
fn kubernetes_streams_survive_a_hostile_peer_and_leave_nothing() {
    holds("kube", 1_600, 800);
}

#[test]
fn a_tunnel_loses_no_byte_and_no_wakeup_whatever_its_websocket_does() {
    holds("tunnel", 3_000, 300);
}

#[test]
fn a_client_survives_a_hostile_server_and_leaves_nothing() {
    holds("client", 1_200, 800);
}
