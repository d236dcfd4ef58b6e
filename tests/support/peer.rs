//! A peer that plays a script.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};
use spdy::HeaderCompression;
use spdy::codec::{Decoder, DecoderLimits, Encoder, OutBuf};
use spdy::frame::{Data, DataPiece, Frame, HeaderFrame, Received, Role, SynStream, Version};

use super::{Wire, settle, within};

/// The other side of a session: sends what the script says, and expects frames. Every expectation that fails
/// prints the frame expected and the one that came.
#[derive(Debug)]
pub(crate) struct Peer {
    wire: Wire,
    role: Role,
    encoder: Encoder,
    decoder: Decoder,
    input: BytesMut,
    /// A DATA frame of which only some pieces were decoded.
    partial: BytesMut,
}

impl Peer {
    pub(crate) fn new(wire: Wire, role: Role) -> Self {
        Self {
            wire,
            role,
            encoder: Encoder::new(Version::Spdy31, HeaderCompression::Level(1)),
            decoder: Decoder::new(Version::Spdy31, DecoderLimits::default()),
            input: BytesMut::new(),
            partial: BytesMut::new(),
        }
    }

    /// The transport.
    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The bytes of a frame, in the order in which they have to be sent.
    pub(crate) fn encode(&mut self, frame: impl Into<Frame>) -> Bytes {
        let mut out = OutBuf::new();
        self.encoder.encode(&frame.into(), &mut out);
        out.copy_to_bytes(out.remaining())
    }

    /// Sends a frame; waits while the transport takes nothing.
    #[track_caller]
    pub(crate) fn send(&mut self, frame: impl Into<Frame>) -> impl Future<Output = ()> {
        let bytes = self.encode(frame);
        let caller = std::panic::Location::caller();
        async move {
            let write = tokio::time::timeout(super::PATIENCE, self.wire.write_all(&bytes));
            match write.await {
                Ok(written) => written.expect("our side has closed the transport"),
                Err(_) => panic!("at {caller}: our side does not read"),
            }
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        within("the peer's write", self.wire.write_all(bytes.as_ref()))
            .await
            .expect("our side has closed the transport");
    }

    /// Reads past the head of an HTTP/1.1 message, which comes before the first frame.
    pub(crate) async fn skip_http_head(&mut self) {
        const END: &[u8] = b"\r\n\r\n";
        loop {
            let end = self.input.windows(END.len()).position(|at| at == END);
            if let Some(end) = end {
                self.input.advance(end + END.len());
                return;
            }
            let read = within("the head", self.wire.read(&mut self.input)).await;
            assert_ne!(read.unwrap(), 0, "the transport has ended in a head");
        }
    }

    /// The next frame, DATA in whole; `None` is the end of the transport.
    pub(crate) async fn recv(&mut self) -> Option<Frame> {
        loop {
            while let Some(received) = self.decoder.decode(&mut self.input).expect("valid frames") {
                if let Some(frame) = self.whole(received) {
                    return Some(frame);
                }
            }
            match self.wire.read(&mut self.input).await {
                Ok(n) if n > 0 => {}
                Ok(_) => {
                    assert!(
                        self.decoder.is_at_boundary() && self.input.is_empty(),
                        "the transport ended in the middle of a frame"
                    );
                    return None;
                }
                Err(error) => panic!("the peer's read failed: {error}"),
            }
        }
    }

    fn whole(&mut self, received: Received) -> Option<Frame> {
        Some(match received {
            Received::Data(DataPiece {
                id,
                last,
                fin,
                payload,
                ..
            }) => {
                self.partial.extend_from_slice(&payload);
                if !last {
                    return None;
                }
                Frame::Data(Data {
                    id: id.expect("DATA on stream 0"),
                    fin,
                    payload: self.partial.split().freeze(),
                })
            }
            Received::SynStream(syn) => Frame::SynStream(SynStream {
                id: syn.id,
                associated: syn.associated,
                priority: syn.priority,
                fin: syn.fin,
                unidirectional: syn.unidirectional,
                block: syn.block.expect("a valid block"),
            }),
            Received::SynReply(reply) => Frame::SynReply(valid(reply)),
            Received::Headers(headers) => Frame::Headers(valid(headers)),
            Received::RstStream(rst) => Frame::RstStream(rst),
            Received::Settings(settings) => Frame::Settings(settings),
            Received::Ping(id) => Frame::Ping(id),
            Received::GoAway(go_away) => Frame::GoAway(go_away),
            Received::WindowUpdate(update) => Frame::WindowUpdate(update),
            other => panic!("unknown frame {other:?}"),
        })
    }

    /// Expects this frame, and nothing before it.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: impl Into<Frame>) -> impl Future<Output = ()> {
        let expected = expected.into();
        let caller = std::panic::Location::caller();
        async move {
            match tokio::time::timeout(super::PATIENCE, self.recv()).await {
                Ok(Some(got)) => assert!(
                    got == expected,
                    "at {caller}\nexpected {}\n     got {}",
                    show(&expected),
                    show(&got)
                ),
                Ok(None) => panic!(
                    "at {caller}\nexpected {}\n     got the end of the transport",
                    show(&expected)
                ),
                Err(_) => panic!(
                    "at {caller}\nexpected {}\n     got nothing",
                    show(&expected)
                ),
            }
        }
    }

