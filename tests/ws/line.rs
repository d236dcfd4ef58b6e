//! A WebSocket that a test plays: what arrives is scripted, what is sent is kept.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use spdy::ws::Tunnel;

use super::websocket::Plain;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) incoming: VecDeque<io::Result<Plain>>,
    /// No more will come.
    pub(crate) ended: bool,
    /// Where nothing else is there to be received, this is, again and again.
    pub(crate) endless: Option<Plain>,
    /// How often a message was asked for.
    pub(crate) polls: usize,
    pub(crate) sent: Vec<Plain>,
    /// How many more messages are taken.
    pub(crate) room: usize,
    /// Flushing waits.
    pub(crate) stuck: bool,
    /// How many of those sent were flushed.
    pub(crate) flushed: usize,
    pub(crate) closes: usize,
    /// How many more times closing the sink has to be asked for, and how it goes then.
    pub(crate) close_waits: usize,
    pub(crate) close_error: Option<io::ErrorKind>,
    pub(crate) write_error: Option<io::ErrorKind>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The test's hold on the socket.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<Mutex<State>>);

/// The socket.
#[derive(Debug)]
pub(crate) struct Socket(Line);

/// A tunnel through a scripted socket.
pub(crate) fn tunnel() -> (Tunnel<Socket>, Line) {
    let line = Line(Arc::new(Mutex::new(State {
        incoming: VecDeque::new(),
        ended: false,
        endless: None,
        polls: 0,
        sent: Vec::new(),
        room: usize::MAX,
        stuck: false,
        flushed: 0,
        closes: 0,
        close_waits: 0,
        close_error: None,
        write_error: None,
        reader: None,
        writer: None,
    })));
    (Tunnel::new(Socket(line.clone())), line)
}

impl Line {
    /// Looks at it or changes it; wakes whoever waits.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.0.lock().unwrap();
        let result = change(&mut state);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        result
    }

    pub(crate) fn receive(&self, message: Plain) {
        self.with(|state| state.incoming.push_back(Ok(message)));
    }

    pub(crate) fn receive_bytes(&self, bytes: &[u8]) {
        self.receive(Plain::Binary(Bytes::copy_from_slice(bytes)));
    }

    pub(crate) fn sent(&self) -> Vec<Plain> {
        self.with(|state| state.sent.clone())
    }

    /// The bytes in what was sent.
    pub(crate) fn sent_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in self.sent() {
            if let Plain::Binary(part) = message {
                bytes.extend_from_slice(&part);
            }
        }
        bytes
    }
}

impl Stream for Socket {
    type Item = io::Result<Plain>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.0.lock().unwrap();
        state.polls += 1;
        if let Some(message) = state.incoming.pop_front() {
            return Poll::Ready(Some(message));
        }
        if let Some(message) = &state.endless {
            return Poll::Ready(Some(Ok(message.clone())));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Socket {
    fn check(&self) -> io::Result<()> {
        match self.0.0.lock().unwrap().write_error {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }
}

impl Sink<Plain> for Socket {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let mut state = self.0.0.lock().unwrap();
        if state.room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: Plain) -> io::Result<()> {
        self.check()?;
        let mut state = self.0.0.lock().unwrap();
        assert!(state.room > 0, "sent without being ready");
        assert_eq!(state.closes, 0, "sent behind the close of the sink");
        state.room -= 1;
        state.sent.push(message);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let mut state = self.0.0.lock().unwrap();
        if state.stuck {
            // The one who asked last is woken, as by most sinks.
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.flushed = state.sent.len();
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let mut state = self.0.0.lock().unwrap();
        state.closes += 1;
        if state.close_waits > 0 {
            state.close_waits -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.flushed = state.sent.len();
        Poll::Ready(state.close_error.map_or(Ok(()), |kind| Err(kind.into())))
    }
}
