use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::HeaderBlockBuilder;
use super::names::{self, Seen};
use crate::frame::{ResetStatus, Version};

/// The largest plain form of a block, 8 MiB.
///
/// At this size even the worst compressed form (9 bits a byte, or the block headers of stored data) fits the
/// 24-bit Length of a frame, so that encoding a frame cannot fail.
pub const MAX_BLOCK_LEN: usize = 8 << 20;

/// The width of the count and of each length in SPDY/3.
const WORD: usize = 4;

/// What a value costs in the list size beside its bytes, as in HTTP/2's SETTINGS_MAX_HEADER_LIST_SIZE.
const MEMBER_OVERHEAD: usize = 32;

/// A name/value block: the headers of one frame (SPDY/3.1 section 2.6.10).
///
/// Valid by construction: names are non-empty, lower-case ASCII and unique; a value is empty, or one or more
/// non-empty members joined by NUL. It holds the plain form in one allocation, which clones share; names and
/// values are found by walking it, which costs less than an index would.
///
/// `Debug` hides the values of `cookie`, `set-cookie`, `authorization` and `proxy-authorization`.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderBlock {
    /// Plain form, count included.
    plain: Bytes,
    fields: usize,
    list_size: usize,
}

impl HeaderBlock {
    /// No headers. Allocates nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            plain: Bytes::from_static(&[0; WORD]),
            fields: 0,
            list_size: 0,
        }
    }

    /// Starts a block to be sent.
    #[must_use]
    pub fn builder() -> HeaderBlockBuilder {
        HeaderBlockBuilder::new()
    }

    /// As [`HeaderBlock::builder`], with room for `fields` headers whose names and values have `bytes` bytes in
    /// total. The hint is capped at [`MAX_BLOCK_LEN`].
    #[must_use]
    pub fn builder_with_capacity(fields: usize, bytes: usize) -> HeaderBlockBuilder {
        let lengths = fields.saturating_mul(2 * WORD);
        HeaderBlockBuilder::with_capacity(lengths.saturating_add(bytes).saturating_add(WORD))
    }

    /// The plain form.
    pub(crate) fn into_plain(self) -> Bytes {
        self.plain
    }

    /// Checks a received plain form.
    ///
    /// # Errors
    ///
    /// [`BlockError::TooLarge`] beyond `limits` or [`MAX_BLOCK_LEN`], [`BlockError::Malformed`] if the block breaks
    /// a rule of section 2.6.10.
    pub fn parse(
        version: Version,
        mut plain: Bytes,
        limits: &BlockLimits,
    ) -> Result<Self, BlockError> {
        if limits.fold_names && plain.len() <= MAX_BLOCK_LEN {
            let mut folded = plain.to_vec();
            fold_names(&mut folded);
            plain = folded.into();
        }
        let checked = Checked::new(version, &plain, limits)?;
        Ok(Self::from_checked(checked, plain))
    }

    /// As [`HeaderBlock::parse`]; copies into an allocation of the exact size once the block is found valid.
    pub(super) fn parse_slice(
        version: Version,
        plain: &[u8],
        limits: &BlockLimits,
    ) -> Result<Self, BlockError> {
        let checked = Checked::new(version, plain, limits)?;
        if checked.fields == 0 {
            return Ok(Self::empty());
        }
        Ok(Self::from_checked(checked, Bytes::copy_from_slice(plain)))
    }

    fn from_checked(checked: Checked, plain: Bytes) -> Self {
        Self::from_parts(plain, checked.fields, checked.list_size)
    }

    /// The caller has checked `plain`.
    pub(super) fn from_parts(plain: Bytes, fields: usize, list_size: usize) -> Self {
        Self {
            plain,
            fields,
            list_size,
        }
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields
    }

    /// Whether there are no headers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Names with their raw values, in which NUL separates the members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + '_ {
        self.walk()
            .map(|field| (self.name(&field), &self.plain[field.value]))
    }

    /// As [`HeaderBlock::iter`], with values that share the memory of the block. A kept value keeps the whole block.
    pub fn iter_bytes(&self) -> impl Iterator<Item = (&str, Bytes)> + '_ {
        self.walk()
            .map(|field| (self.name(&field), self.plain.slice(field.value)))
    }

    /// Name and raw value number `index`, sharing the memory of the block. Costs a walk up to there.
    #[must_use]
    pub fn field_bytes(&self, index: usize) -> Option<(Bytes, Bytes)> {
        let field = self.walk().nth(index)?;
        Some((self.plain.slice(field.name), self.plain.slice(field.value)))
    }

    /// The raw value of `name`, whatever its case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let same =
            |field: &Field| self.plain[field.name.clone()].eq_ignore_ascii_case(name.as_bytes());
        let field = self.walk().find(same)?;
        Some(&self.plain[field.value])
    }

    /// The members of the value of `name`: none if there is no such header, one empty one if its value is empty.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> + '_ {
        self.get(name)
            .into_iter()
            .flat_map(|value| value.split(|byte| *byte == 0))
    }

    /// The size that limits apply to: length of the name, length of the value and 32, summed over all members
    /// of all values.
    #[must_use]
    pub fn list_size(&self) -> usize {
        self.list_size
    }

    /// The plain form.
    #[must_use]
    pub fn plain(&self) -> &Bytes {
        &self.plain
    }

    fn name(&self, field: &Field) -> &str {
        // Names were checked to be ASCII; an empty name cannot come out.
        std::str::from_utf8(&self.plain[field.name.clone()]).unwrap_or_default()
    }

    fn walk(&self) -> Fields<'_> {
        Fields::new(&self.plain)
    }
}

