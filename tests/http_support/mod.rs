//! What the HTTP tests share: our client or server against the scripted peer, and against each other.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame as BodyFrame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::SendRequest;
use spdy::frame::{Frame, ResetStatus, Role};
use spdy::headers::HeaderBlock;
use spdy::{Body, Config, client, server};
use tokio::spawn;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::*;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Driver = JoinHandle<spdy::Result<()>>;
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// Our server with this service, and a client as its peer.
pub(crate) fn server_with<F, R, B, E>(config: Config, service: F) -> (Driver, Peer)
where
    F: Fn(Request<Body>) -> R + Send + 'static,
    R: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    E: Into<BoxError>,
{
    let (io, wire) = pipe();
    let connection = server::Builder::new(TokioExecutor::new())
        .config(config)
        .serve_connection(TokioIo::new(io), service_fn(service));
    (spawn(connection), Peer::new(wire, Role::Client))
}

/// As [`server_with`], with the preface out of the way and the defaults of a server.
pub(crate) async fn server_of<F, R, B, E>(service: F) -> (Driver, Peer)
where
    F: Fn(Request<Body>) -> R + Send + 'static,
    R: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    E: Into<BoxError>,
{
    let (driver, mut peer) = server_with(Config::server(), service);
    peer.expect_preface().await;
    (driver, peer)
}

/// Our client, and a server as its peer, with the preface out of the way.
pub(crate) async fn client_of<B: 'static>(config: Config) -> (SendRequest<B>, Driver, Peer) {
    let (io, wire) = pipe();
    let (send, connection) = client::Builder::new(TokioExecutor::new())
        .config(config)
        .handshake(TokioIo::new(io))
        .await
        .unwrap();
    let driver = spawn(connection);
    let mut peer = Peer::new(wire, Role::Server);
    peer.expect_preface().await;
    (send, driver, peer)
}

/// Our client and our server with this service over an in-memory transport.
pub(crate) async fn both<F, R, B, E, Q>(service: F) -> (SendRequest<Q>, Driver, Driver)
where
    F: Fn(Request<Body>) -> R + Send + 'static,
    R: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    E: Into<BoxError>,
    Q: 'static,
{
    both_with(Config::client(), Config::server(), service).await
}

/// As [`both`], with options.
pub(crate) async fn both_with<F, R, B, E, Q>(
    client: Config,
    server: Config,
    service: F,
) -> (SendRequest<Q>, Driver, Driver)
where
    F: Fn(Request<Body>) -> R + Send + 'static,
    R: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    E: Into<BoxError>,
    Q: 'static,
{
    let (a, b) = tokio::io::duplex(64 * 1024);
    let connection = server::Builder::new(TokioExecutor::new())
        .config(server)
        .serve_connection(TokioIo::new(b), service_fn(service));
    let serving = spawn(connection);
    let (send, connection) = client::Builder::new(TokioExecutor::new())
        .config(client)
        .handshake(TokioIo::new(a))
        .await
        .unwrap();
    (send, spawn(connection), serving)
}

/// A SYN_STREAM with what a request needs.
pub(crate) fn request(stream: u32, method: &str, path: &str) -> Draft {
    syn_stream(stream)
        .header(":method", method)
        .header(":path", path)
        .header(":version", "HTTP/1.1")
        .header(":host", "example.com")
        .header(":scheme", "http")
}

/// A GET, whole.
pub(crate) fn get(stream: u32) -> Draft {
    request(stream, "GET", "/").fin()
}

/// A SYN_REPLY with what a response needs.
pub(crate) fn reply(stream: u32, status: &str) -> Draft {
    syn_reply(stream)
        .header(":status", status)
        .header(":version", "HTTP/1.1")
}

/// The next frame that is not WINDOW_UPDATE.
#[track_caller]
pub(crate) fn next(peer: &mut Peer) -> impl Future<Output = Frame> {
    let caller = std::panic::Location::caller();
    async move {
        loop {
            match tokio::time::timeout(PATIENCE, peer.recv()).await {
                Ok(Some(Frame::WindowUpdate(_))) => {}
                Ok(Some(frame)) => return frame,
                Ok(None) => panic!("at {caller}: a frame expected, got the end"),
                Err(_) => panic!("at {caller}: a frame expected, got nothing"),
            }
        }
    }
}

