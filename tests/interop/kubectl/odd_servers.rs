//! Servers that do what the example does not.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use axum::{Json, Router};
use serde_json::json;
use spdy::frame::ResetStatus;
use spdy::headers::HeaderBlock;
use spdy::kube::{self, port_forward, remote_command};
use spdy::stream::Session;
use spdy::{Config, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::forward::local_ports;
use super::{Kubectl, each_kubectl};
use crate::peer::until;
use crate::process::{Ended, Folder, Process, wait};

each_kubectl! {
    a_server_of_other_protocols_is_told_so
    a_server_without_upgrades_is_told_so
    streams_that_are_reset_have_ended
    a_server_without_websockets_is_asked_for_spdy
}

/// A pod API with this behind a pod's `exec`, or another of its paths.
async fn serve(path: &str, streams: MethodRouter) -> SocketAddr {
    let pod = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"phase": "Running"},
    });
    let versions = json!({"kind": "APIVersions", "versions": ["v1"]});
    let groups = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []});
    let resources = json!({
        "kind": "APIResourceList", "groupVersion": "v1",
        "resources": [{"name": "pods", "singularName": "", "namespaced": true, "kind": "Pod", "verbs": ["get"]}],
    });
    let json = |value: serde_json::Value| get(async || Json(value));
    let app = Router::new()
        .route("/api", json(versions))
        .route("/apis", json(groups))
        .route("/api/v1", json(resources))
        .route("/api/v1/namespaces/default/pods/p", json(pod))
        .route(
            &format!("/api/v1/namespaces/default/pods/p/{path}"),
            streams,
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

async fn run(kubectl: Kubectl, server: SocketAddr) -> Ended {
    let home = Folder::new();
    let mut command = kubectl.command(home.path(), server);
    command.args(["exec", "p", "--", "true"]);
    Process::start("kubectl", command).ended().await
}

async fn a_server_of_other_protocols_is_told_so(kubectl: Kubectl) {
    let refuse = |mut request: Request| async move {
        match kube::on(&mut request, &["v9.channel.k8s.io"]) {
            Ok(_) => panic!("no kubectl speaks it"),
            Err(refusal) => refusal.response::<Body>(),
        }
    };
    let ended = run(kubectl, serve("exec", any(refuse)).await).await;
    assert_eq!(ended.code, Some(1));
    for part in [
        "unable to upgrade",
        "the client offers",
        "v4.channel.k8s.io",
        "the server accepts v9.channel.k8s.io",
    ] {
        assert!(ended.stderr.contains(part), "no {part:?}: {}", ended.stderr);
    }
}

async fn a_server_without_upgrades_is_told_so(kubectl: Kubectl) {
    // A proxy in front has taken the headers of the Upgrade.
    let refuse = |mut request: Request| async move {
        request.headers_mut().remove("upgrade");
        match kube::on(&mut request, remote_command::PROTOCOLS) {
            Ok(_) => panic!("no Upgrade was asked for"),
            Err(refusal) => refusal.response::<Body>(),
        }
    };
    let ended = run(kubectl, serve("exec", any(refuse)).await).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("unable to upgrade"),
        "{}",
        ended.stderr
    );
}

/// Answers the Upgrade, and gives the session behind it to `serve`.
fn switched<F>(
    mut request: Request,
    protocols: &[&'static str],
    serve: impl FnOnce(Session) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = Result<(), Error>> + Send,
{
    let upgrade = match kube::on(&mut request, protocols) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.response::<Body>().into_response(),
    };
    let response = upgrade.response::<Body>();
    tokio::spawn(async move {
        let config = Config::spdystream_server();
        let (session, connection) = upgrade.session(config).await?;
        tokio::spawn(connection);
        serve(session).await
    });
    response
}

/// As Go's servers end what their command has not: RST_STREAM(CANCEL) behind the data, and GOAWAY.
async fn streams_that_are_reset_have_ended(kubectl: Kubectl) {
    async fn end_by_resets(request: Request) -> Response {
        switched(request, remote_command::PROTOCOLS, |session| async move {
            let mut streams = Vec::new();
            // error, stdout, stderr
            while streams.len() < 3 {
                let Some(incoming) = session.accept().await? else {
                    return Ok(());
                };
                let kind = incoming.headers().get("streamtype").map(<[u8]>::to_vec);
                streams.push((kind, incoming.reply(HeaderBlock::empty())?));
            }
            for (kind, stream) in &mut streams {
                if kind.as_deref() == Some(b"stdout") {
                    stream.write_all(b"all of it\n").await.expect("written");
                    stream.flush().await.expect("flushed");
                }
            }
            // What is queued behind a reset is lost, by the draft.
            tokio::time::sleep(Duration::from_millis(300)).await;
            for (_, stream) in &streams {
                stream.reset(ResetStatus::CANCEL);
            }
            session.shutdown();
            Ok(())
        })
    }
    let server = serve("exec", any(end_by_resets)).await;
    let began = Instant::now();
    let ended = run(kubectl, server).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, b"all of it\n");
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Only POST is routed: a GET with the Upgrade to WebSocket is answered with 405.
async fn a_server_without_websockets_is_asked_for_spdy(kubectl: Kubectl) {
    async fn echo(request: Request) -> Response {
        switched(request, port_forward::PROTOCOLS, |session| async move {
            let mut server = port_forward::Server::new(session);
            while let Some(forward) = server.accept().await? {
                let (near, far) = tokio::io::duplex(4096);
                let (mut from, mut to) = tokio::io::split(far);
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
                tokio::spawn(forward.copy(near));
            }
            Ok(())
        })
    }
    let server = serve("portforward", post(echo)).await;
    let home = Folder::new();
    let mut command = kubectl.command(home.path(), server);
    command.args(["port-forward", "p", ":80"]);
    let process = Process::start("kubectl", command);
    let listening = || local_ports(&process).first().copied();
    wait("kubectl to listen", until(async || listening().is_some())).await;
    let port = listening().expect("it was there");
    let mut io = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    io.write_all(b"word").await.unwrap();
    let mut back = [0; 4];
    wait("the echo", io.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"word");
    drop(io);
    process.signal("INT").await;
    let ended = process.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
