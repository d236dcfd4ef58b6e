//! A simulated network: clients, a proxy made of our server and our client, and servers, with latency, partitions, loss
//! and restarts, in virtual time and from a seed.
//!
//! Every request has an id of its own, which its server writes into a ledger before it does anything and gives back with
//! a body that depends on it. A client sends a request again only if it was told that it was not processed: so no id may
//! be in the ledger twice, whatever the network does, and one that was answered is in it once.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod behind_nat;
mod hosts;
mod partitions;
mod pool;
mod restarts;
mod story;
#[path = "../support/mod.rs"]
mod support;
