//! The request body: a text, or a file that is read as the server takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

use crate::args::Source;
use crate::failure::{Code, Failure};

/// How much is read at once: one DATA frame.
const READ_SIZE: usize = 16 * 1024;

pub(crate) enum Upload {
    Full(Option<Bytes>),
    Read(Reader),
}

pub(crate) struct Reader {
    from: Pin<Box<dyn AsyncRead + Send>>,
    buffer: BytesMut,
    /// What is still to come, if that is known.
    left: Option<u64>,
}

impl Upload {
    /// Opens what is to be sent. Only a regular file has a length to announce.
    pub(crate) async fn open(source: &Source) -> Result<Self, Failure> {
        let (from, left): (Pin<Box<dyn AsyncRead + Send>>, _) = match source {
            Source::Nothing => return Ok(Self::Full(None)),
            Source::Text(text) => return Ok(Self::Full(Some(text.clone()))),
            Source::Stdin => (Box::pin(tokio::io::stdin()), None),
            Source::File(path) => {
                let cannot = |error: io::Error| {
                    let text = format!("cannot read {}: {error}", path.display());
                    Failure::new(Code::Read, text)
                };
                let file = tokio::fs::File::open(path).await.map_err(cannot)?;
                let metadata = file.metadata().await.map_err(cannot)?;
                if metadata.is_dir() {
                    return Err(cannot(io::Error::other("it is a directory")));
                }
                let len = metadata.is_file().then_some(metadata.len());
                (Box::pin(file), len)
            }
        };
        Ok(Self::Read(Reader {
            from,
            buffer: BytesMut::new(),
            left,
        }))
    }
}

impl Reader {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        self.buffer.reserve(READ_SIZE);
        let read = match ready!(poll_read_buf(self.from.as_mut(), cx, &mut self.buffer)) {
            Ok(read) => read,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        if read == 0 {
            return Poll::Ready(self.left.map(|left| {
                Err(io::Error::other(format!(
                    "it became {left} bytes shorter meanwhile"
                )))
            }));
        }
        let mut piece = self.buffer.split().freeze();
        if let Some(left) = &mut self.left {
            // A file that grows is sent as long as it was.
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left = left.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match &mut *self {
            Self::Full(text) => text.take().map(Ok),
            Self::Read(reader) => ready!(reader.poll_frame(cx)),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(text) => text.as_ref().is_none_or(Bytes::is_empty),
            Self::Read(reader) => reader.left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let left = match self {
            Self::Full(text) => Some(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Read(reader) => reader.left,
        };
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
