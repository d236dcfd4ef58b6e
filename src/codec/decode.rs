use bytes::{Buf, Bytes, BytesMut};

use super::parts::{BlockHead, put_setting, stream_id};
use super::wire::{self, Type};
use super::{DecodeError, preface};
use crate::frame::{
    DataPiece, FRAME_HEADER_LEN, GoAway, GoAwayStatus, MAX_FRAME_LEN, Priority, Received,
    ResetStatus, RstStream, Settings, StreamId, Version, WindowUpdate,
};
use crate::headers::{BlockLimits, HeaderBlock, Inflater};

/// Every receiver has to accept control frames of this size (SPDY/3.1 section 2.2.1). Whether that includes the
/// frame header is open; the Length alone is meant here.
const MIN_CONTROL_FRAME_SIZE: u32 = 8192;

/// Past this multiple of the limit the Length of a frame with a header block ends the session at once.
const ABUSE: u32 = 4;

const STREAM_MASK: u32 = 0x7fff_ffff;

/// What a received frame may cost. Take the [default](Self::default), and set what is to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecoderLimits {
    /// The limits of header blocks.
    pub block: BlockLimits,
    /// The largest Length of SYN_STREAM, SYN_REPLY, HEADERS and SETTINGS, in bytes; at least 8192 is used. Default
    /// 64 KiB. The block of a larger frame is [`BlockError::TooLarge`](crate::headers::BlockError), and past four
    /// times the limit the session ends; a larger SETTINGS ends it at once.
    pub max_control_frame_size: u32,
}

impl Default for DecoderLimits {
    fn default() -> Self {
        Self {
            block: BlockLimits::default(),
            max_control_frame_size: 64 << 10,
        }
    }
}

/// Bytes to frames; owns the compression context of the receiving direction.
///
/// Works on whatever has arrived: it takes bytes from the front of the buffer, keeps at most the fixed part of one
/// frame (18 bytes) there, and never waits for a whole frame. One call never does more work than the bytes in the
/// buffer and the limits of one header block allow.
#[derive(Debug)]
pub struct Decoder {
    version: Version,
    max_control: u32,
    inflater: Inflater,
    state: State,
    /// Nothing was decoded yet: another protocol may be recognised.
    first: bool,
    failed: Option<DecodeError>,
}

/// What the next byte belongs to. `left` is what the current frame still lacks.
#[derive(Debug)]
enum State {
    /// A frame header.
    Header,
    /// The compressed block of a frame whose fixed part is `head`.
    Block { head: BlockHead, left: u32 },
    /// The entries of SETTINGS.
    Settings { settings: Settings, left: u32 },
    /// The payload of DATA, whose first piece is out.
    Data {
        id: Option<StreamId>,
        fin: bool,
        left: u32,
    },
    /// A frame of an unknown type.
    Skip { kind: u16, len: u32, left: u32 },
}

/// What became of a step.
enum Step {
    /// A frame, or a piece of one.
    Done(Received),
    /// The state changed; the next step may succeed.
    Again,
    /// More bytes are needed.
    Starved,
}

type StepResult = Result<Step, DecodeError>;

/// The common header of a control frame (section 2.2.1).
#[derive(Clone, Copy)]
struct Control {
    kind: Type,
    flags: u8,
    len: u32,
}

impl Decoder {
    /// A decoder for one connection.
    #[must_use]
    pub fn new(version: Version, limits: DecoderLimits) -> Self {
        Self {
            version,
            max_control: limits
                .max_control_frame_size
                .clamp(MIN_CONTROL_FRAME_SIZE, MAX_FRAME_LEN),
            inflater: Inflater::new(version, limits.block),
            state: State::Header,
            first: true,
            failed: None,
        }
    }

    /// Takes the next frame, or the next piece of DATA, from the front of `buf`. `None`: more bytes are needed.
    ///
    /// Payloads are slices of `buf`.
    ///
    /// # Errors
    ///
    /// Once the peer's bytes cannot be followed any more; the same error is returned from then on.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Received>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            match self.step(buf) {
                Ok(Step::Done(frame)) => return Ok(Some(frame)),
                Ok(Step::Again) => {}
                Ok(Step::Starved) => return Ok(None),
                Err(error) => {
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Whether no frame is under way beyond what is still in the buffer: if the buffer is empty too, the transport may
    /// end here without cutting a frame.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        matches!(self.state, State::Header)
    }

    /// The frame whose header block is under way: what an error in there belongs to.
    #[allow(dead_code, reason = "used by the driver above the core")]
    pub(crate) fn block_under_way(&self) -> Option<(&'static str, StreamId)> {
        match &self.state {
            State::Block { head, .. } => Some(head.name()),
            _ => None,
        }
    }

