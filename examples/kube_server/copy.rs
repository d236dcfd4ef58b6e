//! What goes from a client to its command, and back.

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use spdy::kube::remote_command::{OutputWriter, ResizeReader, StdinReader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::process::{END_OF_INPUT, Input, Output, Terminal};

/// How much is read at once.
const CHUNK: usize = 32 << 10;

/// How long, in all, something is waited for on an output of a command that has ended: what it has started may have it
/// still. While the client takes what there was, nothing is waited for.
const LINGER: Duration = Duration::from_millis(500);

/// How much is read of such an output: more than a pipe holds is not the command's any more.
const REST: usize = 1 << 20;

/// Gives the command what the client writes. A command that takes no more is no error: the client is told that nothing
/// more is wanted, by the end of `from`.
pub(crate) async fn input(mut from: StdinReader, mut to: Input, terminal: bool) {
    let mut buffer = vec![0; CHUNK];
    let mut last = b'\n';
    loop {
        // A client that has gone ends the command too.
        let Ok(n) = from.read(&mut buffer).await else {
            return;
        };
        let result = match n {
            // A terminal has no end of its own. Within a line, the first one hands over what there is of it.
            0 if terminal && last != b'\n' => to.write_all(&[END_OF_INPUT; 2]).await,
            0 if terminal => to.write_all(&[END_OF_INPUT]).await,
            0 => to.shutdown().await,
            n => to.write_all(&buffer[..n]).await,
        };
        if n == 0 || result.is_err() {
            return;
        }
        last = buffer[n - 1];
    }
}

/// Gives the client what the command writes, until nobody is left to write, or the command has `ended` and what it had
/// written has come.
pub(crate) async fn output(
    mut from: Output,
    mut to: OutputWriter,
    mut ended: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let (mut linger, mut rest) = (LINGER, REST);
    while !linger.is_zero() && rest > 0 {
        let read = from.read(&mut buffer);
        let Some(read) = before_silence(read, &mut ended, &mut linger).await else {
            break;
        };
        match read {
            Ok(0) => break,
            Ok(n) => {
                if *ended.borrow() {
                    rest = rest.saturating_sub(n);
                }
                to.write_all(&buffer[..n]).await?;
            }
            // The end of a terminal, when nobody has it open any more.
            Err(error) if error.raw_os_error() == Some(EIO) => break,
            Err(error) => {
                eprintln!("kube_server: reading from a command: {error}");
                break;
            }
        }
    }
    to.shutdown().await
}

const EIO: i32 = rustix::io::Errno::IO.raw_os_error();

/// The outcome; `None` if the command has ended and nothing has come while it was waited for.
async fn before_silence<F>(
    read: F,
    ended: &mut watch::Receiver<bool>,
    linger: &mut Duration,
) -> Option<io::Result<usize>>
where
    F: Future<Output = io::Result<usize>>,
{
    tokio::pin!(read);
    tokio::select! {
        biased;
        read = &mut read => return Some(read),
        // A sender that is gone has no more to say.
        _ = ended.wait_for(|ended| *ended) => {}
    }
    let began = Instant::now();
    let read = timeout(*linger, read).await.ok();
    *linger = linger.saturating_sub(began.elapsed());
    read
}

/// Gives the terminal the sizes that the client's has.
pub(crate) async fn sizes(mut from: ResizeReader, terminal: Terminal) {
    while let Ok(Some(size)) = from.next().await {
        if let Err(error) = terminal.resize(size) {
            eprintln!(
                "kube_server: resizing to {}x{}: {error}",
                size.width, size.height
            );
        }
    }
}
