//! A forwarded connection whose target does not read, over TCP and with our own client: what becomes of the others, of PING
//! and of the memory. With Go's client, tests/interop/go_unread.rs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use spdy::frame::Role;
use spdy::kube::port_forward::{Client, Forwarded, Server};
use spdy::{FlowControl, Overflow};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::bound::Limits;
use super::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What may wait to be read, on one stream and on all. Low, so that the bound is far below what is sent.
const UNREAD: (usize, usize) = (256 * KIB, MIB);

const OTHERS: usize = 24;

const ECHO: u16 = 7;
const STUCK: u16 = 9;

const CHUNK: usize = 32 * KIB;

/// More than all that the kernel and both sides may hold on the way.
const FLOOD: usize = 48 * MIB;

/// A tenth of what any of it may take in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes of the flood at an offset: no two chunks are alike.
fn chunk_at(offset: usize) -> Vec<u8> {
    let byte = |i: usize| {
        let at = offset + i;
        u8::try_from(((at * 31) ^ (at >> 8) ^ (at >> 16)) & 0xff).unwrap()
    };
    (0..CHUNK).map(byte).collect()
}

/// A server in a thread of its own, whose heap is counted.
struct Serving {
    client: Client,
    /// Lets the stuck target read.
    reads: watch::Sender<bool>,
    overflow: Overflow,
    thread: std::thread::JoinHandle<Seen>,
}

struct Seen {
    /// The most heap that the whole server had, targets included.
    peak: usize,
    /// What the stuck target has read, byte by byte as it was sent.
    read: usize,
}

impl Serving {
    async fn start(overflow: Overflow) -> Self {
        let (reads, gate) = watch::channel(false);
        let (told, port) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let read = AtomicUsize::new(0);
            let counted = allocation_counter::measure(|| {
                let read_now = runtime.block_on(serve(told, overflow, gate));
                read.store(read_now, Ordering::SeqCst);
            });
            Seen {
                peak: usize::try_from(counted.bytes_max).unwrap(),
                read: read.into_inner(),
            }
        });
        let port = within("the port", port).await.unwrap();
        let io = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        io.set_nodelay(true).unwrap();
        let (session, connection) = Session::client(io, Config::spdystream_client());
        spawn(connection);
        Self {
            client: Client::new(session),
            reads,
            overflow,
            thread,
        }
    }

    /// Ends the session; the server has kept to the documented bound, with so many connections at once.
    async fn end(self, connections: usize) -> Seen {
        self.client.session().shutdown();
        let ending = tokio::task::spawn_blocking(|| self.thread.join().unwrap());
        let seen = timeout(PATIENCE, ending)
            .await
            .expect("the end of the server");
        let seen = seen.unwrap();
        let limits = Limits {
            flow_control: FlowControl::Off,
            overflow: self.overflow,
            unread_stream_limit: UNREAD.0,
            unread_connection_limit: UNREAD.1,
            ..Limits::of(Role::Server)
        };
        // Each connection is two streams.
        let bound = limits.bound(2 * connections);
        println!("peak {} KiB of {} KiB", seen.peak / KIB, bound / KIB);
        assert!(seen.peak <= bound, "{} of {bound} bytes", seen.peak);
        assert!(bound < FLOOD / 2, "the flood would show nothing");
        seen
    }
}

/// Serves one connection to its end; what the stuck target has read.
async fn serve(
    told: oneshot::Sender<u16>,
    overflow: Overflow,
    gate: watch::Receiver<bool>,
) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    told.send(listener.local_addr().unwrap().port()).unwrap();
    let (io, _) = listener.accept().await.unwrap();
    io.set_nodelay(true).unwrap();
    let config = Config::spdystream_server()
        .overflow(overflow)
        .unread_stream_limit(UNREAD.0)
        .unread_connection_limit(UNREAD.1);
    let (session, connection) = Session::server(io, config);
    let running = spawn(connection);
    let read = Arc::new(AtomicUsize::new(0));
    let mut server = Server::new(session);
    while let Some(forward) = server.accept().await.unwrap() {
        let (ours, target) = duplex(4 * KIB);
        if forward.port() == STUCK {
            spawn(stuck(target, gate.clone(), Arc::clone(&read)));
        } else {
            spawn(echo(target));
        }
        spawn(forward.copy(ours));
    }
    running.await.unwrap().unwrap();
    read.load(Ordering::SeqCst)
}

