//! Arbitrary frames into one session, while its application does what it likes.

use std::collections::VecDeque;
use std::time::Duration;

use spdy::frame::{
    GoAway, GoAwayStatus, HeaderFrame, Received, ResetStatus, Role, SettingId, StreamId,
};
use spdy::headers::BlockError;
use spdy::session::Key;
use spdy::{Config, FlowControl, Overflow};

use super::draw::Draw;
use super::pair::*;

/// How many bytes options or an operation are drawn from.
pub(crate) const SETUP_BYTES: usize = 4;
pub(crate) const OP_BYTES: usize = 10;

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    role: Role,
    flow_control: FlowControl,
    reset: bool,
    small: bool,
    /// All streams together may have little more unread than one of them.
    tight: bool,
    spdystream: bool,
}

impl Setup {
    pub(crate) fn draw(draw: &mut Draw<'_>) -> Self {
        let mode = draw.weighted(&[3, 1, 1]);
        let role = draw.pick(&[Role::Client, Role::Server]);
        let reset = draw.flag();
        let flags = draw.byte();
        Self {
            role,
            flow_control: [FlowControl::Spec, FlowControl::Lenient, FlowControl::Off][mode],
            reset,
            small: flags & 1 != 0,
            tight: flags & 2 != 0,
            spdystream: flags & 4 != 0,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Frame(Received),
    /// DATA that arrives in pieces, with other operations between them.
    Data {
        stream: u32,
        len: usize,
        fin: bool,
        split: usize,
    },
    Open {
        fin: bool,
    },
    Accept,
    Reply {
        stream: usize,
    },
    Write {
        stream: usize,
        len: usize,
    },
    Headers {
        stream: usize,
    },
    Finish {
        stream: usize,
    },
    Read {
        stream: usize,
    },
    Reset {
        stream: usize,
    },
    DropSend {
        stream: usize,
    },
    DropRecv {
        stream: usize,
    },
    Send {
        frames: usize,
    },
    Pass {
        millis: u64,
    },
    Ping,
    Shutdown,
    Eof,
}

/// An id that may be in use, or the last one.
fn stream(draw: &mut Draw<'_>) -> u32 {
    if draw.chance(10) {
        0x7fff_ffff
    } else {
        1 + draw.below_u32(9)
    }
}

fn faulty(draw: &mut Draw<'_>) -> Received {
    let frame = HeaderFrame {
        id: id(stream(draw)),
        fin: false,
        block: Err(draw.pick(&[BlockError::TooLarge, BlockError::Malformed("faulty")])),
    };
    if draw.flag() {
        Received::Headers(frame)
    } else {
        Received::SynReply(frame)
    }
}

fn delta(draw: &mut Draw<'_>) -> u32 {
    match draw.weighted(&[1, 1, 1]) {
        0 => 0,
        1 => 1 + draw.below_u32(99_999),
        _ => 0x7fff_ffff,
    }
}

fn initial_window(draw: &mut Draw<'_>) -> u32 {
    match draw.weighted(&[1, 1, 1]) {
        0 => draw.below_u32(200_000),
        1 => 0x7fff_ffff,
        _ => 0x8000_0000,
    }
}

fn frame(draw: &mut Draw<'_>) -> Received {
    match draw.weighted(&[8, 6, 4, 1, 3, 5, 2, 2, 2, 1, 1]) {
        0 => syn_with(stream(draw), draw.flag(), draw.chance(20)),
        1 => reply(stream(draw), draw.flag()),
        2 => headers(stream(draw), draw.flag()),
        3 => faulty(draw),
        4 => rst(stream(draw), ResetStatus::new(draw.below_u32(13))),
        5 => credit(draw.below_u32(10), delta(draw)),
        6 => setting(SettingId::InitialWindowSize, initial_window(draw)),
        7 => setting(SettingId::MaxConcurrentStreams, draw.below_u32(5)),
        8 => Received::Ping(draw.below_u32(8)),
        9 => Received::GoAway(GoAway {
            last_good: StreamId::new(draw.below_u32(10)),
            status: GoAwayStatus::new(draw.below_u32(4)),
        }),
        _ => Received::Ignored { kind: 99, len: 3 },
    }
}

fn len(draw: &mut Draw<'_>) -> usize {
    if draw.flag() {
        1000 + draw.below(69_000)
    } else {
        draw.below(300)
    }
}

impl Op {
    pub(crate) fn draw(draw: &mut Draw<'_>) -> Self {
        let weights = [20, 12, 5, 5, 4, 5, 1, 2, 5, 1, 1, 1, 8, 2, 1, 1, 1];
        let stream = |draw: &mut Draw<'_>| draw.below(5);
        match draw.weighted(&weights) {
            0 => Self::Frame(frame(draw)),
            1 => Self::Data {
                stream: draw.below_u32(10),
                len: len(draw),
                fin: draw.chance(20),
                split: 100 + draw.below(39_900),
            },
            2 => Self::Open { fin: draw.flag() },
            3 => Self::Accept,
            4 => Self::Reply {
                stream: stream(draw),
            },
            5 => Self::Write {
                stream: stream(draw),
                len: len(draw),
            },
            6 => Self::Headers {
                stream: stream(draw),
            },
            7 => Self::Finish {
                stream: stream(draw),
            },
            8 => Self::Read {
                stream: stream(draw),
            },
            9 => Self::Reset {
                stream: stream(draw),
            },
            10 => Self::DropSend {
                stream: stream(draw),
            },
            11 => Self::DropRecv {
                stream: stream(draw),
            },
            12 => Self::Send {
                frames: 1 + draw.below(19),
            },
            13 => Self::Pass {
                millis: 1 + draw.below(2999) as u64,
            },
            14 => Self::Ping,
            15 => Self::Shutdown,
            _ => Self::Eof,
        }
    }
}

pub(crate) fn run(setup: &Setup, ops: &[Op]) {
    let after = Duration::from_secs(1);
    let config = match (setup.spdystream, setup.role) {
        (true, Role::Client) => Config::spdystream_client(),
        (true, Role::Server) => Config::spdystream_server(),
        (false, role) => Config::for_role(role),
    };
    let mut config = config
        .flow_control(setup.flow_control)
        .keep_alive_interval(after)
        .idle_timeout(2 * after)
        .unread_stream_limit(50_000)
        .overflow(if setup.reset {
            Overflow::Reset { after }
        } else {
            Overflow::Pause
        });
    if setup.tight {
        config = config.unread_connection_limit(80_000);
    }
    if setup.spdystream {
        config = config.open_timeout(after).silence_timeout(3 * after);
    }
    if setup.small {
        config = config
            .initial_stream_window_size(30_000)
            .initial_connection_window_size(65_536)
            .max_concurrent_streams(2);
    }
    let mut victim = Victim {
        peer: Solo::new(setup.role, config),
        keys: Vec::new(),
        pieces: VecDeque::new(),
    };
    for op in ops {
        if let Some(piece) = victim.pieces.pop_front() {
            victim.peer.feed(piece);
        }
        victim.apply(op);
        victim.peer.session.assert_invariants();
        assert!(victim.peer.events().len() < 1000);
    }
    victim.end();
}

struct Victim {
    peer: Solo,
    keys: Vec<Key>,
    /// What is left of a DATA frame.
    pieces: VecDeque<Received>,
}

impl Victim {
    fn key(&self, stream: usize) -> Option<Key> {
        self.keys.get(stream % self.keys.len().max(1)).copied()
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Frame(frame) => drop(self.peer.feed(frame.clone())),
            Op::Data {
                stream,
                len,
                fin,
                split,
            } => {
                // The decoder never starts a frame before the last one has ended.
                while let Some(piece) = self.pieces.pop_front() {
                    self.peer.feed(piece);
                }
                let payload = vec![b'h'; *len].into();
                self.pieces
                    .extend(pieces(StreamId::new(*stream), payload, *fin, *split));
            }
            Op::Open { fin } => {
                let options = spdy::session::OpenOptions::new().fin(*fin);
                self.keys.extend(self.peer.try_open(options));
            }
            Op::Accept => {
                let accepted = self.peer.session.accept();
                self.keys.extend(accepted.map(|accepted| accepted.key));
            }
            Op::Send { frames } => {
                for _ in 0..*frames {
                    let has_output = self.peer.session.has_output();
                    let frame = self.peer.session.poll_frame(self.peer.now);
                    assert_eq!(frame.is_some(), has_output);
                }
            }
            Op::Pass { millis } => drop(self.peer.pass(Duration::from_millis(*millis))),
            Op::Ping => drop(self.peer.session.ping()),
            Op::Shutdown => self.peer.session.shutdown(),
            Op::Eof => self.peer.session.handle_eof(false),
            Op::Reply { stream }
            | Op::Write { stream, .. }
            | Op::Headers { stream }
            | Op::Finish { stream }
            | Op::Read { stream }
            | Op::Reset { stream }
            | Op::DropSend { stream }
            | Op::DropRecv { stream } => {
                if let Some(key) = self.key(*stream) {
                    self.apply_to(op, key);
                }
            }
        }
    }

    fn apply_to(&mut self, op: &Op, key: Key) {
        let session = &mut self.peer.session;
        match op {
            Op::Reply { .. } => drop(session.reply(key, response(), false)),
            Op::Write { len, .. } => drop(session.write(key, vec![b'w'; *len].into())),
            Op::Headers { .. } => drop(session.send_headers(key, block(&[("x", "1")]), false)),
            Op::Finish { .. } => drop(session.finish(key)),
            Op::Read { .. } => {
                let _ = session.take_reply(key);
                drop(session.take_headers(key));
                drop(session.read(key, 30_000));
            }
            Op::Reset { .. } => session.reset(key, ResetStatus::CANCEL),
            Op::DropSend { .. } => session.drop_send(key),
            Op::DropRecv { .. } => session.drop_recv(key),
            _ => unreachable!("not an operation on a stream"),
        }
    }

    /// Whatever happened, nothing outlives the transport and the handles.
    fn end(&mut self) {
        let session = &mut self.peer.session;
        session.handle_eof(true);
        assert!(session.is_finished());
        for key in &self.keys {
            session.drop_stream(*key);
        }
        session.assert_invariants();
        assert_eq!((session.stream_count(), session.unread_bytes()), (0, 0));
        assert_eq!(session.send_ledger().1, 0);
        assert_eq!(session.poll_timeout(self.peer.now), None);
    }
}
