//! The task of a connection: reads, decodes, encodes and writes in batches; waits for no stream.

mod closing;
mod reading;
mod stall;
mod view;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_write_buf;
use tracing::Span;

use self::stall::{Stall, write_timeout};
use self::view::View;
use super::clock::Timer;
use super::shared::Shared;
use super::stats::Stats;
use super::trace;
use crate::codec::{Decoder, Encoder, OutBuf};
use crate::error::{Error, Initiator, Result, Timeout};
use crate::frame::{Frame, Received};
use crate::session::Config;

/// How much one poll reads before it lets the readers run. Their buffers come back while they are still in the
/// cache: reading on instead costs page faults, as the allocator gives what piles up back to the system.
const READ_PER_POLL: usize = reading::READ_LARGE;

/// How many frames are handled under one lock.
const BATCH_FRAMES: usize = 256;

/// The output is filled up to this, and refilled below `REFILL`.
const OUT_FULL: usize = 256 * 1024;
const REFILL: usize = 64 * 1024;

/// How many rounds of reading and writing one poll makes before it lets other tasks run.
const ROUNDS: usize = 16;

/// How many writes one round makes before it reads again.
const WRITES: usize = 4;

/// Where the driver is in the life of the transport.
#[derive(Debug)]
enum Phase {
    /// The session lives.
    Running,
    /// The session is over; its last bytes are on their way.
    Flushing,
    /// Everything was written; the peer may close first.
    PeerCloses,
    /// We close.
    ShuttingDown,
    /// Waiting for the peer to close, discarding what it sends.
    Lingering,
    /// Over.
    Done,
}

/// What one side of a round did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Something moved; there may be more.
    Made,
    /// The transport is not ready, and will wake us.
    Blocked,
    /// There is nothing to do.
    Idle,
}

/// The future that drives one connection; resolves when the transport is closed.
pub(crate) struct Driver<T> {
    io: T,
    shared: Arc<Shared>,
    decoder: Decoder,
    encoder: Encoder,
    input: BytesMut,
    read_size: usize,
    output: OutBuf,
    stats: Stats,
    span: Span,
    /// Reused between batches.
    received: Vec<Received>,
    frames: Vec<Frame>,
    view: View,
    /// The one that is registered while the view is parked.
    waker: Option<Waker>,
    phase: Phase,
    timer: Timer,
    write_timeout: Option<Duration>,
    stall: Stall,
    peer_close_timeout: Option<Duration>,
    /// Since when the transport is being closed, or the peer has been silent while it may close first.
    closing: Option<Instant>,
    /// Since when the peer may close first.
    peer_closes: Option<Instant>,
    /// The connection was told to shut down.
    hurried: bool,
    /// Something was written since the last flush.
    unflushed: bool,
    at_eof: bool,
    /// How many bytes this poll has read.
    read_now: usize,
    /// How many bytes were read after the end of the session.
    discarded: usize,
    broken: Option<Broken>,
    /// Frames of streams are on their way to the transport.
    carries_streams: bool,
    /// Why such frames were discarded, when the session had ended well before.
    lost: Option<Error>,
    /// Whether the session wants to know when its bytes were written.
    keeps_alive: bool,
}

/// Writing has failed; what the peer has sent before is still read.
#[derive(Debug)]
struct Broken {
    error: Error,
    read: usize,
}

