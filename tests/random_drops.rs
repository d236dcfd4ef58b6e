//! Streams, halves, futures and connections dropped at random points, on several threads: nothing may be left behind.

#![cfg(feature = "stream")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use spdy::frame::ResetStatus;
use spdy::headers::HeaderBlock;
use spdy::stream::{Incoming, OpenOptions, Session, Stream};
use spdy::{Config, FlowControl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// How many streams are opened in all.
const OPERATIONS: usize = 10_000;
/// How many run at once.
const CONNECTIONS: usize = 4;

/// How many streams each side of a connection opens.
const PER_CONNECTION: usize = 200;

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % end
    }
}

fn config(config: Config, seed: usize) -> Config {
    let config = config
        .initial_stream_window_size(20_000)
        .initial_connection_window_size(100_000)
        .max_concurrent_streams(20);
    match seed % 3 {
        0 => config.flow_control(FlowControl::Off),
        1 => config.flow_control(FlowControl::Lenient),
        _ => config,
    }
}

/// Does something with a stream, and stops at some point: what waits for a peer that does not read is given up.
async fn use_stream(stream: Stream, mut random: Random) {
    let patience = Duration::from_millis(1 + random.below(30) as u64);
    let _ = timeout(patience, use_stream_patiently(stream, random)).await;
}

async fn use_stream_patiently(mut stream: Stream, mut random: Random) {
    let size = [1, 100, 5_000, 40_000][random.below(4)];
    let payload = vec![1; size];
    match random.below(8) {
        0 => drop(stream),
        1 => {
            let (send, recv) = stream.split();
            drop(send);
            tokio::task::yield_now().await;
            drop(recv);
        }
        2 => {
            let (mut send, recv) = stream.split();
            drop(recv);
            let _ = send.write_all(&payload).await;
            let _ = send.shutdown().await;
        }
        3 => {
            let _ = stream.write_all(&payload).await;
            stream.reset(ResetStatus::INTERNAL_ERROR);
        }
        4 => {
            // A future dropped at some poll.
            let write = stream.write_all(&payload);
            let _ = timeout(Duration::from_micros(random.below(300) as u64), write).await;
        }
        5 => {
            let mut buf = vec![0; 3_000];
            let read = stream.read(&mut buf);
            let _ = timeout(Duration::from_micros(random.below(300) as u64), read).await;
            let _ = stream.shutdown().await;
        }
        6 => {
            let _ = stream.send_half().send_headers(HeaderBlock::empty());
            let _ = stream.flush().await;
            let _ = timeout(Duration::from_millis(1), stream.recv_half().headers()).await;
        }
        _ => {
            let (mut send, mut recv) = stream.split();
            let write = async {
                send.write_all(&payload).await?;
                send.shutdown().await
            };
            let mut sink = Vec::new();
            let read = recv.read_to_end(&mut sink);
            let both = async { tokio::join!(write, read) };
            let _ = timeout(Duration::from_millis(20), both).await;
        }
    }
}

async fn use_incoming(incoming: Incoming, mut random: Random) {
    match random.below(6) {
        0 => drop(incoming),
        1 => incoming.reject(ResetStatus::REFUSED_STREAM),
        _ => {
            if random.below(2) == 0 {
                tokio::task::yield_now().await;
            }
            if let Ok(stream) = incoming.reply(HeaderBlock::empty()) {
                use_stream(stream, random).await;
            }
        }
    }
}

