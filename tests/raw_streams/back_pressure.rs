//! Back-pressure and flow control.

use super::*;

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

#[tokio::test(start_paused = true)]
async fn the_statistics_tell_where_every_byte_of_the_connection_window_is() {
    let window = 1 << 17;
    let config = Config::server()
        .initial_stream_window_size(1 << 16)
        .initial_connection_window_size(window);
    let (session, _driver, mut peer) = ready_server(config).await;
    let stats = session.stats();
    assert_eq!((stats.streams, stats.unread, stats.uncredited), (0, 0, 0));
    assert_eq!(
        (stats.receive_window, stats.send_window),
        (i64::from(window), 65_536)
    );

    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.send(data(1, [1; 1000])).await;
    settle().await;
    let stats = session.stats();
    assert_eq!(
        (stats.streams, stats.unread, stats.uncredited),
        (1, 1000, 0)
    );
    assert_eq!(stats.receive_window, i64::from(window) - 1000);

    within("read", stream.read_exact(&mut [0; 1000]))
        .await
        .unwrap();
    let stats = session.stats();
    assert_eq!((stats.unread, stats.uncredited), (0, 1000));

    within("write", stream.write_all(&[1; 2000])).await.unwrap();
    peer.expect_data(1, 2000).await;
    assert_eq!(session.stats().send_window, 65_536 - 2000);
    peer.send(window_update(0, 500)).await;
    drop(stream);
    settle().await;
    let stats = session.stats();
    assert_eq!((stats.streams, stats.send_window), (0, 65_536 - 1500));
}
