//! Opening and replying.

use super::*;

#[tokio::test(start_paused = true)]
async fn open_sends_headers_and_options_and_reply_returns_headers() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let options = OpenOptions::new().priority(spdy::frame::Priority::new(3));
    let mut stream = session.open(block(&[("a", "b")]), options).await.unwrap();
    peer.expect(syn_stream(1).header("a", "b").priority(3))
        .await;
    assert_eq!(stream.id(), Some(id(1)));
    peer.send(syn_reply(1).header("c", "d")).await;
    let reply = within("reply", stream.reply()).await.unwrap();
    assert_eq!(reply.get("c"), Some(&b"d"[..]));
    let again = within("second reply", stream.reply()).await;
    assert!(again.unwrap_err().is_user());
}

#[tokio::test(start_paused = true)]
async fn accept_shows_what_the_syn_stream_carried() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    peer.send(
        syn_stream(5)
            .header("a", "b")
            .priority(6)
            .associated(4)
            .fin(),
    )
    .await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    assert_eq!(incoming.headers().get("a"), Some(&b"b"[..]));
    assert_eq!(incoming.priority().get(), 6);
    assert_eq!(incoming.associated(), Some(id(4)));
    assert!(!incoming.is_unidirectional());
    let mut stream = incoming.reply(block(&[("x", "y")])).unwrap();
    peer.expect(syn_reply(5).header("x", "y")).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert!(bytes.is_empty());
    stream.shutdown().await.unwrap();
    peer.expect(data(5, "").fin()).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_may_be_written_before_the_reply() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = open(&session).await;
    stream.write_all(b"early").await.unwrap();
    peer.expect(syn_stream(1)).await;
    peer.expect(data(1, "early")).await;
}

#[tokio::test(start_paused = true)]
async fn unidirectional_streams_carry_bytes_one_way() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    peer.send(syn_stream(1).unidirectional()).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    assert!(incoming.is_unidirectional());
    let mut stream = incoming.reply(HeaderBlock::empty()).unwrap();
    peer.send(data(1, "one way").fin()).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"one way");
    assert!(stream.write_all(b"x").await.is_err());
    drop(stream);
    peer.expect_quiet().await;
    assert_eq!(session.stream_count(), 0);

    let options = OpenOptions::new().unidirectional(true);
    let mut stream = session.open(HeaderBlock::empty(), options).await.unwrap();
    peer.expect(syn_stream(2).unidirectional()).await;
    assert!(within("reply", stream.reply()).await.is_err());
    stream.write_all(b"push").await.unwrap();
    stream.shutdown().await.unwrap();
    peer.expect_data(2, 4).await;
    let mut rest = Vec::new();
    within("read", stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_status_of_a_rejection_reaches_either_side() {
    for code in 1..=11 {
        let status = ResetStatus::new(code);
        let (session, _driver, mut peer) = ready_server(Config::server()).await;
        peer.send(syn_stream(1)).await;
        let incoming = within("accept", session.accept()).await.unwrap().unwrap();
        incoming.reject(status);
        peer.expect(rst(1, status)).await;
        assert_eq!(session.stream_count(), 0);

        let (session, _driver, mut peer) = ready_client(Config::client()).await;
        let mut stream = open(&session).await;
        peer.expect(syn_stream(1)).await;
        peer.send(rst(1, status)).await;
        let error = within("reply", stream.reply()).await.unwrap_err();
        assert_eq!(error.reset_status(), Some(status));
        assert!(error.is_remote());
        assert_eq!(error.is_retryable(), status == ResetStatus::REFUSED_STREAM);
        assert_eq!(error.stream_id(), Some(id(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_incoming_is_cancelled() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    peer.send(syn_stream(1)).await;
    drop(within("accept", session.accept()).await.unwrap().unwrap());
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn headers_too_large_for_the_limit_are_reset_and_not_handed_out() {
    let config = Config::server().max_header_list_size(100);
    let (session, _driver, mut peer) = ready_server(config).await;
    peer.send(syn_stream(1).header("a", &"x".repeat(200))).await;
    peer.send(syn_stream(3).header("a", "b")).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    assert_eq!(incoming.id(), id(3));
    peer.expect(rst(1, ResetStatus::FRAME_TOO_LARGE)).await;
}

#[tokio::test(start_paused = true)]
async fn headers_go_both_ways() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    stream.write_all(b"12").await.unwrap();
    stream
        .send_half()
        .send_headers(block(&[("mid", "1")]))
        .unwrap();
    stream.write_all(b"34").await.unwrap();
    stream
        .send_half()
        .send_trailers(block(&[("end", "2")]))
        .unwrap();
    peer.expect(data(1, "12")).await;
    peer.expect(headers(1).header("mid", "1")).await;
    peer.expect(data(1, "34")).await;
    peer.expect(headers(1).header("end", "2").fin()).await;
    assert!(stream.write_all(b"x").await.is_err());

    peer.send(headers(1).header("m", "1")).await;
    let got = within("headers", stream.recv_half().headers()).await;
    assert_eq!(got.unwrap().unwrap().get("m"), Some(&b"1"[..]));
    peer.send(data(1, "x")).await;
    peer.send(headers(1).header("t", "2").fin()).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"x");
    assert!(!stream.recv_half().is_end());
    let trailers = within("trailers", stream.recv_half().headers()).await;
    assert_eq!(trailers.unwrap().unwrap().get("t"), Some(&b"2"[..]));
    assert!(
        within("no more", stream.recv_half().headers())
            .await
            .unwrap()
            .is_none()
    );
    assert!(stream.recv_half().is_end());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_headers_ends_with_a_reset() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let stream = accepted(&session, &mut peer, 1).await;
    let (_send, mut recv) = stream.split();
    let waiting = spawn(async move { recv.headers().await });
    settle().await;
    peer.send(rst(1, ResetStatus::CANCEL)).await;
    let error = within("headers", waiting).await.unwrap().unwrap_err();
    assert!(error.is_reset());
}
