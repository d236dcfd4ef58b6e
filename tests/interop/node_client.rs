//! npm `spdy` as the client of our server. What each scenario does is in peers/node_client.js.

use spdy::Config;

use crate::app::Server;
use crate::peer::{LONG, run_node_client, within};

/// One scenario on one connection, which has to end well on our side, too. The client has a shorter limit of its own,
/// and more to say.
async fn scenario(name: &str) -> serde_json::Value {
    within(LONG, async {
        let mut server = Server::start(Config::server()).await;
        let line = run_node_client(server.port, name).await;
        server.outcome().await.expect("the end of the connection");
        line
    })
    .await
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                scenario(stringify!($name)).await;
            }
        )*
    };
}

scenarios! { get head status many slow cancel reset cookies headers ping }

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo1m() {
    let line = scenario("echo1m").await;
    assert_eq!(
        line["rst_for_fin"], 0,
        "it met a stream that we had forgotten"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goaway() {
    let line = scenario("goaway").await;
    assert_eq!(line["finished"], 5);
    // The first announces only, the second says what was processed: six streams, the last of id 11.
    let expected = serde_json::json!([
        { "last_good": 0x7fff_ffff, "status": "OK" },
        { "last_good": 11, "status": "OK" },
    ]);
    assert_eq!(line["goaways"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers() {
    let line = scenario("trailers").await;
    assert_eq!(line["trailers"]["x-trailer"], "done");
}
