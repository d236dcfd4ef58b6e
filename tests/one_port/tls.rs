//! One port with TLS: ALPN tells the protocols apart.

use std::net::SocketAddr;

use hyper_util::client::legacy::connect::HttpConnector;
use spdy::Protocol;
use spdy::client::{Connector, Fallback, FallbackConnector};
use spdy::tls::{ClientTls, TlsListener};
use tokio::spawn;
use tower::Service;

use super::clients::{Client, app};
use super::shutdown::drain_under_load;
use crate::http_support::*;
use crate::support::within;
use crate::tls_support::{Authority, bind, dialler, https};

/// A connector for any protocol, which offers by ALPN what `fallback` says.
type Any = FallbackConnector<HttpConnector, AnyBody, ClientTls>;

fn any(authority: &Authority, fallback: Fallback) -> Any {
    Connector::new(dialler())
        .tls(authority.client())
        .fallback(fallback)
}

#[tokio::test]
async fn the_same_router_answers_in_every_protocol_by_alpn() {
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let listener = TlsListener::new(listener, authority.server());
    let serving = spawn(spdy::serve(listener, app()).auto().into_future());

    // SPDY is what both sides prefer.
    let mut sender = within(
        "SPDY",
        any(&authority, Fallback::http2()).call(https(address)),
    )
    .await
    .unwrap();
    assert_eq!(sender.protocol(), Protocol::Spdy31);
    assert_eq!(get(&mut sender, address, "/other/7").await, "other 7");

    // Clients that know no SPDY, as browsers, by hyper and the ALPN offer that they make.
    for (alpn, version) in [
        (&[&b"h2"[..], b"http/1.1"][..], "HTTP/2.0"),
        (&[b"http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let config = std::sync::Arc::new(authority.client_with(alpn));
        let tls = tokio_rustls::TlsConnector::from(config);
        let io = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let io = within("TLS", tls.connect(name, io)).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(io);
        let mut client = if version == "HTTP/2.0" {
            let exec = hyper_util::rt::TokioExecutor::new();
            let (send, connection) = hyper::client::conn::http2::handshake(exec, io)
                .await
                .unwrap();
            spawn(connection);
            Client::Http2(send)
        } else {
            let (send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            spawn(connection);
            Client::Http1(send)
        };
        assert_eq!(client.get("/version").await, version, "{alpn:?}");
        assert_eq!(client.get("/other/8").await, "other 8", "{alpn:?}");
    }
    serving.abort();
}

async fn get(
    sender: &mut spdy::client::Sender<AnyBody>,
    address: SocketAddr,
    path: &str,
) -> String {
    let request = http::Request::get(format!("https://localhost:{}{path}", address.port()))
        .body(empty())
        .unwrap();
    let response = within("the response", sender.call(request)).await.unwrap();
    String::from_utf8(bytes_of(response.into_body()).await.to_vec()).unwrap()
}

#[tokio::test]
async fn a_drain_under_load_loses_no_request_by_alpn() {
    let authority = Authority::new();
    let (listener, _) = bind().await;
    let listener = TlsListener::new(listener, authority.server());
    let mut connector = Connector::new(dialler()).tls(authority.client());
    drain_under_load(listener, |address| async move {
        let connecting = connector.call(https(address));
        Client::Spdy(within("the connection", connecting).await.unwrap())
    })
    .await;
}
