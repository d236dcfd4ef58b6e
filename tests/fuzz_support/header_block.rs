//! Header blocks against zlib as others use it: flate2 with the dictionary of SPDY, and nothing of ours.

use bytes::{Buf, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use spdy::HeaderCompression;
use spdy::codec::{Decoder, DecoderLimits, Encoder, OutBuf};
use spdy::frame::{Frame, HeaderFrame, Received, ReceivedBlock, StreamId, Version};
use spdy::headers::{BlockError, HeaderBlock};

use super::draw::Draw;
use super::frames;

const DICTIONARY: &[u8] = include_bytes!("../../data/spdy3.dict");
/// What precedes the block in HEADERS: the frame header and the stream id.
const HEAD: usize = 12;
const MOST_BLOCKS: usize = 20;

/// The first byte says which way.
pub(crate) fn run(input: &[u8]) {
    let mut draw = Draw::new(input);
    match draw.below(3) {
        0 => ours_to_zlib(&mut draw),
        1 => zlib_to_ours(&mut draw),
        _ => bytes_to_both(&mut draw),
    }
}

/// Blocks through our encoder, read back by zlib and by our decoder.
fn ours_to_zlib(draw: &mut Draw<'_>) {
    let compression = match draw.below(3) {
        0 => HeaderCompression::Off,
        1 => HeaderCompression::Level(1),
        _ => HeaderCompression::Level(draw.below_u32(12)),
    };
    let mut encoder = Encoder::new(Version::Spdy31, compression);
    let mut reference = Reference::new();
    let mut both = Decoder::new(Version::Spdy31, DecoderLimits::default());
    for _ in 0..MOST_BLOCKS {
        let block = frames::block(draw);
        let frame = Frame::Headers(HeaderFrame {
            id: StreamId::new(1).unwrap(),
            fin: draw.flag(),
            block: block.clone(),
        });
        let mut out = OutBuf::new();
        encoder.encode(&frame, &mut out);
        let bytes = out.copy_to_bytes(out.remaining());
        let plain = reference.inflate(&bytes[HEAD..]).expect("zlib reads it");
        assert_eq!(plain, block.plain()[..]);
        // Limits may refuse it, or end the session.
        let limits = DecoderLimits::default().block;
        match block_of(&mut both, &bytes) {
            Ok(received) => assert_eq!(
                received,
                HeaderBlock::parse(Version::Spdy31, block.plain().clone(), &limits)
            ),
            Err(_) => {
                let most = 4 * (limits.max_list_size + 4);
                assert!(plain.len() > most || bytes.len() > 256 << 10);
                return;
            }
        }
        if draw.is_empty() {
            return;
        }
    }
}

/// Any plain bytes, compressed by zlib in any way and perhaps damaged.
fn zlib_to_ours(draw: &mut Draw<'_>) {
    let (level, window) = (draw.below_u32(10), 9 + draw.byte() % 7);
    let mut zlib = Compress::new_with_window_bits(Compression::new(level), true, window);
    zlib.set_dictionary(DICTIONARY).unwrap();
    let mut pair = Pair::new(draw);
    for _ in 0..MOST_BLOCKS {
        let plain = match draw.weighted(&[4, 1, 1]) {
            0 => frames::block(draw).plain().to_vec(),
            1 => {
                let len = usize::from(draw.byte());
                draw.bytes(len).to_vec()
            }
            _ => vec![draw.byte(); draw.below(80_000)],
        };
        let flush = match draw.weighted(&[6, 2, 1, 1]) {
            0 => FlushCompress::Sync,
            1 => FlushCompress::Partial,
            2 => FlushCompress::Full,
            _ => FlushCompress::None,
        };
        let mut bytes = Vec::with_capacity(plain.len() + 1000);
        zlib.compress_vec(&plain, &mut bytes, flush).unwrap();
        if draw.chance(10) && !bytes.is_empty() {
            let at = draw.below(bytes.len());
            bytes[at] = draw.byte();
        }
        if draw.chance(5) {
            bytes.truncate(draw.below(bytes.len() + 1));
        }
        if !pair.agree(&bytes) || draw.is_empty() {
            return;
        }
    }
}

/// Any compressed bytes; the header of the zlib stream comes with them or not.
fn bytes_to_both(draw: &mut Draw<'_>) {
    let mut pair = Pair::new(draw);
    let head: &[u8] = draw.pick(&[&[0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2][..], &[][..]]);
    if !head.is_empty() && !pair.agree(head) {
        return;
    }
    for _ in 0..MOST_BLOCKS {
        let len = 1 + usize::from(draw.byte());
        let bytes = draw.bytes(len);
        if bytes.is_empty() || !pair.agree(bytes) {
            return;
        }
    }
}

/// zlib as it comes.
struct Reference {
    zlib: Decompress,
}

impl Reference {
    fn new() -> Self {
        Self {
            zlib: Decompress::new(true),
        }
    }

    /// All that zlib makes of these bytes; `None`: it fails, or its stream ends.
    fn inflate(&mut self, mut input: &[u8]) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        loop {
            plain.reserve(64 << 10);
            let (start, len) = (self.zlib.total_in(), plain.len());
            let result = self
                .zlib
                .decompress_vec(input, &mut plain, FlushDecompress::Sync);
            let taken = usize::try_from(self.zlib.total_in() - start).unwrap();
            input = &input[taken..];
            match result {
                Ok(Status::StreamEnd) => return None,
                Ok(_) if input.is_empty() && plain.len() < plain.capacity() => return Some(plain),
                Ok(_) => assert!(taken > 0 || plain.len() > len, "zlib is stuck"),
                Err(error) if error.needs_dictionary().is_some() => {
                    self.zlib.set_dictionary(DICTIONARY).ok()?;
                }
                Err(_) => return None,
            }
        }
    }
}

