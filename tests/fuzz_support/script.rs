//! What a hostile peer does: bytes, some of them well-formed frames, with cuts and pauses, and an end.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::{Buf, Bytes};
use spdy::HeaderCompression;
use spdy::codec::{Encoder, OutBuf};
use spdy::frame::{Frame, Version};

use super::draw::Draw;
use super::frames;
use super::support::Wire;

/// More would only cost time.
const MOST_BYTES: usize = 200_000;
const MOST_STEPS: usize = 300;

/// What frames are drawn by.
pub(crate) type Frames = fn(&mut Draw<'_>) -> Frame;

/// Makes the bytes of frames, sound and damaged ones.
pub(crate) struct Writer {
    encoder: Encoder,
    frames: Frames,
    written: usize,
}

impl Writer {
    pub(crate) fn new(draw: &mut Draw<'_>) -> Self {
        Self::of(frames::frame, draw)
    }

    fn of(frames: Frames, draw: &mut Draw<'_>) -> Self {
        let compression = match draw.below(3) {
            0 => HeaderCompression::Off,
            1 => HeaderCompression::Level(1),
            _ => HeaderCompression::Level(9),
        };
        Self {
            encoder: Encoder::new(Version::Spdy31, compression),
            frames,
            written: 0,
        }
    }

    fn frame(&mut self, draw: &mut Draw<'_>) -> Vec<u8> {
        let mut out = OutBuf::new();
        self.encoder.encode(&(self.frames)(draw), &mut out);
        out.copy_to_bytes(out.remaining()).to_vec()
    }

    /// The next bytes; none at the end.
    pub(crate) fn next(&mut self, draw: &mut Draw<'_>) -> Option<Bytes> {
        if draw.is_empty() || self.written > MOST_BYTES {
            return None;
        }
        let bytes = match draw.weighted(&[20, 2, 1, 1]) {
            0 => self.frame(draw),
            1 => {
                let mut bytes = self.frame(draw);
                for _ in 0..1 + draw.below(3) {
                    // Mostly in the header and what is behind it.
                    let span = if draw.flag() { 20 } else { bytes.len() };
                    let at = draw.below(span.min(bytes.len()));
                    bytes[at] = draw.byte();
                }
                bytes
            }
            2 => {
                let len = usize::from(draw.byte());
                draw.bytes(len).to_vec()
            }
            _ => {
                // A control frame of any type, whose Length may lie a little.
                let (kind, flags) = (draw.byte() % 16, draw.byte());
                let len = usize::from(draw.byte() % 40);
                let body = draw.bytes(len);
                let len = body
                    .len()
                    .saturating_add_signed(draw.pick(&[0, 0, 0, 1, -1]));
                let len = u8::try_from(len).unwrap();
                [&[0x80, 3, 0, kind, flags, 0, 0, len], body].concat()
            }
        };
        self.written += bytes.len();
        Some(bytes.into())
    }

    pub(crate) fn all(mut self, draw: &mut Draw<'_>) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next(draw) {
            all.extend_from_slice(&bytes);
        }
        all
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Bytes),
    /// Others run for a while.
    Settle,
    Pause(Duration),
    /// Our side reads at most so many bytes at once. Single bytes are for `raw`, whose inputs are short.
    Piece(usize),
    /// Our side can write no more than this ahead of the peer.
    Capacity(usize),
}

/// Lets tasks run, not all to their rest: yielding is what such a target spends most of its time on.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// How the transport ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Eof,
    ReadError,
    /// Nothing can be written any more, then nothing is to be read.
    WriteError,
}

#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    /// Whether to look for missed wakeups before the end.
    pub(crate) rests: bool,
    end: End,
}

impl Script {
    /// Two bytes of options, then bytes of the wire or what steps are drawn from.
    pub(crate) fn draw(draw: &mut Draw<'_>) -> Self {
        Self::of(frames::frame, draw)
    }

    /// As [`draw`](Self::draw), of these frames.
    pub(crate) fn of(frames: Frames, draw: &mut Draw<'_>) -> Self {
        let end = [End::Eof, End::ReadError, End::WriteError][draw.weighted(&[6, 1, 1])];
        let options = draw.byte();
        let steps = if options & 1 != 0 {
            Self::structured(frames, draw)
        } else {
            Self::raw(draw)
        };
        Self {
            steps,
            rests: options & 2 == 0,
            end,
        }
    }

    fn raw(draw: &mut Draw<'_>) -> Vec<Step> {
        let size = draw.pick(&[usize::MAX, 1, 7, 100, 1000]);
        let pause = draw.pick(&[None, Some(0), Some(1), Some(1000)]);
        let mut steps = Vec::new();
        for piece in draw.rest().chunks(size) {
            steps.push(Step::Send(Bytes::copy_from_slice(piece)));
            match pause {
                // Many pauses would cost time.
                Some(0) => steps.push(Step::Settle),
                Some(millis) if steps.len() < MOST_STEPS => {
                    steps.push(Step::Pause(Duration::from_millis(millis)));
                }
                _ => {}
            }
        }
        steps
    }

    fn structured(frames: Frames, draw: &mut Draw<'_>) -> Vec<Step> {
        let mut writer = Writer::of(frames, draw);
        let mut steps = Vec::new();
        while steps.len() < MOST_STEPS && !draw.is_empty() {
            steps.push(match draw.weighted(&[20, 4, 2, 1, 1]) {
                0 => match writer.next(draw) {
                    Some(bytes) => Step::Send(bytes),
                    None => break,
                },
                1 => Step::Settle,
                2 => Step::Pause(Duration::from_millis(draw.pick(&[1, 30, 1000, 20_000]))),
                3 => Step::Piece(draw.pick(&[usize::MAX, 13, 100, 500])),
                _ => Step::Capacity(draw.pick(&[usize::MAX, 0, 50, 1000])),
            });
        }
        steps
    }

    /// Whether output may be lost, so that it may end inside a frame.
    pub(crate) fn hinders_output(&self) -> bool {
        let hinders = |step: &Step| matches!(step, Step::Capacity(_));
        self.end == End::WriteError || self.steps.iter().any(hinders)
    }

    /// Everything the peer sends, in order.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = &Bytes> {
        self.steps.iter().filter_map(|step| match step {
            Step::Send(bytes) => Some(bytes),
            _ => None,
        })
    }

    /// Plays it up to the end of the transport, as far as our side goes along.
    pub(crate) async fn play(&self, wire: &Wire) {
        for step in &self.steps {
            match step {
                Step::Send(bytes) => {
                    if wire.write_all(bytes).await.is_err() {
                        break;
                    }
                }
                Step::Settle => settle().await,
                Step::Pause(time) => tokio::time::sleep(*time).await,
                Step::Piece(bytes) => wire.set_in_piece(*bytes),
                Step::Capacity(bytes) => wire.set_out_capacity(*bytes),
            }
        }
        wire.set_out_capacity(usize::MAX);
    }

    /// The transport ends.
    pub(crate) fn end(&self, wire: &Wire) {
        match self.end {
            End::Eof => {}
            End::ReadError => wire.fail_reads(ErrorKind::ConnectionReset),
            End::WriteError => wire.fail_writes(ErrorKind::BrokenPipe),
        }
        wire.shut_in();
    }
}
