//! Arbitrary frames into one session, while its application does what it likes.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use spdy::frame::{
    GoAway, GoAwayStatus, HeaderFrame, Received, ResetStatus, Role, SettingId, StreamId,
};
use spdy::headers::BlockError;
use spdy::session::Key;
use spdy::{Config, FlowControl, Overflow};

use crate::pair::*;

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    role: Role,
    flow_control: FlowControl,
    reset: bool,
    small: bool,
    spdystream: bool,
}

pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    let mode = prop_oneof![
        3 => Just(FlowControl::Spec), 1 => Just(FlowControl::Lenient), 1 => Just(FlowControl::Off)
    ];
    let flags = any::<[bool; 3]>();
    (role, mode, flags).prop_map(|(role, flow_control, [reset, small, spdystream])| Setup {
        role,
        flow_control,
        reset,
        small,
        spdystream,
    })
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

fn frame() -> impl Strategy<Value = Received> {
    let stream = || prop_oneof![9 => 1..10_u32, 1 => Just(0x7fff_ffff)];
    let delta = prop_oneof![Just(0), 1..100_000_u32, Just(0x7fff_ffff)];
    let status = (0..13_u32).prop_map(ResetStatus::new);
    let window = prop_oneof![0..200_000_u32, Just(0x7fff_ffff), Just(0x8000_0000)];
    let error = prop_oneof![
        Just(BlockError::TooLarge),
        Just(BlockError::Malformed("faulty"))
    ];
    prop_oneof![
        8 => (stream(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(stream, fin, unidirectional)| syn_with(stream, fin, unidirectional)),
        6 => (stream(), any::<bool>()).prop_map(|(stream, fin)| reply(stream, fin)),
        4 => (stream(), any::<bool>()).prop_map(|(stream, fin)| headers(stream, fin)),
        1 => (stream(), error, 0..2_u8).prop_map(|(stream, error, kind)| {
            let frame = HeaderFrame { id: id(stream), fin: false, block: Err(error) };
            if kind == 0 { Received::SynReply(frame) } else { Received::Headers(frame) }
        }),
        3 => (stream(), status).prop_map(|(stream, status)| rst(stream, status)),
        5 => (0..10_u32, delta).prop_map(|(stream, delta)| credit(stream, delta)),
        2 => window.prop_map(|size| setting(SettingId::InitialWindowSize, size)),
        2 => (0..5_u32).prop_map(|limit| setting(SettingId::MaxConcurrentStreams, limit)),
        2 => (0..8_u32).prop_map(Received::Ping),
        1 => (0..10_u32, 0..4_u32).prop_map(|(last, status)| Received::GoAway(GoAway {
            last_good: StreamId::new(last),
            status: GoAwayStatus::new(status),
        })),
        1 => Just(Received::Ignored { kind: 99, len: 3 }),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let stream = || 0..5_usize;
    let len = || prop_oneof![0..300_usize, 1000..70_000_usize];
    prop_oneof![
        20 => frame().prop_map(Op::Frame),
        12 => (0..10_u32, len(), prop::bool::weighted(0.2), 100..40_000_usize)
            .prop_map(|(stream, len, fin, split)| Op::Data { stream, len, fin, split }),
        5 => any::<bool>().prop_map(|fin| Op::Open { fin }),
        5 => Just(Op::Accept),
        4 => stream().prop_map(|stream| Op::Reply { stream }),
        5 => (stream(), len()).prop_map(|(stream, len)| Op::Write { stream, len }),
        1 => stream().prop_map(|stream| Op::Headers { stream }),
        2 => stream().prop_map(|stream| Op::Finish { stream }),
        5 => stream().prop_map(|stream| Op::Read { stream }),
        1 => stream().prop_map(|stream| Op::Reset { stream }),
        1 => stream().prop_map(|stream| Op::DropSend { stream }),
        1 => stream().prop_map(|stream| Op::DropRecv { stream }),
        8 => (1..20_usize).prop_map(|frames| Op::Send { frames }),
        2 => (1..3000_u64).prop_map(|millis| Op::Pass { millis }),
        1 => Just(Op::Ping),
        1 => Just(Op::Shutdown),
        1 => Just(Op::Eof),
    ]
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
