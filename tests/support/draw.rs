//! Choices read out of bytes: one generator for property tests, which make the bytes at random and shrink them, and for
//! the fuzz targets, which mutate them.
#![allow(
    dead_code,
    reason = "shared by test crates, none of which uses all of it"
)]

/// Behind the end of its bytes every choice is the first one.
#[derive(Clone, Debug)]
pub(crate) struct Draw<'a> {
    rest: &'a [u8],
}

impl<'a> Draw<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                *byte
            }
            None => 0,
        }
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    /// True for about this share of all bytes, in percent.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        usize::from(self.byte()) * 100 >= 256 * (100 - percent)
    }

    /// Any 32 bits.
    pub(crate) fn word(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// A number below `end`, from as many bytes as it needs.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let (mut number, mut span) = (0, 1);
        while span < end {
            number = number << 8 | usize::from(self.byte());
            span <<= 8;
        }
        number % end.max(1)
    }

    /// As [`below`](Self::below), for what the protocol counts in 32 bits.
    pub(crate) fn below_u32(&mut self, end: u32) -> u32 {
        let (mut number, mut span) = (0_u64, 1_u64);
        while span < u64::from(end) {
            number = number << 8 | u64::from(self.byte());
            span <<= 8;
        }
        u32::try_from(number % u64::from(end.max(1))).unwrap_or_default()
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// An index, each as often as its weight says.
    pub(crate) fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut at = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if at < *weight {
                return index;
            }
            at -= weight;
        }
        0
    }

    /// At most `most` bytes as they are.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(most.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}
