//! What becomes of what is written, and how a tunnel is closed.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;

use tokio::io::AsyncWrite;

use super::line::tunnel;
use super::websocket::Plain;
use super::*;

const LARGEST: usize = 32 << 10;

fn binary(bytes: &[u8]) -> Plain {
    Plain::Binary(bytes::Bytes::copy_from_slice(bytes))
}

fn bye(code: u16, reason: &str) -> Plain {
    Plain::Close(Some(code), reason.into())
}

#[tokio::test(start_paused = true)]
async fn a_write_is_one_binary_message_of_at_most_32_kib() {
    let (mut tunnel, line) = tunnel();
    assert_eq!(tunnel.write(b"abc").await.unwrap(), 3);
    assert_eq!(tunnel.write(&vec![7; 100_000]).await.unwrap(), LARGEST);
    // An empty message would be the end to some peers.
    assert_eq!(tunnel.write(b"").await.unwrap(), 0);
    assert_eq!(line.sent(), [binary(b"abc"), binary(&[7; LARGEST])]);
    assert_eq!(line.with(|state| state.flushed), 0);
    tunnel.flush().await.unwrap();
    assert_eq!(line.with(|state| state.flushed), 2);
}

#[tokio::test(start_paused = true)]
async fn the_slices_of_a_write_are_joined_up_to_32_kib() {
    let (mut tunnel, line) = tunnel();
    assert!(tunnel.is_write_vectored());
    let large = vec![7; LARGEST];
    let mut slices = [
        IoSlice::new(b"ab"),
        IoSlice::new(b""),
        IoSlice::new(b"c"),
        IoSlice::new(&large),
    ];
    let n = tunnel.write_vectored(&slices).await.unwrap();
    assert_eq!(n, LARGEST);
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, n);
    assert_eq!(tunnel.write_vectored(rest).await.unwrap(), 3);
    assert_eq!(tunnel.write_vectored(&[]).await.unwrap(), 0);
    let empty = [IoSlice::new(b""), IoSlice::new(b"")];
    assert_eq!(tunnel.write_vectored(&empty).await.unwrap(), 0);
    let sizes = line.sent().into_iter().map(|message| match message {
        Plain::Binary(bytes) => bytes.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [LARGEST, 3]);
    assert_eq!(&line.sent_bytes()[..4], b"abc\x07");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_takes_nothing_holds_the_writer_up_and_wakes_it() {
    let (mut tunnel, line) = tunnel();
    line.with(|state| state.room = 1);
    tunnel.write_all(b"1").await.unwrap();
    let writing = spawn(async move {
        tunnel.write_all(b"2").await.unwrap();
        tunnel.shutdown().await.unwrap();
    });
    settle().await;
    assert_eq!(line.sent().len(), 1);
    line.with(|state| state.room = 1);
    settle().await;
    assert_eq!(line.sent().len(), 2, "Close needs room, too");
    line.with(|state| state.room = 1);
    within("the writer", writing).await.unwrap();
    assert_eq!(line.sent(), [binary(b"1"), binary(b"2"), bye(1000, "")]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_sends_close_1000_once_and_closes_the_sink() {
    let (mut tunnel, line) = tunnel();
    line.with(|state| state.close_waits = 3);
    tunnel.write_all(b"x").await.unwrap();
    tunnel.shutdown().await.unwrap();
    tunnel.shutdown().await.unwrap();
    assert_eq!(line.sent(), [binary(b"x"), bye(1000, "")]);
    assert_eq!(line.with(|state| (state.closes, state.flushed)), (4, 2));
    let error = tunnel.write(b"y").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(error.to_string().contains("shut down"), "{error}");
    tunnel.flush().await.unwrap();
    // The peer goes on until it has seen the Close, and then answers it.
    line.receive_bytes(b"rest");
    line.receive(bye(1000, ""));
    let mut rest = Vec::new();
    within("the rest", tunnel.read_to_end(&mut rest))
        .await
        .unwrap();
    assert_eq!(rest, b"rest");
    assert_eq!(line.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_the_peers_close_nothing_is_sent_and_shutdown_is_quiet() {
    for code in [1000, 1011] {
        let (mut tunnel, line) = tunnel();
        line.receive(bye(code, ""));
        let read = within("the end", tunnel.read(&mut [0; 9])).await;
        assert_eq!(read.is_ok(), code == 1000);
        let error = tunnel.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert!(error.to_string().contains("the peer has closed"), "{error}");
        tunnel.flush().await.unwrap();
        line.with(|state| state.close_error = Some(ErrorKind::BrokenPipe));
        tunnel.shutdown().await.unwrap();
        assert_eq!(line.sent(), []);
        // By which a library sends its answer to the Close.
        assert_eq!(line.with(|state| state.closes), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn after_text_shutdown_sends_close_1003() {
    let (mut tunnel, line) = tunnel();
    line.receive(Plain::Text);
    tunnel.read(&mut [0; 9]).await.unwrap_err();
    // Not yet: what is under way may be worth it.
    tunnel.write_all(b"x").await.unwrap();
    tunnel.shutdown().await.unwrap();
    assert_eq!(
        line.sent(),
        [binary(b"x"), bye(1003, "binary messages only")]
    );
}

#[tokio::test(start_paused = true)]
async fn after_the_socket_has_failed_shutdown_says_nothing_and_is_quiet() {
    let (mut tunnel, line) = tunnel();
    line.with(|state| state.incoming.push_back(Err(ErrorKind::InvalidData.into())));
    tunnel.read(&mut [0; 9]).await.unwrap_err();
    tunnel.shutdown().await.unwrap();
    assert_eq!(line.sent(), []);
    assert_eq!(line.with(|state| state.closes), 1);

    for step in ["write", "flush"] {
        let (mut tunnel, line) = super::line::tunnel();
        tunnel.write_all(b"x").await.unwrap();
        line.with(|state| state.write_error = Some(ErrorKind::ConnectionReset));
        let failed = match step {
            "write" => tunnel.write(b"y").await.map(drop),
            _ => tunnel.flush().await,
        };
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let again = [
            tunnel.write(b"y").await.unwrap_err(),
            tunnel.flush().await.unwrap_err(),
        ];
        for error in again {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{step}");
        }
        tunnel.shutdown().await.unwrap();
        assert_eq!(line.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_cannot_be_sent_is_an_error_of_the_first_shutdown() {
    for at_once in [true, false] {
        let (mut tunnel, line) = tunnel();
        let reset = Some(ErrorKind::ConnectionReset);
        line.with(|state| match at_once {
            true => state.write_error = reset,
            false => state.close_error = reset,
        });
        let error = tunnel.shutdown().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        tunnel.shutdown().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_halves_of_a_tunnel_wait_each_for_itself() {
    let (tunnel, line) = tunnel();
    line.with(|state| state.room = 0);
    let (mut read, mut write) = split(tunnel);
    let reading = spawn(async move { read.read_u8().await });
    let writing = spawn(async move { write.write_all(b"x").await });
    settle().await;
    line.receive_bytes(b"y");
    assert_eq!(within("the reader", reading).await.unwrap().unwrap(), b'y');
    line.with(|state| state.room = 1);
    within("the writer", writing).await.unwrap().unwrap();
    assert_eq!(line.sent(), [binary(b"x")]);
}

#[tokio::test(start_paused = true)]
async fn debug_shows_no_content() {
    let (mut tunnel, line) = tunnel();
    line.receive_bytes(b"secret");
    tunnel.read_u8().await.unwrap();
    let shown = format!("{tunnel:?}");
    assert!(
        shown.contains("unread: 5") && !shown.contains("ecret"),
        "{shown}"
    );
    let polled = poll_fn(|cx| Pin::new(&mut tunnel).poll_flush(cx)).await;
    polled.unwrap();
}