impl Default for HeaderBlock {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for HeaderBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.iter() {
            if is_sensitive(name) {
                map.entry(&name, &format_args!("<hidden>"));
            } else {
                map.entry(&name, &format_args!("\"{}\"", value.escape_ascii()));
            }
        }
        map.finish()
    }
}

/// Headers whose values are secrets and are never printed.
fn is_sensitive(name: &str) -> bool {
    matches!(
        name,
        "cookie" | "set-cookie" | "authorization" | "proxy-authorization"
    )
}

/// Where a name and its value lie in the plain form.
pub(super) struct Field {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// Walks the pairs of a plain form; ends early at the first that is not whole.
pub(super) struct Fields<'a> {
    plain: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(plain: &'a [u8]) -> Self {
        Self { plain, at: WORD }
    }

    /// The next length-prefixed string.
    #[inline]
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at.checked_add(WORD)?;
        let word = self.plain.get(self.at..start)?;
        let len = usize::try_from(u32::from_be_bytes(word.try_into().ok()?)).ok()?;
        let end = start.checked_add(len)?;
        if end > self.plain.len() {
            return None;
        }
        self.at = end;
        Some(start..end)
    }
}

impl Iterator for Fields<'_> {
    type Item = Field;

    #[inline]
    fn next(&mut self) -> Option<Field> {
        let name = self.string()?;
        let value = self.string()?;
        Some(Field { name, value })
    }
}

/// Folds the upper-case letters of all names, as far as the plain form is whole.
pub(super) fn fold_names(plain: &mut [u8]) {
    let mut at = WORD;
    loop {
        let mut fields = Fields { plain, at };
        let Some(Field { name, .. }) = fields.next() else {
            return;
        };
        at = fields.at;
        plain[name].make_ascii_lowercase();
    }
}

/// What a check of a plain form found out.
#[derive(Clone, Copy)]
struct Checked {
    fields: usize,
    list_size: usize,
}

impl Checked {
    fn new(version: Version, plain: &[u8], limits: &BlockLimits) -> Result<Self, BlockError> {
        match version {
            Version::Spdy31 => Self::spdy3(plain, limits),
        }
    }

