//! `upgrade::connect` against servers that do, do not, or do something else.

use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::{self, SendRequest};
use spdy::frame::Role;
use spdy::upgrade::{self, Answer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::spawn;
use tokio::task::JoinHandle;

use crate::http_support::*;
use crate::support::*;

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: spdy/3.1\r\n\r\n";

fn request() -> Request<AnyBody> {
    Request::get("http://user@example.com:81/a?b")
        .body(empty())
        .unwrap()
}

/// Sends the request; the server reads its head.
async fn asked(
    request: Request<AnyBody>,
) -> (JoinHandle<spdy::Result<Answer>>, DuplexStream, String) {
    let (io, mut server) = tokio::io::duplex(64 * 1024);
    let asking = spawn(upgrade::connect(TokioIo::new(io), request));
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the head", server.read_u8()).await.unwrap());
    }
    (asking, server, String::from_utf8(head).unwrap())
}

/// What [`upgrade::connect`] makes of this answer, after which the server closes.
async fn answered(answer: &[u8]) -> spdy::Result<Answer> {
    let (asking, mut server, _) = asked(request()).await;
    server.write_all(answer).await.unwrap();
    drop(server);
    within("the outcome", asking).await.unwrap()
}

#[tokio::test]
async fn the_request_is_what_a_server_needs_and_nothing_more() {
    let (_asking, _server, head) = asked(request()).await;
    let mut lines: Vec<_> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "GET /a?b HTTP/1.1");
    lines.sort_unstable();
    let expected = [
        "connection: Upgrade",
        "host: example.com:81",
        "upgrade: SPDY/3.1",
    ];
    assert_eq!(lines, expected);

    // The host that the URI names counts, as it does on SPDY, without a port that says nothing.
    let both = Request::get("http://example.com:80?b")
        .header("host", "other")
        .body(empty())
        .unwrap();
    let (_asking, _server, head) = asked(both).await;
    assert!(head.starts_with("GET /?b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: example.com\r\n"), "{head}");
    assert_eq!(head.matches("host:").count(), 1, "{head}");

    // What the caller has said stays.
    let own = Request::post("/exec")
        .header("host", "pod")
        .header("connection", "keep-alive, upgrade")
        .header("upgrade", "spdy/3.1")
        .header("x-stream-protocol-version", "v5")
        .header("x-stream-protocol-version", "v4")
        .body(empty())
        .unwrap();
    let (_asking, _server, head) = asked(own).await;
    assert!(head.starts_with("POST /exec HTTP/1.1\r\n"), "{head}");
    assert_eq!(
        head.to_ascii_lowercase().matches("upgrade:").count(),
        1,
        "{head}"
    );
    assert_eq!(head.matches("host:").count(), 1, "{head}");
    assert_eq!(
        head.matches("x-stream-protocol-version: v").count(),
        2,
        "{head}"
    );
}

/// The server speaks at once; its frames come in the same piece as the 101.
#[tokio::test]
async fn frames_right_behind_the_101_are_kept() {
    let (io, wire) = pipe();
    let mut peer = Peer::new(wire, Role::Server);
    let asking = spawn(upgrade::connect(TokioIo::new(io), request()));
    settle().await;
    let mut both = SWITCHING.as_bytes().to_vec();
    both.extend_from_slice(&peer.encode(ping(2)));
    peer.send_raw(&both).await;
    let answer = within("the outcome", asking).await.unwrap().unwrap();
    let builder = client::Builder::new(TokioExecutor::new());
    let (_send, connection): (SendRequest<AnyBody>, _) = answer
        .switched()
        .unwrap()
        .into_send_request(&builder)
        .await
        .unwrap();
    spawn(connection);
    peer.skip_http_head().await;
    peer.expect_preface().await;
    peer.expect(ping(2)).await;
}

#[tokio::test]
async fn a_refusal_comes_back_whole() {
    let body = pattern(0, 1 << 20);
    let head = format!(
        "HTTP/1.1 403 Forbidden\r\nx-reason: because\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (asking, mut server, _) = asked(request()).await;
    let sent = body.clone();
    let sending = spawn(async move {
        server.write_all(head.as_bytes()).await.unwrap();
        server.write_all(&sent).await.unwrap();
        // The connection is given up with its last byte.
        within("the client's end", server.read(&mut [0; 1]))
            .await
            .unwrap()
    });
    let Answer::Refused(response) = within("the outcome", asking).await.unwrap().unwrap() else {
        panic!("403 does not switch");
    };
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["x-reason"], "because");
    assert_eq!(bytes_of(response.into_body()).await, body);
    assert_eq!(sending.await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_switch_is_named() {
    let answer = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let error = answer.unwrap().switched().unwrap_err();
    assert!(error.is_negotiation() && error.is_remote(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("expected 101 Switching Protocols with Upgrade: SPDY/3.1"),
        "{text}"
    );
    assert!(text.contains("answered 200 OK"), "{text}");

    let websocket =
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let error = answered(websocket).await.unwrap_err();
    assert!(error.is_negotiation(), "{error}");
    assert!(
        error.to_string().contains("101 with upgrade: websocket"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_none_is_named() {
    // A SPDY server answers an HTTP request with its own first frame, or closes.
    for answer in [
        &[0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0][..],
        b"SSH-2.0-x\r\n",
        b"",
    ] {
        let error = answered(answer).await.unwrap_err();
        assert!(error.is_http(), "{answer:?}: {error}");
        assert!(
            error
                .to_string()
                .contains("the request to upgrade to SPDY/3.1"),
            "{error}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[tokio::test]
async fn a_proxy_that_closes_behind_its_101_is_named() {
    let answer = answered(SWITCHING.as_bytes()).await.unwrap();
    let builder = client::Builder::new(TokioExecutor::new());
    let (mut send, connection) = answer
        .switched()
        .unwrap()
        .into_send_request(&builder)
        .await
        .unwrap();
    let driver = spawn(connection);
    let error = send.send_request(request()).await.unwrap_err();
    let text = error.to_string();
    assert!(error.is_closed(), "{text}");
    assert!(text.contains("SPDY frames were expected"), "{text}");
    within("the connection", driver)
        .await
        .unwrap()
        .expect_err("a connection that never was is no success");
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_a_user_error() {
    let (io, _server) = tokio::io::duplex(1024);
    let nowhere = Request::get("/a").body(empty()).unwrap();
    let error = upgrade::connect(TokioIo::new(io), nowhere)
        .await
        .unwrap_err();
    assert!(
        error.is_user() && error.to_string().contains("Host header"),
        "{error}"
    );

    let (io, _server) = tokio::io::duplex(1024);
    let with_body = Request::post("http://a/").body(full("x")).unwrap();
    let error = upgrade::connect(TokioIo::new(io), with_body)
        .await
        .unwrap_err();
    assert!(
        error.is_user() && error.to_string().contains("no body"),
        "{error}"
    );
}
