//! The crate against unmodified peers of others: npm `spdy` (HTTP, both roles, with and without TLS), the Go package
//! spdystream (raw streams, both roles), kubectl (two versions), and tshark's dissector as the judge of our bytes; and one plain and one TLS
//! port of ours for every protocol, at which our clients, npm `spdy`, curl and Chromium are at the same time, some of
//! them through HAProxy.
//!
//! Not part of `cargo test`: `scripts/interop` installs the peers and runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../tls_support/mod.rs"]
mod tls_support;

mod app;
mod browser;
mod capture;
mod client;
mod curl;
mod go_client;
mod go_server;
mod go_unread;
mod haproxy;
mod kubectl;
mod mirror;
mod node_client;
mod node_server;
mod node_server_bodies;
mod node_tls;
mod one_port;
mod pattern;
mod peer;
mod png;
mod ports;
mod process;
mod recorder;
