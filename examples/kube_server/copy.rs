//! What goes from a client to its command, and back.

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use spdy::kube::remote_command::{OutputWriter, ResizeReader, StdinReader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::process::{END_OF_INPUT, Input, Output, Terminal};

/// How much is read at once.
const CHUNK: usize = 32 << 10;

/// How long an output of a command that has ended is waited for without a word: something that it has started may have
/// it still, such as a filter, or a process that goes on for ever.
const SILENCE: Duration = Duration::from_secs(1);

/// How long it is waited for in all. While the client takes what there was, nothing is waited for.
const LINGER: Duration = Duration::from_secs(10);

/// How an output has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All of it has come.
    Whole,
    /// What the command has started goes on writing.
    CutOff,
}

/// Gives the command what the client writes. A command that takes no more is no error: the client is told that nothing
/// more is wanted, by the end of `from`. An input that breaks off is one, and not the end of it: `broken` gets to know,
/// and the command, which would take half of something for the whole, does not.
pub(crate) async fn input(
    mut from: StdinReader,
    mut to: Input,
    terminal: bool,
    broken: oneshot::Sender<io::Error>,
) {
    let mut buffer = vec![0; CHUNK];
    let mut last = b'\n';
    loop {
        let n = match from.read(&mut buffer).await {
            Ok(n) => n,
            Err(error) => {
                // Nobody listens any more: the command has ended.
                drop(broken.send(error));
                return std::future::pending().await;
            }
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

/// Gives the client what the command writes, until nobody is left to write, or the command has `ended` and nothing comes.
pub(crate) async fn output(
    mut from: Output,
    mut to: OutputWriter,
    mut ended: watch::Receiver<bool>,
) -> io::Result<Ended> {
    let mut buffer = vec![0; CHUNK];
    let mut linger = LINGER;
    let how = loop {
        let read = from.read(&mut buffer);
        let Some(read) = before_silence(read, &mut ended, &mut linger).await else {
            // Nothing has come for long enough, or enough was waited for in all.
            break if linger.is_zero() {
                Ended::CutOff
            } else {
                Ended::Whole
            };
        };
        match read {
            Ok(0) => break Ended::Whole,
            Ok(n) => to.write_all(&buffer[..n]).await?,
            // The end of a terminal, when nobody has it open any more.
            Err(error) if error.raw_os_error() == Some(EIO) => break Ended::Whole,
            Err(error) => {
                eprintln!("kube_server: reading from a command: {error}");
                break Ended::CutOff;
            }
        }
    };
    to.shutdown().await?;
    Ok(how)
}

/// Takes what nobody has asked for: a terminal that nobody reads would stop its command.
pub(crate) async fn discard(mut from: Output) {
    // Its end may be an error.
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
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
    let read = timeout(SILENCE.min(*linger), read).await.ok();
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
