//! Flow control of other kinds.

use super::*;

/// A server for a peer that knows no windows.
async fn off(overflow: Overflow) -> (Session, Driver, Peer) {
    let config = Config::server()
        .flow_control(FlowControl::Off)
        .overflow(overflow)
        .unread_stream_limit(50_000);
    let (session, connection, mut peer) = server(config);
    let driver = spawn(connection);
    within("SETTINGS", peer.recv()).await.unwrap();
    (session, driver, peer)
}

#[tokio::test(start_paused = true)]
async fn without_windows_an_unread_stream_pauses_the_transport_until_it_is_read() {
    let (session, _driver, mut peer) = off(Overflow::Pause).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.wire().set_in_capacity(10_000);
    let frame = peer.encode(data(1, vec![7; 1000]));
    let mut sent = 0;
    while timeout(Duration::from_secs(1), peer.wire().write_all(&frame))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 1000, "nothing stops the peer");
    }
    assert!(session.unread_bytes() > 50_000 && session.unread_bytes() < 200_000);
    sleep(Duration::from_secs(1000)).await;
    let unread = session.unread_bytes();
    let mut bytes = vec![0; unread];
    within("read", stream.read_exact(&mut bytes)).await.unwrap();
    settle().await;
    assert_eq!(peer.wire().unread_in(), 0, "reading goes on");
    peer.expect_quiet().await;
    // No window of the peer stops us either.
    let (mut send, _recv) = stream.split();
    let writer = spawn(async move {
        send.write_all(&vec![1; 1 << 20]).await?;
        send.shutdown().await
    });
    peer.expect_all(1, 1 << 20).await;
    within("write", writer).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_windows_an_unread_stream_can_be_reset_after_a_grace_time() {
    let after = Duration::from_secs(5);
    let (session, _driver, mut peer) = off(Overflow::Reset { after }).await;
    let mut stuck = accepted(&session, &mut peer, 1).await;
    let mut other = accepted(&session, &mut peer, 3).await;
    let start = Instant::now();
    peer.send(data(1, vec![7; 100_000])).await;
    settle().await;
    peer.send(data(3, "for another").fin()).await;
    let mut bytes = Vec::new();
    within("read", other.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(start.elapsed().as_millis(), 500, "the other waits");
    assert_eq!(bytes, b"for another");
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
    assert_eq!(start.elapsed().as_secs(), 5);
    let error = stuck.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn lenient_flow_control_tolerates_a_peer_that_overruns_our_windows() {
    let config = Config::server()
        .flow_control(FlowControl::Lenient)
        .initial_stream_window_size(65_536)
        .initial_connection_window_size(131_072);
    let (session, driver, mut peer) = ready_server(config).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    for _ in 0..40 {
        peer.send(data(1, vec![1; 10_000])).await;
    }
    peer.send(data(1, "").fin()).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes.len(), 400_000);
    assert!(!driver.is_finished());

    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let _stream = accepted(&session, &mut peer, 1).await;
    for _ in 0..27 {
        peer.send(data(1, vec![1; 10_000])).await;
    }
    peer.expect(rst(1, ResetStatus::FLOW_CONTROL_ERROR)).await;
    assert!(!driver.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_is_written_goes_out_while_an_unread_stream_stops_the_reading() {
    let (session, _driver, mut peer) = off(Overflow::Pause).await;
    let _unread = accepted(&session, &mut peer, 1).await;
    let mut other = accepted(&session, &mut peer, 3).await;
    peer.send(data(1, vec![7; 100_000])).await;
    settle().await;
    peer.send(ping(1)).await;
    settle().await;
    assert!(peer.wire().unread_in() > 0, "nothing is read");
    for _ in 0..3 {
        other.write_all(b"still here").await.unwrap();
        peer.expect_data(3, 10).await;
    }
}