    fn step(&mut self, buf: &mut BytesMut) -> StepResult {
        match &mut self.state {
            State::Header => self.header(buf),
            State::Block { head, left } => {
                let take = available(*left, buf);
                self.inflater.push(&buf[..take])?;
                buf.advance(take);
                if !used(left, take) {
                    return Ok(Step::Starved);
                }
                let frame = head.with(self.inflater.finish());
                Ok(self.done(frame))
            }
            State::Settings { settings, left } => {
                while *left > 0 {
                    let Some((entry, _)) = buf.split_first_chunk::<8>() else {
                        return Ok(Step::Starved);
                    };
                    put_setting(settings, *entry);
                    buf.advance(8);
                    *left = left.saturating_sub(8);
                }
                let settings = *settings;
                Ok(self.done(Received::Settings(settings)))
            }
            State::Data { id, fin, left } => {
                let take = available(*left, buf);
                if take == 0 {
                    return Ok(Step::Starved);
                }
                let last = used(left, take);
                let piece = DataPiece {
                    id: *id,
                    frame_len: None,
                    last,
                    fin: last && *fin,
                    payload: buf.split_to(take).freeze(),
                };
                if last {
                    self.state = State::Header;
                }
                Ok(Step::Done(Received::Data(piece)))
            }
            State::Skip { kind, len, left } => {
                let take = available(*left, buf);
                buf.advance(take);
                if !used(left, take) {
                    return Ok(Step::Starved);
                }
                let frame = Received::Ignored {
                    kind: *kind,
                    len: *len,
                };
                Ok(self.done(frame))
            }
        }
    }

    fn done(&mut self, frame: Received) -> Step {
        self.state = State::Header;
        Step::Done(frame)
    }

    fn header(&mut self, buf: &mut BytesMut) -> StepResult {
        if self.first {
            if let Some(says) = preface::recognise(buf) {
                return Err(DecodeError::protocol(says));
            }
        }
        let Some(header) = buf.first_chunk::<FRAME_HEADER_LEN>() else {
            return Ok(Step::Starved);
        };
        self.first = false;
        let header = u64::from_be_bytes(*header);
        let [_, _, _, _, flags, ..] = header.to_be_bytes();
        let len = low_word(header) & MAX_FRAME_LEN;
        let word = low_word(header >> 32);
        if word & !STREAM_MASK == 0 {
            return Ok(self.data(StreamId::new(word), flags, len, buf));
        }

        let [_, _, kind @ ..] = word.to_be_bytes();
        let kind = u16::from_be_bytes(kind);
        let version = word >> 16 & 0x7fff;
        if version != u32::from(self.version.wire()) {
            // Every control frame, not only SYN_STREAM: the block of another version, primed with another dictionary,
            // would cost us the compression context (U-10).
            return Err(DecodeError::protocol(format!(
                "control frame of SPDY version {version}"
            )));
        }
        match Type::from_wire(kind) {
            Some(kind) => self.control(Control { kind, flags, len }, buf),
            None => {
                buf.advance(FRAME_HEADER_LEN);
                self.state = State::Skip {
                    kind,
                    len,
                    left: len,
                };
                Ok(Step::Again)
            }
        }
    }

    /// The first piece of DATA (section 2.2.2). Undefined flags are ignored. That includes 0x02, which meant
    /// compressed data in an early draft: U-28 prefers to reset the stream, but netty and spdylay ignore the
    /// bit, and no implementation ever set it.
    fn data(&mut self, id: Option<StreamId>, flags: u8, len: u32, buf: &mut BytesMut) -> Step {
        buf.advance(FRAME_HEADER_LEN);
        let fin = flags & wire::FLAG_FIN != 0;
        let take = available(len, buf);
        let mut left = len;
        let last = used(&mut left, take);
        if !last {
            self.state = State::Data { id, fin, left };
        }
        Step::Done(Received::Data(DataPiece {
            id,
            frame_len: Some(len),
            last,
            fin: last && fin,
            payload: if take == 0 {
                Bytes::new()
            } else {
                buf.split_to(take).freeze()
            },
        }))
    }

    fn control(&mut self, frame: Control, buf: &mut BytesMut) -> StepResult {
        let Control { kind, len, .. } = frame;
        let fixed = kind.fixed_len();
        // U-05. A wrong Length is an error of the session: the next frame would be read from the wrong place.
        if len < fixed || (len > fixed && !kind.is_variable()) {
            return Err(DecodeError::protocol(format!(
                "{} of Length {len}",
                kind.name()
            )));
        }
        // The fixed parts differ in length: at most 18 bytes with the header.
        let mut fields = [0; 10];
        let end = FRAME_HEADER_LEN + usize::try_from(fixed).unwrap_or(usize::MAX);
        let Some(source) = buf.get(FRAME_HEADER_LEN..end) else {
            return Ok(Step::Starved);
        };
        for (field, byte) in fields.iter_mut().zip(source) {
            *field = *byte;
        }
        buf.advance(end);
        self.fixed(frame, fields, len - fixed)
    }

