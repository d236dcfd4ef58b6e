//! The options for spdystream on real bytes: what kubectl sends, PINGs, back-pressure, the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use spdy::frame::GoAwayStatus;
use spdy::headers::HeaderBlock;
use spdy::stream::{OpenOptions, Stream};
use spdy::{FlowControl, Timeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    digits
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// What kubectl sends for `exec -i`, as recorded.
const KUBECTL: [&str; 8] = [
    "8003000100000029 00000001 00000000 0000 78f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff",
    "8003000100000017 00000003 00000000 0000 c22e555c92929907000000ffff",
    "8003000100000019 00000005 00000000 0000 c22ac5565c92925f5a02000000ffff",
    "8003000100000015 00000007 00000000 0000 c229975a5404000000ffff",
    "0000000300000008 6162630a6465660a",
    "0000000301000000",
    "8003000300000008 00000003 00000005",
    "8003000700000008 00000000 00000000",
];

#[tokio::test(start_paused = true)]
async fn the_bytes_of_kubectl_are_understood_in_pieces_of_any_size() {
    for piece in [1, 2, 3, 7, usize::MAX] {
        let (session, running, mut peer) = kubelet();
        peer.wire().set_in_piece(piece);
        let accepting = accepting(&session, Version::V4, EXEC_I);
        for (bytes, stream) in KUBECTL[..4].iter().zip((1..).step_by(2)) {
            peer.send_raw(hex(bytes)).await;
            peer.expect(syn_reply(stream)).await;
        }
        let streams = within("accept", accepting).await.unwrap().unwrap();
        for bytes in &KUBECTL[4..6] {
            peer.send_raw(hex(bytes)).await;
        }
        let mut text = String::new();
        let mut stdin = streams.stdin.unwrap();
        within("stdin", stdin.read_to_string(&mut text))
            .await
            .unwrap();
        assert_eq!(text, "abc\ndef\n");
        for bytes in &KUBECTL[6..] {
            peer.send_raw(hex(bytes)).await;
        }
        peer.wire().shut_in();
        drop((streams.stdout, streams.stderr, streams.exit));
        outcome(running).await.unwrap();
    }
}

async fn accept_one(session: &Session, peer: &mut Peer, id: u32) -> Stream {
    peer.send(typed(id, "data")).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    let stream = incoming.reply(HeaderBlock::empty()).unwrap();
    peer.expect(syn_reply(id)).await;
    stream
}

#[tokio::test(start_paused = true)]
async fn the_application_sees_the_headers_before_anything_is_answered() {
    let (session, _running, mut peer) = kubelet();
    peer.send(typed(1, "error").header("requestid", "7")).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    assert_eq!(incoming.headers().get("streamType"), Some(&b"error"[..]));
    peer.send(data(1, "early")).await;
    peer.expect_quiet().await;
    incoming.reject(ResetStatus::CANCEL);
    peer.expect(cancel(1)).await;
    // A stream cannot be written before its reply: only a reply gives it.
    let mut stream = accept_one(&session, &mut peer, 3).await;
    stream.write_all(b"x").await.unwrap();
    peer.expect(data(3, "x")).await;
}

#[tokio::test(start_paused = true)]
async fn pings_are_echoed_ahead_of_data_for_as_long_as_they_come() {
    let (session, _running, mut peer) = kubelet();
    let stream = accept_one(&session, &mut peer, 1).await;
    let (mut send, _recv) = stream.split();
    peer.wire().set_out_capacity(100_000);
    let writing = spawn(async move { while send.write_all(&[0; 32 << 10]).await.is_ok() {} });
    for n in 0..100 {
        tokio::time::sleep(5 * SECOND).await;
        peer.send(ping(2 * n + 1)).await;
        settle().await;
        // Behind what the transport holds already, and not what waits behind that.
        let mut before = 0;
        loop {
            match within("the echo", peer.recv()).await.unwrap() {
                Frame::Data(data) => before += data.payload.len(),
                Frame::Ping(id) => {
                    assert_eq!(id, 2 * n + 1);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(before < 1 << 20, "{before} bytes came before the echo");
    }
    writing.abort();
}

#[tokio::test(start_paused = true)]
async fn own_pings_are_optional_and_need_no_answer_unless_asked() {
    let config = Config::spdystream_server()
        .keep_alive_interval(5 * SECOND)
        .keep_alive_timeout(10 * SECOND);
    let (session, running, mut peer) = kubelet_with(config);
    let _stream = accept_one(&session, &mut peer, 1).await;
    for id in [2, 4, 6] {
        peer.expect(ping(id)).await;
        peer.send(ping(id)).await;
    }
    peer.expect(ping(8)).await;
    // It says no more: that is noticed.
    let error = outcome(running).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::KeepAlive), "{error}");

    let (session, running, mut peer) =
        kubelet_with(Config::spdystream_server().silence_timeout(None));
    let _stream = accept_one(&session, &mut peer, 1).await;
    tokio::time::sleep(24 * 3600 * SECOND).await;
    peer.expect_quiet().await;
    assert!(!running.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_silent_session_ends_after_the_time_that_was_asked_for() {
    let config = Config::spdystream_server().silence_timeout(400 * SECOND);
    let (session, running, mut peer) = kubelet_with(config);
    let mut stream = accept_one(&session, &mut peer, 1).await;
    tokio::time::sleep(300 * SECOND).await;
    peer.send(ping(1)).await;
    peer.expect(ping(1)).await;
    let start = tokio::time::Instant::now();
    let error = within("the end", stream.read_u8()).await.unwrap_err();
    let error: &Error = error.get_ref().unwrap().downcast_ref().unwrap();
    assert_eq!(error.timeout_kind(), Some(Timeout::Silence));
    assert_eq!(start.elapsed(), 400 * SECOND);
    peer.expect(cancel(1)).await;
    peer.expect(go_away(1, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_where_nobody_reads_and_all_waits_with_it() {
    let (session, _running, mut peer) = kubelet();
    let mut unread = accept_one(&session, &mut peer, 1).await;
    let _other = accept_one(&session, &mut peer, 3).await;
    peer.wire().set_in_capacity(64 << 10);
    let mut sent = 0;
    let chunk = vec![1; 32 << 10];
    let frame = peer.encode(data(1, &chunk));
    while let Ok(written) = tokio::time::timeout(SECOND, peer.wire().write_all(&frame)).await {
        written.unwrap();
        sent += chunk.len();
        assert!(sent < 4 << 20, "nothing stops the peer");
    }
    assert!(
        session.unread_bytes() <= (1 << 20) + (256 << 10),
        "{}",
        session.unread_bytes()
    );
    assert!(sent >= 1 << 20);
    // Once it is read, the rest comes.
    let mut all = vec![0; sent];
    within("the rest", unread.read_exact(&mut all))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_largest_frame_is_accepted_as_it_comes_and_ours_are_small() {
    let (session, _running, mut peer) = kubelet();
    let mut stream = accept_one(&session, &mut peer, 1).await;
    let largest = (1 << 24) - 1;
    let most = Arc::new(AtomicUsize::new(0));
    let reading = spawn({
        let (session, most) = (session.clone(), Arc::clone(&most));
        async move {
            let mut bytes = 0;
            while let Some(piece) = stream.recv_half().data().await.unwrap() {
                bytes += piece.len();
                most.fetch_max(session.unread_bytes() + piece.len(), Ordering::SeqCst);
            }
            (bytes, stream)
        }
    });
    peer.wire().set_in_capacity(64 << 10);
    peer.send_raw([0, 0, 0, 1, 1, 0xff, 0xff, 0xff]).await;
    let chunk = vec![5; 1 << 20];
    let mut left = largest;
    while left > 0 {
        let n = left.min(chunk.len());
        peer.send_raw(&chunk[..n]).await;
        left -= n;
    }
    let (bytes, mut stream) = within("the frame", reading).await.unwrap();
    assert_eq!(bytes, largest);
    assert!(
        most.load(Ordering::SeqCst) < 2 << 20,
        "{most:?} bytes were held"
    );

    spawn(async move {
        let chunk = Bytes::from(vec![0; 1 << 20]);
        stream.send_half().send(chunk).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let mut got = 0;
    while got < 1 << 20 {
        let Some(Frame::Data(data)) = within("DATA", peer.recv()).await else {
            panic!("expected DATA");
        };
        assert!(data.payload.len() <= 32 << 10);
        got += data.payload.len();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_flushed_before_goaway_and_input_is_drained_behind_it() {
    let (session, running, mut peer) = kubelet();
    let mut stream = accept_one(&session, &mut peer, 1).await;
    peer.wire().set_out_capacity(1000);
    spawn(async move {
        stream.write_all(&[3; 500_000]).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    session.shutdown();
    assert_eq!(peer.expect_all(1, 500_000).await.len(), 500_000);
    peer.expect(go_away(1, GoAwayStatus::OK)).await;
    // What still comes is read, so that TCP resets nothing.
    for _ in 0..10 {
        peer.send(data(1, "late")).await;
    }
    settle().await;
    assert_eq!(peer.wire().unread_in(), 0);
    peer.expect_end().await;
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_goaway_of_the_peer_ends_the_session_when_its_streams_have_ended() {
    let (session, running, mut peer) = kubelet();
    let mut stream = accept_one(&session, &mut peer, 1).await;
    peer.send(data(1, "last words")).await;
    peer.send(go_away(0, GoAwayStatus::OK)).await;
    settle().await;
    let refused = session.open(HeaderBlock::empty(), OpenOptions::new()).await;
    assert!(refused.unwrap_err().is_go_away());
    let mut text = [0; 10];
    within("the words", stream.read_exact(&mut text))
        .await
        .unwrap();
    assert!(!running.is_finished());
    drop(stream);
    peer.expect(cancel(1)).await;
    peer.expect(go_away(1, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_ends_every_stream() {
    let (session, running, mut peer) = kubelet();
    let mut stream = accept_one(&session, &mut peer, 1).await;
    peer.send(data(1, "half")).await;
    peer.wire().shut_in();
    let mut text = Vec::new();
    let read = within("the end", stream.read_to_end(&mut text)).await;
    assert_eq!(text, b"half");
    read.unwrap_err();
    outcome(running).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn no_headers_frame_is_sent_unless_asked() {
    let (session, _running, mut peer) = kubelet();
    let mut stream = accept_one(&session, &mut peer, 1).await;
    stream.write_all(b"x").await.unwrap();
    stream.shutdown().await.unwrap();
    peer.expect(data(1, "x").fin()).await;
    let mut stream = accept_one(&session, &mut peer, 3).await;
    stream
        .send_half()
        .send_headers(block(&[("a", "b")]))
        .unwrap();
    peer.expect(headers(3).header("a", "b")).await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_blocks_in_a_row_are_in_step_in_both_directions() {
    for flow_control in [FlowControl::Off, FlowControl::Spec] {
        let config = Config::spdystream_client().flow_control(flow_control);
        let ((client, a), (server, b)) = pair(config, Config::spdystream_server());
        spawn(a);
        spawn(b);
        let accepting = spawn(async move {
            for n in 0..200 {
                let incoming = server.accept().await.unwrap().unwrap();
                let name = incoming.headers().get("n").unwrap().to_vec();
                assert_eq!(name, n.to_string().as_bytes());
                let mut stream = incoming.reply(block(&[("n", &n.to_string())])).unwrap();
                stream.shutdown().await.unwrap();
            }
            server
        });
        for n in 0..200 {
            let headers = block(&[("streamtype", "data"), ("n", &n.to_string())]);
            let mut stream = client.open(headers, OpenOptions::new()).await.unwrap();
            let reply = within("a reply", stream.reply()).await.unwrap();
            assert_eq!(reply.get("n").unwrap(), n.to_string().as_bytes());
        }
        within("the server", accepting).await.unwrap();
    }
}

/// kubectl takes a cut for the end of the output, and for success.
#[tokio::test(start_paused = true)]
async fn a_user_who_looks_at_a_page_of_output_has_four_hours() {
    let (session, running, mut peer) = kubelet();
    peer.send(typed(1, "stdout")).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    let stream = incoming.reply(HeaderBlock::empty()).unwrap();
    peer.expect(syn_reply(1)).await;
    peer.wire().set_out_capacity(1000);
    let (mut send, _recv) = stream.split();
    send.write_all(&[b'x'; 10_000]).await.unwrap();
    tokio::time::sleep(3 * 3600 * SECOND).await;
    assert!(session.outcome().is_none(), "{:?}", session.outcome());
    peer.wire().set_out_capacity(1 << 20);
    assert_eq!(peer.expect_data(1, 10_000).await.0.len(), 10_000);

    // Not for ever.
    peer.wire().set_out_capacity(0);
    send.write_all(&[b'x'; 10_000]).await.unwrap();
    tokio::time::sleep(4 * 3600 * SECOND + 2 * SECOND).await;
    assert!(running.is_finished());
    let error = send.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_session_tells_how_it_has_ended() {
    let (session, running, mut peer) = kubelet();
    assert!(session.outcome().is_none());
    session.shutdown();
    peer.drain().await;
    drop(peer);
    session.closed().await;
    session.outcome().unwrap().unwrap();
    outcome(running).await.unwrap();

    let (session, running, mut peer) = kubelet();
    peer.send_raw(b"GET / HTTP/1.1\r\n\r\n").await;
    session.closed().await;
    let error = session.outcome().unwrap().unwrap_err();
    assert!(error.to_string().contains("HTTP"), "{error}");
    drop(peer);
    assert_eq!(
        outcome(running).await.unwrap_err().to_string(),
        error.to_string()
    );
}
