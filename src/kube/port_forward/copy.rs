//! Bytes in both directions, and whose fault it is when they stop.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

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
pub(super) async fn both<S, T>(stream: &mut S, other: T) -> Result<(), Failed>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite,
{
    let (mut from_stream, mut to_stream) = split(stream);
    let (mut from_other, mut to_other) = split(other);
    let out = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let n = from_stream
                .read(&mut buffer)
                .await
                .map_err(Failed::Stream)?;
            if n == 0 {
                return to_other.shutdown().await.map_err(Failed::Other);
            }
            let bytes = &buffer[..n];
            to_other.write_all(bytes).await.map_err(Failed::Other)?;
            to_other.flush().await.map_err(Failed::Other)?;
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
    let (mut out, mut back) = (std::pin::pin!(out), std::pin::pin!(back));
    tokio::select! {
        ended = &mut out => match ended {
            Ok(()) => back.await,
            // Half of a connection that takes nothing may still have something to say, such as why.
            Err(Failed::Other(error)) if is_closed(&error) => match back.await {
                Ok(()) => Ok(()),
                Err(failed) => Err(failed),
            },
            Err(failed) => Err(failed),
        },
        ended = &mut back => {
            ended?;
            match out.await {
                // It has ended before, and need not take what comes behind.
                Err(Failed::Other(error)) if is_closed(&error) => Ok(()),
                ended => ended,
            }
        }
    }
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
