//! `--trace`: a transport that shows each frame as its bytes pass.
//!
//! Copies of both directions go through decoders of their own, so that what is shown is what was on the wire, and not
//! what the library meant to send.

use std::fmt::Write as _;
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::BytesMut;
use spdy::codec::{Decoder, DecoderLimits};
use spdy::frame::{DataPiece, Received, ReceivedBlock, StreamId, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A transport, watched or not.
pub(crate) struct Traced<T> {
    io: T,
    trace: Option<Box<Trace>>,
}

struct Trace {
    sent: Direction,
    received: Direction,
}

/// One direction of the connection.
struct Direction {
    arrow: char,
    since: Instant,
    decoder: Decoder,
    buffer: BytesMut,
    /// The DATA frame whose payload is passing, and its Length.
    data: Option<(Option<StreamId>, u32)>,
    /// Nothing more is shown: the bytes could not be followed, or ended.
    over: bool,
}

impl<T> Traced<T> {
    pub(crate) fn new(io: T, show: bool) -> Self {
        let trace = show.then(|| {
            let since = Instant::now();
            Box::new(Trace {
                sent: Direction::new('>', since),
                received: Direction::new('<', since),
            })
        });
        Self { io, trace }
    }
}

impl Direction {
    fn new(arrow: char, since: Instant) -> Self {
        // Wider than the session's own: what it refuses should still be seen.
        let mut limits = DecoderLimits::default();
        limits.block.max_list_size = 1 << 20;
        limits.block.max_values = 10_000;
        limits.max_control_frame_size = 1 << 20;
        Self {
            arrow,
            since,
            decoder: Decoder::new(Version::Spdy31, limits),
            buffer: BytesMut::new(),
            data: None,
            over: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        if self.over {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        loop {
            match self.decoder.decode(&mut self.buffer) {
                Ok(Some(Received::Data(piece))) => self.data(&piece),
                Ok(Some(frame)) => self.line(&describe(&frame)),
                Ok(None) => return,
                Err(error) => {
                    self.over = true;
                    self.line(&format!("? {error}; no more is shown of this direction"));
                    return;
                }
            }
        }
    }

    /// A DATA frame is shown when it is whole.
    fn data(&mut self, piece: &DataPiece) {
        if let Some(len) = piece.frame_len {
            self.data = Some((piece.id, len));
        }
        if !piece.last {
            return;
        }
        if let Some((id, len)) = self.data.take() {
            let mut text = format!("DATA id={} len={len}", id.map_or(0, StreamId::get));
            fin(&mut text, piece.fin);
            self.line(&text);
        }
    }

    fn end(&mut self, what: &str) {
        if self.over {
            return;
        }
        self.over = true;
        match self.data {
            Some((id, len)) => {
                let id = id.map_or(0, StreamId::get);
                self.line(&format!("{what} inside DATA id={id} len={len}"));
            }
            None if !self.decoder.is_at_boundary() || !self.buffer.is_empty() => {
                self.line(&format!("{what} inside a frame"));
            }
            None => self.line(what),
        }
    }

    fn line(&self, text: &str) {
        let at = self.since.elapsed().as_secs_f64() * 1000.0;
        // Nobody may be there to see it: that ends nothing.
        drop(writeln!(io::stderr(), "{at:9.3} ms {} {text}", self.arrow));
    }
}

fn fin(text: &mut String, fin: bool) {
    if fin {
        text.push_str(" fin");
    }
}

fn describe(frame: &Received) -> String {
    match frame {
        Received::SynStream(syn) => {
            let mut text = format!("SYN_STREAM id={} prio={}", syn.id, syn.priority.get());
            if let Some(associated) = syn.associated {
                add(&mut text, format_args!(" assoc={associated}"));
            }
            fin(&mut text, syn.fin);
            if syn.unidirectional {
                text.push_str(" unidirectional");
            }
            block(&mut text, &syn.block);
            text
        }
        Received::SynReply(reply) => {
            let mut text = format!("SYN_REPLY id={}", reply.id);
            fin(&mut text, reply.fin);
            block(&mut text, &reply.block);
            text
        }
        Received::Headers(headers) => {
            let mut text = format!("HEADERS id={}", headers.id);
            fin(&mut text, headers.fin);
            block(&mut text, &headers.block);
            text
        }
        Received::RstStream(rst) => format!("RST_STREAM id={} {}", rst.id, rst.status),
        Received::Settings(settings) => {
            let mut text = "SETTINGS".to_owned();
            if settings.clear {
                text.push_str(" clear");
            }
            for (id, setting) in settings.iter() {
                add(&mut text, format_args!(" {id:?}={}", setting.value));
            }
            text
        }
        Received::Ping(id) => format!("PING id={id}"),
        Received::GoAway(goaway) => {
            let last = goaway.last_good.map_or(0, StreamId::get);
            format!("GOAWAY last={last} {}", goaway.status)
        }
        Received::WindowUpdate(update) => {
            let id = update.id.map_or(0, StreamId::get);
            format!("WINDOW_UPDATE id={id} delta={}", update.delta)
        }
        Received::Data(piece) => format!("DATA len={}", piece.payload.len()),
        Received::Ignored { kind, len } => format!("unknown type={kind} len={len}"),
    }
}

fn block(text: &mut String, block: &ReceivedBlock) {
    match block {
        Ok(block) => {
            for (name, value) in block.iter() {
                // As in the Debug of the library.
                let hidden = matches!(
                    name,
                    "cookie" | "set-cookie" | "authorization" | "proxy-authorization"
                );
                if hidden {
                    add(text, format_args!(" {name}=<hidden>"));
                } else {
                    add(text, format_args!(" {name}=\"{}\"", value.escape_ascii()));
                }
            }
        }
        Err(error) => add(text, format_args!(" faulty headers: {error}")),
    }
}

fn add(text: &mut String, what: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = text.write_fmt(what);
}

impl<T: AsyncRead + Unpin> AsyncRead for Traced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if let Some(trace) = &mut self.trace {
            let received = buf.filled().get(before..).unwrap_or_default();
            match &result {
                Ok(()) if received.is_empty() => trace.received.end("end"),
                Ok(()) => trace.received.feed(received),
                Err(error) => trace.received.end(&error.to_string()),
            }
        }
        Poll::Ready(result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Traced<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        if let (Some(trace), Ok(n)) = (&mut self.trace, &written) {
            trace.sent.feed(buf.get(..*n).unwrap_or_default());
        }
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs));
        if let (Some(trace), Ok(n)) = (&mut self.trace, &written) {
            let mut left = *n;
            for buf in bufs {
                let n = left.min(buf.len());
                trace.sent.feed(buf.get(..n).unwrap_or_default());
                left -= n;
            }
        }
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
        if let Some(trace) = &mut self.trace {
            trace.sent.end("end");
        }
        Poll::Ready(result)
    }
}
