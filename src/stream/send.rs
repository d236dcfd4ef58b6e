use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
#[cfg(feature = "kube")]
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;

#[cfg(feature = "kube")]
use crate::conn::Sleep;
use crate::conn::{Shared, Wait};
#[cfg(feature = "kube")]
use crate::error::Error;
use crate::error::Result;
use crate::frame::{ResetStatus, StreamId};
use crate::headers::HeaderBlock;
use crate::session::{Key, Session};

/// The writing direction of a stream.
///
/// Back-pressure is the peer's window, and 64 KiB queued per stream; a write completes when its bytes are queued.
/// Dropping it without [`finish`](Self::finish) or `shutdown` resets the stream with CANCEL: a half-written body
/// must not look whole.
#[derive(Debug)]
pub struct SendStream {
    shared: Arc<Shared>,
    key: Key,
}

impl SendStream {
    pub(crate) fn new(shared: Arc<Shared>, key: Key) -> Self {
        Self { shared, key }
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn with<R>(&self, f: impl FnOnce(&mut Session, Key) -> Result<R>) -> Result<R> {
        self.shared.with(|state| f(&mut state.session, self.key))?
    }

    /// The wire id; `None` until the SYN_STREAM is sent.
    #[must_use]
    pub fn id(&self) -> Option<StreamId> {
        self.with(|session, key| Ok(session.stream_id(key)))
            .ok()
            .flatten()
    }

    /// How many bytes the stream takes now; pending while it takes none.
    ///
    /// # Errors
    ///
    /// Why nothing more can be written.
    pub fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        let key = self.key;
        self.shared.poll_stream(cx, key, Wait::Write, |session| {
            let capacity = session.poll_capacity(key)?;
            Ok((capacity > 0).then_some(capacity))
        })
    }

    /// Waits until the stream takes bytes, then queues the whole chunk without copying it.
    ///
    /// # Errors
    ///
    /// Why nothing more can be written: the stream was reset, the session ended, or `finish` came before.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, nothing was queued.
    pub async fn send(&mut self, chunk: Bytes) -> Result<()> {
        let mut chunk = Some(chunk);
        poll_fn(|cx| self.poll_send(cx, &mut chunk)).await
    }

    /// Queues the chunk if there is room. One lock for both.
    fn poll_send(&self, cx: &mut Context<'_>, chunk: &mut Option<Bytes>) -> Poll<Result<()>> {
        let key = self.key;
        self.shared.poll_stream(cx, key, Wait::Write, |session| {
            if session.poll_capacity(key)? == 0 {
                return Ok(None);
            }
            if let Some(chunk) = chunk {
                session.write_from(key, chunk)?;
            }
            Ok(Some(()))
        })
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let key = self.key;
        self.shared.poll_stream(cx, key, Wait::Write, |session| {
            Ok(session.poll_flushed(key)?.then_some(()))
        })
    }

