//! What arrives: read, decoded, and handed to the session in batches.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use super::{BATCH_FRAMES, Driver, Progress};
use crate::conn::trace;
use crate::error::{Error, Result};
use crate::frame::{Received, ReceivedBlock};
use crate::session::Session;

/// How much is read at once: by a connection that is busy, and by one that is not, which keeps its buffer.
pub(super) const READ_LARGE: usize = 64 * 1024;
pub(super) const READ_SMALL: usize = 8 * 1024;

/// How many bytes of payloads and header blocks are handled under one lock.
const BATCH_BYTES: usize = 256 * 1024;

/// How many bytes are read after writing has failed: the peer may have said why it closed.
const LAST_WORDS: usize = 1 << 20;

impl<T> Driver<T>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    /// Reads once, decodes, and hands a batch to the session. `blocked` says that the transport takes nothing.
    pub(super) fn read_round(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        blocked: bool,
    ) -> Result<Progress> {
        if blocked || !self.view.wants_read {
            // Whether to read may have changed since the last section. Registered whatever the answer is: while the
            // transport takes nothing, nobody else would see that the session has ended. While it takes all, output is
            // still waited for: every section takes that registration back.
            self.view.section(&self.shared, now, |state| {
                if blocked {
                    state.park_reader(cx.waker());
                } else {
                    state.park_sender(cx.waker());
                }
            })?;
        }
        if !self.view.wants_read || self.at_eof {
            return Ok(Progress::Idle);
        }
        // What is left of the last read comes first: a batch may have ended before its end.
        let mut progress = self.decode_batch(now, false)?;
        if progress == Progress::Made {
            return Ok(progress);
        }
        // Never more than the size in all: a buffer that its readers have given back is used again.
        let room = self.read_size.saturating_sub(self.input.len());
        self.input.reserve(room.max(READ_SMALL));
        match poll_read_buf(Pin::new(&mut self.io), cx, &mut self.input) {
            Poll::Pending => return Ok(Progress::Blocked),
            Poll::Ready(Ok(0)) => {
                self.at_eof = true;
                self.end_if_broken(now)?;
                let mid_frame = !self.decoder.is_at_boundary() || !self.input.is_empty();
                self.view.section(&self.shared, now, |state| {
                    state.session.handle_eof(mid_frame);
                })?;
                return Ok(Progress::Made);
            }
            Poll::Ready(Ok(n)) => {
                self.stats.reads += 1;
                self.stats.bytes_read += n as u64;
                progress = Progress::Made;
                self.read_now += n;
                if n >= READ_SMALL {
                    self.read_size = READ_LARGE;
                } else if n < READ_SMALL / 2 {
                    self.read_size = READ_SMALL;
                }
                self.decode_batch(now, true)?;
                if let Some(broken) = &mut self.broken {
                    broken.read += n;
                    if broken.read > LAST_WORDS {
                        self.end_if_broken(now)?;
                    }
                }
            }
            Poll::Ready(Err(error)) => {
                let error = Error::io("reading from the transport", error);
                // Why the peer has ended TLS tells more than that nothing could be written then.
                if !error.is_tls() {
                    self.end_if_broken(now)?;
                }
                self.give_up(error, now)?;
                return Ok(Progress::Made);
            }
        }
        Ok(progress)
    }

    /// Decodes at most one batch and handles it under one lock.
    fn decode_batch(&mut self, now: Instant, new_bytes: bool) -> Result<Progress> {
        let mut size = 0;
        let mut failure = None;
        while self.received.len() < BATCH_FRAMES && size < BATCH_BYTES {
            match self.decoder.decode(&mut self.input) {
                Ok(Some(frame)) => {
                    size += received_size(&frame);
                    self.received.push(frame);
                }
                Ok(None) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if self.received.is_empty() && failure.is_none() && !new_bytes {
            return Ok(Progress::Idle);
        }
        self.stats.note_received(&self.received);
        let traced = trace::is_enabled();
        if traced {
            self.received.iter().for_each(trace::received);
            if let Some(error) = &failure {
                trace::refused(self.decoder.block_under_way(), error);
            }
        }
        let (received, stats) = (&mut self.received, self.stats);
        let culprit = self.view.section(&self.shared, now, |state| {
            state.stats = stats;
            if new_bytes {
                state.session.handle_read(now);
            }
            let culprit = handle_batch(&mut state.session, received, traced, now);
            if let Some(error) = failure {
                state.session.fail(error.into());
            }
            culprit
        })?;
        if let Some((frame, error)) = culprit {
            trace::culprit(&frame, &error);
        }
        Ok(Progress::Made)
    }
}

/// Hands frames to the session. Where frames are traced, gives the one that has ended the session by an error: others of
/// its batch stand behind it in the log.
fn handle_batch(
    session: &mut Session,
    received: &mut Vec<Received>,
    traced: bool,
    now: Instant,
) -> Option<(String, Error)> {
    let mut culprit = None;
    for frame in received.drain(..) {
        let text = (traced && !session.is_over()).then(|| trace::text(&frame));
        session.handle_frame(frame, now);
        if let (Some(text), Some(Err(error))) = (text, session.outcome()) {
            culprit = Some((text, error));
        }
    }
    culprit
}

/// What a received frame holds, roughly. Header blocks count as they are now: few bytes of input make many of them.
fn received_size(frame: &Received) -> usize {
    let block = |block: &ReceivedBlock| block.as_ref().map_or(0, |block| block.plain().len());
    match frame {
        Received::Data(piece) => piece.payload.len(),
        Received::SynStream(syn) => block(&syn.block),
        Received::SynReply(headers) | Received::Headers(headers) => block(&headers.block),
        _ => 0,
    }
}
