//! Our codec: SYN_STREAM and SYN_REPLY.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use spdy::HeaderCompression;
use spdy::codec::{Decoder, DecoderLimits, Encoder, OutBuf};
use spdy::frame::{Frame, HeaderFrame, Priority, Received, StreamId, SynStream, Version};
use spdy::headers::HeaderBlock;

use crate::corpus::{HOST, Head, Message, SCHEME};
use crate::timed;

/// Blocks encoded before the output is taken away, as a write would.
const BATCH: usize = 64;

fn block(message: &Message) -> HeaderBlock {
    let headers = &message.headers;
    // Room for what the corpora have.
    let mut block = HeaderBlock::builder_with_capacity(headers.len() + 5, 768);
    let mut push = |name: &str, value: &[u8]| {
        block.push(name, value).expect("a header");
    };
    match &message.head {
        Head::Request { method, path } => {
            push(":method", method.as_str().as_bytes());
            push(":path", path.as_bytes());
            push(":version", b"HTTP/1.1");
            push(":host", HOST.as_bytes());
            push(":scheme", SCHEME.as_bytes());
        }
        Head::Response(status) => {
            push(":status", status.as_str().as_bytes());
            push(":version", b"HTTP/1.1");
        }
    }
    for (name, value) in headers {
        push(name.as_str(), value.as_bytes());
    }
    block.finish()
}

pub(crate) fn encode(messages: &[Message], compression: HeaderCompression) -> (Duration, Vec<u8>) {
    let id = StreamId::new(1).expect("not 0");
    let mut encoder = Encoder::new(Version::Spdy31, compression);
    let mut wire = Vec::with_capacity(messages.len() * 1024);
    timed(|| {
        let mut out = OutBuf::new();
        for batch in messages.chunks(BATCH) {
            for message in batch {
                let block = block(message);
                let frame = match &message.head {
                    Head::Request { .. } => Frame::SynStream(SynStream {
                        id,
                        associated: None,
                        priority: Priority::new(3),
                        fin: true,
                        unidirectional: false,
                        block,
                    }),
                    Head::Response(_) => Frame::SynReply(HeaderFrame {
                        id,
                        fin: false,
                        block,
                    }),
                };
                encoder.encode(&frame, &mut out);
            }
            while out.has_remaining() {
                let chunk = out.chunk();
                wire.extend_from_slice(chunk);
                out.advance(chunk.len());
            }
        }
        wire
    })
}

fn message(block: &HeaderBlock) -> Message {
    let mut method = None;
    let mut path = None;
    let mut status = None;
    let mut headers = HeaderMap::with_capacity(block.len());
    for (name, value) in block.iter_bytes() {
        match name {
            ":method" => method = Method::from_bytes(&value).ok(),
            ":path" => path = String::from_utf8(value.to_vec()).ok(),
            ":status" => status = StatusCode::from_bytes(&value).ok(),
            ":host" => assert_eq!(value, HOST),
            ":scheme" => assert_eq!(value, SCHEME),
            ":version" => {}
            _ => {
                let name = HeaderName::from_lowercase(name.as_bytes()).expect("a name");
                let value = HeaderValue::from_maybe_shared(value).expect("a value");
                headers.append(name, value);
            }
        }
    }
    let head = match (method, path, status) {
        (Some(method), Some(path), None) => Head::Request { method, path },
        (None, None, Some(status)) => Head::Response(status),
        _ => panic!("neither a request nor a response"),
    };
    Message { head, headers }
}

pub(crate) fn decode(wire: &[u8], count: usize) -> (Duration, Vec<Message>) {
    let mut decoder = Decoder::new(Version::Spdy31, DecoderLimits::default());
    let mut messages = Vec::with_capacity(count);
    timed(|| {
        let mut input = BytesMut::new();
        // As from reads of 16 KiB.
        for read in wire.chunks(16 << 10) {
            input.extend_from_slice(read);
            while let Some(frame) = decoder.decode(&mut input).expect("frames") {
                let block = match frame {
                    Received::SynStream(syn) => syn.block,
                    Received::SynReply(reply) => reply.block,
                    other => panic!("{other:?}"),
                };
                messages.push(message(&block.expect("a block")));
            }
        }
        messages
    })
}
