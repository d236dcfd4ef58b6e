//! The preset dictionaries of the compression streams (SPDY/3.1 section 2.6.10.1).

use crate::frame::Version;

/// A preset dictionary and its Adler-32, which is the DICTID on the wire.
#[derive(Debug)]
pub(super) struct Dictionary {
    pub(super) bytes: &'static [u8],
    pub(super) id: u32,
}

/// SPDY/3 and SPDY/3.1: 1,423 bytes, no NUL at the end.
static SPDY3: Dictionary = Dictionary {
    bytes: include_bytes!("../../data/spdy3.dict"),
    id: 0xe3c6_a7c2,
};

pub(super) fn of(version: Version) -> &'static Dictionary {
    match version {
        Version::Spdy31 => &SPDY3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adler32(bytes: &[u8]) -> u32 {
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in bytes {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        b << 16 | a
    }

    #[test]
    fn dictionaries_have_the_published_checksums() {
        assert_eq!(SPDY3.bytes.len(), 1_423);
        assert_eq!(adler32(SPDY3.bytes), SPDY3.id);
        let spdy2 = include_bytes!("../../data/spdy2.dict");
        assert_eq!(spdy2.len(), 907);
        assert_eq!(adler32(spdy2), 0xdfa2_51b2);
    }
}
