//! What a SPDY frame is: values without behaviour.
//!
//! The same types go in and out. What arrives differs from what is sent in two places only: a received header
//! block may be faulty ([`Received`]), and a received DATA frame comes in pieces ([`DataPiece`]), because SPDY
//! has 24-bit lengths and no way to announce a smaller limit.

mod settings;
mod status;
mod stream_id;

use std::fmt;

use bytes::Bytes;

pub use self::settings::{Setting, SettingId, Settings};
pub use self::status::{GoAwayStatus, ResetStatus};
pub use self::stream_id::{Role, StreamId};

use crate::headers::{BlockError, HeaderBlock};

/// The protocol version of a session.
///
/// SPDY/3.1 and SPDY/3 both carry 3 in the version field of a frame; only the negotiated name tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// SPDY/3.1: header names with a colon, stream and connection flow control.
    #[default]
    Spdy31,
}

impl Version {
    /// The number in the version field of control frames.
    #[must_use]
    pub const fn wire(self) -> u16 {
        match self {
            Self::Spdy31 => 3,
        }
    }

    /// The name in ALPN and NPN.
    #[must_use]
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Spdy31 => b"spdy/3.1",
        }
    }
}

/// The bytes in front of every payload.
pub const FRAME_HEADER_LEN: usize = 8;

/// The largest Length of a frame, 2^24-1 bytes.
pub const MAX_FRAME_LEN: u32 = 0x00ff_ffff;

/// The initial window of streams and of the connection, in bytes (section 2.6.8).
pub const DEFAULT_WINDOW: u32 = 65_536;

/// The largest window, 2^31-1 bytes (section 2.6.8).
pub const MAX_WINDOW: u32 = 0x7fff_ffff;

/// A stream priority: 0 is the highest, 7 the lowest (section 2.3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// The highest priority, 0.
    pub const HIGHEST: Self = Self(0);
    /// The lowest priority, 7.
    pub const LOWEST: Self = Self(7);

    /// The priority with this number; numbers above 7 become 7.
    #[must_use]
    pub const fn new(priority: u8) -> Self {
        if priority > 7 {
            Self(7)
        } else {
            Self(priority)
        }
    }

    /// The number, 0 to 7.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// SYN_STREAM: creates a stream (section 2.6.1). `B` is the header block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynStream<B = HeaderBlock> {
    /// The new stream.
    pub id: StreamId,
    /// The stream that this one belongs to (a push, or a sub-stream of a raw peer).
    pub associated: Option<StreamId>,
    /// Its priority.
    pub priority: Priority,
    /// FLAG_FIN: the creator sends nothing more.
    pub fin: bool,
    /// FLAG_UNIDIRECTIONAL: the recipient sends nothing.
    pub unidirectional: bool,
    /// The headers.
    pub block: B,
}

/// SYN_REPLY (section 2.6.2) or HEADERS (section 2.6.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFrame<B = HeaderBlock> {
    /// The stream.
    pub id: StreamId,
    /// FLAG_FIN: the sender sends nothing more on the stream.
    pub fin: bool,
    /// The headers.
    pub block: B,
}

/// RST_STREAM (section 2.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RstStream {
    /// The stream.
    pub id: StreamId,
    /// Why.
    pub status: ResetStatus,
}

/// GOAWAY (section 2.6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// The last stream of the receiver that the sender took on; `None` is 0 on the wire: none was.
    pub last_good: Option<StreamId>,
    /// Why.
    pub status: GoAwayStatus,
}

/// WINDOW_UPDATE (section 2.6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowUpdate {
    /// The stream, or `None` for the connection (0 on the wire).
    pub id: Option<StreamId>,
    /// How many bytes more the receiver of this frame may send; 1 to 2^31-1 (a received 0 is passed on: the
    /// session judges it).
    pub delta: u32,
}

impl fmt::Display for GoAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last_good = self.last_good.map_or(0, StreamId::get);
        write!(f, "GOAWAY last_good={last_good} status={}", self.status)
    }
}

impl fmt::Display for WindowUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "WINDOW_UPDATE id={} delta={}",
            self.id.map_or(0, StreamId::get),
            self.delta
        )
    }
}

/// A DATA frame to send; never empty without FIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The stream.
    pub id: StreamId,
    /// FLAG_FIN.
    pub fin: bool,
    /// At most [`MAX_FRAME_LEN`] bytes.
    pub payload: Bytes,
}

/// A part of a received DATA frame.
///
/// A frame yields one or more pieces in order; only the first has `frame_len`, only the last has `last`. An empty
/// frame is one empty piece with both. No piece but such a one is empty, except that a first piece may be empty
/// when no payload has arrived behind the frame header yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPiece {
    /// The stream; `None` is stream 0, which the session rejects.
    pub id: Option<StreamId>,
    /// The Length of the frame, on its first piece.
    pub frame_len: Option<u32>,
    /// Whether the frame ends here.
    pub last: bool,
    /// FLAG_FIN; set on the last piece only.
    pub fin: bool,
    /// The bytes.
    pub payload: Bytes,
}

/// A frame to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// SYN_STREAM.
    SynStream(SynStream),
    /// SYN_REPLY.
    SynReply(HeaderFrame),
    /// RST_STREAM.
    RstStream(RstStream),
    /// SETTINGS.
    Settings(Settings),
    /// PING with its id.
    Ping(u32),
    /// GOAWAY.
    GoAway(GoAway),
    /// HEADERS.
    Headers(HeaderFrame),
    /// WINDOW_UPDATE.
    WindowUpdate(WindowUpdate),
    /// DATA.
    Data(Data),
}

/// A received header block: faulty content is an error of its stream, not of the session, because the
/// compression context stays in step.
pub type ReceivedBlock = Result<HeaderBlock, BlockError>;

/// A frame, or a piece of a DATA frame, as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// SYN_STREAM.
    SynStream(SynStream<ReceivedBlock>),
    /// SYN_REPLY.
    SynReply(HeaderFrame<ReceivedBlock>),
    /// RST_STREAM.
    RstStream(RstStream),
    /// SETTINGS.
    Settings(Settings),
    /// PING with its id.
    Ping(u32),
    /// GOAWAY.
    GoAway(GoAway),
    /// HEADERS.
    Headers(HeaderFrame<ReceivedBlock>),
    /// WINDOW_UPDATE.
    WindowUpdate(WindowUpdate),
    /// A piece of DATA.
    Data(DataPiece),
    /// A control frame of an unknown type, which was skipped (sections 2.2.1 and U-09): it counts as work.
    Ignored {
        /// The type field.
        kind: u16,
        /// The Length.
        len: u32,
    },
}
