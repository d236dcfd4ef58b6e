//! What all parts of a run share: counters, failures, and where the servers' connections stand.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spdy::Stats;
use tokio::sync::watch;

use crate::args::Plant;
use crate::raw::Servers;

/// The error of a body that is to break.
pub(crate) const PLANNED: &str = "broken on purpose";

/// The payload of a panic that belongs to the load.
struct Planned;

#[allow(clippy::panic, reason = "handlers that panic belong to the load")]
pub(crate) fn planned_panic() -> ! {
    std::panic::panic_any(Planned)
}

/// How many failures are told in full.
const TOLD: usize = 20;

/// Why something did not go as it should.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// An error of the library: what it means depends on what was done to the connection.
    Spdy(spdy::Error),
    /// The same, out of reading or writing.
    Io(std::io::Error),
    /// Wrong whatever was done.
    Wrong(String),
}

impl From<spdy::Error> for Trouble {
    fn from(error: spdy::Error) -> Self {
        Self::Spdy(error)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<spdy::Error>() {
            Ok(error) => Self::Spdy(error),
            Err(error) => Self::Io(error),
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Spdy(error) => write!(f, "{error} ({error:?})"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

macro_rules! kinds {
    ($($kind:ident = $name:literal,)*) => {
        /// What the load consists of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($kind,)* }

        impl Kind {
            pub(crate) const NAMES: &[&str] = &[$($name,)*];
        }
    };
}

kinds! {
    Get = "short GET",
    Large = "large GET",
    Slow = "slow reader",
    Range = "cancelled Range",
    Echo = "upload echoed",
    Upload = "upload checked",
    Trailers = "trailers both ways",
    Unanswered = "never answered",
    Stuck = "body that stops",
    Broken = "body that breaks",
    Panic = "handler panics",
    Refused = "upload not wanted",
    Abandoned = "upload given up",
    Tunnel = "tunnel",
    Ping = "PING",
    RawEcho = "raw: echoed",
    RawUnread = "raw: dropped unread",
    RawReset = "raw: reset by opener",
    RawRefused = "raw: reset by peer",
    ToolEcho = "spdystream: echoed",
    ToolHalf = "spdystream: half-closed",
    ToolReset = "spdystream: reset",
    ToolDeaf = "spdystream: given up unread",
    SocketEcho = "WebSocket: echoed",
    SocketHalf = "WebSocket: half-closed",
    SocketReset = "WebSocket: reset",
    SocketDeaf = "WebSocket: given up unread",
    Vanish = "connection: vanishes",
    Leave = "connection: client leaves",
    GoAway = "connection: server leaves",
    Abort = "connection: aborted",
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) done: AtomicU64,
    /// Of bodies, each checked, in both directions.
    pub(crate) bytes: AtomicU64,
}

/// The state of the run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) http: SocketAddr,
    pub(crate) raw: SocketAddr,
    /// By what the sessions run on.
    pub(crate) spdystream: [SocketAddr; 2],
    pub(crate) counts: Vec<Count>,
    /// The load is to stop.
    stop: AtomicBool,
    plant: Option<Plant>,
    /// The plant is due.
    armed: AtomicBool,
    failures: Mutex<Vec<String>>,
    failed: AtomicU64,
    pub(crate) census: Census,
    pub(crate) raw_servers: Servers,
}

impl World {
    pub(crate) fn new(
        seed: u64,
        plant: Option<Plant>,
        http: SocketAddr,
        raw: SocketAddr,
        spdystream: [SocketAddr; 2],
    ) -> Arc<Self> {
        Arc::new(Self {
            seed,
            http,
            raw,
            spdystream,
            counts: Kind::NAMES.iter().map(|_| Count::default()).collect(),
            stop: AtomicBool::new(false),
            plant,
            armed: AtomicBool::new(false),
            failures: Mutex::default(),
            failed: AtomicU64::new(0),
            census: Census::default(),
            raw_servers: Servers::default(),
        })
    }

    pub(crate) fn count(&self, kind: Kind, bytes: u64) {
        let count = &self.counts[kind as usize];
        count.done.fetch_add(1, Ordering::Relaxed);
        count.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn fail(&self, what: String) {
        let before = self.failed.fetch_add(1, Ordering::Relaxed);
        if before < TOLD as u64 {
            eprintln!("soak: {what}");
            lock(&self.failures).push(what);
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        lock(&self.failures).clone()
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.stop.store(!running, Ordering::Relaxed);
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
    }

    /// Whether this is to be planted at some time.
    pub(crate) fn may_plant(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// Whether this is to be planted now: once, after the warm-up.
    pub(crate) fn plants_once(&self, plant: Plant) -> bool {
        self.plant == Some(plant) && self.armed.swap(false, Ordering::Relaxed)
    }

    /// Takes panics that nobody planned for failures, and keeps quiet about the others.
    pub(crate) fn watch_panics(self: &Arc<Self>) {
        let world = Arc::clone(self);
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.payload().is::<Planned>() {
                world.fail(format!("a panic that nobody planned: {panic}"));
            }
        }));
    }
}

/// Where the servers' connections stand, by the address of their client. Only the task that polls a connection can see
/// its figures, so it is asked.
#[derive(Debug, Default)]
pub(crate) struct Census {
    round: watch::Sender<u64>,
    answers: Mutex<HashMap<SocketAddr, (u64, Stats)>>,
}

impl Census {
    /// Asks all connections.
    pub(crate) fn ask(&self) {
        self.round.send_modify(|round| *round += 1);
    }

    /// The questions.
    pub(crate) fn rounds(&self) -> watch::Receiver<u64> {
        self.round.subscribe()
    }

    /// Registers a connection until the guard is dropped.
    pub(crate) fn enter(&self, peer: SocketAddr) -> Present<'_> {
        lock(&self.answers).insert(peer, (0, Stats::default()));
        Present { census: self, peer }
    }

    pub(crate) fn answer(&self, peer: SocketAddr, stats: Stats) {
        let round = *self.round.borrow();
        lock(&self.answers).insert(peer, (round, stats));
    }

    /// The answer of a connection to the last question, if it has answered.
    pub(crate) fn of(&self, peer: SocketAddr) -> Option<Stats> {
        let now = *self.round.borrow();
        let answers = lock(&self.answers);
        let (round, stats) = answers.get(&peer)?;
        (*round == now).then_some(*stats)
    }

    pub(crate) fn connections(&self) -> usize {
        lock(&self.answers).len()
    }
}

/// A connection of the census.
pub(crate) struct Present<'a> {
    census: &'a Census,
    peer: SocketAddr,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        lock(&self.census.answers).remove(&self.peer);
    }
}

/// Whatever is behind these locks is whole after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
