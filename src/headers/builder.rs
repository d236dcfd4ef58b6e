use std::fmt;

use bytes::Bytes;

use super::block::{self, Fields, HeaderBlock, MAX_BLOCK_LEN};
use super::names::{self, Seen};
use crate::error::Error;

/// Builds a [`HeaderBlock`], straight in the plain form.
///
/// A refused header leaves the block as it was.
#[derive(Default)]
pub struct HeaderBlockBuilder {
    /// Empty until the first header.
    plain: Vec<u8>,
    fields: u32,
    list_size: usize,
    seen: Seen,
}

impl HeaderBlockBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            plain: Vec::with_capacity(bytes.min(MAX_BLOCK_LEN)),
            ..Self::default()
        }
    }

    /// Adds a header with one value, which may be empty.
    ///
    /// # Errors
    ///
    /// If the name is empty, is no lower-case HTTP token (behind an optional colon) or was added before, if the
    /// value contains NUL, or if the block would exceed [`MAX_BLOCK_LEN`].
    pub fn push(&mut self, name: &str, value: &[u8]) -> Result<&mut Self, InvalidHeader> {
        self.push_values(name, [value])
    }

    /// Adds a header with several values, joined by NUL (section 2.6.10). Empty values are dropped, because an empty
    /// member is illegal; if nothing remains, the header has one empty value.
    ///
    /// # Errors
    ///
    /// As for [`HeaderBlockBuilder::push`].
    pub fn push_values<'a>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<&mut Self, InvalidHeader> {
        let refuse = |why| Err(InvalidHeader::new(name, why));
        if let Err(why) = names::check_sent(name.as_bytes()) {
            return refuse(why);
        }
        if self.plain.is_empty() {
            self.plain.extend_from_slice(&[0; 4]);
        }
        let start = self.plain.len();
        match self.write(name.as_bytes(), values) {
            Ok(cost) => {
                let (earlier, _) = self.plain.split_at(start);
                let names = Fields::new(earlier).map(|field| &earlier[field.name]);
                if self.seen.insert(name.as_bytes(), names) {
                    self.fields += 1;
                    self.list_size = self.list_size.saturating_add(cost);
                    return Ok(self);
                }
                self.plain.truncate(start);
                refuse("the name was added before")
            }
            Err(why) => {
                self.plain.truncate(start);
                refuse(why)
            }
        }
    }

    /// Appends a pair and returns what it adds to the list size; on an error the caller removes what was written.
    fn write<'a>(
        &mut self,
        name: &[u8],
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<usize, &'static str> {
        const TOO_LARGE: &str = "the headers are larger than any frame";
        // Lengths fit 32 bits, because they are checked against MAX_BLOCK_LEN.
        let word = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();

        if name.len() > MAX_BLOCK_LEN {
            return Err(TOO_LARGE);
        }
        self.plain.extend_from_slice(&word(name.len()));
        self.plain.extend_from_slice(name);
        let length_at = self.plain.len();
        self.plain.extend_from_slice(&[0; 4]);
        let value_at = self.plain.len();

        let mut members = 0;
        for value in values {
            if value.is_empty() {
                continue;
            }
            if value.contains(&0) {
                return Err("the value contains NUL");
            }
            if members > 0 {
                self.plain.push(0);
            }
            if self.plain.len().saturating_add(value.len()) > MAX_BLOCK_LEN {
                return Err(TOO_LARGE);
            }
            self.plain.extend_from_slice(value);
            members += 1;
        }
        if self.plain.len() > MAX_BLOCK_LEN {
            return Err(TOO_LARGE);
        }
        let value_len = self.plain.len() - value_at;
        self.plain[length_at..value_at].copy_from_slice(&word(value_len));
        Ok(block::cost(name, &self.plain[value_at..], members.max(1)))
    }

    /// The block.
    #[must_use]
    pub fn finish(mut self) -> HeaderBlock {
        let Some(count) = self.plain.first_chunk_mut() else {
            return HeaderBlock::empty();
        };
        *count = self.fields.to_be_bytes();
        let fields = usize::try_from(self.fields).unwrap_or(usize::MAX);
        HeaderBlock::from_parts(Bytes::from(self.plain), fields, self.list_size)
    }
}

/// Shows sizes only: some values are secret.
impl fmt::Debug for HeaderBlockBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderBlockBuilder")
            .field("fields", &self.fields)
            .field("list_size", &self.list_size)
            .finish_non_exhaustive()
    }
}

/// A header that cannot be sent; names the header and says why. Never shows the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidHeader {
    name: Box<str>,
    why: &'static str,
}

