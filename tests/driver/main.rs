//! The driver: how connections start, end, fail and stall, whatever the transport does.

#![cfg(feature = "stream")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod buffered;
mod context;
mod flow_control;
mod foreign;
mod graceful_end;
mod lost_transport;
mod no_timers;
mod stalls;
#[path = "../support/mod.rs"]
mod support;
mod transport;

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use spdy::frame::{Frame, GoAwayStatus, ResetStatus, Role};
use spdy::headers::HeaderBlock;
use spdy::stream::{OpenOptions, Session, Stream};
use spdy::{Config, Error, FlowControl, HeaderCompression, Overflow, Timeout};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::spawn;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

type Driver = JoinHandle<Result<(), Error>>;

async fn ready_client(config: Config) -> (Session, Driver, Peer) {
    let (session, connection, mut peer) = client(config);
    let driver = spawn(connection);
    peer.expect_preface().await;
    (session, driver, peer)
}

async fn ready_server(config: Config) -> (Session, Driver, Peer) {
    let (session, connection, mut peer) = server(config);
    let driver = spawn(connection);
    peer.expect_preface().await;
    (session, driver, peer)
}

async fn open(session: &Session) -> Stream {
    let opened = session.open(HeaderBlock::empty(), OpenOptions::new());
    within("open", opened).await.unwrap()
}

async fn accepted(session: &Session, peer: &mut Peer, id: u32) -> Stream {
    peer.send(syn_stream(id)).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    let stream = incoming.reply(HeaderBlock::empty()).unwrap();
    peer.expect(syn_reply(id)).await;
    stream
}

async fn outcome(driver: Driver) -> Result<(), Error> {
    within("the connection", driver).await.unwrap()
}

/// Plays the peer's part of a graceful shutdown up to the final GOAWAY of a session that has handed out `last`.
async fn expect_drain(peer: &mut Peer, last: u32) {
    peer.expect(go_away(0x7fff_ffff, GoAwayStatus::OK)).await;
    match within("PING", peer.recv()).await {
        Some(Frame::Ping(id)) => peer.send(ping(id)).await,
        other => panic!("expected PING, got {other:?}"),
    }
    peer.expect(go_away(last, GoAwayStatus::OK)).await;
}