    fn spdy3(plain: &[u8], limits: &BlockLimits) -> Result<Self, BlockError> {
        if plain.len() > MAX_BLOCK_LEN {
            return Err(BlockError::TooLarge);
        }
        let Some(count) = plain.first_chunk::<WORD>() else {
            return Err(BlockError::Malformed("header block shorter than its count"));
        };
        let count = usize::try_from(u32::from_be_bytes(*count)).unwrap_or(usize::MAX);
        // A name has at least one byte. The count is judged before any work is done for it.
        if count > (plain.len() - WORD) / (2 * WORD + 1) {
            return Err(BlockError::Malformed(
                "header block shorter than its count demands",
            ));
        }
        if count > limits.max_values {
            return Err(BlockError::TooLarge);
        }

        let mut fields = Fields::new(plain);
        let mut seen = Seen::default();
        let (mut list_size, mut members) = (0_usize, 0_usize);
        for at in 0..count {
            let Some(Field { name, value }) = fields.next() else {
                return Err(BlockError::Malformed(
                    "header block ends inside a name or value",
                ));
            };
            let (name, value) = (&plain[name], &plain[value]);
            names::check_received(name).map_err(BlockError::Malformed)?;
            let earlier = Fields::new(plain).take(at).map(|field| &plain[field.name]);
            if !seen.insert(name, earlier) {
                return Err(BlockError::Malformed("header name repeated within a block"));
            }
            let here = members_of(value)?;
            members += here;
            list_size = list_size.saturating_add(cost(name, value, here));
            if members > limits.max_values || list_size > limits.max_list_size {
                return Err(BlockError::TooLarge);
            }
        }
        if fields.at != plain.len() {
            return Err(BlockError::Malformed(
                "bytes left over behind the last header",
            ));
        }
        Ok(Self {
            fields: count,
            list_size,
        })
    }
}

/// What a header with that many members adds to the list size.
pub(super) fn cost(name: &[u8], value: &[u8], members: usize) -> usize {
    // The separators are part of the value, but not of a member.
    let bytes = value.len() - (members - 1);
    bytes.saturating_add(members.saturating_mul(name.len() + MEMBER_OVERHEAD))
}

/// Counts the members of a value. Section 2.6.10: a value neither starts nor ends with NUL and has no empty
/// member between two; a value that is wholly empty is legal in SPDY/3.
fn members_of(value: &[u8]) -> Result<usize, BlockError> {
    if !value.contains(&0) {
        return Ok(1);
    }
    let mut members = 0;
    for member in value.split(|byte| *byte == 0) {
        if member.is_empty() {
            return Err(BlockError::Malformed("empty member in a header value"));
        }
        members += 1;
    }
    Ok(members)
}

/// What a received block may cost. Take the [default](Self::default), and set what is to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockLimits {
    /// The largest [`HeaderBlock::list_size`], in bytes. Default 16 KiB. A block whose output is larger ends its
    /// stream, one that is more than four times as large ends the session.
    pub max_list_size: usize,
    /// The largest number of values, counted after splitting at NUL. Default 100.
    pub max_values: usize,
    /// Whether upper-case letters in names are folded; else they are an error of the stream (section 2.6.10), which is the
    /// default.
    pub fold_names: bool,
}

impl Default for BlockLimits {
    fn default() -> Self {
        Self {
            max_list_size: 16 << 10,
            max_values: 100,
            fold_names: false,
        }
    }
}

/// Why a received block is unusable: an error of its stream. The compression context is still in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockError {
    /// Larger than the limits of this side. Says nothing about whether the block is well-formed.
    TooLarge,
    /// A rule of SPDY/3.1 section 2.6.10 is broken; says which.
    Malformed(&'static str),
}

impl BlockError {
    /// The status of the RST_STREAM that answers the frame.
    #[must_use]
    pub fn status(&self) -> ResetStatus {
        match self {
            Self::TooLarge => ResetStatus::FRAME_TOO_LARGE,
            Self::Malformed(_) => ResetStatus::PROTOCOL_ERROR,
        }
    }

    /// What is wrong, in a few words.
    #[must_use]
    pub const fn description(&self) -> &'static str {
        match self {
            Self::TooLarge => "header block larger than the limit",
            Self::Malformed(why) => why,
        }
    }

    /// Whether the block is too large rather than wrong; HTTP answers a request with 431.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge)
    }
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

