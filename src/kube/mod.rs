//! Kubernetes' streaming protocols: what `kubectl exec`, `attach`, `cp` and `port-forward` speak over SPDY/3.1, at both ends.
//!
//! | to do this | use |
//! |---|---|
//! | answer the Upgrade of a client, with its protocol | [`on`] |
//! | send the Upgrade to a server | [`connect()`] |
//! | run a command for a client, or for a user | [`remote_command`] |
//! | forward connections to ports | [`port_forward`] |
//! | give out URLs that are used once, as a container runtime | [`Tokens`] |
//!
//! This is transport only: what a stream is for, when a set of them is complete, how an outcome is told, and in which order
//! all of it ends. Commands are run and targets are dialled by the application; there is no client of the API in here.
//!
//! Everything behind the Upgrade works on a [`Session`](crate::stream::Session), over whatever transport it runs: an upgraded
//! connection, TLS, a tunnel, a pipe. Give it the options of [`Config::spdystream_server`](crate::Config::spdystream_server)
//! or [`Config::spdystream_client`](crate::Config::spdystream_client): the peer is Go's spdystream, which knows no windows.
//!
//! What a peer does wrong is told to it on the stream that it concerns, and logged, as is a forwarded connection that fails: ten
//! times a connection at the level `warn`, then at `debug`. The session goes on where it can.
//!
//! A handler as below fits any server of HTTP/1.1 with upgrades: `axum::serve`, hyper, and `spdy::serve(..).auto()`, by which it
//! is served over TLS (`TlsListener`) and beside HTTP over SPDY: an Upgrade with `X-Stream-Protocol-Version` is left to the
//! handler by all that takes the others, [`UpgradeLayer`](crate::upgrade::UpgradeLayer) included.
//!
//! # Long sessions
//!
//! A client of Kubernetes takes a connection that just ends for the end of the output, and for success. So nothing here ends a session
//! in a hurry: with the options of [`spdystream_server`](crate::Config::spdystream_server) one that says nothing at all, or takes
//! nothing of what there is for it, has four hours, as with container runtimes. Leave
//! [`keep_alive_interval`](crate::Config::keep_alive_interval) off: a client whose user has stopped reading answers no PING. TCP's own
//! keep-alive finds hosts that are gone. At a shutdown, end commands with an [`Exit`](remote_command::Exit) that says so before their connections are cut:
//! [`GracefulShutdown::started`](crate::server::GracefulShutdown::started) tells when. Connections that are spawned as below are part
//! of no shutdown; give them to [`GracefulShutdown::watcher`](crate::server::GracefulShutdown::watcher) to wait for them.
//!
//! # A server
//!
//! ```no_run
//! use axum::{body::Body, extract::Request, response::Response};
//! use spdy::Config;
//! use spdy::kube::{self, remote_command::{self, Exit, Server, Streams, Version}};
//! use tokio::io::AsyncWriteExt;
//!
//! async fn exec(mut request: Request) -> Response {
//!     let streams = Streams::from_query(request.uri().query().unwrap_or_default());
//!     let upgrade = match kube::on(&mut request, remote_command::PROTOCOLS) {
//!         Ok(upgrade) => upgrade,
//!         Err(refusal) => return refusal.response(),
//!     };
//!     let response = upgrade.response::<Body>();
//!     tokio::spawn(async move {
//!         let version = Version::negotiated(Some(upgrade.protocol()))?;
//!         let (session, connection) = upgrade.session(Config::spdystream_server()).await?;
//!         tokio::spawn(connection);
//!         let mut streams = Server::new(version, streams).accept(&session).await?;
//!         if let Some(stdout) = &mut streams.stdout {
//!             stdout.write_all(b"hello\n").await?;
//!         }
//!         streams.finish(Exit::Code(0)).await?;
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//!     response
//! }
//! ```
//!
//! # A client
//!
//! ```no_run
//! use http_body_util::Empty;
//! use hyper::{Request, body::Bytes};
//! use hyper_util::rt::TokioIo;
//! use spdy::{Config, kube};
//! use spdy::kube::remote_command::{self, Client, Streams, Version};
//! use tokio::io::AsyncReadExt;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let io = tokio::net::TcpStream::connect("127.0.0.1:8001").await?;
//! let path = "/api/v1/namespaces/default/pods/p/exec?command=date&stdout=true";
//! let request = Request::post(format!("http://127.0.0.1:8001{path}")).body(Empty::<Bytes>::new())?;
//! let answer = kube::connect(TokioIo::new(io), request, remote_command::PROTOCOLS).await?;
//! let switched = answer.switched()?; // or look at what the server has said instead
//! let version = Version::negotiated(switched.protocol())?;
//! let (session, connection) = switched.into_session(Config::spdystream_client());
//! tokio::spawn(connection);
//!
//! let streams = Streams { stdout: true, ..Streams::default() };
//! let streams = Client::new(version, streams).open(&session).await?;
//! let mut output = String::new();
//! if let Some(mut stdout) = streams.stdout {
//!     stdout.read_to_string(&mut output).await?;
//! }
//! println!("{output}{}", streams.exit.wait().await?);
//! # Ok(())
//! # }
//! ```

mod complaints;
mod connect;
mod negotiate;
pub mod port_forward;
pub mod remote_command;
mod status;
mod time;
mod tokens;

pub use self::connect::{Answer, Refused, Switched, connect};
pub use self::negotiate::{PendingUpgrade, Refusal, negotiate, on};
pub use self::status::{Cause, Status};
pub use self::tokens::{Full, Tokens};

use std::io;

use http::header::HeaderName;

use crate::error::{Error, Result};
use crate::headers::HeaderBlock;

/// The header of the protocols that a client offers, and of the one that the server has chosen.
pub const PROTOCOL_VERSION: HeaderName = crate::http::switching::RAW_STREAMS;

/// The header of the protocols that a server would have accepted.
pub const ACCEPTED_PROTOCOL_VERSIONS: HeaderName =
    HeaderName::from_static("x-accepted-stream-protocol-versions");

/// Checks the reply to a stream: a server of HTTP over SPDY has taken it for a request. Its error stream would end without a
/// word, which stands for success.
fn check_reply(reply: &HeaderBlock) -> Result<()> {
    let Some(status) = reply.get(":status") else {
        return Ok(());
    };
    let status = printable(&String::from_utf8_lossy(status), 20);
    Err(Error::negotiation(format!(
        "expected the reply to a raw stream; got that to an HTTP request, with status {status}: the server serves HTTP over SPDY here, not Kubernetes' streams"
    )))
}

/// A text of the peer, for messages: cut, and without what would take a terminal or a log apart.
fn printable(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for c in text.trim().chars().take(most) {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The error that an IO error of a stream of ours carries.
fn stream_error(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(inner) => Error::clone(inner),
        None => Error::io("using a stream", error),
    }
}
