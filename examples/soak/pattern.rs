//! The bytes of every body: each says by itself to which body it belongs, and where. Swapped, repeated and lost bytes
//! are all noticed.

/// The multiplier of Fibonacci hashing.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes all bits (the finalizer of splitmix64).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The 8 bytes at `8 * index`.
fn word(key: u64, index: u64) -> [u8; 8] {
    mix(key.wrapping_add(index.wrapping_mul(GOLDEN))).to_le_bytes()
}

/// Passes the expected bytes from `position` on, in pieces that fit into `bytes`, together with where they go.
fn pieces(
    key: u64,
    position: u64,
    len: usize,
    mut each: impl FnMut(std::ops::Range<usize>, &[u8]),
) {
    let mut done = 0;
    while done < len {
        let at = position + done as u64;
        let word = word(key, at / 8);
        // Less than 8.
        let skip = usize::try_from(at % 8).unwrap_or(0);
        let n = (8 - skip).min(len - done);
        each(done..done + n, &word[skip..skip + n]);
        done += n;
    }
}

pub(crate) fn fill(key: u64, position: u64, bytes: &mut [u8]) {
    let len = bytes.len();
    pieces(key, position, len, |range, piece| {
        bytes[range].copy_from_slice(piece);
    });
}

/// Checks a body as it arrives.
#[derive(Debug)]
pub(crate) struct Checker {
    key: u64,
    first: u64,
    position: u64,
}

impl Checker {
    /// For the part of body `key` that begins at `position`.
    pub(crate) fn new(key: u64, position: u64) -> Self {
        Self {
            key,
            first: position,
            position,
        }
    }

    /// How many bytes were right so far.
    pub(crate) fn checked(&self) -> u64 {
        self.position - self.first
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// Says where the first piece with a wrong byte begins.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut wrong = None;
        pieces(self.key, self.position, bytes.len(), |range, piece| {
            if bytes[range.clone()] != *piece && wrong.is_none() {
                wrong = Some(range.start);
            }
        });
        if let Some(offset) = wrong {
            let at = self.position + offset as u64;
            return Err(format!("wrong bytes at {at} of body {:x}", self.key));
        }
        self.position += bytes.len() as u64;
        Ok(())
    }
}

/// Random numbers that a seed decides (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Different for each pair.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        Self(mix(seed ^ mix(number.wrapping_add(GOLDEN))))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// From 0 to `bound`, without it.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
