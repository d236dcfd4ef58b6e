//! Peers that do not speak SPDY.

use super::*;

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_spdy_get_go_away_and_an_error_that_says_what_they_are() {
    let cases: [(&[u8], &str); 6] = [
        (b"GET / HTTP/1.1\r\nHost: example\r\n\r\n", "HTTP/1"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
        (&[0; 64], "zeros"),
        (
            b"\x80\x02\x00\x01\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00",
            "",
        ),
    ];
    for (bytes, says) in cases {
        for piece in [usize::MAX, 1] {
            let (session, driver, mut peer) = ready_server(Config::server()).await;
            peer.wire().set_in_piece(piece);
            let _ = peer.wire().write_all(bytes).await;
            peer.expect(go_away(0, GoAwayStatus::PROTOCOL_ERROR)).await;
            peer.expect_end().await;
            peer.close();
            let error = outcome(driver).await.unwrap_err();
            assert_eq!(error.go_away_status(), Some(GoAwayStatus::PROTOCOL_ERROR));
            assert!(error.to_string().contains(says), "{error}");
            assert!(session.accept().await.is_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_with_a_foreign_dictionary_ends_the_session() {
    let (_session, driver, mut peer) = ready_server(Config::server()).await;
    let mut frame = peer.encode(syn_stream(1).header("a", "b")).to_vec();
    // Frame header, fixed part, then the zlib header with the dictionary id.
    assert_eq!(frame[18] & 0x0f, 8);
    frame[20..24].copy_from_slice(&[1, 2, 3, 4]);
    peer.send_raw(&frame).await;
    peer.expect(go_away(0, GoAwayStatus::PROTOCOL_ERROR)).await;
    peer.close();
    let error = outcome(driver).await.unwrap_err();
    assert!(error.to_string().contains("dictionary"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_block_that_inflates_without_end_ends_the_session() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let bomb = peer.encode(syn_stream(1).header("a", &"x".repeat(4 << 20)));
    assert!(bomb.len() < 64 << 10, "{} bytes", bomb.len());
    peer.send_raw(&bomb).await;
    peer.expect(go_away(0, GoAwayStatus::PROTOCOL_ERROR)).await;
    peer.close();
    assert!(outcome(driver).await.is_err());
    assert_eq!(session.stream_count(), 0);
}
