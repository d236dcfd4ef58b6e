use bytes::{BufMut, Bytes, BytesMut};

use super::OutBuf;
use super::wire::{self, Type};
use crate::frame::{
    FRAME_HEADER_LEN, Frame, MAX_FRAME_LEN, MAX_WINDOW, Settings, StreamId, Version,
};
use crate::headers::{Deflater, HeaderBlock, HeaderCompression};

/// Frames to bytes; owns the compression context of the sending direction.
///
/// Frames have to reach the peer in the order in which they were encoded: each block is compressed against those
/// before it.
#[derive(Debug)]
pub struct Encoder {
    version: Version,
    deflater: Deflater,
}

impl Encoder {
    /// An encoder for one connection.
    #[must_use]
    pub fn new(version: Version, compression: HeaderCompression) -> Self {
        Self {
            version,
            deflater: Deflater::new(version, compression),
        }
    }

    /// Appends `frame` to `out`.
    ///
    /// This cannot fail: a [`HeaderBlock`] always fits a frame. DATA larger than
    /// [`MAX_FRAME_LEN`] becomes several frames; empty DATA without FIN, which has no meaning and wedges some peers, is
    /// left out.
    pub fn encode(&mut self, frame: &Frame, out: &mut OutBuf) {
        match frame {
            Frame::Data(data) => put_data(data.id, data.fin, &data.payload, out),
            Frame::SynStream(syn) => {
                let flags = wire::flag(wire::FLAG_FIN, syn.fin)
                    | wire::flag(wire::FLAG_UNIDIRECTIONAL, syn.unidirectional);
                let start = self.open(Type::SynStream, flags, 0, out.staged());
                out.staged().put_u32(syn.id.get());
                out.staged()
                    .put_u32(syn.associated.map_or(0, StreamId::get));
                // The priority is in the upper three bits; the slot behind it belongs to CREDENTIAL (section 2.6.1).
                out.staged().put_slice(&[syn.priority.get() << 5, 0]);
                self.put_block(start, &syn.block, out.staged());
            }
            Frame::SynReply(reply) => {
                let start = self.open(
                    Type::SynReply,
                    wire::flag(wire::FLAG_FIN, reply.fin),
                    0,
                    out.staged(),
                );
                out.staged().put_u32(reply.id.get());
                self.put_block(start, &reply.block, out.staged());
            }
            Frame::Headers(headers) => {
                let start = self.open(
                    Type::Headers,
                    wire::flag(wire::FLAG_FIN, headers.fin),
                    0,
                    out.staged(),
                );
                out.staged().put_u32(headers.id.get());
                self.put_block(start, &headers.block, out.staged());
            }
            Frame::RstStream(rst) => {
                self.put_words(
                    Type::RstStream,
                    [rst.id.get(), rst.status.code()],
                    out.staged(),
                );
            }
            Frame::Settings(settings) => self.put_settings(settings, out.staged()),
            Frame::Ping(id) => self.put_words(Type::Ping, [*id], out.staged()),
            Frame::GoAway(go_away) => {
                let last_good = go_away.last_good.map_or(0, StreamId::get);
                self.put_words(
                    Type::GoAway,
                    [last_good, go_away.status.code()],
                    out.staged(),
                );
            }
            Frame::WindowUpdate(update) => {
                debug_assert!(
                    (1..=MAX_WINDOW).contains(&update.delta),
                    "window delta out of range"
                );
                let id = update.id.map_or(0, StreamId::get);
                self.put_words(
                    Type::WindowUpdate,
                    [id, update.delta & MAX_WINDOW],
                    out.staged(),
                );
            }
        }
    }

    /// Starts a control frame and returns where.
    fn open(&self, kind: Type, flags: u8, len: u32, out: &mut BytesMut) -> usize {
        let start = out.len();
        let first = 1 << 31 | u32::from(self.version.wire()) << 16 | u32::from(kind as u16);
        // One write for both words.
        let header = u64::from(first) << 32 | u64::from(flags) << 24 | u64::from(len);
        out.put_u64(header);
        start
    }

    fn put_words<const N: usize>(&self, kind: Type, words: [u32; N], out: &mut BytesMut) {
        let len = kind.fixed_len();
        debug_assert_eq!(usize::try_from(len), Ok(N * 4));
        self.open(kind, 0, len, out);
        for word in words {
            out.put_u32(word);
        }
    }

    fn put_settings(&self, settings: &Settings, out: &mut BytesMut) {
        let count = u32::try_from(settings.len()).unwrap_or_default();
        let flags = wire::flag(wire::FLAG_CLEAR_SETTINGS, settings.clear);
        self.open(Type::Settings, flags, 4 + 8 * count, out);
        out.put_u32(count);
        for (id, setting) in settings.iter() {
            let flags = wire::flag(wire::SETTING_PERSIST, setting.persist)
                | wire::flag(wire::SETTING_PERSISTED, setting.persisted);
            out.put_u32(u32::from(flags) << 24 | id as u32);
            out.put_u32(setting.value);
        }
    }

    /// Ends the frame begun at `start` with a header block, and fills in its Length.
    fn put_block(&mut self, start: usize, block: &HeaderBlock, out: &mut BytesMut) {
        self.deflater.encode(block, out);
        let len = u32::try_from(out.len() - start - FRAME_HEADER_LEN).unwrap_or(u32::MAX);
        debug_assert!(len <= MAX_FRAME_LEN, "MAX_BLOCK_LEN is too large");
        let [_, len @ ..] = len.to_be_bytes();
        out[start + 5..start + FRAME_HEADER_LEN].copy_from_slice(&len);
    }
}

fn put_data(id: StreamId, fin: bool, payload: &Bytes, out: &mut OutBuf) {
    debug_assert!(fin || !payload.is_empty(), "empty DATA without FIN");
    if payload.is_empty() && !fin {
        return;
    }
    let max = usize::try_from(MAX_FRAME_LEN).unwrap_or(usize::MAX);
    if payload.len() <= max {
        put_data_frame(id, fin, payload, out);
        return;
    }
    let mut payload = payload.clone();
    while payload.len() > max {
        put_data_frame(id, false, &payload.split_to(max), out);
    }
    put_data_frame(id, fin, &payload, out);
}

fn put_data_frame(id: StreamId, fin: bool, payload: &Bytes, out: &mut OutBuf) {
    let len = u64::try_from(payload.len()).unwrap_or_default();
    let header = u64::from(id.get()) << 32 | u64::from(wire::flag(wire::FLAG_FIN, fin)) << 24 | len;
    out.staged().put_u64(header);
    out.put_payload(payload);
}