    /// Queues a chunk whole, then says whether there is room for another; else the task is woken when there is.
    /// One lock for both.
    #[cfg(feature = "http")]
    pub(crate) fn send_and_poll(
        &mut self,
        cx: &mut Context<'_>,
        mut chunk: Bytes,
    ) -> Result<Poll<()>> {
        let key = self.key;
        let room = self.shared.poll_stream(cx, key, Wait::Write, |session| {
            session.write_from(key, &mut chunk)?;
            Ok((session.poll_capacity(key)? > 0).then_some(()))
        });
        match room {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Answers with SYN_REPLY and queues the first chunk, all under one lock; `fin` ends our direction.
    #[cfg(feature = "http")]
    pub(crate) fn respond(
        &mut self,
        reply: HeaderBlock,
        mut chunk: Bytes,
        fin: bool,
    ) -> Result<()> {
        self.with(|session, key| {
            session.reply(key, reply, fin && chunk.is_empty())?;
            if !chunk.is_empty() {
                session.write_from(key, &mut chunk)?;
            }
            if fin { session.finish(key) } else { Ok(()) }
        })
    }

    /// Queues the last chunk and ends our direction, so that FIN rides on it.
    #[cfg(feature = "http")]
    pub(crate) fn send_last(&self, mut chunk: Bytes) -> Result<()> {
        self.with(|session, key| {
            if !chunk.is_empty() {
                session.write_from(key, &mut chunk)?;
            }
            session.finish(key)
        })
    }

    /// Queues a chunk if the stream takes bytes now, and says whether it did.
    #[cfg(feature = "kube")]
    pub(crate) fn try_send(&self, mut chunk: Bytes) -> Result<bool> {
        self.with(|session, key| {
            let room = session.poll_capacity(key)? > 0;
            if room {
                session.write_from(key, &mut chunk)?;
            }
            Ok(room)
        })
    }

    /// Queues a chunk and waits until it has been handed to the transport, for a handle that is shared. One task at a time.
    #[cfg(feature = "kube")]
    pub(crate) async fn send_through(&self, chunk: Bytes) -> Result<()> {
        let mut chunk = Some(chunk);
        poll_fn(|cx| self.poll_send(cx, &mut chunk)).await?;
        poll_fn(|cx| self.poll_sent(cx)).await
    }

    /// As [`finish`](Self::finish), for a handle that is shared.
    #[cfg(feature = "kube")]
    pub(crate) fn end(&self) -> Result<()> {
        self.with(Session::finish)
    }

    /// Waits until our SYN_REPLY is on its way: a reset before that would take it back.
    #[cfg(feature = "kube")]
    pub(crate) async fn replied(&self) {
        let key = self.key;
        let replied = poll_fn(|cx| {
            self.shared.poll_stream(cx, key, Wait::Write, |session| {
                Ok(session.poll_replied(key).then_some(()))
            })
        });
        // A session that has failed sends none.
        drop(replied.await);
    }

    /// Whether the stream, or its session, has ended early.
    #[cfg(feature = "kube")]
    pub(crate) fn is_lost(&self) -> bool {
        self.with(|session, key| Ok(session.is_lost(key)))
            .unwrap_or(true)
    }

    /// For [`Loss::poll`].
    #[cfg(feature = "kube")]
    pub(crate) fn loss(&self) -> Loss {
        Loss {
            shared: Arc::clone(&self.shared),
            key: self.key,
        }
    }

    /// Wakes the task when the stream ends, for a writer that waits for its source.
    ///
    /// # Errors
    ///
    /// Why nothing more can be written, if it ended already.
    #[cfg(feature = "http")]
    pub(crate) fn watch_end(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let key = self.key;
        let watched = self.shared.poll_stream(cx, key, Wait::Write, |session| {
            session.watch_end(key)?;
            Ok(None::<()>)
        });
        match watched {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends a HEADERS frame behind what was written.
    ///
    /// # Errors
    ///
    /// Why nothing more can be written, or a user error when 64 HEADERS are queued.
    pub fn send_headers(&mut self, headers: HeaderBlock) -> Result<()> {
        self.with(|session, key| session.send_headers(key, headers, false))
    }

    /// Sends a HEADERS frame behind what was written and ends our direction with it.
    ///
    /// # Errors
    ///
    /// As [`send_headers`](Self::send_headers).
    pub fn send_trailers(&mut self, trailers: HeaderBlock) -> Result<()> {
        self.with(|session, key| session.send_headers(key, trailers, true))
    }

    /// Ends our direction behind what was written; does not wait for it to be sent.
    ///
    /// # Errors
    ///
    /// The stream's own error if it ended early.
    pub fn finish(&mut self) -> Result<()> {
        self.with(Session::finish)
    }

    /// Resets the stream, both directions: RST_STREAM with this status; what was queued is dropped.
    pub fn reset(&self, status: ResetStatus) {
        // A session that failed has reset everything.
        drop(
            self.shared
                .with(|state| state.session.reset(self.key, status)),
        );
    }
}

/// Watches for the early end of a stream, beside whoever reads and writes it in the same task.
#[cfg(feature = "kube")]
#[derive(Debug)]
pub(crate) struct Loss {
    shared: Arc<Shared>,
    key: Key,
}

#[cfg(feature = "kube")]
impl Loss {
    /// Why the stream, or its session, has ended early. Never ready if it has come to its end.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Error> {
        let key = self.key;
        let watched = self.shared.poll_stream(cx, key, Wait::Write, |session| {
            session.watch_loss(key)?;
            Ok(None::<()>)
        });
        match watched {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            _ => Poll::Pending,
        }
    }

    /// Sleeps by the clock of the connection; `None` if it has no timers.
    pub(crate) fn sleep(&self, time: Duration) -> Option<Sleep> {
        let at = self.shared.now().checked_add(time)?;
        self.shared.clock().sleep_until(at)
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Whoever was writing has failed: the peer should know it from a mere cancel.
            drop(self.shared.with(|state| {
                if !state.session.is_finished_sending(self.key) {
                    state.session.reset(self.key, ResetStatus::INTERNAL_ERROR);
                }
            }));
        }
        self.shared.drop_send(self.key);
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let key = self.key;
        let written = self.shared.poll_stream(cx, key, Wait::Write, |session| {
            let n = session.write_slice(key, buf)?;
            Ok((n > 0).then_some(n))
        });
        written.map_err(Into::into)
    }

    /// Waits until what was written has been handed to the transport.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sent(cx).map_err(Into::into)
    }

    /// Half-closes: FIN behind what was written; waits until it has been handed to the transport.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let key = self.key;
        let finished = self.shared.poll_stream(cx, key, Wait::Write, |session| {
            session.finish(key)?;
            Ok(session.poll_finished(key)?.then_some(()))
        });
        ready!(finished)?;
        Poll::Ready(Ok(()))
    }
}
