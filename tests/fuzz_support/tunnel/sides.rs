//! Who uses a tunnel: one that reads to the end, and one that writes, flushes and shuts down. Each poll is judged.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use spdy::ws::Tunnel;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::{Fate, LARGEST, Line, Side, Socket, byte, bytes};

/// How often it is read behind the end.
const BEHIND_THE_END: usize = 3;

#[derive(Debug)]
pub(super) struct Reader {
    /// How much is read at most, at once.
    pub(super) size: usize,
    got: usize,
    /// The end was there already, and not told.
    late: bool,
    ends: usize,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            size: 100,
            got: 0,
            late: false,
            ends: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.ends >= BEHIND_THE_END
    }

    /// Whether a read is over.
    pub(super) fn poll(
        &mut self,
        tunnel: &mut Tunnel<Socket>,
        line: &Line,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.is_done() {
            return false;
        }
        line.begin(Side::Reader);
        let mut space = vec![0; self.size];
        let mut buf = ReadBuf::new(&mut space);
        let polled = Pin::new(tunnel).poll_read(cx, &mut buf);
        let filled = buf.filled();
        let mut state = line.state();
        match polled {
            Poll::Pending => {
                assert!(filled.is_empty(), "bytes come with a wait");
                // After many messages in one call it is the next one that tells.
                assert!(!self.late, "an end is not told");
                self.late = state.fate.is_some();
                return false;
            }
            Poll::Ready(Ok(())) if self.size == 0 => {}
            Poll::Ready(Ok(())) if filled.is_empty() => {
                assert_eq!(state.fate, Some(Fate::End), "an end out of nothing");
                assert_eq!(self.got, state.given, "an end before the last bytes");
                self.ends += 1;
            }
            Poll::Ready(Ok(())) => {
                let places = self.got..self.got + filled.len();
                let right = filled.iter().copied().eq(places.map(byte));
                assert!(right, "wrong bytes at {}", self.got);
                assert_eq!(self.ends, 0, "bytes behind the end");
                self.got += filled.len();
            }
            Poll::Ready(Err(error)) => {
                assert!(filled.is_empty(), "bytes come with an error");
                assert_eq!(self.got, state.given, "an error before the last bytes");
                if state.fate.is_none() {
                    // The answers to Pings have nowhere to go.
                    assert!(state.failed, "an error out of nothing: {error}");
                    state.fate = Some(Fate::Error(ErrorKind::ConnectionAborted));
                }
                let Some(Fate::Error(kind)) = state.fate else {
                    panic!("an end is told as {error}");
                };
                let kind = match self.ends {
                    0 => kind,
                    _ => ErrorKind::ConnectionAborted,
                };
                assert_eq!(error.kind(), kind, "{error}");
                assert!(!error.to_string().contains(char::is_control), "{error}");
                self.ends += 1;
            }
        }
        let held = usize::from(self.got < state.given);
        assert_eq!(state.held(), held, "messages are held");
        true
    }
}

#[derive(Clone, Debug)]
pub(super) enum Job {
    /// Slices of these sizes.
    Write(Vec<usize>),
    Flush,
    Shutdown,
}

#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) jobs: VecDeque<Job>,
}

impl Writer {
    pub(super) fn is_done(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether a call is over. A write that took a part goes on with the rest.
    pub(super) fn poll(
        &mut self,
        tunnel: &mut Tunnel<Socket>,
        line: &Line,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(job) = self.jobs.pop_front() else {
            return false;
        };
        line.begin(Side::Writer);
        let tunnel = Pin::new(tunnel);
        let again = match &job {
            Job::Write(sizes) => write(tunnel, line, cx, sizes),
            Job::Flush => flush(tunnel, line, cx),
            Job::Shutdown => shutdown(tunnel, line, cx),
        };
        let over = again.is_ready();
        match again {
            Poll::Pending => self.jobs.push_front(job),
            Poll::Ready(rest) => rest.into_iter().for_each(|rest| self.jobs.push_front(rest)),
        }
        over
    }
}

fn write(
    tunnel: Pin<&mut Tunnel<Socket>>,
    line: &Line,
    cx: &mut Context<'_>,
    sizes: &[usize],
) -> Poll<Option<Job>> {
    let (before, may_write) = {
        let state = line.state();
        (state.sent, state.may_write())
    };
    let mut at = before;
    let parts = sizes.iter().map(|size| {
        at += size;
        bytes(at - size, *size)
    });
    let parts: Vec<_> = parts.collect();
    let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let polled = match &parts[..] {
        [part] => tunnel.poll_write(cx, part),
        _ => tunnel.poll_write_vectored(cx, &slices),
    };
    let state = line.state();
    let sent = state.sent - before;
    let all: usize = sizes.iter().sum();
    match polled {
        Poll::Pending => {
            assert!(may_write && all > 0, "a write waits for nothing");
            assert_eq!(sent, 0, "a write that waits has sent something");
            Poll::Pending
        }
        Poll::Ready(Ok(n)) => {
            assert!(may_write, "a write behind the end is taken");
            assert_eq!(n, all.min(LARGEST), "a write is cut");
            assert_eq!(n, sent, "what was written is not what was sent");
            Poll::Ready(rest(sizes, n))
        }
        Poll::Ready(Err(error)) => {
            assert_eq!(sent, 0, "a write that has failed has sent something");
            let kind = match may_write {
                true => state.told,
                false => Some(ErrorKind::BrokenPipe),
            };
            assert_eq!(Some(error.kind()), kind, "{error}");
            Poll::Ready(None)
        }
    }
}

/// What is left of slices of these sizes behind the first bytes of them.
fn rest(sizes: &[usize], mut written: usize) -> Option<Job> {
    let rest: Vec<_> = sizes
        .iter()
        .map(|size| {
            let n = written.min(*size);
            written -= n;
            size - n
        })
        .collect();
    rest.iter()
        .any(|size| *size > 0)
        .then_some(Job::Write(rest))
}

fn flush(tunnel: Pin<&mut Tunnel<Socket>>, line: &Line, cx: &mut Context<'_>) -> Poll<Option<Job>> {
    let (failed, closed) = {
        let state = line.state();
        (state.failed, state.closed)
    };
    let polled = tunnel.poll_flush(cx);
    let state = line.state();
    match polled {
        Poll::Pending => {
            assert!(!failed && !closed, "a flush waits for nothing");
            Poll::Pending
        }
        Poll::Ready(Ok(())) => {
            assert!(!failed, "what has failed is flushed");
            assert!(state.flushed(), "something is not flushed");
            Poll::Ready(None)
        }
        Poll::Ready(Err(error)) => {
            let kind = match failed {
                true => Some(ErrorKind::BrokenPipe),
                false => state.told,
            };
            assert_eq!(Some(error.kind()), kind, "{error}");
            Poll::Ready(None)
        }
    }
}

fn shutdown(
    tunnel: Pin<&mut Tunnel<Socket>>,
    line: &Line,
    cx: &mut Context<'_>,
) -> Poll<Option<Job>> {
    let over = {
        let state = line.state();
        state.failed || state.closed
    };
    let polled = tunnel.poll_shutdown(cx);
    let state = line.state();
    match polled {
        Poll::Pending => {
            assert!(!over, "a shutdown waits for nothing");
            Poll::Pending
        }
        Poll::Ready(Ok(())) => {
            assert!(over || state.closed, "shut down without closing the sink");
            Poll::Ready(None)
        }
        Poll::Ready(Err(error)) => {
            assert!(!over, "an error is told again: {error}");
            assert_eq!(Some(error.kind()), state.told, "{error}");
            Poll::Ready(None)
        }
    }
}
