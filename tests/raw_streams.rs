//! Raw streams against a scripted peer: opening, replying, half-closing, resetting, dropping, back-pressure.

#![cfg(feature = "stream")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod support;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spdy::frame::{Frame, GoAwayStatus, ResetStatus, SettingId};
use spdy::headers::HeaderBlock;
use spdy::stream::{OpenOptions, Session, Stream};
use spdy::{Config, Error};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::spawn;
use tokio::task::JoinHandle;

type Driver = JoinHandle<Result<(), Error>>;

/// A client with its preface out of the way.
async fn ready_client(config: Config) -> (Session, Driver, Peer) {
    let (session, connection, mut peer) = client(config);
    let driver = spawn(connection);
    peer.expect_preface().await;
    (session, driver, peer)
}

/// A server with its preface out of the way.
async fn ready_server(config: Config) -> (Session, Driver, Peer) {
    let (session, connection, mut peer) = server(config);
    let driver = spawn(connection);
    peer.expect_preface().await;
    (session, driver, peer)
}

async fn open(session: &Session) -> Stream {
    let opened = session.open(HeaderBlock::empty(), OpenOptions::new());
    within("open", opened).await.unwrap()
}

/// A stream of ours that the peer has replied to.
async fn replied(session: &Session, peer: &mut Peer, id: u32) -> Stream {
    let mut stream = open(session).await;
    peer.expect(syn_stream(id)).await;
    peer.send(syn_reply(id)).await;
    within("reply", stream.reply()).await.unwrap();
    stream
}

/// A stream of the peer that we have replied to.
async fn accepted(session: &Session, peer: &mut Peer, id: u32) -> Stream {
    peer.send(syn_stream(id)).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    assert_eq!(incoming.id().get(), id);
    let stream = incoming.reply(HeaderBlock::empty()).unwrap();
    peer.expect(syn_reply(id)).await;
    stream
}

/// The session still works.
async fn assert_alive(session: &Session, peer: &mut Peer) {
    let ping_future = spawn({
        let session = session.clone();
        async move { session.ping().await }
    });
    loop {
        match within("PING", peer.recv()).await {
            Some(Frame::Ping(id)) => {
                peer.send(ping(id)).await;
                break;
            }
            Some(Frame::WindowUpdate(_)) => {}
            other => panic!("expected PING, got {other:?}"),
        }
    }
    within("ping", ping_future).await.unwrap().unwrap();
}

// Opening and replying.

#[tokio::test(start_paused = true)]
async fn open_sends_headers_and_options_and_reply_returns_headers() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let options = OpenOptions::new().priority(spdy::frame::Priority::new(3));
    let mut stream = session.open(block(&[("a", "b")]), options).await.unwrap();
    peer.expect(syn_stream(1).header("a", "b").priority(3))
        .await;
    assert_eq!(stream.id(), Some(id(1)));
    peer.send(syn_reply(1).header("c", "d")).await;
    let reply = within("reply", stream.reply()).await.unwrap();
    assert_eq!(reply.get("c"), Some(&b"d"[..]));
    let again = within("second reply", stream.reply()).await;
    assert!(again.unwrap_err().is_user());
}

#[tokio::test(start_paused = true)]
async fn accept_shows_what_the_syn_stream_carried() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    peer.send(
        syn_stream(5)
            .header("a", "b")
            .priority(6)
            .associated(4)
            .fin(),
    )
    .await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    assert_eq!(incoming.headers().get("a"), Some(&b"b"[..]));
    assert_eq!(incoming.priority().get(), 6);
    assert_eq!(incoming.associated(), Some(id(4)));
    assert!(!incoming.is_unidirectional());
    let mut stream = incoming.reply(block(&[("x", "y")])).unwrap();
    peer.expect(syn_reply(5).header("x", "y")).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert!(bytes.is_empty());
    stream.shutdown().await.unwrap();
    peer.expect(data(5, "").fin()).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_may_be_written_before_the_reply() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = open(&session).await;
    stream.write_all(b"early").await.unwrap();
    peer.expect(syn_stream(1)).await;
    peer.expect(data(1, "early")).await;
}

