//! CONNECT tunnels: our client, our server as the proxy, and a TCP echo server behind it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::SendRequest;
use spdy::{Body, Tunnel};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// Sends every connection its own bytes back, then half-closes.
async fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut io, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = io.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
                drop(write.shutdown().await);
            });
        }
    });
    address
}

async fn proxy(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let refuse = |status: StatusCode| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        response
    };
    if request.method() != Method::CONNECT {
        return Ok(refuse(StatusCode::METHOD_NOT_ALLOWED));
    }
    assert_eq!(
        request.uri().scheme(),
        None,
        "CONNECT has an URI in authority form"
    );
    let authority = request.uri().authority().unwrap().clone();
    let Ok(mut target) = TcpStream::connect(authority.as_str()).await else {
        return Ok(refuse(StatusCode::BAD_GATEWAY));
    };
    let (response, mut tunnel) = Tunnel::accept(request);
    tokio::spawn(async move {
        drop(copy_bidirectional(&mut tunnel, &mut target).await);
    });
    Ok(response)
}

/// A client connected to the proxy.
async fn client() -> SendRequest<Body> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = spdy::server::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(far), service_fn(proxy));
    tokio::spawn(server);
    let (client, connection) = spdy::client::handshake(TokioExecutor::new(), TokioIo::new(near))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

async fn tunnel_to(address: SocketAddr, client: &mut SendRequest<Body>) -> Tunnel {
    let authority = address.to_string().parse().unwrap();
    client.tunnel(authority).await.unwrap()
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_direction_ends_by_itself() {
    timeout(LIMIT, async {
        let mut client = client().await;
        let mut tunnel = tunnel_to(echo_server().await, &mut client).await;
        tunnel.write_all(b"first").await.unwrap();
        let mut answer = [0; 5];
        tunnel.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"first");
        tunnel.write_all(b" and last").await.unwrap();
        tunnel.shutdown().await.unwrap();
        let mut rest = String::new();
        tunnel.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, " and last");
        assert!(
            tunnel.write_all(b"late").await.is_err(),
            "our direction has ended"
        );
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn large_transfers_go_through_windows_in_both_directions_at_once() {
    timeout(LIMIT, async {
        let mut client = client().await;
        let tunnel = tunnel_to(echo_server().await, &mut client).await;
        let sent: Vec<u8> = (0..=250).cycle().take(5 << 20).collect();
        let (mut read, mut write) = tokio::io::split(tunnel);
        let mut received = Vec::new();
        let writing = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let (_, read) = tokio::join!(writing, read.read_to_end(&mut received));
        assert_eq!(read.unwrap(), sent.len());
        assert!(received == sent);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_target_that_refuses_is_an_error_that_names_the_status() {
    timeout(LIMIT, async {
        // Bound and dropped: nobody listens there.
        let address = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let mut client = client().await;
        let error = client
            .tunnel(address.to_string().parse().unwrap())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("502"), "{error}");
        // The connection takes further requests.
        tunnel_to(echo_server().await, &mut client).await;
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_tunnel_that_is_dropped_is_cut_off_and_leaves_nothing_behind() {
    timeout(LIMIT, async {
        let mut client = client().await;
        let mut tunnel = tunnel_to(echo_server().await, &mut client).await;
        tunnel.write_all(b"half").await.unwrap();
        drop(tunnel);
        while client.session().stream_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // And again, with the server's end seeing the reset: a new tunnel works.
        let mut tunnel = tunnel_to(echo_server().await, &mut client).await;
        tunnel.write_all(b"x").await.unwrap();
        assert_eq!(tunnel.read_u8().await.unwrap(), b'x');
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_proxy_connection_that_dies_ends_the_tunnel_with_an_error() {
    timeout(LIMIT, async {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let server = spdy::server::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(far), service_fn(proxy));
        let server = tokio::spawn(server);
        let (mut client, connection) =
            spdy::client::handshake(TokioExecutor::new(), TokioIo::new(near))
                .await
                .unwrap();
        tokio::spawn(connection);
        let mut tunnel = tunnel_to(echo_server().await, &mut client).await;
        server.abort();
        let mut rest = Vec::new();
        tunnel.read_to_end(&mut rest).await.unwrap_err();
    })
    .await
    .unwrap();
}
