//! The Go package spdystream as the client of our raw server. What each scenario does is in peers/go_peer.go.

use spdy::Config;
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

scenarios! { streams200 bulk halfclose ping reset refuse goaway goawayopen servergoaway }

/// With the usual shutdown, too: its first GOAWAY comes when no stream is left that could be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servergoaway_announced() {
    scenario("servergoaway", kubernetes(Config::server())).await;
}
