//! Connections that come and go, and end in every way there is, with requests under way.

use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use spdy::Body;
use spdy::frame::GoAwayStatus;
use spdy::stream::Session;
use tokio::task::JoinSet;

use crate::jobs::{Limits, Throttle, Worker};
use crate::lanes::{Driver, Http, STALLED, Stay, within};
use crate::pattern::Random;
use crate::raw::{self, RawWorker};
use crate::spdystream::{self, Way};
use crate::world::{Kind, Trouble, World};

/// Requests at once.
const WORKERS: u64 = 4;

type Outcome = Result<(), String>;

/// One connection after the other.
pub(crate) async fn visit(world: Arc<World>, number: u64, mut random: Random) {
    let mut count = number;
    while world.is_running() {
        let with = random.below(8);
        let end = match random.below(5) {
            0 => Kind::Vanish,
            1 => Kind::Leave,
            2 => Kind::Abort,
            // A server of streams has no handler to ask.
            _ if with < 3 => Kind::Leave,
            _ => Kind::GoAway,
        };
        let outcome = match with {
            0 => raw_visit(&world, count, &mut random, end).await,
            1 => spdystream_visit(&world, Way::Tcp, &mut random, end).await,
            2 => spdystream_visit(&world, Way::WebSocket, &mut random, end).await,
            _ => http_visit(&world, count, &mut random, end).await,
        };
        match outcome {
            Ok(()) => world.count(end, 0),
            Err(what) => world.fail(format!("{}: {what}", end.name())),
        }
        count += 1;
        tokio::time::sleep(Duration::from_millis(random.below(30))).await;
    }
}

async fn http_visit(world: &Arc<World>, count: u64, random: &mut Random, end: Kind) -> Outcome {
    let stay = if end == Kind::Vanish && random.one_in(2) {
        Stay::HardVisit
    } else {
        Stay::Visit
    };
    let http = Http::connect(world, count, stay).await;
    let http = http.map_err(|error| format!("cannot connect: {error}"))?;
    let limits = Arc::new(Limits::new());
    let mut workers = JoinSet::new();
    for i in 0..WORKERS {
        let mut worker = Worker {
            client: http.client.clone(),
            host: world.http,
            random: Random::new(random.next(), i),
        };
        let (world, limits) = (Arc::clone(world), Arc::clone(&limits));
        workers.spawn(async move {
            while !worker.client.is_closed() {
                let kind = limits.draw(&mut worker.random);
                judge(within(worker.job(kind), &world, kind).await, kind, end)?;
            }
            Ok(())
        });
    }
    pause(random).await;
    let mut client = http.client;
    match end {
        Kind::GoAway => {
            let uri = format!("http://{}/leave", world.http);
            let request = Request::get(uri).body(Body::empty());
            let request = request.map_err(|error| error.to_string())?;
            let response = client.send_request(request).await;
            drop(response.map_err(|error| format!("asked to leave: {error}"))?);
        }
        _ => finish(client.session(), &http.driver, end),
    }
    drop(client);
    ended(workers, http.driver, end).await
}

async fn raw_visit(world: &Arc<World>, count: u64, random: &mut Random, end: Kind) -> Outcome {
    let connected = raw::connect(world, count).await;
    let (session, _, _, driver) = connected.map_err(|error| format!("cannot connect: {error}"))?;
    let resets = Arc::new(Throttle::resets());
    let mut workers = JoinSet::new();
    for i in 0..WORKERS {
        let mut worker = RawWorker {
            session: session.clone(),
            random: Random::new(random.next(), i),
            resets: Arc::clone(&resets),
        };
        let world = Arc::clone(world);
        workers.spawn(async move {
            while !worker.session.is_closing() {
                let kind = worker.draw();
                judge(within(worker.job(kind), &world, kind).await, kind, end)?;
            }
            Ok(())
        });
    }
    pause(random).await;
    finish(&session, &driver, end);
    drop(session);
    ended(workers, driver, end).await
}

async fn spdystream_visit(world: &Arc<World>, way: Way, random: &mut Random, end: Kind) -> Outcome {
    let connected = spdystream::connect(world, way).await;
    let (session, _, driver) = connected.map_err(|error| format!("cannot connect: {error}"))?;
    let limits = spdystream::Limits::default();
    let mut workers = JoinSet::new();
    for i in 0..WORKERS {
        let random = Random::new(random.next(), i);
        let mut worker =
            spdystream::Worker::new(session.clone(), random, way, limits.clone(), None);
        let world = Arc::clone(world);
        workers.spawn(async move {
            while !worker.is_closing() {
                let kind = worker.draw();
                judge(within(worker.job(kind), &world, kind).await, kind, end)?;
            }
            Ok(())
        });
    }
    pause(random).await;
    finish(&session, &driver, end);
    drop(session);
    ended(workers, driver, end).await
}

/// Lets the load go on for a while.
async fn pause(random: &mut Random) {
    tokio::time::sleep(Duration::from_millis(1 + random.below(100))).await;
}

fn finish(session: &Session, driver: &Driver, end: Kind) {
    match end {
        Kind::Vanish => driver.abort(),
        Kind::Abort => session.abort(GoAwayStatus::INTERNAL_ERROR),
        _ => session.shutdown(),
    }
}

/// Whether a job may have ended so. A graceful end loses nothing: what it does not serve can be sent elsewhere.
fn judge(outcome: Result<(), Trouble>, kind: Kind, end: Kind) -> Outcome {
    let Err(trouble) = outcome else {
        return Ok(());
    };
    let graceful = matches!(end, Kind::Leave | Kind::GoAway);
    let expected = match &trouble {
        // A PING has nothing to wait for when the connection ends.
        Trouble::Spdy(error) => !graceful || error.is_retryable() || kind == Kind::Ping,
        Trouble::Io(_) => !graceful,
        Trouble::Wrong(_) => false,
    };
    if expected {
        Ok(())
    } else {
        Err(format!("{}: {trouble}", kind.name()))
    }
}

/// Waits for the ends of all requests and of the connection.
async fn ended(mut workers: JoinSet<Outcome>, driver: Driver, end: Kind) -> Outcome {
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|error| error.to_string())??;
    }
    let Ok(driver) = tokio::time::timeout(STALLED, driver).await else {
        return Err("the connection does not end".to_owned());
    };
    match (driver, end) {
        (Ok(Err(error)), Kind::Leave | Kind::GoAway) => Err(format!("not graceful: {error}")),
        (Err(error), _) if error.is_panic() => Err(error.to_string()),
        _ => Ok(()),
    }
}
