//! What a header name may be, and the search for duplicates.

use std::collections::HashSet;

/// Up to this many names are compared one by one; more go into a set, so that the cost stays linear whatever
/// limits the user has chosen.
const COMPARED: usize = 64;

/// Why `name` is not acceptable from the wire: names are US-ASCII and lower case and never empty (SPDY/3.1
/// section 2.6.10). Control characters and blanks have no place in them either.
pub(super) fn check_received(name: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("empty header name");
    }
    // Without an early exit, so that it becomes vector code.
    let fits = |byte: u8| byte.wrapping_sub(0x21) <= 0x7e - 0x21 && !byte.is_ascii_uppercase();
    if name.iter().fold(true, |all, byte| all & fits(*byte)) {
        return Ok(());
    }
    Err(if name.iter().any(u8::is_ascii_uppercase) {
        "upper-case letter in a header name"
    } else {
        "forbidden byte in a header name"
    })
}

/// Why `name` must not be sent: stricter than what is tolerated, an HTTP token, behind a colon if it is a
/// pseudo header.
pub(super) fn check_sent(name: &[u8]) -> Result<(), &'static str> {
    let token = name.strip_prefix(b":").unwrap_or(name);
    if token.is_empty() {
        return Err("the name is empty");
    }
    if token.iter().all(|byte| TOKEN[usize::from(*byte)]) {
        return Ok(());
    }
    Err(if token.iter().any(u8::is_ascii_uppercase) {
        "the name has an upper-case letter"
    } else {
        "the name has a character that no HTTP token has"
    })
}

/// The characters of a token that are no upper-case letters (RFC 9110 section 5.6.2).
static TOKEN: [bool; 256] = token();

const fn token() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7f {
        table[byte as usize] = !matches!(
            byte,
            b'"' | b'(' | b')' | b',' | b'/' | b':'..=b'Z' | b'[' | b'\\' | b']' | b'{' | b'}'
        );
        byte += 1;
    }
    table
}

/// The names of a block so far.
///
/// A 64-bit mask over length, second (the first may be a colon) and last byte answers almost every question without a comparison.
#[derive(Default)]
pub(super) struct Seen {
    mask: u64,
    count: usize,
    many: Option<HashSet<Box<[u8]>>>,
}

impl Seen {
    /// Adds `name`; false if it is among `earlier`, the names that were added before.
    pub(super) fn insert<'a>(
        &mut self,
        name: &[u8],
        earlier: impl Iterator<Item = &'a [u8]>,
    ) -> bool {
        if self.count >= COMPARED {
            let many = self
                .many
                .get_or_insert_with(|| earlier.map(Box::from).collect());
            if !many.insert(Box::from(name)) {
                return false;
            }
        } else {
            let bit = Self::bit(name);
            let mut earlier = earlier;
            if self.mask & bit != 0 && earlier.any(|other| other == name) {
                return false;
            }
            self.mask |= bit;
        }
        self.count += 1;
        true
    }

    fn bit(name: &[u8]) -> u64 {
        let second = name.get(1).copied().unwrap_or_default();
        let last = name.last().copied().unwrap_or_default();
        let hash = name.len() * 31 + usize::from(second) * 7 + usize::from(last);
        1 << (hash % 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_printable_ascii() {
        for good in ["a", ":path", "x-y_z.1", "!#$%&'*+^`|~"] {
            assert_eq!(check_received(good.as_bytes()), Ok(()), "{good}");
            assert_eq!(check_sent(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [&b""[..], b"A", b"a b", b"a\0", b"\x7f", b"\xc3\xa4", b"a\n"] {
            assert!(
                check_received(bad).is_err() && check_sent(bad).is_err(),
                "{bad:?}"
            );
        }
        // Tolerated, never sent.
        for odd in [&b":"[..], b"a:b", b"a/b", b"(x)", b"a=b", b"[", b"{}"] {
            assert!(
                check_received(odd).is_ok() && check_sent(odd).is_err(),
                "{odd:?}"
            );
        }
    }

    #[test]
    fn duplicates_are_found_at_every_size() {
        let names: Vec<Vec<u8>> = (0..200).map(|n| format!("name-{n}").into_bytes()).collect();
        let mut seen = Seen::default();
        for (i, name) in names.iter().enumerate() {
            assert!(seen.insert(name, names[..i].iter().map(Vec::as_slice)));
            for old in [0, i / 2, i] {
                let earlier = names[..=i].iter().map(Vec::as_slice);
                assert!(!seen.insert(&names[old], earlier), "{old} of {i}");
            }
        }
    }
    #[test]
    fn many_names_are_looked_up_instead_of_compared() {
        let names: Vec<String> = (0..=COMPARED).map(|n| format!("x-{n}")).collect();
        let mut seen = Seen::default();
        for (at, name) in names.iter().enumerate() {
            assert!(seen.many.is_none(), "{at}");
            let earlier = names[..at].iter().map(String::as_bytes);
            assert!(seen.insert(name.as_bytes(), earlier), "{at}");
        }
        assert!(seen.many.is_some());
        // Both ways tell a name that was there, however long.
        for again in [&names[0], &names[COMPARED]] {
            let earlier = names.iter().map(String::as_bytes);
            assert!(!seen.insert(again.as_bytes(), earlier), "{again}");
        }
        let long = vec![b'x'; 100_000];
        let mut seen = Seen::default();
        assert!(seen.insert(&long, std::iter::empty()));
        assert!(!seen.insert(&long, std::iter::once(&long[..])));
    }
}