#[tokio::test(start_paused = true)]
async fn unidirectional_streams_carry_bytes_one_way() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    peer.send(syn_stream(1).unidirectional()).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    assert!(incoming.is_unidirectional());
    let mut stream = incoming.reply(HeaderBlock::empty()).unwrap();
    peer.send(data(1, "one way").fin()).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"one way");
    assert!(stream.write_all(b"x").await.is_err());
    drop(stream);
    peer.expect_quiet().await;
    assert_eq!(session.stream_count(), 0);

    let options = OpenOptions::new().unidirectional(true);
    let mut stream = session.open(HeaderBlock::empty(), options).await.unwrap();
    peer.expect(syn_stream(2).unidirectional()).await;
    assert!(within("reply", stream.reply()).await.is_err());
    stream.write_all(b"push").await.unwrap();
    stream.shutdown().await.unwrap();
    peer.expect_data(2, 4).await;
    let mut rest = Vec::new();
    within("read", stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_status_of_a_rejection_reaches_either_side() {
    for code in 1..=11 {
        let status = ResetStatus::new(code);
        let (session, _driver, mut peer) = ready_server(Config::server()).await;
        peer.send(syn_stream(1)).await;
        let incoming = within("accept", session.accept()).await.unwrap().unwrap();
        incoming.reject(status);
        peer.expect(rst(1, status)).await;
        assert_eq!(session.stream_count(), 0);

        let (session, _driver, mut peer) = ready_client(Config::client()).await;
        let mut stream = open(&session).await;
        peer.expect(syn_stream(1)).await;
        peer.send(rst(1, status)).await;
        let error = within("reply", stream.reply()).await.unwrap_err();
        assert_eq!(error.reset_status(), Some(status));
        assert!(error.is_remote());
        assert_eq!(error.is_retryable(), status == ResetStatus::REFUSED_STREAM);
        assert_eq!(error.stream_id(), Some(id(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_incoming_is_cancelled() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    peer.send(syn_stream(1)).await;
    drop(within("accept", session.accept()).await.unwrap().unwrap());
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn headers_too_large_for_the_limit_are_reset_and_not_handed_out() {
    let config = Config::server().max_header_list_size(100);
    let (session, _driver, mut peer) = ready_server(config).await;
    peer.send(syn_stream(1).header("a", &"x".repeat(200))).await;
    peer.send(syn_stream(3).header("a", "b")).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    assert_eq!(incoming.id(), id(3));
    peer.expect(rst(1, ResetStatus::FRAME_TOO_LARGE)).await;
}

#[tokio::test(start_paused = true)]
async fn headers_go_both_ways() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    stream.write_all(b"12").await.unwrap();
    stream
        .send_half()
        .send_headers(block(&[("mid", "1")]))
        .unwrap();
    stream.write_all(b"34").await.unwrap();
    stream
        .send_half()
        .send_trailers(block(&[("end", "2")]))
        .unwrap();
    peer.expect(data(1, "12")).await;
    peer.expect(headers(1).header("mid", "1")).await;
    peer.expect(data(1, "34")).await;
    peer.expect(headers(1).header("end", "2").fin()).await;
    assert!(stream.write_all(b"x").await.is_err());

    peer.send(headers(1).header("m", "1")).await;
    let got = within("headers", stream.recv_half().headers()).await;
    assert_eq!(got.unwrap().unwrap().get("m"), Some(&b"1"[..]));
    peer.send(data(1, "x")).await;
    peer.send(headers(1).header("t", "2").fin()).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"x");
    assert!(!stream.recv_half().is_end());
    let trailers = within("trailers", stream.recv_half().headers()).await;
    assert_eq!(trailers.unwrap().unwrap().get("t"), Some(&b"2"[..]));
    assert!(
        within("no more", stream.recv_half().headers())
            .await
            .unwrap()
            .is_none()
    );
    assert!(stream.recv_half().is_end());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_headers_ends_with_a_reset() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let stream = accepted(&session, &mut peer, 1).await;
    let (_send, mut recv) = stream.split();
    let waiting = spawn(async move { recv.headers().await });
    settle().await;
    peer.send(rst(1, ResetStatus::CANCEL)).await;
    let error = within("headers", waiting).await.unwrap().unwrap_err();
    assert!(error.is_reset());
}

// Half-close and reset.

#[tokio::test(start_paused = true)]
async fn our_half_close_leaves_the_peer_sending() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    stream.write_all(b"all").await.unwrap();
    within("shutdown", stream.shutdown()).await.unwrap();
    within("second shutdown", stream.shutdown()).await.unwrap();
    within("flush", stream.flush()).await.unwrap();
    assert!(stream.write_all(b"more").await.is_err());
    assert_eq!(peer.expect_all(1, 3).await, b"all");
    peer.send(data(1, "answer")).await;
    let mut buf = [0; 6];
    within("read", stream.read_exact(&mut buf)).await.unwrap();
    assert_eq!(&buf, b"answer");
    peer.send(data(1, "").fin()).await;
    assert_eq!(within("read", stream.read(&mut buf)).await.unwrap(), 0);
    assert_eq!(within("read", stream.read(&mut buf)).await.unwrap(), 0);
    within("third shutdown", stream.shutdown()).await.unwrap();
    drop(stream);
    peer.expect_quiet().await;
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_half_close_of_the_peer_leaves_us_sending() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    peer.send(data(1, "bye").fin()).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"bye");
    stream.write_all(b"still here").await.unwrap();
    peer.expect(data(1, "still here")).await;
    stream.shutdown().await.unwrap();
    peer.expect(data(1, "").fin()).await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_the_peer_wakes_every_wait() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let stream = replied(&session, &mut peer, 1).await;
    let (mut send, mut recv) = stream.split();
    let reader = spawn(async move {
        let mut buf = [0; 16];
        let read = recv.read(&mut buf).await;
        (read, recv)
    });
    let writer = spawn(async move {
        let big = vec![7; 1 << 20];
        let written = send.write_all(&big).await;
        (written, send)
    });
    peer.expect_data(1, 65_536).await;
    peer.send(rst(1, ResetStatus::CANCEL)).await;
    let (read, _recv) = within("read", reader).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let (written, mut send) = within("write", writer).await.unwrap();
    assert_eq!(written.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let error = send.flush().await.unwrap_err();
    let error = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(error.reset_status(), Some(ResetStatus::CANCEL));
    assert!(send.shutdown().await.is_err());
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_reset_is_read_before_its_error() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    peer.send(data(1, "first")).await;
    peer.send(rst(1, ResetStatus::INTERNAL_ERROR)).await;
    settle().await;
    let mut bytes = Vec::new();
    let error = within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap_err();
    assert_eq!(bytes, b"first");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_reset_behind_fin_takes_nothing_away() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    peer.send(data(1, "whole").fin()).await;
    peer.send(rst(1, ResetStatus::CANCEL)).await;
    settle().await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"whole");
    assert!(stream.write_all(b"x").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn our_reset_drops_what_was_queued_and_fails_both_directions() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    peer.send(window_update(0, 1 << 20)).await;
    peer.wire().set_out_capacity(0);
    stream.write_all(&[1; 30_000]).await.unwrap();
    stream.reset(ResetStatus::INTERNAL_ERROR);
    stream.reset(ResetStatus::CANCEL);
    assert!(stream.write_all(b"x").await.is_err());
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    peer.wire().set_out_capacity(usize::MAX);
    peer.expect(rst(1, ResetStatus::INTERNAL_ERROR)).await;
    // What is still in flight is dropped without another reset, and credited to the connection.
    peer.send(data(1, vec![0; 60_000])).await;
    drop(stream);
    assert_alive(&session, &mut peer).await;
    assert_eq!(session.unread_bytes(), 0);
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn data_after_fin_and_second_replies_reset_the_stream_only() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut first = replied(&session, &mut peer, 1).await;
    peer.send(data(1, "x").fin()).await;
    peer.send(data(1, "late")).await;
    peer.expect(rst(1, ResetStatus::STREAM_ALREADY_CLOSED))
        .await;
    assert!(first.write_all(b"x").await.is_err());

    let mut second = replied(&session, &mut peer, 3).await;
    peer.send(syn_reply(3)).await;
    peer.expect(rst(3, ResetStatus::STREAM_IN_USE)).await;
    assert!(second.write_all(b"x").await.is_err());

    let mut third = open(&session).await;
    peer.expect(syn_stream(5)).await;
    peer.send(data(5, "before the reply")).await;
    peer.expect(rst(5, ResetStatus::PROTOCOL_ERROR)).await;
    let error = within("reply", third.reply()).await.unwrap_err();
    assert_eq!(error.reset_status(), Some(ResetStatus::PROTOCOL_ERROR));
    assert!(!error.is_remote());

    peer.send(headers(77)).await;
    peer.expect(rst(77, ResetStatus::INVALID_STREAM)).await;
    peer.send(rst(79, ResetStatus::CANCEL)).await;
    assert_alive(&session, &mut peer).await;
}

// The limit of the peer on our streams.

#[tokio::test(start_paused = true)]
async fn opens_wait_behind_the_limit_and_are_released_in_order() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 1))
        .await;
    settle().await;
    let first = open(&session).await;
    let mut others = Vec::new();
    for name in ["a", "b", "c"] {
        let stream = session
            .open(block(&[("name", name)]), OpenOptions::new())
            .await
            .unwrap();
        assert_eq!(stream.id(), None);
        others.push(stream);
    }
    peer.expect(syn_stream(1)).await;
    peer.expect_quiet().await;
    // One that is given up before its turn never shows.
    drop(others.remove(1));
    peer.send(rst(1, ResetStatus::CANCEL)).await;
    peer.expect(syn_stream(3).header("name", "a")).await;
    peer.expect_quiet().await;
    drop(others.remove(0));
    peer.expect(rst(3, ResetStatus::CANCEL)).await;
    peer.expect(syn_stream(5).header("name", "c")).await;
    drop(first);
    drop(others);
    peer.expect(rst(5, ResetStatus::CANCEL)).await;
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_queues_until_it_is_raised() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 0))
        .await;
    settle().await;
    let mut stream = open(&session).await;
    let writer = spawn(async move {
        stream.write_all(b"x").await.unwrap();
        stream
    });
    peer.expect_quiet().await;
    assert!(!writer.is_finished(), "a waiting stream takes no bytes");
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 10))
        .await;
    peer.expect(syn_stream(1)).await;
    peer.expect(data(1, "x")).await;
    within("write", writer).await.unwrap();
}

