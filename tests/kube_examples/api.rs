//! A server of Kubernetes' API, as far as these programs ask it. What a pod does is its name.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use spdy::Config;
use spdy::kube::remote_command::{self, Exit, Server, Streams, Version};
use spdy::kube::{self, port_forward};
use spdy::stream::Session;
use spdy::ws::Tunnel;
use tokio::io::{AsyncWriteExt, copy, duplex, split};
use tokio::net::TcpListener;
use tokio::spawn;
use tokio::task::{AbortHandle, JoinHandle};

/// Its URL.
pub(crate) async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let pod = "/api/v1/namespaces/{namespace}/pods/{pod}";
    let app = Router::new()
        .route(&format!("{pod}/exec"), post(exec))
        .route(&format!("{pod}/attach"), post(exec))
        .route(
            &format!("{pod}/portforward"),
            get(through_websocket).post(through_upgrade),
        );
    spawn(async move { axum::serve(listener, app).await });
    url
}

fn not_found(pod: &str) -> Response {
    let what = match pod {
        // A title for the terminal, a bell, and a line of its own.
        "hostile" => r"\u001b]0;title\u0007\r\nkube_exec: all is well".to_owned(),
        pod => format!(r#"pods \"{pod}\" not found"#),
    };
    let status = format!(
        r#"{{"kind":"Status","status":"Failure","reason":"NotFound","code":404,"message":"{what}"}}"#
    );
    (StatusCode::NOT_FOUND, status).into_response()
}

async fn exec(
    Path((namespace, pod)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    mut request: Request,
) -> Response {
    if pod == "missing" || pod == "hostile" {
        return not_found(&pod);
    }
    let streams = Streams::from_query(request.uri().query().unwrap_or_default());
    let all = |name: &str| {
        let values = query.iter().filter(|(key, _)| key == name);
        values.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let command = all("command");
    let token = request.headers().get(AUTHORIZATION);
    let token = token.map(|token| token.to_str().unwrap().to_owned());
    let seen = format!(
        "{namespace}/{pod} {:?} {command:?} {token:?}\n",
        all("container")
    );
    let attach = request.uri().path().ends_with("/attach");
    let upgrade = match kube::on(&mut request, remote_command::PROTOCOLS) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.response(),
    };
    let response = upgrade.response::<Body>();
    spawn(async move {
        let version = Version::negotiated(Some(upgrade.protocol())).unwrap();
        let config = Config::spdystream_server();
        let (session, connection) = upgrade.session(config).await.unwrap();
        let connection = spawn(connection);
        let program = command.iter().map(String::as_str).collect::<Vec<_>>();
        let program = if attach { &["attached"][..] } else { &program };
        drop(run(session, connection, version, streams, program, &seen).await);
    });
    response
}

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Runs one of the programs that there are.
async fn run(
    session: Session,
    connection: JoinHandle<spdy::Result<()>>,
    version: Version,
    streams: Streams,
    program: &[&str],
    seen: &str,
) -> Outcome {
    let mut streams = Server::new(version, streams).accept(&session).await?;
    let mut stdout = streams.stdout.take().unwrap();
    let mut exit = Exit::Code(0);
    match program {
        ["exit", code] => exit = Exit::Code(code.parse()?),
        ["fail", why] => exit = Exit::Failed((*why).to_owned()),
        ["cat"] => drop(copy(streams.stdin.as_mut().unwrap(), &mut stdout).await?),
        ["seen", ..] | ["attached"] => stdout.write_all(seen.as_bytes()).await?,
        ["both"] => {
            stdout.write_all(b"out").await?;
            let mut stderr = streams.stderr.take().unwrap();
            stderr.write_all(b"err").await?;
            stderr.shutdown().await?;
        }
        ["sizes"] => {
            let mut resize = streams.resize.take().unwrap();
            while let Some(size) = resize.next().await? {
                let line = format!("{} {}\n", size.width, size.height);
                stdout.write_all(line.as_bytes()).await?;
            }
        }
        ["die"] => {
            stdout.write_all(b"half an answ").await?;
            stdout.flush().await?;
            // The client has it.
            session.ping().await?;
            connection.abort();
            return Ok(());
        }
        // Until the client has gone.
        ["hang"] => {
            stdout.write_all(b"ready\n").await?;
            session.closed().await;
        }
        other => panic!("no program {other:?}"),
    }
    drop(stdout);
    streams.finish(exit).await?;
    Ok(())
}

async fn through_websocket(
    Path((_, pod)): Path<(String, String)>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = match pod.as_str() {
        "missing" | "hostile" => return not_found(&pod),
        "no-websocket" => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        // Switches, but says no protocol.
        "no-protocol" => upgrade,
        _ => upgrade.protocols([port_forward::WEBSOCKET_PROTOCOL]),
    };
    upgrade.on_upgrade(|socket| async {
        let tunnel = Tunnel::new(socket);
        let (session, connection) = Session::server(tunnel, Config::spdystream_server());
        forward(session, spawn(connection).abort_handle(), "websocket").await;
    })
}

async fn through_upgrade(Path((_, pod)): Path<(String, String)>, mut request: Request) -> Response {
    if pod == "missing" || pod == "hostile" {
        return not_found(&pod);
    }
    let upgrade = match kube::on(&mut request, port_forward::PROTOCOLS) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.response(),
    };
    let response = upgrade.response::<Body>();
    spawn(async move {
        let config = Config::spdystream_server();
        let (session, connection) = upgrade.session(config).await.unwrap();
        forward(session, spawn(connection).abort_handle(), "upgrade").await;
    });
    response
}

/// The targets say how they were reached, then they echo. Nobody is at port 1, and port 2 is the end of the server.
async fn forward(session: Session, connection: AbortHandle, how: &'static str) {
    let mut server = port_forward::Server::new(session);
    while let Ok(Some(forward)) = server.accept().await {
        let connection = connection.clone();
        spawn(async move {
            match forward.port() {
                1 => return forward.fail("connection refused").await,
                2 => return connection.abort(),
                _ => {}
            }
            let (ours, target) = duplex(10_000);
            spawn(async move {
                let (mut read, mut write) = split(target);
                write.write_all(format!("by {how}: ").as_bytes()).await?;
                copy(&mut read, &mut write).await?;
                // A target that is slow to end.
                tokio::time::sleep(Duration::from_millis(200)).await;
                write.write_all(b" end").await?;
                write.shutdown().await
            });
            let _ = forward.copy(ours).await;
        });
    }
}
