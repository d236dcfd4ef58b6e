//! Runs the exchange over a transport with faults, and looks for what is left of it.

use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use spdy::server::{self, GracefulShutdown};
use spdy::upgrade::{self, UpgradeLayer};
use spdy::{Body, Config, client};
use tokio::io::DuplexStream;
use tokio::runtime::Handle;
use tokio::spawn;
use tokio::time::{Instant, timeout};

use crate::exchange::{Log, Report, answer, client_part};
use crate::http_support::*;
use crate::support::*;
use crate::wire::Seen;

/// Client to server.
pub(crate) const UP: Way = Way::FromFirst;
/// Server to client.
pub(crate) const DOWN: Way = Way::FromSecond;

pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// How the session comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Direct,
    /// Over HTTP/1.1.
    Upgrade,
}

/// What came of a run.
pub(crate) struct Run {
    /// `Err`: the Upgrade has failed.
    pub(crate) report: spdy::Result<Report>,
    pub(crate) log: Log,
    /// The end of the client's connection; `None` if there was none.
    pub(crate) client: Option<spdy::Result<()>>,
    /// The end of the server's connection; with an Upgrade nobody tells.
    pub(crate) server: Option<spdy::Result<()>>,
    pub(crate) tap: Tap,
    /// When the last request was over, and when all was.
    pub(crate) asked: Duration,
    pub(crate) ended: Duration,
    start: Start,
}

impl Run {
    pub(crate) fn seen(&self, bytes: &[u8]) -> Seen {
        match self.start {
            Start::Direct => Seen::new(bytes),
            Start::Upgrade => Seen::behind_head(bytes),
        }
    }
}

fn config(config: Config, faults: Faults) -> Config {
    let silent = matches!(faults.cut, Some((_, _, Cut::Silent | Cut::HalfSilent)));
    config
        .max_concurrent_streams(4)
        .keep_alive_interval(silent.then_some(INTERVAL))
        .keep_alive_timeout(ANSWER)
        .keep_alive_while_idle(true)
}

/// What the server runs until its transport is gone.
async fn server_part(
    io: Faulty<DuplexStream>,
    start: Start,
    config: Config,
    (log, census, graceful): (Log, Census, GracefulShutdown),
) -> Option<spdy::Result<()>> {
    let shutdown = graceful.clone();
    let service = move |request| answer(request, log.clone(), census.clone(), graceful.clone());
    match start {
        Start::Direct => {
            let connection = server::Builder::new(TokioExecutor::new())
                .config(config)
                .serve_connection(TokioIo::new(io), service_fn(service));
            Some(shutdown.watch(connection).await)
        }
        Start::Upgrade => {
            let app = tower::service_fn(service);
            let app = UpgradeLayer::new(app)
                .config(config)
                .graceful_shutdown(&shutdown)
                .wrap();
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(io), TowerToHyperService::new(app))
                .with_upgrades();
            // A head that is cut off is hyper's to complain of.
            drop(connection.await);
            None
        }
    }
}

/// The client's part: what came of the requests and of the connection, and when the requests were over.
async fn client_side(
    io: Faulty<DuplexStream>,
    start: Start,
    config: Config,
    census: Census,
) -> (spdy::Result<Report>, Option<spdy::Result<()>>, Instant) {
    let mut builder = client::Builder::new(TokioExecutor::new());
    builder.config(config);
    let (send, connection) = match start {
        Start::Direct => {
            let (send, connection) = builder.handshake(TokioIo::new(io)).await.unwrap();
            (send, spawn(connection))
        }
        Start::Upgrade => {
            let request = http::Request::get("http://a/").body(Body::empty()).unwrap();
            let answer = upgrade::connect(TokioIo::new(io), request).await;
            match answer.and_then(upgrade::Answer::switched) {
                Ok(switched) => {
                    let (send, connection) = switched.into_send_request(&builder).await.unwrap();
                    (send, spawn(connection))
                }
                Err(error) => return (Err(error), None, Instant::now()),
            }
        }
    };
    let session = send.session().clone();
    let report = client_part(send, &census).await;
    let asked = Instant::now();
    let connection = connection.await.expect("the client's connection panicked");
    assert_eq!(session.stream_count(), 0, "streams are left: {session:?}");
    assert_eq!(session.unread_bytes(), 0, "bytes are left: {session:?}");
    within("closed", session.closed()).await;
    (Ok(report), Some(connection), asked)
}

/// Runs the exchange; panics if a part of it hangs, or if anything is left of it.
pub(crate) async fn run(start: Start, faults: Faults) -> Run {
    let (a, b) = tokio::io::duplex(64 * 1024);
    let (a, b, tap) = link(a, b, faults);
    let (log, census) = (Log::default(), Census::default());
    let graceful = GracefulShutdown::new();
    let begin = Instant::now();
    let parts = (log.clone(), census.clone(), graceful.clone());
    let server = spawn(server_part(
        b,
        start,
        config(Config::server(), faults),
        parts,
    ));
    let client = config(Config::client(), faults);
    let client = spawn(client_side(a, start, client, census.clone()));
    let both = async { (client.await, server.await) };
    let Ok((client, server)) = timeout(PATIENCE, both).await else {
        panic!("a hang: {faults:?}, {}", left(&census));
    };
    let (report, client, asked) = client.expect("the client panicked");
    let server = server.expect("the server panicked");
    // An upgraded session, handlers and uploads are tasks of their own.
    let all_over = async {
        while Handle::current().metrics().num_alive_tasks() > 0 || census.count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if timeout(PATIENCE, all_over).await.is_err() {
        panic!("something is left: {faults:?}, {}", left(&census));
    }
    assert_eq!(graceful.count(), 0, "a connection still counts");
    Run {
        report,
        log,
        client,
        server,
        tap,
        asked: asked - begin,
        ended: begin.elapsed(),
        start,
    }
}

fn left(census: &Census) -> String {
    let tasks = Handle::current().metrics().num_alive_tasks();
    format!("{tasks} tasks, {} bodies and services", census.count())
}
