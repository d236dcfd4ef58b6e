//! The bodies of the fuzz targets, in one place for `fuzz/`, which drives them by coverage, and for
//! `tests/fuzz_targets`, which replays seeds and findings and adds random input.
//!
//! Each takes any bytes and panics if the library breaks a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a finding is a panic"
)]
#![allow(dead_code, reason = "what is shared has more than is needed here")]

mod client;
#[path = "../codec_support/mod.rs"]
mod codec_support;
mod decode;
#[path = "../support/draw.rs"]
mod draw;
mod frames;
mod header_block;
#[path = "../session_properties/hostile.rs"]
mod hostile;
mod kube;
mod legal;
#[path = "../session_properties/model.rs"]
mod model;
#[path = "../session_properties/ops.rs"]
mod ops;
#[path = "../support/pair.rs"]
mod pair;
mod probe;
mod script;
mod server;
mod session_ops;
#[path = "../support/mod.rs"]
mod support;
mod tunnel;

/// A target by its name.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them; each has a file below `fuzz/fuzz_targets`.
pub(crate) const TARGETS: [Target; 7] = [
    ("decode", decode::run),
    ("header_block", header_block::run),
    ("session_ops", session_ops::run),
    ("server", server::run),
    ("client", client::run),
    ("kube", kube::run),
    ("tunnel", tunnel::run),
];
