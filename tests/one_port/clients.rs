//! The app of these tests, and a client for each protocol.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::Body;
use spdy::client::{self, SendRequest};
use spdy::upgrade;
use tokio::net::{TcpListener, TcpStream};
use tokio::spawn;
use tokio::task::JoinHandle;

use crate::http_support::*;
use crate::support::within;

/// An ordinary axum app: what it knows of the protocol is the version that HTTP has.
pub(crate) fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "root" }))
        .route(
            "/other/{id}",
            get(|Path(id): Path<String>| async move { format!("other {id}") }),
        )
        .route("/echo", post(|body: Bytes| async move { body }))
        .route(
            "/version",
            get(|version: Version| async move { format!("{version:?}") }),
        )
}

/// The app on a port, in every protocol.
pub(crate) async fn serve() -> (SocketAddr, JoinHandle<spdy::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = spdy::serve(listener, app()).auto();
    (address, spawn(serving.into_future()))
}

/// A client, whatever it speaks.
pub(crate) enum Client {
    Spdy(SendRequest<AnyBody>),
    Http1(hyper::client::conn::http1::SendRequest<AnyBody>),
    Http2(hyper::client::conn::http2::SendRequest<AnyBody>),
}

impl Client {
    /// SPDY from the first byte.
    pub(crate) async fn spdy(address: SocketAddr) -> Self {
        let io = TcpStream::connect(address).await.unwrap();
        let (send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(io))
            .await
            .unwrap();
        spawn(connection);
        Self::Spdy(send)
    }

    /// SPDY behind an Upgrade on this path.
    pub(crate) async fn upgraded(address: SocketAddr, path: &str) -> Self {
        let io = TcpStream::connect(address).await.unwrap();
        let request = Request::get(format!("http://{address}{path}"))
            .body(empty())
            .unwrap();
        let answer = upgrade::connect(TokioIo::new(io), request);
        let switched = within("the upgrade", answer)
            .await
            .unwrap()
            .switched()
            .unwrap();
        let builder = client::Builder::new(TokioExecutor::new());
        let (send, connection) = switched.into_send_request(&builder).await.unwrap();
        spawn(connection);
        Self::Spdy(send)
    }

    pub(crate) async fn http1(address: SocketAddr) -> Self {
        let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        spawn(connection);
        Self::Http1(send)
    }

    pub(crate) async fn http2(address: SocketAddr) -> Self {
        let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .unwrap();
        spawn(connection);
        Self::Http2(send)
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, body: AnyBody) -> Response<Body> {
        let uri = match self {
            Self::Http1(_) => path.to_owned(),
            _ => format!("http://example.com{path}"),
        };
        let mut request = Request::builder().method(method).uri(uri);
        if matches!(self, Self::Http1(_)) {
            request = request.header("host", "example.com");
        }
        let request = request.body(body).unwrap();
        within("the response", async {
            match self {
                Self::Spdy(send) => send.send_request(request).await.unwrap(),
                Self::Http1(send) => send.send_request(request).await.unwrap().map(Body::new),
                Self::Http2(send) => send.send_request(request).await.unwrap().map(Body::new),
            }
        })
        .await
    }

    pub(crate) async fn get(&mut self, path: &str) -> String {
        let response = self.send("GET", path, empty()).await;
        assert_eq!(response.status(), 200, "{path}");
        String::from_utf8(bytes_of(response.into_body()).await.to_vec()).unwrap()
    }
}
