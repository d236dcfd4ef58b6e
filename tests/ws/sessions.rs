//! Sessions through a tunnel: how they end, and what the other end sees of it.

use std::time::Duration;

use futures_util::FutureExt;
use spdy::Config;
use spdy::frame::{GoAwayStatus, Role};
use spdy::kube::port_forward::Client;
use spdy::stream::{Connection, Session};
use tokio::time::sleep;

use super::line::{Line, Socket, tunnel};
use super::websocket::Plain;
use super::*;

type Through = Connection<spdy::ws::Tunnel<Socket>>;

fn server() -> (Session, Through, Line) {
    let (tunnel, line) = tunnel();
    let (session, connection) = Session::server(tunnel, Config::spdystream_server());
    (session, connection, line)
}

fn client() -> (Session, Through, Line) {
    let (tunnel, line) = tunnel();
    let (session, connection) = Session::client(tunnel, Config::spdystream_client());
    (session, connection, line)
}

fn close(code: u16) -> Plain {
    Plain::Close(Some(code), String::new())
}

/// GOAWAY (SPDY/3.1, section 2.6.6), without a stream.
fn goaway(status: u8) -> Vec<u8> {
    let mut frame = vec![0x80, 3, 0, 7, 0, 0, 0, 8];
    frame.extend([0, 0, 0, 0, 0, 0, 0, status]);
    frame
}

/// Lets the peer speak first, which a server waits for: with a PING of a client, or a bogus echo of a server.
async fn greet(line: &Line) {
    line.receive_bytes(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]);
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_does_not_speak_first() {
    let (_session, connection, line) = server();
    spawn(connection);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(line.sent(), []);
}

