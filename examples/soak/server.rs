//! The HTTP server: its connections, and handlers that behave well and badly.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONTENT_RANGE, HeaderValue, RANGE};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::server::Builder;
use spdy::{Body, Config, Tunnel};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::BoxError;
use crate::args::Plant;
use crate::body::{Echo, Fate, Pace, Pattern, read_whole};
use crate::pattern::Random;
use crate::world::{Trouble, World, planned_panic};

/// Small, so that uploads wait for credit all the time.
const STREAM_WINDOW: u32 = 64 << 10;
pub(crate) const CONNECTION_WINDOW: u32 = 256 << 10;

/// Fewer than a client has workers, so that some requests wait for their turn, and some are given up meanwhile.
const STREAMS: u32 = 8;

/// Often, to have it going on; and patient, as the machine may be busy.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_millis(500);
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn config() -> Config {
    Config::server()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
}

pub(crate) async fn serve(listener: TcpListener, world: Arc<World>) {
    loop {
        match listener.accept().await {
            Ok((io, peer)) => drop(tokio::spawn(connection(io, peer, Arc::clone(&world)))),
            Err(error) => return world.fail(format!("the server accepts no more: {error}")),
        }
    }
}

/// Serves a connection to its end, and tells where it stands when it is asked.
async fn connection(io: TcpStream, peer: SocketAddr, world: Arc<World>) {
    // A client that vanished early.
    if io.set_nodelay(true).is_err() {
        return;
    }
    let leave = Arc::new(Notify::new());
    let service = service_fn({
        let (world, leave) = (Arc::clone(&world), Arc::clone(&leave));
        move |request: Request<Body>| {
            if request.uri().path() == "/panic/call" {
                planned_panic();
            }
            answer(request, Arc::clone(&world), Arc::clone(&leave))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.config(config());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut rounds = world.census.rounds();
    let _present = world.census.enter(peer);
    loop {
        tokio::select! {
            // How it ended is the client's to judge, which knows what it did.
            _ = connection.as_mut() => return,
            _ = rounds.changed() => world.census.answer(peer, connection.stats()),
            () = leave.notified() => connection.as_mut().graceful_shutdown(),
        }
    }
}

/// The numbers in a path behind its first word: a key in hexadecimal, then decimal ones.
fn numbers(path: &str) -> Option<(u64, Vec<u64>)> {
    let mut parts = path.split('/').skip(2);
    let key = u64::from_str_radix(parts.next()?, 16).ok()?;
    let rest: Result<_, _> = parts.map(str::parse).collect();
    Some((key, rest.ok()?))
}

async fn answer(
    request: Request<Body>,
    world: Arc<World>,
    leave: Arc<Notify>,
) -> Result<Response<Body>, BoxError> {
    if request.method() == Method::CONNECT {
        let (response, tunnel) = Tunnel::accept(request);
        tokio::spawn(mirror(tunnel));
        return Ok(response);
    }
    let path = request.uri().path().to_owned();
    let word = path.split('/').nth(1).unwrap_or_default();
    let (key, rest) = numbers(&path).unwrap_or_default();
    let first = rest.first().copied().unwrap_or(0);
    match word {
        "pattern" => pattern(&request, key, first, &world),
        "trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-length", HeaderValue::from(first));
            whole(Pattern::new(key, 0, first, Fate::Trailers(trailers)))
        }
        "stuck" => whole(Pattern::new(key, 0, first, Fate::Stuck)),
        "broken" => whole(Pattern::new(key, 0, first, Fate::Broken)),
        "echo" => Ok(Response::new(Body::new(Echo(request.into_body())))),
        "check" => {
            let slow = rest.get(1).is_some_and(|slow| *slow > 0);
            check(request.into_body(), key, first, slow, &world).await
        }
        "never" => std::future::pending().await,
        "deaf" => {
            let _unread = request;
            std::future::pending().await
        }
        "refuse" => Ok(Response::new("no".into())),
        "panic" if path == "/panic/body" => whole(Pattern::new(0, 0, 100_000, Fate::Panic)),
        "panic" => {
            tokio::task::yield_now().await;
            planned_panic()
        }
        "leave" => {
            leave.notify_one();
            Ok(Response::new("bye".into()))
        }
        _ => {
            world.fail(format!("a request for {path}, which nobody sent"));
            Err("no such path".into())
        }
    }
}

fn whole(pattern: Pattern) -> Result<Response<Body>, BoxError> {
    Ok(Response::new(pattern.body()))
}

/// A body, or the part of it that is asked for.
fn pattern(
    request: &Request<Body>,
    key: u64,
    length: u64,
    world: &World,
) -> Result<Response<Body>, BoxError> {
    let range = request.headers().get(RANGE);
    let Some(range) = range else {
        let mut pattern = Pattern::new(key, 0, length, Fate::Whole);
        pattern.spoilt = length > 0 && world.plants_once(Plant::Byte);
        return whole(pattern);
    };
    let first = range.to_str()?.strip_prefix("bytes=").unwrap_or_default();
    let first = first.strip_suffix('-').unwrap_or_default().parse()?;
    Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header(CONTENT_RANGE, content_range(first, length))
        .body(Pattern::new(key, first, length, Fate::Whole).body())
        .map_err(Into::into)
}

pub(crate) fn content_range(first: u64, length: u64) -> String {
    format!("bytes {first}-{}/{length}", length.saturating_sub(1))
}

/// Reads an upload. One that ends early is its client's doing, one with wrong bytes is not.
async fn check(
    mut body: Body,
    key: u64,
    length: u64,
    slow: bool,
    world: &World,
) -> Result<Response<Body>, BoxError> {
    let pace = if slow {
        Pace::Slow(Random::new(key, 1))
    } else {
        Pace::Fast
    };
    match read_whole(&mut body, key, length, pace).await {
        Ok(_) => Ok(Response::new(length.to_string().into())),
        Err(Trouble::Spdy(error)) => Err(error.into()),
        Err(Trouble::Io(error)) => Err(error.into()),
        Err(Trouble::Wrong(what)) => {
            world.fail(format!("an upload at the server: {what}"));
            Err(what.into())
        }
    }
}

async fn mirror(tunnel: Tunnel) {
    let (mut read, mut write) = tokio::io::split(tunnel);
    if tokio::io::copy(&mut read, &mut write).await.is_ok() {
        // A client that is gone has had its error.
        drop(tokio::io::AsyncWriteExt::shutdown(&mut write).await);
    }
}
