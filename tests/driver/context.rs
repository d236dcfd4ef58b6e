//! The header compression context outlives every block that is not used (sections 2.4.1 and 2.6.10.1).

use super::*;

/// Text that occurs nowhere else.
fn unique(n: u32) -> String {
    let letter = |i: u32| char::from(b'a' + u8::try_from((i * i * (n + 3) + 7 * i) % 26).unwrap());
    (0..40).map(letter).collect()
}

/// HEADERS on a stream that is open, which refer back to a block that was not used.
async fn expect_in_step(peer: &mut Peer, stream: &mut Stream, value: &str) {
    let frame = peer.encode(headers(1).header("back", value));
    assert!(frame.len() < value.len(), "it does not refer back");
    peer.send_raw(&frame).await;
    let block = within("headers", stream.recv_half().headers()).await;
    let block = block.unwrap().expect("HEADERS");
    assert_eq!(block.get("back"), Some(value.as_bytes()));
}

#[tokio::test(start_paused = true)]
async fn a_server_stays_in_step_behind_every_block_it_does_not_use() {
    let config = Config::server()
        .max_concurrent_streams(2)
        .max_header_list_size(1000);
    let (session, driver, mut peer) = ready_server(config).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    let mut n = 0;
    let mut next = || {
        n += 1;
        unique(n)
    };

    let value = next();
    peer.send(headers(101).header("x", &value)).await;
    peer.expect(rst(101, ResetStatus::INVALID_STREAM)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;

    let value = next();
    peer.send(syn_reply(103).header("x", &value)).await;
    peer.expect(rst(103, ResetStatus::INVALID_STREAM)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;

    // A reply to a stream that the peer has created itself.
    let value = next();
    let replied = accepted(&session, &mut peer, 3).await;
    peer.send(syn_reply(3).header("x", &value)).await;
    peer.expect(rst(3, ResetStatus::PROTOCOL_ERROR)).await;
    drop(replied);
    expect_in_step(&mut peer, &mut stream, &value).await;

    // Behind the peer's FIN.
    let value = next();
    let half = accepted(&session, &mut peer, 5).await;
    peer.send(data(5, "").fin()).await;
    peer.send(headers(5).header("x", &value)).await;
    peer.expect(rst(5, ResetStatus::STREAM_ALREADY_CLOSED))
        .await;
    drop(half);
    expect_in_step(&mut peer, &mut stream, &value).await;

    // In flight when we reset the stream.
    let value = next();
    let reset = accepted(&session, &mut peer, 7).await;
    reset.reset(ResetStatus::CANCEL);
    peer.expect(rst(7, ResetStatus::CANCEL)).await;
    drop(reset);
    peer.send(headers(7).header("x", &value)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;

    // The same id again.
    let value = next();
    let twice = accepted(&session, &mut peer, 9).await;
    peer.send(syn_stream(9).header("x", &value)).await;
    peer.expect(rst(9, ResetStatus::PROTOCOL_ERROR)).await;
    drop(twice);
    expect_in_step(&mut peer, &mut stream, &value).await;

    // Larger than the limit.
    let value = next();
    let large = syn_stream(11)
        .header("large", &"l".repeat(2000))
        .header("x", &value);
    peer.send(large).await;
    let accept = timeout(Duration::from_secs(1), session.accept()).await;
    assert!(accept.is_err(), "it is not handed out");
    peer.expect(rst(11, ResetStatus::FRAME_TOO_LARGE)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;

    // More streams than announced.
    let value = next();
    let second = accepted(&session, &mut peer, 13).await;
    peer.send(syn_stream(15).header("x", &value)).await;
    peer.expect(rst(15, ResetStatus::REFUSED_STREAM)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;
    drop(second);
    peer.expect(rst(13, ResetStatus::CANCEL)).await;

    // Behind our GOAWAY.
    let value = next();
    session.shutdown();
    expect_drain(&mut peer, 13).await;
    peer.send(syn_stream(17).header("x", &value)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;
    peer.expect_quiet().await;
    assert!(!driver.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_stays_in_step_behind_every_block_it_does_not_use() {
    let config = Config::client().max_header_list_size(1000);
    let (session, driver, mut peer) = ready_client(config).await;
    let mut stream = open(&session).await;
    peer.expect(syn_stream(1)).await;
    peer.send(syn_reply(1)).await;
    within("reply", stream.reply()).await.unwrap();

    // A second reply.
    let value = unique(1);
    let _second = open(&session).await;
    peer.expect(syn_stream(3)).await;
    peer.send(syn_reply(3)).await;
    peer.send(syn_reply(3).header("x", &value)).await;
    peer.expect(rst(3, ResetStatus::STREAM_IN_USE)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;

    // HEADERS before the reply.
    let value = unique(2);
    let _early = open(&session).await;
    peer.expect(syn_stream(5)).await;
    peer.send(headers(5).header("x", &value)).await;
    peer.expect(rst(5, ResetStatus::PROTOCOL_ERROR)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;

    // A reply that crosses our cancel.
    let value = unique(3);
    drop(open(&session).await);
    let kept = open(&session).await;
    peer.expect(syn_stream(7)).await;
    drop(kept);
    peer.expect(rst(7, ResetStatus::CANCEL)).await;
    peer.send(syn_reply(7).header("x", &value)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;

    // A reply larger than the limit.
    let value = unique(4);
    let _large = open(&session).await;
    peer.expect(syn_stream(9)).await;
    let large = syn_reply(9).header("large", &"l".repeat(2000));
    peer.send(large.header("x", &value)).await;
    peer.expect(rst(9, ResetStatus::FRAME_TOO_LARGE)).await;
    expect_in_step(&mut peer, &mut stream, &value).await;
    assert!(!driver.is_finished());
}
