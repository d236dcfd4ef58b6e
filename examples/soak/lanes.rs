//! The connections that last, and the load on all of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::{Builder, SendRequest};
use spdy::stream::Session;
use spdy::{Body, Config, HeaderCompression};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

use crate::BoxError;
use crate::jobs::{Limits, Worker};
use crate::pattern::Random;
use crate::plant::Skim;
use crate::raw::{self, RawWorker};
use crate::server::{KEEP_ALIVE, KEEP_ALIVE_TIMEOUT};
use crate::spdystream;
use crate::world::{Kind, Trouble, World};

/// Requests at once on each connection that carries HTTP, and raw streams at once opened by each side.
const WORKERS: u64 = 10;
const RAW_WORKERS: u64 = 3;

/// Connections at once that come and go.
const VISITORS: u64 = 3;

/// No job takes this long, even on a machine that is busy with other things; most take milliseconds.
pub(crate) const STALLED: Duration = Duration::from_secs(60);

/// Half of the clients have large windows, the others small ones, and a compression context both ways.
pub(crate) fn client_config(number: u64) -> (Config, u32) {
    let config = Config::client()
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    if number % 2 == 0 {
        let window = 16 << 20;
        return (config.initial_connection_window_size(window), window);
    }
    let window = 128 << 10;
    let config = config
        .initial_stream_window_size(window / 2)
        .initial_connection_window_size(window)
        .header_compression(HeaderCompression::Level(6));
    (config, window)
}

pub(crate) type Driver = JoinHandle<spdy::Result<()>>;

/// What a client's connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// The whole run.
    Lasting,
    /// A short while.
    Visit,
    /// A short while, and then it ends with a RST of TCP.
    HardVisit,
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) client: SendRequest<Body>,
    pub(crate) local: SocketAddr,
    pub(crate) window: u32,
    pub(crate) driver: Driver,
}

impl Http {
    pub(crate) async fn connect(
        world: &Arc<World>,
        number: u64,
        stay: Stay,
    ) -> Result<Self, BoxError> {
        let io = TcpStream::connect(world.http).await?;
        io.set_nodelay(true)?;
        if stay == Stay::HardVisit {
            io.set_zero_linger()?;
        }
        let local = io.local_addr()?;
        let (config, window) = client_config(number);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.config(config);
        let planted = (stay == Stay::Lasting).then(|| Arc::clone(world));
        let io = Skim::new(io, planted);
        let (client, connection) = builder.handshake(TokioIo::new(io)).await?;
        Ok(Self {
            client,
            local,
            window,
            driver: tokio::spawn(connection),
        })
    }
}

/// What a lasting connection carries.
#[derive(Debug)]
enum Way {
    Http(SendRequest<Body>, Arc<Limits>),
    /// Each side opens streams.
    Raw(raw::Limits),
    /// The same, with the options for spdystream: limits of the client, and of the server.
    Spdystream(spdystream::Way, [spdystream::Limits; 2]),
}

/// A connection that lasts from the start to the end.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) name: String,
    /// By which the server knows it.
    pub(crate) local: SocketAddr,
    /// The client's side.
    pub(crate) session: Session,
    /// The connection window that the client grants; `None` where windows do not count.
    pub(crate) window: Option<u32>,
    way: Way,
}

impl Lane {
    pub(crate) async fn open(world: &Arc<World>, number: u64) -> Result<Self, BoxError> {
        if number % 3 == 2 {
            let (session, local, window, _) = raw::connect(world, number).await?;
            return Ok(Self {
                name: format!("connection {number} (raw)"),
                local,
                session,
                window: Some(window),
                way: Way::Raw(raw::Limits::default()),
            });
        }
        let http = Http::connect(world, number, Stay::Lasting).await?;
        Ok(Self {
            name: format!("connection {number}"),
            local: http.local,
            session: http.client.session().clone(),
            window: Some(http.window),
            way: Way::Http(http.client, Arc::new(Limits::new())),
        })
    }

