//! How a connection is closed: the last bytes are written, the peer may be left to close first, the transport is shut down,
//! and input is discarded for a while.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Driver, Progress};
use crate::codec::{Decoder, Encoder, OutBuf};
use crate::error::{Error, Result, Timeout};

/// How long, and for how many bytes, input is discarded after the last byte was written: unread input at close
/// would make TCP destroy what the peer has not read yet.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// How long a peer has to close in a shutdown.
const HURRIED: Duration = Duration::from_secs(30);

/// How long it is left to a peer to close that is not silent, where no write time-out says how long one may take for what it
/// was sent.
const PEER_CLOSES: Duration = Duration::from_secs(4 * 60 * 60);

impl<T> Driver<T>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    /// Writes the last bytes. A session that ended well is given the time that its peer needs, up to the write
    /// time-out; GOAWAY of a failed one is best effort.
    ///
    /// Input is discarded meanwhile: a peer that writes before it reads would wait for us as we for it.
    pub(super) fn poll_flushing(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let now = self.shared.now();
            match self.write_round(cx, now)? {
                Progress::Blocked => {}
                // Also if nothing remains: a round that has used up its writes has not flushed.
                Progress::Made => continue,
                _ if self.unflushed => {}
                _ => return Poll::Ready(Ok(())),
            }
            self.discarded = 0;
            let flooded = self.discard(cx).is_ready() && !self.at_eof;
            let failed = self
                .shared
                .with(|state| matches!(state.session.outcome(), Some(Err(_))))?;
            let deadline = if failed {
                self.closing.and_then(|since| since.checked_add(LINGER))
            } else {
                self.stall_deadline()
            };
            let fired = self.timer.poll(cx, deadline, &**self.shared.clock());
            // Without timers nothing would end the wait for a peer that takes no last words.
            let expired = failed && self.timer.is_missing();
            let passed = deadline.is_some_and(|deadline| deadline <= self.shared.now());
            if flooded && !expired && !passed {
                // There is more to discard: let others run, then go on, but not beyond the deadline.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !expired && !passed {
                ready!(fired);
            }
            if expired || deadline.is_some_and(|deadline| deadline <= self.shared.now()) {
                self.discard_output(&Error::timeout(Timeout::Write));
                self.at_eof = true;
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Nothing is read or written any more: what is left to a peer to close is not to cost as much as a session.
    pub(super) fn let_go(&mut self) {
        let config = self.shared.with(|state| state.session.config().clone());
        if let Ok(config) = config {
            self.decoder = Decoder::new(config.version(), config.decoder_limits());
            self.encoder = Encoder::new(config.version(), config.compression());
        }
        self.input = BytesMut::new();
        self.output = OutBuf::new();
        self.received = Vec::new();
        self.frames = Vec::new();
    }

    /// Leaves it to the peer to close, and discards what it sends, until it has been silent for the time-out.
    ///
    /// Not up to a number of bytes: closing while the peer sends is what this is there to avoid. On the whole it has as long as
    /// for a write that it does not take: its user may have stopped reading. In a shutdown of the connection it has half a
    /// minute more, or the time-out, whatever it sends.
    pub(super) fn poll_peer_closes(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let waits = self.shared.with(|state| {
            let well = matches!(state.session.outcome(), Some(Ok(())));
            well && !state.session.closes_first()
        })?;
        let timeout = self
            .peer_close_timeout
            .filter(|_| waits && self.lost.is_none());
        let Some(timeout) = timeout else {
            return Poll::Ready(Ok(()));
        };
        let whole = if self.hurried {
            timeout.min(HURRIED)
        } else {
            self.write_timeout.unwrap_or(PEER_CLOSES).max(timeout)
        };
        loop {
            self.discarded = 0;
            let more = self.discard(cx).is_ready();
            if self.at_eof {
                return Poll::Ready(Ok(()));
            }
            let now = self.shared.now();
            if self.discarded > 0 {
                self.closing = Some(now);
            }
            let silent = self.closing.get_or_insert(now).checked_add(timeout);
            let end = self.peer_closes.get_or_insert(now).checked_add(whole);
            let deadline = silent.into_iter().chain(end).min();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(Ok(()));
            }
            if more {
                // Let others run, then go on.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let fired = self.timer.poll(cx, deadline, &**self.shared.clock());
            if self.timer.is_missing() {
                // Nothing would end a wait for a peer that does not close.
                return Poll::Ready(Ok(()));
            }
            ready!(fired);
        }
    }

    /// Reads and discards up to `LINGER_BYTES` in all; pending when the transport has no more now.
    pub(super) fn discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        while !self.at_eof && self.discarded < LINGER_BYTES {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => self.discarded += buf.filled().len(),
                _ => self.at_eof = true,
            }
        }
        Poll::Ready(())
    }

    pub(super) fn poll_linger_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.shared.now();
            let deadline = self.closing.get_or_insert(now).checked_add(LINGER);
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(());
            }
            let fired = self.timer.poll(cx, deadline, &**self.shared.clock());
            if self.timer.is_missing() {
                // What was there to be discarded has been; nothing would end a wait for more.
                return Poll::Ready(());
            }
            ready!(fired);
        }
    }
}
