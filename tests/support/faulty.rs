//! Faults around any transport: pieces, delays, rates, and cuts at any byte.
//!
//! [`link`] puts both ends of a transport under one set of [`Faults`], so that a cut ends both; [`alone`] has one end
//! only, for a transport whose other end is somewhere else.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Random;

/// How the bytes of a transport move.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Each call moves 1 to so many bytes; 0 is no limit.
    pub(crate) piece: u64,
    /// One call in four is told to come again, and is woken at once.
    pub(crate) stutters: bool,
    /// Each piece comes up to so much later than the one before.
    pub(crate) delay: Duration,
    /// Bytes per second; 0 is no limit.
    pub(crate) rate: u64,
}

/// How a transport ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both ends are closed: reads see the end behind what has arrived, writes fail.
    Closed,
    /// Reads and writes of both ends fail with this error, whatever is under way.
    Failed(io::ErrorKind),
    /// The reader of this direction sees the end; what is written into it vanishes. The other direction goes on.
    HalfClosed,
    /// Nothing arrives any more at either end, and nothing says so.
    Silent,
    /// As `Silent`, in this direction only.
    HalfSilent,
}

/// A direction, by the end that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The first end of [`link`], or the one of [`alone`].
    FromFirst,
    /// The second end, or what is beyond the transport.
    FromSecond,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) seed: u64,
    pub(crate) pace: Pace,
    /// In which direction, after how many bytes, and how the transport is cut.
    pub(crate) cut: Option<(Way, usize, Cut)>,
}

#[derive(Debug, Default)]
struct Direction {
    /// What the transport has taken.
    written: Vec<u8>,
    /// How much of it has come out.
    read: usize,
    /// The reader has seen the end.
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug, Default)]
struct State {
    directions: [Direction; 2],
    cut: Option<(Way, usize, Cut)>,
    /// The cut has happened.
    is_cut: bool,
    /// One end only: what it writes counts as arrived.
    alone: bool,
}

impl State {
    /// Lets the cut happen if so many bytes have arrived.
    fn check_cut(&mut self) {
        let Some((from, at, _)) = self.cut.filter(|_| !self.is_cut) else {
            return;
        };
        if self.directions[from as usize].read >= at {
            self.is_cut = true;
            for direction in &mut self.directions {
                for waker in [direction.reader.take(), direction.writer.take()] {
                    waker.into_iter().for_each(Waker::wake);
                }
            }
        }
    }

    /// What has happened to a direction.
    fn fate(&self, direction: usize) -> Option<Cut> {
        let (from, _, cut) = self.cut.filter(|_| self.is_cut)?;
        let one_way = matches!(cut, Cut::HalfClosed | Cut::HalfSilent);
        (!one_way || from as usize == direction).then_some(cut)
    }

    /// How many bytes of a direction may still arrive before the cut.
    fn left(&self, direction: usize) -> usize {
        match self.cut {
            Some((from, at, _)) if from as usize == direction && !self.is_cut => {
                at - self.directions[direction].read
            }
            _ => usize::MAX,
        }
    }
}

/// What has moved over a transport with faults.
#[derive(Clone, Debug)]
pub(crate) struct Tap(Arc<Mutex<State>>);

impl Tap {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What was taken from the writer, also if it got nowhere.
    pub(crate) fn written(&self, way: Way) -> Vec<u8> {
        self.lock().directions[way as usize].written.clone()
    }

    /// What has arrived at the reader.
    pub(crate) fn arrived(&self, way: Way) -> Vec<u8> {
        let state = self.lock();
        let direction = &state.directions[way as usize];
        direction.written[..direction.read].to_vec()
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.lock().is_cut
    }
}

/// Says when a call may move bytes, and how many.
#[derive(Debug)]
struct Gate {
    pace: Pace,
    random: Random,
    opens: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(opens) = &mut self.opens {
            ready!(opens.as_mut().poll(cx));
            self.opens = None;
        }
        if self.pace.stutters && self.random.below(4) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(match self.pace.piece {
            0 => usize::MAX,
            piece => usize::try_from(1 + self.random.below(piece)).unwrap(),
        })
    }

    fn moved(&mut self, bytes: usize) {
        let mut pause = Duration::ZERO;
        if !self.pace.delay.is_zero() {
            let most = u64::try_from(self.pace.delay.as_micros()).unwrap();
            pause += Duration::from_micros(self.random.below(most + 1));
        }
        let micros = u64::try_from(bytes).unwrap() * 1_000_000;
        // A rate of 0 is none.
        pause += Duration::from_micros(micros.checked_div(self.pace.rate).unwrap_or(0));
        if !pause.is_zero() {
            self.opens = Some(Box::pin(sleep_until(Instant::now() + pause)));
        }
    }
}

