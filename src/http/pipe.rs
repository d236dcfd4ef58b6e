//! From a body of the application to a stream. `B: Buf` ends here: below, payloads are `Bytes`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::into_error;
use super::message::trailers_to_block;
use super::BoxError;
use crate::error::Result;
use crate::frame::ResetStatus;
use crate::stream::SendStream;

pin_project! {
    /// Sends a body, then FIN, on the last DATA or the trailers if it can ride there.
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
        room: bool,
    }
}

impl<B> Pipe<B> {
    pub(crate) fn new(send: SendStream, body: B, failure: ResetStatus) -> Self {
        Self { send, body, failure, room: false }
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
                    // Nobody polls the body for a stream that is over.
                    this.send.watch_end(cx)?;
                    return Poll::Pending;
                }
            };
            let frame = match frame {
                None => return Poll::Ready(this.send.finish()),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    this.send.reset(*this.failure);
                    return Poll::Ready(Err(into_error(error)));
                }
            };
            match frame.into_data() {
                Ok(mut data) => {
                    let chunk = data.copy_to_bytes(data.remaining());
                    if this.body.is_end_stream() {
                        return Poll::Ready(this.send.send_last(chunk));
                    }
                    if !chunk.is_empty() && this.send.send_and_poll(cx, chunk)?.is_pending() {
                        *this.room = false;
                        return Poll::Pending;
                    }
                }
                Err(frame) => {
                    let Ok(trailers) = frame.into_trailers() else { continue };
                    let block = match trailers_to_block(&trailers) {
                        Ok(head) => head.block,
                        Err(error) => {
                            this.send.reset(*this.failure);
                            return Poll::Ready(Err(error));
                        }
                    };
                    return Poll::Ready(if block.is_empty() {
                        this.send.finish()
                    } else {
                        this.send.send_trailers(block)
                    });
                }
            }
        }
    }
}
