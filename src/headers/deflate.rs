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
