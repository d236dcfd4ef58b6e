//! Lists of operations on two sessions beside a ledger, or of frames into one: what `tests/session_properties.rs` does at
//! random.

use super::draw::Draw;
use super::{hostile, model, ops};

/// More operations cost time and reach nothing new.
const MOST: usize = 300;

/// The first byte says which; then options, then one record of bytes for each operation.
pub(crate) fn run(input: &[u8]) {
    let mut draw = Draw::new(input);
    if draw.flag() {
        let setup = hostile::Setup::draw(&mut Draw::new(draw.bytes(hostile::SETUP_BYTES)));
        let records = draw.rest().chunks(hostile::OP_BYTES).take(MOST);
        let list: Vec<_> = records
            .map(|bytes| hostile::Op::draw(&mut Draw::new(bytes)))
            .collect();
        hostile::run(&setup, &list);
    } else {
        let setup = ops::Setup::draw(&mut Draw::new(draw.bytes(ops::SETUP_BYTES)));
        let records = draw.rest().chunks(ops::OP_BYTES).take(MOST);
        let list: Vec<_> = records
            .map(|bytes| ops::Op::draw(&mut Draw::new(bytes)))
            .collect();
        model::run(&setup, &list);
    }
}
