//! Random lists of operations on two sessions beside a reference ledger, and random frames into one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "support/draw.rs"]
mod draw;
#[path = "session_properties/hostile.rs"]
mod hostile;
#[path = "session_properties/model.rs"]
mod model;
#[path = "session_properties/ops.rs"]
mod ops;
#[path = "support/pair.rs"]
mod pair;

use proptest::prelude::*;

use crate::draw::Draw;
use crate::model::Model;
use crate::ops::{Mode, Op, Setup};

fn setup() -> impl Strategy<Value = Setup> {
    any::<[u8; ops::SETUP_BYTES]>().prop_map(|bytes| Setup::draw(&mut Draw::new(&bytes)))
}

fn op() -> impl Strategy<Value = Op> {
    any::<[u8; ops::OP_BYTES]>().prop_map(|bytes| Op::draw(&mut Draw::new(&bytes)))
}

fn hostile_setup() -> impl Strategy<Value = hostile::Setup> {
    any::<[u8; hostile::SETUP_BYTES]>()
        .prop_map(|bytes| hostile::Setup::draw(&mut Draw::new(&bytes)))
}

fn hostile_op() -> impl Strategy<Value = hostile::Op> {
    any::<[u8; hostile::OP_BYTES]>().prop_map(|bytes| hostile::Op::draw(&mut Draw::new(&bytes)))
}

/// At least 10,000; PROPTEST_CASES asks for more.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: default.cases.max(10_000),
        // What is found becomes a test with a name.
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..default
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn two_sessions_keep_the_ledger_and_never_deadlock(
        setup in setup(),
        ops in proptest::collection::vec(op(), 0..50),
    ) {
        model::run(&setup, &ops);
    }

    #[test]
    fn hostile_frames_neither_panic_nor_break_the_ledger(
        setup in hostile_setup(),
        ops in proptest::collection::vec(hostile_op(), 0..40),
    ) {
        hostile::run(&setup, &ops);
    }
}

#[test]
fn the_model_sees_bytes_delivered() {
    let setup = Setup::new(Mode::Spec);
    let mut model = Model::new(&setup);
    for op in [
        Op::Open {
            side: 0,
            priority: 3,
            fin: false,
            unidirectional: false,
        },
        Op::Emit { side: 0, frames: 9 },
        Op::Deliver { side: 0, frames: 9 },
        Op::Accept { side: 1 },
        Op::Write {
            side: 0,
            stream: 0,
            len: 500,
        },
        Op::Emit { side: 0, frames: 9 },
        Op::Deliver { side: 0, frames: 9 },
        Op::Read {
            side: 1,
            stream: 0,
            max: 1000,
        },
    ] {
        model.step(&op);
    }
    assert_eq!(model.delivered(), 500);
    model.finish();
}
