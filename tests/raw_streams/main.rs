//! Raw streams against a scripted peer: opening, replying, half-closing, resetting, dropping, back-pressure.

#![cfg(feature = "stream")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod async_io;
mod back_pressure;
mod drops;
mod half_close;
mod limit;
mod open;
#[path = "../support/mod.rs"]
mod support;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spdy::frame::{Frame, GoAwayStatus, ResetStatus, SettingId};
use spdy::headers::HeaderBlock;
use spdy::stream::{OpenOptions, Session, Stream};
use spdy::{Config, Error};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::spawn;
use tokio::task::JoinHandle;

type Driver = JoinHandle<Result<(), Error>>;

/// A client with its preface out of the way.
async fn ready_client(config: Config) -> (Session, Driver, Peer) {
    let (session, connection, mut peer) = client(config);
    let driver = spawn(connection);
    peer.expect_preface().await;
    (session, driver, peer)
}

/// A server with its preface out of the way.
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

/// A stream of ours that the peer has replied to.
async fn replied(session: &Session, peer: &mut Peer, id: u32) -> Stream {
    let mut stream = open(session).await;
    peer.expect(syn_stream(id)).await;
    peer.send(syn_reply(id)).await;
    within("reply", stream.reply()).await.unwrap();
    stream
}

/// A stream of the peer that we have replied to.
async fn accepted(session: &Session, peer: &mut Peer, id: u32) -> Stream {
    peer.send(syn_stream(id)).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    assert_eq!(incoming.id().get(), id);
    let stream = incoming.reply(HeaderBlock::empty()).unwrap();
    peer.expect(syn_reply(id)).await;
    stream
}

/// The session still works.
async fn assert_alive(session: &Session, peer: &mut Peer) {
    let ping_future = spawn({
        let session = session.clone();
        async move { session.ping().await }
    });
    loop {
        match within("PING", peer.recv()).await {
            Some(Frame::Ping(id)) => {
                peer.send(ping(id)).await;
                break;
            }
            Some(Frame::WindowUpdate(_)) => {}
            other => panic!("expected PING, got {other:?}"),
        }
    }
    within("ping", ping_future).await.unwrap().unwrap();
}
