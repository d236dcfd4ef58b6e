/// How this side compresses the header blocks it sends.
///
/// Whatever is chosen, the peer sees one valid zlib stream; what a peer sends is its own choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderCompression {
    /// No compression: blocks are stored as they are. No state, and no leak through lengths (CRIME,
    /// CVE-2012-4930); the choice for requests that carry secrets beside what an attacker can influence.
    Off,
    /// zlib at this level, 1 to 9; other numbers are taken as the nearest of these. About 380 KiB of state per
    /// connection from the first block on. Level 1 is several times as fast as the higher ones, which save at most a
    /// few bytes a block.
    Level(u32),
}
