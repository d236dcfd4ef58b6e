//! Bytes that both sides know.

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};

/// The pattern of the node peers repeats after this many bytes.
const PERIOD: usize = 1 << 16;

static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    let byte = |i: usize| u8::try_from((i * 31 + (i >> 8)) & 0xff).unwrap();
    (0..2 * PERIOD).map(byte).collect::<Vec<u8>>().into()
});

/// The pattern from `offset` on: at most `length` bytes, and at most 64 KiB.
pub(crate) fn piece(offset: usize, length: usize) -> Bytes {
    let start = offset % PERIOD;
    PATTERN.slice(start..start + length.min(PERIOD))
}

/// `length` bytes of the pattern.
pub(crate) fn whole(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        bytes.extend_from_slice(&piece(bytes.len(), length - bytes.len()));
    }
    bytes
}

/// `length` bytes of the pattern in pieces of at most `size` (64 KiB or less), with a pause before each but the first.
pub(crate) fn pieces(
    length: usize,
    size: usize,
    pause: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream::unfold(0, move |sent| async move {
        if sent == length {
            return None;
        }
        if sent > 0 && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let piece = piece(sent, size.min(length - sent));
        let sent = sent + piece.len();
        Some((Ok(piece), sent))
    })
}

/// Compares bytes with the pattern while they arrive.
#[derive(Debug, Default)]
pub(crate) struct Check {
    length: usize,
}

impl Check {
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let want = piece(self.length, bytes.len());
            let (now, later) = bytes.split_at(want.len());
            assert!(
                want == now,
                "the bytes differ from the pattern after byte {}",
                self.length
            );
            self.length += now.len();
            bytes = later;
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

/// Bytes that do not repeat, from a xorshift generator: a piece that is lost or comes twice is noticed.
#[derive(Debug, Clone)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        // Any state but 0 will do.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next bytes; 8 at a time, so that pieces of a multiple of 8 join seamlessly.
    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.extend_from_slice(&self.0.to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
