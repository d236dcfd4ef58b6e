use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::copy::{Failed, both};
use crate::error::{Error, Result};
use crate::frame::ResetStatus;
use crate::kube::complaints::Complaints;
use crate::kube::stream_error;
use crate::kube::time::within;
use crate::stream::{SendStream, Session, Stream};

/// How long the text of a failure may take to get out.
const TELL: Duration = Duration::from_secs(10);

/// A connection to forward, from [`Server::accept`](super::Server::accept). Dial [`port`](Self::port), then
/// [`copy`](Self::copy), or say why not with [`fail`](Self::fail).
///
/// It is the data stream, `AsyncRead + AsyncWrite`; `shutdown` ends both streams of the pair, as a target that has ended
/// does. Dropping it before resets them.
#[derive(Debug)]
pub struct Forward {
    session: Session,
    complaints: Complaints,
    port: u16,
    data: Stream,
    error: Arc<SendStream>,
}

impl Forward {
    pub(super) fn new(
        session: Session,
        complaints: Complaints,
        port: u16,
        data: Stream,
        error: Arc<SendStream>,
    ) -> Self {
        Self {
            session,
            complaints,
            port,
            data,
            error,
        }
    }

    /// The port to connect to, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Copies in both directions, each to its end: what the target has ended, the client sees ended, and the other way
    /// round. A target that fails is told to the client as [`fail`](Self::fail) does; a client that gives the stream up
    /// closes the target, once that has taken what came before, or none of it for ten seconds.
    ///
    /// # Errors
    ///
    /// Why it was cut short: the target has failed ([`is_io`](Error::is_io)), or the stream has; the client has been told what
    /// concerns it. Dropping a socket ends it well, whatever it has taken: to show its peer that it has not got all, lend it
    /// (`&mut`), and reset it, by tokio's `set_zero_linger`, before it is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future resets both streams and drops the target.
    pub async fn copy<T: AsyncRead + AsyncWrite>(mut self, target: T) -> Result<()> {
        let loss = self.data.send_half().loss();
        match both(&mut self, loss, target).await {
            Ok(()) => Ok(()),
            Err(Failed::Other(error)) => {
                self.fail(&error).await;
                Err(Error::io(
                    "using the target of a forwarded connection",
                    error,
                ))
            }
            Err(Failed::Stream(error)) => {
                tracing::debug!(%error, port = self.port, "a forwarded connection has lost its client");
                // It hears of its own end only: an error text would end the session of some clients.
                drop(self.error.end());
                Err(stream_error(error))
            }
        }
    }

    /// Says on the error stream why the connection failed, behind its port, and resets both streams. Clients of Kubernetes since 1.23 give
    /// up the whole session then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future resets both streams; the text may be lost.
    pub async fn fail(self, why: impl fmt::Display) {
        let Self {
            session,
            complaints,
            port,
            data,
            error,
        } = self;
        // What the client sends meanwhile is discarded: unread it would hold the session up.
        let (data, _) = data.split();
        let text = format!("port {port}: {why}");
        // The client decides how often: by the ports that it asks for.
        complaints.note(format_args!("a forwarded connection has failed: {text}"));
        // What is reset drops what it has queued: the text has to be on its way first.
        let told = within(&session, TELL, error.send_through(text.into())).await;
        if !matches!(told, Some(Ok(()))) {
            tracing::debug!("the client takes no text on the error stream");
        }
        error.reset(ResetStatus::CANCEL);
        data.reset(ResetStatus::CANCEL);
    }
}

impl AsyncRead for Forward {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_read(cx, buf)
    }
}

impl AsyncWrite for Forward {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.data).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.data).poll_flush(cx)
    }

    /// Ends the data stream, and the error stream without a word: the target has ended well.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = ready!(Pin::new(&mut self.data).poll_shutdown(cx));
        Poll::Ready(ended.and(self.error.end().map_err(Into::into)))
    }
}