    /// Expects this frame, skipping WINDOW_UPDATE frames before it.
    #[track_caller]
    pub(crate) fn expect_past_updates(
        &mut self,
        expected: impl Into<Frame>,
    ) -> impl Future<Output = ()> {
        let expected = expected.into();
        let caller = std::panic::Location::caller();
        async move {
            loop {
                let got = within("a frame", self.recv()).await;
                if matches!(got, Some(Frame::WindowUpdate(_))) {
                    continue;
                }
                assert!(
                    got.as_ref() == Some(&expected),
                    "at {caller}\nexpected {}\n     got {}",
                    show(&expected),
                    got.as_ref().map_or("the end".to_owned(), show)
                );
                return;
            }
        }
    }

    /// Expects the frames at the start of our side: SETTINGS and, if our connection window is larger than the
    /// default, WINDOW_UPDATE for the connection.
    pub(crate) async fn expect_preface(&mut self) {
        match within("SETTINGS", self.recv()).await {
            Some(Frame::Settings(_)) => {}
            other => panic!("expected SETTINGS, got {other:?}"),
        }
        match within("WINDOW_UPDATE", self.recv()).await {
            Some(Frame::WindowUpdate(update)) if update.id.is_none() => {}
            other => panic!("expected WINDOW_UPDATE for the connection, got {other:?}"),
        }
    }

    /// Expects DATA of exactly `len` bytes for a stream, in any number of frames, and gives them and whether the
    /// last frame had FIN. An empty FIN frame behind the bytes is not waited for.
    #[track_caller]
    pub(crate) fn expect_data(
        &mut self,
        stream: u32,
        len: usize,
    ) -> impl Future<Output = (Vec<u8>, bool)> {
        let caller = std::panic::Location::caller();
        async move {
            let mut bytes = Vec::new();
            let mut ended = false;
            while bytes.len() < len {
                match tokio::time::timeout(super::PATIENCE, self.recv()).await {
                    Ok(Some(Frame::Data(Data { id, fin, payload }))) if id.get() == stream => {
                        assert!(!ended, "at {caller}: DATA behind FIN");
                        bytes.extend_from_slice(&payload);
                        ended = fin;
                    }
                    Ok(other) => panic!(
                        "at {caller}\nexpected DATA of stream {stream} ({} of {len} bytes came)\n     got {}",
                        bytes.len(),
                        other.as_ref().map_or("the end".to_owned(), show)
                    ),
                    Err(_) => panic!(
                        "at {caller}: expected DATA of stream {stream}, {} of {len} bytes came",
                        bytes.len()
                    ),
                }
            }
            assert_eq!(bytes.len(), len, "at {caller}: too many bytes");
            (bytes, ended)
        }
    }

    /// Expects DATA of exactly `len` bytes for a stream and then FIN, on the last frame or on an empty one.
    #[track_caller]
    pub(crate) fn expect_all(&mut self, stream: u32, len: usize) -> impl Future<Output = Vec<u8>> {
        let caller = std::panic::Location::caller();
        async move {
            let (bytes, ended) = self.expect_data(stream, len).await;
            if !ended {
                match tokio::time::timeout(super::PATIENCE, self.recv()).await {
                    Ok(Some(Frame::Data(data)))
                        if data.id.get() == stream && data.fin && data.payload.is_empty() => {}
                    other => {
                        panic!("at {caller}\nexpected FIN of stream {stream}\n     got {other:?}")
                    }
                }
            }
            bytes
        }
    }

    /// Expects the end of the transport, and no frame before it.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            match tokio::time::timeout(super::PATIENCE, self.recv()).await {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    panic!("at {caller}\nexpected the end\n     got {}", show(&frame))
                }
                Err(_) => panic!("at {caller}: our side does not close"),
            }
        }
    }

    /// Expects that our side sends nothing, however often everything runs, until a time-out expires.
    #[track_caller]
    pub(crate) fn expect_quiet(&mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            settle().await;
            let mut recv = pin!(self.recv());
            let polled = poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx))).await;
            if let Poll::Ready(got) = polled {
                panic!("at {caller}\nexpected nothing\n     got {got:?}");
            }
        }
    }

    /// All frames up to the end of the transport.
    pub(crate) async fn drain(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = within("the end of the transport", self.recv()).await {
            frames.push(frame);
        }
        frames
    }

    /// Writes no more; our side sees the end.
    pub(crate) fn close(&self) {
        self.wire.shut_in();
    }

    /// The transport fails in both directions.
    pub(crate) fn fail(&self, kind: io::ErrorKind) {
        self.wire.fail_reads(kind);
        self.wire.fail_writes(kind);
    }
}

fn valid(frame: HeaderFrame<spdy::frame::ReceivedBlock>) -> HeaderFrame {
    HeaderFrame {
        id: frame.id,
        fin: frame.fin,
        block: frame.block.expect("a valid block"),
    }
}

/// A frame in one line; long payloads are cut.
fn show(frame: &Frame) -> String {
    match frame {
        Frame::Data(data) if data.payload.len() > 64 => format!(
            "DATA {{ id: {}, fin: {}, {} bytes from {:?} }}",
            data.id,
            data.fin,
            data.payload.len(),
            data.payload.slice(..16)
        ),
        other => format!("{other:?}"),
    }
}
