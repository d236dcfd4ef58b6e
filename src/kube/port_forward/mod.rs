//! `port-forward`: many connections over one session, each a pair of streams.
//!
//! For every connection the client opens an `error` stream, which it ends at once, and a `data` stream, both with the port
//! and a number that makes them a pair. The server dials the port when both are there. What goes wrong is text on the
//! `error` stream.
//!
//! There are no windows: a target that takes nothing fills its stream up to
//! [`unread_stream_limit`](crate::Config::unread_stream_limit), and then holds all connections of the session up. Where that
//! is not wanted, [`Overflow::Reset`](crate::Overflow::Reset) gives up the one that is stuck, and lets the others go on
//! meanwhile as long as there is room.

mod client;
mod copy;
mod forward;
mod pairs;
mod server;

pub use self::client::{Client, Forwarded, RemoteError};
pub use self::forward::Forward;
pub use self::server::Server;

use super::printable;
use crate::error::{Error, Result};

/// The protocols, of which there is one.
pub const PROTOCOLS: &[&str] = &["portforward.k8s.io"];

/// The subprotocol of a WebSocket whose binary messages carry a session of `port-forward`, as kubectl asks for it since
/// Kubernetes 1.31. It says which protocol the streams have, too: there is no header for that. See `spdy::ws`.
pub const WEBSOCKET_PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";

const STREAM_TYPE: &str = "streamtype";
const PORT: &str = "port";
const REQUEST_ID: &str = "requestid";

/// Whether the protocol of `port-forward` was negotiated, for the client: a server that does not name it speaks another.
///
/// # Errors
///
/// [`is_negotiation`](Error::is_negotiation) if not.
pub fn check(protocol: Option<&str>) -> Result<()> {
    if protocol.is_some_and(|name| PROTOCOLS.contains(&name)) {
        return Ok(());
    }
    Err(Error::negotiation(format!(
        "expected the protocol {}; got {}",
        PROTOCOLS[0],
        printable(protocol.unwrap_or("none"), 100)
    )))
}