impl InvalidHeader {
    /// Longer names are cut in the message.
    const SHOWN: usize = 64;

    fn new(name: &str, why: &'static str) -> Self {
        let name = name.chars().take(Self::SHOWN).collect();
        Self { name, why }
    }

    /// The name of the header, cut after 64 characters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid header {:?}: {}", self.name, self.why)
    }
}

impl std::error::Error for InvalidHeader {}

impl From<InvalidHeader> for Error {
    fn from(error: InvalidHeader) -> Self {
        Self::user_cause("the headers cannot be sent", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Version;
    use crate::headers::BlockLimits;

    #[test]
    fn builds_what_the_parser_accepts() {
        let mut builder = HeaderBlock::builder_with_capacity(3, 64);
        builder
            .push(":status", b"200")
            .unwrap()
            .push("x-empty", b"")
            .unwrap();
        builder
            .push_values("set-cookie", [&b"a=1"[..], b"", b"b=2"])
            .unwrap();
        builder.push_values("x-none", []).unwrap();
        let block = builder.finish();
        let parsed = HeaderBlock::parse(
            Version::Spdy31,
            block.plain().clone(),
            &BlockLimits::default(),
        );
        assert_eq!(parsed, Ok(block.clone()));

        let pairs: Vec<_> = block.iter().collect();
        let expected: [(&str, &[u8]); 4] = [
            (":status", b"200"),
            ("x-empty", b""),
            ("set-cookie", b"a=1\0b=2"),
            ("x-none", b""),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(
            block.values("set-cookie").collect::<Vec<_>>(),
            [b"a=1", b"b=2"]
        );
        assert_eq!(block.values("x-empty").collect::<Vec<_>>(), [b""]);
        assert_eq!(block.values("x-absent").count(), 0);
        assert_eq!(
            block.list_size(),
            (7 + 3 + 32) + (7 + 32) + 2 * (10 + 3 + 32) + (6 + 32)
        );
        let shown = format!("{block:?}");
        assert!(
            shown.contains("<hidden>") && !shown.contains("a=1"),
            "{shown}"
        );
    }

    #[test]
    fn a_refused_header_changes_nothing() {
        let mut builder = HeaderBlock::builder();
        builder.push("a", b"1").unwrap();
        let refused: [(&str, &[u8]); 6] = [
            ("", b""),
            (":", b""),
            ("Host", b"x"),
            ("a", b"2"),
            ("b", b"x\0y"),
            ("b c", b""),
        ];
        for (name, value) in refused {
            let error = builder.push(name, value).unwrap_err();
            assert_eq!(error.name(), name);
            assert!(Error::from(error).is_user());
        }
        let huge = vec![b'x'; MAX_BLOCK_LEN];
        assert!(builder.push("huge", &huge).is_err());
        assert!(
            builder
                .push_values("huge", [&huge[1..], &huge[..9]])
                .is_err()
        );
        builder.push("b", b"").unwrap().push("huge", b"").unwrap();
        let block = builder.finish();
        assert_eq!(
            block.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["a", "b", "huge"]
        );
        assert_eq!(block.len(), 3);
    }

    #[test]
    fn nothing_added_is_the_empty_block() {
        assert_eq!(HeaderBlock::builder().finish(), HeaderBlock::empty());
        let mut builder = HeaderBlock::builder();
        assert!(builder.push("a", b"\0").is_err());
        assert_eq!(builder.finish(), HeaderBlock::default());
    }
    #[test]
    fn a_block_may_be_as_large_as_a_frame_can_carry() {
        // Count, two lengths and the name.
        let value = vec![b'x'; MAX_BLOCK_LEN - 13];
        let mut builder = HeaderBlock::builder();
        builder.push("a", &value).unwrap();
        assert_eq!(builder.plain.len(), MAX_BLOCK_LEN);
        let error = builder.push("b", b"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid header \"b\": the headers are larger than any frame"
        );
        assert_eq!(
            format!("{builder:?}"),
            format!(
                "HeaderBlockBuilder {{ fields: 1, list_size: {}, .. }}",
                value.len() + 33
            )
        );
    }

    #[test]
    fn the_capacity_asked_for_is_there_and_no_more_than_a_block_can_use() {
        let capacity = |fields, bytes| {
            HeaderBlock::builder_with_capacity(fields, bytes)
                .plain
                .capacity()
        };
        assert_eq!(capacity(3, 64), 4 + 3 * 8 + 64);
        assert_eq!(capacity(usize::MAX, usize::MAX), MAX_BLOCK_LEN);
    }
}
