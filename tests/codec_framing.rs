//! What the decoder accepts, ignores and refuses, frame by frame.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod codec_support;

use bytes::{Bytes, BytesMut};
use codec_support::{decode_split, encode_all, join, received, to_send};
use spdy::codec::{DecodeError, Decoder, DecoderLimits, Encoder};
use spdy::frame::{
    Data, DataPiece, Frame, GoAway, GoAwayStatus, HeaderFrame, Priority, Received, ResetStatus,
    SettingId, StreamId, SynStream, Version, WindowUpdate,
};
use spdy::headers::{BlockError, HeaderBlock, HeaderCompression};

fn decoder() -> Decoder {
    Decoder::new(Version::Spdy31, DecoderLimits::default())
}

fn encoder() -> Encoder {
    Encoder::new(Version::Spdy31, HeaderCompression::Level(6))
}

fn id(id: u32) -> StreamId {
    StreamId::new(id).unwrap()
}

/// A frame header with a Length that may lie, and what follows.
fn raw(first: u32, flags: u8, len: usize, payload: &[u8]) -> Vec<u8> {
    let [_, len @ ..] = (len as u32).to_be_bytes();
    [&first.to_be_bytes()[..], &[flags], &len, payload].concat()
}

fn control(kind: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    raw(0x8003_0000 | u32::from(kind), flags, payload.len(), payload)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Decodes byte by byte and at once, which has to be the same.
fn decode(bytes: &[u8]) -> Result<Vec<Received>, DecodeError> {
    let (whole, result) = decode_split(&mut decoder(), bytes, &[]);
    let (split, split_result) = decode_split(&mut decoder(), bytes, &[1]);
    assert_eq!(result, split_result);
    result.map(|()| {
        let whole = join(whole);
        assert_eq!(whole, join(split));
        whole
    })
}

fn one(bytes: &[u8]) -> Received {
    let mut frames = decode(bytes).unwrap();
    assert_eq!(frames.len(), 1, "{frames:?}");
    frames.pop().unwrap()
}

#[track_caller]
fn refused(bytes: &[u8], says: &str) {
    let error = decode(bytes).unwrap_err();
    assert_eq!(error.status(), GoAwayStatus::PROTOCOL_ERROR);
    assert!(error.to_string().contains(says), "{error}");
}

fn block(path: &str) -> HeaderBlock {
    let mut builder = HeaderBlock::builder();
    builder
        .push(":path", path.as_bytes())
        .unwrap()
        .push("accept", b"*/*")
        .unwrap();
    builder.finish()
}

fn headers(stream: u32, block: HeaderBlock) -> Frame {
    Frame::Headers(HeaderFrame {
        id: id(stream),
        fin: false,
        block,
    })
}

#[test]
fn fixed_frames_need_their_exact_length() {
    for (kind, len, name) in [
        (3, 8, "RST_STREAM"),
        (6, 4, "PING"),
        (7, 8, "GOAWAY"),
        (9, 8, "WINDOW_UPDATE"),
    ] {
        let payload = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
        assert!(decode(&control(kind, 0, &payload[..len])).is_ok());
        for wrong in [0, len - 1, len + 1, len + 4] {
            // The header alone decides.
            refused(&raw(0x8003_0000 | u32::from(kind), 0, wrong, &[]), name);
        }
    }
    for (kind, least, name) in [
        (1, 10, "SYN_STREAM"),
        (2, 4, "SYN_REPLY"),
        (8, 4, "HEADERS"),
        (4, 4, "SETTINGS"),
    ] {
        refused(&raw(0x8003_0000 | kind, 0, least - 1, &[]), name);
    }
}

#[test]
fn stream_0_is_refused_but_in_data() {
    for (kind, name) in [
        (1, "SYN_STREAM"),
        (2, "SYN_REPLY"),
        (3, "RST_STREAM"),
        (8, "HEADERS"),
    ] {
        let payload = [0; 10];
        let len = [10, 4, 8][usize::from(kind != 1) + usize::from(kind == 3)];
        refused(&control(kind, 0, &payload[..len]), name);
        // The reserved bit does not make it another id.
        let payload = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        refused(&control(kind, 0, &payload[..len]), name);
    }
    let data = one(&raw(0, 1, 2, b"ab"));
    assert!(matches!(
        data,
        Received::Data(DataPiece {
            id: None,
            fin: true,
            ..
        })
    ));
    assert!(
        matches!(one(&control(9, 0, &words(&[0, 5]))), Received::WindowUpdate(update) if update.id.is_none())
    );
    assert!(
        matches!(one(&control(7, 0, &words(&[0, 0]))), Received::GoAway(go_away) if go_away.last_good.is_none())
    );
}

#[test]
fn reserved_bits_and_unknown_flags_are_ignored() {
    let rst = one(&control(3, 0xff, &words(&[0x8000_0005, 0])));
    assert!(
        matches!(rst, Received::RstStream(rst) if rst.id == id(5) && rst.status == ResetStatus::new(0))
    );
    let update = one(&control(9, 0xff, &words(&[0x8000_0005, 0x8000_0000])));
    assert!(
        matches!(update, Received::WindowUpdate(update) if update.id == Some(id(5)) && update.delta == 0)
    );
    let go_away = one(&control(7, 0xff, &words(&[0x8000_0003, 99])));
    assert!(
        matches!(go_away, Received::GoAway(go_away) if go_away.last_good == Some(id(3)) && go_away.status.code() == 99)
    );
    assert!(matches!(
        one(&control(6, 0xff, &words(&[0xffff_ffff]))),
        Received::Ping(0xffff_ffff)
    ));

    let plain = encode_all(&mut encoder(), [&headers(1, block("/"))]);
    let mut payload = words(&[0x8000_0007, 0x8000_0001]);
    payload.extend([0xbf, 0xff]);
    payload.extend(&plain[12..]);
    let Received::SynStream(syn) = one(&control(1, 0xfc, &payload)) else {
        panic!()
    };
    assert_eq!(
        (syn.id, syn.associated, syn.priority),
        (id(7), Some(id(1)), Priority::new(5))
    );
    assert!(!syn.fin && !syn.unidirectional);
    assert_eq!(syn.block, Ok(block("/")));

    // 0x02 on DATA was withdrawn before it was ever used.
    let data = one(&raw(1, 0xfe, 3, b"abc"));
    assert!(matches!(data, Received::Data(data) if !data.fin && data.payload == "abc"));
}

#[test]
fn other_versions_are_refused_whatever_the_type() {
    for version in [0_u32, 1, 2, 4, 0x7fff] {
        for kind in [1, 4, 6, 99] {
            refused(
                &raw(0x8000_0000 | version << 16 | kind, 0, 4, &[]),
                &format!("version {version}"),
            );
        }
    }
}

#[test]
fn unknown_types_are_skipped_by_length() {
    for (kind, payload) in [
        (5, vec![]),
        (10, vec![1; 70_000]),
        (0, vec![2; 3]),
        (0xffff, vec![3; 300]),
    ] {
        let bytes = [control(kind, 0xff, &payload), control(6, 0, &words(&[9]))].concat();
        let len = payload.len() as u32;
        assert_eq!(
            decode(&bytes).unwrap(),
            [Received::Ignored { kind, len }, Received::Ping(9)]
        );
    }
}

#[test]
fn settings_are_taken_entry_by_entry() {
    let entry = |id: u32, value: u32| words(&[id, value]);
    let payload = [
        words(&[6]),
        entry(0, 9),
        entry(0x0300_0007, 1),
        entry(9, 9),
        entry(0x00ff_ffff, 2),
        entry(7, 3),
        entry(0xfc00_0004, 4),
    ]
    .concat();
    let Received::Settings(settings) = one(&control(4, 0xff, &payload)) else {
        panic!()
    };
    assert!(settings.clear);
    assert_eq!(settings.len(), 2);
    let window = settings.get(SettingId::InitialWindowSize).unwrap();
    assert_eq!(
        (window.value, window.persist, window.persisted),
        (1, true, true)
    );
    let streams = settings.get(SettingId::MaxConcurrentStreams).unwrap();
    assert_eq!(
        (streams.value, streams.persist, streams.persisted),
        (4, false, false)
    );

    let Received::Settings(settings) = one(&control(4, 0xfe, &words(&[0]))) else {
        panic!()
    };
    assert!(settings.is_empty() && !settings.clear);
}

#[test]
fn a_settings_count_that_lies_is_refused_before_its_entries() {
    for (count, len) in [
        (0xffff_ffff, 4),
        (1, 4),
        (0, 12),
        (2, 12),
        (1, 11),
        (1, 13),
        (0x2000_0001, 12),
    ] {
        refused(&raw(0x8003_0004, 0, len, &words(&[count])), "SETTINGS");
    }
    // As large as the limit allows, and one entry more.
    let entries = |n: u32| [words(&[n]), vec![0; n as usize * 8]].concat();
    assert!(
        matches!(one(&control(4, 0, &entries(8191))), Received::Settings(settings) if settings.is_empty())
    );
    refused(
        &raw(0x8003_0004, 0, 4 + 8192 * 8, &words(&[8192])),
        "SETTINGS of Length",
    );
    // At the limit exactly: 4 bytes and 1,024 entries.
    let mut limits = DecoderLimits::default();
    limits.max_control_frame_size = 4 + 1024 * 8;
    let mut decoder = Decoder::new(Version::Spdy31, limits);
    let bytes = control(4, 0, &entries(1024));
    let (frames, result) = decode_split(&mut decoder, &bytes, &[]);
    assert!(result.is_ok() && frames.len() == 1, "{result:?}");
}

#[test]
fn frames_are_displayed_with_their_fields() {
    let go_away = GoAway {
        last_good: Some(id(7)),
        status: GoAwayStatus::PROTOCOL_ERROR,
    };
    assert_eq!(
        go_away.to_string(),
        "GOAWAY last_good=7 status=PROTOCOL_ERROR"
    );
    let update = |id| WindowUpdate { id, delta: 9 }.to_string();
    assert_eq!(update(None), "WINDOW_UPDATE id=0 delta=9");
    assert_eq!(update(Some(id(3))), "WINDOW_UPDATE id=3 delta=9");
}

#[test]
fn data_comes_in_pieces_without_a_copy() {
    let mut decoder = decoder();
    let mut buf = BytesMut::from(&raw(3, 1, 10, b"")[..]);
    let piece = |frame_len, last, fin, payload: &'static str| {
        let payload = Bytes::from_static(payload.as_bytes());
        Ok(Some(Received::Data(DataPiece {
            id: Some(id(3)),
            frame_len,
            last,
            fin,
            payload,
        })))
    };
    assert_eq!(decoder.decode(&mut buf), piece(Some(10), false, false, ""));
    assert!(!decoder.is_at_boundary());
    assert_eq!(decoder.decode(&mut buf), Ok(None));
    buf.extend_from_slice(b"0123");
    let address = buf.as_ptr();
    let first = decoder.decode(&mut buf);
    assert!(matches!(&first, Ok(Some(Received::Data(data))) if data.payload.as_ptr() == address));
    assert_eq!(first, piece(None, false, false, "0123"));
    buf.extend_from_slice(b"456789\x80");
    assert_eq!(decoder.decode(&mut buf), piece(None, true, true, "456789"));
    assert!(decoder.is_at_boundary());
    assert_eq!(decoder.decode(&mut buf), Ok(None));
    assert_eq!(&buf[..], b"\x80");

    // Empty frames, with and without FIN.
    for fin in [false, true] {
        let data = one(&raw(3, u8::from(fin), 0, &[]));
        assert_eq!(Ok(Some(data)), piece(Some(0), true, fin, ""));
    }
}