    pub(crate) async fn open_spdystream(
        world: &Arc<World>,
        way: spdystream::Way,
    ) -> Result<Self, BoxError> {
        let (session, local, _) = spdystream::connect(world, way).await?;
        Ok(Self {
            name: format!("the connection of {}", way.name()),
            local,
            session,
            window: None,
            way: Way::Spdystream(way, Default::default()),
        })
    }

    /// A sender, if this is a connection for HTTP.
    pub(crate) fn client(&self) -> Option<&SendRequest<Body>> {
        match &self.way {
            Way::Http(client, _) => Some(client),
            Way::Raw(_) | Way::Spdystream(..) => None,
        }
    }

    /// The session of the other end.
    fn server(&self, world: &World) -> Option<Session> {
        let theirs = world.raw_servers.get(self.local);
        if theirs.is_none() {
            world.fail(format!("{}: the server does not know it", self.name));
        }
        theirs
    }

    fn start(&self, world: &Arc<World>, seed: u64, tasks: &mut JoinSet<()>) {
        match &self.way {
            Way::Http(client, limits) => {
                for i in 0..WORKERS {
                    let worker = Worker {
                        client: client.clone(),
                        host: world.http,
                        random: Random::new(seed, i),
                    };
                    let (world, limits) = (Arc::clone(world), Arc::clone(limits));
                    tasks.spawn(work(world, worker, limits, self.name.clone()));
                }
            }
            Way::Spdystream(way, limits) => {
                let Some(theirs) = self.server(world) else {
                    return;
                };
                for (side, session) in (1..).zip([&self.session, &theirs]) {
                    let limits = &limits[usize::from(side == 2)];
                    for i in 0..RAW_WORKERS {
                        let random = Random::new(seed, 100 * side + i);
                        let (session, limits) = (session.clone(), limits.clone());
                        let (way, world) = (*way, Arc::clone(world));
                        let planted = Some(Arc::clone(&world));
                        let worker = spdystream::Worker::new(session, random, way, limits, planted);
                        tasks.spawn(spdystream::work(world, worker, self.name.clone()));
                    }
                }
            }
            Way::Raw(limits) => {
                let Some(theirs) = self.server(world) else {
                    return;
                };
                let ends = [(&self.session, &limits.client), (&theirs, &limits.server)];
                for (side, (session, resets)) in (1..).zip(ends) {
                    for i in 0..RAW_WORKERS {
                        let worker = RawWorker {
                            session: session.clone(),
                            random: Random::new(seed, 100 * side + i),
                            resets: Arc::clone(resets),
                        };
                        let world = Arc::clone(world);
                        tasks.spawn(raw::work(world, worker, self.name.clone()));
                    }
                }
            }
        }
    }
}

/// Keeps all connections busy while the world runs; returns when everything that was begun has come to its end.
pub(crate) async fn load(world: &Arc<World>, lanes: &[Lane], part: u64) {
    let mut tasks = JoinSet::new();
    let seed = Random::new(world.seed, part).next();
    for (lane, number) in lanes.iter().zip(0..) {
        lane.start(world, Random::new(seed, number).next(), &mut tasks);
    }
    for number in 0..VISITORS {
        let random = Random::new(seed, 1_000_000 + number);
        tasks.spawn(crate::visits::visit(Arc::clone(world), number, random));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            world.fail(format!("a task of the load: {error}"));
        }
    }
}

/// One job after the other on a connection on which nothing may go wrong.
async fn work(world: Arc<World>, mut worker: Worker, limits: Arc<Limits>, name: String) {
    while world.is_running() {
        let kind = limits.draw(&mut worker.random);
        if let Err(trouble) = within(worker.job(kind), &world, kind).await {
            world.fail(format!("{name}, {}: {trouble}", kind.name()));
            if worker.client.is_closed() {
                return;
            }
        }
    }
}

/// Counts a job that succeeds; one that hangs has failed.
pub(crate) async fn within(
    job: impl Future<Output = Result<u64, Trouble>>,
    world: &World,
    kind: Kind,
) -> Result<(), Trouble> {
    match tokio::time::timeout(STALLED, job).await {
        Ok(done) => done.map(|bytes| world.count(kind, bytes)),
        Err(_) => Err(Trouble::Wrong(format!("hangs; given up after {STALLED:?}"))),
    }
}
