//! h2's own codec: HEADERS with HPACK. Its feature `unstable` shows it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use h2::Codec;
use h2::frame::{Frame, Headers, Pseudo, StreamId};
use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::corpus::{HOST, Head, Message, SCHEME};
use crate::timed;

/// A transport that keeps what is written, or has all that is to be read.
#[derive(Default)]
struct Memory {
    read: io::Cursor<Vec<u8>>,
    written: Vec<u8>,
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn encode(messages: &[Message]) -> (Duration, Vec<u8>) {
    let mut cx = Context::from_waker(Waker::noop());
    let memory = Memory {
        written: Vec::with_capacity(messages.len() * 1024),
        ..Memory::default()
    };
    let mut codec = Codec::<_, Bytes>::new(memory);
    // A frame owns its headers: they are cloned here, where it does not count.
    let frames: Vec<_> = messages
        .iter()
        .map(|message| {
            let pseudo = match &message.head {
                Head::Request { method, path } => {
                    let uri = Uri::builder().scheme(SCHEME).authority(HOST);
                    let uri = uri.path_and_query(path.as_str()).build().expect("a URI");
                    Pseudo::request(method.clone(), uri, None)
                }
                Head::Response(status) => Pseudo::response(*status),
            };
            Headers::new(StreamId::from(1), pseudo, message.headers.clone())
        })
        .collect();
    timed(move || {
        for frame in frames {
            assert!(codec.poll_ready(&mut cx).is_ready());
            codec.buffer(Frame::Headers(frame)).expect("room");
        }
        assert!(codec.flush(&mut cx).is_ready());
        std::mem::take(&mut codec.get_mut().written)
    })
}

fn message(headers: Headers) -> Message {
    let (pseudo, headers) = headers.into_parts();
    let head = match (pseudo.method, pseudo.path, pseudo.status) {
        (Some(method), Some(path), None) => {
            assert_eq!(pseudo.authority.as_deref(), Some(HOST));
            assert_eq!(pseudo.scheme.as_deref(), Some(SCHEME));
            Head::Request {
                method,
                path: String::from(&*path),
            }
        }
        (None, None, Some(status)) => Head::Response(status),
        _ => panic!("neither a request nor a response"),
    };
    Message { head, headers }
}

pub(crate) fn decode(wire: &[u8], count: usize) -> (Duration, Vec<Message>) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut codec = Codec::<_, Bytes>::new(Memory {
        read: io::Cursor::new(wire.to_vec()),
        ..Memory::default()
    });
    let mut messages = Vec::with_capacity(count);
    timed(move || {
        while messages.len() < count {
            match Pin::new(&mut codec).poll_next(&mut cx) {
                Poll::Ready(Some(Ok(Frame::Headers(headers)))) => messages.push(message(headers)),
                Poll::Ready(Some(Ok(_))) => panic!("no HEADERS"),
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => panic!("no frame"),
            }
        }
        messages
    })
}
