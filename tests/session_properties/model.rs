//! Two sessions that keep the rules, and what has to be true of them after every step.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use spdy::FlowControl;
use spdy::frame::{Priority, ResetStatus, Role, SettingId, StreamId};
use spdy::session::{Event, Key, OpenOptions, Read, Session};

use super::ops::{Op, Setup};
use super::pair::*;

/// One direction of a stream.
#[derive(Debug, Default)]
struct Direction {
    written: usize,
    read: usize,
    finished: bool,
    ended: bool,
}

/// What one side waits for.
#[derive(Debug, Default)]
struct Waits {
    read: bool,
    write: bool,
    reply: bool,
}

#[derive(Debug)]
struct Stream {
    creator: usize,
    unidirectional: bool,
    id: Option<StreamId>,
    keys: [Option<Key>; 2],
    waits: [Waits; 2],
    /// By sender.
    directions: [Direction; 2],
    /// A side has reset it or dropped a half: bytes may be lost.
    cut: bool,
}

pub(crate) struct Model {
    pair: Pair,
    streams: Vec<Stream>,
    shut_down: bool,
    delivered: usize,
}

/// Bytes whose value tells their position.
fn pattern(stream: usize, sender: usize, position: usize, len: usize) -> &'static [u8] {
    const PERIOD: usize = 251;
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = PATTERN.get_or_init(|| (0..=250).cycle().take(1 << 20).collect());
    &bytes[(position + 17 * stream + 101 * sender) % PERIOD..][..len]
}

const ROLES: [Role; 2] = [Role::Client, Role::Server];

pub(crate) fn run(setup: &Setup, ops: &[Op]) {
    let mut model = Model::new(setup);
    for op in ops {
        model.step(op);
    }
    model.finish();
}

impl Model {
    pub(crate) fn new(setup: &Setup) -> Self {
        let mut pair = Pair::new(setup.config(Role::Client), setup.config(Role::Server));
        pair.split = setup.split;
        Self {
            pair,
            streams: Vec::new(),
            shut_down: false,
            delivered: 0,
        }
    }

    pub(crate) fn delivered(&self) -> usize {
        self.delivered
    }

    fn session(&mut self, side: usize) -> &mut Session {
        self.pair.side(ROLES[side])
    }

    /// A stream that this side has in hand.
    fn pick(&self, side: usize, stream: usize) -> Option<(usize, Key)> {
        let index = stream % self.streams.len().max(1);
        Some((index, self.streams.get(index)?.keys[side]?))
    }

