//! What has to be true once the load has stopped, with the lasting connections still open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spdy::Stats;
use tokio::runtime::Handle;

use crate::lanes::Lane;
use crate::server::CONNECTION_WINDOW;
use crate::world::World;

/// How long the last frames, tasks and sockets may take to go, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// After how long without any change nothing more is expected.
const NO_CHANGE: Duration = Duration::from_secs(10);

/// How often it is looked.
const INTERVAL: Duration = Duration::from_millis(20);

/// How much larger the heap may be, in percent. The warm-up of a short run is short as well: buffers and tables reach their
/// sizes later, which is up to 4.5 % in runs of some seconds.
const HEAP_SLACK: usize = 5;
const HEAP_SLACK_SHORT: usize = 8;
/// From when on a run is no short one.
const LONG: Duration = Duration::from_secs(60);

/// How things stood before the load, or after the warm-up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    tasks: usize,
    files: Option<usize>,
    /// `None` before the warm-up: buffers, tables and contexts of compression come with the load.
    pub(crate) heap: Option<usize>,
    /// In percent.
    heap_slack: usize,
}

impl Start {
    pub(crate) fn now(run: Duration) -> Self {
        Self {
            heap_slack: if run < LONG {
                HEAP_SLACK_SHORT
            } else {
                HEAP_SLACK
            },
            tasks: tasks(),
            files: files(),
            heap: None,
        }
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// File descriptors of this process; `None` where they cannot be counted.
#[cfg(target_os = "linux")]
fn files() -> Option<usize> {
    // The listing has one of its own, each time.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

#[cfg(not(target_os = "linux"))]
fn files() -> Option<usize> {
    None
}

/// One check and what came of it.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    /// What is wrong; empty if nothing is.
    pub(crate) wrong: Vec<String>,
    pub(crate) figure: String,
}

impl Finding {
    fn new(what: &'static str, figure: String) -> Self {
        Self {
            what,
            wrong: Vec::new(),
            figure,
        }
    }

    fn demand(&mut self, right: bool, otherwise: impl FnOnce() -> String) {
        if !right {
            self.wrong.push(otherwise());
        }
    }
}

/// Looks until nothing is wrong, or patience ends: sooner if nothing changes any more.
pub(crate) async fn settle(world: &Arc<World>, lanes: &[Lane], start: &Start) -> Vec<Finding> {
    let began = Instant::now();
    let mut changed = began;
    let mut before = Vec::new();
    loop {
        world.census.ask();
        tokio::time::sleep(INTERVAL).await;
        let findings = look(world, lanes, start);
        let wrong: Vec<_> = findings.iter().map(|f| f.wrong.clone()).collect();
        if wrong != before {
            changed = Instant::now();
        }
        let calm = wrong.iter().all(Vec::is_empty);
        if calm || changed.elapsed() > NO_CHANGE || began.elapsed() > PATIENCE {
            return findings;
        }
        before = wrong;
    }
}

fn look(world: &World, lanes: &[Lane], start: &Start) -> Vec<Finding> {
    let here = world.census.connections();
    let mut connections = Finding::new("connections", format!("{here} at the servers"));
    connections.demand(here == lanes.len(), || {
        format!("{here} at the servers, {} lasting clients", lanes.len())
    });
    let mut streams = Finding::new("streams", String::new());
    let mut windows = Finding::new("windows", String::new());
    let (mut open, mut bytes) = (0, 0);
    for lane in lanes {
        connections.demand(!lane.session.is_closing(), || {
            format!("{} has ended", lane.name)
        });
        let client = lane.session.stats();
        let Some(server) = world.census.of(lane.local) else {
            connections
                .wrong
                .push(format!("the server of {} does not answer", lane.name));
            continue;
        };
        open += client.streams + server.streams;
        streams.demand(client.streams + server.streams == 0, || {
            let (here, there) = (client.streams, server.streams);
            format!("{}: {here} at the client, {there} at the server", lane.name)
        });
        for (end, stats) in [("client", client), ("server", server)] {
            streams.demand(stats.unread == 0, || {
                format!("{}: {} bytes unread at the {end}", lane.name, stats.unread)
            });
        }
        let Some(window) = lane.window else {
            continue;
        };
        bytes += u64::from(window) + u64::from(CONNECTION_WINDOW);
        direction(
            &mut windows,
            &lane.name,
            "to the client",
            &server,
            &client,
            window,
        );
        direction(
            &mut windows,
            &lane.name,
            "to the server",
            &client,
            &server,
            CONNECTION_WINDOW,
        );
    }
    streams.figure = format!("{open} open");
    windows.figure = format!("all {bytes} bytes accounted for at both ends");
    let now = tasks();
    let mut alive = Finding::new("tasks", format!("{now}, {} before the load", start.tasks));
    alive.demand(now == start.tasks, || {
        format!("{now} instead of {}", start.tasks)
    });
    vec![
        connections,
        streams,
        windows,
        alive,
        open_files(start),
        heap(start),
    ]
}

/// Holds both ends of one direction of a connection against each other.
fn direction(
    windows: &mut Finding,
    name: &str,
    way: &str,
    sender: &Stats,
    receiver: &Stats,
    granted: u32,
) {
    let (left, unread) = (receiver.receive_window, receiver.unread);
    let pending = receiver.uncredited;
    let sum = i128::from(left) + unread as i128 + i128::from(pending);
    windows.demand(sum == i128::from(granted) && unread == 0, || {
        format!("{name}, {way}: {left} left, {unread} unread and {pending} uncredited of {granted}")
    });
    windows.demand(sender.send_window == left, || {
        let sender = sender.send_window;
        format!("{name}, {way}: the sender has {sender} left, the receiver has left it {left}")
    });
}

fn open_files(start: &Start) -> Finding {
    let (Some(before), Some(now)) = (start.files, files()) else {
        return Finding::new("files", "not counted on this system".to_owned());
    };
    let mut open = Finding::new("files", format!("{now} open, {before} before the load"));
    open.demand(now == before, || format!("{now} open instead of {before}"));
    open
}

fn heap(start: &Start) -> Finding {
    let now = crate::heap();
    let Some(before) = start.heap else {
        return Finding::new("heap", format!("{now} bytes"));
    };
    let mut heap = Finding::new("heap", format!("{now} bytes, {before} after the warm-up"));
    let slack = start.heap_slack;
    heap.demand(now <= before + before / 100 * slack, || {
        format!("{now} bytes, {before} after the warm-up: grown by more than {slack} %")
    });
    heap
}