impl std::error::Error for BlockError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(fields: &[(&str, &str)]) -> Vec<u8> {
        let word = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
        let mut plain = word(fields.len()).to_vec();
        for text in fields.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&word(text.len()));
            plain.extend_from_slice(text.as_bytes());
        }
        plain
    }

    fn parse(plain: &[u8], fold_names: bool) -> Result<HeaderBlock, BlockError> {
        let limits = BlockLimits {
            fold_names,
            ..BlockLimits::default()
        };
        HeaderBlock::parse(Version::Spdy31, Bytes::copy_from_slice(plain), &limits)
    }

    #[test]
    fn names_are_folded_on_demand_and_values_never() {
        let mixed = plain(&[("StreamType", "StdIn"), ("PORT", "X"), ("plain", "Y")]);
        let error = parse(&mixed, false).unwrap_err();
        assert!(error.description().contains("upper-case"), "{error}");
        let block = parse(&mixed, true).unwrap();
        let fields: Vec<_> = block.iter().collect();
        assert_eq!(
            fields,
            [
                ("streamtype", &b"StdIn"[..]),
                ("port", b"X"),
                ("plain", b"Y")
            ]
        );
        // Two names that fold to one are one name twice.
        let twice = plain(&[("Name", "1"), ("nAME", "2")]);
        assert!(
            parse(&twice, true)
                .unwrap_err()
                .description()
                .contains("repeated")
        );
    }

    #[test]
    fn folding_stops_where_the_plain_form_is_cut() {
        let whole = plain(&[("AB", "CD"), ("EF", "GH")]);
        for len in 0..whole.len() {
            assert!(parse(&whole[..len], true).is_err(), "{len} bytes");
        }
        let mut lies = whole;
        lies[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(parse(&lies, true).is_err());
    }

    #[test]
    fn lookup_ignores_case() {
        let block = parse(&plain(&[("streamtype", "error")]), false).unwrap();
        for name in ["streamtype", "streamType", "STREAMTYPE"] {
            assert_eq!(block.get(name), Some(&b"error"[..]), "{name}");
            assert_eq!(block.values(name).count(), 1);
        }
        assert_eq!(block.get("streamtyp"), None);
    }
    fn limited(plain: &[u8], max_list_size: usize, max_values: usize) -> Result<(), BlockError> {
        let limits = BlockLimits {
            max_list_size,
            max_values,
            fold_names: false,
        };
        HeaderBlock::parse(Version::Spdy31, Bytes::copy_from_slice(plain), &limits).map(drop)
    }

    #[test]
    fn a_block_may_be_as_large_as_the_limits_say() {
        let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let block = plain(&ten.map(|name| (name, "")));
        assert_eq!(limited(&block, 10 * 33, 10), Ok(()));
        assert_eq!(limited(&block, 10 * 33, 9), Err(BlockError::TooLarge));
        assert_eq!(limited(&block, 10 * 33 - 1, 10), Err(BlockError::TooLarge));

        let largest = plain(&[("a", &"x".repeat(MAX_BLOCK_LEN - 13))]);
        assert_eq!(largest.len(), MAX_BLOCK_LEN);
        assert_eq!(limited(&largest, usize::MAX, 1), Ok(()));
        let larger = plain(&[("a", &"x".repeat(MAX_BLOCK_LEN - 12))]);
        assert_eq!(limited(&larger, usize::MAX, 1), Err(BlockError::TooLarge));
    }

    #[test]
    fn a_count_that_cannot_be_is_refused_before_any_header_is_looked_at() {
        let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let mut block = plain(&ten.map(|name| (name, if name == "j" { "x" } else { "" })));
        block[..WORD].copy_from_slice(&11_u32.to_be_bytes());
        let error = limited(&block, usize::MAX, 100).unwrap_err();
        assert_eq!(
            error.description(),
            "header block shorter than its count demands"
        );
    }

    #[test]
    fn fields_share_the_memory_of_the_block() {
        let block = parse(&plain(&[("a", "1"), ("cookie", "secret")]), false).unwrap();
        let fields: Vec<_> = block.iter_bytes().collect();
        assert_eq!(fields, [("a", "1".into()), ("cookie", "secret".into())]);
        let (name, value) = block.field_bytes(1).unwrap();
        assert_eq!((&name[..], &value[..]), (&b"cookie"[..], &b"secret"[..]));
        assert!(block.field_bytes(2).is_none());
        for shared in [&fields[0].1, &name, &value] {
            assert!(block.plain().as_ptr_range().contains(&shared.as_ptr()));
        }
        let shown = format!("{block:?}");
        assert_eq!(shown, r#"{"a": "1", "cookie": <hidden>}"#);
        assert_eq!(block.clone().into_plain(), block.plain());
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        assert_eq!(
            BlockError::TooLarge.to_string(),
            "header block larger than the limit"
        );
        assert_eq!(BlockError::Malformed("odd").to_string(), "odd");
    }
}