async fn echo(target: DuplexStream) {
    let (mut from, mut to) = split(target);
    // A client that leaves in the middle is no failure of the target.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

/// Reads nothing before it is let; then all, and compares it.
async fn stuck(mut target: DuplexStream, mut gate: watch::Receiver<bool>, read: Arc<AtomicUsize>) {
    if gate.wait_for(|open| *open).await.is_err() {
        return;
    }
    for offset in (0..FLOOD).step_by(CHUNK) {
        let mut chunk = vec![0; CHUNK];
        if target.read_exact(&mut chunk).await.is_err() {
            return;
        }
        assert!(chunk == chunk_at(offset), "changed behind byte {offset}");
        read.fetch_add(CHUNK, Ordering::SeqCst);
    }
}

/// Connections that share the session with the one that is stuck.
async fn neighbours(client: &Client) -> Vec<Forwarded> {
    let mut others = Vec::new();
    for _ in 0..OTHERS {
        others.push(client.connect(ECHO).await.unwrap());
    }
    others
}

/// A round trip on each of them at once, then a PING.
async fn ask(session: &Session, others: &mut [Forwarded], round: u32) {
    let asking = others.iter_mut().map(async |forwarded| {
        let text = round.to_be_bytes();
        forwarded.write_all(&text).await.unwrap();
        let mut back = [0; 4];
        forwarded.read_exact(&mut back).await.unwrap();
        assert_eq!(back, text);
    });
    join_all(asking).await;
    session.ping().await.unwrap();
}

/// Writes until the stream takes no more; why, if that was before all was written.
async fn flood(stuck: &mut Forwarded, sent: &AtomicUsize) -> io::Result<()> {
    for offset in (0..FLOOD).step_by(CHUNK) {
        stuck.write_all(&chunk_at(offset)).await?;
        sent.fetch_add(CHUNK, Ordering::SeqCst);
    }
    stuck.flush().await
}

#[tokio::test]
async fn a_connection_whose_target_does_not_read_is_reset_after_its_grace_time_and_all_others_go_on()
 {
    let after = SECOND;
    let serving = Serving::start(Overflow::Reset { after }).await;
    let session = serving.client.session().clone();
    let work = async {
        let mut others = neighbours(&serving.client).await;
        ask(&session, &mut others, 0).await;
        let mut stuck = serving.client.connect(STUCK).await.unwrap();
        let flooding = spawn(async move {
            let (start, sent) = (Instant::now(), AtomicUsize::new(0));
            let error = flood(&mut stuck, &sent).await.unwrap_err();
            (error, start.elapsed(), sent.into_inner())
        });
        // They are asked all the time, while it stands still as well.
        let mut round = 1;
        while !flooding.is_finished() {
            ask(&session, &mut others, round).await;
            round += 1;
            tokio::time::sleep(SECOND / 10).await;
        }
        let (error, took, sent) = flooding.await.unwrap();
        let error = error.downcast::<Error>().unwrap();
        assert_eq!(error.reset_status(), Some(ResetStatus::CANCEL), "{error}");
        assert!(error.is_remote(), "{error}");
        assert!(took >= after, "given up after {took:?}");
        assert!(sent >= UNREAD.0, "given up after {sent} bytes");

        // Nothing holds them up any more, nor a new one.
        for round in 0..10 {
            let asked = timeout(after / 2, ask(&session, &mut others, round)).await;
            asked.expect("the others wait for a stream that is gone");
        }
        let mut fresh = serving.client.connect(ECHO).await.unwrap();
        fresh.write_all(b"fresh").await.unwrap();
        fresh.shutdown().await.unwrap();
        let mut text = String::new();
        fresh.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "fresh");
    };
    timeout(10 * PATIENCE, work).await.expect("done in time");
    assert_eq!(serving.end(OTHERS + 2).await.read, 0);
}

#[tokio::test]
async fn nobody_waits_for_a_target_that_does_not_read_while_there_is_room() {
    let serving = Serving::start(Overflow::Reset { after: PATIENCE }).await;
    let session = serving.client.session().clone();
    let work = async {
        let mut others = neighbours(&serving.client).await;
        let mut stuck = serving.client.connect(STUCK).await.unwrap();
        let mut sent = 0;
        // Beyond the limit of its stream, not beyond that of all.
        while sent < 3 * UNREAD.0 {
            stuck.write_all(&chunk_at(sent)).await.unwrap();
            stuck.flush().await.unwrap();
            sent += CHUNK;
            let asked = timeout(PATIENCE / 6, ask(&session, &mut others, 1)).await;
            asked.unwrap_or_else(|_| panic!("no answer beside {sent} bytes that nobody reads"));
        }
        // It is not lost either.
        serving.reads.send(true).unwrap();
        while sent < FLOOD {
            stuck.write_all(&chunk_at(sent)).await.unwrap();
            sent += CHUNK;
        }
        assert_eq!(stuck.read(&mut [0]).await.unwrap(), 0);
        ask(&session, &mut others, 2).await;
    };
    timeout(10 * PATIENCE, work).await.expect("done in time");
    assert_eq!(serving.end(OTHERS + 1).await.read, FLOOD);
}

#[tokio::test]
async fn all_connections_wait_for_a_target_that_does_not_read_and_nothing_is_lost_when_it_does() {
    let serving = Serving::start(Overflow::Pause).await;
    let session = serving.client.session().clone();
    let work = async {
        let mut others = neighbours(&serving.client).await;
        ask(&session, &mut others, 0).await;
        let mut stuck = serving.client.connect(STUCK).await.unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let flooding = spawn({
            let sent = Arc::clone(&sent);
            async move {
                flood(&mut stuck, &sent).await.unwrap();
                // The target has ended when it has read all.
                assert_eq!(stuck.read(&mut [0]).await.unwrap(), 0);
            }
        });
        let mut last = usize::MAX;
        while last != sent.load(Ordering::SeqCst) {
            last = sent.load(Ordering::SeqCst);
            tokio::time::sleep(SECOND / 2).await;
        }
        assert!(
            (UNREAD.0..FLOOD).contains(&last),
            "stopped after {last} bytes"
        );

        // The others get no answer, nor does PING, for as long as it takes.
        let mut asking = Box::pin(ask(&session, &mut others, 1));
        let answer = timeout(SECOND, &mut asking).await;
        assert!(answer.is_err(), "answered past a stream that nobody reads");
        assert_eq!(sent.load(Ordering::SeqCst), last);
        let error = timeout(SECOND / 2, session.ping()).await;
        assert!(error.is_err(), "PING passes a stream that nobody reads");

        serving.reads.send(true).unwrap();
        timeout(PATIENCE, asking)
            .await
            .expect("what was asked is answered behind the flood");
        timeout(PATIENCE, flooding)
            .await
            .expect("all is read")
            .unwrap();
        for round in 2..5 {
            ask(&session, &mut others, round).await;
        }
    };
    timeout(10 * PATIENCE, work).await.expect("done in time");
    assert_eq!(serving.end(OTHERS + 1).await.read, FLOOD);
}