/// One end of a transport with faults.
#[derive(Debug)]
pub(crate) struct Faulty<T> {
    io: T,
    tap: Tap,
    /// Into which direction this end writes.
    out: usize,
    reads: Gate,
    writes: Gate,
}

/// Both ends of a transport with the same faults.
pub(crate) fn link<T>(first: T, second: T, faults: Faults) -> (Faulty<T>, Faulty<T>, Tap) {
    super::trace::start();
    let state = State {
        cut: faults.cut,
        ..State::default()
    };
    let tap = Tap(Arc::new(Mutex::new(state)));
    let first = Faulty::new(first, &tap, Way::FromFirst, faults);
    (
        first,
        Faulty::new(second, &tap, Way::FromSecond, faults),
        tap,
    )
}

/// One end of a transport whose other end is elsewhere.
pub(crate) fn alone<T>(io: T, faults: Faults) -> (Faulty<T>, Tap) {
    let state = State {
        cut: faults.cut,
        alone: true,
        ..State::default()
    };
    let tap = Tap(Arc::new(Mutex::new(state)));
    (Faulty::new(io, &tap, Way::FromFirst, faults), tap)
}

impl<T> Faulty<T> {
    fn new(io: T, tap: &Tap, out: Way, faults: Faults) -> Self {
        let mut random = Random(faults.seed ^ out as u64);
        let mut gate = || Gate {
            pace: faults.pace,
            random: Random(random.next()),
            opens: None,
        };
        Self {
            io,
            tap: tap.clone(),
            out: out as usize,
            reads: gate(),
            writes: gate(),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Faulty<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut state = this.tap.lock();
        let input = 1 - this.out;
        state.check_cut();
        let fate = state.fate(input);
        let cut_here = state.cut.is_some_and(|(from, ..)| from as usize == input);
        match fate {
            Some(Cut::Failed(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Cut::HalfClosed) => return Poll::Ready(Ok(())),
            Some(Cut::Closed) if cut_here => return Poll::Ready(Ok(())),
            Some(Cut::Silent | Cut::HalfSilent) => {
                state.directions[input].reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Some(Cut::Closed) | None => {}
        }
        state.directions[input].reader = Some(cx.waker().clone());
        let left = state.left(input);
        drop(state);
        let most = ready!(this.reads.poll(cx));
        let most = most.min(left).min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        let polled = Pin::new(&mut this.io).poll_read(cx, &mut part);
        let n = part.filled().len();
        buf.advance(n);
        if polled.is_pending() && fate == Some(Cut::Closed) {
            // What had arrived before is read.
            return Poll::Ready(Ok(()));
        }
        ready!(polled)?;
        this.reads.moved(n);
        let mut state = this.tap.lock();
        state.directions[input].ended |= n == 0 && most > 0;
        if state.alone {
            let bytes = &buf.filled()[buf.filled().len() - n..];
            state.directions[input].written.extend_from_slice(bytes);
        }
        state.directions[input].read += n;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Faulty<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut state = this.tap.lock();
        if state.alone {
            state.check_cut();
        }
        match state.fate(this.out) {
            Some(Cut::Failed(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Cut::Closed) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(Cut::HalfClosed | Cut::Silent | Cut::HalfSilent) => {
                state.directions[this.out].written.extend_from_slice(buf);
                return Poll::Ready(Ok(buf.len()));
            }
            None => {}
        }
        state.directions[this.out].writer = Some(cx.waker().clone());
        let left = if state.alone {
            state.left(this.out)
        } else {
            usize::MAX
        };
        drop(state);
        let most = ready!(this.writes.poll(cx)).min(left).min(buf.len());
        let polled = ready!(Pin::new(&mut this.io).poll_write(cx, &buf[..most]));
        let ended = this.tap.lock().directions[1 - this.out].ended;
        // That the other end is gone is known no sooner than the bytes arrive which it had sent before.
        let n = match polled {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !ended => most,
            written => written?,
        };
        this.writes.moved(n);
        let mut state = this.tap.lock();
        let alone = state.alone;
        let direction = &mut state.directions[this.out];
        direction.written.extend_from_slice(&buf[..n]);
        if alone {
            direction.read += n;
        }
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let buf = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, buf.map_or(&[], |buf| buf))
    }

    /// By the seed: both ways of writing have to be right.
    fn is_write_vectored(&self) -> bool {
        self.writes.random.0 & 1 == 0
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let fate = this.tap.lock().fate(this.out);
        match fate {
            Some(Cut::Failed(kind)) => Poll::Ready(Err(kind.into())),
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut this.io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let fate = this.tap.lock().fate(this.out);
        match fate {
            Some(Cut::Failed(kind)) => Poll::Ready(Err(kind.into())),
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut this.io).poll_shutdown(cx),
        }
    }
}
