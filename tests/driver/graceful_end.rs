//! The graceful end.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_idle_session_shuts_down_in_two_steps() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    session.shutdown();
    session.shutdown();
    expect_drain(&mut peer, 0).await;
    peer.expect_end().await;
    peer.close();
    outcome(driver).await.unwrap();
    within("closed", session.closed()).await;
    assert!(session.is_closing());
    let refused = session.open(HeaderBlock::empty(), OpenOptions::new()).await;
    assert!(refused.unwrap_err().is_retryable());
    assert!(session.ping().await.is_err());
    assert!(session.accept().await.unwrap().is_none());
}

/// In single bytes, GOAWAY takes 16 writes: the last of them is the last that the driver makes before it reads again.
#[tokio::test(start_paused = true)]
async fn the_end_is_flushed_also_after_the_last_write_of_a_round() {
    let (io, wire) = pipe();
    let pace = Pace {
        piece: 1,
        ..Pace::default()
    };
    let faults = Faults {
        pace,
        ..Faults::default()
    };
    let (session, connection) = Session::client(alone(io, faults).0, Config::client());
    let mut peer = Peer::new(wire, Role::Server);
    let driver = spawn(connection);
    peer.expect_preface().await;
    drop(session);
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    peer.close();
    outcome(driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_streams_under_way_finish() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let mut first = accepted(&session, &mut peer, 1).await;
    session.shutdown();
    peer.expect(go_away(0x7fff_ffff, GoAwayStatus::OK)).await;
    let Some(Frame::Ping(ping_id)) = within("PING", peer.recv()).await else {
        panic!("no PING");
    };
    // What was sent before the GOAWAY arrived is still served.
    let mut second = accepted(&session, &mut peer, 3).await;
    peer.send(ping(ping_id)).await;
    peer.expect(go_away(3, GoAwayStatus::OK)).await;
    // What comes later is ignored.
    peer.send(syn_stream(5)).await;
    assert!(within("accept", session.accept()).await.unwrap().is_none());
    for (id, stream) in [(1, &mut first), (3, &mut second)] {
        peer.send(data(id, "question").fin()).await;
        let mut bytes = Vec::new();
        within("read", stream.read_to_end(&mut bytes))
            .await
            .unwrap();
        assert_eq!(bytes, b"question");
        assert!(!driver.is_finished());
        stream.write_all(b"answer").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(peer.expect_all(id, 6).await, b"answer");
    }
    peer.expect_end().await;
    peer.close();
    outcome(driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_peer_that_has_to_speak_first() {
    let (session, connection, mut peer) = server(Config::server().hold_until_peer_speaks(true));
    let driver = spawn(connection);
    // It rests, and there is nothing to send that would wake it.
    settle().await;
    let start = Instant::now();
    session.shutdown();
    peer.expect_end().await;
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    peer.close();
    outcome(driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_an_echo_that_does_not_come() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let start = Instant::now();
    session.shutdown();
    peer.expect(go_away(0x7fff_ffff, GoAwayStatus::OK)).await;
    peer.recv().await;
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    // The peer never closes: the driver lingers for a second.
    outcome(driver).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_drain_deadline_holds_on_a_connection_that_is_never_idle() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    session.shutdown();
    let busy = spawn(async move {
        // Always something to read, and in no time at all: only the clock moves.
        let mut buf = vec![0; 1 << 16];
        while stream.read(&mut buf).await.unwrap() > 0 {}
        stream
    });
    let mut seen = Vec::new();
    for _ in 0..300 {
        peer.send(data(1, vec![0; 1000])).await;
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    peer.send(data(1, "").fin()).await;
    drop(within("the reader", busy).await.unwrap());
    peer.close();
    while let Some(frame) = within("the end", peer.recv()).await {
        if let Frame::GoAway(go_away) = frame {
            seen.push(go_away.last_good.map(spdy::frame::StreamId::get));
        }
    }
    assert_eq!(seen, [Some(0x7fff_ffff), Some(1)]);
    drop(outcome(driver).await);
}

#[tokio::test(start_paused = true)]
async fn dropping_every_handle_ends_the_session_once_its_streams_have_ended() {
    let (session, driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = open(&session).await;
    peer.expect(syn_stream(1)).await;
    let clone = session.clone();
    drop(session);
    drop(clone);
    // Streams of the peer are refused from now on.
    peer.send(syn_stream(2)).await;
    peer.expect(rst(2, ResetStatus::REFUSED_STREAM)).await;
    peer.send(syn_reply(1)).await;
    peer.send(data(1, "rest").fin()).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"rest");
    assert!(!driver.is_finished());
    stream.shutdown().await.unwrap();
    peer.expect(data(1, "").fin()).await;
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    peer.close();
    outcome(driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_before_anything_was_sent_closes_cleanly() {
    let (session, connection, mut peer) = client(Config::client());
    drop(session);
    let driver = spawn(connection);
    peer.close();
    let frames = peer.drain().await;
    assert!(
        matches!(frames.last(), Some(Frame::GoAway(_))),
        "{frames:?}"
    );
    outcome(driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn abort_fails_every_stream_and_says_so_on_the_wire() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    session.abort(GoAwayStatus::INTERNAL_ERROR);
    peer.expect(go_away(1, GoAwayStatus::INTERNAL_ERROR)).await;
    peer.expect_end().await;
    assert!(stream.read_u8().await.is_err());
    assert!(stream.write_all(b"x").await.is_err());
    peer.close();
    let error = outcome(driver).await.unwrap_err();
    assert_eq!(error.go_away_status(), Some(GoAwayStatus::INTERNAL_ERROR));
    assert!(!error.is_remote());
}

#[tokio::test(start_paused = true)]
async fn go_away_of_the_peer_spares_streams_up_to_its_last_good() {
    let (session, driver, mut peer) = ready_client(Config::client()).await;
    let mut kept = open(&session).await;
    let mut lost = open(&session).await;
    peer.expect(syn_stream(1)).await;
    peer.expect(syn_stream(3)).await;
    let mut theirs = accepted(&session, &mut peer, 2).await;
    peer.send(go_away(1, GoAwayStatus::OK)).await;
    let error = within("reply", lost.reply()).await.unwrap_err();
    assert!(error.is_retryable() && error.is_go_away());
    assert!(session.is_closing());
    let refused = session.open(HeaderBlock::empty(), OpenOptions::new()).await;
    assert!(refused.unwrap_err().is_retryable());
    // A later GOAWAY cannot bring anything back.
    peer.send(go_away(9, GoAwayStatus::OK)).await;
    peer.send(syn_reply(1)).await;
    within("reply", kept.reply()).await.unwrap();
    peer.send(data(1, "fine").fin()).await;
    let mut bytes = Vec::new();
    within("read", kept.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, b"fine");
    kept.shutdown().await.unwrap();
    peer.expect(data(1, "").fin()).await;
    // The peer's own stream goes on too.
    peer.send(data(2, "theirs").fin()).await;
    bytes.clear();
    within("read", theirs.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"theirs");
    assert!(!driver.is_finished());
    theirs.shutdown().await.unwrap();
    peer.expect(data(2, "").fin()).await;
    peer.expect(go_away(2, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    peer.close();
    outcome(driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn data_before_go_away_is_delivered() {
    let (session, driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = open(&session).await;
    peer.expect(syn_stream(1)).await;
    peer.send(syn_reply(1)).await;
    peer.send(data(1, "queued before").fin()).await;
    peer.send(go_away(1, GoAwayStatus::OK)).await;
    peer.close();
    settle().await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"queued before");
    drop(outcome(driver).await);
}

/// Such as one behind a proxy that takes the end of one direction for that of both.
#[tokio::test(start_paused = true)]
async fn a_peer_may_close_first_as_long_as_it_is_not_silent() {
    let timeout = Duration::from_secs(30);
    let config = Config::server().early_goaway(false);
    let (session, driver, mut peer) = ready_server(config.peer_close_timeout(timeout)).await;
    let stream = accepted(&session, &mut peer, 1).await;
    drop(stream);
    peer.recv().await;
    session.shutdown();
    peer.expect(go_away(1, GoAwayStatus::OK)).await;
    within("closed", session.closed()).await;
    // It has not read that yet, as its user does not.
    for id in (1..).step_by(2).take(400) {
        tokio::time::advance(timeout - Duration::from_millis(1)).await;
        peer.send(ping(id)).await;
        peer.send(data(1, vec![0; 1000])).await;
        peer.expect_quiet().await;
        assert_eq!(peer.wire().unread_in(), 0);
    }
    peer.close();
    peer.expect_end().await;
    outcome(driver).await.unwrap();
}

/// How long a peer that sends a PING every 20 s and never closes is waited for behind the end of a session, in seconds.
async fn chatty(config: Config, end: impl FnOnce(&Session)) -> u64 {
    let (session, driver, mut peer) = ready_server(config.early_goaway(false)).await;
    let start = Instant::now();
    end(&session);
    for id in (1..).step_by(2) {
        sleep(Duration::from_secs(20)).await;
        let frame = peer.encode(ping(id));
        if driver.is_finished() || peer.wire().write_all(&frame).await.is_err() {
            break;
        }
    }
    outcome(driver).await.unwrap();
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_on_sending_and_never_closes_is_closed_on_in_the_end() {
    let timeout = Duration::from_secs(30);
    let config = || Config::server().peer_close_timeout(timeout);
    let shutdown = |session: &Session| session.shutdown();
    let whole = chatty(config().write_timeout(Duration::from_secs(600)), shutdown).await;
    assert!((600..=640).contains(&whole), "{whole} s");
    let whole = chatty(config(), shutdown).await;
    assert!((14_400..=14_440).contains(&whole), "{whole} s");

    // Nothing is left to a peer that was given up.
    let idle = config().idle_timeout(Duration::from_secs(60));
    let whole = chatty(idle, |_| {}).await;
    assert!((60..=80).contains(&whole), "{whole} s");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_a_peer_that_may_close_first_its_time_once_more() {
    let timeout = Duration::from_secs(30);
    let config = Config::server().early_goaway(false);
    let (session, connection, mut peer) = server(config.peer_close_timeout(timeout));
    let graceful = spdy::server::GracefulShutdown::new();
    let driver = spawn(graceful.watch(connection));
    peer.expect_preface().await;
    session.shutdown();
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    let start = Instant::now();
    for id in (1..).step_by(2) {
        sleep(Duration::from_secs(10)).await;
        if start.elapsed() == Duration::from_secs(300) {
            graceful.start();
        }
        let frame = peer.encode(ping(id));
        if driver.is_finished() || peer.wire().write_all(&frame).await.is_err() {
            break;
        }
    }
    driver.await.unwrap().unwrap();
    let whole = start.elapsed().as_secs();
    assert!((330..=350).contains(&whole), "{whole} s");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_that_does_not_close_is_closed_on() {
    let timeout = Duration::from_secs(30);
    let config = Config::server().early_goaway(false);
    let (session, driver, mut peer) = ready_server(config.peer_close_timeout(timeout)).await;
    let start = Instant::now();
    session.shutdown();
    peer.expect(go_away(0, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    assert_eq!(start.elapsed(), timeout);
    outcome(driver).await.unwrap();
    assert!(start.elapsed() <= timeout + Duration::from_secs(1));
}

/// There is nothing that a peer has to be left to read at leisure.
#[tokio::test(start_paused = true)]
async fn a_session_that_fails_closes_without_waiting_for_its_peer() {
    let config = Config::server().peer_close_timeout(Duration::from_secs(30));
    let (session, driver, mut peer) = ready_server(config).await;
    let start = Instant::now();
    session.abort(GoAwayStatus::INTERNAL_ERROR);
    peer.expect(go_away(0, GoAwayStatus::INTERNAL_ERROR)).await;
    peer.expect_end().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(outcome(driver).await.is_err());
}
