//! Stalls and time-outs.

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
    sleep(Duration::from_secs(100)).await;
    // Over on the wire, but held: the clock starts with the drop.
    drop(stream);
    let start = Instant::now();
    expect_drain(&mut peer, 1).await;
    assert_eq!(start.elapsed().as_secs(), 30);
    peer.close();
    outcome(driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_ping_flood_of_a_peer_that_never_reads_is_bounded() {
    let config = Config::server().write_timeout(Duration::from_secs(30));
    let (_session, driver, mut peer) = ready_server(config).await;
    peer.wire().set_out_capacity(0);
    peer.wire().set_in_capacity(4096);
    let frame = peer.encode(ping(1));
    // Below the budget per second, so that only the stuck replies stop it.
    let mut sent = 0;
    while sent < 10_000 {
        let write = peer.wire().write_all(&frame);
        match timeout(Duration::from_millis(200), write).await {
            Ok(Ok(())) => sent += 1,
            Ok(Err(_)) => break,
            Err(_) => break,
        }
        sleep(Duration::from_millis(101)).await;
        if driver.is_finished() {
            break;
        }
    }
    assert!(sent < 2000, "{sent} PINGs were taken");
    let error = outcome(driver).await.unwrap_err();
    assert!(error.is_timeout() || error.go_away_status().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_waits_for_a_stuck_peer_does_not_spin() {
    let (session, connection, mut peer) = server(Config::server());
    let mut connection = Box::pin(watched(connection));
    let turn = async |connection: &mut std::pin::Pin<Box<Watched<_>>>| {
        for _ in 0..50 {
            let ready = futures_util::FutureExt::now_or_never(connection.as_mut());
            assert!(ready.is_none());
            tokio::task::yield_now().await;
        }
    };
    turn(&mut connection).await;
    peer.expect_preface().await;
    peer.wire().set_out_capacity(0);
    for i in 0..90 {
        peer.send(ping(2 * i + 1)).await;
    }
    turn(&mut connection).await;
    let before = connection.polls();
    for _ in 0..20 {
        // A handle that does anything must not wake a driver that can do nothing.
        let _ = session.stream_count();
        turn(&mut connection).await;
    }
    assert!(
        connection.polls() - before <= 2,
        "{} polls while nothing could move",
        connection.polls() - before
    );
    peer.wire().set_out_capacity(usize::MAX);
    turn(&mut connection).await;
    for i in 0..90 {
        peer.expect(ping(2 * i + 1)).await;
    }
}
