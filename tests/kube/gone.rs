//! Clients whose process dies while their input is not read, over TCP: the system is the one that has to tell, and without
//! reading nobody would ask it.

use std::time::Duration;

use spdy::kube::remote_command::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Between two probes: the least.
const INTERVAL: Duration = SECOND;

/// In which something moves, if anything does.
const MOMENT: Duration = Duration::from_millis(100);

/// The bound that is documented is two of them; the rest is for a machine that has other things to do.
const IN_TIME: Duration = Duration::from_secs(20);

/// How the process of the client ends.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Killed by its user: the system closes its socket, sends what was written to it, and then the end.
    Killed,
    /// As before, with output of the command that it has not read: the system resets the connection.
    KilledWithUnreadOutput,
    /// With SO_LINGER of 0: the system resets the connection.
    Reset,
}

/// A command that reads none of its input, and the task that is its client until it is aborted. The client has written all
/// that there is room for.
async fn ignored(config: Config, death: Death) -> (ServerStreams, Session, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let io = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (served, _) = listener.accept().await.unwrap();
    if matches!(death, Death::Reset) {
        io.set_zero_linger().unwrap();
    }
    let (session, connection) = Session::server(served, config);
    let running = spawn(connection);
    let accepting = accepting(&session, Version::V4, EXEC_I);

    let (client, connection) = Session::client(io, Config::spdystream_client());
    let process = spawn(connection);
    let opened = Client::new(Version::V4, EXEC_I).open(&client).await;
    let mut streams = opened.unwrap();
    let mut stdin = streams.stdin.take().unwrap();
    let writing = spawn(async move { while stdin.write_all(&[7; 64 << 10]).await.is_ok() {} });
    let mut served = within("accept", accepting).await.unwrap().unwrap();
    let mut before = 0;
    loop {
        // Both sides are full when nothing moves any more.
        tokio::time::sleep(MOMENT).await;
        let moved = (session.unread_bytes(), client.stats().bytes_written);
        if moved.0 > 1 << 20 && moved.1 == before {
            break;
        }
        before = moved.1;
    }
    if matches!(death, Death::KilledWithUnreadOutput) {
        // More than is read at once: some of it stays in the socket.
        let stdout = served.stdout.as_mut().unwrap();
        drop(tokio::time::timeout(MOMENT, stdout.write_all(&vec![7; 8 << 20])).await);
    }
    process.abort();
    drop(process.await);
    writing.abort();
    drop((streams, client));
    (served, session, running)
}

/// A command whose client dies, on a server that notices.
async fn is_seen(death: Death) {
    let config = Config::spdystream_server().pause_probe_interval(INTERVAL);
    let (mut streams, session, running) = ignored(config, death).await;
    // What a server does beside its command, such as `sleep 1000`.
    let seen = tokio::time::timeout(IN_TIME, session.closed()).await;
    assert!(seen.is_ok(), "{death:?}: the death is not seen");
    let error = within("the connection", running)
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.is_closed(), "{death:?}: {error}");
    let stdout = streams.stdout.as_mut().unwrap();
    assert!(stdout.write_all(b"x").await.is_err(), "{death:?}");
    drop(streams);
    assert_eq!(session.stream_count(), 0, "{death:?}");
}

#[tokio::test]
async fn the_death_of_a_client_is_seen_although_its_input_is_not_read() {
    // All at once: each takes two intervals.
    tokio::join!(
        is_seen(Death::Killed),
        is_seen(Death::KilledWithUnreadOutput),
        is_seen(Death::Reset),
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_lives_bears_a_pause_of_any_length() {
    let ((client, a), (session, b)) =
        pair(Config::spdystream_client(), Config::spdystream_server());
    spawn(a);
    spawn(b);
    let accepting = accepting(&session, Version::V4, EXEC_I);
    let opened = Client::new(Version::V4, EXEC_I).open(&client).await;
    let mut stdin = opened.unwrap().stdin.take().unwrap();
    let mut served = within("accept", accepting).await.unwrap().unwrap();
    let writing = spawn(async move {
        stdin.write_all(&[7; 5 << 20]).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    tokio::time::sleep(24 * 3600 * SECOND).await;
    assert!(!writing.is_finished());
    let probes = client.stats().received.settings;
    assert!((5700..=5760).contains(&probes), "{probes}");
    let mut all = Vec::new();
    let mut stdin = served.stdin.take().unwrap();
    within("stdin", stdin.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all.len(), 5 << 20);
    within("the writer", writing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn probes_at_the_least_interval_are_no_flood_to_this_crate() {
    // Raised to a second.
    let config = Config::spdystream_server().pause_probe_interval(Duration::from_millis(1));
    let ((client, a), (session, b)) = pair(Config::spdystream_client(), config);
    spawn(a);
    spawn(b);
    let accepting = accepting(&session, Version::V4, EXEC_I);
    let opened = Client::new(Version::V4, EXEC_I).open(&client).await;
    let mut stdin = opened.unwrap().stdin.take().unwrap();
    let _served = within("accept", accepting).await.unwrap().unwrap();
    spawn(async move { stdin.write_all(&[7; 5 << 20]).await });
    let ended = tokio::time::timeout(600 * SECOND, session.closed()).await;
    let probes = client.stats().received.settings;
    assert!(ended.is_err(), "it has ended after {probes} probes");
    assert!((590..=600).contains(&probes), "{probes}");
}

#[tokio::test]
async fn without_the_option_it_is_not_seen() {
    let config = Config::spdystream_server().pause_probe_interval(None);
    let (streams, session, running) = ignored(config, Death::Killed).await;
    // Else the test above would hold nothing.
    let seen = tokio::time::timeout(3 * INTERVAL, session.closed()).await;
    assert!(seen.is_err());
    running.abort();
    drop(streams);
}
