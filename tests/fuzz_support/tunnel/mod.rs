//! A tunnel through a WebSocket: whatever comes, however the socket stutters, and whoever gives up waiting, bytes come out in
//! order and whole or an error says so, and nobody sleeps on what has happened. And whole sessions through two of them.

mod sessions;
mod sides;
mod socket;
#[path = "../../support/websocket.rs"]
mod websocket;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use spdy::ws::Tunnel;

use self::sides::{Job, Reader, Writer};
use self::socket::{Failure, IoFailure, Item, Line, Side, Socket};
use self::websocket::Plain;
use super::draw::Draw;

/// More would only cost time.
const MOST_STEPS: usize = 200;
const MOST_BYTES: usize = 1 << 20;

/// How often the two sides are polled in one step at most, and at the end, where a few thousand times are enough for all that
/// can have come together.
const TURNS: usize = 100;
const TURNS_AT_THE_END: usize = 30_000;

/// One byte that says which part, then one of options and the steps, or what `sessions` has.
pub(crate) fn run(input: &[u8]) {
    let mut draw = Draw::new(input);
    if draw.chance(25) {
        return sessions::run(&mut draw);
    }
    let mut play = Play::new(draw.flag());
    for _ in 0..MOST_STEPS {
        if draw.is_empty() {
            break;
        }
        play.step(&mut draw);
    }
    play.finish();
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A tunnel with those who use it: two tasks, or one. They are polled only when they were woken.
struct Play {
    tunnel: Tunnel<Socket>,
    line: Line,
    reader: Reader,
    writer: Writer,
    /// Of the tasks of each side.
    woken: [Arc<Flag>; 2],
    one_task: bool,
    /// Sides that have given up waiting.
    away: [bool; 2],
    /// Bytes that were received and written.
    bytes: usize,
}

impl Play {
    fn new(one_task: bool) -> Self {
        let line = Line::new();
        let reads = Arc::new(Flag(AtomicBool::new(true)));
        let writes = match one_task {
            true => Arc::clone(&reads),
            false => Arc::new(Flag(AtomicBool::new(true))),
        };
        Self {
            tunnel: Tunnel::new(line.socket()),
            line,
            reader: Reader::new(),
            writer: Writer::default(),
            woken: [reads, writes],
            one_task,
            away: [false; 2],
            bytes: 0,
        }
    }

    /// The weights are known to `fuzz/seed`.
    fn step(&mut self, draw: &mut Draw<'_>) {
        let weights = [
            24, 12, 6, 16, 16, 16, 16, 10, 10, 4, 16, 10, 8, 8, 10, 8, 8, 4, 6, 6,
        ];
        match draw.weighted(&weights) {
            0 => {
                let size = self.size(draw);
                self.line.state().receive(Item::Bytes(size));
            }
            1 => {
                let (message, count) = match draw.byte() {
                    pong @ 0..64 => (Plain::Pong, usize::from(pong)),
                    ping => (Plain::Ping, usize::from(ping - 63)),
                };
                for _ in 0..count {
                    let message = message.clone();
                    self.line.state().receive(Item::Message(message));
                }
            }
            2 => {
                for _ in 0..draw.byte() {
                    self.line.state().receive(Item::Bytes(0));
                }
            }
            3 => drop(self.turn(Side::Reader)),
            4 => drop(self.turn(Side::Writer)),
            5 => drop(self.rest(TURNS)),
            6 => self.write(draw, 1),
            7 => {
                let parts = draw.below(5);
                self.write(draw, parts);
            }
            8 => self.ask(Job::Flush),
            9 => self.ask(Job::Shutdown),
            10 => {
                let more = draw.pick(&[usize::MAX, 0, 1, 2, 3, 10, 70]);
                match more {
                    0 => self.line.state().shut_window(),
                    _ => self.line.state().open_window(more),
                }
            }
            11 => {
                let room = draw.pick(&[usize::MAX, 0, 1, 2, 30]);
                self.line.state().set_room(room);
            }
            12 => self.line.state().hiccup(draw.below(4)),
            13 => self.line.state().set_late(draw.flag()),
            14 => self.reader.size = draw.pick(&[100, 0, 1, 2, 7, 1000, 8192, 70_000]),
            15 => self.leave(Side::Reader, draw.flag()),
            16 => self.leave(Side::Writer, draw.flag()),
            17 => {
                // Whoever is polled, may be polled without a reason.
                let side = draw.pick(&[Side::Reader, Side::Writer]);
                self.wake(side);
                self.turn(side);
            }
            18 => {
                let item = last(draw);
                self.line.state().receive(item);
            }
            _ => {
                let which = draw.below(3);
                let failure = failure(draw);
                let mut state = self.line.state();
                match which {
                    0 => state.fail_writes(failure),
                    1 => state.fail_next(failure),
                    _ => state.fail_close(failure),
                }
            }
        }
    }

    fn size(&mut self, draw: &mut Draw<'_>) -> usize {
        let size = match draw.byte() {
            small @ 0..250 => usize::from(small),
            large => [32_767, 32_768, 32_769, 65_536, 70_000, 1000][usize::from(large - 250)],
        };
        self.bytes += size;
        if self.bytes > MOST_BYTES {
            size % 10
        } else {
            size
        }
    }

    fn write(&mut self, draw: &mut Draw<'_>, parts: usize) {
        let sizes = (0..parts).map(|_| self.size(draw)).collect();
        self.ask(Job::Write(sizes));
    }

    fn ask(&mut self, job: Job) {
        let rests = self.writer.is_done();
        self.writer.jobs.push_back(job);
        if rests {
            self.wake(Side::Writer);
        }
    }

    /// A side waits no more, and begins something else later on; what has woken it meanwhile is forgotten.
    fn leave(&mut self, side: Side, leaves: bool) {
        self.away[side as usize] = leaves;
        if leaves && side == Side::Writer {
            self.writer.jobs.pop_front();
        }
        if !leaves {
            self.wake(side);
        }
    }

    fn wake(&self, side: Side) {
        self.woken[side as usize].0.store(true, Ordering::Relaxed);
    }

    /// Polls the task of a side if it was woken; whether it was.
    fn turn(&mut self, side: Side) -> bool {
        if !self.woken[side as usize].0.swap(false, Ordering::Relaxed) {
            return false;
        }
        let sides = match self.one_task {
            true => &[Side::Reader, Side::Writer][..],
            false => &[side],
        };
        for side in sides {
            if self.away[*side as usize] {
                continue;
            }
            let waker = Waker::from(Arc::clone(&self.woken[*side as usize]));
            let mut cx = Context::from_waker(&waker);
            let (tunnel, line) = (&mut self.tunnel, &self.line);
            let goes_on = match side {
                Side::Reader => self.reader.poll(tunnel, line, &mut cx),
                Side::Writer => self.writer.poll(tunnel, line, &mut cx),
            };
            if goes_on {
                self.wake(*side);
            }
        }
        true
    }

    /// Lets both go on until they rest, or for so long; whether they rest.
    fn rest(&mut self, turns: usize) -> bool {
        (0..turns).any(|_| !(self.turn(Side::Reader) | self.turn(Side::Writer)))
    }

    /// With nothing in the way any more all comes to its end.
    fn finish(mut self) {
        self.reader.size = self.reader.size.max(8192);
        {
            let mut state = self.line.state();
            state.heal();
            state.receive(Item::Message(Plain::Close(Some(1000), String::new())));
        }
        self.settle();
        self.leave(Side::Reader, false);
        self.settle();
        self.leave(Side::Writer, false);
        self.settle();
        // Nobody has flushed what the writer has written last, so that the others could not count on it before.
        for job in [Job::Flush, Job::Shutdown, Job::Write(vec![1]), Job::Flush] {
            self.ask(job);
        }
        self.settle();
        let state = self.line.state();
        assert!(state.closed || state.failed, "the sink is open");
        assert_eq!(state.held(), 0, "a message is held at the end");
    }

    /// All come to their ends but those that are away.
    fn settle(&mut self) {
        assert!(self.rest(TURNS_AT_THE_END), "there is no rest");
        let [reader, writer] = self.away;
        assert!(reader || self.reader.is_done(), "the reader is not woken");
        assert!(writer || self.writer.is_done(), "the writer is not woken");
    }
}

fn failure(draw: &mut Draw<'_>) -> Failure {
    draw.pick(&[
        Failure::Io(IoFailure(ErrorKind::ConnectionReset)),
        Failure::Io(IoFailure(ErrorKind::TimedOut)),
        Failure::Other,
    ])
}

/// How reading ends.
fn last(draw: &mut Draw<'_>) -> Item {
    match draw.below(4) {
        0 => {
            let code = draw.pick(&[
                Some(1000),
                None,
                Some(1001),
                Some(1011),
                Some(4000),
                Some(0),
            ]);
            let len = usize::from(draw.byte());
            let reason = String::from_utf8_lossy(draw.bytes(len)).into_owned();
            Item::Message(Plain::Close(code, reason))
        }
        1 => Item::Message(Plain::Text),
        2 => Item::Error(failure(draw)),
        _ => Item::End,
    }
}
