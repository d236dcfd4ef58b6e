//! Our own clients at the two ports that all the others use: every way into SPDY.

use http::Uri;
use http::uri::Scheme;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::{Builder, Connector};
use spdy::upgrade;
use tokio::net::TcpStream;
use tower::Service;

use crate::client::{Payload, empty, exchanges};
use crate::ports::ports;
use crate::process::wait;
use crate::tls_support::{Authority, dialler};

/// Everything by our connector: SPDY by ALPN for `https`, by prior knowledge for `http`.
pub(crate) async fn by_connector(origin: &str, authority: &Authority) {
    let origin: Uri = origin.parse().unwrap();
    let mut connector: Connector<_, Payload, _> = Connector::new(dialler()).tls(authority.client());
    let connecting = connector.call(origin.clone());
    let send = wait("our connector", connecting).await.unwrap();
    let secure = origin.scheme() == Some(&Scheme::HTTPS);
    assert!(secure || origin.scheme() == Some(&Scheme::HTTP));
    exchanges(send, &origin.to_string()).await;
}

/// Everything behind an HTTP Upgrade at this port.
pub(crate) async fn by_upgrade(port: u16) {
    let origin = format!("http://127.0.0.1:{port}/");
    let io = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = Request::get(&origin).body(empty()).unwrap();
    let answer = upgrade::connect(TokioIo::new(io), request);
    let switched = wait("the upgrade", answer)
        .await
        .unwrap()
        .switched()
        .unwrap();
    assert_eq!(switched.response().headers()["upgrade"], "SPDY/3.1");
    let builder = Builder::new(TokioExecutor::new());
    let (send, connection) = switched.into_send_request(&builder).await.unwrap();
    let connection = tokio::spawn(connection);
    exchanges(send, &origin).await;
    let ended = wait("the end of the connection", connection).await;
    ended.unwrap().expect("the end of the connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spdy_is_spoken_from_the_first_byte() {
    by_connector(&ports().plain(), &ports().authority).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spdy_is_agreed_on_by_alpn() {
    by_connector(&ports().tls(), &ports().authority).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spdy_is_reached_by_an_upgrade() {
    by_upgrade(ports().plain).await;
}
