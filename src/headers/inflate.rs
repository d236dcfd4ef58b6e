use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::{BlockError, BlockLimits, HeaderBlock, MAX_BLOCK_LEN};
use super::{block, dictionary};
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
            let result = self.step(input);

            // Counted even if zlib failed behind it, so that the same bytes give the same error in any pieces.
            let produced = self.output.len() - before;
            self.produced = self.produced.saturating_add(produced);
            if self.produced > abuse {
                return Err(InflateError::Abuse);
            }
            if self.produced > budget {
                self.dropping = true;
            }
            let consumed = result?;
            input = &input[consumed..];
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
            if self.limits.fold_names {
                block::fold_names(&mut self.output);
            }
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

/// Shows sizes only: the output holds headers, some of them secret.
impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("version", &self.version)
            .field("limits", &self.limits)
            .field("primed", &self.primed)
            .field("produced", &self.produced)
            .field("dropping", &self.dropping)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Inflater {
    /// Bytes of memory beside zlib's own.
    fn retained(&self) -> usize {
        self.output.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    const SPDY2: &[u8] = include_bytes!("../../data/spdy2.dict");

    /// A sender of any kind, as zlib makes it.
    struct Sender(Compress);

    impl Sender {
        fn new(level: u32, window_bits: u8) -> Self {
            let dictionary = dictionary::of(Version::Spdy31).bytes;
            Self::with(level, window_bits, Some(dictionary))
        }

        fn with(level: u32, window_bits: u8, dictionary: Option<&[u8]>) -> Self {
            let mut zlib =
                Compress::new_with_window_bits(Compression::new(level), true, window_bits);
            if let Some(dictionary) = dictionary {
                zlib.set_dictionary(dictionary).unwrap();
            }
            Self(zlib)
        }

        fn compress(&mut self, plain: &[u8], flush: FlushCompress) -> Vec<u8> {
            let mut out = Vec::with_capacity(plain.len() + 1024);
            self.0.compress_vec(plain, &mut out, flush).unwrap();
            assert!(out.len() < out.capacity());
            out
        }

        fn block(&mut self, block: &HeaderBlock) -> Vec<u8> {
            self.compress(block.plain(), FlushCompress::Sync)
        }
    }

    fn inflater() -> Inflater {
        Inflater::new(Version::Spdy31, BlockLimits::default())
    }

    fn sample(n: usize) -> HeaderBlock {
        let mut builder = HeaderBlock::builder();
        builder
            .push(":path", format!("/index/{n}").as_bytes())
            .unwrap();
        builder
            .push("user-agent", b"some agent/1.0 (some system)")
            .unwrap();
        builder.push("x-number", n.to_string().as_bytes()).unwrap();
        builder.finish()
    }

    /// A block with one value of `len` equal bytes: compresses to a thousandth.
    fn huge(len: usize) -> HeaderBlock {
        let mut builder = HeaderBlock::builder();
        builder.push("bomb", &vec![b'x'; len]).unwrap();
        builder.finish()
    }

    fn feed(inflater: &mut Inflater, bytes: &[u8], size: usize) -> Result<(), InflateError> {
        bytes
            .chunks(size)
            .try_for_each(|piece| inflater.push(piece))
    }

    /// The memory bound: the budget and one doubling.
    const MOST: usize = 2 * (16 << 10) + FIRST_OUTPUT;

    #[test]
    fn every_level_and_window_is_accepted() {
        for level in [0, 1, 6, 9] {
            for window_bits in 9..=15 {
                for size in [usize::MAX, 1, 3] {
                    let mut sender = Sender::new(level, window_bits);
                    let mut inflater = inflater();
                    for n in 0..20 {
                        let block = sample(n);
                        feed(&mut inflater, &sender.block(&block), size).unwrap();
                        assert_eq!(
                            inflater.finish(),
                            Ok(block),
                            "level {level}, window {window_bits}"
                        );
                    }
                    assert!(inflater.retained() <= FIRST_OUTPUT);
                }
            }
        }
    }

    #[test]
    fn the_context_survives_faulty_and_large_blocks() {
        let (mut sender, mut inflater) = (Sender::new(9, 15), inflater());
        let mut send = |plain: &[u8]| {
            let bytes = sender.compress(plain, FlushCompress::Sync);
            inflater.push(&bytes).unwrap();
            assert!(inflater.retained() <= MOST, "{}", inflater.retained());
            inflater.finish()
        };
        let word = |n: u32| n.to_be_bytes();
        let pair = |name: &[u8], value: &[u8]| {
            let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [&len(name)[..], name, &len(value), value].concat()
        };
        let faulty = [
            vec![],
            vec![0, 0, 0],
            word(1).to_vec(),
            word(u32::MAX).to_vec(),
            [&word(0)[..], b"x"].concat(),
            [&word(1)[..], &pair(b"a", b"b"), b"x"].concat(),
            [&word(2)[..], &pair(b"a", b"b"), &pair(b"a", b"c")].concat(),
            [
                &word(2)[..],
                &pair(b"a", b"b"),
                &word(0x7fff_ffff),
                b"xxxxxxxxx",
            ]
            .concat(),
            [&word(1)[..], &word(1), b"a", &word(u32::MAX), b"xxxxxxxx"].concat(),
            [&word(1)[..], &pair(b"", b"value")].concat(),
            [&word(1)[..], &pair(b"Name", b"value")].concat(),
            [&word(1)[..], &pair(b"na\xe4me", b"value")].concat(),
            [&word(1)[..], &pair(b"a", b"\0")].concat(),
            [&word(1)[..], &pair(b"a", b"\0b")].concat(),
            [&word(1)[..], &pair(b"a", b"b\0")].concat(),
            [&word(1)[..], &pair(b"a", b"b\0\0c")].concat(),
        ];
        for (n, plain) in faulty.iter().enumerate() {
            let error = send(plain).unwrap_err();
            assert!(matches!(error, BlockError::Malformed(_)), "{n}: {error:?}");
            assert_eq!(send(sample(n).plain()), Ok(sample(n)));
        }

        let many_values = pair(b"a", &[&b"b"[..]; 101].join(&0));
        let mut many_names = word(101).to_vec();
        for n in 0..101 {
            many_names.extend(pair(format!("name-{n}").as_bytes(), b""));
        }
        let large = [
            huge(16 << 10).plain().to_vec(),
            huge(60 << 10).plain().to_vec(),
            [&word(1)[..], &many_values].concat(),
            many_names,
        ];
        for (n, plain) in large.iter().enumerate() {
            assert_eq!(send(plain), Err(BlockError::TooLarge), "{n}");
            assert_eq!(send(sample(n).plain()), Ok(sample(n)));
        }
        // 32 bytes of the list size belong to the value, 4 to the name.
        let exact = huge((16 << 10) - 36);
        assert_eq!(exact.list_size(), 16 << 10);
        assert_eq!(send(exact.plain()), Ok(exact));
        assert_eq!(
            send(huge((16 << 10) - 35).plain()),
            Err(BlockError::TooLarge)
        );
    }

    #[test]
    fn a_bomb_ends_the_session_in_bounded_memory() {
        for size in [usize::MAX, 100, 1] {
            let (mut sender, mut inflater) = (Sender::new(9, 15), inflater());
            let bytes = sender.block(&huge(2 << 20));
            assert!(bytes.len() < 4096, "{}", bytes.len());
            assert_eq!(feed(&mut inflater, &bytes, size), Err(InflateError::Abuse));
            assert!(inflater.retained() <= MOST, "{}", inflater.retained());
        }
    }

    #[test]
    fn the_output_buffer_shrinks_behind_a_large_block() {
        let (mut sender, mut inflater) = (Sender::new(6, 15), inflater());
        inflater.push(&sender.block(&huge(16_000))).unwrap();
        assert!(inflater.retained() >= 16_000);
        assert!(inflater.finish().is_ok());
        assert!(inflater.retained() <= KEPT_OUTPUT);
    }

    #[test]
    fn a_sync_marker_may_come_alone() {
        let (mut sender, mut inflater) = (Sender::new(9, 15), inflater());
        for n in 0..3 {
            let bytes = sender.block(&sample(n));
            let (content, marker) = bytes.split_at(bytes.len() - 4);
            assert_eq!(marker, [0, 0, 0xff, 0xff]);
            inflater.push(content).unwrap();
            inflater.push(marker).unwrap();
            assert_eq!(inflater.finish(), Ok(sample(n)));
        }
    }

    #[test]
    fn no_output_is_left_behind_when_the_input_is_used_up() {
        // The buffer starts at 2 KiB and a match yields up to 258 bytes: it fills in the middle of many of these.
        for len in 2000..2300 {
            let bytes = Sender::new(9, 15).block(&huge(len));
            // Whatever a prefix yields in one go must come out of it.
            for cut in bytes.len() - 12..bytes.len() {
                let mut inflater = inflater();
                inflater.push(&bytes[..cut]).unwrap();

                let mut reference = Decompress::new(true);
                let mut output = Vec::with_capacity(4096);
                let need =
                    reference.decompress_vec(&bytes[..cut], &mut output, FlushDecompress::Sync);
                assert!(need.unwrap_err().needs_dictionary().is_some());
                let dictionary = dictionary::of(Version::Spdy31).bytes;
                reference.set_dictionary(dictionary).unwrap();
                let rest =
                    reference.decompress_vec(&bytes[6..cut], &mut output, FlushDecompress::Sync);
                assert!(rest.is_ok());
                assert_eq!(inflater.output, output, "{len} {cut}");
            }
        }
    }

    #[test]
    fn a_lost_context_says_why() {
        let plain = sample(1);
        let ended = Sender::new(6, 15).compress(plain.plain(), FlushCompress::Finish);
        let foreign = Sender::with(6, 15, Some(SPDY2)).block(&plain);
        let bare = Sender::with(6, 15, None).block(&plain);
        let mut corrupt = Sender::new(6, 15).block(&plain);
        // A deflate block of the reserved type 3 behind header and dictionary id.
        corrupt[6] = 0xff;
        let mut wrong_check = Sender::new(6, 15).block(&plain);
        wrong_check[1] ^= 1;
        let cases = [
            (ended, InflateError::Ended),
            (foreign, InflateError::ForeignDictionary(0xdfa2_51b2)),
            (bare, InflateError::NoDictionary),
            (corrupt, InflateError::Corrupt),
            (wrong_check, InflateError::Corrupt),
        ];
        for (bytes, expected) in cases {
            for size in [usize::MAX, 1] {
                assert_eq!(feed(&mut inflater(), &bytes, size), Err(expected));
            }
        }
    }
    #[test]
    fn up_to_four_times_the_limit_is_dropped_in_bounded_memory_and_a_byte_more_ends_the_session() {
        const LIMIT: usize = 16 << 10;
        // The count beside the list; then what "bomb" and the lengths take.
        let most = 4 * (LIMIT + 4) - 16;
        for len in [LIMIT - 35, 2 * LIMIT, most] {
            let (mut sender, mut inflater) = (Sender::new(9, 15), inflater());
            inflater.push(&sender.block(&huge(len))).unwrap();
            assert!(inflater.retained() <= MOST, "{len}");
            assert_eq!(inflater.finish(), Err(BlockError::TooLarge), "{len}");
            inflater.push(&sender.block(&sample(1))).unwrap();
            assert_eq!(inflater.finish(), Ok(sample(1)), "{len}");
        }
        let bomb = Sender::new(9, 15).block(&huge(most + 1));
        assert_eq!(inflater().push(&bomb), Err(InflateError::Abuse));
    }
    #[test]
    fn headers_are_not_shown() {
        let mut inflater = inflater();
        let bytes = Sender::new(9, 15).block(&sample(7));
        inflater.push(&bytes).unwrap();
        let shown = format!("{inflater:?}");
        assert!(
            shown.contains("produced: ") && !shown.contains("index"),
            "{shown}"
        );
    }
}