/// Opens as many streams as are taken without waiting: the limit of the peer, 1, and 100 that wait.
async fn fill(session: &Session, peer: &mut Peer) -> Vec<Stream> {
    peer.send(settings().set(SettingId::MaxConcurrentStreams, 1))
        .await;
    settle().await;
    let mut streams = Vec::new();
    for _ in 0..101 {
        streams.push(open(session).await);
    }
    streams
}

#[tokio::test(start_paused = true)]
async fn open_waits_when_too_many_wait_and_slots_go_in_order() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut streams = fill(&session, &mut peer).await;
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    let waiting: Vec<_> = (0..4)
        .map(|i| {
            let (session, done) = (session.clone(), done.clone());
            spawn(async move {
                let stream = session.open(HeaderBlock::empty(), OpenOptions::new()).await;
                done.send(i).unwrap();
                stream.unwrap()
            })
        })
        .collect();
    settle().await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    // The second gives up; what is freed goes on to those behind it.
    waiting[1].abort();
    settle().await;
    for expected in [0, 2, 3] {
        drop(streams.pop());
        assert_eq!(within("a slot", order.recv()).await, Some(expected));
    }
    assert_eq!(session.stream_count(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_slot_granted_to_a_waiter_that_is_dropped_is_handed_on() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut streams = fill(&session, &mut peer).await;
    let mut first = Box::pin(session.open(HeaderBlock::empty(), OpenOptions::new()));
    assert!(futures_util::FutureExt::now_or_never(first.as_mut()).is_none());
    let second = spawn({
        let session = session.clone();
        async move {
            session
                .open(HeaderBlock::empty(), OpenOptions::new())
                .await
                .unwrap()
        }
    });
    settle().await;
    // The slot is granted to the first, which is dropped before it looks.
    drop(streams.pop());
    drop(first);
    drop(within("the slot", second).await.unwrap());
    drop(streams);
    settle().await;
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_opens_fail_as_retryable_when_the_session_ends() {
    let (session, driver, mut peer) = ready_client(Config::client()).await;
    let streams = fill(&session, &mut peer).await;
    let waiting = spawn({
        let session = session.clone();
        async move { session.open(HeaderBlock::empty(), OpenOptions::new()).await }
    });
    settle().await;
    peer.send(go_away(0, GoAwayStatus::OK)).await;
    let error = within("open", waiting).await.unwrap().unwrap_err();
    assert!(error.is_retryable() && error.is_go_away());
    for mut stream in streams {
        let error = within("reply", stream.reply()).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    peer.drain().await;
    peer.close();
    within("the connection", driver).await.unwrap().unwrap();
}

// Back-pressure and flow control.

#[tokio::test(start_paused = true)]
async fn a_writer_stops_at_the_window_and_at_64_kib_queued() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let writer = spawn(async move {
        let chunk = [1; 1000];
        for _ in 0..300 {
            stream.write_all(&chunk).await.unwrap();
            count.fetch_add(1000, std::sync::atomic::Ordering::SeqCst);
        }
        stream.shutdown().await.unwrap();
        stream
    });
    peer.expect_data(1, 65_536).await;
    peer.expect_quiet().await;
    let before = written.load(std::sync::atomic::Ordering::SeqCst);
    assert!(
        (65_000..=131_072 + 1000).contains(&before),
        "{before} bytes written with a window of 65,536"
    );
    // Credit for the stream alone releases nothing, nor does that for the connection alone.
    peer.send(window_update(1, 1 << 20)).await;
    peer.expect_quiet().await;
    peer.send(window_update(0, 10_000)).await;
    peer.expect_data(1, 10_000).await;
    peer.expect_quiet().await;
    assert!(!writer.is_finished());
    peer.send(window_update(0, 1 << 20)).await;
    peer.expect_all(1, 300_000 - 75_536).await;
    within("write", writer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_flush_completes_when_the_window_is_used_up_exactly() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    within("write", stream.write_all(&[1; 65_536]))
        .await
        .unwrap();
    within("flush", stream.flush()).await.unwrap();
    peer.expect_data(1, 65_536).await;
    within("shutdown", stream.shutdown()).await.unwrap();
    peer.expect(data(1, "").fin()).await;
}

#[tokio::test(start_paused = true)]
async fn credit_is_returned_when_bytes_are_read_and_only_then() {
    let config = Config::server()
        .initial_stream_window_size(1000)
        .initial_connection_window_size(65_536);
    let (session, connection, mut peer) = server(config);
    spawn(connection);
    within("SETTINGS", peer.recv()).await.unwrap();
    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.send(data(1, vec![1; 1000])).await;
    peer.expect_quiet().await;
    assert_eq!(session.unread_bytes(), 1000);
    let mut buf = vec![0; 400];
    stream.read_exact(&mut buf).await.unwrap();
    peer.expect(window_update(1, 400)).await;
    assert_eq!(session.unread_bytes(), 600);
}

#[tokio::test(start_paused = true)]
async fn one_unread_stream_stops_neither_five_others_nor_ping() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let mut stuck = accepted(&session, &mut peer, 1).await;
    // 200 frames, up to the whole window of the stream.
    for _ in 0..200 {
        peer.send(data(1, vec![9; 1300])).await;
    }
    for i in 0..5 {
        let id = 3 + 2 * i;
        let mut stream = accepted(&session, &mut peer, id).await;
        let echo = spawn(async move {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        peer.send(data(id, vec![5; 5000]).fin()).await;
        let bytes = peer.expect_all(id, 5000).await;
        assert!(bytes.iter().all(|byte| *byte == 5));
        within("echo", echo).await.unwrap();
    }
    peer.send(ping(7)).await;
    peer.expect(ping(7)).await;
    assert_alive(&session, &mut peer).await;
    assert_eq!(session.unread_bytes(), 260_000);
    let mut rest = vec![0; 260_000];
    within("read", stuck.read_exact(&mut rest)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn bytes_of_a_dropped_reader_are_credited_to_the_connection() {
    let config = Config::server()
        .initial_stream_window_size(65_536)
        .initial_connection_window_size(131_072);
    let (session, _driver, mut peer) = ready_server(config).await;
    let stream = accepted(&session, &mut peer, 1).await;
    let (mut send, recv) = stream.split();
    peer.send(data(1, vec![1; 60_000])).await;
    settle().await;
    drop(recv);
    assert_eq!(session.unread_bytes(), 0);
    // 71,072 are left: not due yet.
    peer.expect_quiet().await;
    peer.send(data(1, vec![1; 5536])).await;
    peer.expect(window_update(0, 65_536)).await;
    send.write_all(b"still writing").await.unwrap();
    peer.expect(data(1, "still writing")).await;
    send.shutdown().await.unwrap();
    peer.expect(data(1, "").fin()).await;
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
    // The reset of a stream that nobody reads is no failure of what was written.
    within("shutdown", send.shutdown()).await.unwrap();
    drop(send);
    assert_eq!(session.stream_count(), 0);
}

// AsyncRead and AsyncWrite.

#[tokio::test(start_paused = true)]
async fn zero_length_reads_and_writes_complete_at_once() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    assert_eq!(within("read", stream.read(&mut [])).await.unwrap(), 0);
    assert_eq!(within("write", stream.write(&[])).await.unwrap(), 0);
    within("flush", stream.flush()).await.unwrap();
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn reads_fill_the_buffer_from_several_frames_and_split_large_ones() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    for part in ["ab", "cd", "ef"] {
        peer.send(data(1, part)).await;
    }
    settle().await;
    let mut buf = [0; 5];
    assert_eq!(within("read", stream.read(&mut buf)).await.unwrap(), 5);
    assert_eq!(&buf, b"abcde");
    assert_eq!(within("read", stream.read(&mut buf)).await.unwrap(), 1);
    assert_eq!(buf[0], b'f');
}

#[tokio::test(start_paused = true)]
async fn chunks_of_bytes_go_out_without_a_copy_and_come_in_as_they_arrived() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let stream = replied(&session, &mut peer, 1).await;
    let (mut send, mut recv) = stream.split();
    send.send(Bytes::from(vec![3; 40_000])).await.unwrap();
    send.finish().unwrap();
    assert!(send.send(Bytes::from_static(b"x")).await.is_err());
    let (bytes, _) = peer.expect_data(1, 40_000).await;
    assert!(bytes.iter().all(|byte| *byte == 3));
    peer.send(data(1, "piece").fin()).await;
    let piece = within("data", recv.data()).await.unwrap();
    assert_eq!(piece.as_deref(), Some(&b"piece"[..]));
    assert_eq!(within("data", recv.data()).await.unwrap(), None);
    assert!(recv.is_end());
}

// Dropping.

#[tokio::test(start_paused = true)]
async fn halves_dropped_in_every_order_and_state_end_the_stream() {
    #[derive(Clone, Copy, Debug)]
    enum When {
        Unsent,
        Sent,
        Replied,
        PeerEnded,
        WeEnded,
        Unread,
    }
    use When::*;
    for when in [Unsent, Sent, Replied, PeerEnded, WeEnded, Unread] {
        for send_first in [true, false] {
            let (session, _driver, mut peer) = ready_client(Config::client()).await;
            if matches!(when, Unsent) {
                peer.send(settings().set(SettingId::MaxConcurrentStreams, 0))
                    .await;
                settle().await;
            }
            let mut stream = open(&session).await;
            if !matches!(when, Unsent) {
                peer.expect(syn_stream(1)).await;
            }
            if !matches!(when, Unsent | Sent) {
                peer.send(syn_reply(1)).await;
                stream.reply().await.unwrap();
            }
            match when {
                PeerEnded => peer.send(data(1, "x").fin()).await,
                Unread => peer.send(data(1, "unread")).await,
                WeEnded => {
                    stream.shutdown().await.unwrap();
                    peer.expect(data(1, "").fin()).await;
                }
                _ => {}
            }
            settle().await;
            let (send, recv) = stream.split();
            if send_first {
                drop(send);
                drop(recv);
            } else {
                drop(recv);
                drop(send);
            }
            if matches!(when, Unsent) {
                peer.expect_quiet().await;
            } else {
                peer.expect(rst(1, ResetStatus::CANCEL)).await;
            }
            assert_eq!(session.stream_count(), 0, "{when:?}");
            assert_eq!(session.unread_bytes(), 0, "{when:?}");
            assert_alive(&session, &mut peer).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_sender_never_looks_like_a_clean_end() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let stream = accepted(&session, &mut peer, 1).await;
    let (mut send, mut recv) = stream.split();
    send.write_all(b"half").await.unwrap();
    peer.expect(data(1, "half")).await;
    drop(send);
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
    let error = within("read", recv.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_finished_sender_may_be_dropped_before_its_bytes_are_sent() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let stream = accepted(&session, &mut peer, 1).await;
    let (mut send, mut recv) = stream.split();
    peer.wire().set_out_capacity(0);
    send.write_all(b"all of it").await.unwrap();
    send.finish().unwrap();
    drop(send);
    peer.wire().set_out_capacity(usize::MAX);
    peer.expect(data(1, "all of it").fin()).await;
    peer.send(data(1, "ok").fin()).await;
    let mut bytes = Vec::new();
    within("read", recv.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, b"ok");
    drop(recv);
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn streams_that_both_sides_have_abandoned_end() {
    let config = |config: Config| config.initial_stream_window_size(1000);
    let ((client, a), (server, b)) = pair(config(Config::client()), config(Config::server()));
    spawn(a);
    spawn(b);
    let mut left = open(&client).await;
    let incoming = within("accept", server.accept()).await.unwrap().unwrap();
    let right = incoming.reply(HeaderBlock::empty()).unwrap();
    // Both write more than the window of the other, end their direction, and go.
    within("reply", left.reply()).await.unwrap();
    settle().await;
    for stream in [left, right] {
        let (mut send, recv) = stream.split();
        send.send(Bytes::from(vec![1; 5000])).await.unwrap();
        send.finish().unwrap();
        drop(recv);
    }
    settle().await;
    assert_eq!((client.stream_count(), server.stream_count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_can_be_taken_up_again() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let wait = Duration::from_millis(1);
    for _ in 0..3 {
        assert!(tokio::time::timeout(wait, session.accept()).await.is_err());
    }
    let mut stream = accepted(&session, &mut peer, 1).await;
    let mut buf = [0; 3];
    for _ in 0..3 {
        let read = tokio::time::timeout(wait, stream.read_exact(&mut buf)).await;
        assert!(read.is_err());
    }
    peer.send(data(1, "abc")).await;
    within("read", stream.read_exact(&mut buf)).await.unwrap();
    assert_eq!(&buf, b"abc");
}

#[tokio::test(start_paused = true)]
async fn every_task_that_accepts_learns_of_the_end() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let session = session.clone();
            spawn(async move { session.accept().await.map(|incoming| incoming.is_none()) })
        })
        .collect();
    settle().await;
    session.shutdown();
    peer.expect(go_away(0x7fff_ffff, GoAwayStatus::OK)).await;
    let Some(Frame::Ping(id)) = peer.recv().await else {
        panic!("no PING");
    };
    peer.send(ping(id)).await;
    for task in tasks {
        assert!(within("accept", task).await.unwrap().unwrap());
    }
    peer.close();
    within("the connection", driver).await.unwrap().unwrap();
    assert!(session.accept().await.unwrap().is_none());
}

/// A waker that owns the future of its task, as in executors that keep a waiting task in its wakers alone.
mod owning_waker {
    use super::*;
    use std::sync::Mutex;
    use std::task::{Context, Wake, Waker};

    struct Task {
        stream: Mutex<Option<Stream>>,
    }

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_waker_that_owns_a_stream_may_be_dropped_by_the_session() {
        let (session, _driver, mut peer) = ready_client(Config::client()).await;
        let mut reader = replied(&session, &mut peer, 1).await;
        let owned = replied(&session, &mut peer, 3).await;
        let task = Arc::new(Task {
            stream: Mutex::new(Some(owned)),
        });
        let waker = Waker::from(Arc::clone(&task));
        let mut cx = Context::from_waker(&waker);
        assert!(reader.recv_half().poll_data(&mut cx).is_pending());
        drop(waker);
        assert!(task.stream.lock().unwrap().is_some());
        drop(task);
        // The session holds the last waker, and replaces it: the stream inside is dropped with it.
        let mut cx = Context::from_waker(Waker::noop());
        assert!(reader.recv_half().poll_data(&mut cx).is_pending());
        peer.expect(rst(3, ResetStatus::CANCEL)).await;
    }
}
