//! Stalls and time-outs.

use std::sync::atomic::Ordering;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_meets_the_write_timeout() {
    let config = Config::client().write_timeout(Duration::from_secs(5));
    let (session, driver, mut peer) = ready_client(config).await;
    let mut stream = open(&session).await;
    peer.expect(syn_stream(1)).await;
    peer.wire().set_out_capacity(100);
    let start = Instant::now();
    stream.write_all(&[0; 1000]).await.unwrap();
    // A little is taken after four seconds: the time starts again.
    sleep(Duration::from_secs(4)).await;
    peer.wire().set_out_capacity(200);
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 9);
    let error = outcome(driver).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Write));
    assert_eq!(start.elapsed().as_secs(), 9, "no lingering for a dead peer");
}

#[tokio::test(start_paused = true)]
async fn the_write_timeout_holds_although_the_peer_keeps_sending() {
    let config = Config::server().write_timeout(Duration::from_secs(5));
    let (session, driver, mut peer) = ready_server(config).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.wire().set_out_capacity(0);
    stream.write_all(&[0; 1000]).await.unwrap();
    let (_send, mut recv) = stream.split();
    let reader = spawn(async move { while let Ok(Some(_)) = recv.data().await {} });
    let start = Instant::now();
    while !driver.is_finished() && start.elapsed() < Duration::from_secs(60) {
        let frame = peer.encode(data(1, "x"));
        if peer.wire().write_all(&frame).await.is_err() {
            break;
        }
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    let error = outcome(driver).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Write));
    assert!(start.elapsed() < Duration::from_secs(7));
    within("the reader", reader).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keep_alive_asks_and_gives_up() {
    let config = Config::client()
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(3));
    let (session, driver, mut peer) = ready_client(config).await;
    let start = Instant::now();
    // Not while idle.
    sleep(Duration::from_secs(100)).await;
    peer.expect_quiet().await;
    let mut stream = open(&session).await;
    peer.expect(syn_stream(1)).await;
    let Some(Frame::Ping(id)) = within("PING", peer.recv()).await else {
        panic!("no PING");
    };
    peer.send(ping(id)).await;
    settle().await;
    let asked = Instant::now();
    let Some(Frame::Ping(id)) = within("PING", peer.recv()).await else {
        panic!("no PING");
    };
    assert_eq!(asked.elapsed().as_secs(), 10);
    // Any byte is life, not just the echo.
    assert_eq!(id % 2, 1);
    peer.send_raw(&[0x80]).await;
    sleep(Duration::from_secs(9)).await;
    peer.expect_quiet().await;
    assert!(matches!(peer.recv().await, Some(Frame::Ping(_))));
    let error = within("reply", stream.reply()).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::KeepAlive));
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    let error = outcome(driver).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::KeepAlive));
    assert!(start.elapsed() < Duration::from_secs(130));
}

#[tokio::test(start_paused = true)]
async fn keep_alive_holds_still_while_we_do_not_read() {
    let config = Config::server()
        .flow_control(FlowControl::Off)
        .unread_stream_limit(10_000)
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(3));
    let (session, connection, mut peer) = server(config);
    let driver = spawn(connection);
    within("SETTINGS", peer.recv()).await.unwrap();
    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.send(data(1, vec![1; 20_000])).await;
    sleep(Duration::from_secs(100)).await;
    peer.expect_quiet().await;
    let mut bytes = vec![0; 20_000];
    within("read", stream.read_exact(&mut bytes)).await.unwrap();
    let resumed = Instant::now();
    assert!(matches!(peer.recv().await, Some(Frame::Ping(_))));
    assert_eq!(resumed.elapsed().as_secs(), 10);
    assert!(!driver.is_finished());
}

#[tokio::test(start_paused = true)]
async fn keep_alive_sees_a_dead_peer_behind_output_that_is_stuck() {
    let config = Config::client()
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5));
    let (session, driver, mut peer) = ready_client(config).await;
    let mut stream = open(&session).await;
    peer.expect(syn_stream(1)).await;
    peer.wire().set_out_capacity(100);
    for id in [0, 1] {
        peer.send(window_update(id, 1 << 20)).await;
    }
    let start = Instant::now();
    // So much that the PING is not even encoded.
    let write = stream.write_all(&[0; 400_000]);
    let error = within("write", write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 15);
    let error = outcome(driver).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Write));
}

