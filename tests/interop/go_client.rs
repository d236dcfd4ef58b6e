//! The Go package spdystream as the client of our raw server. What each scenario does is in peers/go_peer.go.

use std::time::Duration;

use spdy::headers::HeaderBlock;
use spdy::stream::Session;
use spdy::{Config, Stats};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::mirror::{kubernetes, serve_one};
use crate::peer::{LONG, run_go_client, within};

/// One scenario on one connection, which has to end well on our side, too.
async fn scenario(name: &str, config: Config) -> serde_json::Value {
    within(LONG, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(serve_one(listener, config));
        let line = run_go_client(port, name).await;
        serving.await.unwrap().expect("the end of the connection");
        line
    })
    .await
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                // GOAWAY as the last frame: this peer stops at any.
                let config = kubernetes(Config::server()).early_goaway(false);
                scenario(stringify!($name), config).await;
            }
        )*
    };
}

scenarios! { streams200 bulk storm halfclose ping reset refuse goaway goawayopen servergoaway }

/// With the usual shutdown, too: its first GOAWAY comes when no stream is left that could be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servergoaway_announced() {
    scenario("servergoaway", kubernetes(Config::server())).await;
}

/// How many probes a pause waits for.
const PROBES: u64 = 2;

/// Mirrors each stream after a pause in which nothing is read, until so many more probes were sent.
async fn serve_after_probes(listener: TcpListener, config: Config) -> Stats {
    let (io, _) = listener.accept().await.unwrap();
    let (session, connection) = Session::server(io, config);
    let connection = tokio::spawn(connection);
    while let Some(incoming) = session.accept().await.unwrap() {
        let (mut send, mut recv) = incoming.reply(HeaderBlock::empty()).unwrap().split();
        let session = session.clone();
        tokio::spawn(async move {
            let enough = session.stats().sent.settings + PROBES;
            while session.stats().sent.settings < enough {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            drop(session);
            tokio::io::copy(&mut recv, &mut send).await.unwrap();
            send.shutdown().await.unwrap();
        });
    }
    let stats = session.stats();
    connection
        .await
        .unwrap()
        .expect("the end of the connection");
    stats
}

/// It bears a SETTINGS without an entry, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_after_a_pause_that_is_probed() {
    within(LONG, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // The least.
        let config = Config::spdystream_server().pause_probe_interval(Duration::from_secs(1));
        let serving = tokio::spawn(serve_after_probes(listener, config));
        run_go_client(port, "bulk").await;
        let stats = serving.await.unwrap();
        // Two streams, one after the other.
        assert!(stats.sent.settings >= 2 * PROBES, "{stats:?}");
    })
    .await;
}