#[test]
fn a_huge_data_frame_is_not_waited_for() {
    let mut decoder = decoder();
    let mut buf = BytesMut::from(&raw(1, 0, 0x00ff_ffff, &[5; 100])[..]);
    let head = decoder.decode(&mut buf).unwrap().unwrap();
    assert!(
        matches!(head, Received::Data(data) if data.frame_len == Some(0x00ff_ffff) && data.payload.len() == 100)
    );
    assert!(buf.is_empty() && !decoder.is_at_boundary());
}

#[test]
fn large_data_is_split_into_frames() {
    const MAX: usize = 0x00ff_ffff;
    for (len, lens) in [
        (MAX, vec![(MAX, true)]),
        (MAX + 5, vec![(MAX, false), (5, true)]),
        (2 * MAX, vec![(MAX, false), (MAX, true)]),
    ] {
        let frame = Frame::Data(Data {
            id: id(1),
            fin: true,
            payload: vec![1; len].into(),
        });
        let bytes = encode_all(&mut encoder(), [&frame]);
        let (frames, result) = decode_split(&mut decoder(), &bytes, &[1 << 20]);
        assert_eq!(result, Ok(()));
        let sent = join(frames).into_iter().map(|frame| match frame {
            Received::Data(data) => (data.payload.len(), data.fin),
            other => panic!("{other:?}"),
        });
        assert_eq!(sent.collect::<Vec<_>>(), lens);
    }
}

