//! One axum app on one port in every protocol: SPDY/3.1, its HTTP/1.1 Upgrade, HTTP/1.1 and HTTP/2; with `--tls` by ALPN.
//!
//! `cargo run --features tls,auto --example one_port -- [--tls] [ADDRESS]`, then for example
//!
//! - `curl http://127.0.0.1:8443/`, `curl --http2-prior-knowledge http://127.0.0.1:8443/`, or with `--tls`
//!   `curl -k https://127.0.0.1:8443/` and a browser;
//! - `cargo run --example get -- spdy://127.0.0.1:8443/`, or with `--tls`
//!   `cargo run --features tls,auto --example connector -- --insecure https://127.0.0.1:8443/`.
//!
//! Under systemd it takes the socket that the service manager has opened (`LISTEN_FDS`), and no ADDRESS. Ctrl-C and
//! SIGTERM drain it, for 10 s at most.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post};
use spdy::server::Listener;
use spdy::tls::TlsListener;
use spdy::tls::rustls::ServerConfig;
use spdy::tls::rustls::pki_types::PrivatePkcs8KeyDer;
use spdy::{Error, NegotiatedAlpn};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: one_port [--tls] [ADDRESS]";

fn app() -> Router {
    Router::new()
        .route(
            "/",
            get(|request: Request| async move { format!("hello over {:?}\n", request.version()) }),
        )
        .route("/echo", post(|body: axum::body::Bytes| async move { body }))
}

/// The socket of the service manager, if it has passed one.
fn inherited() -> Result<Option<std::net::TcpListener>, BoxError> {
    let mut passed = listenfd::ListenFd::from_env();
    if passed.len() > 1 {
        return Err(format!("{} sockets were passed, one is served", passed.len()).into());
    }
    passed
        .take_tcp_listener(0)
        .map_err(|error| format!("the socket that was passed is no TCP listener: {error}").into())
}

async fn listen(address: Option<String>) -> Result<TcpListener, BoxError> {
    if let Some(listener) = inherited()? {
        if address.is_some() {
            return Err("a socket was passed by the service manager: give no ADDRESS".into());
        }
        listener.set_nonblocking(true)?;
        return Ok(TcpListener::from_std(listener)?);
    }
    let address = address.unwrap_or_else(|| "127.0.0.1:8443".to_owned());
    let listener = TcpListener::bind(&address).await;
    listener.map_err(|error| format!("cannot listen on {address}: {error}").into())
}

async fn serve<L>(listener: L) -> Result<(), Error>
where
    L: Listener<Addr = std::net::SocketAddr, Io: NegotiatedAlpn>,
{
    let stop = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            },
            Err(_) => drop(tokio::signal::ctrl_c().await),
        }
    };
    spdy::serve(listener, app())
        .auto()
        .with_graceful_shutdown(stop)
        .drain_timeout(Duration::from_secs(10))
        .await
}

async fn run() -> Result<(), BoxError> {
    let (mut tls, mut address) = (false, None);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--tls" => tls = true,
            text if text.starts_with('-') || address.is_some() => return Err(USAGE.into()),
            _ => address = Some(argument),
        }
    }
    let listener = listen(address).await?;
    let at = listener.local_addr()?;
    if !tls {
        println!("listening on http://{at}");
        return Ok(serve(listener).await?);
    }
    let name = "localhost".to_owned();
    let made = rcgen::generate_simple_self_signed([name, at.ip().to_string()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    println!("listening on https://{at}, with a certificate made just now");
    Ok(serve(TlsListener::new(listener, config)).await?)
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else {
        return ExitCode::SUCCESS;
    };
    eprintln!("one_port: {error}");
    ExitCode::FAILURE
}
