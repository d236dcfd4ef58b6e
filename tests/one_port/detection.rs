//! Which protocol it is, from bytes that come slowly, are wrong, or do not come.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::alpn::WithAlpn;
use spdy::server::auto;
use spdy::{Body, NegotiatedAlpn};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::spawn;
use tokio::time::Instant;

use crate::http_support::*;
use crate::support::*;

impl NegotiatedAlpn for Io {}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("hello")))
}

/// A connection that is being served, and the client's end of it.
fn served(change: impl FnOnce(&mut auto::Builder<TokioExecutor>)) -> (Driver, DuplexStream) {
    let (io, peer) = tokio::io::duplex(64 * 1024);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    change(&mut builder);
    let connection = builder.serve_connection(TokioIo::new(io), service_fn(hello));
    (spawn(connection), peer)
}

#[tokio::test]
async fn spdy_is_told_from_bytes_that_come_one_by_one() {
    let (io, wire) = pipe();
    let builder = auto::Builder::new(TokioExecutor::new());
    spawn(builder.serve_connection(TokioIo::new(io), service_fn(hello)));
    let mut peer = Peer::new(wire, spdy::frame::Role::Client);
    for byte in peer.encode(get(1)) {
        settle().await;
        peer.send_raw([byte]).await;
    }
    peer.expect_preface().await;
    expect_reply(&mut peer, 1, "200").await;
}

#[tokio::test]
async fn http_is_told_from_bytes_that_come_one_by_one() {
    let http1 = b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    for (bytes, answer) in [
        (&http1[..], &b"HTTP/1.1 200 OK\r\n"[..]),
        (
            b"\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ),
        (b"NONSENSE\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        // Not the preface of HTTP/2, however long it looks like that.
        (b"PRI * HTTP/1.1\r\nhost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
        // SETTINGS.
        (http2, &[0, 0, 18, 4]),
    ] {
        let (_driver, mut peer) = served(|_| ());
        for &byte in bytes {
            settle().await;
            peer.write_all(&[byte]).await.unwrap();
        }
        let mut start = vec![0; answer.len()];
        within("an answer", peer.read_exact(&mut start))
            .await
            .unwrap();
        if answer.starts_with(b"HTTP") {
            assert_eq!(
                String::from_utf8_lossy(&start),
                String::from_utf8_lossy(answer)
            );
        } else {
            assert_eq!(start[3], 4, "a SETTINGS frame of HTTP/2: {start:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_say_enough_is_given_up() {
    // hyper has no time-out for the preface of HTTP/2.
    for start in [&b""[..], &[0x80], b"PRI", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let (driver, mut peer) = served(|_| ());
        peer.write_all(start).await.unwrap();
        let began = Instant::now();
        let error = within("the end", driver).await.unwrap().unwrap_err();
        assert_eq!(began.elapsed().as_secs(), 10, "the documented default");
        assert_eq!(error.timeout_kind(), Some(spdy::Timeout::Detect));
        assert!(
            error.to_string().contains("SPDY, HTTP/1.1 and HTTP/2"),
            "{error}"
        );
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0, "nothing was sent");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_to_tell_is_an_option() {
    let (driver, _peer) = served(|builder| {
        builder.detect_timeout(Duration::from_secs(3));
    });
    let began = Instant::now();
    within("the end", driver).await.unwrap().unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 3);

    let (driver, mut peer) = served(|builder| {
        builder.detect_timeout(None);
    });
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    within("the end", driver).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_without_a_word_is_no_error() {
    let (driver, peer) = served(|_| ());
    drop(peer);
    within("the end", driver).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_too_early_is_named() {
    let (driver, mut peer) = served(|_| ());
    peer.write_all(&[0x80]).await.unwrap();
    drop(peer);
    let error = within("the end", driver).await.unwrap().unwrap_err();
    assert!(error.is_closed() && error.is_remote(), "{error}");
    assert!(
        error.to_string().contains("before its first bytes told"),
        "{error}"
    );
}

#[tokio::test]
async fn tls_and_nonsense_on_a_plain_port_are_named() {
    for (start, says) in [
        (
            &[0x16, 3, 1, 2, 0, 1][..],
            "the client began a TLS handshake on a port without TLS",
        ),
        (&[0, 0, 0, 1], "the first bytes are 00 00 00 01"),
        (&[0x80, 4, 0, 1], "the first bytes are 80 04 00 01"),
    ] {
        let (driver, mut peer) = served(|_| ());
        peer.write_all(start).await.unwrap();
        let error = within("the end", driver).await.unwrap().unwrap_err();
        assert!(error.is_negotiation(), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        // In plain text, so that a TLS client sees that there is none.
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[tokio::test]
async fn alpn_decides_without_a_byte() {
    let serve = |name| {
        let (io, peer) = tokio::io::duplex(64 * 1024);
        let builder = auto::Builder::new(TokioExecutor::new());
        let io = TokioIo::new(WithAlpn::new(io, Some(name)));
        (spawn(builder.serve_connection(io, service_fn(hello))), peer)
    };
    // A server of SPDY speaks at once, one of HTTP/2 when it has the preface; both begin with SETTINGS.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (name, start) in [(&b"spdy/3.1"[..], &b""[..]), (b"h2", preface)] {
        let (_driver, mut peer) = serve(name);
        peer.write_all(start).await.unwrap();
        let mut first = [0; 4];
        within("the first frame", peer.read_exact(&mut first))
            .await
            .unwrap();
        assert_eq!(first[3], 4, "{first:?}");
        assert_eq!(first[0] == 0x80, name == b"spdy/3.1", "{first:?}");
    }
    let (_driver, mut peer) = serve(b"http/1.1");
    // Not taken for SPDY, although it looks so: 400.
    peer.write_all(&[0x80, 3, b'\r', b'\n']).await.unwrap();
    let mut answer = [0; 12];
    within("the answer", peer.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");

    let (driver, _peer) = serve(b"spdy/3");
    let error = within("the end", driver).await.unwrap().unwrap_err();
    assert!(error.is_negotiation(), "{error}");
    assert!(
        error.to_string().contains("agreed on \"spdy/3\""),
        "{error}"
    );
}
