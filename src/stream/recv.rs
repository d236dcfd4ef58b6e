use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use crate::conn::{Shared, Wait};
use crate::error::Result;
use crate::frame::{ResetStatus, StreamId};
use crate::headers::HeaderBlock;
use crate::session::{Key, Read, Session};

/// The reading direction of a stream.
///
/// What is read is credited to the peer, and only that: a reader that stops stops its peer, and nobody else.
/// Dropping it discards what still arrives; once our direction has ended too, the stream is reset with CANCEL.
#[derive(Debug)]
pub struct RecvStream {
    shared: Arc<Shared>,
    key: Key,
}

impl RecvStream {
    pub(crate) fn new(shared: Arc<Shared>, key: Key) -> Self {
        Self { shared, key }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Session, Key) -> R) -> Result<R> {
        self.shared.with(|state| f(&mut state.session, self.key))
    }

    /// The wire id; `None` until the SYN_STREAM is sent.
    #[must_use]
    pub fn id(&self) -> Option<StreamId> {
        self.with(|session, key| session.stream_id(key))
            .ok()
            .flatten()
    }

    /// Waits for the SYN_REPLY to a stream that this side opened. The headers can be taken once.
    ///
    /// # Errors
    ///
    /// The stream's own error if it was reset before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn reply(&mut self) -> Result<HeaderBlock> {
        poll_fn(|cx| self.poll_reply(cx)).await
    }

    /// As [`reply`](Self::reply), for hand-written futures.
    pub fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<HeaderBlock>> {
        let key = self.key;
        self.shared
            .poll_stream(cx, key, Wait::Reply, |session| session.take_reply(key))
    }

    /// The next bytes, as they arrived; `None` is the end of the peer's direction.
    ///
    /// # Errors
    ///
    /// The stream's own error, behind all bytes that arrived before it: an early end is never `None`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn data(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// As [`data`](Self::data), for hand-written futures.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        self.poll_data_max(cx, usize::MAX)
    }

    fn poll_data_max(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>>> {
        let key = self.key;
        self.shared.poll_stream(cx, key, Wait::Read, |session| {
            match session.read(key, max)? {
                Read::Data(bytes) => Ok(Some(Some(bytes))),
                Read::End => Ok(Some(None)),
                Read::Blocked => Ok(None),
            }
        })
    }

    /// Waits for the next HEADERS of the peer; `None` means that no more will come. Bytes that arrive meanwhile wait
    /// to be read.
    ///
    /// # Errors
    ///
    /// The stream's own error, behind all HEADERS that arrived before it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn headers(&mut self) -> Result<Option<HeaderBlock>> {
        poll_fn(|cx| self.poll_headers(cx)).await
    }

    /// As [`headers`](Self::headers), for hand-written futures. Shares its waker with
    /// [`poll_data`](Self::poll_data): one task reads a stream.
    pub fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<HeaderBlock>>> {
        let key = self.key;
        self.shared
            .poll_stream(cx, key, Wait::Read, |session| session.poll_headers(key))
    }

    /// HEADERS of the peer that have arrived and were not taken, the oldest first. After the end of the data,
    /// these are the trailers.
    pub fn take_headers(&mut self) -> Option<HeaderBlock> {
        self.with(Session::take_headers).ok().flatten()
    }

    /// Tells how many bytes the peer will send in all: it gets no WINDOW_UPDATE that it will never need.
    pub fn set_expected(&mut self, bytes: u64) {
        drop(self.with(|session, key| session.set_expected(key, bytes)));
    }

    /// Resets the stream, both directions: RST_STREAM with this status.
    pub fn reset(&self, status: ResetStatus) {
        // A session that failed has reset everything.
        drop(
            self.shared
                .with(|state| state.session.reset(self.key, status)),
        );
    }

    /// Whether nothing more is to come: the peer has ended its direction and all was read.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.with(|session, key| !session.is_read_open(key))
            .unwrap_or(true)
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        self.shared.drop_recv(self.key);
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Several queued pieces may fit one buffer; each costs a short lock, and the first may not wait.
        let mut filled = false;
        while buf.remaining() > 0 {
            let polled = self.poll_data_max(cx, buf.remaining());
            if filled && !matches!(polled, Poll::Ready(Ok(Some(_)))) {
                break;
            }
            match ready!(polled)? {
                Some(bytes) => buf.put_slice(&bytes),
                None => break,
            }
            filled = true;
        }
        Poll::Ready(Ok(()))
    }
}
