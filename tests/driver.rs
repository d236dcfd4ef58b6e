//! The driver: how connections start, end, fail and stall, whatever the transport does.

#![cfg(feature = "stream")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod support;

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use spdy::frame::{Frame, GoAwayStatus, ResetStatus, Role};
use spdy::headers::HeaderBlock;
use spdy::stream::{OpenOptions, Session, Stream};
use spdy::{Config, Error, FlowControl, HeaderCompression, Overflow, Timeout};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::spawn;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

type Driver = JoinHandle<Result<(), Error>>;

async fn ready_client(config: Config) -> (Session, Driver, Peer) {
    let (session, connection, mut peer) = client(config);
    let driver = spawn(connection);
    peer.expect_preface().await;
    (session, driver, peer)
}

async fn ready_server(config: Config) -> (Session, Driver, Peer) {
    let (session, connection, mut peer) = server(config);
    let driver = spawn(connection);
    peer.expect_preface().await;
    (session, driver, peer)
}

async fn open(session: &Session) -> Stream {
    let opened = session.open(HeaderBlock::empty(), OpenOptions::new());
    within("open", opened).await.unwrap()
}

async fn accepted(session: &Session, peer: &mut Peer, id: u32) -> Stream {
    peer.send(syn_stream(id)).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    let stream = incoming.reply(HeaderBlock::empty()).unwrap();
    peer.expect(syn_reply(id)).await;
    stream
}

async fn outcome(driver: Driver) -> Result<(), Error> {
    within("the connection", driver).await.unwrap()
}

/// Plays the peer's part of a graceful shutdown up to the final GOAWAY of a session that has handed out `last`.
async fn expect_drain(peer: &mut Peer, last: u32) {
    peer.expect(go_away(0x7fff_ffff, GoAwayStatus::OK)).await;
    match within("PING", peer.recv()).await {
        Some(Frame::Ping(id)) => peer.send(ping(id)).await,
        other => panic!("expected PING, got {other:?}"),
    }
    peer.expect(go_away(last, GoAwayStatus::OK)).await;
}

// The graceful end.

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

// The end of the transport.

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

// Stalls and time-outs.

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

// Peers that do not speak SPDY.

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

// Flow control of other kinds.

/// A server for a peer that knows no windows.
async fn off(overflow: Overflow) -> (Session, Driver, Peer) {
    let config = Config::server()
        .flow_control(FlowControl::Off)
        .overflow(overflow)
        .unread_stream_limit(50_000);
    let (session, connection, mut peer) = server(config);
    let driver = spawn(connection);
    within("SETTINGS", peer.recv()).await.unwrap();
    (session, driver, peer)
}

#[tokio::test(start_paused = true)]
async fn without_windows_an_unread_stream_pauses_the_transport_until_it_is_read() {
    let (session, _driver, mut peer) = off(Overflow::Pause).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    peer.wire().set_in_capacity(10_000);
    let frame = peer.encode(data(1, vec![7; 1000]));
    let mut sent = 0;
    while timeout(Duration::from_secs(1), peer.wire().write_all(&frame))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 1000, "nothing stops the peer");
    }
    assert!(session.unread_bytes() > 50_000 && session.unread_bytes() < 200_000);
    sleep(Duration::from_secs(1000)).await;
    let unread = session.unread_bytes();
    let mut bytes = vec![0; unread];
    within("read", stream.read_exact(&mut bytes)).await.unwrap();
    settle().await;
    assert_eq!(peer.wire().unread_in(), 0, "reading goes on");
    peer.expect_quiet().await;
    // No window of the peer stops us either.
    let (mut send, _recv) = stream.split();
    let writer = spawn(async move {
        send.write_all(&vec![1; 1 << 20]).await?;
        send.shutdown().await
    });
    peer.expect_all(1, 1 << 20).await;
    within("write", writer).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_windows_an_unread_stream_can_be_reset_after_a_grace_time() {
    let after = Duration::from_secs(5);
    let (session, _driver, mut peer) = off(Overflow::Reset { after }).await;
    let mut stuck = accepted(&session, &mut peer, 1).await;
    let mut other = accepted(&session, &mut peer, 3).await;
    let start = Instant::now();
    peer.send(data(1, vec![7; 100_000])).await;
    settle().await;
    peer.send(data(3, "for another").fin()).await;
    let mut bytes = Vec::new();
    within("read", other.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(bytes, b"for another");
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
    let error = stuck.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn lenient_flow_control_tolerates_a_peer_that_overruns_our_windows() {
    let config = Config::server()
        .flow_control(FlowControl::Lenient)
        .initial_stream_window_size(65_536)
        .initial_connection_window_size(131_072);
    let (session, driver, mut peer) = ready_server(config).await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    for _ in 0..40 {
        peer.send(data(1, vec![1; 10_000])).await;
    }
    peer.send(data(1, "").fin()).await;
    let mut bytes = Vec::new();
    within("read", stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes.len(), 400_000);
    assert!(!driver.is_finished());

    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let _stream = accepted(&session, &mut peer, 1).await;
    for _ in 0..27 {
        peer.send(data(1, vec![1; 10_000])).await;
    }
    peer.expect(rst(1, ResetStatus::FLOW_CONTROL_ERROR)).await;
    assert!(!driver.is_finished());
}

// The transport.

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
