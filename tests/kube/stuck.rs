//! Peers and targets that stop in the middle: whoever waits for them is told in time.

use spdy::frame::GoAwayStatus;
use spdy::kube::port_forward::{self, Forwarded};
use tokio::io::{AsyncReadExt, duplex};

use super::port_server::{forwarding, half, next, open_pair};
use super::*;

/// A client of ours with one connection, its streams 1 and 3.
async fn forwarded() -> (Forwarded, Session, Peer) {
    let (session, _running, mut peer) = kubectl();
    let client = port_forward::Client::new(session.clone());
    let connecting = spawn(async move { client.connect(80).await });
    within("the error stream", peer.recv()).await;
    peer.send(syn_reply(1)).await;
    peer.expect(data(1, "").fin()).await;
    within("the data stream", peer.recv()).await;
    peer.send(syn_reply(3)).await;
    let forwarded = within("connect", connecting).await.unwrap().unwrap();
    (forwarded, session, peer)
}

/// The ways in which a peer gives stream 3 up.
async fn give_up(peer: &mut Peer, way: u32) {
    match way {
        0 => peer.send(rst(3, ResetStatus::INTERNAL_ERROR)).await,
        1 => peer.send(cancel(3)).await,
        2 => peer.wire().shut_in(),
        _ => {
            peer.send(go_away(3, GoAwayStatus::OK)).await;
            peer.wire().shut_in();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_takes_nothing_does_not_outlive_its_client() {
    for way in 0..4 {
        let (mut receive, session, _running, mut peer) = forwarding();
        open_pair(&mut peer, 1, "80", "0").await;
        let (ours, _target) = duplex(10);
        let copying = spawn(next(&mut receive).await.copy(ours));
        peer.send(data(3, [0; 1000])).await;
        settle().await;
        assert!(!copying.is_finished());
        give_up(&mut peer, way).await;
        within("the copy", copying).await.unwrap().unwrap_err();
        assert_eq!(session.stream_count(), 0, "way {way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_says_nothing_does_not_outlive_its_client() {
    for way in 0..4 {
        let (mut receive, session, _running, mut peer) = forwarding();
        open_pair(&mut peer, 1, "80", "0").await;
        let (ours, mut target) = duplex(1000);
        let copying = spawn(next(&mut receive).await.copy(ours));
        give_up(&mut peer, way).await;
        // It does not care for the end of its input.
        within("the copy", copying).await.unwrap().unwrap_err();
        assert_eq!(within("the end", target.read(&mut [0])).await.unwrap(), 0);
        assert_eq!(session.stream_count(), 0, "way {way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_gets_all_that_came_before_its_client_left() {
    let (mut receive, _session, _running, mut peer) = forwarding();
    open_pair(&mut peer, 1, "80", "0").await;
    let (ours, mut target) = duplex(1000);
    let copying = spawn(next(&mut receive).await.copy(ours));
    peer.send(data(3, [0; 200_000])).await;
    peer.send(cancel(3)).await;
    let mut all = 0;
    loop {
        tokio::time::sleep(SECOND / 4).await;
        match target.read(&mut [0; 1000]).await.unwrap() {
            0 => break,
            n => all += n,
        }
    }
    assert_eq!(all, 200_000);
    within("the copy", copying).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_local_side_that_takes_nothing_does_not_hide_that_the_server_has_gone() {
    for way in 0..4 {
        let (forwarded, session, mut peer) = forwarded().await;
        let (ours, _local) = duplex(10);
        let copying = spawn(forwarded.copy(ours));
        peer.send(data(3, [0; 1000])).await;
        settle().await;
        assert!(!copying.is_finished());
        give_up(&mut peer, way).await;
        let error = within("the copy", copying).await.unwrap().unwrap_err();
        assert!(error.is_reset() || error.is_closed(), "way {way}: {error}");
        assert_eq!(session.stream_count(), 0, "way {way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_without_end_does_not_hold_the_data_up() {
    let (mut forwarded, session, mut peer) = forwarded().await;
    peer.wire().set_in_capacity(64 << 10);
    let reading = spawn(async move {
        let mut text = Vec::new();
        let read = forwarded.read_to_end(&mut text).await;
        (read, text, forwarded)
    });
    for _ in 0..100 {
        peer.send(data(1, [b'x'; 32 << 10])).await;
    }
    assert_eq!(session.unread_bytes(), 0);
    peer.send(data(3, "all of it").fin()).await;
    let (read, text, mut forwarded) = within("the data", reading).await.unwrap();
    assert_eq!(text, b"all of it");
    read.unwrap_err();
    let error = within("the text", forwarded.failure()).await.unwrap();
    assert!(error.is_connect(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn halves_that_never_become_pairs_stop_at_the_limit_and_go_in_time() {
    let (mut receive, session, _running, mut peer) = forwarding();
    let refused = |stream| rst(stream, ResetStatus::REFUSED_STREAM);
    for n in 0..1000_u32 {
        let kind = if n % 2 == 0 { "data" } else { "error" };
        let stream = 2 * n + 1;
        peer.send(half(stream, kind, "80", &n.to_string())).await;
        if n < 256 {
            peer.expect(syn_reply(stream)).await;
        } else {
            peer.expect(refused(stream)).await;
        }
    }
    assert_eq!(session.stream_count(), 256);
    // The other one of a pair is taken all the same, and a second one of a type is told.
    peer.send(half(2001, "error", "80", "0")).await;
    peer.expect(syn_reply(2001)).await;
    let forward = next(&mut receive).await;
    // Now there is room for one.
    peer.send(half(2003, "error", "80", "1000")).await;
    peer.expect(syn_reply(2003)).await;
    peer.send(half(2005, "error", "80", "1001")).await;
    peer.expect(refused(2005)).await;
    // Those that the client takes back make room.
    peer.send(cancel(5)).await;
    peer.send(cancel(7)).await;
    open_pair(&mut peer, 2007, "81", "1002").await;
    assert_eq!(next(&mut receive).await.port(), 81);

    tokio::time::sleep(31 * SECOND).await;
    quiet(&mut peer).await;
    assert_eq!(session.stream_count(), 2);
    drop(forward);
    quiet(&mut peer).await;
    open_pair(&mut peer, 20_001, "80", "0").await;
    drop(next(&mut receive).await);
}

/// Reads until nothing comes.
async fn quiet(peer: &mut Peer) {
    while let Ok(Some(_)) = tokio::time::timeout(SECOND / 1000, peer.recv()).await {}
}
