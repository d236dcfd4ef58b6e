//! Recognises peers that speak something else.
//!
//! SPDY has no preface, so that the first bytes of anything else read as some absurd frame: the request line of
//! HTTP/1 as DATA of stream 1,195,725,856. An error that says what was received saves an hour of searching.
//! Only the first frame of a connection is looked at, which is never DATA between SPDY peers, because no stream
//! is open yet; no pattern is longer than a frame header, so that looking never delays a frame.

use crate::frame::FRAME_HEADER_LEN;

/// What the first bytes look like, and what to say about it.
struct Pattern {
    bytes: &'static [u8],
    /// Which bits of each byte count; all if shorter.
    mask: &'static [u8],
    says: &'static str,
}

const HTTP1_REQUEST: &str = "peer sent an HTTP/1 request to a SPDY port";
const TLS: &str = "peer sent TLS to a SPDY port without TLS";

const fn exact(bytes: &'static [u8], says: &'static str) -> Pattern {
    Pattern {
        bytes,
        mask: &[],
        says,
    }
}

static PATTERNS: [Pattern; 15] = [
    exact(b"GET ", HTTP1_REQUEST),
    exact(b"HEAD ", HTTP1_REQUEST),
    exact(b"POST ", HTTP1_REQUEST),
    exact(b"PUT ", HTTP1_REQUEST),
    exact(b"DELETE ", HTTP1_REQUEST),
    exact(b"OPTIONS ", HTTP1_REQUEST),
    exact(b"CONNECT ", HTTP1_REQUEST),
    exact(b"TRACE ", HTTP1_REQUEST),
    exact(b"PATCH ", HTTP1_REQUEST),
    exact(b"HTTP/1.0", "peer sent an HTTP/1 response instead of SPDY"),
    exact(b"HTTP/1.1", "peer sent an HTTP/1 response instead of SPDY"),
    exact(b"PRI * HT", "peer sent an HTTP/2 preface to a SPDY port"),
    // A handshake record of TLS 1.x that holds a ClientHello; its minor version and length vary.
    Pattern {
        bytes: &[0x16, 0x03, 0, 0, 0, 0x01],
        mask: &[0xff, 0xff, 0xf8, 0, 0, 0xff],
        says: TLS,
    },
    // A fatal or warning alert of two bytes, which is how a TLS server answers plain SPDY.
    Pattern {
        bytes: &[0x15, 0x03, 0, 0, 0x02, 0],
        mask: &[0xff, 0xff, 0xf8, 0xff, 0xff, 0xfc],
        says: "peer sent a TLS alert instead of SPDY",
    },
    exact(&[0; 8], "peer sent zeros instead of SPDY"),
];

/// Says what `start`, the first bytes of a connection, are if they are certainly not SPDY.
pub(super) fn recognise(start: &[u8]) -> Option<&'static str> {
    // A control frame is not mistaken for anything: no pattern has the top bit set.
    if start.first().is_none_or(|first| first & 0x80 != 0) {
        return None;
    }
    let named = PATTERNS.iter().find(|pattern| pattern.matches(start));
    if let Some(pattern) = named {
        return Some(pattern.says);
    }
    // Eight printable bytes are no DATA frame that any peer begins with: its stream id would be above 2^29.
    let text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let is_text = start
        .get(..FRAME_HEADER_LEN)
        .is_some_and(|start| start.iter().all(text));
    is_text.then_some("peer sent text instead of SPDY")
}

impl Pattern {
    fn matches(&self, start: &[u8]) -> bool {
        let Some(start) = start.get(..self.bytes.len()) else {
            return false;
        };
        let mask = self.mask.iter().copied().chain(std::iter::repeat(0xff));
        start
            .iter()
            .zip(self.bytes)
            .zip(mask)
            .all(|((byte, wanted), mask)| byte & mask == *wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_named() {
        let seen = |bytes: &[u8]| recognise(bytes).unwrap_or_default();
        assert_eq!(seen(b"GET "), HTTP1_REQUEST);
        assert_eq!(seen(b"GET / HTTP/1.1\r\n"), HTTP1_REQUEST);
        assert!(seen(b"HTTP/1.1 400 Bad Request\r\n").contains("response"));
        assert!(seen(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").contains("HTTP/2"));
        assert_eq!(seen(&[0x16, 3, 1, 2, 0, 1, 0, 1]), TLS);
        assert!(seen(&[0x15, 3, 3, 0, 2, 2, 70]).contains("alert"));
        assert!(seen(&[0; 8]).contains("zeros"));
        assert!(seen(b"<!DOCTYPE html>").contains("text"));
        assert!(seen(b"SSH-2.0-OpenSSH").contains("text"));
        assert!(seen(b"220 mail ready\r\n").contains("text"));
    }

    #[test]
    fn only_certain_patterns_count() {
        for unclear in [
            &b""[..],
            b"GET",
            b"GETX",
            b"HTTP/1.",
            b"PRI * H",
            &[0x16, 3, 1, 2, 0],
            &[0; 7],
        ] {
            assert_eq!(recognise(unclear), None, "{unclear:?}");
        }
        // DATA on stream 1 and 0x1603, a legal control frame.
        assert_eq!(recognise(&[0, 0, 0, 1, 0, 0, 0, 5]), None);
        assert_eq!(recognise(&[0, 0, 0x16, 3, 1, 0, 0, 1]), None);
        assert_eq!(recognise(&[0x80, 3, 0, 1, 0, 0, 0, 10]), None);
    }

    #[test]
    fn no_pattern_is_longer_than_a_frame_header() {
        for pattern in &PATTERNS {
            assert!(pattern.bytes.len() <= FRAME_HEADER_LEN);
            assert!(pattern.mask.len() <= pattern.bytes.len());
        }
    }
}
