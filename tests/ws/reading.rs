//! What messages mean for the reader.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::{ArcWake, waker};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::line::tunnel;
use super::websocket::Plain;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn close(code: u16) -> Plain {
    Plain::Close(Some(code), String::new())
}

async fn read<T: AsyncRead + Unpin>(tunnel: &mut T, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let mut buf = ReadBuf::new(&mut bytes);
    let read = poll_fn(|cx| Pin::new(&mut *tunnel).poll_read(cx, &mut buf));
    within("a read", read).await?;
    let n = buf.filled().len();
    bytes.truncate(n);
    Ok(bytes)
}

/// The error of the next read.
async fn failure<T: AsyncRead + Unpin>(tunnel: &mut T) -> io::Error {
    read(tunnel, 100).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_read_in_any_pieces_and_a_read_joins_messages() {
    let (mut tunnel, line) = tunnel();
    line.receive_bytes(b"abcdef");
    line.receive_bytes(b"gh");
    line.receive_bytes(b"ij");
    assert_eq!(read(&mut tunnel, 1).await.unwrap(), b"a");
    assert_eq!(read(&mut tunnel, 0).await.unwrap(), b"");
    assert_eq!(read(&mut tunnel, 3).await.unwrap(), b"bcd");
    assert_eq!(read(&mut tunnel, 100).await.unwrap(), b"efghij");
}

#[tokio::test(start_paused = true)]
async fn empty_messages_and_pings_are_passed_over() {
    let (mut tunnel, line) = tunnel();
    for _ in 0..100 {
        line.receive_bytes(b"");
        line.receive(Plain::Ping);
    }
    line.receive_bytes(b"x");
    // Not as an end, which a read of nothing would be.
    assert_eq!(read(&mut tunnel, 100).await.unwrap(), b"x");
}

#[tokio::test(start_paused = true)]
async fn no_message_is_taken_while_one_is_unread() {
    let (mut tunnel, line) = tunnel();
    for _ in 0..3 {
        line.receive_bytes(&[7; 1000]);
    }
    for _ in 0..1000 {
        read(&mut tunnel, 1).await.unwrap();
        assert_eq!(line.with(|state| state.incoming.len()), 2);
    }
    read(&mut tunnel, 1).await.unwrap();
    assert_eq!(line.with(|state| state.incoming.len()), 1);
}

#[test]
fn a_peer_that_sends_nothing_of_use_for_ever_lets_others_run() {
    struct Woken(std::sync::atomic::AtomicUsize);
    impl ArcWake for Woken {
        fn wake_by_ref(woken: &std::sync::Arc<Self>) {
            woken.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    for useless in [Plain::Binary(bytes::Bytes::new()), Plain::Ping] {
        let (mut tunnel, line) = tunnel();
        line.with(|state| state.endless = Some(useless));
        let woken = std::sync::Arc::new(Woken(0.into()));
        let waker = waker(woken.clone());
        let mut bytes = [0; 100];
        for n in 1..=10 {
            let mut buf = ReadBuf::new(&mut bytes);
            let polled =
                Pin::new(&mut tunnel).poll_read(&mut Context::from_waker(&waker), &mut buf);
            assert!(polled.is_pending());
            // The socket was ready: nobody else would wake the reader.
            assert_eq!(woken.0.load(std::sync::atomic::Ordering::Relaxed), n);
            assert!(line.with(|state| state.polls) <= 100 * n);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_a_close_with_1000() {
    let (mut tunnel, line) = tunnel();
    line.receive_bytes(b"last");
    line.receive(close(1000));
    // What comes behind it is not looked at.
    line.receive_bytes(b"too late");
    assert_eq!(read(&mut tunnel, 100).await.unwrap(), b"last");
    for _ in 0..3 {
        assert_eq!(read(&mut tunnel, 100).await.unwrap(), b"");
    }
}

#[tokio::test(start_paused = true)]
async fn any_other_close_is_an_error_that_names_the_code_and_the_reason() {
    for (message, expected) in [
        (close(1001), "with the code 1001; 1000 is"),
        (close(1011), "with the code 1011; 1000 is"),
        (close(4000), "with the code 4000; 1000 is"),
        (Plain::Close(None, String::new()), "without a code; 1000 is"),
        (
            Plain::Close(Some(1008), "a\u{1b}[2Jb".into()),
            r#"with the code 1008: "a\u{1b}[2Jb"; 1000 is"#,
        ),
        (
            Plain::Close(Some(1008), "é".repeat(10_000)),
            "with the code 1008: \"é",
        ),
    ] {
        let (mut tunnel, line) = tunnel();
        line.receive_bytes(b"last");
        line.receive(message);
        assert_eq!(read(&mut tunnel, 100).await.unwrap(), b"last");
        let error = failure(&mut tunnel).await;
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(text.len() < 500, "{}", text.len());
        // Not an end afterwards either.
        assert!(failure(&mut tunnel).await.to_string().contains("before"));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_end_without_a_close_are_no_end() {
    let (mut tunnel, line) = tunnel();
    line.receive_bytes(b"last");
    line.with(|state| state.ended = true);
    assert_eq!(read(&mut tunnel, 100).await.unwrap(), b"last");
    assert_eq!(failure(&mut tunnel).await.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(
        failure(&mut tunnel).await.kind(),
        ErrorKind::ConnectionAborted
    );
}

#[tokio::test(start_paused = true)]
async fn text_is_an_error_behind_the_bytes_before_it() {
    let (mut tunnel, line) = tunnel();
    line.receive_bytes(b"bytes");
    line.receive(Plain::Text);
    line.receive_bytes(b"more");
    assert_eq!(read(&mut tunnel, 100).await.unwrap(), b"bytes");
    let error = failure(&mut tunnel).await;
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("a text message"), "{error}");
    assert!(failure(&mut tunnel).await.to_string().contains("before"));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_library_keeps_the_kind_of_the_io_error_behind_it() {
    let (mut tunnel, line) = tunnel();
    line.with(|state| {
        let error = io::Error::new(ErrorKind::ConnectionReset, "gone");
        state.incoming.push_back(Err(error));
    });
    let error = failure(&mut tunnel).await;
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(error.to_string(), "gone");

    // Deeper, as axum has it; and one that has none.
    for (library, kind) in [
        (
            tungstenite::Error::Io(ErrorKind::TimedOut.into()),
            ErrorKind::TimedOut,
        ),
        (
            tungstenite::Error::AttackAttempt,
            ErrorKind::ConnectionAborted,
        ),
    ] {
        let text = library.to_string();
        let socket = Failing(Some(::axum::Error::new(library)));
        let error = failure(&mut spdy::ws::Tunnel::new(socket)).await;
        assert_eq!(error.kind(), kind);
        assert_eq!(error.to_string(), text);
    }
}

use tokio_tungstenite::tungstenite;

struct Failing(Option<::axum::Error>);

impl futures_core::Stream for Failing {
    type Item = Result<::axum::extract::ws::Message, ::axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

/// Never asked for: nothing is written, nor has it to be answered.
impl futures_sink::Sink<::axum::extract::ws::Message> for Failing {
    type Error = ::axum::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        unreachable!()
    }

    fn start_send(
        self: Pin<&mut Self>,
        _: ::axum::extract::ws::Message,
    ) -> Result<(), Self::Error> {
        unreachable!()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        unreachable!()
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        unreachable!()
    }
}

/// Its answers to Pings would pile up in the library.
#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_and_takes_no_answer_is_read_no_more() {
    let (mut tunnel, line) = tunnel();
    line.with(|state| state.stuck = true);
    for _ in 0..1000 {
        line.receive(Plain::Ping);
    }
    line.receive_bytes(b"x");
    let mut reading = Box::pin(read(&mut tunnel, 100));
    let waits = tokio::time::timeout(SECOND, &mut reading).await;
    assert!(waits.is_err());
    assert_eq!(line.with(|state| state.incoming.len()), 1000 - 64 + 1);
    line.with(|state| state.stuck = false);
    assert_eq!(reading.await.unwrap(), b"x");
}

/// In two tasks, of which the socket wakes the one that has asked last.
#[tokio::test(start_paused = true)]
async fn reader_and_writer_both_go_on_when_all_is_written() {
    for reader_first in [true, false] {
        let (tunnel, line) = tunnel();
        line.with(|state| state.stuck = true);
        for _ in 0..100 {
            line.receive(Plain::Ping);
        }
        line.receive_bytes(b"x");
        let (mut from, mut to) = tokio::io::split(tunnel);
        let read = async move { read(&mut from, 100).await.unwrap() };
        let flush = async move { to.flush().await.unwrap() };
        let (reader, writer);
        if reader_first {
            reader = spawn(read);
            tokio::time::sleep(SECOND).await;
            writer = spawn(flush);
        } else {
            writer = spawn(flush);
            tokio::time::sleep(SECOND).await;
            reader = spawn(read);
        }
        tokio::time::sleep(SECOND).await;
        assert!(!reader.is_finished() && !writer.is_finished());
        line.with(|state| state.stuck = false);
        assert_eq!(within("the read", reader).await.unwrap(), b"x");
        within("the flush", writer).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_cannot_be_written_are_an_error_of_the_reader() {
    let (mut tunnel, line) = tunnel();
    line.with(|state| state.write_error = Some(ErrorKind::BrokenPipe));
    for _ in 0..100 {
        line.receive(Plain::Ping);
    }
    assert_eq!(failure(&mut tunnel).await.kind(), ErrorKind::BrokenPipe);
}