    pub(crate) fn step(&mut self, op: &Op) {
        self.apply(op);
        self.note_ids();
        for side in 0..2 {
            self.take_events(side);
        }
        self.check();
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Open {
                side,
                priority,
                fin,
                unidirectional,
            } => {
                let options = OpenOptions::new()
                    .priority(Priority::new(priority))
                    .fin(fin)
                    .unidirectional(unidirectional);
                self.open(side, options);
            }
            Op::Accept { side } => {
                self.accept(side);
            }
            Op::Emit { side, frames } => drop(self.pair.emit(ROLES[side], frames)),
            Op::Deliver { side, frames } => drop(self.pair.deliver(ROLES[side], frames)),
            Op::Ping { side } => drop(self.session(side).ping()),
            Op::Limit { side, streams } => {
                let now = self.pair.now;
                let limit = setting(SettingId::MaxConcurrentStreams, streams);
                self.session(side).handle_frame(limit, now);
            }
            Op::Pass { millis } => {
                self.pair.now += Duration::from_millis(millis);
                let now = self.pair.now;
                for side in 0..2 {
                    let session = self.session(side);
                    if session.poll_timeout(now).is_some_and(|at| at <= now) {
                        session.handle_timeout(now);
                        assert!(session.poll_timeout(now).is_none_or(|at| at > now));
                    }
                }
            }
            Op::Shutdown { side } => {
                self.shut_down = true;
                self.session(side).shutdown();
            }
            Op::Reply { side, stream, .. }
            | Op::TakeReply { side, stream }
            | Op::Write { side, stream, .. }
            | Op::Headers { side, stream, .. }
            | Op::Finish { side, stream }
            | Op::Read { side, stream, .. }
            | Op::Reset { side, stream }
            | Op::DropSend { side, stream }
            | Op::DropRecv { side, stream } => {
                if let Some((index, key)) = self.pick(side, stream) {
                    self.apply_to(op, side, index, key);
                }
            }
        }
    }

    fn apply_to(&mut self, op: &Op, side: usize, index: usize, key: Key) {
        match *op {
            Op::Reply { fin, .. } => {
                let replied = self.session(side).reply(key, response(), fin);
                self.streams[index].directions[side].finished |= fin && replied.is_ok();
            }
            Op::TakeReply { .. } => {
                let reply = self.session(side).take_reply(key);
                self.streams[index].waits[side].reply |= matches!(reply, Ok(None));
            }
            Op::Write { len, .. } => self.write(side, index, key, len),
            Op::Headers { fin, .. } => {
                let sent = self
                    .session(side)
                    .send_headers(key, block(&[("x", "1")]), fin);
                self.streams[index].directions[side].finished |= fin && sent.is_ok();
            }
            Op::Finish { .. } => {
                let finished = self.session(side).finish(key);
                self.streams[index].directions[side].finished |= finished.is_ok();
            }
            Op::Read { max, .. } => drop(self.read(side, index, key, max)),
            Op::Reset { .. } => {
                self.streams[index].cut = true;
                self.session(side).reset(key, ResetStatus::CANCEL);
            }
            Op::DropSend { .. } => {
                self.streams[index].cut = true;
                self.session(side).drop_send(key);
            }
            Op::DropRecv { .. } => {
                self.streams[index].cut = true;
                self.session(side).drop_recv(key);
            }
            _ => unreachable!("not an operation on a stream"),
        }
    }

    fn open(&mut self, side: usize, options: OpenOptions) {
        if self.streams.len() >= 12 {
            return;
        }
        let Ok(key) = self.session(side).try_open(options) else {
            return;
        };
        let mut stream = Stream {
            creator: side,
            unidirectional: options.unidirectional,
            id: None,
            keys: [None, None],
            waits: <[Waits; 2]>::default(),
            directions: <[Direction; 2]>::default(),
            cut: false,
        };
        stream.keys[side] = Some(key);
        stream.directions[side].finished = options.fin;
        stream.directions[1 - side].finished = options.unidirectional;
        self.streams.push(stream);
    }

    fn accept(&mut self, side: usize) -> bool {
        let Some(accepted) = self.session(side).accept() else {
            return false;
        };
        let opened = |s: &&mut Stream| s.creator != side && s.id == Some(accepted.id);
        let Some(stream) = self.streams.iter_mut().find(opened) else {
            // It was over for its creator, who had let go of it, as soon as it was sent.
            let lost = |s: &Stream| s.creator != side && s.id.is_none() && s.cut;
            assert!(self.streams.iter().any(lost), "nobody opened it");
            self.session(side).drop_stream(accepted.key);
            return true;
        };
        assert!(stream.keys[side].is_none(), "accepted twice");
        stream.keys[side] = Some(accepted.key);
        true
    }

    fn write(&mut self, side: usize, index: usize, key: Key, len: usize) {
        match self.session(side).poll_capacity(key) {
            Ok(0) => self.streams[index].waits[side].write = true,
            Ok(_) => {
                let direction = &mut self.streams[index].directions[side];
                assert!(!direction.finished, "written behind the end");
                let bytes = pattern(index, side, direction.written, len);
                direction.written += len;
                self.session(side)
                    .write(key, Bytes::from_static(bytes))
                    .unwrap();
            }
            Err(_) => {}
        }
    }

    /// Reads once; whether there may be more.
    fn read(&mut self, side: usize, index: usize, key: Key, max: usize) -> bool {
        while self.session(side).take_headers(key).is_some() {}
        let read = self.session(side).read(key, max);
        let stream = &mut self.streams[index];
        let direction = &mut stream.directions[1 - side];
        match read {
            Ok(Read::Data(bytes)) => {
                let expected = pattern(index, 1 - side, direction.read, bytes.len());
                assert!(bytes == expected, "stream {index} delivers other bytes");
                direction.read += bytes.len();
                self.delivered += bytes.len();
                true
            }
            Ok(Read::End) => {
                if !stream.cut {
                    assert!(direction.finished, "an end that nobody wrote");
                    assert_eq!(direction.read, direction.written, "the end came early");
                }
                direction.ended = true;
                false
            }
            Ok(Read::Blocked) => {
                stream.waits[side].read = true;
                false
            }
            Err(_) => false,
        }
    }

    fn note_ids(&mut self) {
        let pair = &mut self.pair;
        for stream in &mut self.streams {
            if stream.id.is_none() {
                let key = stream.keys[stream.creator].unwrap();
                stream.id = pair.side(ROLES[stream.creator]).stream_id(key);
            }
        }
    }

    /// No event without interest.
    fn take_events(&mut self, side: usize) {
        for event in self.session(side).events() {
            let Event::Wake {
                key,
                read,
                write,
                reply,
            } = event
            else {
                continue;
            };
            assert!(read || write || reply);
            let stream = self
                .streams
                .iter_mut()
                .find(|s| s.keys[side] == Some(key))
                .unwrap();
            let waits = &mut stream.waits[side];
            for (woken, waits) in [
                (read, &mut waits.read),
                (write, &mut waits.write),
                (reply, &mut waits.reply),
            ] {
                assert!(!woken || *waits, "woken without interest");
                *waits &= !woken;
            }
        }
        drop(self.session(side).take_graveyard());
    }

    fn check(&mut self) {
        self.pair.client.assert_invariants();
        self.pair.server.assert_invariants();
        for (role, frame) in self.pair.trace.drain(..) {
            let fine = ["OK", "CANCEL", "REFUSED_STREAM"];
            let end = frame.starts_with("RST_STREAM") || frame.starts_with("GOAWAY");
            let status = frame.rsplit(' ').next().unwrap();
            assert!(!end || fine.contains(&status), "{role:?} sends {frame}");
        }
        for side in 0..2 {
            self.check_window(side);
        }
        for index in 0..self.streams.len() {
            self.check_stream(index);
        }
    }

    /// The connection window as its user and its owner see it.
    fn check_window(&mut self, sender: usize) {
        let over = self.pair.client.is_over() || self.pair.server.is_over();
        if over || self.pair.client.config().flow_control_mode() == FlowControl::Off {
            return;
        }
        let in_flight = i64::try_from(self.pair.in_flight(ROLES[sender], None)).unwrap();
        let credit = self.pair.credit_in_flight(ROLES[1 - sender]);
        let used = self.session(sender).send_ledger().0;
        let owned = self.session(1 - sender).receive_ledger()[0];
        assert_eq!(used, owned - in_flight - credit);
    }

    fn check_stream(&mut self, index: usize) {
        for sender in 0..2 {
            let stream = &self.streams[index];
            let (cut, id, keys) = (stream.cut, stream.id, stream.keys);
            let Some(key) = keys[sender] else { continue };
            let (written, read) = (
                stream.directions[sender].written,
                stream.directions[sender].read,
            );
            assert!(read <= written);
            let Some(state) = self.session(sender).inspect(key) else {
                continue;
            };
            if state.write_interest {
                let reason = state.finishing
                    || state.waiting
                    || state.send_window <= 0
                    || state.queued >= 16 * 1024;
                assert!(reason, "a writer waits for nothing: {state:?}");
            }
            // Every byte is somewhere.
            let Some(other) = keys[1 - sender] else {
                continue;
            };
            let failed = [(sender, key), (1 - sender, other)]
                .into_iter()
                .any(|(side, key)| self.session(side).stream_error(key).is_some());
            if cut || failed {
                continue;
            }
            let in_flight = self.pair.in_flight(ROLES[sender], id);
            let unread = self.session(1 - sender).inspect(other).unwrap().unread;
            assert_eq!(
                written,
                read + unread + in_flight + state.queued,
                "stream {index}"
            );
        }
    }

    /// Both sides read, reply and finish all they have: everything arrives, and nothing stays.
    pub(crate) fn finish(&mut self) {
        // Behind the real SETTINGS, which may forbid streams for good.
        self.pair.drive();
        self.note_ids();
        for side in 0..2 {
            self.take_events(side);
            let now = self.pair.now;
            let limit = setting(SettingId::MaxConcurrentStreams, 100);
            self.session(side).handle_frame(limit, now);
        }
        for round in 0.. {
            assert!(round < 10_000, "no end in sight");
            if !self.finish_round() {
                break;
            }
        }
        for index in 0..self.streams.len() {
            self.check_finished(index);
        }
        for side in 0..2 {
            for index in 0..self.streams.len() {
                if let Some(key) = self.streams[index].keys[side] {
                    self.session(side).drop_stream(key);
                }
            }
        }
        self.pair.pass(2 * SECOND);
        for side in 0..2 {
            self.take_events(side);
        }
        self.check();
        self.pair.assert_empty();
        for side in 0..2 {
            let [left, under_way, unread, pending] = self.session(side).receive_ledger();
            assert_eq!((under_way, unread), (0, 0));
            if !self.session(side).is_over() {
                let granted = self.session(side).granted();
                let windows = self.session(side).config().flow_control_mode() != FlowControl::Off;
                assert!(!windows || left + pending == granted);
            } else {
                assert!(self.shut_down, "nobody asked for an end");
            }
        }
    }

    fn finish_round(&mut self) -> bool {
        let mut moved = false;
        for (side, role) in ROLES.into_iter().enumerate() {
            moved |= self.pair.emit(role, 1000);
            moved |= self.pair.deliver(role, 1000);
            self.note_ids();
            self.take_events(side);
            while self.accept(side) {
                moved = true;
            }
            for index in 0..self.streams.len() {
                let Some(key) = self.streams[index].keys[side] else {
                    continue;
                };
                let _ = self.session(side).reply(key, response(), false);
                if self.session(side).finish(key).is_ok() {
                    self.streams[index].directions[side].finished = true;
                }
                while self.read(side, index, key, usize::MAX) {
                    moved = true;
                }
            }
        }
        self.check();
        moved || self.pair.client.has_output() || self.pair.server.has_output()
    }

    fn check_finished(&mut self, index: usize) {
        let stream = &self.streams[index];
        let (creator, keys, cut) = (stream.creator, stream.keys, stream.cut);
        let own = keys[creator].unwrap();
        if self.session(creator).stream_error(own).is_some() || cut {
            return;
        }
        let Some(other) = keys[1 - creator] else {
            // Over for its creator before the refusal could arrive.
            let over = self.session(creator).inspect(own).unwrap().closed;
            if over && self.streams[index].unidirectional {
                return;
            }
            panic!("stream {index} was neither refused nor accepted");
        };
        assert!(self.session(1 - creator).stream_error(other).is_none());
        for sender in 0..2 {
            let stream = &self.streams[index];
            let direction = &stream.directions[sender];
            assert_eq!(direction.read, direction.written, "stream {index}");
            assert!(direction.ended, "stream {index} has no end");
            assert!(sender == creator || !stream.unidirectional || direction.read == 0);
        }
    }
}
