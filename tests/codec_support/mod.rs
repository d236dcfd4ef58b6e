//! What the tests of the codec share.

use bytes::{Buf, Bytes, BytesMut};
use spdy::codec::{DecodeError, Decoder, Encoder, OutBuf};
use spdy::frame::{Data, DataPiece, Frame, HeaderFrame, Received, ReceivedBlock, SynStream};

/// Nothing that is not consumed may be longer: the fixed part of a SYN_STREAM, but for its last byte.
const MOST_HELD: usize = 17;

/// Feeds `bytes` in pieces of the given sizes (repeated; the rest in one) and returns everything decoded.
pub(crate) fn decode_split(
    decoder: &mut Decoder,
    bytes: &[u8],
    sizes: &[usize],
) -> (Vec<Received>, Result<(), DecodeError>) {
    let mut sizes = sizes.iter().copied().filter(|size| *size > 0).cycle();
    let (mut rest, mut buf, mut frames) = (bytes, BytesMut::new(), Vec::new());
    while !rest.is_empty() {
        let (now, later) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
        buf.extend_from_slice(now);
        rest = later;
        loop {
            match decoder.decode(&mut buf) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        assert!(buf.len() <= MOST_HELD, "{} bytes held back", buf.len());
    }
    (frames, Ok(()))
}

/// Joins the pieces of DATA frames and checks that they follow the rules of [`DataPiece`].
pub(crate) fn join(frames: Vec<Received>) -> Vec<Received> {
    let (joined, open) = join_open(frames);
    assert!(open.is_none(), "DATA frame without a last piece");
    joined
}

/// As [`join`], for bytes that may end inside a DATA frame: gives also what there is of it.
pub(crate) fn join_open(frames: Vec<Received>) -> (Vec<Received>, Option<DataPiece>) {
    let mut joined = Vec::new();
    let mut open: Option<(DataPiece, BytesMut)> = None;
    for frame in frames {
        let Received::Data(piece) = frame else {
            assert!(open.is_none(), "a frame inside a DATA frame");
            joined.push(frame);
            continue;
        };
        assert!(piece.last || !piece.fin, "FIN before the last piece");
        let (mut head, mut payload) = match (open.take(), piece.frame_len) {
            (None, Some(_)) => (piece.clone(), BytesMut::new()),
            (Some(open), None) => {
                assert!(!piece.payload.is_empty(), "empty piece behind the first");
                open
            }
            (open, len) => panic!("first piece of {len:?} bytes inside {open:?}"),
        };
        assert_eq!(head.id, piece.id);
        payload.extend_from_slice(&piece.payload);
        if piece.last {
            assert_eq!(head.frame_len, u32::try_from(payload.len()).ok());
            (head.last, head.fin) = (true, piece.fin);
            head.payload = payload.freeze();
            joined.push(Received::Data(head));
        } else {
            open = Some((head, payload));
        }
    }
    let open = open.map(|(head, payload)| DataPiece {
        payload: payload.freeze(),
        ..head
    });
    (joined, open)
}

/// What a peer receives when `frame` was sent, whole.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn received(frame: &Frame) -> Received {
    let header = |frame: &HeaderFrame| HeaderFrame {
        id: frame.id,
        fin: frame.fin,
        block: Ok(frame.block.clone()),
    };
    match frame {
        Frame::SynStream(syn) => Received::SynStream(SynStream {
            id: syn.id,
            associated: syn.associated,
            priority: syn.priority,
            fin: syn.fin,
            unidirectional: syn.unidirectional,
            block: Ok(syn.block.clone()),
        }),
        Frame::SynReply(reply) => Received::SynReply(header(reply)),
        Frame::Headers(headers) => Received::Headers(header(headers)),
        Frame::RstStream(rst) => Received::RstStream(*rst),
        Frame::Settings(settings) => Received::Settings(*settings),
        Frame::Ping(id) => Received::Ping(*id),
        Frame::GoAway(go_away) => Received::GoAway(*go_away),
        Frame::WindowUpdate(update) => Received::WindowUpdate(*update),
        Frame::Data(data) => Received::Data(DataPiece {
            id: Some(data.id),
            frame_len: u32::try_from(data.payload.len()).ok(),
            last: true,
            fin: data.fin,
            payload: data.payload.clone(),
        }),
    }
}

/// The frame to send for a joined frame that was received, if it is one that we would send.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn to_send(frame: &Received) -> Option<Frame> {
    let header = |frame: &HeaderFrame<ReceivedBlock>| {
        let block = frame.block.clone().ok()?;
        Some(HeaderFrame {
            id: frame.id,
            fin: frame.fin,
            block,
        })
    };
    Some(match frame {
        Received::SynStream(syn) => Frame::SynStream(SynStream {
            id: syn.id,
            associated: syn.associated,
            priority: syn.priority,
            fin: syn.fin,
            unidirectional: syn.unidirectional,
            block: syn.block.clone().ok()?,
        }),
        Received::SynReply(reply) => Frame::SynReply(header(reply)?),
        Received::Headers(headers) => Frame::Headers(header(headers)?),
        Received::RstStream(rst) => Frame::RstStream(*rst),
        Received::Settings(settings) => Frame::Settings(*settings),
        Received::Ping(id) => Frame::Ping(*id),
        Received::GoAway(go_away) => Frame::GoAway(*go_away),
        Received::WindowUpdate(update) => Frame::WindowUpdate(*update),
        Received::Data(data) if data.fin || !data.payload.is_empty() => Frame::Data(Data {
            id: data.id?,
            fin: data.fin,
            payload: data.payload.clone(),
        }),
        Received::Data(_) | Received::Ignored { .. } => return None,
    })
}

/// Encodes all frames and returns the bytes.
pub(crate) fn encode_all<'a>(
    encoder: &mut Encoder,
    frames: impl IntoIterator<Item = &'a Frame>,
) -> Bytes {
    let mut out = OutBuf::new();
    for frame in frames {
        encoder.encode(frame, &mut out);
    }
    out.copy_to_bytes(out.remaining())
}
