//! `kubectl port-forward`: listens here, and forwards each connection to a port of a pod.
//!
//! `cargo run --features kube,tokio-tungstenite --example kube_port_forward -- [--websocket | --spdy] [--namespace N]
//! [--address A] [--token T] SERVER POD [LOCAL:]REMOTE..`, where SERVER is `http://HOST:PORT`, such as one of `kubectl proxy
//! --disable-filter`. LOCAL is that of REMOTE if it is left out, and any free port if it is 0 or empty. The session goes
//! through a WebSocket, or where the server has none through an HTTP Upgrade, as kubectl does it.

#[path = "kube_api/mod.rs"]
mod kube_api;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use hyper_util::rt::TokioIo;
use spdy::kube::{self, Answer, Status, port_forward};
use spdy::stream::Session;
use spdy::ws::Tunnel;
use spdy::{Body, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::ctrl_c;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use kube_api::{BoxError, Server, chain, in_time};

const USAGE: &str = "usage: kube_port_forward [--websocket | --spdy] [--namespace N] [--address A] [--token T] \
                     SERVER POD [LOCAL:]REMOTE..";

/// How long connections may go on after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(10);

/// How long they may take to be reset when the pod has gone.
const RESET: Duration = Duration::from_secs(1);

/// No message of a server is larger.
const MESSAGE: usize = 256 << 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    WebSocket,
    Spdy,
    Either,
}

struct Args {
    transport: Transport,
    namespace: String,
    address: IpAddr,
    server: Server,
    pod: String,
    /// Local and remote.
    ports: Vec<(u16, u16)>,
}

impl Args {
    fn parse() -> Result<Self, BoxError> {
        use lexopt::prelude::{Long, Value, ValueExt};
        let (mut websocket, mut spdy) = (false, false);
        let (mut namespace, mut token) = (None, None);
        let mut address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut values = Vec::new();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("websocket") => websocket = true,
                Long("spdy") => spdy = true,
                Long("namespace") => namespace = Some(parser.value()?.string()?),
                Long("address") => address = parser.value()?.parse()?,
                Long("token") => token = Some(parser.value()?.string()?),
                Value(value) => values.push(value.string()?),
                other => return Err(format!("{}; {USAGE}", other.unexpected()).into()),
            }
        }
        let mut values = values.into_iter();
        let (Some(server), Some(pod)) = (values.next(), values.next()) else {
            return Err(USAGE.into());
        };
        let ports: Vec<_> = values.map(|pair| ports(&pair)).collect::<Result<_, _>>()?;
        if ports.is_empty() {
            return Err(USAGE.into());
        }
        let server = Server::parse(&server, token).map_err(|error| format!("{error}; {USAGE}"))?;
        Ok(Self {
            transport: match (websocket, spdy) {
                (true, false) => Transport::WebSocket,
                (false, true) => Transport::Spdy,
                (false, false) => Transport::Either,
                (true, true) => return Err(format!("one transport at most; {USAGE}").into()),
            },
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            address,
            server,
            pod,
            ports,
        })
    }

    fn url(&self, scheme: &str) -> String {
        let Self { namespace, pod, .. } = self;
        self.server.url(scheme, namespace, pod, "portforward")
    }
}

fn ports(pair: &str) -> Result<(u16, u16), BoxError> {
    let (local, remote) = pair.split_once(':').unwrap_or((pair, pair));
    let local = if local.is_empty() { "0" } else { local };
    match (local.parse(), remote.parse()) {
        (Ok(local), Ok(remote @ 1..)) => Ok((local, remote)),
        _ => Err(format!("{pair:?} is not [LOCAL:]REMOTE; {USAGE}").into()),
    }
}

/// A session with the pod, and its connection.
type Connected = (Session, JoinHandle<spdy::Result<()>>);

async fn connect(args: &Args) -> Result<Connected, BoxError> {
    if args.transport != Transport::Spdy {
        match through_websocket(args).await? {
            Ok(connected) => return Ok(connected),
            Err(why) if args.transport == Transport::WebSocket => return Err(why),
            Err(why) => {
                eprintln!("kube_port_forward: no WebSocket ({why}); trying the HTTP Upgrade");
            }
        }
    }
    let mut request = Request::post(args.url("http")).body(Body::empty())?;
    if let Some(token) = args.server.authorization() {
        request.headers_mut().insert(AUTHORIZATION, token.clone());
    }
    let io = in_time(args.server.connect()).await??;
    let answer = kube::connect(TokioIo::new(io), request, port_forward::PROTOCOLS);
    let switched = match in_time(answer).await?? {
        Answer::Switched(switched) => switched,
        Answer::Refused(refused) => return Err(refused.into()),
    };
    port_forward::check(switched.protocol())?;
    let (session, connection) = switched.into_session(Config::spdystream_client());
    Ok((session, tokio::spawn(connection)))
}

