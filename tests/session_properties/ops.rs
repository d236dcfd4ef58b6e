//! What happens to two sessions: the options and the operations.

use proptest::prelude::*;
use spdy::frame::Role;
use spdy::{Config, FlowControl};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Spec,
    Lenient,
    Off,
}

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) mode: Mode,
    pub(crate) stream_windows: [u32; 2],
    pub(crate) max_streams: [u32; 2],
    pub(crate) split: usize,
    pub(crate) hold: bool,
    pub(crate) early_goaway: bool,
}

impl Setup {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            stream_windows: [65_536; 2],
            max_streams: [100; 2],
            split: usize::MAX,
            hold: false,
            early_goaway: true,
        }
    }

    pub(crate) fn config(&self, role: Role) -> Config {
        let side = role as usize;
        Config::for_role(role)
            .flow_control(match self.mode {
                Mode::Spec => FlowControl::Spec,
                Mode::Lenient => FlowControl::Lenient,
                Mode::Off => FlowControl::Off,
            })
            .initial_stream_window_size(self.stream_windows[side])
            .initial_connection_window_size(65_536)
            .max_concurrent_streams(self.max_streams[side])
            .hold_until_peer_speaks(self.hold && role == Role::Server)
            .early_goaway(self.early_goaway)
    }
}

pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    let mode = prop_oneof![6 => Just(Mode::Spec), 1 => Just(Mode::Lenient), 1 => Just(Mode::Off)];
    let window = || prop_oneof![Just(3000_u32), Just(20_000), Just(65_536), Just(150_000)];
    let streams = || prop_oneof![Just(0_u32), 1..4_u32, Just(100)];
    let split = prop_oneof![Just(usize::MAX), Just(100)];
    (
        mode,
        [window(), window()],
        [streams(), streams()],
        split,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(mode, stream_windows, max_streams, split, hold, early_goaway)| Setup {
                mode,
                stream_windows,
                max_streams,
                split,
                hold,
                early_goaway,
            },
        )
}

/// `side` is 0 for the client, 1 for the server; `stream` is taken modulo the number of streams.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open {
        side: usize,
        priority: u8,
        fin: bool,
        unidirectional: bool,
    },
    Accept {
        side: usize,
    },
    Reply {
        side: usize,
        stream: usize,
        fin: bool,
    },
    TakeReply {
        side: usize,
        stream: usize,
    },
    Write {
        side: usize,
        stream: usize,
        len: usize,
    },
    Headers {
        side: usize,
        stream: usize,
        fin: bool,
    },
    Finish {
        side: usize,
        stream: usize,
    },
    Read {
        side: usize,
        stream: usize,
        max: usize,
    },
    Reset {
        side: usize,
        stream: usize,
    },
    DropSend {
        side: usize,
        stream: usize,
    },
    DropRecv {
        side: usize,
        stream: usize,
    },
    Ping {
        side: usize,
    },
    Limit {
        side: usize,
        streams: u32,
    },
    Emit {
        side: usize,
        frames: usize,
    },
    Deliver {
        side: usize,
        frames: usize,
    },
    Pass {
        millis: u64,
    },
    Shutdown {
        side: usize,
    },
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let side = || 0..2_usize;
    let stream = || 0..6_usize;
    let len = prop_oneof![1..2000_usize, 10_000..70_000_usize];
    prop_oneof![
        6 => (side(), 0..8_u8, prop::bool::weighted(0.2), prop::bool::weighted(0.1)).prop_map(
            |(side, priority, fin, unidirectional)| Op::Open { side, priority, fin, unidirectional }
        ),
        6 => side().prop_map(|side| Op::Accept { side }),
        6 => (side(), stream(), prop::bool::weighted(0.2))
            .prop_map(|(side, stream, fin)| Op::Reply { side, stream, fin }),
        3 => (side(), stream()).prop_map(|(side, stream)| Op::TakeReply { side, stream }),
        10 => (side(), stream(), len).prop_map(|(side, stream, len)| Op::Write { side, stream, len }),
        2 => (side(), stream(), any::<bool>())
            .prop_map(|(side, stream, fin)| Op::Headers { side, stream, fin }),
        3 => (side(), stream()).prop_map(|(side, stream)| Op::Finish { side, stream }),
        8 => (side(), stream(), prop_oneof![1..3000_usize, Just(usize::MAX)])
            .prop_map(|(side, stream, max)| Op::Read { side, stream, max }),
        1 => (side(), stream()).prop_map(|(side, stream)| Op::Reset { side, stream }),
        1 => (side(), stream()).prop_map(|(side, stream)| Op::DropSend { side, stream }),
        1 => (side(), stream()).prop_map(|(side, stream)| Op::DropRecv { side, stream }),
        1 => side().prop_map(|side| Op::Ping { side }),
        1 => (side(), 0..5_u32).prop_map(|(side, streams)| Op::Limit { side, streams }),
        14 => (side(), 1..12_usize).prop_map(|(side, frames)| Op::Emit { side, frames }),
        14 => (side(), 1..12_usize).prop_map(|(side, frames)| Op::Deliver { side, frames }),
        1 => (1..2000_u64).prop_map(|millis| Op::Pass { millis }),
        1 => side().prop_map(|side| Op::Shutdown { side }),
    ]
}