#[test]
fn a_block_of_no_bytes_is_empty_and_bypasses_zlib() {
    let mut encoder = encoder();
    let before = encode_all(&mut encoder, [&headers(1, block("/1"))]);
    let after = encode_all(&mut encoder, [&headers(1, block("/2"))]);
    let empty = [control(2, 0, &words(&[1])), control(8, 1, &words(&[1])), {
        let mut payload = words(&[3, 0]);
        payload.extend([0, 0]);
        control(1, 0, &payload)
    }]
    .concat();
    let frames = decode(&[&empty[..], &before, &empty, &after].concat()).unwrap();
    assert_eq!(frames.len(), 8);
    for (at, frame) in frames.iter().enumerate() {
        let block_of = match frame {
            Received::SynStream(syn) => &syn.block,
            Received::SynReply(headers) | Received::Headers(headers) => &headers.block,
            other => panic!("{other:?}"),
        };
        let expected = match at {
            3 => block("/1"),
            7 => block("/2"),
            _ => HeaderBlock::empty(),
        };
        assert_eq!(block_of, &Ok(expected));
    }
}

/// An uncompressed frame whose block has `len` plain bytes.
fn stored(encoder: &mut Encoder, len: usize) -> Bytes {
    let mut builder = HeaderBlock::builder();
    builder.push("x", &vec![b'y'; len - 13]).unwrap();
    encode_all(encoder, [&headers(1, builder.finish())])
}

