//! `port-forward`.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::server::KubeServer;
use super::{Kubectl, Version, each_kubectl};
use crate::pattern::Noise;
use crate::peer::until;
use crate::process::{Process, wait};

each_kubectl! {
    a_hundred_connections_at_once
    each_direction_ends_by_itself
    connections_come_and_go_for_as_long_as_the_session_lasts
    a_target_that_refuses_is_told
    a_kubectl_that_is_killed_takes_its_connections_along
    a_kubectl_that_is_interrupted_leaves_nothing
}

each_kubectl! {
    proxied:
    a_hundred_connections_at_once
    each_direction_ends_by_itself
    a_target_that_refuses_is_told
    a_kubectl_that_is_killed_takes_its_connections_along
}

/// A target that answers each connection with what comes, and says when one has ended.
pub(super) struct Target {
    pub(super) port: u16,
    open: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Target {
    pub(super) async fn echo() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&open);
        tokio::spawn(async move {
            loop {
                let (io, _) = listener.accept().await.unwrap();
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let count = std::sync::Arc::clone(&count);
                tokio::spawn(async move {
                    let (mut from, mut to) = io.into_split();
                    // A client that has gone is one that has ended.
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                    count.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
                });
            }
        });
        Self { port, open }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// The ports at which a kubectl says that it forwards.
pub(super) fn local_ports(kubectl: &Process) -> Vec<u16> {
    let said = kubectl.stdout();
    let said = String::from_utf8_lossy(&said);
    let ports = said
        .split_inclusive('\n')
        // The line under way is none yet.
        .filter(|line| line.ends_with('\n'))
        .filter_map(|line| line.strip_prefix("Forwarding from 127.0.0.1:"));
    let number = |line: &str| Some(line.split_once(' ')?.0.parse().expect("a port"));
    ports.filter_map(number).collect()
}

/// A kubectl that forwards, and the port at which it does.
pub(super) struct Forwarding {
    pub(super) process: Process,
    port: u16,
}

impl Forwarding {
    pub(super) async fn start(server: &KubeServer, kubectl: Kubectl, target: u16) -> Self {
        let port = format!(":{target}");
        let process = Process::start(
            "kubectl",
            server.kubectl(kubectl, &["port-forward", "p", &port]),
        );
        let port = || local_ports(&process).first().copied();
        wait("kubectl to listen", until(async || port().is_some())).await;
        let port = port().expect("it was there");
        let over = match kubectl.version {
            Version::Modern => "over WebSocket",
            Version::Debian | Version::ModernSpdy => "over SPDY",
        };
        let log = server.log();
        assert!(log.contains(over), "not {over}: {log}");
        Self { process, port }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    async fn interrupt(self) {
        self.process.signal("INT").await;
        let ended = self.process.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

async fn a_hundred_connections_at_once(kubectl: Kubectl) {
    let (server, target) = (KubeServer::start(kubectl, &[]).await, Target::echo().await);
    let forwarding = Forwarding::start(&server, kubectl, target.port).await;
    let exchange = async |i: u64| {
        let noise = Noise::new(i).take(20_000 + 1000 * usize::try_from(i).unwrap());
        let (mut from, mut to) = forwarding.connect().await.into_split();
        let sending = async {
            to.write_all(&noise).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut back = Vec::new();
        let ((), read) = tokio::join!(sending, from.read_to_end(&mut back));
        read.unwrap();
        assert!(back == noise, "{i}: {} of {}", back.len(), noise.len());
    };
    // Half of them stay open while the others come and go.
    let held = join_all((0..50).map(async |_| {
        let mut io = forwarding.connect().await;
        io.write_all(b"held").await.unwrap();
        let mut back = [0; 4];
        io.read_exact(&mut back).await.unwrap();
        io
    }));
    let mut held = wait("those that stay", held).await;
    wait("those that go", join_all((0..50).map(exchange))).await;
    assert!(target.open() >= 50);
    wait("the next ones", join_all((0..50).map(exchange))).await;
    for io in &mut held {
        io.write_all(b"late").await.unwrap();
        let mut back = [0; 4];
        wait("a late answer", io.read_exact(&mut back))
            .await
            .unwrap();
        assert_eq!(&back, b"late");
    }
    drop(held);
    wait("the ends", until(async || target.open() == 0)).await;
    forwarding.interrupt().await;
    server.leaves_nothing().await;
}

async fn each_direction_ends_by_itself(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let forwarding = Forwarding::start(&server, kubectl, port).await;

    // The client ends first; the target has the last word.
    let mut client = forwarding.connect().await;
    let (mut target, _) = wait("the target", listener.accept()).await.unwrap();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    wait("the question", target.read_to_end(&mut got))
        .await
        .unwrap();
    assert_eq!(got, b"question");
    target.write_all(b"answer").await.unwrap();
    drop(target);
    got.clear();
    wait("the answer", client.read_to_end(&mut got))
        .await
        .unwrap();
    assert_eq!(got, b"answer");

    // The target says all at once and ends.
    let noise = Noise::new(1).take(1_000_000);
    let mut client = forwarding.connect().await;
    let (mut target, _) = wait("the target", listener.accept()).await.unwrap();
    let sending = async {
        target.write_all(&noise).await.unwrap();
        drop(target);
    };
    let mut got = Vec::new();
    let ((), read) = wait("all of it", async {
        tokio::join!(sending, client.read_to_end(&mut got))
    })
    .await;
    read.unwrap();
    assert!(got == noise, "{} bytes", got.len());
    drop(client);
    forwarding.interrupt().await;
    server.leaves_nothing().await;
}

async fn connections_come_and_go_for_as_long_as_the_session_lasts(kubectl: Kubectl) {
    let (server, target) = (KubeServer::start(kubectl, &[]).await, Target::echo().await);
    let forwarding = Forwarding::start(&server, kubectl, target.port).await;
    for i in 0..200u32 {
        let mut io = forwarding.connect().await;
        let word = i.to_be_bytes();
        io.write_all(&word).await.unwrap();
        let mut back = [0; 4];
        wait("an answer", io.read_exact(&mut back)).await.unwrap();
        assert_eq!(back, word);
    }
    wait("the ends", until(async || target.open() == 0)).await;
    forwarding.interrupt().await;
    server.leaves_nothing().await;
}

/// A port that nobody listens on, kept for as long as this is.
fn refused() -> (tokio::net::TcpSocket, u16) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

async fn a_target_that_refuses_is_told(kubectl: Kubectl) {
    let (server, target) = (KubeServer::start(kubectl, &[]).await, Target::echo().await);
    let (_kept, nobody) = refused();
    let (good, bad) = (format!(":{}", target.port), format!(":{nobody}"));
    let arguments = ["port-forward", "p", &good, &bad];
    let process = Process::start("kubectl", server.kubectl(kubectl, &arguments));
    let ports = || local_ports(&process);
    wait("kubectl to listen", until(async || ports().len() == 2)).await;
    let ports = ports();
    let connect = async |port: u16| TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut held = connect(ports[0]).await;
    held.write_all(b"x").await.unwrap();
    let mut back = [0; 1];
    wait("the one before", held.read_exact(&mut back))
        .await
        .unwrap();

    let mut refused = connect(ports[1]).await;
    let mut rest = Vec::new();
    // It may end either way, and has nothing to say.
    let _ = wait("the one that is refused", refused.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
    let told = || process.stderr();
    let reason = until(async || told().contains("Connection refused"));
    wait("kubectl to say why", reason).await;
    let text = format!("port {nobody}: Connection refused");
    assert!(told().contains(&text), "{}", told());
    if kubectl.version == Version::Debian {
        // It goes on.
        held.write_all(b"y").await.unwrap();
        wait("the one before", held.read_exact(&mut back))
            .await
            .unwrap();
        drop(held);
        process.signal("INT").await;
        assert_eq!(process.ended().await.code, Some(0));
    } else {
        // Newer ones give up the session for any error.
        let ended = process.ended().await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("lost connection to pod"),
            "{}",
            ended.stderr
        );
        drop(held);
    }
    wait("the ends", until(async || target.open() == 0)).await;
    server.leaves_nothing().await;
}

/// Each has had its first bytes back.
pub(super) async fn ten_connections(forwarding: &Forwarding, target: &Target) -> Vec<TcpStream> {
    let connections = (0..10u8).map(async |i| {
        let mut io = forwarding.connect().await;
        io.write_all(&[i; 1000]).await.unwrap();
        let mut back = [0; 1000];
        io.read_exact(&mut back).await.unwrap();
        io
    });
    let connections = wait("the connections", join_all(connections)).await;
    assert_eq!(target.open(), 10);
    connections
}

async fn a_kubectl_that_is_killed_takes_its_connections_along(kubectl: Kubectl) {
    let (server, target) = (KubeServer::start(kubectl, &[]).await, Target::echo().await);
    let forwarding = Forwarding::start(&server, kubectl, target.port).await;
    let connections = ten_connections(&forwarding, &target).await;
    forwarding.process.signal("KILL").await;
    forwarding.process.ended().await;
    wait("the ends", until(async || target.open() == 0)).await;
    drop(connections);
    server.leaves_nothing().await;
}

async fn a_kubectl_that_is_interrupted_leaves_nothing(kubectl: Kubectl) {
    let (server, target) = (KubeServer::start(kubectl, &[]).await, Target::echo().await);
    let forwarding = Forwarding::start(&server, kubectl, target.port).await;
    let mut io = forwarding.connect().await;
    io.write_all(b"open").await.unwrap();
    wait("the target", until(async || target.open() == 1)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    forwarding.interrupt().await;
    wait("the ends", until(async || target.open() == 0)).await;
    server.leaves_nothing().await;
}
