//! Since when the transport has taken nothing, for the write time-out.

use std::time::{Duration, Instant};

use crate::session::Config;

/// More than a transport keeps for itself with the defaults of its library: rustls 64 KiB, tungstenite 128 KiB and a message.
///
/// One that keeps more is given up later, once for each such part of its buffer. One that moves slowly is given up too early
/// if this is too much: its buffer is neither empty nor full, and this does not go through it within the time-out.
const BUFFERED: usize = 256 * 1024;

/// What the transport has done since it last was seen to take something.
///
/// A transport with a buffer of its own takes a write although its peer takes nothing. So once a flush is pending, taking
/// is no progress by itself: PINGs and probes, some bytes each, would start the clock again for hours before the buffer is
/// full. Proof that bytes move is
///
/// - a flush that completes;
/// - a write that is taken after one that was not: the buffer was full, and has room;
/// - more bytes behind the pending flush than buffers hold: others have gone.
///
/// The first alone would give up a transfer that keeps the buffer filled, whose flush never completes. Writing nothing while
/// a flush is pending would make it complete, and let the buffer run dry each time.
#[derive(Debug, Default)]
pub(super) struct Stall {
    since: Option<Instant>,
    /// The last write was not taken.
    refused: bool,
    /// How many bytes were taken behind a flush that is pending.
    behind: Option<usize>,
}

impl Stall {
    /// When the transport has taken nothing for so long.
    pub(super) fn deadline(&self, limit: Option<Duration>) -> Option<Instant> {
        self.since?.checked_add(limit?)
    }

    /// A write was not taken.
    pub(super) fn refused(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        self.refused = true;
    }

    /// A write was taken.
    pub(super) fn taken(&mut self, bytes: usize) {
        let moves = match &mut self.behind {
            Some(behind) if !self.refused => {
                *behind = behind.saturating_add(bytes);
                *behind > BUFFERED
            }
            _ => true,
        };
        if moves {
            // If the flush is pending still, the driver finds out with the next one: before it waits for anything, unless
            // a write is not taken, which says as much.
            self.clear();
        }
    }

    /// A flush has not completed.
    pub(super) fn flushing(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        self.behind.get_or_insert(0);
    }

    /// A flush has completed, or nothing will be written any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// With keep-alive, a transport that takes nothing is given up even if no write time-out was asked for: a PING behind
/// output that is stuck never leaves, so its own time-out never starts. Nor does the GOAWAY of a session that was silent.
pub(super) fn write_timeout(config: &Config) -> Option<Duration> {
    let keep_alive = || {
        let interval = config.keep_alive_interval?;
        interval.checked_add(config.keep_alive_timeout)
    };
    let idle = config.silence_timeout;
    config.write_timeout.or_else(keep_alive).or(idle)
}
