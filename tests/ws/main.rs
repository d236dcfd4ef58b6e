//! SPDY in the messages of a WebSocket: the tunnel on a socket that a test plays message by message, sessions through it,
//! and a tungstenite client of an axum server.

#![cfg(all(feature = "axum", feature = "tokio-tungstenite", feature = "kube"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/websocket.rs"]
mod websocket;

mod libraries;
mod line;
mod reading;
mod sessions;
mod splits;
mod two_tasks;
mod writing;

use std::error::Error as StdError;

use spdy::kube::port_forward;
use spdy::stream::Session;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, duplex, split};
use tokio::spawn;

/// Forwards to targets that echo; port 1 cannot be reached.
pub(crate) async fn serve_echo(session: Session) {
    let mut server = port_forward::Server::new(session);
    while let Ok(Some(forward)) = server.accept().await {
        spawn(async move {
            if forward.port() == 1 {
                return forward.fail("connection refused").await;
            }
            let (ours, target) = duplex(10_000);
            spawn(async move {
                let (mut read, mut write) = split(target);
                drop(copy(&mut read, &mut write).await);
                drop(write.shutdown().await);
            });
            let _ = forward.copy(ours).await;
        });
    }
}

/// Bytes that are the same nowhere near.
pub(crate) fn pattern(start: usize, len: usize) -> Vec<u8> {
    (0..=250).cycle().skip(start % 251).take(len).collect()
}

/// Sends bytes through a connection of its own, which have to come back.
pub(crate) async fn echo(client: &port_forward::Client, bytes: &[u8]) {
    let forwarded = within("connect", client.connect(80)).await.unwrap();
    let (mut read, mut write) = split(forwarded);
    let mut back = Vec::new();
    let (written, read) = tokio::join!(
        async {
            write.write_all(bytes).await?;
            write.shutdown().await
        },
        within("the echo", read.read_to_end(&mut back)),
    );
    written.unwrap();
    read.unwrap();
    assert!(
        back == bytes,
        "{} bytes came back other than they went",
        bytes.len()
    );
}

/// An error with all that is behind it.
pub(crate) fn told(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