impl<T> Driver<T>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    pub(crate) fn new(io: T, shared: Arc<Shared>, span: Span) -> Self {
        let mut output = OutBuf::new();
        output.set_flat(!io.is_write_vectored());
        let config = shared.with(|state| state.session.config().clone());
        // The lock is new; the fallback is never taken.
        let config = config.unwrap_or_else(|_| Config::server());
        Self {
            io,
            shared,
            decoder: Decoder::new(config.version(), config.decoder_limits()),
            encoder: Encoder::new(config.version(), config.compression()),
            input: BytesMut::new(),
            read_size: reading::READ_SMALL,
            output,
            stats: Stats::default(),
            span,
            received: Vec::new(),
            frames: Vec::new(),
            view: View::new(),
            waker: None,
            phase: Phase::Running,
            timer: Timer::default(),
            write_timeout: write_timeout(&config),
            stall: Stall::default(),
            peer_close_timeout: config.peer_close_timeout,
            closing: None,
            peer_closes: None,
            hurried: false,
            unflushed: false,
            at_eof: false,
            read_now: 0,
            discarded: 0,
            broken: None,
            carries_streams: false,
            lost: None,
            keeps_alive: config.keep_alive_interval.is_some(),
        }
    }

    /// Drives the connection. Resolves when the transport is closed: `Ok` if the session ended without an error.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let span = self.span.clone();
        let _entered = span.enter();
        let same_task = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if self.shared.take_driver_woken() || !same_task {
            self.view.parked = false;
        }
        let result = self.poll_phases(cx);
        if let Poll::Ready(result) = &result {
            self.phase = Phase::Done;
            if result.is_err() {
                // If the lock is poisoned, nobody else will wake those who wait.
                self.shared.wake_everyone();
            }
        }
        result
    }

    fn poll_phases(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            match self.phase {
                Phase::Running => {
                    ready!(self.poll_running(cx))?;
                    self.phase = Phase::Flushing;
                    self.closing = Some(self.shared.now());
                }
                Phase::Flushing => {
                    ready!(self.poll_flushing(cx))?;
                    if self.peer_close_timeout.is_some() {
                        self.let_go();
                    }
                    self.phase = Phase::PeerCloses;
                    self.closing = Some(self.shared.now());
                }
                Phase::PeerCloses => {
                    ready!(self.poll_peer_closes(cx))?;
                    self.phase = Phase::ShuttingDown;
                    self.closing = Some(self.shared.now());
                }
                Phase::ShuttingDown => {
                    // Errors do not matter any more: the session is over.
                    let shut = Pin::new(&mut self.io).poll_shutdown(cx);
                    if shut.is_pending() {
                        ready!(self.poll_linger_deadline(cx));
                    }
                    self.phase = Phase::Lingering;
                    self.discarded = 0;
                }
                Phase::Lingering => {
                    if self.discard(cx).is_pending() {
                        ready!(self.poll_linger_deadline(cx));
                    }
                    self.phase = Phase::Done;
                }
                Phase::Done => {
                    let outcome = self
                        .shared
                        .with(|state| state.session.outcome().unwrap_or(Ok(())))?;
                    return Poll::Ready(outcome.and(self.lost.take().map_or(Ok(()), Err)));
                }
            }
        }
    }

    /// Reads and writes until the session is over and its last frame is encoded.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.read_now = 0;
        for _ in 0..ROUNDS {
            if self.read_now >= READ_PER_POLL {
                break;
            }
            let now = self.shared.now();
            let write = self.write_round(cx, now)?;
            let blocked = write == Progress::Blocked;
            // A transport that takes a little at a time is never blocked, and replies are stuck behind it all the same.
            self.view.blocked = blocked || self.output.remaining() >= REFILL;
            let read = self.read_round(cx, now, blocked)?;
            if read != Progress::Made {
                self.end_if_broken(now)?;
            }
            if self.view.finished {
                return Poll::Ready(Ok(()));
            }
            let busy = read == Progress::Made || write == Progress::Made;
            let stall = self.stall_deadline();
            let deadline = self.view.deadline.into_iter().chain(stall).min();
            if !busy {
                if self.view.unused && self.input.is_empty() {
                    // An idle connection holds no buffer.
                    self.input = BytesMut::new();
                }
                ready!(self.timer.poll(cx, deadline, &**self.shared.clock()));
            }
            // A connection that is never idle has time-outs too.
            let now = self.shared.now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.expire(stall, now)?;
            }
        }
        // Let others run, then go on.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn stall_deadline(&self) -> Option<Instant> {
        self.stall.deadline(self.write_timeout)
    }

    /// A deadline has passed.
    fn expire(&mut self, stall: Option<Instant>, now: Instant) -> Result<()> {
        self.view
            .section(&self.shared, now, |state| state.session.handle_timeout(now))?;
        if stall.is_some_and(|deadline| deadline <= now) {
            // A peer that takes nothing would not see our last bytes either.
            self.give_up(Error::timeout(Timeout::Write), now)?;
        }
        Ok(())
    }

    /// Encodes what the session has to send and writes it.
    fn write_round(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<Progress> {
        if self.broken.is_some() {
            return Ok(Progress::Idle);
        }
        let mut progress = Progress::Idle;
        for _ in 0..WRITES {
            // Keep-alive wants to know when all is written, although there is nothing more to send.
            let tells = self.keeps_alive && progress == Progress::Made;
            let refill = !self.view.parked || tells && !self.output.has_remaining();
            if refill && self.output.remaining() < REFILL {
                self.refill(cx, now)?;
            }
            if !self.output.has_remaining() {
                return Ok(self.flush(cx, now));
            }
            match poll_write_buf(Pin::new(&mut self.io), cx, &mut self.output) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.stats.writes += 1;
                    self.stats.bytes_written += n as u64;
                    self.stall.taken(n);
                    self.unflushed = true;
                    progress = Progress::Made;
                }
                Poll::Ready(result) => {
                    let error = result
                        .err()
                        .unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                    self.write_failed("writing to the transport", error);
                    return Ok(Progress::Made);
                }
                Poll::Pending => {
                    self.stall.refused(now);
                    if self.keeps_alive && progress == Progress::Made {
                        self.view.section(&self.shared, now, |state| {
                            state.session.handle_write(false, now);
                        })?;
                    }
                    return Ok(Progress::Blocked);
                }
            }
        }
        Ok(progress)
    }

    /// Everything was written: passes it on. Idle then: more output wakes the driver.
    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) -> Progress {
        if !self.unflushed {
            return Progress::Idle;
        }
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                self.carries_streams = false;
                self.stall.clear();
                Progress::Idle
            }
            Poll::Ready(Err(error)) => {
                self.write_failed("flushing the transport", error);
                Progress::Made
            }
            Poll::Pending => {
                self.stall.flushing(now);
                Progress::Idle
            }
        }
    }

    /// Takes frames under one lock, then encodes them outside of it: emission order is compression order.
    fn refill(&mut self, cx: &Context<'_>, now: Instant) -> Result<()> {
        let room = OUT_FULL.saturating_sub(self.output.remaining());
        let all_written = !self.output.has_remaining();
        let (frames, stats) = (&mut self.frames, &mut self.stats);
        let parked = self.view.section(&self.shared, now, |state| {
            if all_written {
                state.session.handle_write(true, now);
            }
            let (mut bytes, mut parked) = (0, false);
            while frames.len() < BATCH_FRAMES && bytes < room {
                let Some(frame) = state.session.poll_frame(now) else {
                    // Registered in the section that saw "nothing to send": no wake can be lost.
                    state.park_sender(cx.waker());
                    parked = true;
                    break;
                };
                bytes += frame_size(&frame);
                frames.push(frame);
            }
            stats.note_sent(frames);
            state.stats = *stats;
            parked
        })?;
        self.view.parked = parked;
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
        let traced = trace::is_enabled();
        for frame in self.frames.drain(..) {
            if traced {
                trace::sent(&frame);
            }
            self.carries_streams |= matches!(
                frame,
                Frame::SynStream(_) | Frame::SynReply(_) | Frame::Headers(_) | Frame::Data(_)
            );
            self.encoder.encode(&frame, &mut self.output);
        }
        Ok(())
    }

    /// Nothing can be written any more. The session learns it once everything was read that the peer has sent: its
    /// GOAWAY, or the rest of a stream, may explain or even repair it.
    fn write_failed(&mut self, doing: &'static str, error: io::Error) {
        let error = Error::io(doing, error);
        self.discard_output(&error);
        self.stall.clear();
        self.broken = Some(Broken { error, read: 0 });
    }

    /// What could not be sent is lost. Where it belongs to streams, not even a session that has ended well may say so
    /// in the end: their writers were told that all is handed over. A lost GOAWAY is no loss.
    fn discard_output(&mut self, why: &Error) {
        self.output.advance(self.output.remaining());
        self.unflushed = false;
        if std::mem::take(&mut self.carries_streams) {
            self.lost.get_or_insert_with(|| why.clone());
        }
    }

    fn end_if_broken(&mut self, now: Instant) -> Result<()> {
        match &self.broken {
            Some(broken) => self.give_up(broken.error.clone(), now),
            None => Ok(()),
        }
    }

    /// Tells the session that the transport is gone, and touches it no more.
    fn give_up(&mut self, error: Error, now: Instant) -> Result<()> {
        self.discard_output(&error);
        self.at_eof = true;
        self.view.section(&self.shared, now, |state| {
            state.session.handle_transport_error(error);
        })
    }
}