#[tokio::test(start_paused = true)]
async fn keep_alive_spares_a_peer_that_reads_slowly() {
    let config = Config::client()
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5));
    let (session, driver, mut peer) = ready_client(config).await;
    let mut stream = open(&session).await;
    peer.expect(syn_stream(1)).await;
    peer.send(syn_reply(1)).await;
    within("reply", stream.reply()).await.unwrap();
    peer.wire().set_out_capacity(1000);
    stream.write_all(&[1; 60_000]).await.unwrap();
    let start = Instant::now();
    let mut read = 0;
    while read < 60_000 {
        sleep(Duration::from_millis(900)).await;
        let mut taken = bytes::BytesMut::new();
        read += peer.wire().read(&mut taken).await.unwrap();
        assert!(!driver.is_finished(), "after {:?}", start.elapsed());
    }
    assert!(start.elapsed() > Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_ends_after_the_idle_timeout() {
    let config = Config::server().idle_timeout(Duration::from_secs(30));
    let (session, driver, mut peer) = ready_server(config).await;
    sleep(Duration::from_secs(29)).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    sleep(Duration::from_secs(100)).await;
    peer.send(data(1, "").fin()).await;
    stream.shutdown().await.unwrap();
    peer.expect(data(1, "").fin()).await;
    // Over on the wire: that its handle is kept makes no connection busy.
    let start = Instant::now();
    expect_drain(&mut peer, 1).await;
    assert_eq!(start.elapsed().as_secs(), 30);
    drop(stream);
    peer.close();
    outcome(driver).await.unwrap();
}

/// Fills the output of a server whose peer takes nothing: from here on replies wait in the session.
async fn fill_output(stream: &mut Stream, peer: &mut Peer) {
    peer.wire().set_out_capacity(0);
    let window = vec![1; 65_536];
    within("write", stream.write_all(&window)).await.unwrap();
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_flood_of_a_peer_that_never_reads_is_bounded() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    fill_output(&mut stream, &mut peer).await;
    peer.wire().set_in_capacity(120);
    // Slow enough for the budget of PINGs, so that only the stuck replies stop it.
    let frame = peer.encode(ping(1));
    let mut sent = 0;
    while timeout(Duration::from_secs(1), peer.wire().write_all(&frame))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 1000, "nothing stops the peer");
        sleep(Duration::from_millis(101)).await;
    }
    // 64 replies, the batch that went past them, and what the transport holds.
    assert!((64..100).contains(&sent), "{sent} PINGs were taken");
    sleep(Duration::from_secs(1000)).await;
    assert!(!driver.is_finished());
    peer.wire().set_out_capacity(usize::MAX);
    peer.expect_data(1, 65_536).await;
    for _ in 0..sent {
        peer.expect(ping(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_waits_for_a_stuck_peer_does_not_spin() {
    let (session, connection, mut peer) = server(Config::server());
    let connection = watched(connection);
    let polls = connection.counter();
    spawn(connection);
    peer.expect_preface().await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    fill_output(&mut stream, &mut peer).await;
    for i in 0..90 {
        peer.send(ping(2 * i + 1)).await;
    }
    settle().await;
    let before = polls.load(Ordering::SeqCst);
    for _ in 0..20 {
        // A handle that does anything must not wake a driver that can do nothing.
        let _ = session.stream_count();
        settle().await;
    }
    let polled = polls.load(Ordering::SeqCst) - before;
    assert!(polled <= 2, "{polled} polls while nothing could move");
    peer.wire().set_out_capacity(usize::MAX);
    peer.expect_data(1, 65_536).await;
    for i in 0..90 {
        peer.expect(ping(2 * i + 1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_times_out_unless_an_option_says_so() {
    // Without streams,
    let (_session, driver, mut peer) = ready_server(Config::server()).await;
    sleep(Duration::from_secs(24 * 60 * 60)).await;
    peer.expect_quiet().await;
    assert!(!driver.is_finished());

    // and with one in every state.
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    peer.send(syn_stream(1)).await;
    let unanswered = within("accept", session.accept()).await.unwrap().unwrap();
    let mut idle = accepted(&session, &mut peer, 3).await;
    let mut half = accepted(&session, &mut peer, 5).await;
    peer.send(data(5, "").fin()).await;
    let mut unread = accepted(&session, &mut peer, 7).await;
    peer.send(data(7, "unread")).await;
    let mut stuck = accepted(&session, &mut peer, 9).await;
    let writer = spawn(async move { stuck.write_all(&[1; 70_000]).await.map(|()| stuck) });
    peer.expect_data(9, 65_536).await;

    sleep(Duration::from_secs(24 * 60 * 60)).await;
    peer.expect_quiet().await;
    assert!(!driver.is_finished() && !writer.is_finished());

    let _answered = unanswered.reply(HeaderBlock::empty()).unwrap();
    peer.expect(syn_reply(1)).await;
    let mut bytes = [0; 6];
    within("read", unread.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"unread");
    peer.send(data(3, "late")).await;
    within("read", idle.read_exact(&mut bytes[..4]))
        .await
        .unwrap();
    for stream in [0, 9] {
        peer.send(window_update(stream, 100_000)).await;
    }
    peer.expect_data(9, 70_000 - 65_536).await;
    let _stuck = within("the writer", writer).await.unwrap().unwrap();
    half.write_all(b"late").await.unwrap();
    peer.expect(data(5, "late")).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_16_kib_a_second_is_served_for_minutes() {
    const TOTAL: usize = 10 << 20;
    const STEP: usize = 16 << 10;
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&written);
    let writer = spawn(async move {
        for _ in 0..TOTAL / STEP {
            stream.write_all(&[1; STEP]).await.unwrap();
            count.fetch_add(STEP, Ordering::SeqCst);
        }
        stream
    });
    let start = Instant::now();
    peer.send(window_update(0, 1 << 30)).await;
    peer.expect_data(1, 65_536).await;
    let mut taken = 65_536;
    while taken < TOTAL {
        sleep(Duration::from_secs(1)).await;
        peer.send(window_update(1, 16 << 10)).await;
        peer.expect_data(1, STEP).await;
        taken += STEP;
        let ahead = written.load(Ordering::SeqCst) - taken.min(written.load(Ordering::SeqCst));
        assert!(ahead <= 64 << 10, "{ahead} bytes wait to be sent");
    }
    assert!(start.elapsed() > Duration::from_secs(600));
    let mut stream = within("the writer", writer).await.unwrap();
    stream.shutdown().await.unwrap();
    peer.expect(data(1, "").fin()).await;
    assert!(!driver.is_finished());
}
