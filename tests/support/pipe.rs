//! An in-memory transport with faults.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One direction.
#[derive(Debug)]
struct Channel {
    bytes: BytesMut,
    /// How many bytes it holds before the writer has to wait.
    capacity: usize,
    /// How many bytes a read gives at most.
    piece: usize,
    /// How many bytes a write takes at most.
    write_piece: usize,
    /// How many bytes may still be read before `end` happens.
    left: usize,
    /// No more will be written.
    shut: bool,
    read_error: Option<io::ErrorKind>,
    write_error: Option<io::ErrorKind>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// How many bytes were taken from the writer.
    written: usize,
    /// How many write calls took bytes.
    writes: usize,
    /// How many read calls were made.
    reads: usize,
}

impl Channel {
    fn new() -> Self {
        Self {
            bytes: BytesMut::new(),
            capacity: usize::MAX,
            piece: usize::MAX,
            write_piece: usize::MAX,
            left: usize::MAX,
            shut: false,
            read_error: None,
            write_error: None,
            reader: None,
            writer: None,
            written: 0,
            writes: 0,
            reads: 0,
        }
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.reads += 1;
        let n = buf
            .remaining()
            .min(self.bytes.len())
            .min(self.piece)
            .min(self.left);
        if n > 0 {
            buf.put_slice(&self.bytes[..n]);
            self.bytes.advance(n);
            if self.left != usize::MAX {
                self.left -= n;
            }
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
            return Poll::Ready(Ok(()));
        }
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(kind) = self.read_error {
            return Poll::Ready(Err(kind.into()));
        }
        if self.left == 0 || (self.shut && self.bytes.is_empty()) {
            return Poll::Ready(Ok(()));
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.write_error {
            return Poll::Ready(Err(kind.into()));
        }
        if self.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut room = self.capacity.saturating_sub(self.bytes.len());
        if room == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        room = room.min(self.write_piece);
        let mut taken = 0;
        for buf in bufs {
            let n = buf.len().min(room);
            self.bytes.extend_from_slice(&buf[..n]);
            room -= n;
            taken += n;
        }
        self.written += taken;
        self.writes += 1;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(taken))
    }
}

type Shared = Arc<Mutex<Channel>>;

fn lock(channel: &Shared) -> MutexGuard<'_, Channel> {
    channel.lock().unwrap()
}

/// Our end of the transport: what the driver gets.
#[derive(Debug)]
pub(crate) struct Io {
    input: Shared,
    output: Shared,
    vectored: bool,
}

impl Io {
    /// As a transport without vectored writes.
    pub(crate) fn not_vectored(mut self) -> Self {
        self.vectored = false;
        self
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        lock(&self.input).poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        lock(&self.output).poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(self.vectored, "vectored write on a transport without it");
        lock(&self.output).poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match lock(&self.output).write_error {
            Some(kind) => Poll::Ready(Err(kind.into())),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut output = lock(&self.output);
        output.shut = true;
        output.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        for channel in [&self.input, &self.output] {
            let mut channel = lock(channel);
            channel.shut = true;
            channel.wake();
        }
    }
}

/// The peer's end of the transport, and the control over both directions. "In" is towards us, "out" from us.
#[derive(Debug)]
pub(crate) struct Wire {
    input: Shared,
    output: Shared,
}

/// A transport without limits or faults; [`Wire`] sets them.
pub(crate) fn pipe() -> (Io, Wire) {
    super::trace::start();
    let input = Arc::new(Mutex::new(Channel::new()));
    let output = Arc::new(Mutex::new(Channel::new()));
    let wire = Wire {
        input: Arc::clone(&input),
        output: Arc::clone(&output),
    };
    let io = Io {
        input,
        output,
        vectored: true,
    };
    (io, wire)
}

impl Wire {
    fn input(&self, change: impl FnOnce(&mut Channel)) {
        let mut channel = lock(&self.input);
        change(&mut channel);
        channel.wake();
    }

    fn output(&self, change: impl FnOnce(&mut Channel)) {
        let mut channel = lock(&self.output);
        change(&mut channel);
        channel.wake();
    }

    /// Our writes block once this many bytes were not read by the peer; 0 blocks them at once.
    pub(crate) fn set_out_capacity(&self, bytes: usize) {
        self.output(|channel| channel.capacity = bytes);
    }

    /// Our writes take at most this many bytes each, and are never blocked by it.
    pub(crate) fn set_out_piece(&self, bytes: usize) {
        self.output(|channel| channel.write_piece = bytes);
    }

    /// The peer's writes block once this many bytes were not read by us.
    pub(crate) fn set_in_capacity(&self, bytes: usize) {
        self.input(|channel| channel.capacity = bytes);
    }

    /// Our reads give at most this many bytes each.
    pub(crate) fn set_in_piece(&self, bytes: usize) {
        self.input(|channel| channel.piece = bytes);
    }

    /// After this many more bytes our reads see the end, whatever was written.
    pub(crate) fn cut_in_after(&self, bytes: usize) {
        self.input(|channel| channel.left = bytes);
    }

    /// The peer writes no more: we see the end behind what it wrote.
    pub(crate) fn shut_in(&self) {
        self.input(|channel| channel.shut = true);
    }

    /// Our reads fail behind what was written.
    pub(crate) fn fail_reads(&self, kind: io::ErrorKind) {
        self.input(|channel| channel.read_error = Some(kind));
    }

    /// Our writes fail.
    pub(crate) fn fail_writes(&self, kind: io::ErrorKind) {
        self.output(|channel| channel.write_error = Some(kind));
    }

    /// How many bytes we have written in all.
    pub(crate) fn written(&self) -> usize {
        lock(&self.output).written
    }

    /// How many of our write calls took bytes.
    pub(crate) fn writes(&self) -> usize {
        lock(&self.output).writes
    }

    /// How many read calls we have made.
    pub(crate) fn reads(&self) -> usize {
        lock(&self.input).reads
    }

    /// How many bytes of the peer we have not read.
    pub(crate) fn unread_in(&self) -> usize {
        lock(&self.input).bytes.len()
    }

    /// How many of our bytes the peer has not read.
    pub(crate) fn unread_out(&self) -> usize {
        lock(&self.output).bytes.len()
    }

    /// Whether we have shut our direction down.
    pub(crate) fn is_out_shut(&self) -> bool {
        lock(&self.output).shut
    }

    /// Writes towards us.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let buf = bytes;
            let n = poll_fn(|cx| lock(&self.input).poll_write(cx, &[IoSlice::new(buf)])).await?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Appends what we have written to `into`; 0 is the end.
    pub(crate) async fn read(&self, into: &mut BytesMut) -> io::Result<usize> {
        let mut buf = vec![0; 16 * 1024];
        let mut buf = ReadBuf::new(&mut buf);
        poll_fn(|cx| lock(&self.output).poll_read(cx, &mut buf)).await?;
        into.extend_from_slice(buf.filled());
        Ok(buf.filled().len())
    }
}
