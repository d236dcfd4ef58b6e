//! A tonic service and its generated client over SPDY.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod calls;
mod cancel;
mod deadline;
mod errors;
#[path = "../http_support/mod.rs"]
mod http_support;
mod metadata;
mod notes;
mod regenerate;
mod service;
#[path = "../support/mod.rs"]
mod support;

/// Made by `tonic-build`; `regenerate` says how, and that it is current.
#[allow(
    clippy::pedantic,
    dead_code,
    elided_lifetimes_in_paths,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "not written here"
)]
mod generated {
    include!("generated.rs");
}

use generated::notes_client::NotesClient;
use generated::notes_server::NotesServer;
use http_support::*;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use notes::Note;
use service::Server;
use spdy::client::{self, SendRequest};
use support::*;
use tokio::spawn;
use tonic::body::Body as GrpcBody;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

/// What the generated client works on.
type Send = SendRequest<GrpcBody>;
type Client = NotesClient<Send>;

/// Any service of a server on one end of an in-memory transport; what sends to it on the other.
async fn connect<S, B>(service: S) -> Send
where
    S: tower::Service<http::Request<spdy::Body>, Response = http::Response<B>>
        + Clone
        + std::marker::Send
        + 'static,
    S::Future: std::marker::Send,
    S::Error: Into<BoxError>,
    B: http_body::Body + std::marker::Send + 'static,
    B::Data: std::marker::Send,
    B::Error: Into<BoxError>,
{
    let (a, b) = tokio::io::duplex(64 * 1024);
    let service = TowerToHyperService::new(service);
    spawn(
        spdy::server::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(b), service),
    );
    let (send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(a))
        .await
        .unwrap();
    spawn(connection);
    send
}

/// The service as it is mounted by applications.
fn routes(server: &Server) -> Routes {
    Routes::new(NotesServer::new(server.clone()))
}

/// A generated client on this connection.
fn client_on(send: &Send) -> Client {
    NotesClient::with_origin(send.clone(), "http://notes.example".parse().unwrap())
}

/// The service, a client of it, and the connection between.
async fn notes() -> (Server, Client, Send) {
    let server = Server::default();
    let send = connect(routes(&server)).await;
    (server, client_on(&send), send)
}

/// Nothing is left of any call, and the connection takes the next one.
async fn expect_idle_and_alive(send: &Send) {
    settle().await;
    assert_eq!(send.session().stream_count(), 0, "streams left");
    let mut client = client_on(send);
    let answer = client.unary(Note::text("alive"));
    let answer = within("another call", answer).await.unwrap();
    assert_eq!(answer.into_inner().text, "alive");
}
