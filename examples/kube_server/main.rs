//! A little pod API that kubectl accepts: `exec`, `attach`, `cp` and `port-forward`, with the commands run as processes of
//! this machine. It is what a container runtime has between its HTTP server and its containers.
//!
//! `cargo run --features kube,axum --example kube_server -- --listen 127.0.0.1:8001`, then for example
//!
//! - `kubectl -s http://127.0.0.1:8001 exec p -- date`
//! - `kubectl -s http://127.0.0.1:8001 exec -it p -- sh`
//! - `kubectl -s http://127.0.0.1:8001 attach -i p`
//! - `kubectl -s http://127.0.0.1:8001 cp Cargo.toml p:/tmp/copy`
//! - `kubectl -s http://127.0.0.1:8001 port-forward p 9000:8001`
//!
//! The pod has two containers, `c`, and `t` with a terminal. `attach` starts the COMMAND behind `--` anew each time,
//! `cat` without one, where a runtime would join a process that is there.
//!
//! **Whoever reaches the port runs commands as you.** It binds loopback addresses only, unless told otherwise, and refuses
//! what a browser sends on behalf of a page. Ctrl-C and SIGTERM drain it: after 8 s commands are killed, after 10 s it ends in any
//! case, and at once with the second of these signals.

mod api;
mod command;
mod copy;
mod ending;
mod forward;
mod http;
mod process;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use spdy::Config;
use spdy::server::GracefulShutdown;
use tokio::net::TcpListener;

use crate::ending::Ending;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str =
    "usage: kube_server [--listen ADDRESS] [--allow-remote] [--pod NAME] [-- COMMAND [ARGUMENT..]]";

/// What all requests share.
struct Pod {
    name: String,
    /// What `attach` starts.
    command: Vec<String>,
    graceful: GracefulShutdown,
    ending: Ending,
}

struct Arguments {
    listen: String,
    allow_remote: bool,
    pod: String,
    command: Vec<String>,
}

fn arguments() -> Result<Arguments, BoxError> {
    use lexopt::prelude::*;

    let mut arguments = Arguments {
        listen: "127.0.0.1:8001".to_owned(),
        allow_remote: false,
        pod: "p".to_owned(),
        command: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => arguments.listen = parser.value()?.string()?,
            Long("allow-remote") => arguments.allow_remote = true,
            Long("pod") => arguments.pod = parser.value()?.string()?,
            Long("help") | Short('h') => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            // The first word of the command; what is behind it is the command's own.
            Value(first) => {
                arguments.command.push(first.string()?);
                for argument in parser.raw_args()? {
                    arguments.command.push(argument.string()?);
                }
            }
            _ => return Err(format!("{}\n{USAGE}", argument.unexpected()).into()),
        }
    }
    if arguments.command.is_empty() {
        arguments.command.push("cat".to_owned());
    }
    Ok(arguments)
}

async fn listen(arguments: &Arguments) -> Result<TcpListener, BoxError> {
    let address = &arguments.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let at: SocketAddr = listener.local_addr()?;
    if !at.ip().is_loopback() && !arguments.allow_remote {
        let why = "whoever reaches it runs commands as you; --allow-remote if that is meant";
        return Err(format!("{at} is no loopback address: {why}").into());
    }
    Ok(listener)
}

/// The options of all sessions.
fn config() -> Config {
    // As container runtimes have it: nothing at all for four hours, not even a PING. A shorter time for a client that has not
    // said a word is not to be had: `kubectl port-forward` opens its first stream with its first connection, hours later if
    // need be, and up to 1.20 sends no PING either. `keep_alive_while_idle` would give just these up, because a client that has
    // not spoken cannot be asked; `idle_timeout` would, too, and those whose PINGs show that they are there. The streams of a
    // command are another matter: `remote_command::Server` gives them 30 s.
    Config::spdystream_server()
}

fn app(pod: Arc<Pod>) -> Router {
    let of_pod = "/api/v1/namespaces/default/pods/{pod}";
    Router::new()
        .route("/api", get(api::versions))
        .route("/apis", get(api::groups))
        .route("/api/v1", get(api::resources))
        .route(of_pod, get(api::pod))
        // GET is WebSocket, where these two have other protocols; kubectl takes the refusal for a reason to try SPDY.
        .route(&format!("{of_pod}/exec"), post(command::exec))
        .route(&format!("{of_pod}/attach"), post(command::attach))
        .route(
            &format!("{of_pod}/portforward"),
            get(forward::by_websocket).post(forward::by_upgrade),
        )
        .fallback(api::unknown)
        .layer(axum::middleware::from_fn(api::refuse_browsers))
        .with_state(pod)
}

async fn run() -> Result<(), BoxError> {
    let arguments = arguments()?;
    let listener = listen(&arguments).await?;
    let graceful = GracefulShutdown::new();
    let ending = Ending::on_signals(graceful.clone())?;
    println!("listening on http://{}", listener.local_addr()?);
    let pod = Arc::new(Pod {
        name: arguments.pod,
        command: arguments.command,
        graceful: graceful.clone(),
        ending: ending.clone(),
    });
    let serving = http::serve(listener, app(pod), &graceful, ending.clone().draining());
    let all = async {
        serving.await;
        // Connections of HTTP, and what has become of them by an Upgrade.
        graceful.shutdown().await;
        Ok(())
    };
    tokio::select! {
        result = all => result,
        () = ending.now() => Err("told to end, and cut off what had not ended by itself".into()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // What clients do wrong is in the log.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let Err(error) = run().await else {
        return ExitCode::SUCCESS;
    };
    eprintln!("kube_server: {error}");
    ExitCode::FAILURE
}
