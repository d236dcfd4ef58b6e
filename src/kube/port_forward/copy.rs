//! Bytes in both directions, and whose fault it is when they stop.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use crate::stream::Loss;

/// How long the other side may take nothing of what came before the stream was lost.
const GRACE: Duration = Duration::from_secs(10);

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// Which side has failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The stream of the session.
    Stream(io::Error),
    /// What is beside it.
    Other(io::Error),
}

/// Copies each direction to its end, and ends the other side's then.
///
/// A side that takes no more may still have something to say, such as why. What comes for it is discarded meanwhile: in a
/// session without windows it would hold all other streams up.
///
/// A stream that is lost ends both directions, whatever they wait for.
pub(super) async fn both<S, T>(stream: &mut S, loss: Loss, other: T) -> Result<(), Failed>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite,
{
    let (mut from_stream, mut to_stream) = split(stream);
    let (mut from_other, mut to_other) = split(other);
    let closed = AtomicBool::new(false);
    let passed = AtomicUsize::new(0);
    let out = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let n = from_stream.read(&mut buffer).await;
            let bytes = &buffer[..n.map_err(Failed::Stream)?];
            if closed.load(Ordering::Relaxed) {
                if bytes.is_empty() {
                    return Ok(());
                }
                continue;
            }
            let result = pass(&mut to_other, bytes).await;
            passed.fetch_add(1, Ordering::Relaxed);
            match result {
                Ok(()) if bytes.is_empty() => return Ok(()),
                Ok(()) => {}
                Err(error) if is_closed(&error) => closed.store(true, Ordering::Relaxed),
                Err(error) => return Err(Failed::Other(error)),
            }
        }
    };
    let back = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let n = from_other.read(&mut buffer).await.map_err(Failed::Other)?;
            if n == 0 {
                return to_stream.shutdown().await.map_err(Failed::Stream);
            }
            let bytes = &buffer[..n];
            to_stream.write_all(bytes).await.map_err(Failed::Stream)?;
        }
    };
    let (mut out, mut back) = (pin!(out), pin!(back));
    let (mut out_over, mut back_over) = (false, false);
    let mut last_words = None;
    poll_fn(|cx| {
        if !out_over {
            if let Poll::Ready(result) = out.as_mut().poll(cx) {
                result?;
                out_over = true;
            }
        }
        if last_words.is_none() {
            if let Poll::Ready(error) = loss.poll(cx) {
                last_words = Some((error, loss.sleep(GRACE), passed.load(Ordering::Relaxed)));
            }
        }
        while let Some((error, sleep, seen)) = &mut last_words {
            // Where there are no timers, nothing would end the wait.
            if let Some(sleep) = sleep.as_mut().filter(|_| !out_over) {
                ready!(sleep.as_mut().poll(cx));
            }
            let now = passed.load(Ordering::Relaxed);
            if out_over || sleep.is_none() || now == *seen {
                return Poll::Ready(Err(Failed::Stream(error.clone().into())));
            }
            (*sleep, *seen) = (loss.sleep(GRACE), now);
        }
        if !back_over {
            if let Poll::Ready(result) = back.as_mut().poll(cx) {
                result?;
                back_over = true;
            }
        }
        if back_over && (out_over || closed.load(Ordering::Relaxed)) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Writes what there is; nothing is the end.
async fn pass(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return to.shutdown().await;
    }
    to.write_all(bytes).await?;
    to.flush().await
}

/// Whether the other side of a transport has closed it.
fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}
