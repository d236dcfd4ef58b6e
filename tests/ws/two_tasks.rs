//! A reader and a writer in two tasks, on a socket that knows one waker: that of whoever has asked last.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::WriteHalf;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::line::{Line, Socket, tunnel};
use super::websocket::Plain;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

type Writer = WriteHalf<spdy::ws::Tunnel<Socket>>;

/// Many Pings before a byte.
fn ask(line: &Line) {
    for _ in 0..100 {
        line.receive(Plain::Ping);
    }
    line.receive_bytes(b"x");
}

/// A reader that waits until the answers to Pings are written.
async fn waiting_reader() -> (JoinHandle<io::Result<u8>>, Writer, Line) {
    let (tunnel, line) = tunnel();
    line.with(|state| state.stuck = true);
    ask(&line);
    let (mut from, to) = split(tunnel);
    let reading = spawn(async move { from.read_u8().await });
    sleep(SECOND).await;
    assert!(!reading.is_finished());
    (reading, to, line)
}

async fn has_read(reading: JoinHandle<io::Result<u8>>) {
    assert_eq!(within("the read", reading).await.unwrap().unwrap(), b'x');
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_gives_up_waiting_does_not_keep_the_reader_asleep() {
    let (reading, mut to, line) = waiting_reader().await;
    timeout(SECOND, to.flush()).await.unwrap_err();
    line.with(|state| state.stuck = false);
    has_read(reading).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_gives_up_waiting_does_not_keep_the_writer_asleep() {
    let (tunnel, line) = tunnel();
    line.with(|state| state.stuck = true);
    ask(&line);
    let (mut from, mut to) = split(tunnel);
    let flushing = spawn(async move { to.flush().await });
    sleep(SECOND).await;
    timeout(SECOND, from.read_u8()).await.unwrap_err();
    line.with(|state| state.stuck = false);
    within("the flush", flushing).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_needs_less_than_the_reader_does_not_keep_it_asleep() {
    let (reading, mut to, line) = waiting_reader().await;
    line.with(|state| state.room = 0);
    let writing = spawn(async move {
        to.write_all(b"y").await.unwrap();
        to
    });
    settle().await;
    line.with(|state| state.room = 1);
    // It has written, and flushes nothing.
    let _to = within("the write", writing).await.unwrap();
    line.with(|state| state.stuck = false);
    has_read(reading).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_one_side_sees_wakes_the_other() {
    for reader_first in [true, false] {
        let _guard = on_failure(|| eprintln!("reader_first: {reader_first}"));
        let (tunnel, line) = tunnel();
        line.with(|state| state.stuck = true);
        ask(&line);
        let (mut from, mut to) = split(tunnel);
        let read = async move { from.read_u8().await };
        let flush = async move { to.flush().await };
        let (reader, writer);
        if reader_first {
            reader = spawn(read);
            settle().await;
            writer = spawn(flush);
        } else {
            writer = spawn(flush);
            settle().await;
            reader = spawn(read);
        }
        settle().await;
        line.with(|state| state.write_error = Some(ErrorKind::ConnectionReset));
        let read = within("the read", reader).await.unwrap().unwrap_err();
        let flushed = within("the flush", writer).await.unwrap().unwrap_err();
        let kinds = [read.kind(), flushed.kind()];
        // One is told what has failed, the other that it has.
        assert!(kinds.contains(&ErrorKind::ConnectionReset), "{kinds:?}");
        assert_ne!(kinds[0], kinds[1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_goes_on_when_the_writer_has_closed() {
    let (reading, mut to, _line) = waiting_reader().await;
    to.shutdown().await.unwrap();
    has_read(reading).await;
}

/// Nothing is answered any more, nor may a sink be used that was closed.
#[tokio::test(start_paused = true)]
async fn behind_our_close_pings_do_not_hold_reading_up() {
    let (mut tunnel, line) = tunnel();
    tunnel.shutdown().await.unwrap();
    line.with(|state| state.stuck = true);
    ask(&line);
    let read = within("the read", tunnel.read_u8()).await;
    assert_eq!(read.unwrap(), b'x');
}

/// The library would keep the answers for ever.
#[tokio::test(start_paused = true)]
async fn a_socket_that_has_failed_takes_no_more_answers() {
    let (mut tunnel, line) = tunnel();
    line.with(|state| state.write_error = Some(ErrorKind::BrokenPipe));
    tunnel.flush().await.unwrap_err();
    line.with(|state| (state.write_error, state.stuck) = (None, true));
    ask(&line);
    let error = within("the read", tunnel.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert!(error.to_string().contains("Pings"), "{error}");
    assert_eq!(line.with(|state| state.incoming.len()), 100 - 64 + 1);
}
