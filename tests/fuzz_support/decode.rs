//! Bytes into the decoder: it never panics, the cuts between reads do not matter, what is decoded encodes and decodes to
//! the same, and nothing is larger than the limits.

use bytes::BytesMut;
use spdy::HeaderCompression;
use spdy::codec::{Decoder, DecoderLimits, Encoder};
use spdy::frame::{Frame, MAX_FRAME_LEN, Received, ReceivedBlock, Version, WindowUpdate};
use spdy::headers::{BlockError, BlockLimits, HeaderBlock};

use super::codec_support::{decode_split, encode_all, join, join_open, received, to_send};
use super::draw::Draw;
use super::script::Writer;

/// Cut into single bytes are only inputs up to this size.
const SMALL: usize = 3000;

fn limits(draw: &mut Draw<'_>) -> DecoderLimits {
    let mut limits = DecoderLimits::default();
    match draw.below(4) {
        0 => {}
        1 => {
            limits.max_control_frame_size = 8192;
            limits.block.max_list_size = draw.below(400);
        }
        2 => {
            limits.max_control_frame_size = 8192;
            limits.block.max_values = draw.below(8);
        }
        _ => limits.block.max_list_size = 0,
    }
    limits
}

/// Takes whatever was taken under smaller limits.
fn patient() -> Decoder {
    let mut limits = DecoderLimits::default();
    limits.block.max_list_size = usize::MAX;
    limits.block.max_values = usize::MAX;
    limits.max_control_frame_size = MAX_FRAME_LEN;
    Decoder::new(Version::Spdy31, limits)
}

/// Two bytes of options, four of cuts, then bytes of the wire or what frames are drawn from.
pub(crate) fn run(input: &[u8]) {
    let mut draw = Draw::new(input);
    let mut limits = limits(&mut draw);
    let options = draw.byte();
    limits.block.fold_names = options & 0x40 != 0;
    let structured = options & 1 != 0;
    let mut cuts: Vec<usize> = (0..4).map(|_| 1 + usize::from(draw.byte())).collect();
    let bytes = if structured {
        Writer::new(&mut draw).all(&mut draw)
    } else {
        draw.rest().to_vec()
    };

    if cuts[0] == 1 && bytes.len() <= SMALL {
        cuts = vec![1];
    }
    let whole = decode(limits, &bytes, &[]);
    assert_eq!(decode(limits, &bytes, &cuts), whole, "cut in {cuts:?}");
    let (frames, open, _) = whole;
    for frame in &frames {
        check_limits(frame, &limits);
    }
    if let Some(piece) = &open {
        let len = usize::try_from(piece.frame_len.unwrap()).unwrap();
        assert!(piece.payload.len() < len && !piece.last && !piece.fin);
    }
    let compression = [HeaderCompression::Off, HeaderCompression::Level(1)];
    check_again(&frames, compression[usize::from(options >> 1 & 1)]);
}

type Outcome = (
    Vec<Received>,
    Option<spdy::frame::DataPiece>,
    Option<String>,
);

fn decode(limits: DecoderLimits, bytes: &[u8], sizes: &[usize]) -> Outcome {
    let mut decoder = Decoder::new(Version::Spdy31, limits);
    let (frames, result) = decode_split(&mut decoder, bytes, sizes);
    let (frames, open) = join_open(frames);
    if let Err(error) = &result {
        // An error is final, and takes nothing more.
        let mut more = BytesMut::from(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1][..]);
        assert_eq!(decoder.decode(&mut more).as_ref(), Err(error));
        assert_eq!(more.len(), 12);
    }
    (frames, open, result.err().map(|error| error.to_string()))
}

fn check_limits(frame: &Received, limits: &DecoderLimits) {
    let check = |block: &ReceivedBlock| {
        let Ok(block) = block else { return };
        assert!(block.list_size() <= limits.block.max_list_size);
        let values = block.iter().map(|(name, _)| block.values(name).count());
        let values = values.sum::<usize>();
        assert!(values <= limits.block.max_values);
        assert_eq!(block.iter().count(), block.len());
        check_edge(block, values);
    };
    match frame {
        Received::SynStream(syn) => check(&syn.block),
        Received::SynReply(frame) | Received::Headers(frame) => check(&frame.block),
        Received::Data(data) => {
            assert_eq!(data.frame_len, u32::try_from(data.payload.len()).ok());
        }
        _ => {}
    }
}

/// A limit that a block just reaches lets it pass, the next smaller one does not.
fn check_edge(block: &HeaderBlock, values: usize) {
    let parse = |max_list_size, max_values| {
        let mut limits = BlockLimits::default();
        limits.max_list_size = max_list_size;
        limits.max_values = max_values;
        HeaderBlock::parse(Version::Spdy31, block.plain().clone(), &limits)
    };
    let size = block.list_size();
    assert_eq!(parse(size, values).as_ref(), Ok(block));
    if values > 0 {
        assert_eq!(parse(size - 1, values), Err(BlockError::TooLarge));
        assert_eq!(parse(size, values - 1), Err(BlockError::TooLarge));
    }
}

/// Frames that we could send arrive as they are.
fn check_again(frames: &[Received], compression: HeaderCompression) {
    let nothing =
        |frame: &Frame| matches!(frame, Frame::WindowUpdate(WindowUpdate { delta: 0, .. }));
    let frames = frames.iter().filter_map(to_send);
    let frames: Vec<Frame> = frames.filter(|frame| !nothing(frame)).collect();
    let expected: Vec<Received> = frames.iter().map(received).collect();
    let bytes = encode_all(&mut Encoder::new(Version::Spdy31, compression), &frames);
    let (again, result) = decode_split(&mut patient(), &bytes, &[]);
    assert_eq!(result, Ok(()));
    assert_eq!(join(again), expected);
}
