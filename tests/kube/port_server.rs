//! The server of `port-forward`, against a scripted client.

use std::time::Duration;

use spdy::frame::GoAwayStatus;
use spdy::kube::port_forward::{Forward, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::*;

/// A SYN_STREAM for one stream of a connection.
pub(crate) fn half(stream: u32, kind: &str, port: &str, request: &str) -> Draft {
    typed(stream, kind)
        .header("port", port)
        .header("requestid", request)
}

/// A server whose connections come out of a channel, as long as somebody takes them.
pub(crate) fn forwarding() -> (mpsc::UnboundedReceiver<Forward>, Session, Running, Peer) {
    let (session, running, peer) = kubelet();
    let (send, receive) = mpsc::unbounded_channel();
    let mut server = Server::new(session.clone());
    spawn(async move {
        while let Ok(Some(forward)) = server.accept().await {
            if send.send(forward).is_err() {
                break;
            }
        }
    });
    (receive, session, running, peer)
}

/// Opens both streams as kubectl does: the error stream, its end, the data stream.
pub(crate) async fn open_pair(peer: &mut Peer, first: u32, port: &str, request: &str) {
    peer.send(half(first, "error", port, request)).await;
    peer.expect(syn_reply(first)).await;
    peer.send(data(first, "").fin()).await;
    peer.send(half(first + 2, "data", port, request)).await;
    peer.expect(syn_reply(first + 2)).await;
}

pub(crate) async fn next(receive: &mut mpsc::UnboundedReceiver<Forward>) -> Forward {
    within("a connection", receive.recv()).await.unwrap()
}

/// A connection that is copied to a target: the task, and the target's own end.
async fn copied(
    receive: &mut mpsc::UnboundedReceiver<Forward>,
) -> (JoinHandle<spdy::Result<()>>, DuplexStream) {
    let forward = next(receive).await;
    let (ours, target) = duplex(64 << 10);
    (spawn(forward.copy(ours)), target)
}

#[tokio::test(start_paused = true)]
async fn two_streams_are_a_pair_whichever_comes_first() {
    let (mut receive, _session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "8080", "0").await;
    assert_eq!(next(&mut receive).await.port(), 8080);
    peer.expect(cancel(3)).await;
    peer.expect(cancel(1)).await;

    // Data first, with another pair in between.
    peer.send(half(5, "data", "81", "1")).await;
    peer.expect(syn_reply(5)).await;
    open_pair(&mut peer, 7, "82", "2").await;
    let second = next(&mut receive).await;
    assert_eq!(second.port(), 82);
    settle().await;
    assert!(receive.try_recv().is_err());
    peer.send(half(11, "error", "81", "1")).await;
    peer.expect(syn_reply(11)).await;
    assert_eq!(next(&mut receive).await.port(), 81);
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn without_numbers_neighbours_are_a_pair() {
    for data_first in [false, true] {
        let (mut receive, _session, _running, mut peer) = forwarding();
        peer.send(typed(1, "error").header("port", "80")).await;
        peer.expect(syn_reply(1)).await;
        let streams = if data_first {
            [(7, "data"), (5, "error")]
        } else {
            [(3, "data"), (5, "error")]
        };
        // An id that is lower than one before is an error of its own; the client of old counted up.
        let (stream, kind) = streams[0];
        peer.send(typed(stream, kind).header("port", "80")).await;
        peer.expect(syn_reply(stream)).await;
        if data_first {
            settle().await;
            assert!(receive.try_recv().is_err(), "7 belongs to 5, not to 1");
        } else {
            assert_eq!(next(&mut receive).await.port(), 80);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_is_never_taken_for_the_id_of_a_stream() {
    let (mut receive, _session, _running, mut peer) = forwarding();
    peer.send(half(1, "error", "80", "3")).await;
    peer.expect(syn_reply(1)).await;
    // Belongs to the error stream 3.
    peer.send(typed(5, "data").header("port", "80")).await;
    peer.expect(syn_reply(5)).await;
    settle().await;
    assert!(receive.try_recv().is_err());
    peer.send(half(7, "data", "80", "3")).await;
    peer.expect(syn_reply(7)).await;
    next(&mut receive).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_or_a_type_that_is_none_is_reset_and_the_session_goes_on() {
    let (mut receive, _session, _running, mut peer) = forwarding();
    let bad = [
        half(1, "data", "0", "0"),
        half(3, "error", "65536", "0"),
        half(5, "error", "http", "0"),
        half(7, "error", "-1", "0"),
        half(9, "stdin", "80", "0"),
        half(11, "", "80", "0"),
        typed(13, "data").header("requestid", "0"),
        syn_stream(15).header("port", "80"),
        syn_stream(17),
        half(19, "error", "80", &"9".repeat(65)),
    ];
    for (draft, stream) in bad.into_iter().zip((1..).step_by(2)) {
        peer.send(draft).await;
        peer.expect(cancel(stream)).await;
    }
    open_pair(&mut peer, 21, "80", "0").await;
    next(&mut receive).await;
}

#[tokio::test(start_paused = true)]
async fn half_a_pair_is_told_in_time_and_the_others_live() {
    let (mut receive, session, _running, mut peer) = forwarding();
    peer.send(half(1, "error", "80", "0")).await;
    peer.expect(syn_reply(1)).await;
    peer.send(data(1, "").fin()).await;
    tokio::time::sleep(10 * SECOND).await;
    peer.send(half(3, "data", "80", "1")).await;
    peer.expect(syn_reply(3)).await;
    open_pair(&mut peer, 5, "80", "2").await;
    let kept = next(&mut receive).await;

    let start = tokio::time::Instant::now();
    let text = text_of(&mut peer, 1).await;
    assert!(
        text.contains("timed out after 30s") && text.contains("request 0"),
        "{text}"
    );
    assert_eq!(start.elapsed(), 20 * SECOND);
    // The other has no stream to tell it on.
    peer.expect(cancel(3)).await;
    assert_eq!(start.elapsed(), 30 * SECOND);
    assert_eq!(session.stream_count(), 2);
    // The number is free again.
    open_pair(&mut peer, 9, "81", "0").await;
    assert_eq!(next(&mut receive).await.port(), 81);
    drop(kept);
}

#[tokio::test(start_paused = true)]
async fn pairs_that_came_in_time_leave_no_timer_behind() {
    let (mut receive, _session, _running, mut peer) = forwarding();
    let mut pairs = Vec::new();
    for n in 0..200 {
        open_pair(&mut peer, 4 * n + 1, "80", &n.to_string()).await;
        pairs.push(next(&mut receive).await);
    }
    tokio::time::sleep(60 * SECOND).await;
    peer.expect_quiet().await;
    let (target, _own) = duplex(64);
    spawn(pairs.pop().unwrap().copy(target));
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_stream_of_a_pair_is_told_on_its_error_stream_and_reset() {
    let (mut receive, _session, _running, mut peer) = forwarding();
    // While the pair waits.
    peer.send(half(1, "error", "80", "7")).await;
    peer.expect(syn_reply(1)).await;
    peer.send(half(3, "error", "80", "7")).await;
    peer.expect(cancel(3)).await;
    let said = "error processing stream for request 7: error stream already assigned";
    peer.expect(data(1, said)).await;
    // While it is in use.
    peer.send(half(5, "data", "80", "7")).await;
    peer.expect(syn_reply(5)).await;
    let mut forward = next(&mut receive).await;
    peer.send(half(7, "data", "80", "7")).await;
    peer.expect(cancel(7)).await;
    let said = "error processing stream for request 7: data stream already assigned";
    peer.expect(data(1, said)).await;
    // The pair itself goes on.
    peer.send(data(5, "x")).await;
    assert_eq!(within("a byte", forward.read_u8()).await.unwrap(), b'x');
    drop(forward);
    peer.expect(cancel(5)).await;
    peer.expect(cancel(1)).await;
    // The number is free again.
    open_pair(&mut peer, 9, "80", "7").await;
    next(&mut receive).await;

    // Without an error stream there is nothing to tell it on.
    let (_receive, _session, _running, mut peer) = forwarding();
    peer.send(half(1, "data", "80", "7")).await;
    peer.expect(syn_reply(1)).await;
    peer.send(half(3, "data", "80", "7")).await;
    peer.expect(cancel(3)).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_stream_back_may_ask_again_with_the_same_number() {
    for kind in ["error", "data"] {
        let other = if kind == "error" { "data" } else { "error" };
        let (mut receive, session, _running, mut peer) = forwarding();
        // Often enough for what was taken back to pile up, if it did.
        for stream in (1..401).step_by(2) {
            peer.send(half(stream, kind, "80", "7")).await;
            peer.expect(syn_reply(stream)).await;
            peer.send(cancel(stream)).await;
            settle().await;
            assert!(session.stream_count() <= 1);
        }
        // What is left of the last attempt is no half of the next pair.
        peer.send(half(401, other, "80", "7")).await;
        peer.expect(syn_reply(401)).await;
        settle().await;
        assert!(receive.try_recv().is_err(), "{kind}");
        peer.send(half(403, kind, "80", "7")).await;
        peer.expect(syn_reply(403)).await;
        let forward = next(&mut receive).await;
        // A pair in use whose error stream was given up is over, too.
        let error = if kind == "error" { 403 } else { 401 };
        peer.send(cancel(error)).await;
        peer.send(half(405, kind, "81", "7")).await;
        peer.send(half(407, other, "81", "7")).await;
        peer.expect(syn_reply(405)).await;
        peer.expect(syn_reply(407)).await;
        assert_eq!(next(&mut receive).await.port(), 81);
        drop(forward);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_second_streams_queues_no_flood_of_texts() {
    let (_receive, session, _running, mut peer) = forwarding();
    peer.send(half(1, "error", "80", "7")).await;
    peer.expect(syn_reply(1)).await;
    peer.wire().set_out_capacity(0);
    for stream in 1..2000 {
        peer.send(half(2 * stream + 1, "error", "80", "7")).await;
        if stream % 100 == 0 {
            settle().await;
        }
    }
    assert!(session.stream_count() < 200, "{}", session.stream_count());
    peer.wire().set_out_capacity(usize::MAX);
    settle().await;
    assert!(
        peer.wire().unread_out() < 400_000,
        "{}",
        peer.wire().unread_out()
    );
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_pair_loses_nothing_when_it_is_given_up() {
    let (session, _running, mut peer) = kubelet();
    let mut server = Server::new(session);
    peer.send(half(1, "error", "80", "0")).await;
    // Given up after each of the streams, and before.
    for _ in 0..3 {
        let waiting = tokio::time::timeout(SECOND, server.accept());
        assert!(waiting.await.is_err());
    }
    peer.expect(syn_reply(1)).await;
    peer.send(half(3, "data", "80", "0")).await;
    let forward = within("a pair", server.accept()).await.unwrap().unwrap();
    assert_eq!(forward.port(), 80);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_a_text_and_then_both_streams_are_reset() {
    let (mut receive, session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "80", "0").await;
    open_pair(&mut peer, 5, "81", "1").await;
    let (failing, mut other) = (next(&mut receive).await, next(&mut receive).await);
    within("fail", failing.fail("connection refused")).await;
    peer.expect(data(1, "port 80: connection refused")).await;
    peer.expect(cancel(1)).await;
    peer.expect(cancel(3)).await;
    // The session, and the other connection, go on.
    other.write_all(b"x").await.unwrap();
    peer.expect(data(7, "x")).await;
    assert_eq!(session.stream_count(), 2);
}

/// The client takes nothing, and as much is queued as there is room for.
async fn stuff(peer: &mut Peer, forward: &mut Forward) {
    peer.wire().set_out_capacity(0);
    loop {
        let write = forward.write_all(&[0; 16 << 10]);
        if tokio::time::timeout(Duration::from_millis(1), write)
            .await
            .is_err()
        {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_nobody_takes_is_given_up_in_time() {
    let (mut receive, session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "80", "0").await;
    let mut forward = next(&mut receive).await;
    stuff(&mut peer, &mut forward).await;
    let start = tokio::time::Instant::now();
    within("fail", forward.fail("connection refused")).await;
    assert!(start.elapsed() <= 10 * SECOND);
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_target_ends_both_streams() {
    let (mut receive, session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "80", "0").await;
    let (copying, mut target) = copied(&mut receive).await;
    target.write_all(b"answer").await.unwrap();
    peer.expect(data(3, "answer")).await;
    target.shutdown().await.unwrap();
    peer.expect(data(3, "").fin()).await;
    peer.expect(data(1, "").fin()).await;
    // The other direction goes on until the client ends it.
    peer.send(data(3, "more")).await;
    let mut bytes = [0; 4];
    within("more", target.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"more");
    assert!(!copying.is_finished());
    peer.send(data(3, "").fin()).await;
    within("the copy", copying).await.unwrap().unwrap();
    assert_eq!(session.stream_count(), 0);
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_client_ends_the_targets_input_and_the_answer_still_comes() {
    let (mut receive, session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "80", "0").await;
    let (copying, mut target) = copied(&mut receive).await;
    peer.send(data(3, "question").fin()).await;
    let mut question = String::new();
    within("the question", target.read_to_string(&mut question))
        .await
        .unwrap();
    assert_eq!(question, "question");
    for _ in 0..100 {
        target.write_all(&[9; 10_000]).await.unwrap();
        tokio::time::sleep(SECOND).await;
        peer.expect_data(3, 10_000).await;
    }
    target.shutdown().await.unwrap();
    peer.expect(data(3, "").fin()).await;
    peer.expect(data(1, "").fin()).await;
    within("the copy", copying).await.unwrap().unwrap();
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_resets_the_data_stream_closes_the_target() {
    let (mut receive, session, _running, mut peer) = forwarding();
    for (first, status) in [(1, ResetStatus::CANCEL), (5, ResetStatus::INTERNAL_ERROR)] {
        open_pair(&mut peer, first, "80", &first.to_string()).await;
        let (copying, mut target) = copied(&mut receive).await;
        peer.send(data(first + 2, "x")).await;
        peer.send(rst(first + 2, status)).await;
        let mut text = String::new();
        within("the end", target.read_to_string(&mut text))
            .await
            .unwrap();
        assert_eq!(text, "x");
        drop(target);
        let error = within("the copy", copying).await.unwrap().unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error}");
        // No text: it would end the session of some clients.
        peer.expect(data(first, "").fin()).await;
        assert_eq!(session.stream_count(), 0);
    }
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_ends_the_connection_without_a_text() {
    let (mut receive, session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "80", "0").await;
    let (copying, target) = copied(&mut receive).await;
    drop(target);
    peer.expect(data(3, "").fin()).await;
    peer.expect(data(1, "").fin()).await;
    // What the client sends has nowhere to go.
    peer.send(data(3, "x")).await;
    within("the copy", copying).await.unwrap().unwrap();
    assert_eq!(session.stream_count(), 0);
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_fails_is_told() {
    let (mut receive, _session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "80", "0").await;
    let forward = next(&mut receive).await;
    let (target, wire) = pipe();
    let copying = spawn(forward.copy(target));
    settle().await;
    wire.fail_reads(std::io::ErrorKind::ConnectionReset);
    peer.expect(data(1, "port 80: connection reset")).await;
    peer.expect(cancel(1)).await;
    peer.expect(cancel(3)).await;
    let error = within("the copy", copying).await.unwrap().unwrap_err();
    assert!(error.is_io(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_ends_the_wait_and_what_waits() {
    let (session, running, mut peer) = kubelet();
    let mut server = Server::new(session.clone());
    let waiting = spawn(async move { server.accept().await.map(|forward| forward.is_none()) });
    peer.send(half(1, "error", "80", "0")).await;
    peer.expect(syn_reply(1)).await;
    session.shutdown();
    assert!(within("accept", waiting).await.unwrap().unwrap());
    peer.expect(cancel(1)).await;
    peer.expect(go_away(1, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_target_that_takes_no_more_holds_nothing_up() {
    let (mut receive, session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "80", "0").await;
    open_pair(&mut peer, 5, "81", "1").await;
    let (first, mut other) = (next(&mut receive).await, next(&mut receive).await);
    let (target, wire) = pipe();
    let copying = spawn(first.copy(target));
    wire.fail_writes(std::io::ErrorKind::BrokenPipe);
    for _ in 0..100 {
        peer.send(data(3, [0; 32 << 10])).await;
    }
    peer.send(data(7, "x")).await;
    let byte = within("the other connection", other.read_u8()).await;
    assert_eq!(byte.unwrap(), b'x');
    assert_eq!(session.unread_bytes(), 0);
    // It may still say something.
    wire.write_all(b"413").await.unwrap();
    peer.expect(data(3, "413")).await;
    wire.shut_in();
    peer.expect(data(3, "").fin()).await;
    peer.expect(data(1, "").fin()).await;
    within("the copy", copying).await.unwrap().unwrap();
    assert_eq!(session.stream_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_waits_to_be_told_holds_nothing_up() {
    let (mut receive, session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "80", "0").await;
    let mut forward = next(&mut receive).await;
    stuff(&mut peer, &mut forward).await;
    let failing = spawn(forward.fail("no"));
    settle().await;
    assert!(!failing.is_finished());
    for _ in 0..100 {
        peer.send(data(3, [0; 32 << 10])).await;
    }
    settle().await;
    assert_eq!(session.unread_bytes(), 0);
    peer.wire().set_out_capacity(usize::MAX);
    within("fail", failing).await.unwrap();
    loop {
        match within("the text", peer.recv()).await.unwrap() {
            Frame::Data(data) if data.id.get() == 3 => {}
            frame => break assert_eq!(frame, data(1, "port 80: no").into()),
        }
    }
}
