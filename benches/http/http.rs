//! HTTP over either protocol, with the same options on both.

use std::net::SocketAddr;

use axum::Router;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;

use crate::net::{Io, Writes, listen};
use crate::service::{Idle, answer};
use crate::worker::Worker;

pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;
pub(crate) const FRAME: u32 = 16 << 10;

/// The streams that a connection may have open, unless a row needs more.
pub(crate) const STREAMS: u32 = 1_000;

/// An HTTP implementation.
pub(crate) trait Http: Sized + 'static {
    /// A received body.
    type In: Body<Data = Bytes, Error: std::fmt::Debug> + Send + Unpin + 'static;

    /// Sends requests.
    type Sender: Clone + Send + Sync + 'static;

    /// Serves a connection until its client leaves.
    fn serve(io: Io, app: App, streams: u32) -> impl Future<Output = ()> + Send + 'static;

    fn connect(io: Io, streams: u32) -> impl Future<Output = Self::Sender> + Send;

    /// Sends a request, and waits for the head of the response.
    fn send(
        sender: &mut Self::Sender,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Response<Self::In>> + Send;
}

pub(crate) struct Spdy;

impl Http for Spdy {
    type In = spdy::Body;
    type Sender = spdy::client::SendRequest<Full<Bytes>>;

    async fn serve(io: Io, app: App, streams: u32) {
        let mut builder = spdy::server::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(streams);
        let io = TokioIo::new(io);
        // The client just leaves.
        match app {
            App::ServiceFn(idle) => {
                let service = service_fn(move |request| answer(request, Idle::clone(&idle)));
                drop(builder.serve_connection(io, service).await);
            }
            App::Axum(router) => {
                let service = TowerToHyperService::new(router);
                drop(builder.serve_connection(io, service).await);
            }
        }
    }

    async fn connect(io: Io, streams: u32) -> Self::Sender {
        let (sender, connection) = spdy::client::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_open_streams(streams)
            .handshake(TokioIo::new(io))
            .await
            .expect("a handshake");
        tokio::spawn(async { drop(connection.await) });
        sender
    }

    async fn send(sender: &mut Self::Sender, request: Request<Full<Bytes>>) -> Response<Self::In> {
        sender.ready().await.expect("a connection");
        sender.send_request(request).await.expect("a response")
    }
}

pub(crate) struct Hyper;

impl Http for Hyper {
    type In = Incoming;
    type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

    async fn serve(io: Io, app: App, streams: u32) {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_concurrent_streams(streams);
        let io = TokioIo::new(io);
        // The client just leaves.
        match app {
            App::ServiceFn(idle) => {
                let service = service_fn(move |request| answer(request, Idle::clone(&idle)));
                drop(builder.serve_connection(io, service).await);
            }
            App::Axum(router) => {
                let service = TowerToHyperService::new(router);
                drop(builder.serve_connection(io, service).await);
            }
        }
    }

    async fn connect(io: Io, streams: u32) -> Self::Sender {
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .initial_max_send_streams(streams as usize)
            .handshake(TokioIo::new(io))
            .await
            .expect("a handshake");
        tokio::spawn(async { drop(connection.await) });
        sender
    }

    async fn send(sender: &mut Self::Sender, request: Request<Full<Bytes>>) -> Response<Self::In> {
        sender.ready().await.expect("a connection");
        sender.send_request(request).await.expect("a response")
    }
}

/// The application of a server.
#[derive(Clone)]
pub(crate) enum App {
    /// The bare service.
    ServiceFn(Idle),
    Axum(Router),
}

/// A server on a thread of its own.
pub(crate) fn start<P: Http>(app: App, streams: u32) -> (Worker, SocketAddr) {
    let server = Worker::new("server");
    let address = server.run(listen(move |io| P::serve(io, app.clone(), streams)));
    (server, address)
}

/// A client on a thread of its own, and its connections.
pub(crate) fn connect<P: Http>(
    address: SocketAddr,
    connections: usize,
    streams: u32,
) -> (Worker, Vec<P::Sender>) {
    let client = Worker::new("client");
    let senders = client.run(async move {
        let writes = Writes::default();
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(P::connect(Io::connect(address, &writes).await, streams).await);
        }
        senders
    });
    (client, senders)
}

/// What the answer to a request has to be.
#[derive(Clone)]
pub(crate) struct Expected {
    pub(crate) body: Bytes,
    /// Whether every byte is compared, or the length alone.
    pub(crate) bytes: bool,
}

/// Sends one request and reads the answer.
pub(crate) async fn exchange<P: Http>(
    sender: &mut P::Sender,
    request: Request<Full<Bytes>>,
    expected: &Expected,
) {
    let response = P::send(sender, request).await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let mut at = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.expect("a body").into_data() else {
            panic!("no trailers were sent");
        };
        let end = at + data.len();
        if expected.bytes {
            assert!(
                expected.body.get(at..end) == Some(&data[..]),
                "a wrong body"
            );
        }
        at = end;
    }
    assert_eq!(at, expected.body.len(), "a body of the wrong length");
}

/// Sends `total` requests, `streams` at a time on each connection.
pub(crate) async fn load<P: Http>(
    senders: Vec<P::Sender>,
    streams: usize,
    total: usize,
    request: Request<Full<Bytes>>,
    expected: Expected,
) {
    let each = total.div_ceil(senders.len() * streams);
    let mut tasks = Vec::new();
    for sender in senders {
        for _ in 0..streams {
            let mut sender = sender.clone();
            let (request, expected) = (request.clone(), expected.clone());
            tasks.push(tokio::spawn(async move {
                for _ in 0..each {
                    exchange::<P>(&mut sender, request.clone(), &expected).await;
                }
            }));
        }
    }
    for task in tasks {
        task.await.expect("a client task");
    }
}