/// What a frame takes in the output, roughly: its payload, or its header block before compression.
fn frame_size(frame: &Frame) -> usize {
    let payload = match frame {
        Frame::Data(data) => data.payload.len(),
        Frame::SynStream(syn) => syn.block.plain().len(),
        Frame::SynReply(headers) | Frame::Headers(headers) => headers.block.plain().len(),
        _ => 0,
    };
    crate::frame::FRAME_HEADER_LEN + payload
}

impl<T> Driver<T> {
    /// Starts a graceful shutdown; go on polling.
    pub(crate) fn graceful_shutdown(&mut self) {
        // A session that failed needs no shutdown.
        drop(self.shared.with(|state| state.session.shutdown()));
        if !self.hurried {
            self.hurried = true;
            // Whoever is left to close has its time from now on.
            self.peer_closes = None;
        }
    }

    /// The span of the connection.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }
}

impl<T> Drop for Driver<T> {
    /// Without its driver nothing moves any more: every stream fails at once.
    fn drop(&mut self) {
        if matches!(self.phase, Phase::Done) {
            return;
        }
        let error = Error::closed(Initiator::User, "the connection was dropped");
        if self
            .shared
            .with(|state| state.session.handle_transport_error(error))
            .is_err()
        {
            self.shared.wake_everyone();
        }
    }
}

impl<T> std::fmt::Debug for Driver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
