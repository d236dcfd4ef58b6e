//! npm `spdy` over TLS with ALPN, in both roles.

use crate::one_port::by_connector;
use crate::peer::{LONG, Server, run_node_tls_client, within};
use crate::ports::{folder_with_authority, ports};
use crate::process::Folder;
use crate::tls_support::Authority;

/// Scenarios of peers/node_client.js at the TLS port, which browsers and others use as well.
async fn scenario(name: &str) -> serde_json::Value {
    let (_folder, authority) = folder_with_authority();
    let client = run_node_tls_client(ports().tls, name, &authority);
    within(LONG, client).await
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

scenarios! { get many slow cancel headers agent }

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo1m() {
    let line = scenario("echo1m").await;
    assert_eq!(
        line["rst_for_fin"], 0,
        "it met a stream that we had forgotten"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_connector_agrees_on_spdy_with_an_npm_server() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue_pem();
    let folder = Folder::new();
    let certificate = folder.write("certificate.pem", certificate);
    let key = folder.write("key.pem", key);
    let server = Server::node_tls(&certificate, &key).await;
    let origin = format!("https://localhost:{}", server.port());
    by_connector(&origin, &authority).await;
    server.assert_quiet();
}
