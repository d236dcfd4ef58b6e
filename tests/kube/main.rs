//! Kubernetes' protocols over SPDY/3.1: against scripted peers that behave as kubectl and as Go's servers do, or as neither
//! should, and our client against our server.

#![cfg(feature = "kube")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

#[path = "../attacks/bound.rs"]
mod bound;
#[path = "../http_support/mod.rs"]
mod http_support;
#[path = "../support/mod.rs"]
mod support;

mod command_client;
mod command_server;
mod cuts;
mod end_to_end;
mod gone;
mod hostile;
mod log;
mod port_client;
mod port_server;
mod proxied;
mod session;
mod stuck;
mod tokens;
mod unread;
mod upgrade;

use std::time::Duration;

use spdy::frame::{Frame, ResetStatus};
use spdy::kube::remote_command::{Server, ServerStreams, Streams, Version};
use spdy::stream::Session;
use spdy::{Config, Error};
use support::*;
use tokio::spawn;
use tokio::task::JoinHandle;

pub(crate) type Running = JoinHandle<spdy::Result<()>>;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What kubectl asks for with `exec -i`.
pub(crate) const EXEC_I: Streams = Streams {
    stdin: true,
    stdout: true,
    stderr: true,
    tty: false,
};

/// What kubectl asks for with `exec -it`.
pub(crate) const EXEC_IT: Streams = Streams {
    stdin: true,
    stdout: true,
    stderr: false,
    tty: true,
};

/// A server's session, and a client as its peer.
pub(crate) fn kubelet() -> (Session, Running, Peer) {
    kubelet_with(Config::spdystream_server())
}

pub(crate) fn kubelet_with(config: Config) -> (Session, Running, Peer) {
    let (session, connection, peer) = server(config);
    (session, spawn(connection), peer)
}

/// A client's session, and a server as its peer.
pub(crate) fn kubectl() -> (Session, Running, Peer) {
    let (session, connection, peer) = client(Config::spdystream_client());
    (session, spawn(connection), peer)
}

/// A SYN_STREAM for a stream of a command.
pub(crate) fn typed(stream: u32, kind: &str) -> Draft {
    syn_stream(stream).header("streamtype", kind)
}

/// The server accepts in a task.
pub(crate) fn accepting(
    session: &Session,
    version: Version,
    streams: Streams,
) -> JoinHandle<spdy::Result<ServerStreams>> {
    let session = session.clone();
    let server = Server::new(version, streams);
    spawn(async move { server.accept(&session).await })
}

/// The peer opens the streams one by one, each when the one before was replied to.
pub(crate) async fn open_all(peer: &mut Peer, kinds: &[&str]) {
    for (kind, stream) in kinds.iter().zip((1..).step_by(2)) {
        peer.send(typed(stream, kind)).await;
        peer.expect(syn_reply(stream)).await;
    }
}

/// A command whose streams are all there.
pub(crate) async fn started(
    version: Version,
    streams: Streams,
    kinds: &[&str],
) -> (ServerStreams, Session, Running, Peer) {
    let (session, running, mut peer) = kubelet();
    let accepting = accepting(&session, version, streams);
    open_all(&mut peer, kinds).await;
    let streams = within("accept", accepting).await.unwrap().unwrap();
    (streams, session, running, peer)
}

pub(crate) fn cancel(stream: u32) -> Draft {
    rst(stream, ResetStatus::CANCEL)
}

/// The text of a stream, up to its FIN.
pub(crate) async fn text_of(peer: &mut Peer, stream: u32) -> String {
    let mut text = Vec::new();
    loop {
        match within("text", peer.recv()).await {
            Some(Frame::Data(data)) if data.id.get() == stream => {
                text.extend_from_slice(&data.payload);
                if data.fin {
                    return String::from_utf8(text).unwrap();
                }
            }
            other => panic!("expected DATA of stream {stream}, got {other:?}"),
        }
    }
}

/// The frames up to the end of the transport.
pub(crate) async fn rest(peer: &mut Peer) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = within("the end", peer.recv()).await {
        frames.push(frame);
    }
    frames
}

/// Whether a stream was ended by FIN, and not reset.
pub(crate) fn ends(frames: &[Frame], stream: u32) -> bool {
    let fin =
        |frame: &Frame| matches!(frame, Frame::Data(data) if data.id.get() == stream && data.fin);
    let reset =
        |frame: &Frame| matches!(frame, Frame::RstStream(reset) if reset.id.get() == stream);
    frames.iter().any(fin) && !frames.iter().any(reset)
}

pub(crate) async fn outcome(running: Running) -> Result<(), Error> {
    within("the connection", running).await.unwrap()
}