/// The inner error is a server that answers something else, which may speak SPDY all the same.
async fn through_websocket(args: &Args) -> Result<Result<Connected, BoxError>, BoxError> {
    let mut request = args.url("ws").into_client_request()?;
    let headers = request.headers_mut();
    let protocol = HeaderValue::from_static(port_forward::WEBSOCKET_PROTOCOL);
    headers.insert("sec-websocket-protocol", protocol);
    if let Some(token) = args.server.authorization() {
        headers.insert(AUTHORIZATION, token.clone());
    }
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    let io = in_time(args.server.connect()).await??;
    // It fails, too, if the server does not name our protocol in its answer.
    match in_time(client_async_with_config(request, io, Some(limits))).await? {
        Ok((socket, _)) => {
            let tunnel = Tunnel::new(socket);
            let (session, connection) = Session::client(tunnel, Config::spdystream_client());
            Ok(Ok((session, tokio::spawn(connection))))
        }
        Err(WsError::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            Ok(Err(match Status::from_json(body) {
                // Displayed, because the words are the server's: nothing in them is to take the terminal apart.
                Some(status) => format!("{}: {status}", response.status()).into(),
                None => response.status().to_string().into(),
            }))
        }
        Err(WsError::Protocol(
            error @ (ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::SecWebSocketAcceptKeyMismatch
            | ProtocolError::SecWebSocketSubProtocolError(_)),
        )) => Ok(Err(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// Where connections go.
#[derive(Clone)]
struct Target {
    client: Arc<port_forward::Client>,
    remote: u16,
    /// Held by each connection under way.
    _busy: mpsc::Sender<()>,
}

/// Forwards the connections to one port, until it is dropped. Those under way go on.
async fn listen(listener: TcpListener, target: Target) {
    loop {
        match listener.accept().await {
            Ok((local, _)) => drop(tokio::spawn(forward(local, target.clone()))),
            Err(error) => {
                eprintln!(
                    "kube_port_forward: cannot accept for port {}: {error}",
                    target.remote
                );
                // Out of files, most likely, of which some will be closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn forward(mut local: TcpStream, target: Target) {
    let remote = target.remote;
    let forwarded = async {
        // One that is closed already fails below.
        local.set_nodelay(true).ok();
        let forwarded = target.client.connect(remote).await?;
        forwarded.copy(&mut local).await
    };
    if let Err(error) = forwarded.await {
        let error = chain(&error);
        eprintln!("kube_port_forward: a connection to port {remote} has failed: {error}");
        // An end would say that all has come.
        local.set_zero_linger().ok();
    }
}

async fn run() -> Result<(), BoxError> {
    let args = Args::parse()?;
    // Heeded from here on: before anybody is told that there is something to interrupt.
    let mut interrupt = pin!(ctrl_c());
    let (session, mut connection) = tokio::select! {
        biased;
        _ = &mut interrupt => return Ok(()),
        connected = connect(&args) => connected?,
    };
    let client = Arc::new(port_forward::Client::new(session.clone()));
    let (busy, mut idle) = mpsc::channel(1);
    let mut listeners = JoinSet::new();
    for &(local, remote) in &args.ports {
        let at = SocketAddr::new(args.address, local);
        let listener = TcpListener::bind(at)
            .await
            .map_err(|error| format!("cannot listen on {at}: {error}"))?;
        println!("Forwarding from {} -> {remote}", listener.local_addr()?);
        let (client, busy) = (Arc::clone(&client), busy.clone());
        let target = Target {
            client,
            remote,
            _busy: busy,
        };
        listeners.spawn(listen(listener, target));
    }
    drop(busy);
    tokio::select! {
        ended = &mut connection => {
            let why = match ended? {
                Ok(()) => String::new(),
                Err(error) => format!(": {}", chain(&error)),
            };
            // Connections have lost their streams, and are to be reset: the end of the process would end them well.
            listeners.shutdown().await;
            let _ = tokio::time::timeout(RESET, async { while idle.recv().await.is_some() {} }).await;
            return Err(format!("lost the connection to the pod{why}").into());
        }
        _ = interrupt => {}
    }
    listeners.shutdown().await;
    session.shutdown();
    let drained = async {
        // The channel ends with the last connection; then all of it has arrived here, too.
        while idle.recv().await.is_some() {}
        connection.await
    };
    // Unless it takes too long, or Ctrl-C comes again.
    tokio::select! {
        _ = tokio::time::timeout(DRAIN, drained) => {}
        _ = ctrl_c() => {}
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else {
        return ExitCode::SUCCESS;
    };
    eprintln!("kube_port_forward: {}", chain(&*error));
    ExitCode::FAILURE
}
