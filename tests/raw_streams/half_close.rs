//! Half-close and reset.

use super::*;

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