async fn accept_all(session: Session, seed: u64) {
    let mut random = Random::new(seed);
    let mut tasks = JoinSet::new();
    loop {
        let accepted = if random.below(5) == 0 {
            timeout(Duration::from_micros(50), session.accept()).await
        } else {
            Ok(session.accept().await)
        };
        let incoming = match accepted {
            Ok(Ok(Some(incoming))) => incoming,
            Ok(_) => break,
            Err(_) => continue,
        };
        let seed = seed ^ random.below(1 << 30) as u64;
        tasks.spawn(use_incoming(incoming, Random::new(seed)));
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

/// Opens and uses streams until the session ends; some opens are given up.
async fn open_all(session: Session, seed: u64, done: Arc<AtomicUsize>) {
    let mut random = Random::new(seed);
    let mut tasks = JoinSet::new();
    for _ in 0..PER_CONNECTION {
        let fin = random.below(5) == 0;
        let open = session.open(HeaderBlock::empty(), OpenOptions::new().fin(fin));
        let opened = match random.below(8) {
            0 => timeout(Duration::from_micros(random.below(100) as u64), open).await,
            1 => {
                let _ = timeout(Duration::from_micros(200), session.ping()).await;
                Ok(open.await)
            }
            _ => Ok(open.await),
        };
        let mut stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => break,
            Err(_) => continue,
        };
        done.fetch_add(1, Ordering::Relaxed);
        let mut random = Random::new(seed ^ random.below(1 << 30) as u64);
        tasks.spawn(async move {
            if random.below(3) == 0 {
                let _ = timeout(Duration::from_micros(100), stream.reply()).await;
            }
            use_stream(stream, random).await;
        });
        while tasks.len() >= 30 {
            tasks.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

type Driver = JoinHandle<Result<(), spdy::Error>>;

/// Both sides have nothing left once the other has caught up.
async fn assert_empty(sessions: [&Session; 2]) {
    for _ in 0..500 {
        let left = |session: &Session| session.stream_count() + session.unread_bytes();
        if sessions.iter().all(|session| left(session) == 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for session in sessions {
        assert_eq!(session.stream_count(), 0, "streams left");
        assert_eq!(session.unread_bytes(), 0, "unread bytes left");
    }
}

/// One connection at a time, each with both sides opening; `kill` drops one side in the middle.
async fn run(number: usize, done: Arc<AtomicUsize>) {
    let mut seed = number as u64 + 1;
    while done.load(Ordering::Relaxed) < OPERATIONS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut random = Random::new(seed);
        let kill = random.below(3) == 0;
        let (a, b) = tokio::io::duplex(1 + random.below(30_000));
        let kind = random.below(3);
        let (client, client_connection) = Session::client(a, config(Config::client(), kind));
        let (server, server_connection) = Session::server(b, config(Config::server(), kind));
        let drivers: [Driver; 2] = [
            tokio::spawn(client_connection),
            tokio::spawn(server_connection),
        ];
        let mut users = JoinSet::new();
        for (i, session) in [&client, &server].into_iter().enumerate() {
            let seed = seed ^ (i as u64) << 40;
            users.spawn(accept_all(session.clone(), seed ^ 0x55));
            users.spawn(open_all(session.clone(), seed, Arc::clone(&done)));
        }
        if kill {
            tokio::time::sleep(Duration::from_micros(random.below(20_000) as u64)).await;
            drivers[random.below(2)].abort();
        } else {
            // Those who open end on their own; those who accept do once the session drains.
            let opening = async {
                for _ in 0..2 {
                    users.join_next().await.unwrap().unwrap();
                }
            };
            timeout(Duration::from_secs(60), opening)
                .await
                .expect("an opening task hangs");
            client.shutdown();
            server.shutdown();
        }
        let rest = async {
            while let Some(user) = users.join_next().await {
                user.unwrap();
            }
        };
        timeout(Duration::from_secs(60), rest)
            .await
            .expect("a task that uses the session hangs");
        assert_empty([&client, &server]).await;
        for driver in drivers {
            let ended = timeout(Duration::from_secs(60), driver).await;
            let result = ended.expect("a connection hangs");
            if !kill {
                result.unwrap().expect("a clean end");
            }
        }
    }
}

#[test]
fn random_drops_leave_no_stream_task_or_byte() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let done = Arc::new(AtomicUsize::new(0));
        let mut connections = JoinSet::new();
        for number in 0..CONNECTIONS {
            connections.spawn(run(number, Arc::clone(&done)));
        }
        while let Some(connection) = connections.join_next().await {
            connection.unwrap();
        }
    });
    // Tasks that have just been aborted may take a moment to be gone.
    for _ in 0..100 {
        if runtime.metrics().num_alive_tasks() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(runtime.metrics().num_alive_tasks(), 0, "tasks left");
}
