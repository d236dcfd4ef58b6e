//! Where the body goes, and what is said of it when it is not whole.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncWriteExt, Stdout};

use crate::failure::{Code, Failure};
use crate::progress::Progress;

/// The standard output, or the file of `-o`.
///
/// Files are written in place and at once: after Ctrl-C everything that has arrived is there. The standard output is
/// written by another thread, so that a pipe that nobody reads does not make the tool deaf to Ctrl-C.
pub(crate) struct Output {
    stdout: Stdout,
    file: Option<Target>,
    body: Option<Body>,
    /// A later run with `-C` could go on.
    pub(crate) resumable: bool,
}

struct Target {
    path: PathBuf,
    file: File,
    /// There was none before.
    created: bool,
    /// Else a device or a pipe, which has no length.
    regular: bool,
    /// The bytes that are kept, with `-C`.
    have: u64,
}

/// A body that has begun.
struct Body {
    written: u64,
    expected: Option<u64>,
    progress: Option<Progress>,
}

impl Output {
    /// Opens the file before anything is sent, so that no request is made whose answer would be lost. What it
    /// holds stays until the body begins.
    pub(crate) fn open(path: Option<&Path>, resume: bool) -> Result<Self, Failure> {
        let file = path.map(|path| Target::open(path, resume)).transpose()?;
        Ok(Self {
            stdout: tokio::io::stdout(),
            file,
            body: None,
            resumable: false,
        })
    }

    /// How many bytes of the body the file has already, with `-C`.
    pub(crate) fn have(&self) -> u64 {
        self.file.as_ref().map_or(0, |target| target.have)
    }

    /// The file, for messages.
    pub(crate) fn name(&self) -> String {
        let path = self.file.as_ref().map(|target| target.path.display());
        path.map_or_else(|| "the standard output".to_owned(), |path| path.to_string())
    }

    /// Prints on the standard output, in turn with the body.
    pub(crate) async fn head(&mut self, text: &[u8]) -> Result<(), Failure> {
        let written = self.stdout.write_all(text).await;
        written.map_err(|error| Failure::stdout(&error))
    }

    /// The body begins: `expected` bytes are announced.
    pub(crate) fn start(&mut self, expected: Option<u64>, bar: bool) -> Result<(), Failure> {
        let mut progress = None;
        if let Some(target) = &mut self.file {
            target.rewind().map_err(|error| target.failure(&error))?;
            let total = expected.map(|expected| target.have.saturating_add(expected));
            progress = Some(Progress::new(&target.path, target.have, total, bar));
        }
        self.body = Some(Body {
            written: 0,
            expected,
            progress,
        });
        Ok(())
    }

    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        let Some(body) = &mut self.body else {
            return Ok(());
        };
        let Some(target) = &mut self.file else {
            let written = self.stdout.write_all(bytes).await;
            body.written += bytes.len() as u64;
            return written.map_err(|error| Failure::stdout(&error));
        };
        while !bytes.is_empty() {
            let n = match target.file.write(bytes) {
                Ok(0) => return Err(target.failure(&ErrorKind::WriteZero.into())),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(target.failure(&error)),
            };
            bytes = bytes.get(n..).unwrap_or_default();
            body.written += n as u64;
            if let Some(progress) = &body.progress {
                progress.add(n as u64);
            }
        }
        Ok(())
    }

    /// Everything that was printed is out.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.stdout.flush().await;
        flushed.map_err(|error| Failure::stdout(&error))
    }

    /// The body is over: is it what was announced? SPDY/3.1 section 3.2.2 makes content-length advisory, and the
    /// library takes it so; here it tells a whole file from a part.
    pub(crate) fn check_length(&self) -> Result<(), Failure> {
        let Some(body) = &self.body else {
            return Ok(());
        };
        let what = match body.expected {
            Some(expected) if body.written < expected => "ended early",
            Some(expected) if body.written > expected => "is longer than announced",
            _ => return Ok(()),
        };
        Err(Failure::new(Code::Partial, format!("the body {what}")))
    }

    /// After a failure: adds what has arrived to its message, and leaves no empty file behind.
    pub(crate) fn give_up(self, mut failure: Failure) -> Failure {
        let Some(body) = self.body else {
            if let Some(target) = self.file.filter(|target| target.created) {
                // It is empty; if it cannot be removed, it does no harm.
                drop(std::fs::remove_file(&target.path));
            }
            return failure;
        };
        drop(body.progress);
        let have = self.file.as_ref().map_or(0, |target| target.have);
        let mut count = (have + body.written).to_string();
        if let Some(expected) = body.expected {
            count = format!("{count} of {}", have.saturating_add(expected));
        }
        let resume = if self.resumable {
            "; resume with -C"
        } else {
            ""
        };
        let said = match &self.file {
            Some(target) if target.regular => {
                format!(
                    "; {} is partial ({count} bytes){resume}",
                    target.path.display()
                )
            }
            // A pipe or a device tells nobody how much it has taken.
            _ if failure.code == Code::Write => return failure,
            _ => format!("; {count} bytes were written"),
        };
        failure.message.push_str(&said);
        failure
    }
}

impl Target {
    fn open(path: &Path, resume: bool) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            let text = format!(
                "cannot write {}: {error}; give another -o FILE",
                path.display()
            );
            Failure::new(Code::Write, text)
        };
        let (file, created) = match OpenOptions::new().write(true).create_new(true).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let file = OpenOptions::new().write(true).open(path);
                (file.map_err(cannot)?, false)
            }
            file => (file.map_err(cannot)?, true),
        };
        let metadata = file.metadata().map_err(cannot)?;
        let regular = metadata.is_file();
        if resume && !regular {
            let text = format!("-C needs a regular file, and {} is none", path.display());
            return Err(Failure::usage(text));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            created,
            regular,
            have: if resume { metadata.len() } else { 0 },
        })
    }

    /// Goes to where the body is to begin, and forgets what is behind.
    fn rewind(&mut self) -> io::Result<()> {
        if self.regular {
            self.file.set_len(self.have)?;
            self.file.seek(SeekFrom::Start(self.have))?;
        }
        Ok(())
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let text = format!("cannot write {}: {error}", self.path.display());
        Failure::new(Code::Write, text)
    }
}

/// Prints a line on the standard error. That nobody may be there to see it changes nothing.
pub(crate) fn say(text: impl fmt::Display) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Prints a whole text on the standard output.
pub(crate) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::stdout(&error))
}
