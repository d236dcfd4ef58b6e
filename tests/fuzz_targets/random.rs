use crate::fuzz_support::TARGETS;
use proptest::prelude::*;

/// Finds it by its name.
pub(crate) fn target(name: &str) -> fn(&[u8]) {
    TARGETS.iter().find(|(other, _)| *other == name).unwrap().1
}

fn check(name: &str, cases: u32, most: usize) {
    let target = target(name);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let input = proptest::collection::vec(any::<u8>(), 0..most);
    let result = runner.run(&input, |input| {
        target(&input);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{name}: {error}");
    }
}

#[test]
fn decode() {
    check("decode", 2000, 600);
}
#[test]
fn header_block() {
    check("header_block", 2000, 600);
}
#[test]
fn session_ops() {
    check("session_ops", 2000, 1500);
}
#[test]
fn server() {
    check("server", 2000, 600);
}
#[test]
fn client() {
    check("client", 2000, 600);
}