/// Our decoder and zlib, fed with the same blocks.
struct Pair {
    reference: Reference,
    ours: Decoder,
    limits: DecoderLimits,
    /// All compressed bytes so far begin a stream with a dictionary.
    fed: Vec<u8>,
}

impl Pair {
    fn new(draw: &mut Draw<'_>) -> Self {
        let mut limits = DecoderLimits::default();
        if draw.flag() {
            limits.block.max_list_size = draw.below(400);
        }
        Self {
            reference: Reference::new(),
            ours: Decoder::new(Version::Spdy31, limits),
            limits,
            fed: Vec::new(),
        }
    }

    /// Both take the block, and make the same of it; false if both fail.
    fn agree(&mut self, block: &[u8]) -> bool {
        if block.is_empty() {
            // No block: our decoder keeps it from zlib.
            return true;
        }
        let len = u32::try_from(block.len() + 4).unwrap();
        let frame = [
            &[0x80, 3, 0, 8][..],
            &len.to_be_bytes(),
            &[0, 0, 0, 1],
            block,
        ]
        .concat();
        let ours = block_of(&mut self.ours, &frame);
        let plain = self.reference.inflate(block);
        self.fed.extend_from_slice(&block[..block.len().min(2)]);
        let list = self.limits.block.max_list_size + 4;
        match (ours, plain) {
            (Ok(ours), Some(plain)) => {
                assert!(plain.len() <= 4 * list, "abuse was not seen");
                let expected = if plain.len() > list || len > self.limits.max_control_frame_size {
                    Err(BlockError::TooLarge)
                } else {
                    HeaderBlock::parse(Version::Spdy31, Bytes::from(plain), &self.limits.block)
                };
                assert_eq!(ours, expected);
                true
            }
            (Err(_), None) => false,
            (Err(error), Some(plain)) => {
                // Stricter than zlib: the dictionary has to be used, and there is an end to what a block may hold.
                let bare = self.fed.get(1).is_some_and(|flags| flags & 0x20 == 0);
                assert!(plain.len() > 4 * list || bare, "ours fails alone: {error}");
                false
            }
            (Ok(ours), None) => panic!("zlib fails alone, ours is {ours:?}"),
        }
    }
}

/// What the decoder makes of one frame with a block.
fn block_of(decoder: &mut Decoder, frame: &[u8]) -> Result<ReceivedBlock, String> {
    let mut buf = BytesMut::from(frame);
    match decoder.decode(&mut buf) {
        Ok(Some(Received::Headers(headers))) => {
            assert!(buf.is_empty());
            Ok(headers.block)
        }
        Ok(other) => panic!("HEADERS became {other:?}"),
        Err(error) => Err(error.to_string()),
    }
}
