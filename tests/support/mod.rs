//! What the integration tests share: an in-memory transport with faults, a peer that plays a script on it, and a
//! way to run futures that shows a missed wakeup.
//!
//! A script reads like a trace. With paused time (`#[tokio::test(start_paused = true)]`) a wait that will never
//! end ends at once, with a message that says what was waited for:
//!
//! ```ignore
//! let (session, connection, mut peer) = server(Config::server());   // we are the server, the peer is a client
//! let driver = spawn(connection);
//! peer.expect_preface().await;                                      // our SETTINGS and WINDOW_UPDATE
//! peer.send(syn_stream(1).header("a", "b").fin()).await;
//! let incoming = within("accept", session.accept()).await.unwrap().unwrap();
//! let stream = incoming.reply(block(&[("c", "d")])).unwrap();
//! peer.expect(syn_reply(1).header("c", "d")).await;
//! ```
//!
//! - [`pipe`]: [`Io`] is our end of the transport, [`Wire`] the control over it: capacity, blocked or failing
//!   writes, piece-wise reads, the end after any number of bytes.
//! - [`faulty`]: pieces, delays, rates and cuts around any transport; both ends of one die together.
//! - [`frames`]: constructors of frames, for sending as well as for expecting.
//! - [`peer`]: [`Peer`] speaks through the crate's own codec.
//! - [`join`]: [`Joint`] polls only what was woken, so that a missed wakeup is a time-out that names the future.
//! - [`trace`]: `RUST_LOG` shows what the library says.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod faulty;
mod frames;
mod join;
mod peer;
mod pipe;
mod random;
pub(crate) mod trace;

use std::future::Future;
use std::time::Duration;

use spdy::Config;
use spdy::frame::Role;
use spdy::headers::HeaderBlock;
use spdy::stream::{Connection, Session};

pub(crate) use self::faulty::{Cut, Faults, Faulty, Pace, Tap, Way, alone, link};
pub(crate) use self::frames::*;
pub(crate) use self::join::{Joint, Watched, watched};
pub(crate) use self::peer::Peer;
pub(crate) use self::pipe::{Io, Wire, pipe};
pub(crate) use self::random::Random;

/// How long a test waits for anything, in time of the runtime (at once if it is paused and nothing moves).
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// Awaits `future`; panics with `what` if it does not complete.
#[track_caller]
pub(crate) fn within<F: Future>(
    what: &'static str,
    future: F,
) -> impl Future<Output = F::Output> + use<F> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{what} did not complete (awaited at {caller})"),
        }
    }
}

/// Lets everything run that can run, without letting any time-out expire.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Runs `say` if the test panics before the guard is dropped: what was tried, where a test tries many things.
#[must_use = "it says nothing once it is dropped"]
pub(crate) fn on_failure(say: impl Fn()) -> impl Drop {
    struct Guard<F: Fn()>(F);
    impl<F: Fn()> Drop for Guard<F> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                (self.0)();
            }
        }
    }
    Guard(say)
}

/// A session in the server role, its connection, and a client as its peer.
pub(crate) fn server(config: Config) -> (Session, Connection<Io>, Peer) {
    let (io, wire) = pipe();
    let (session, connection) = Session::server(io, config);
    (session, connection, Peer::new(wire, Role::Client))
}

/// A session in the client role, its connection, and a server as its peer.
pub(crate) fn client(config: Config) -> (Session, Connection<Io>, Peer) {
    let (io, wire) = pipe();
    let (session, connection) = Session::client(io, config);
    (session, connection, Peer::new(wire, Role::Server))
}

/// Two sessions, client first, with their connections, over one transport.
pub(crate) fn pair(
    client: Config,
    server: Config,
) -> (
    (Session, Connection<tokio::io::DuplexStream>),
    (Session, Connection<tokio::io::DuplexStream>),
) {
    trace::start();
    let (a, b) = tokio::io::duplex(256 * 1024);
    (Session::client(a, client), Session::server(b, server))
}

/// A header block.
pub(crate) fn block(headers: &[(&str, &str)]) -> HeaderBlock {
    let mut block = HeaderBlock::builder();
    for (name, value) in headers {
        block.push(name, value.as_bytes()).unwrap();
    }
    block.finish()
}