#[test]
fn control_frames_above_the_limit_are_drained() {
    let mut limits = DecoderLimits::default();
    limits.block.max_list_size = 1 << 20;
    limits.max_control_frame_size = 1;
    let mut encoder = Encoder::new(Version::Spdy31, HeaderCompression::Off);
    let mut decoder = Decoder::new(Version::Spdy31, limits);
    let mut send = |bytes: &[u8], split: &[usize]| {
        let (mut frames, result) = decode_split(&mut decoder, bytes, split);
        result.map(|()| match frames.pop() {
            Some(Received::Headers(headers)) if frames.is_empty() => headers.block,
            other => panic!("{frames:?} {other:?}"),
        })
    };
    // Stream id, zlib header and dictionary id, stored-block header, marker. 8192 octets have to be accepted.
    let overhead = 4 + 6 + 5 + 5;
    let bytes = stored(&mut encoder, 8192 - overhead);
    assert_eq!(bytes.len(), 8 + 8192);
    assert!(send(&bytes, &[100]).unwrap().is_ok());
    let overhead = overhead - 6;
    let bytes = stored(&mut encoder, 8193 - overhead);
    assert_eq!(bytes.len(), 8 + 8193);
    assert_eq!(send(&bytes, &[100]).unwrap(), Err(BlockError::TooLarge));
    // The context is still in step.
    assert!(send(&stored(&mut encoder, 100), &[]).unwrap().is_ok());
    let bytes = stored(&mut encoder, 4 * 8192 - overhead);
    assert_eq!(send(&bytes, &[1000]).unwrap(), Err(BlockError::TooLarge));
    assert!(send(&stored(&mut encoder, 100), &[]).unwrap().is_ok());
    let bytes = stored(&mut encoder, 4 * 8192 - overhead + 1);
    assert!(
        send(&bytes, &[1000])
            .unwrap_err()
            .to_string()
            .contains("HEADERS of Length")
    );
}

#[test]
fn a_bomb_ends_the_session_and_a_large_block_only_its_stream() {
    let huge = |len: usize| {
        let mut builder = HeaderBlock::builder();
        builder.push("x", &vec![b'y'; len]).unwrap();
        headers(1, builder.finish())
    };
    let mut encoder = encoder();
    let frames = [huge(50_000), headers(3, block("/")), huge(1 << 20)];
    let bytes = encode_all(&mut encoder, &frames);
    assert!(bytes.len() < 2048, "{}", bytes.len());
    for split in [&[][..], &[1], &[64]] {
        let (frames, result) = decode_split(&mut decoder(), &bytes, split);
        assert!(
            matches!(&frames[0], Received::Headers(headers) if headers.block == Err(BlockError::TooLarge))
        );
        assert!(
            matches!(&frames[1], Received::Headers(headers) if headers.block == Ok(block("/")))
        );
        assert_eq!(frames.len(), 2);
        assert!(result.unwrap_err().to_string().contains("four times"));
    }
}

#[test]
fn peers_of_other_protocols_are_told_apart_at_the_first_frame_only() {
    refused(b"GET ", "HTTP/1 request");
    refused(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1 request");
    refused(b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1 response");
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2");
    refused(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], "TLS");
    refused(&[0; 100], "zeros");
    // Later the same bytes are DATA of some stream.
    let ping = control(6, 0, &words(&[1]));
    let frames = decode(&[&ping[..], &raw(0x4745_5420, 0, 3, b"abc"), &[0; 8]].concat()).unwrap();
    assert_eq!(frames.len(), 3);
    assert!(matches!(&frames[1], Received::Data(data) if data.id == StreamId::new(0x4745_5420)));
}

#[test]
fn two_frames_in_one_read_are_both_decoded() {
    let syn = Frame::SynStream(SynStream {
        id: id(1),
        associated: None,
        priority: Priority::LOWEST,
        fin: false,
        unidirectional: true,
        block: block("/"),
    });
    let data = Frame::Data(Data {
        id: id(1),
        fin: true,
        payload: Bytes::from_static(b"x"),
    });
    let bytes = encode_all(&mut encoder(), [&syn, &data]);
    let frames = decode(&bytes).unwrap();
    assert_eq!(frames, [received(&syn), received(&data)]);
    assert_eq!(
        frames.iter().map(to_send).collect::<Vec<_>>(),
        [Some(syn), Some(data)]
    );
}
