//! The application that is attacked, and the counter that watches it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::frame::Role;
use spdy::stream::{Incoming, Session, Stream};
use spdy::{Body, server};
use tokio::spawn;

use crate::bound::Limits;
use crate::http_support::AnyBody;
use crate::line::Line;
use crate::support::*;
use crate::{BOTH, KIB};

/// What the application does with the peer's streams.
#[derive(Clone)]
pub(crate) enum App {
    /// Accepts none.
    Sleep,
    /// Replies, and keeps each stream unread for as long as the session lives.
    Hold,
    /// Replies and reads to the end.
    Read,
    /// Replies and writes this many bytes, in chunks of 16 KiB.
    Write(usize),
    /// Serves HTTP.
    Http(Handler),
}

type Answer = Pin<Box<dyn Future<Output = Response<AnyBody>> + Send>>;

/// A handler, one for all connections.
#[derive(Clone)]
pub(crate) struct Handler(Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>);

impl App {
    /// An HTTP server with this handler.
    pub(crate) fn http<F, R>(handler: F) -> Self
    where
        F: Fn(Request<Body>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<AnyBody>> + Send + 'static,
    {
        Self::Http(Handler(Arc::new(move |request| Box::pin(handler(request)))))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sleep => "accepts nothing",
            Self::Hold => "reads nothing",
            Self::Read => "reads",
            Self::Write(_) => "writes",
            Self::Http(_) => "serves HTTP",
        })
    }
}

/// One side of the library with an application, which takes any number of connections.
#[derive(Clone, Debug)]
pub(crate) struct Victim {
    pub(crate) limits: Limits,
    pub(crate) app: App,
    change: fn(spdy::Config) -> spdy::Config,
}

impl Victim {
    pub(crate) fn new(limits: Limits, app: App) -> Self {
        Self {
            limits,
            app,
            change: |config| config,
        }
    }

    /// Both roles with their defaults.
    pub(crate) fn both(app: &App) -> [Self; 2] {
        BOTH.map(|role| Self::new(Limits::of(role), app.clone()))
    }

    pub(crate) fn server(app: App) -> Self {
        Self::new(Limits::of(Role::Server), app)
    }

    /// With options that memory does not depend on.
    pub(crate) fn with(mut self, change: fn(spdy::Config) -> spdy::Config) -> Self {
        self.change = change;
        self
    }

    fn config(&self) -> spdy::Config {
        (self.change)(self.limits.config())
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Line {
        let (io, wire) = pipe();
        // What a socket buffers is not the library's: a peer in a hurry must not fill the pipe.
        wire.set_in_capacity(64 * KIB);
        let peer_role = match self.limits.role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let peer = Peer::new(wire, peer_role);
        if let App::Http(handler) = &self.app {
            let handler = handler.clone();
            let service = service_fn(move |request| {
                let answer = (handler.0)(request);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            let connection = server::Builder::new(TokioExecutor::new())
                .config(self.config())
                .serve_connection(TokioIo::new(io), service);
            return Line::new(peer, peer_role, None, spawn(connection));
        }
        let (session, connection) = match self.limits.role {
            Role::Client => Session::client(io, self.config()),
            Role::Server => Session::server(io, self.config()),
        };
        let driver = spawn(connection);
        spawn(run(self.app.clone(), session.clone()));
        Line::new(peer, peer_role, Some(session), driver)
    }
}

async fn run(app: App, session: Session) {
    let mut held = Vec::new();
    if matches!(app, App::Sleep) {
        return session.closed().await;
    }
    while let Ok(Some(incoming)) = session.accept().await {
        let Ok(stream) = reply(incoming) else {
            continue;
        };
        match app {
            App::Read => drop(spawn(read(stream))),
            App::Write(bytes) => drop(spawn(write(stream, bytes))),
            _ => held.push(stream),
        }
    }
}

fn reply(incoming: Incoming) -> spdy::Result<Stream> {
    incoming.reply(block(&[(":status", "200"), (":version", "HTTP/1.1")]))
}

async fn read(mut stream: Stream) {
    let recv = stream.recv_half();
    while let Ok(Some(_)) = recv.data().await {}
    // The peer may be gone, or the stream.
    let _ = stream.send_half().finish();
}

/// How much the application hands over at once. That is its own memory: one chunk that waits to be taken, and one that
/// overshoots the buffer of its stream.
const CHUNK: usize = 16 * KIB;

async fn write(mut stream: Stream, mut bytes: usize) {
    while bytes > 0 {
        let n = bytes.min(CHUNK);
        let chunk = Bytes::from(vec![7; n]);
        if stream.send_half().send(chunk).await.is_err() {
            return;
        }
        bytes -= n;
    }
    let _ = stream.send_half().finish();
}

/// What the harness itself needs at most: both directions of the pipe, and the peer's buffers.
const HARNESS: usize = 448 * KIB;

/// What may be left: the runtime keeps some memory of its tasks and timers.
const LEFT: i64 = 16 << 10;

/// Runs an attack on a new connection and holds it against the bound for `streams` streams. Afterwards the connection
/// is closed, nothing of it may be left, and a new one has to work at once.
pub(crate) fn attack(
    name: &str,
    victim: &Victim,
    streams: usize,
    script: impl AsyncFn(&mut Line),
) -> usize {
    let works = async || {
        let mut line = victim.connect();
        line.start().await;
        if !matches!(victim.app, App::Sleep) {
            line.goes_on().await;
        }
        line.leave().await;
    };
    let run = async || {
        let mut line = victim.connect();
        line.start().await;
        script(&mut line).await;
        line.leave().await;
    };
    let of_app = match victim.app {
        App::Write(_) => streams * 2 * CHUNK,
        _ => 0,
    };
    let name = format!("{name}, {:?} that {:?}", victim.limits.role, victim.app);
    watch(&name, victim.limits.bound(streams), of_app, works, run)
}

/// Counts what `run` allocates: at its peak it is within `bound`, beside what the application holds itself. `works`
/// shows that all is well before and after. Gives the peak.
pub(crate) fn watch(
    name: &str,
    bound: usize,
    of_app: usize,
    works: impl AsyncFn(),
    run: impl AsyncFn(),
) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    // What is created once is not counted.
    runtime.block_on(works());
    let counted = allocation_counter::measure(|| runtime.block_on(run()));
    runtime.block_on(works());
    let peak = usize::try_from(counted.bytes_max).unwrap();
    let left = counted.bytes_current;
    println!(
        "{name}: peak {} KiB of {} KiB, {left} bytes left",
        peak / KIB,
        bound / KIB
    );
    let allowed = bound + of_app + HARNESS;
    assert!(peak <= allowed, "{name}: {peak} of {allowed} bytes");
    assert!(left <= LEFT, "{name}: {left} bytes left");
    peak
}
