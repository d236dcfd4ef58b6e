//! SPDY behind the HTTP/1.1 Upgrade of an axum server that stays as it is: one app, `axum::serve`, one more line.
//!
//! `cargo run --example axum_upgrade` shows both ends in one process; `cargo run --example axum_upgrade -- ADDRESS`
//! keeps serving until Ctrl-C, for `curl http://ADDRESS/` and for clients that upgrade. `/raw` upgrades to raw streams,
//! as Kubernetes does.

use std::process::ExitCode;
use std::time::Duration;

use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Router, ServiceExt};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::headers::HeaderBlock;
use spdy::server::GracefulShutdown;
use spdy::upgrade::{self, Answer, UpgradeLayer};
use spdy::{Config, client};
use tokio::net::{TcpListener, TcpStream};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A handler that wants the streams themselves: it echoes each. The layer lets it, because only a request that nobody else
/// takes gets here.
async fn raw(mut request: Request) -> Response {
    let upgrade = match upgrade::on(&mut request) {
        Ok(upgrade) => upgrade,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let response = upgrade.response();
    tokio::spawn(async move {
        let (session, connection) = upgrade.session(Config::server()).await?;
        tokio::spawn(connection);
        while let Some(incoming) = session.accept().await? {
            let (mut send, mut recv) = incoming.reply(HeaderBlock::empty())?.split();
            tokio::spawn(async move {
                tokio::io::copy(&mut recv, &mut send).await?;
                tokio::io::AsyncWriteExt::shutdown(&mut send).await
            });
        }
        Ok::<_, spdy::Error>(())
    });
    response
}

async fn ask(address: std::net::SocketAddr) -> Result<(), BoxError> {
    let io = TcpStream::connect(address).await?;
    io.set_nodelay(true)?;
    let request = http::Request::get(format!("http://{address}/")).body(spdy::Body::empty())?;
    let switched = match upgrade::connect(TokioIo::new(io), request).await? {
        Answer::Switched(switched) => switched,
        Answer::Refused(response) => return Err(format!("refused: {}", response.status()).into()),
    };
    println!("{:?}", switched.response().status());
    let builder = client::Builder::new(TokioExecutor::new());
    let (mut client, connection) = switched.into_send_request(&builder).await?;
    tokio::spawn(connection);
    let request =
        http::Request::get(format!("http://{address}/other/42")).body(spdy::Body::empty())?;
    let response = client.send_request(request).await?;
    let body = response.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));
    Ok(())
}

async fn run() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let at = match &arguments[..] {
        [] => "127.0.0.1:0",
        [address] => address,
        _ => return Err("usage: axum_upgrade [ADDRESS]".into()),
    };
    let listener = TcpListener::bind(at)
        .await
        .map_err(|error| format!("cannot listen on {at}: {error}"))?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");

    let app = Router::new()
        .route("/", get(|| async { "hello over HTTP or SPDY\n" }))
        .route(
            "/other/{id}",
            get(|Path(id): Path<u32>| async move { format!("other {id}\n") }),
        );
    let graceful = GracefulShutdown::new();
    // The one line. `/raw` is beside it, not under it: there the handler answers the Upgrade.
    let service = UpgradeLayer::new(app).graceful_shutdown(&graceful).wrap();
    let service = Router::new()
        .route("/raw", any(raw))
        .fallback_service(service);

    let (once, stop) = (arguments.is_empty(), graceful.clone());
    let shutdown = async move {
        if once {
            if let Err(error) = ask(address).await {
                eprintln!("axum_upgrade: {error}");
            }
        } else {
            drop(tokio::signal::ctrl_c().await);
        }
        stop.start();
    };
    let make = ServiceExt::<Request>::into_make_service(service);
    axum::serve(listener, make)
        .with_graceful_shutdown(shutdown)
        .await?;
    // What was upgraded is not axum's any more.
    graceful.shutdown_within(Duration::from_secs(10)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else {
        return ExitCode::SUCCESS;
    };
    eprintln!("axum_upgrade: {error}");
    ExitCode::FAILURE
}
