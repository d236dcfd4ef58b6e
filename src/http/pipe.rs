//! From a body of the application to a stream. `B: Buf` ends here: below, payloads are `Bytes`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

use super::BoxError;
use super::body::into_error;
use super::message::trailers_to_block;
use crate::error::{Error, Result};
use crate::frame::ResetStatus;
use crate::headers::HeaderBlock;
use crate::stream::SendStream;

pin_project! {
    /// Sends a body, then FIN, on the last DATA if it can ride there.
    ///
    /// The body is polled only while its stream takes bytes, so what is queued is bounded whatever the body yields,
    /// except that its last chunk is queued whole. Ends early, with an error, when the stream does.
    #[derive(Debug)]
    pub(crate) struct Pipe<B> {
        send: SendStream,
        #[pin]
        body: B,
        // The status of the RST_STREAM when the body fails.
        failure: ResetStatus,
        // The SYN_REPLY, until the first chunk goes with it.
        reply: Option<HeaderBlock>,
        room: bool,
        // What is left of the length that the body has announced, and we with it.
        left: Option<u64>,
    }
}

impl<B: Body> Pipe<B> {
    pub(crate) fn new(send: SendStream, body: B, failure: ResetStatus) -> Self {
        let left = body.size_hint().exact();
        Self {
            send,
            body,
            failure,
            reply: None,
            room: false,
            left,
        }
    }

    /// As [`Pipe::new`], with a SYN_REPLY in front: a body that is there at once costs one lock in all.
    ///
    /// The first poll of the body does not ask for room: at the start of a stream there is some, unless the peer
    /// announced a window of 0, and then one chunk waits.
    pub(crate) fn with_reply(
        send: SendStream,
        reply: HeaderBlock,
        body: B,
        failure: ResetStatus,
    ) -> Self {
        Self {
            reply: Some(reply),
            room: true,
            ..Self::new(send, body, failure)
        }
    }
}

impl<B> Future for Pipe<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut this = self.project();
        loop {
            if !*this.room {
                ready!(this.send.poll_capacity(cx))?;
                *this.room = true;
            }
            let frame = match this.body.as_mut().poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    if let Some(reply) = this.reply.take() {
                        this.send.respond(reply, Bytes::new(), false)?;
                    }
                    // Nobody polls the body for a stream that is over.
                    this.send.watch_end(cx)?;
                    return Poll::Pending;
                }
            };
            let last = this.body.is_end_stream();
            if !fits(this.left, frame.as_ref(), last) {
                this.send.reset(*this.failure);
                return Poll::Ready(Err(Error::user(
                    "the body is not as long as its size_hint says",
                )));
            }
            let frame = match frame {
                None => {
                    return Poll::Ready(match this.reply.take() {
                        Some(reply) => this.send.respond(reply, Bytes::new(), true),
                        None => this.send.finish(),
                    });
                }
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let error = into_error(error);
                    // A tunnel that was dropped is given up, not broken.
                    let status = if error.is_canceled() {
                        ResetStatus::CANCEL
                    } else {
                        *this.failure
                    };
                    this.send.reset(status);
                    if error.is_body() {
                        return Poll::Ready(Err(error));
                    }
                    // One of ours, from another connection: it must not pass for the end of this stream.
                    return Poll::Ready(Err(Error::body("the body failed", error)));
                }
            };
            match frame.into_data() {
                Ok(mut data) => {
                    let chunk = data.copy_to_bytes(data.remaining());
                    if let Some(reply) = this.reply.take() {
                        this.send.respond(reply, chunk, last)?;
                        if last {
                            return Poll::Ready(Ok(()));
                        }
                        *this.room = false;
                        continue;
                    }
                    if last {
                        return Poll::Ready(this.send.send_last(chunk));
                    }
                    if !chunk.is_empty() && this.send.send_and_poll(cx, chunk)?.is_pending() {
                        *this.room = false;
                        return Poll::Pending;
                    }
                }
                Err(frame) => {
                    let Ok(trailers) = frame.into_trailers() else {
                        continue;
                    };
                    if let Some(reply) = this.reply.take() {
                        this.send.respond(reply, Bytes::new(), false)?;
                    }
                    let block = match trailers_to_block(&trailers) {
                        Ok(head) => head.block,
                        Err(error) => {
                            this.send.reset(*this.failure);
                            return Poll::Ready(Err(error));
                        }
                    };
                    // FIN follows in an empty DATA frame: on HEADERS it is as legal (section 2.6.7), but node's spdy
                    // does not look for it there, and would wait for the end for ever.
                    if !block.is_empty() {
                        this.send.send_headers(block)?;
                    }
                    return Poll::Ready(this.send.finish());
                }
            }
        }
    }
}

/// Whether a frame of the body fits the length that the body has announced, of which `left` is left; `last` says that
/// nothing follows. Section 3.2.2 lets receivers ignore a wrong content-length, so that a body cut short would look
/// whole: it is for the sender to end such a stream.
fn fits<D: Buf, E>(
    left: &mut Option<u64>,
    frame: Option<&Result<Frame<D>, E>>,
    last: bool,
) -> bool {
    let Some(left) = left else { return true };
    let (bytes, last) = match frame {
        Some(Ok(frame)) => {
            let bytes = frame.data_ref().map_or(0, Buf::remaining) as u64;
            (bytes, last || frame.is_trailers())
        }
        // Ends by its error.
        Some(Err(_)) => return true,
        None => (0, true),
    };
    match left.checked_sub(bytes) {
        Some(rest) => {
            *left = rest;
            rest == 0 || !last
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_to_be_as_long_as_announced() {
        let data = |n: usize| Ok::<_, ()>(Frame::data(Bytes::from(vec![0; n])));
        let mut left = Some(10);
        assert!(fits(&mut left, Some(&data(4)), false));
        assert!(fits(&mut left, Some(&data(6)), true));
        assert!(fits::<Bytes, ()>(&mut left, None, true));
        assert!(!fits(&mut left, Some(&data(1)), false), "too long");
        assert!(!fits(&mut Some(10), Some(&data(4)), true), "too short");
        assert!(!fits::<Bytes, ()>(&mut Some(1), None, false), "too short");
        let trailers = Ok::<Frame<Bytes>, ()>(Frame::trailers(http::HeaderMap::new()));
        assert!(
            !fits(&mut Some(1), Some(&trailers), false),
            "cut by trailers"
        );
        assert!(fits(&mut None, Some(&data(7)), true), "nothing announced");
    }
}
