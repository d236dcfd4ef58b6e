//! The limit of the peer on our streams.

use super::*;

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

#[tokio::test(start_paused = true)]
async fn a_session_that_refuses_streams_goes_on_with_those_it_has() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let mut kept = accepted(&session, &mut peer, 1).await;
    let waiting = spawn({
        let session = session.clone();
        async move { session.accept().await.map(|incoming| incoming.is_none()) }
    });
    settle().await;
    session.refuse_streams();
    assert!(within("accept", waiting).await.unwrap().unwrap());
    peer.send(syn_stream(3)).await;
    peer.expect(rst(3, ResetStatus::REFUSED_STREAM)).await;
    assert!(within("accept", session.accept()).await.unwrap().is_none());
    kept.write_all(b"x").await.unwrap();
    peer.expect(data(1, "x")).await;
    replied(&session, &mut peer, 2).await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_nobody_has_accepted_yet_are_refused_as_well() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    peer.send(syn_stream(1)).await;
    peer.send(data(1, "x")).await;
    settle().await;
    session.refuse_streams();
    peer.expect(rst(1, ResetStatus::REFUSED_STREAM)).await;
    assert_eq!((session.stream_count(), session.unread_bytes()), (0, 0));
}
