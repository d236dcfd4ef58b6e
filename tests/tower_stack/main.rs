//! The layers of tower and tower-http around our server and around our client, each seen to do what it is for at the
//! far end of a connection.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod balance;
mod body_limit;
mod compression;
mod concurrency;
mod cors;
#[path = "../http_support/mod.rs"]
mod http_support;
mod request_id;
mod retry;
#[path = "../support/mod.rs"]
mod support;
mod timeouts;
mod trace;

use std::collections::VecDeque;
use std::future::Future;
use std::io;

use bytes::Bytes;
use http::{Request, Response};
use http_support::*;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::{self, SendRequest};
use spdy::server::Listener;
use spdy::{Body, Config};
use support::*;
use tokio::io::DuplexStream;
use tokio::spawn;
use tokio::task::JoinHandle;
use tower::Service;

/// Connections that exist already.
struct Given(VecDeque<DuplexStream>);

impl Listener for Given {
    type Io = DuplexStream;
    type Addr = usize;

    async fn accept(&mut self) -> (DuplexStream, usize) {
        match self.0.pop_front() {
            Some(io) => (io, self.0.len()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<usize> {
        Ok(0)
    }
}

/// What `spdy::serve` runs, and a client on each of its connections. Dropping the server cuts them all.
struct Served<Q> {
    clients: Vec<SendRequest<Q>>,
    server: JoinHandle<spdy::Result<()>>,
}

/// `spdy::serve` with this tower service, and `N` connections to it, in memory.
fn serve_to<const N: usize, Q, S, B>(config: Config, service: S) -> impl Future<Output = Served<Q>>
where
    Q: 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (near, far): (Vec<_>, VecDeque<_>) = (0..N).map(|_| tokio::io::duplex(64 * 1024)).unzip();
    let server = spawn(
        spdy::serve(Given(far), service)
            .config(config)
            .into_future(),
    );
    async move {
        let mut clients = Vec::new();
        for io in near {
            let (send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(io))
                .await
                .unwrap();
            spawn(connection);
            clients.push(send);
        }
        Served { clients, server }
    }
}

/// As [`serve_to`], with one connection and the defaults.
async fn serve<Q, S, B>(service: S) -> SendRequest<Q>
where
    Q: 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let mut served = serve_to::<1, _, _, _>(Config::server(), service).await;
    served.clients.remove(0)
}

/// The answer of any service around a client, once its head has arrived.
async fn call<S, Q, B>(service: &mut S, request: Request<Q>) -> Result<Response<B>, S::Error>
where
    S: Service<Request<Q>, Response = Response<B>>,
{
    within(
        "readiness",
        std::future::poll_fn(|cx| service.poll_ready(cx)),
    )
    .await?;
    within("the response", service.call(request)).await
}

/// A GET without a body.
fn to(path: &str) -> http::request::Builder {
    Request::get(format!("http://a{path}"))
}

/// The head and all bytes of an answer.
async fn whole<B>(response: Response<B>) -> (http::response::Parts, Bytes)
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let (head, body) = response.into_parts();
    (head, bytes_of(body).await)
}

/// Nothing is left of any request, and the connection takes the next one.
async fn expect_idle_and_alive<Q: 'static>(send: &SendRequest<Q>) {
    settle().await;
    assert_eq!(send.session().stream_count(), 0, "streams left");
    within("a PING", send.ping()).await.unwrap();
    assert!(!send.is_closed());
}
