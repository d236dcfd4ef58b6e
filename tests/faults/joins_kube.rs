//! As `joins`, for the futures of Kubernetes' streams, with windows and without, and with a limit on what is not read that
//! stops the transport again and again.

use std::time::Duration;

use spdy::kube::port_forward;
use spdy::kube::remote_command::{Client, Exit, Server, Streams, TerminalSize, Version};
use spdy::stream::Session;
use spdy::{Config, FlowControl};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::http_support::pattern;
use crate::joins::{SEEDS, transports};
use crate::support::*;

const TERMINAL: Streams = Streams {
    stdin: true,
    stdout: true,
    stderr: false,
    tty: true,
};

fn narrow(config: Config, seed: u64) -> Config {
    let config = config.unread_stream_limit(200);
    if seed % 3 == 0 {
        config
            .flow_control(FlowControl::Spec)
            .initial_stream_window_size(300)
    } else {
        config
    }
}

fn sizes() -> impl Iterator<Item = TerminalSize> {
    (1..20).map(|n| TerminalSize {
        width: n,
        height: 1000 * n,
    })
}

async fn cat(session: Session) {
    let server = Server::new(Version::V4, TERMINAL);
    let streams = server.accept(&session).await.unwrap();
    let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
    let mut resize = streams.resize.unwrap();
    Joint::new()
        .add("cat", async move {
            tokio::io::copy(&mut stdin, &mut stdout).await.unwrap();
            stdout.shutdown().await.unwrap();
        })
        .add("sizes", async move {
            for size in sizes() {
                assert_eq!(resize.next().await.unwrap(), Some(size));
            }
        })
        .run()
        .await;
    // In its own time: nothing else wakes what waits for the end.
    tokio::time::sleep(Duration::from_millis(10)).await;
    Joint::new()
        .add("finish", async move {
            streams.exit.finish(Exit::Code(3)).await.unwrap();
        })
        .add("closed", async move { session.closed().await })
        .run()
        .await;
}

async fn terminal(session: Session) {
    let client = Client::new(Version::V4, TERMINAL);
    let streams = client.open(&session).await.unwrap();
    let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
    let mut resize = streams.resize.unwrap();
    Joint::new()
        .add("input", async move {
            for n in 0..20 {
                stdin.write_all(&pattern(50 * n, 50)).await.unwrap();
            }
            stdin.shutdown().await.unwrap();
            stdin.closed().await;
        })
        .add("output", async move {
            let mut output = Vec::new();
            stdout.read_to_end(&mut output).await.unwrap();
            assert_eq!(output, pattern(0, 1000));
        })
        .add("new sizes", async move {
            for size in sizes() {
                resize.send(size).await.unwrap();
            }
            // Dropped at the end of the command.
            session.closed().await;
        })
        .add("wait", async move {
            assert_eq!(streams.exit.wait().await.unwrap(), Exit::Code(3));
        })
        .run()
        .await;
}

/// Runs both sides over transports of every seed, with their connections.
async fn on_every_seed(server_side: impl AsyncFn(Session), client_side: impl AsyncFn(Session)) {
    for seed in 0..SEEDS {
        let _seed = on_failure(move || println!("seed {seed}"));
        let (a, b) = transports(seed);
        let (client, a) = Session::client(a, narrow(Config::spdystream_client(), seed));
        let (server, b) = Session::server(b, narrow(Config::spdystream_server(), seed));
        Joint::new()
            .add("client connection", async { a.await.unwrap() })
            .add("server connection", async { b.await.unwrap() })
            .add("server", server_side(server))
            .add("client", client_side(client))
            .run()
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_futures_of_a_command_are_woken() {
    on_every_seed(cat, terminal).await;
}

/// Mirrors what comes for port 80, and refuses another.
async fn forwards(session: Session) {
    let mut server = port_forward::Server::new(session);
    for _ in 0..3 {
        let forward = server.accept().await.unwrap().unwrap();
        if forward.port() != 80 {
            forward.fail("refused").await;
            continue;
        }
        let (ours, target) = duplex(100);
        Joint::new()
            .add("forward", async move { drop(forward.copy(ours).await) })
            .add("target", async move {
                let (mut read, mut write) = tokio::io::split(target);
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            })
            .run()
            .await;
    }
    assert!(server.accept().await.unwrap().is_none());
}

async fn uses(session: Session) {
    let client = port_forward::Client::new(session.clone());
    // Copied beside a local side, and refused.
    let forwarded = client.connect(80).await.unwrap();
    let (ours, local) = duplex(100);
    let (mut read, mut write) = tokio::io::split(local);
    Joint::new()
        .add("copy", async move { forwarded.copy(ours).await.unwrap() })
        .add("question", async move {
            write.write_all(&pattern(0, 1000)).await.unwrap();
            write.shutdown().await.unwrap();
        })
        .add("answer", async move {
            let mut answer = Vec::new();
            read.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, pattern(0, 1000));
        })
        .run()
        .await;
    let mut refused = client.connect(81).await.unwrap();
    let failure = refused.failure().await.unwrap();
    assert!(failure.is_connect(), "{failure}");
    // Read and written by hand.
    let mut forwarded = client.connect(80).await.unwrap();
    for n in 0..10 {
        let mut piece = vec![0; 50];
        forwarded.write_all(&pattern(50 * n, 50)).await.unwrap();
        forwarded.read_exact(&mut piece).await.unwrap();
        assert_eq!(piece, pattern(50 * n, 50));
    }
    forwarded.shutdown().await.unwrap();
    assert_eq!(forwarded.read(&mut [0]).await.unwrap(), 0);
    drop(forwarded);
    session.shutdown();
}

#[tokio::test(start_paused = true)]
async fn the_futures_of_forwarded_connections_are_woken() {
    on_every_seed(forwards, uses).await;
}
