//! Tells protocols apart, by ALPN or by the first bytes of a connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::{Read, ReadBuf};

use super::Rewind;
use crate::alpn::{self, NegotiatedAlpn};
use crate::conn::{Clock, Sleep};
use crate::error::{Error, Initiator, Result, Timeout};

/// What HTTP/2 begins with (RFC 9113 section 3.4), the longest pattern. All of it is waited for here: hyper would wait for
/// the rest without a limit, also in a shutdown.
const PREFACE: &[u8; ENOUGH] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const ENOUGH: usize = 24;

/// How long bytes are still waited for when a graceful shutdown finds a connection without any: a SPDY request may be
/// on its way, and its client would not know whether it was served.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What a connection turned out to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detected {
    Spdy,
    Http1,
    Http2,
    /// Nothing that is known.
    Other,
}

/// What the ALPN protocol of a transport is; `None` if its first bytes have to tell.
pub(super) fn by_alpn(io: &impl NegotiatedAlpn) -> Result<Option<Detected>> {
    match io.negotiated_alpn() {
        None => Ok(None),
        Some(alpn::SPDY_31) => Ok(Some(Detected::Spdy)),
        Some(alpn::H2) => Ok(Some(Detected::Http2)),
        Some(alpn::HTTP_11) => Ok(Some(Detected::Http1)),
        // The application's TLS offered what nobody here speaks.
        Some(other) => Err(Error::negotiation(format!(
            "expected spdy/3.1, h2 or http/1.1 by ALPN; TLS has agreed on {:?}",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// What these first bytes are; `None` if more are needed.
fn by_bytes(start: &[u8]) -> Option<Detected> {
    match start {
        // The control bit and the version, 2 or 3 (section 2.2.1). A session begins with SETTINGS or SYN_STREAM.
        [0x80, 2 | 3, ..] => Some(Detected::Spdy),
        [] | [0x80 | 0x16] => None,
        _ if start.starts_with(PREFACE) => Some(Detected::Http2),
        _ if PREFACE.starts_with(start) => None,
        // What is text gets an HTTP/1.1 answer, 400 if need be; empty lines may precede a request (RFC 9112 section 2.2).
        [b'!'..=b'~' | b'\r' | b'\n', ..] => Some(Detected::Http1),
        _ => Some(Detected::Other),
    }
}

/// What to say of first bytes that are [`Detected::Other`].
pub(super) fn other(start: &[u8]) -> Error {
    // A TLS record that holds a handshake.
    if start.starts_with(&[0x16, 3]) {
        return Error::negotiation(
            "expected plain SPDY, HTTP/1.1 or HTTP/2; the client began a TLS handshake on a port without TLS",
        );
    }
    Error::negotiation(format!(
        "expected SPDY (bytes 80 03), HTTP/2 (\"PRI \") or an HTTP/1.1 request; the first bytes are {}",
        Hex(start)
    ))
}

/// Bytes as they stand in dumps.
struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Reads until the protocol of a transport is known.
pub(super) struct Detect<I> {
    io: Option<I>,
    /// It is HTTP/2 by ALPN, and only its preface is to come.
    http2: bool,
    buf: [u8; ENOUGH],
    filled: usize,
    clock: Arc<dyn Clock>,
    timeout: Option<Duration>,
    sleep: Option<Sleep>,
    draining: bool,
}

impl<I> Detect<I> {
    pub(super) fn new(
        io: I,
        http2: bool,
        timeout: Option<Duration>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            io: Some(io),
            http2,
            buf: [0; ENOUGH],
            filled: 0,
            clock,
            timeout,
            sleep: None,
            draining: false,
        }
    }

    /// From now on little time is left.
    pub(super) fn drain(&mut self) {
        if !self.draining {
            self.draining = true;
            let left = self.timeout.unwrap_or(LAST_WAIT).min(LAST_WAIT);
            self.timeout = Some(left);
            self.sleep = None;
        }
    }

    fn detected(&self) -> Option<Detected> {
        let start = &self.buf[..self.filled];
        if self.http2 {
            // Whatever else it may be is hyper's to refuse.
            let whole = start.len() == ENOUGH || !PREFACE.starts_with(start);
            whole.then_some(Detected::Http2)
        } else {
            by_bytes(start)
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timeout) = self.timeout else {
            return Poll::Pending;
        };
        if self.sleep.is_none() {
            let deadline = self.clock.now().checked_add(timeout);
            self.sleep = deadline.and_then(|deadline| self.clock.sleep_until(deadline));
            if self.sleep.is_none() && self.draining {
                // There are no timers: nothing would end the wait.
                return Poll::Ready(());
            }
        }
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// The protocol of a transport, and the transport with what was read; `None` if there is nothing to serve.
type Outcome<I> = Result<Option<(Detected, Rewind<I>)>>;

impl<I: Read + Unpin> Detect<I> {
    /// What the transport speaks; `None` if it was closed before it said anything, or a shutdown came first.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<I>> {
        loop {
            let detected = self.detected();
            let Some(io) = &mut self.io else {
                return Poll::Ready(Ok(None));
            };
            if let Some(detected) = detected {
                let start = Bytes::copy_from_slice(&self.buf[..self.filled]);
                let rewound = self.io.take().map(|io| (detected, Rewind::new(start, io)));
                return Poll::Ready(Ok(rewound));
            }
            let mut buf = ReadBuf::new(&mut self.buf[self.filled..]);
            match Pin::new(io).poll_read(cx, buf.unfilled()) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(Error::io("reading the first bytes", error)));
                }
                Poll::Pending => {
                    ready!(self.poll_deadline(cx));
                    let quiet = self.draining && self.filled == 0;
                    return Poll::Ready(if quiet {
                        Ok(None)
                    } else {
                        Err(Error::timeout(Timeout::Detect))
                    });
                }
            }
            let read = buf.filled().len();
            if read == 0 {
                return Poll::Ready(if self.filled == 0 {
                    Ok(None)
                } else {
                    Err(Error::closed(
                        Initiator::Remote,
                        "the client closed before its first bytes told which protocol it speaks",
                    ))
                });
            }
            self.filled += read;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        for (start, detected) in [
            (&[0x80, 3, 0, 4][..], Detected::Spdy),
            (&[0x80, 2], Detected::Spdy),
            (PREFACE, Detected::Http2),
            (b"PRI * HTTP/1.1\r\n", Detected::Http1),
            (b"PRI /", Detected::Http1),
            (b"GET ", Detected::Http1),
            (b"G", Detected::Http1),
            (b"PUT ", Detected::Http1),
            (b"PR ", Detected::Http1),
            (b"PRIX", Detected::Http1),
            (b"\r\nGET", Detected::Http1),
            (b"get", Detected::Http1),
            (&[0x80, 4], Detected::Other),
            (&[0, 0, 0, 1], Detected::Other),
            (&[0xff], Detected::Other),
            (&[0x16, 3], Detected::Other),
            (&[0x16, 4], Detected::Other),
            (b" GET", Detected::Other),
        ] {
            assert_eq!(by_bytes(start), Some(detected), "{start:?}");
        }
        for undecided in [&b""[..], &[0x80], &[0x16]] {
            assert_eq!(by_bytes(undecided), None, "{undecided:?}");
        }
        for len in 1..ENOUGH {
            assert_eq!(by_bytes(&PREFACE[..len]), None, "{len} bytes of HTTP/2");
        }
    }

    #[test]
    fn other_first_bytes_are_named() {
        let says = |start: &[u8]| {
            let error = other(start);
            assert!(error.is_negotiation());
            error.to_string()
        };
        assert!(says(&[0x16, 3, 1, 2]).contains("began a TLS handshake"));
        assert!(says(&[0x16, 4]).ends_with("the first bytes are 16 04"));
        assert!(says(&[0]).ends_with("the first bytes are 00"));
    }

    #[test]
    fn nothing_is_longer_than_what_is_read() {
        for at in 0..ENOUGH {
            for byte in 0..=u8::MAX {
                let mut start = PREFACE.to_vec();
                start[at] = byte;
                assert_ne!(by_bytes(&start), None, "{start:?}");
            }
        }
        assert_ne!(by_bytes(PREFACE), None);
    }
}
