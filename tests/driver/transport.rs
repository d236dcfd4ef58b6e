//! The transport.

use std::sync::atomic::Ordering;

use super::*;

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_peer_speaks_if_so_asked() {
    let config = Config::server().hold_until_peer_speaks(true);
    let (session, connection, mut peer) = server(config);
    let _driver = spawn(connection);
    let ping_future = spawn({
        let session = session.clone();
        async move { session.ping().await }
    });
    peer.expect_quiet().await;
    assert_eq!(peer.wire().written(), 0);
    peer.send_raw(&[0x80]).await;
    assert!(matches!(peer.recv().await, Some(Frame::Settings(_))));
    peer.expect(ping(2)).await;
    assert!(matches!(peer.recv().await, Some(Frame::WindowUpdate(_))));
    peer.send_raw(&[3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2]).await;
    within("ping", ping_future).await.unwrap().unwrap();

    let (session, connection, mut peer) = server(Config::server().hold_until_peer_speaks(true));
    let driver = spawn(connection);
    settle().await;
    peer.close();
    drop(outcome(driver).await);
    assert!(peer.drain().await.is_empty());
    drop(session);
}

#[tokio::test(start_paused = true)]
async fn frames_arrive_whole_from_a_transport_that_gives_single_bytes() {
    let (session, connection, mut peer) = server(Config::server());
    peer.wire().set_in_piece(1);
    peer.wire().set_out_capacity(1);
    let _driver = spawn(connection);
    peer.expect_preface().await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.send(data(1, vec![3; 2000])).await;
    peer.send(headers(1).header("t", "x").fin()).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes, vec![3; 2000]);
    stream.write_all(&bytes).await.unwrap();
    let shutdown = spawn(async move { stream.shutdown().await });
    peer.expect_all(1, 2000).await;
    within("shutdown", shutdown).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_transport_without_vectored_writes_gets_one_slice() {
    let (io, wire) = pipe();
    let (session, connection) = Session::client(io.not_vectored(), Config::client());
    let mut peer = Peer::new(wire, Role::Server);
    let _driver = spawn(connection);
    peer.expect_preface().await;
    let mut stream = open(&session).await;
    stream.write_all(&[5; 60_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    peer.expect(syn_stream(1)).await;
    let bytes = peer.expect_all(1, 60_000).await;
    assert!(bytes.iter().all(|byte| *byte == 5));
}

#[tokio::test(start_paused = true)]
async fn many_frames_go_out_in_few_writes() {
    let (session, connection, mut peer) = client(Config::client());
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(
            session
                .open(block(&[("a", "b")]), OpenOptions::new().fin(true))
                .await
                .unwrap(),
        );
    }
    let _driver = spawn(connection);
    peer.expect_preface().await;
    for i in 0..50 {
        peer.expect(syn_stream(2 * i + 1).header("a", "b").fin())
            .await;
    }
    assert_eq!(peer.wire().writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn ping_measures_the_round_trip_and_forgets_when_dropped() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let dropped = timeout(Duration::from_secs(1), session.ping()).await;
    assert!(dropped.is_err());
    let both = async { tokio::join!(session.ping(), session.ping()) };
    let answer = async {
        peer.expect(ping(1)).await;
        peer.expect(ping(3)).await;
        peer.expect(ping(5)).await;
        sleep(Duration::from_millis(70)).await;
        peer.send(ping(1)).await;
        peer.send(ping(5)).await;
        sleep(Duration::from_millis(30)).await;
        peer.send(ping(99)).await;
        peer.send(ping(3)).await;
    };
    let ((first, second), ()) = within("pings", async { tokio::join!(both, answer) }).await;
    assert_eq!(first.unwrap(), Duration::from_millis(100));
    assert_eq!(second.unwrap(), Duration::from_millis(70));
}

#[tokio::test(start_paused = true)]
async fn the_driver_does_not_wake_itself() {
    let (session, connection, mut peer) = server(Config::server());
    let connection = watched(connection);
    let polls = connection.counter();
    spawn(connection);
    peer.expect_preface().await;
    settle().await;
    let before = polls.load(Ordering::SeqCst);
    for i in 0..100 {
        peer.send(ping(2 * i + 1)).await;
        peer.expect(ping(2 * i + 1)).await;
        settle().await;
    }
    let polled = polls.load(Ordering::SeqCst) - before;
    assert_eq!(polled, 100, "polls for 100 PINGs");
    // It still is woken by others.
    let ask = spawn(async move { session.ping().await });
    let Some(Frame::Ping(id)) = within("PING", peer.recv()).await else {
        panic!("no PING");
    };
    peer.send(ping(id)).await;
    within("ping", ask).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_only_after_it_has_written_gets_our_last_bytes() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    // Both directions are narrow, and the peer writes far more than fits before it reads.
    peer.wire().set_out_capacity(100);
    peer.wire().set_in_capacity(100);
    stream.write_all(&[1; 5000]).await.unwrap();
    settle().await;
    session.abort(GoAwayStatus::INTERNAL_ERROR);
    for _ in 0..30 {
        peer.send(ping(1)).await;
    }
    let (bytes, _) = peer.expect_data(1, 5000).await;
    assert_eq!(bytes, vec![1; 5000]);
    peer.expect(go_away(1, GoAwayStatus::INTERNAL_ERROR)).await;
    peer.expect_end().await;
    peer.close();
    assert!(outcome(driver).await.is_err());
}

/// Unread input at close makes TCP destroy what the peer has not read: only a real socket shows it.
#[tokio::test]
async fn over_tcp_a_peer_that_sends_while_we_close_still_gets_our_last_bytes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..20 {
        let (dialled, taken) = tokio::join!(tokio::net::TcpStream::connect(address), async {
            listener.accept().await.unwrap().0
        });
        let mut peer = dialled.unwrap();
        let (session, connection) = Session::server(taken, Config::server());
        let driver = spawn(connection);
        let (mut read, mut write) = peer.split();
        session.abort(GoAwayStatus::INTERNAL_ERROR);
        let send = async {
            for _ in 0..10 {
                if write.write_all(&[0x80; 4096]).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            let _ = write.shutdown().await;
        };
        let mut received = Vec::new();
        let receive = async {
            sleep(Duration::from_millis(5)).await;
            read.read_to_end(&mut received).await
        };
        let ((), read) = tokio::join!(send, receive);
        read.expect("the last bytes were destroyed");
        let go_away = [0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2];
        assert!(received.ends_with(&go_away), "{received:?}");
        assert!(driver.await.unwrap().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_messages_back_and_forth_lose_no_wakeup() {
    let ((client, client_connection), (server, server_connection)) =
        pair(Config::client(), Config::server());
    let left = client.clone();
    Joint::new()
        .add("client driver", async {
            client_connection.await.unwrap();
        })
        .add("server driver", async {
            server_connection.await.unwrap();
        })
        .add("server", async move {
            let incoming = server.accept().await.unwrap().unwrap();
            let mut stream = incoming.reply(HeaderBlock::empty()).unwrap();
            let mut buf = [0; 8];
            while stream.read_exact(&mut buf).await.is_ok() {
                stream.write_all(&buf).await.unwrap();
            }
            stream.shutdown().await.unwrap();
        })
        .add("client", async move {
            let mut stream = left
                .open(HeaderBlock::empty(), OpenOptions::new())
                .await
                .unwrap();
            stream.reply().await.unwrap();
            let mut buf = [0; 8];
            for i in 0..1000_u64 {
                stream.write_all(&i.to_be_bytes()).await.unwrap();
                if i % 3 == 0 {
                    stream.flush().await.unwrap();
                }
                stream.read_exact(&mut buf).await.unwrap();
                assert_eq!(u64::from_be_bytes(buf), i);
            }
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read(&mut buf).await.unwrap(), 0);
            drop(client);
        })
        .run()
        .await;
}

#[tokio::test(start_paused = true)]
async fn streams_through_a_narrow_transport_arrive_whole_both_ways() {
    let (a, b) = tokio::io::duplex(700);
    let config = |config: Config| config.initial_stream_window_size(5000);
    let (client, client_connection) = Session::client(a, config(Config::client()));
    let (server, server_connection) = Session::server(
        b,
        config(Config::server()).header_compression(HeaderCompression::Off),
    );
    let mut joint = Joint::new()
        .add("client driver", async {
            client_connection.await.unwrap();
        })
        .add("server driver", async {
            server_connection.await.unwrap();
        })
        .add("server", async move {
            let mut tasks = Vec::new();
            for _ in 0..8 {
                let incoming = server.accept().await.unwrap().unwrap();
                tasks.push(spawn(async move {
                    let stream = incoming.reply(HeaderBlock::empty()).unwrap();
                    let (mut send, mut recv) = stream.split();
                    tokio::io::copy(&mut recv, &mut send).await.unwrap();
                    send.shutdown().await.unwrap();
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
        });
    for i in 0..8_u8 {
        let client = client.clone();
        joint = joint.add("client", async move {
            let stream = client
                .open(HeaderBlock::empty(), OpenOptions::new())
                .await
                .unwrap();
            let (mut send, mut recv) = stream.split();
            let sent = vec![i; 40_000];
            let mut received = Vec::new();
            let write = async {
                send.write_all(&sent).await.unwrap();
                send.shutdown().await.unwrap();
            };
            let (read, ()) = tokio::join!(recv.read_to_end(&mut received), write);
            read.unwrap();
            assert!(received == sent);
        });
    }
    drop(client);
    joint.run().await;
}