    /// A control frame whose fixed part, zero-padded, is `fields` and which goes on with `rest` bytes.
    fn fixed(&mut self, frame: Control, fields: [u8; 10], rest: u32) -> StepResult {
        let Control { kind, flags, .. } = frame;
        let [a, b, c, d, e, f, g, h, priority, _] = fields;
        let first = u32::from_be_bytes([a, b, c, d]);
        let second = u32::from_be_bytes([e, f, g, h]);
        let fin = flags & wire::FLAG_FIN != 0;
        let received = match kind {
            Type::SynStream => {
                let head = BlockHead::SynStream {
                    id: stream_id(kind, first)?,
                    associated: StreamId::new(second),
                    priority: Priority::new(priority >> 5),
                    fin,
                    unidirectional: flags & wire::FLAG_UNIDIRECTIONAL != 0,
                };
                return self.block(frame, head, rest);
            }
            Type::SynReply => {
                let id = stream_id(kind, first)?;
                return self.block(frame, BlockHead::SynReply { id, fin }, rest);
            }
            Type::Headers => {
                let id = stream_id(kind, first)?;
                return self.block(frame, BlockHead::Headers { id, fin }, rest);
            }
            Type::Settings => return self.settings(frame, first, rest),
            Type::RstStream => Received::RstStream(RstStream {
                id: stream_id(kind, first)?,
                // Status 0 is illegal, but the stream is over either way (U-06).
                status: ResetStatus::new(second),
            }),
            Type::Ping => Received::Ping(first),
            Type::GoAway => Received::GoAway(GoAway {
                last_good: StreamId::new(first),
                status: GoAwayStatus::new(second),
            }),
            Type::WindowUpdate => Received::WindowUpdate(WindowUpdate {
                id: StreamId::new(first),
                delta: second & STREAM_MASK,
            }),
        };
        Ok(Step::Done(received))
    }

    /// Section 2.6.4. The count is redundant; one that contradicts the Length is an error before anything is made
    /// of it (U-36).
    fn settings(&mut self, frame: Control, count: u32, rest: u32) -> StepResult {
        if frame.len > self.max_control {
            return Err(DecodeError::protocol(format!(
                "SETTINGS of Length {}",
                frame.len
            )));
        }
        if rest % 8 != 0 || count != rest / 8 {
            return Err(DecodeError::protocol(
                "SETTINGS whose count contradicts its Length",
            ));
        }
        let mut settings = Settings::new();
        settings.clear = frame.flags & wire::FLAG_CLEAR_SETTINGS != 0;
        self.state = State::Settings {
            settings,
            left: rest,
        };
        Ok(Step::Again)
    }

    fn block(&mut self, frame: Control, head: BlockHead, rest: u32) -> StepResult {
        if rest == 0 {
            // Illegal by the letter, as the count alone takes some bytes, but netty sends it for "no headers"
            // (U-32). It bypasses zlib.
            return Ok(Step::Done(head.with(Ok(HeaderBlock::empty()))));
        }
        if frame.len > self.max_control {
            if frame.len > self.max_control.saturating_mul(ABUSE) {
                let name = frame.kind.name();
                return Err(DecodeError::protocol(format!(
                    "{name} of Length {}",
                    frame.len
                )));
            }
            self.inflater.drop_output();
        }
        self.state = State::Block { head, left: rest };
        Ok(Step::Again)
    }
}

/// The lower half.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the upper half is dropped on purpose"
)]
const fn low_word(word: u64) -> u32 {
    word as u32
}

/// How many of the `left` bytes of a frame are in `buf`.
fn available(left: u32, buf: &BytesMut) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(buf.len())
}

/// Counts `n` bytes of a frame as used; true if none is left.
fn used(left: &mut u32, n: usize) -> bool {
    *left = left.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
    *left == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_block_under_way_belongs_to_its_frame() {
        let mut decoder = Decoder::new(Version::Spdy31, DecoderLimits::default());
        assert_eq!(decoder.block_under_way(), None);
        let head = [0x80, 3, 0, 8, 0, 0, 0, 20, 0, 0, 0, 5];
        let mut bytes = BytesMut::from(&head[..]);
        assert!(decoder.decode(&mut bytes).unwrap().is_none());
        let id = StreamId::new(5).unwrap();
        assert_eq!(decoder.block_under_way(), Some(("HEADERS", id)));
    }
}
