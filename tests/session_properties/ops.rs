//! What happens to two sessions: the options and the operations.

use spdy::frame::Role;
use spdy::{Config, FlowControl};

use super::draw::Draw;

/// How many bytes options or an operation are drawn from: what changes in one of a list leaves the others alone.
pub(crate) const SETUP_BYTES: usize = 10;
pub(crate) const OP_BYTES: usize = 8;

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

    pub(crate) fn draw(draw: &mut Draw<'_>) -> Self {
        let mode = draw.weighted(&[6, 1, 1]);
        let windows = [3000, 20_000, 65_536, 150_000];
        let mut streams = || match draw.weighted(&[1, 1, 1]) {
            0 => 0,
            1 => 1 + draw.below_u32(3),
            _ => 100,
        };
        Self {
            mode: [Mode::Spec, Mode::Lenient, Mode::Off][mode],
            max_streams: [streams(), streams()],
            stream_windows: [draw.pick(&windows), draw.pick(&windows)],
            split: draw.pick(&[usize::MAX, 100]),
            hold: draw.flag(),
            early_goaway: draw.flag(),
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

impl Op {
    pub(crate) fn draw(draw: &mut Draw<'_>) -> Self {
        let weights = [6, 6, 6, 3, 10, 2, 3, 8, 1, 1, 1, 1, 1, 14, 14, 1, 1];
        let kind = draw.weighted(&weights);
        let side = draw.below(2);
        let mut stream = || draw.below(6);
        match kind {
            0 => Self::Open {
                side,
                priority: draw.byte() % 8,
                fin: draw.chance(20),
                unidirectional: draw.chance(10),
            },
            1 => Self::Accept { side },
            2 => Self::Reply {
                side,
                stream: stream(),
                fin: draw.chance(20),
            },
            3 => Self::TakeReply {
                side,
                stream: stream(),
            },
            4 => Self::Write {
                side,
                stream: stream(),
                len: if draw.flag() {
                    10_000 + draw.below(60_000)
                } else {
                    1 + draw.below(1999)
                },
            },
            5 => Self::Headers {
                side,
                stream: stream(),
                fin: draw.flag(),
            },
            6 => Self::Finish {
                side,
                stream: stream(),
            },
            7 => Self::Read {
                side,
                stream: stream(),
                max: if draw.flag() {
                    usize::MAX
                } else {
                    1 + draw.below(2999)
                },
            },
            8 => Self::Reset {
                side,
                stream: stream(),
            },
            9 => Self::DropSend {
                side,
                stream: stream(),
            },
            10 => Self::DropRecv {
                side,
                stream: stream(),
            },
            11 => Self::Ping { side },
            12 => Self::Limit {
                side,
                streams: draw.below_u32(5),
            },
            13 => Self::Emit {
                side,
                frames: 1 + draw.below(11),
            },
            14 => Self::Deliver {
                side,
                frames: 1 + draw.below(11),
            },
            15 => Self::Pass {
                millis: 1 + draw.below(1999) as u64,
            },
            _ => Self::Shutdown { side },
        }
    }
}
