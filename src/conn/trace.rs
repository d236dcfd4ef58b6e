//! One debug event per frame, on one line: payloads by their length only, header blocks by their number of headers.

use std::fmt;

use crate::codec::DecodeError;
use crate::error::Error;
use crate::frame::{Frame, HeaderFrame, Received, ReceivedBlock, StreamId, SynStream};
use crate::headers::HeaderBlock;

/// The target of the events, so that they can be filtered: `RUST_LOG=spdy::frames=debug`.
const TARGET: &str = "spdy::frames";

/// Whether anyone listens: asked once a batch.
pub(crate) fn is_enabled() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
}

pub(crate) fn sent(frame: &Frame) {
    tracing::debug!(target: TARGET, frame = %Sent(frame), "sent");
}

pub(crate) fn received(frame: &Received) {
    tracing::debug!(target: TARGET, frame = %Got(frame), "received");
}

/// What cannot be decoded; the error names the frame, unless it is in the header block of this one.
pub(crate) fn refused(block_of: Option<(&str, StreamId)>, error: &DecodeError) {
    match block_of {
        Some((frame, id)) => {
            tracing::debug!(target: TARGET, frame = %format_args!("{frame} id={id}"), %error, "refused");
        }
        None => tracing::debug!(target: TARGET, %error, "refused"),
    }
}

/// A received frame as it is logged.
pub(crate) fn text(frame: &Received) -> String {
    Got(frame).to_string()
}

/// The frame that has ended the session.
pub(crate) fn culprit(frame: &str, error: &Error) {
    tracing::debug!(target: TARGET, frame = %frame, %error, "the session ends");
}

struct Sent<'a>(&'a Frame);

impl fmt::Display for Sent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Frame::SynStream(syn) => syn_stream(f, syn),
            Frame::SynReply(reply) => headers(f, "SYN_REPLY", reply),
            Frame::Headers(frame) => headers(f, "HEADERS", frame),
            Frame::RstStream(reset) => {
                write!(f, "RST_STREAM id={} status={}", reset.id, reset.status)
            }
            Frame::Settings(settings) => write!(f, "SETTINGS {settings}"),
            Frame::Ping(id) => write!(f, "PING id={id}"),
            Frame::GoAway(go_away) => write!(f, "{go_away}"),
            Frame::WindowUpdate(update) => write!(f, "{update}"),
            Frame::Data(data) => {
                write!(
                    f,
                    "DATA id={} len={}{}",
                    data.id,
                    data.payload.len(),
                    fin(data.fin)
                )
            }
        }
    }
}

struct Got<'a>(&'a Received);

impl fmt::Display for Got<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Received::SynStream(syn) => syn_stream(f, syn),
            Received::SynReply(reply) => headers(f, "SYN_REPLY", reply),
            Received::Headers(frame) => headers(f, "HEADERS", frame),
            Received::RstStream(reset) => {
                write!(f, "RST_STREAM id={} status={}", reset.id, reset.status)
            }
            Received::Settings(settings) => write!(f, "SETTINGS {settings}"),
            Received::Ping(id) => write!(f, "PING id={id}"),
            Received::GoAway(go_away) => write!(f, "{go_away}"),
            Received::WindowUpdate(update) => write!(f, "{update}"),
            Received::Data(piece) => {
                write!(f, "DATA id={}", piece.id.map_or(0, StreamId::get))?;
                if let Some(len) = piece.frame_len {
                    write!(f, " len={len}")?;
                }
                write!(f, " piece={}{}", piece.payload.len(), fin(piece.fin))
            }
            Received::Ignored { kind, len } => write!(f, "unknown type={kind} len={len}"),
        }
    }
}

fn fin(fin: bool) -> &'static str {
    if fin { " fin" } else { "" }
}

/// What a block tells of itself on one line.
trait Block {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl Block for HeaderBlock {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " headers={}", self.len())
    }
}

impl Block for ReceivedBlock {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ok(block) => block.write(f),
            Err(error) => write!(f, " bad headers ({error})"),
        }
    }
}

fn syn_stream<B: Block>(f: &mut fmt::Formatter<'_>, syn: &SynStream<B>) -> fmt::Result {
    write!(
        f,
        "SYN_STREAM id={} priority={}",
        syn.id,
        syn.priority.get()
    )?;
    if let Some(associated) = syn.associated {
        write!(f, " associated={associated}")?;
    }
    if syn.unidirectional {
        f.write_str(" unidirectional")?;
    }
    syn.block.write(f)?;
    f.write_str(fin(syn.fin))
}

fn headers<B: Block>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    frame: &HeaderFrame<B>,
) -> fmt::Result {
    write!(f, "{name} id={}", frame.id)?;
    frame.block.write(f)?;
    f.write_str(fin(frame.fin))
}
