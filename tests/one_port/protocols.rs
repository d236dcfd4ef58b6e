use std::convert::Infallible;

use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::server::auto;
use spdy::{Body, Protocol};
use tokio::net::TcpListener;
use tokio::spawn;

use super::clients::{Client, app, serve};
use crate::http_support::*;

#[tokio::test]
async fn the_same_router_answers_in_every_protocol_on_one_port() {
    let (address, serving) = serve().await;
    let clients = [
        ("SPDY", Client::spdy(address).await, "HTTP/1.1"),
        (
            "SPDY behind an Upgrade",
            Client::upgraded(address, "/").await,
            "HTTP/1.1",
        ),
        ("HTTP/1.1", Client::http1(address).await, "HTTP/1.1"),
        ("HTTP/2", Client::http2(address).await, "HTTP/2.0"),
    ];
    let upload = pattern(0, 300_000);
    for (name, mut client, version) in clients {
        assert_eq!(client.get("/").await, "root", "{name}");
        assert_eq!(client.get("/other/7").await, "other 7", "{name}");
        assert_eq!(client.get("/version").await, version, "{name}");
        let missing = client.send("GET", "/missing", empty()).await;
        assert_eq!(missing.status(), 404, "{name}");
        let echo = client.send("POST", "/echo", pattern_body(300_000)).await;
        assert_eq!(bytes_of(echo.into_body()).await, upload, "{name}");
    }
    serving.abort();
}

/// A service need not know of it: the answer to HEAD has no body in any protocol.
#[tokio::test]
async fn an_answer_that_must_have_no_body_has_none() {
    let service = tower::service_fn(|request: Request<spdy::Body>| async move {
        let status = request.uri().path()[1..].parse::<u16>().unwrap();
        let response = Response::builder().status(status);
        Ok::<_, std::convert::Infallible>(response.body(spdy::Body::from("a body")).unwrap())
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(spdy::serve(listener, service).auto().into_future());
    for mut client in [
        Client::spdy(address).await,
        Client::upgraded(address, "/200").await,
        Client::http1(address).await,
        Client::http2(address).await,
    ] {
        for (method, path) in [("HEAD", "/200"), ("GET", "/204"), ("GET", "/304")] {
            let response = client.send(method, path, empty()).await;
            assert_eq!(response.status().as_str(), &path[1..]);
            assert_eq!(bytes_of(response.into_body()).await, "", "{method} {path}");
        }
        assert_eq!(client.get("/200").await, "a body");
    }
    serving.abort();
}

#[tokio::test]
async fn a_connection_and_its_http_requests_tell_their_protocol() {
    let (io, peer) = tokio::io::duplex(64 * 1024);
    let service = service_fn(|request: Request<Body>| async move {
        let protocol = request.extensions().get::<Protocol>().copied();
        Ok::<_, Infallible>(Response::new(Body::from(format!("{protocol:?}"))))
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(io), service));
    assert_eq!(connection.protocol(), None);
    let io = TokioIo::new(peer);
    let (mut send, driver) = hyper::client::conn::http1::handshake(io).await.unwrap();
    spawn(driver);
    let request = Request::get("/").header("host", "a").body(empty()).unwrap();
    let asking = send.send_request(request);
    let response = tokio::select! {
        response = asking => response.unwrap(),
        ended = &mut connection => panic!("{ended:?}"),
    };
    assert_eq!(connection.protocol(), Some(Protocol::Http11));
    assert_eq!(
        bytes_of(Body::new(response.into_body())).await,
        "Some(Http11)"
    );
}

/// Time-outs do not fire there, and nothing panics.
#[test]
fn a_runtime_without_a_time_driver_serves_every_protocol() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = spawn(spdy::serve(listener, app()).auto().into_future());
        for start in [
            &b"GET /other/7 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1],
        ] {
            let mut io = tokio::net::TcpStream::connect(address).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut io, start)
                .await
                .unwrap();
            let first = tokio::io::AsyncReadExt::read_u8(&mut io).await;
            assert!(first.is_ok(), "{start:?}: {first:?}");
        }
        assert!(!serving.is_finished());
    });
}

#[tokio::test]
async fn an_upgrade_on_one_path_serves_every_path() {
    let (address, serving) = serve().await;
    for path in ["/", "/missing", "/other/1?a=b"] {
        let mut client = Client::upgraded(address, path).await;
        assert_eq!(client.get("/other/42").await, "other 42");
        assert_eq!(client.get("/").await, "root");
    }
    serving.abort();
}
