//! The end of the transport.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_end_of_the_transport_is_clean_only_without_streams() {
    let (session, driver, peer) = ready_server(Config::server()).await;
    peer.close();
    outcome(driver).await.unwrap();
    assert!(session.accept().await.unwrap().is_none());

    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.send(data(1, "some")).await;
    peer.close();
    let error = outcome(driver).await.unwrap_err();
    assert!(error.is_closed(), "{error}");
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).await.unwrap_err();
    assert_eq!(bytes, b"some");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert!(session.accept().await.unwrap_err().is_closed());
}

#[tokio::test(start_paused = true)]
async fn the_end_in_the_middle_of_a_frame_is_an_error() {
    for cut in 1..16 {
        let (_session, driver, mut peer) = ready_server(Config::server()).await;
        let frame = peer.encode(go_away(0, GoAwayStatus::OK));
        peer.send_raw(&frame[..cut]).await;
        peer.close();
        let error = outcome(driver).await.unwrap_err();
        assert!(error.to_string().contains("middle of a frame"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_largest_frame_that_is_cut_off_gives_its_bytes_and_an_error() {
    let config = Config::server().initial_stream_window_size(1 << 25);
    let (session, driver, mut peer) = ready_server(config).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    let mut bytes = vec![0, 0, 0, 1, 1, 0xff, 0xff, 0xff];
    bytes.extend([7; 1000]);
    peer.send_raw(&bytes).await;
    settle().await;
    assert_eq!(session.unread_bytes(), 1000, "delivered as it comes");
    peer.close();
    let mut read = Vec::new();
    let error = within("read", stream.read_to_end(&mut read)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionAborted);
    assert_eq!(read, [7; 1000]);
    let error = outcome(driver).await.unwrap_err();
    assert!(error.to_string().contains("middle of a frame"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_ends_everything_with_its_cause() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.fail(ErrorKind::ConnectionReset);
    let error = outcome(driver).await.unwrap_err();
    assert!(error.is_io() && error.is_closed());
    let cause = error.source().unwrap().downcast_ref::<std::io::Error>();
    assert_eq!(cause.unwrap().kind(), ErrorKind::ConnectionReset);
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_sent_is_read_although_writing_fails() {
    let (session, driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = open(&session).await;
    peer.expect(syn_stream(1)).await;
    // The peer answers, says why it goes, and closes; our upload meets a closed transport first.
    let mut last = Vec::new();
    last.extend_from_slice(&peer.encode(syn_reply(1).header("why", "full")));
    last.extend_from_slice(&peer.encode(data(1, "answer").fin()));
    last.extend_from_slice(&peer.encode(rst(1, ResetStatus::CANCEL)));
    peer.wire().fail_writes(ErrorKind::BrokenPipe);
    peer.send_raw(&last).await;
    drop(stream.write_all(&[0; 1000]).await);
    let reply = within("reply", stream.reply()).await.unwrap();
    assert_eq!(reply.get("why"), Some(&b"full"[..]));
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, b"answer");
    let error = outcome(driver).await.unwrap_err();
    assert!(error.is_io(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_connection_fails_every_wait_at_once() {
    let (session, connection, mut peer) = client(Config::client());
    let driver = spawn(connection);
    peer.expect_preface().await;
    let stream = open(&session).await;
    peer.expect(syn_stream(1)).await;
    let mut unreplied = open(&session).await;
    peer.expect(syn_stream(3)).await;
    peer.send(syn_reply(1)).await;
    let (mut send, mut recv) = stream.split();
    // Leave no slot.
    peer.send(settings().set(spdy::frame::SettingId::MaxConcurrentStreams, 2))
        .await;
    settle().await;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(open(&session).await);
    }
    let mut unsent = waiting.remove(0);
    let mut unsent_writer = waiting.remove(0);
    let s = |session: &Session| session.clone();
    let (a, b, c, d) = (s(&session), s(&session), s(&session), s(&session));
    let connection = async move {
        settle().await;
        driver.abort();
    };
    Joint::new()
        .add("read", async {
            assert!(recv.data().await.unwrap_err().is_closed());
        })
        .add("write", async {
            assert!(send.write_all(&[0; 1 << 20]).await.is_err());
            assert!(send.flush().await.is_err());
            assert!(send.shutdown().await.is_err());
        })
        .add("reply", async {
            assert!(unreplied.reply().await.unwrap_err().is_closed());
        })
        .add("reply of an unsent stream", async {
            assert!(unsent.reply().await.unwrap_err().is_retryable());
        })
        .add("write to an unsent stream", async {
            assert!(unsent_writer.write_all(b"x").await.is_err());
        })
        .add("accept", async {
            assert!(a.accept().await.unwrap_err().is_closed());
        })
        .add("open", async {
            let opened = b.open(HeaderBlock::empty(), OpenOptions::new()).await;
            assert!(opened.unwrap_err().is_retryable());
        })
        .add("ping", async {
            assert!(c.ping().await.unwrap_err().is_closed());
        })
        .add("closed", async { d.closed().await })
        .add("the drop", connection)
        .run()
        .await;
}

/// One exchange in full; every wait in it has to end whatever happens to the transport.
async fn exchange(role: Role, session: Session) -> Result<(), Box<dyn std::error::Error>> {
    let mut stream = match role {
        Role::Client => {
            let headers = block(&[("name", "value")]);
            let mut stream = session.open(headers, OpenOptions::new()).await?;
            stream.write_all(&[1; 3000]).await?;
            stream.flush().await?;
            stream.reply().await?;
            stream
        }
        Role::Server => {
            let incoming = session.accept().await?.ok_or("the session ended")?;
            let mut stream = incoming.reply(block(&[("name", "value")]))?;
            stream.write_all(&[1; 3000]).await?;
            stream
        }
    };
    let mut bytes = vec![0; 3000];
    stream.read_exact(&mut bytes).await?;
    stream.shutdown().await?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await?;
    session.ping().await?;
    session.shutdown();
    Ok(())
}

/// What the peer of `exchange` sends.
fn script(role: Role, peer: &mut Peer) -> Vec<u8> {
    let id = 1;
    let (opener, echo) = match role {
        Role::Client => (syn_reply(id).header("name", "value"), ping(1)),
        Role::Server => (syn_stream(id).header("name", "value"), ping(2)),
    };
    let mut bytes = Vec::new();
    bytes.extend_from_slice(
        &peer.encode(settings().set(spdy::frame::SettingId::MaxConcurrentStreams, 50)),
    );
    bytes.extend_from_slice(&peer.encode(opener));
    bytes.extend_from_slice(&peer.encode(data(id, vec![2; 3000])));
    bytes.extend_from_slice(&peer.encode(headers(id).header("trailer", "x").fin()));
    bytes.extend_from_slice(&peer.encode(ping(77)));
    bytes.extend_from_slice(&peer.encode(echo));
    bytes
}

#[tokio::test(start_paused = true)]
async fn a_transport_cut_at_any_byte_ends_every_wait_with_an_error() {
    for role in [Role::Client, Role::Server] {
        let mut cut = 0;
        loop {
            let (io, wire) = pipe();
            let (session, connection) = match role {
                Role::Client => Session::client(io, Config::client()),
                Role::Server => Session::server(io, Config::server()),
            };
            let mut peer = Peer::new(wire, role.peer());
            let driver = spawn(connection);
            let mine = spawn({
                let session = session.clone();
                async move {
                    exchange(role, session)
                        .await
                        .map_err(|error| error.to_string())
                }
            });
            // The SYN_REPLY answers a SYN_STREAM, and the echo a PING.
            settle().await;
            let bytes = script(role, &mut peer);
            let whole = cut >= bytes.len();
            let echo = bytes.len() - 12;
            peer.send_raw(&bytes[..cut.min(echo)]).await;
            settle().await;
            peer.send_raw(&bytes[cut.min(echo)..cut.min(bytes.len())])
                .await;
            peer.close();
            let result = within("the exchange", mine).await.unwrap();
            if !whole {
                let error = result.unwrap_err();
                assert!(!error.is_empty());
            }
            drop(outcome(driver).await);
            drop(session);
            if whole {
                break;
            }
            // Every position of the small frames, some of the long one.
            cut += if (200..3000).contains(&cut) { 97 } else { 1 };
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_after_any_number_of_bytes_ends_every_wait() {
    for role in [Role::Client, Role::Server] {
        for room in (0..200).chain((200..4000).step_by(101)) {
            let (io, wire) = pipe();
            let (session, connection) = match role {
                Role::Client => Session::client(io, Config::client()),
                Role::Server => Session::server(io, Config::server()),
            };
            wire.set_out_capacity(room);
            let mut peer = Peer::new(wire, role.peer());
            let driver = spawn(connection);
            let mine = spawn({
                let session = session.clone();
                async move {
                    exchange(role, session)
                        .await
                        .map_err(|error| error.to_string())
                }
            });
            settle().await;
            if role == Role::Server {
                let bytes = script(role, &mut peer);
                peer.send_raw(&bytes[..bytes.len() - 12]).await;
                settle().await;
            }
            peer.wire().fail_writes(ErrorKind::BrokenPipe);
            settle().await;
            // Where nothing was left to write, it takes a read to notice.
            peer.wire().fail_reads(ErrorKind::BrokenPipe);
            let error = within("the exchange", mine).await.unwrap().unwrap_err();
            assert!(!error.is_empty());
            assert!(outcome(driver).await.unwrap_err().is_io());
        }
    }
}

/// A server that has written its last stream and wants to close, with most of the bytes still on their way.
async fn closing_with_unsent_bytes(config: Config) -> (Driver, Peer) {
    let (session, driver, mut peer) = ready_server(config).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.send(data(1, "").fin()).await;
    peer.wire().set_out_capacity(1000);
    stream.write_all(&[7; 60_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    drop(session);
    settle().await;
    assert!(!driver.is_finished());
    (driver, peer)
}

#[tokio::test(start_paused = true)]
async fn bytes_of_streams_that_are_lost_at_the_close_are_an_error() {
    let (driver, peer) = closing_with_unsent_bytes(Config::server()).await;
    peer.fail(ErrorKind::ConnectionReset);
    assert!(outcome(driver).await.unwrap_err().is_io());

    let config = Config::server().write_timeout(Duration::from_secs(5));
    let (driver, _peer) = closing_with_unsent_bytes(config).await;
    let error = outcome(driver).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Write));

    let (driver, mut peer) = closing_with_unsent_bytes(Config::server()).await;
    peer.expect_all(1, 60_000).await;
    peer.close();
    outcome(driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_go_away_that_is_lost_at_the_close_is_no_error() {
    let (session, driver, peer) = ready_server(Config::server()).await;
    peer.wire().fail_writes(ErrorKind::BrokenPipe);
    drop(session);
    settle().await;
    peer.close();
    outcome(driver).await.unwrap();
}
