//! The Go package spdystream as the client of our port-forward, one of whose targets does not read: what becomes of the
//! others, and of PING. What the client does and expects is in peers/go_peer.go.

use std::time::Duration;

use spdy::kube::port_forward;
use spdy::stream::Session;
use spdy::{Config, Overflow};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::pattern::Check;
use crate::peer::{LONG, run_go_client, within};

/// What a stream may have unread, in bytes; by default.
const LIMIT: usize = 1 << 20;

/// What all streams may have unread.
const LIMIT_OF_ALL: usize = 16 << 20;

/// What was in the read that went beyond the limit.
const ONE_READ: usize = 64 << 10;

/// How long nothing may move before the target of `unreadpause` reads after all.
const STILL: Duration = Duration::from_millis(2500);

/// Every byte back.
async fn echo(target: DuplexStream) {
    let (mut from, mut to) = split(target);
    tokio::io::copy(&mut from, &mut to).await.unwrap();
    to.shutdown().await.unwrap();
}

/// Nothing is read before `reads` says so; how many bytes there were then, all as they were sent.
async fn stuck(mut target: DuplexStream, mut reads: watch::Receiver<bool>) -> usize {
    let mut check = Check::default();
    if reads.wait_for(|reads| *reads).await.is_err() {
        return 0;
    }
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = target.read(&mut buffer).await.unwrap();
        if n == 0 {
            target.shutdown().await.unwrap();
            return check.length();
        }
        check.push(&buffer[..n]);
    }
}

/// What was seen at the server.
struct Seen {
    /// The most that waited to be read, on all streams.
    most_unread: usize,
    /// What the stuck target has read in the end.
    read: usize,
}

/// Looks at the unread bytes until the session ends; says `reads` when they have stood still above the limit.
async fn watch_unread(session: Session, reads: watch::Sender<bool>) -> usize {
    let (mut most, mut last, mut still) = (0, 0, Duration::ZERO);
    let step = Duration::from_millis(5);
    tokio::select! {
        () = session.closed() => {}
        () = async {
            loop {
                tokio::time::sleep(step).await;
                let unread = session.unread_bytes();
                still = if unread == last { still + step } else { Duration::ZERO };
                last = unread;
                most = most.max(unread);
                if unread > LIMIT && still >= STILL {
                    reads.send_replace(true);
                }
            }
        } => {}
    }
    most
}

/// Serves one connection to its end.
async fn serve(listener: TcpListener, overflow: Overflow) -> Seen {
    let (io, _) = listener.accept().await.unwrap();
    io.set_nodelay(true).unwrap();
    let config = Config::spdystream_server().overflow(overflow);
    let (session, connection) = Session::server(io, config);
    let connection = tokio::spawn(connection);
    let (reads, gate) = watch::channel(false);
    let watching = tokio::spawn(watch_unread(session.clone(), reads));
    let mut targets = JoinSet::new();
    let mut server = port_forward::Server::new(session);
    while let Some(forward) = server.accept().await.unwrap() {
        let (ours, target) = duplex(4 << 10);
        let port = forward.port();
        tokio::spawn(forward.copy(ours));
        let gate = gate.clone();
        targets.spawn(async move {
            if port == 9 {
                return stuck(target, gate).await;
            }
            echo(target).await;
            0
        });
    }
    connection
        .await
        .unwrap()
        .expect("the end of the connection");
    Seen {
        most_unread: watching.await.unwrap(),
        read: targets.join_all().await.into_iter().sum(),
    }
}

async fn scenario(name: &str, overflow: Overflow) -> (serde_json::Value, Seen) {
    within(LONG, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(serve(listener, overflow));
        let line = run_go_client(port, name).await;
        (line, serving.await.unwrap())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_connection_that_nobody_reads_is_given_up_and_all_others_go_on() {
    let after = Duration::from_secs(2);
    let (line, seen) = scenario("unreadreset", Overflow::Reset { after }).await;
    let took = Duration::from_millis(line["reset_ms"].as_u64().unwrap());
    assert!(took >= after, "given up before its grace time: {line}");
    assert_eq!(seen.read, 0);
    assert!(seen.most_unread > LIMIT, "{} bytes", seen.most_unread);
    assert!(
        seen.most_unread <= LIMIT_OF_ALL + ONE_READ,
        "{} bytes were held of what nobody reads",
        seen.most_unread
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_connections_all_wait_for_the_one_that_nobody_reads_and_nothing_is_lost() {
    let (line, seen) = scenario("unreadpause", Overflow::Pause).await;
    let sent = usize::try_from(line["sent"].as_u64().unwrap()).unwrap();
    assert_eq!(seen.read, sent);
    assert!(line["paused_ms"].as_u64().unwrap() >= 2000, "{line}");
    assert!(
        seen.most_unread <= LIMIT + ONE_READ,
        "{} bytes were held of what nobody reads",
        seen.most_unread
    );
}
