//! From a body of the application to a stream. `B: Buf` ends here: below, payloads are `Bytes`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Body;
use pin_project_lite::pin_project;

use super::BoxError;
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
    }
}

impl<B> Pipe<B> {
    pub(crate) fn new(send: SendStream, body: B, failure: ResetStatus) -> Self {
        Self {
            send,
            body,
            failure,
            reply: None,
            room: false,
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
            send,
            body,
            failure,
            reply: Some(reply),
            room: true,
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
            let frame = match frame {
                None => {
                    return Poll::Ready(match this.reply.take() {
                        Some(reply) => this.send.respond(reply, Bytes::new(), true),
                        None => this.send.finish(),
                    });
                }
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let error: BoxError = error.into();
                    // A tunnel that was dropped is given up, not broken.
                    let given_up = error
                        .downcast_ref::<Error>()
                        .is_some_and(Error::is_canceled);
                    this.send.reset(if given_up {
                        ResetStatus::CANCEL
                    } else {
                        *this.failure
                    });
                    // Wrapped even if it is one of ours, from another connection: it must not pass for the end of this
                    // stream.
                    return Poll::Ready(Err(Error::body("the body failed", error)));
                }
            };
            match frame.into_data() {
                Ok(mut data) => {
                    let chunk = data.copy_to_bytes(data.remaining());
                    let last = this.body.is_end_stream();
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
