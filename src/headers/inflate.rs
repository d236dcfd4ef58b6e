use flate2::{Decompress, FlushDecompress, Status};

use super::dictionary;
use super::{BlockError, BlockLimits, HeaderBlock, MAX_BLOCK_LEN};
use crate::frame::Version;

/// First size of the output buffer: enough for nearly every block.
const FIRST_OUTPUT: usize = 2 << 10;

/// What the output buffer keeps between blocks at most.
const KEPT_OUTPUT: usize = 8 << 10;

/// Past this multiple of the limit a block is abuse and ends the session.
const ABUSE: usize = 4;

/// The FDICT bit in the second byte of a zlib stream (RFC 1950 section 2.2).
const FDICT: u8 = 0x20;

/// The decompression context of one direction of a connection.
///
/// A block is fed in pieces as they arrive, [`Inflater::push`], and ended by [`Inflater::finish`]. Output goes into
/// one buffer that is reused and grows with what was really produced, up to the limit; what exceeds it is
/// produced (the context has to stay in step) and dropped.
#[derive(Debug)]
pub(crate) struct Inflater {
    version: Version,
    limits: BlockLimits,
    /// Created at the first block: 47 KiB.
    zlib: Option<Box<Decompress>>,
    /// The dictionary is set: the stream header is behind us.
    primed: bool,
    output: Vec<u8>,
    /// Bytes produced by the current block, dropped ones included.
    produced: usize,
    /// The current block is too large: its output is dropped.
    dropping: bool,
}

/// Why the context is lost, and the session with it (U-23: answered by GOAWAY with PROTOCOL_ERROR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// Not a valid zlib stream.
    Corrupt,
    /// The zlib stream ended; it has to go on as long as the connection.
    Ended,
    /// Compressed with no preset dictionary.
    NoDictionary,
    /// Compressed with another dictionary; this is its id.
    ForeignDictionary(u32),
    /// More than four times the limit.
    Abuse,
}

impl Inflater {
    pub(crate) fn new(version: Version, limits: BlockLimits) -> Self {
        Self {
            version,
            limits,
            zlib: None,
            primed: false,
            output: Vec::new(),
            produced: 0,
            dropping: false,
        }
    }

    /// Makes the current block count as too large whatever its output: its frame is.
    pub(crate) fn drop_output(&mut self) {
        self.dropping = true;
    }

    /// Inflates the next piece of the current block, all of it.
    pub(crate) fn push(&mut self, mut input: &[u8]) -> Result<(), InflateError> {
        // The plain form is never larger than the list size and the count.
        let budget = self
            .limits
            .max_list_size
            .min(MAX_BLOCK_LEN)
            .saturating_add(4);
        let abuse = budget.saturating_mul(ABUSE);
        loop {
            if self.dropping {
                self.output.clear();
            }
            self.make_room(budget);
            let before = self.output.len();
            let consumed = self.step(input)?;
            input = &input[consumed..];

            let produced = self.output.len() - before;
            self.produced = self.produced.saturating_add(produced);
            if self.produced > abuse {
                return Err(InflateError::Abuse);
            }
            if self.produced > budget {
                self.dropping = true;
            }
            // A full buffer may hide output that zlib still holds back, even if all input is taken.
            let full = self.output.len() == self.output.capacity();
            if input.is_empty() && !full {
                return Ok(());
            }
            if consumed == 0 && produced == 0 {
                // There was room for output: only a lack of input explains it.
                return if input.is_empty() {
                    Ok(())
                } else {
                    Err(InflateError::Corrupt)
                };
            }
        }
    }

    /// Ends the current block.
    pub(crate) fn finish(&mut self) -> Result<HeaderBlock, BlockError> {
        let block = if self.dropping {
            Err(BlockError::TooLarge)
        } else {
            HeaderBlock::parse_slice(self.version, &self.output, &self.limits)
        };
        self.output.clear();
        self.output.shrink_to(KEPT_OUTPUT);
        self.produced = 0;
        self.dropping = false;
        block
    }

    /// Makes room for at least one byte, doubling, and never for much more than the budget: output is a
    /// thousandfold of input at worst, so that neither a number from the wire nor the input sizes it.
    fn make_room(&mut self, budget: usize) {
        let len = self.output.len();
        if len < self.output.capacity() {
            return;
        }
        let more = len.max(FIRST_OUTPUT).min(budget.saturating_sub(len)).max(1);
        self.output.reserve_exact(more);
    }

    /// One call into zlib; returns how much input it took.
    fn step(&mut self, input: &[u8]) -> Result<usize, InflateError> {
        let zlib = self
            .zlib
            .get_or_insert_with(|| Box::new(Decompress::new(true)));
        let start = zlib.total_in();
        if !self.primed {
            // zlib is content without a dictionary; the protocol is not (section 2.6.10.1).
            let flags = usize::try_from(1_u64.saturating_sub(start))
                .ok()
                .and_then(|at| input.get(at));
            if start < 2 && flags.is_some_and(|flags| flags & FDICT == 0) {
                return Err(InflateError::NoDictionary);
            }
        }
        let result = zlib.decompress_vec(input, &mut self.output, FlushDecompress::Sync);
        let consumed = usize::try_from(zlib.total_in() - start).unwrap_or(input.len());
        match result {
            Ok(Status::Ok | Status::BufError) => Ok(consumed),
            Ok(Status::StreamEnd) => Err(InflateError::Ended),
            Err(error) => match error.needs_dictionary() {
                Some(id) if !self.primed => {
                    let dictionary = dictionary::of(self.version);
                    if id != dictionary.id {
                        return Err(InflateError::ForeignDictionary(id));
                    }
                    // Accepted exactly when the checksum is the one that zlib asks for.
                    zlib.set_dictionary(dictionary.bytes)
                        .map_err(|_| InflateError::Corrupt)?;
                    self.primed = true;
                    Ok(consumed)
                }
                _ => Err(InflateError::Corrupt),
            },
        }
    }
}

#[cfg(test)]
impl Inflater {
    /// Bytes of memory beside zlib's own.
    pub(crate) fn retained(&self) -> usize {
        self.output.capacity()
    }
}
