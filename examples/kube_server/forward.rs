//! `port-forward`, over the Upgrade to SPDY and over a WebSocket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use spdy::kube;
use spdy::kube::port_forward::{self, Forward, Server, WEBSOCKET_PROTOCOL};
use spdy::server::Watcher;
use spdy::stream::{Connection, Session};
use spdy::ws::Tunnel;
use spdy::{Config, Overflow};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Pod, api, config};

/// How long a target may take nothing before it is given up. Within that each such target holds the other connections up for a second
/// at most, unless all of them have 16 MiB.
const STUCK: Duration = Duration::from_secs(30);

/// How much the system may hold of what a target has not taken. It says that there is room again when a third of it is free: a slow
/// target behind megabytes looks stuck meanwhile.
const SEND_BUFFER: u32 = 128 << 10;

/// How long a target may take to accept.
const DIAL: Duration = Duration::from_secs(10);

/// How large a WebSocket message may be: Go's tools and proxies send 32 KiB.
const MAX_MESSAGE: usize = 256 << 10;

pub(crate) async fn by_upgrade(
    State(pod): State<Arc<Pod>>,
    Path(name): Path<String>,
    mut request: Request,
) -> Response {
    if let Some(refusal) = api::check(&pod, &name) {
        return refusal;
    }
    let upgrade = match kube::on(&mut request, port_forward::PROTOCOLS) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.response(),
    };
    let response = upgrade.response::<Body>();
    eprintln!("kube_server: port-forward over SPDY");
    // From here on a shutdown waits for it.
    let watcher = pod.graceful.watcher();
    tokio::spawn(async move {
        match upgrade.session(forwarding()).await {
            Ok((session, connection)) => serve(watcher, session, connection).await,
            Err(error) => eprintln!("kube_server: port-forward: {error}"),
        }
    });
    response
}

/// kubectl takes any answer but 101 for a reason to come back with the Upgrade to SPDY.
pub(crate) async fn by_websocket(
    State(pod): State<Arc<Pod>>,
    Path(name): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Some(refusal) = api::check(&pod, &name) {
        return refusal;
    }
    let upgrade = upgrade.protocols([WEBSOCKET_PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let what = format!("the only subprotocol here is {WEBSOCKET_PROTOCOL}");
        return api::refuse(StatusCode::BAD_REQUEST, "BadRequest", &what);
    }
    eprintln!("kube_server: port-forward over WebSocket");
    let watcher = pod.graceful.watcher();
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(async move |socket| {
            let (session, connection) = Session::server(Tunnel::new(socket), forwarding());
            serve(watcher, session, connection).await;
        })
}

/// One connection that is stuck is given up, and not all of them.
fn forwarding() -> Config {
    config().overflow(Overflow::Reset { after: STUCK })
}

async fn serve<T>(watcher: Watcher, session: Session, connection: Connection<T>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(watcher.watch(connection));
    if let Err(error) = forward_all(Server::new(session)).await {
        eprintln!("kube_server: port-forward: {error}");
    }
}

/// Dials for each pair of streams.
async fn forward_all(mut server: Server) -> spdy::Result<()> {
    let mut connections = JoinSet::new();
    let ended = loop {
        let accepted = tokio::select! {
            accepted = server.accept() => accepted,
            // Taken out as they end, or the set would grow for as long as the session lasts.
            Some(_) = connections.join_next() => continue,
        };
        let forward = match accepted {
            Ok(Some(forward)) => forward,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        connections.spawn(async move {
            match dial(forward.port()).await {
                Ok(target) => copy(forward, target).await,
                Err(error) => forward.fail(error).await,
            }
        });
    };
    // A client that has said GOAWAY may still have connections. Those of one that is gone have seen that, and end each in their way.
    while connections.join_next().await.is_some() {}
    ended
}

async fn copy(forward: Forward, mut target: TcpStream) {
    let port = forward.port();
    if let Err(error) = forward.copy(&mut target).await {
        eprintln!("kube_server: port {port}: {error}");
        // An end would say that it has got all.
        let _ = target.set_zero_linger();
    }
}

/// A container's `localhost`, as runtimes dial it: IPv4 first.
async fn dial(port: u16) -> io::Result<TcpStream> {
    let connect = |socket: io::Result<TcpSocket>, address| async move {
        let socket = socket?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.connect(SocketAddr::new(address, port)).await
    };
    let dialling = async {
        match connect(TcpSocket::new_v4(), Ipv4Addr::LOCALHOST.into()).await {
            Err(_) => connect(TcpSocket::new_v6(), Ipv6Addr::LOCALHOST.into()).await,
            connected => connected,
        }
    };
    let dialled = timeout(DIAL, dialling).await;
    let target = dialled.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    target.set_nodelay(true)?;
    Ok(target)
}