#[tokio::test(start_paused = true)]
async fn messages_of_any_size_carry_a_session() {
    for size in [1, 2, 3, 7, 1000, 100_000] {
        let _guard = on_failure(|| eprintln!("in messages of {size} bytes"));
        let (session, connection, line) = server();
        spawn(serve_echo(session));
        let serving = spawn(connection);
        let (ours, theirs) = duplex(1 << 20);
        let (session, connection) = Session::client(ours, Config::spdystream_client());
        let asking = spawn(connection);
        let (mut from_client, mut to_client) = split(theirs);
        let there = line.clone();
        // Among empty ones and Pings, as they come from Go and from proxies.
        spawn(async move {
            let mut buf = vec![0; 100_000];
            while let n @ 1.. = from_client.read(&mut buf).await.unwrap() {
                for message in buf[..n].chunks(size) {
                    there.receive_bytes(message);
                    there.receive_bytes(b"");
                    there.receive(Plain::Ping);
                }
            }
        });
        let back = line.clone();
        spawn(async move {
            loop {
                let bytes = back.sent_bytes();
                back.with(|state| state.sent.retain(|sent| matches!(sent, Plain::Close(..))));
                to_client.write_all(&bytes).await.unwrap();
                if back.sent().last() == Some(&close(1000)) {
                    return;
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
        let client = Client::new(session);
        let bytes = pattern(0, 20_000);
        tokio::join!(
            echo(&client, &bytes),
            echo(&client, b"x"),
            echo(&client, b"")
        );
        let refused = client.connect(1).await.unwrap().read_u8().await;
        assert!(refused.unwrap_err().to_string().contains("port 1"));
        drop(client);
        within("the client", asking).await.unwrap().unwrap();
        within("the server", serving).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn goaway_precedes_close_1000() {
    for (session, connection, line) in [server(), client()] {
        let running = spawn(connection);
        greet(&line).await;
        session.shutdown();
        // The peer answers, and does no more: a server leaves the close to it for a while.
        for _ in 0..400 {
            sleep(Duration::from_secs(1)).await;
            if line.sent().last() == Some(&close(1000)) {
                break;
            }
        }
        line.receive(close(1000));
        within("the connection", running).await.unwrap().unwrap();
        let sent = line.sent();
        assert_eq!(sent.last(), Some(&close(1000)), "{sent:?}");
        assert!(line.sent_bytes().ends_with(&goaway(0)), "{sent:?}");
        assert_eq!(line.with(|state| state.flushed), sent.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_aborted_says_why_before_the_close() {
    let (session, connection, line) = server();
    let running = spawn(connection);
    greet(&line).await;
    session.abort(GoAwayStatus::INTERNAL_ERROR);
    within("the connection", running)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(line.sent().last(), Some(&close(1000)));
    assert!(line.sent_bytes().ends_with(&goaway(2)));
}

#[tokio::test(start_paused = true)]
async fn text_ends_the_session_with_an_error_that_says_so_and_close_1003() {
    for (session, connection, line) in [server(), client()] {
        let running = spawn(connection);
        line.receive(Plain::Text);
        let error = within("the connection", running).await.unwrap();
        let error = error.unwrap_err();
        assert!(error.is_io());
        assert!(
            told(&error).contains("a text message came"),
            "{}",
            told(&error)
        );
        let reason = "binary messages only".to_owned();
        assert_eq!(line.sent(), [Plain::Close(Some(1003), reason)]);
        assert!(session.is_closing());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_ends_the_session_and_nothing_is_sent_behind_that() {
    for code in [1000, 1001, 1011] {
        let (session, connection, line) = client();
        let running = spawn(connection);
        let client = Client::new(session);
        let mut opening = Box::pin(client.connect(80));
        assert!((&mut opening).now_or_never().is_none());
        settle().await;
        let sent = line.sent();
        assert!(!sent.is_empty());
        line.receive(close(code));
        let failed = within("the stream", opening).await.map(drop);
        failed.unwrap_err();
        let ended = within("the connection", running).await.unwrap();
        if code != 1000 {
            let text = told(&ended.unwrap_err());
            assert!(text.contains(&format!("the code {code}")), "{text}");
        }
        assert_eq!(line.sent(), sent);
        assert_eq!(line.with(|state| state.closes), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_that_the_peer_closes_has_ended_well() {
    let (_session, connection, line) = server();
    let running = spawn(connection);
    line.receive(close(1000));
    within("the connection", running).await.unwrap().unwrap();
    assert_eq!(line.sent(), []);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_is_an_error_for_the_session_and_its_streams() {
    let (session, connection, line) = client();
    let running = spawn(connection);
    let client = Client::new(session);
    let mut opening = Box::pin(client.connect(80));
    assert!((&mut opening).now_or_never().is_none());
    settle().await;
    line.with(|state| state.ended = true);
    within("the stream", opening).await.map(drop).unwrap_err();
    let error = within("the connection", running).await.unwrap();
    let text = told(&error.unwrap_err());
    assert!(text.contains("ended without a Close"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_reads_stops_taking_messages() {
    const UNREAD: usize = 100_000;
    let (tunnel, line) = tunnel();
    let config = Config::spdystream_server().unread_stream_limit(UNREAD);
    let (session, connection) = Session::server(tunnel, config);
    spawn(connection);
    // A stream that is opened, and filled for ever.
    let mut peer = Peer::new(pipe().1, Role::Client);
    line.receive_bytes(&peer.encode(syn_stream(1).header("a", "b")));
    let mut data = vec![0, 0, 0, 1, 0, 0, 0x40, 0];
    data.resize(8 + 0x4000, 7);
    line.with(|state| state.endless = Some(Plain::Binary(data.into())));
    sleep(Duration::from_secs(1)).await;
    let taken = line.with(|state| state.polls);
    let unread = session.unread_bytes();
    // As a transport of any other kind: a read may go beyond the limit, and lies in the session or before the decoder.
    assert!((UNREAD..UNREAD + (64 << 10)).contains(&unread), "{unread}");
    // Besides those, one message is held at most.
    let received = taken * 0x4008;
    assert!(
        received <= unread + (64 << 10) + 2 * 0x4008,
        "{received} of {unread}"
    );
    sleep(Duration::from_secs(100)).await;
    assert_eq!(line.with(|state| state.polls), taken);
}
