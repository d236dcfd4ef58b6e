//! The Upgrade on the wire.

use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::server::auto;
use spdy::stream::Session;
use spdy::{Body, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::spawn;

use super::clients::serve;
use crate::http_support::*;
use crate::support::*;

const HEAD: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";

async fn raw(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut io = TcpStream::connect(address).await.unwrap();
    io.set_nodelay(true).unwrap();
    io.write_all(bytes).await.unwrap();
    io
}

/// Reads up to the empty line.
async fn head(io: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the head", io.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// SYN_STREAM for a GET, as its bytes.
fn a_request() -> Vec<u8> {
    let mut peer = Peer::new(pipe().1, spdy::frame::Role::Client);
    peer.encode(get(1)).to_vec()
}

#[tokio::test]
async fn nothing_is_said_to_an_upgraded_client_before_it_speaks() {
    let (address, serving) = serve().await;
    let mut io = raw(address, HEAD.as_bytes()).await;
    let answer = head(&mut io).await;
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("\r\nconnection: upgrade\r\n"), "{answer}");
    assert!(answer.contains("\r\nupgrade: spdy/3.1\r\n"), "{answer}");
    let early = tokio::time::timeout(Duration::from_secs(1), io.read_u8()).await;
    assert!(early.is_err(), "the server spoke first: {early:?}");

    io.write_all(&a_request()).await.unwrap();
    // SETTINGS first: the whole preface, then the answer.
    let mut first = [0; 4];
    within("the server's first frame", io.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(first, [0x80, 3, 0, 4]);
    serving.abort();
}

#[tokio::test]
async fn frames_right_behind_the_head_are_kept() {
    let (address, serving) = serve().await;
    let mut bytes = HEAD.as_bytes().to_vec();
    bytes.extend_from_slice(&a_request());
    for split in [bytes.len(), HEAD.len() + 1, HEAD.len() + 9, HEAD.len() - 1] {
        let mut io = raw(address, &bytes[..split]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        io.write_all(&bytes[split..]).await.unwrap();
        assert!(head(&mut io).await.starts_with("http/1.1 101 "));
        let mut all = Vec::new();
        // The reply comes behind SETTINGS and WINDOW_UPDATE; its DATA is in the clear.
        while !all.ends_with(b"root") {
            all.push(within("the reply", io.read_u8()).await.unwrap());
        }
    }
    serving.abort();
}

#[tokio::test]
async fn what_is_no_upgrade_to_spdy_is_an_ordinary_request() {
    let (address, serving) = serve().await;
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUpgrade: SPDY/3.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: SPDY/3\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: SPDY/3.1\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let mut io = raw(address, head.as_bytes()).await;
        let mut answer = String::new();
        within("the answer", io.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.contains(" 200 OK\r\n"), "{head:?}: {answer}");
        assert!(answer.ends_with("root"), "{head:?}: {answer}");
    }
    serving.abort();
}

/// With the option off, a handler behind the same port gets the raw session.
#[tokio::test]
async fn upgrades_can_be_left_to_the_handlers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.upgrade(false);
        let (io, _) = listener.accept().await.unwrap();
        let service = service_fn(|mut request: Request<Body>| async move {
            let upgrade = spdy::upgrade::on(&mut request).unwrap();
            let response: Response<Body> = upgrade.response();
            spawn(async move {
                let (session, connection) = upgrade.session(Config::server()).await.unwrap();
                spawn(connection);
                let incoming = session.accept().await.unwrap().unwrap();
                let mut stream = incoming.reply(block(&[("who", "handler")])).unwrap();
                stream.shutdown().await.unwrap();
            });
            Ok::<_, std::convert::Infallible>(response)
        });
        builder.serve_connection(TokioIo::new(io), service).await
    });
    let io = TcpStream::connect(address).await.unwrap();
    let request = Request::post(format!("http://{address}/exec"))
        .body(empty())
        .unwrap();
    let answer = spdy::upgrade::connect(TokioIo::new(io), request).await;
    let (session, connection) = answer
        .unwrap()
        .switched()
        .unwrap()
        .into_session(Config::client());
    spawn(connection);
    let mut stream = open(&session).await;
    let reply = within("the reply", stream.reply()).await.unwrap();
    assert_eq!(text(&reply, "who"), Some("handler"));
}

async fn open(session: &Session) -> spdy::stream::Stream {
    let options = spdy::stream::OpenOptions::new();
    session.open(block(&[("a", "b")]), options).await.unwrap()
}
