use bytes::{BufMut, BytesMut};
use flate2::{Compress, Compression, FlushCompress, Status};

use super::{HeaderBlock, HeaderCompression, dictionary};
use crate::frame::Version;

/// The largest content of a stored block (RFC 1951 section 3.2.4).
const MAX_STORED: usize = 65_535;

/// What zlib writes for level 0 and a preset dictionary: 32 KiB window, FDICT, and a check that makes the two
/// bytes a multiple of 31 (RFC 1950 section 2.2).
const ZLIB_HEADER: [u8; 2] = [0x78, 0x3f];

/// The empty stored block that ends every header block. A partial flush is not enough: the inflater of Go
/// releases its output at a stored block only.
const SYNC_MARKER: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// The compression context of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Deflater {
    version: Version,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    /// Stored blocks; `started` once the stream header is written.
    Stored { started: bool },
    /// zlib, from the first block on.
    Zlib(Box<Compress>),
    /// zlib is to be created at the first block: it takes 10 us and 380 KiB.
    Lazy(Compression),
}

impl Deflater {
    pub(crate) fn new(version: Version, compression: HeaderCompression) -> Self {
        let mode = match compression {
            HeaderCompression::Off => Mode::Stored { started: false },
            HeaderCompression::Level(level) => Mode::Lazy(Compression::new(level.clamp(1, 9))),
        };
        Self { version, mode }
    }

    /// Appends the compressed form of `block` to `out`. It ends with a sync marker, on a byte boundary.
    pub(crate) fn encode(&mut self, block: &HeaderBlock, out: &mut BytesMut) {
        let plain = block.plain();
        if let Mode::Lazy(level) = self.mode {
            self.mode = match self.create(level) {
                Some(zlib) => Mode::Zlib(zlib),
                None => Mode::Stored { started: false },
            };
        }
        if let Mode::Zlib(zlib) = &mut self.mode {
            let start = out.len();
            let started = zlib.total_out() > 0;
            if compress(zlib, plain, out) {
                return;
            }
            // zlib has no reason to fail. If it did, stored blocks would be a valid continuation of its stream,
            // because each of its blocks ends on a byte boundary: nothing is lost but compression.
            debug_assert!(false, "zlib failed to compress a header block");
            out.truncate(start);
            self.mode = Mode::Stored { started };
        }
        if let Mode::Stored { started } = &mut self.mode {
            if !*started {
                *started = true;
                out.put_slice(&ZLIB_HEADER);
                out.put_u32(dictionary::of(self.version).id);
            }
            store(plain, out);
        }
    }

    fn create(&self, level: Compression) -> Option<Box<Compress>> {
        let mut zlib = Box::new(Compress::new(level, true));
        let set = zlib.set_dictionary(dictionary::of(self.version).bytes);
        debug_assert!(set.is_ok(), "zlib refused the dictionary");
        set.is_ok().then_some(zlib)
    }
}

/// Compresses `plain` and flushes; false if zlib failed.
fn compress(zlib: &mut Compress, mut plain: &[u8], out: &mut BytesMut) -> bool {
    // Room for the usual case in one go; zeroing it costs less than a second call.
    let mut room = plain.len() / 2 + 128;
    loop {
        let at = out.len();
        let (before_in, before_out) = (zlib.total_in(), zlib.total_out());
        out.resize(at + room, 0);
        let result = zlib.compress(plain, &mut out[at..], FlushCompress::Sync);
        let (Ok(taken), Ok(made)) = (
            usize::try_from(zlib.total_in() - before_in),
            usize::try_from(zlib.total_out() - before_out),
        ) else {
            return false;
        };
        out.truncate(at + made);
        plain = &plain[taken..];
        match result {
            // The flush is complete once zlib leaves room; a BufError then says that it was so before.
            Ok(Status::Ok | Status::BufError) if made < room => return plain.is_empty(),
            Ok(Status::Ok) => room = plain.len() + 128,
            _ => return false,
        }
    }
}

/// Writes `plain` as stored blocks and a sync marker.
fn store(plain: &[u8], out: &mut BytesMut) {
    for chunk in plain.chunks(MAX_STORED) {
        let len = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out.put_u8(0);
        out.put_u16_le(len);
        out.put_u16_le(!len);
        out.put_slice(chunk);
    }
    out.put_slice(&SYNC_MARKER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::{BlockLimits, Inflater, MAX_BLOCK_LEN};

    const ALL: [HeaderCompression; 4] = [
        HeaderCompression::Off,
        HeaderCompression::Level(0),
        HeaderCompression::Level(1),
        HeaderCompression::Level(99),
    ];

    fn deflater(compression: HeaderCompression) -> Deflater {
        Deflater::new(Version::Spdy31, compression)
    }

    /// Bytes that do not compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let [byte, ..] = state.to_be_bytes();
            byte.max(1)
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    fn block(value: &[u8]) -> HeaderBlock {
        let mut builder = HeaderBlock::builder();
        builder.push("x", value).unwrap();
        builder.finish()
    }

    #[test]
    fn the_stream_starts_once_and_blocks_end_with_a_marker() {
        for compression in ALL {
            let mut deflater = deflater(compression);
            for n in 0..50 {
                let mut out = BytesMut::new();
                deflater.encode(&block(&noise(n * 7)), &mut out);
                assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
                let starts = out.get(2..6) == Some(&[0xe3, 0xc6, 0xa7, 0xc2]);
                assert_eq!(starts, n == 0, "{compression:?}");
                if n == 0 {
                    let header = u16::from_be_bytes([out[0], out[1]]);
                    assert_eq!(header % 31, 0);
                    assert_ne!(header & 0x20, 0);
                }
            }
        }
    }

    #[test]
    fn the_largest_block_fits_a_frame() {
        let limits = BlockLimits {
            max_list_size: usize::MAX,
            max_values: 1,
            fold_names: false,
        };
        // The count, two lengths and the name.
        let largest = block(&noise(MAX_BLOCK_LEN - 4 - 8 - 1));
        assert_eq!(largest.plain().len(), MAX_BLOCK_LEN);
        for compression in [HeaderCompression::Off, HeaderCompression::Level(1)] {
            let (mut deflater, mut inflater) = (
                deflater(compression),
                Inflater::new(Version::Spdy31, limits),
            );
            // The second meets a window full of noise.
            for _ in 0..2 {
                let mut out = BytesMut::new();
                deflater.encode(&largest, &mut out);
                assert!(out.len() < 0x00ff_ffff - 10, "{}", out.len());
                inflater.push(&out).unwrap();
                assert!(inflater.finish().as_ref() == Ok(&largest));
            }
        }
    }

    #[test]
    fn no_zlib_state_before_the_first_block() {
        assert!(matches!(
            deflater(HeaderCompression::Level(1)).mode,
            Mode::Lazy(_)
        ));
        assert!(matches!(
            deflater(HeaderCompression::Off).mode,
            Mode::Stored { started: false }
        ));
    }

    #[test]
    fn stored_blocks_continue_a_zlib_stream() {
        let mut inflater = Inflater::new(Version::Spdy31, BlockLimits::default());
        let mut deflater = deflater(HeaderCompression::Level(6));
        for n in 0..6 {
            if n == 3 {
                deflater.mode = Mode::Stored { started: true };
            }
            let mut out = BytesMut::new();
            deflater.encode(&block(&noise(n * 100)), &mut out);
            inflater.push(&out).unwrap();
            assert_eq!(inflater.finish(), Ok(block(&noise(n * 100))));
        }
    }
}
