//! The crate against unmodified peers of others: npm `spdy` (HTTP, both roles), the Go package spdystream (raw streams,
//! both roles), and tshark's dissector as the judge of our bytes.
//!
//! Not part of `cargo test`: `scripts/interop` installs the peers and runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod app;
mod capture;
mod client;
mod go_client;
mod go_server;
mod mirror;
mod node_client;
mod node_server;
mod node_server_bodies;
mod pattern;
mod peer;
mod recorder;
