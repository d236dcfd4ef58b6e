use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::server::is_own_cancel;
use crate::error::Result;
use crate::kube::complaints::Complaints;
use crate::stream::{RecvStream, SendStream, Stream};

/// The size of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TerminalSize {
    /// Columns.
    #[serde(alias = "width")]
    pub width: u16,
    /// Rows.
    #[serde(alias = "height")]
    pub height: u16,
}

/// How long one object may be. A size has 30 bytes.
const MAX_OBJECT: usize = 1024;

/// Sizes out of JSON objects that come in any pieces.
#[derive(Debug, Default)]
struct Sizes {
    buffer: BytesMut,
    /// What comes up to the next newline belongs to an object that was given up.
    skipping: bool,
    complaints: Complaints,
}

impl Sizes {
    /// Takes what fits of `bytes`.
    fn push(&mut self, bytes: &mut Bytes) {
        let n = bytes
            .len()
            .min(MAX_OBJECT - self.buffer.len().min(MAX_OBJECT));
        self.buffer.extend_from_slice(&bytes[..n]);
        bytes.advance(n);
    }

    /// The next size; `None` when more bytes are needed.
    fn next(&mut self) -> Option<TerminalSize> {
        loop {
            if self.skipping {
                let end = self.buffer.iter().position(|byte| *byte == b'\n');
                let Some(end) = end else {
                    self.buffer.clear();
                    return None;
                };
                self.buffer.advance(end + 1);
                self.skipping = false;
            }
            // serde takes an array for a struct as well.
            let blank = |byte: &&u8| !byte.is_ascii_whitespace();
            if self
                .buffer
                .iter()
                .find(blank)
                .is_some_and(|byte| *byte != b'{')
            {
                self.complaints
                    .note("a terminal size that is no object is skipped");
                self.skipping = true;
                continue;
            }
            let parser = serde_json::Deserializer::from_slice(&self.buffer);
            let mut objects = parser.into_iter::<TerminalSize>();
            let object = objects.next();
            let used = objects.byte_offset();
            match object {
                Some(Ok(size)) => {
                    self.buffer.advance(used);
                    return Some(size);
                }
                Some(Err(error)) if error.is_eof() && self.buffer.len() < MAX_OBJECT => {
                    return None;
                }
                None => {
                    // Nothing but blanks.
                    self.buffer.clear();
                    return None;
                }
                Some(Err(error)) => {
                    self.complaints
                        .note(format_args!("a terminal size is skipped: {error}"));
                    self.skipping = true;
                }
            }
        }
    }
}

/// The server's end of the `resize` stream.
#[derive(Debug)]
pub struct ResizeReader {
    recv: RecvStream,
    send: Arc<SendStream>,
    sizes: Sizes,
    /// Bytes that did not fit yet.
    rest: Bytes,
}

impl ResizeReader {
    pub(super) fn new(recv: RecvStream, send: Arc<SendStream>, complaints: Complaints) -> Self {
        Self {
            recv,
            send,
            sizes: Sizes {
                complaints,
                ..Sizes::default()
            },
            rest: Bytes::new(),
        }
    }

    /// Waits for the next size; the first one comes at once. `None` is the end of the stream. What is no size is skipped
    /// up to the next newline, and logged.
    ///
    /// # Errors
    ///
    /// The stream's own error if it ended early.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<TerminalSize>> {
        loop {
            self.sizes.push(&mut self.rest);
            if let Some(size) = self.sizes.next() {
                return Ok(Some(size));
            }
            if !self.rest.is_empty() {
                continue;
            }
            match self.recv.data().await {
                Ok(Some(bytes)) => self.rest = bytes,
                Ok(None) => return Ok(None),
                Err(error) if is_own_cancel(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for ResizeReader {
    fn drop(&mut self) {
        // A stream that is over needs no end.
        drop(self.send.end());
    }
}

/// The client's end of the `resize` stream. Dropping it resets the stream.
#[derive(Debug)]
pub struct ResizeWriter {
    send: SendStream,
}

impl ResizeWriter {
    pub(super) fn new(stream: Stream) -> Self {
        // What a server sends on it is discarded.
        let (send, _) = stream.split();
        Self { send }
    }

    /// Tells the size of the terminal. The first one is expected right after the streams were opened.
    ///
    /// # Errors
    ///
    /// The stream's own error if it ended, as it does with the command.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, nothing was sent.
    pub async fn send(&mut self, size: TerminalSize) -> Result<()> {
        let TerminalSize { width, height } = size;
        let object = format!("{{\"Width\":{width},\"Height\":{height}}}\n");
        self.send.send(object.into()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u16, height: u16) -> TerminalSize {
        TerminalSize { width, height }
    }

    /// All sizes of these bytes, in pieces of this length.
    fn sizes(bytes: &[u8], piece: usize) -> Vec<TerminalSize> {
        let mut sizes = Sizes::default();
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() {
                sizes.push(&mut piece);
                while let Some(size) = sizes.next() {
                    found.push(size);
                }
                assert!(sizes.buffer.len() < MAX_OBJECT);
            }
        }
        found
    }

    #[test]
    fn objects_are_found_however_they_are_split_or_joined() {
        let text = "{\"Width\":100,\"Height\":30}\n{\"Width\":65535,\"Height\":0}{\"height\":1,\"width\":2}\n\n  {\"Width\":7}\n";
        let expected = [size(100, 30), size(65535, 0), size(2, 1), size(7, 0)];
        for piece in 1..=text.len() {
            assert_eq!(sizes(text.as_bytes(), piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_size_is_skipped_to_the_next_line() {
        let long = format!("{{\"x\":\"{}\"}}", "y".repeat(5000));
        for bad in [
            "{\"Width\":65536,\"Height\":1}",
            "{\"Width\":-1}",
            "[1,2",
            "[1,2]",
            "nonsense } {",
            "\u{1b}[8;30;100t",
            long.as_str(),
        ] {
            let text = format!("{{\"Width\":1}}\n{bad}\n{{\"Width\":2}}\n");
            for piece in [1, 2, 3, 7, 100, usize::MAX] {
                let found = sizes(text.as_bytes(), piece);
                assert_eq!(
                    found,
                    [size(1, 0), size(2, 0)],
                    "{bad} in pieces of {piece}"
                );
            }
        }
    }
}