/// A header as text.
pub(crate) fn text<'a>(block: &'a HeaderBlock, name: &str) -> Option<&'a str> {
    block
        .get(name)
        .map(|value| std::str::from_utf8(value).unwrap())
}

/// Expects SYN_REPLY with this status; gives its headers, and whether it carries FIN.
#[track_caller]
pub(crate) fn expect_reply(
    peer: &mut Peer,
    stream: u32,
    status: &str,
) -> impl Future<Output = (HeaderBlock, bool)> {
    let caller = std::panic::Location::caller();
    let next = next(peer);
    async move {
        match next.await {
            Frame::SynReply(reply) if reply.id == id(stream) => {
                assert_eq!(text(&reply.block, ":status"), Some(status), "at {caller}");
                assert_eq!(text(&reply.block, ":version"), Some("HTTP/1.1"));
                (reply.block, reply.fin)
            }
            other => panic!("at {caller}: expected the reply to stream {stream}, got {other:?}"),
        }
    }
}

/// Expects a SYN_STREAM of this id; gives its headers, and whether it carries FIN.
#[track_caller]
pub(crate) fn expect_request(
    peer: &mut Peer,
    stream: u32,
) -> impl Future<Output = (HeaderBlock, bool)> {
    let caller = std::panic::Location::caller();
    let next = next(peer);
    async move {
        match next.await {
            Frame::SynStream(syn) if syn.id == id(stream) => (syn.block, syn.fin),
            other => panic!("at {caller}: expected SYN_STREAM {stream}, got {other:?}"),
        }
    }
}

/// Expects RST_STREAM, skipping WINDOW_UPDATE.
#[track_caller]
pub(crate) fn expect_rst(
    peer: &mut Peer,
    stream: u32,
    status: ResetStatus,
) -> impl Future<Output = ()> {
    peer.expect_past_updates(rst(stream, status))
}

/// The session answers a PING: it lives, and everything before was handled.
pub(crate) async fn expect_alive(peer: &mut Peer, ping_id: u32) {
    peer.send(ping(ping_id)).await;
    peer.expect_past_updates(ping(ping_id)).await;
}

/// A body of known bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body without bytes.
pub(crate) fn empty() -> AnyBody {
    Empty::new()
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// The sending end of a [`channel`] body.
pub(crate) type BodySender = mpsc::Sender<Result<BodyFrame<Bytes>, BoxError>>;

/// A body that is fed by the test.
pub(crate) fn channel() -> (BodySender, AnyBody) {
    let (send, receive) = mpsc::channel(1);
    let frames = tokio_stream::wrappers::ReceiverStream::new(receive);
    (send, StreamBody::new(frames).boxed_unsync())
}

/// A DATA frame for a [`channel`] body.
pub(crate) fn chunk(bytes: impl Into<Bytes>) -> Result<BodyFrame<Bytes>, BoxError> {
    Ok(BodyFrame::data(bytes.into()))
}

/// A body of `len` bytes that cannot be told from others by position, in chunks of 10,000.
pub(crate) fn pattern_body(len: usize) -> AnyBody {
    let chunks = (0..len)
        .step_by(10_000)
        .map(move |from| Ok::<_, BoxError>(BodyFrame::data(pattern(from, 10_000.min(len - from)))));
    StreamBody::new(tokio_stream::iter(chunks)).boxed_unsync()
}

/// Bytes that depend on their position.
pub(crate) fn pattern(from: usize, len: usize) -> Bytes {
    (from..from + len)
        .map(|at| u8::try_from((at / 3 + at / 65_521) % 251).unwrap())
        .collect()
}

/// All bytes of a body.
pub(crate) async fn bytes_of<B>(body: B) -> Bytes
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    within("the body", body.collect()).await.unwrap().to_bytes()
}

/// Counts what is alive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census(Arc<AtomicUsize>);

/// One that is counted.
#[derive(Debug)]
pub(crate) struct Alive(Census);

impl Census {
    pub(crate) fn enter(&self) -> Alive {
        self.0.fetch_add(1, Ordering::SeqCst);
        Alive(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A body that must not be polled, with one byte to come.
#[derive(Debug, Default)]
pub(crate) struct Untouched {
    pub(crate) polled: bool,
}

impl http_body::Body for Untouched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        if self.polled {
            return Poll::Ready(None);
        }
        self.polled = true;
        Poll::Ready(Some(Ok(BodyFrame::data(Bytes::from_static(b"x")))))
    }
}
