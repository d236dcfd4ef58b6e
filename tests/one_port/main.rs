//! SPDY, HTTP/1.1 and HTTP/2 on one port, by the same service.

#![cfg(feature = "auto")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "../http_support/mod.rs"]
mod http_support;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "tls")]
#[path = "../tls_support/mod.rs"]
mod tls_support;

mod clients;
mod detection;
mod protocols;
mod shutdown;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;
