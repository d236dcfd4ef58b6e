//! Properties of the codec that hold for all frames, all fragmentations and all bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod codec_support;

use bytes::{Buf, Bytes};
use codec_support::{decode_split, encode_all, join, received};
use proptest::collection::vec;
use proptest::prelude::*;
use spdy::codec::{Decoder, DecoderLimits, Encoder, OutBuf};
use spdy::frame::{
    Data, Frame, GoAway, GoAwayStatus, HeaderFrame, Priority, ResetStatus, RstStream, Setting,
    SettingId, Settings, StreamId, SynStream, Version, WindowUpdate,
};
use spdy::headers::{BlockLimits, HeaderBlock, HeaderCompression};

fn decoder() -> Decoder {
    Decoder::new(Version::Spdy31, DecoderLimits::default())
}

fn encoder(compression: HeaderCompression) -> Encoder {
    Encoder::new(Version::Spdy31, compression)
}

fn stream_id() -> impl Strategy<Value = StreamId> {
    prop_oneof![1_u32..40, 1_u32..=0x7fff_ffff].prop_map(|id| StreamId::new(id).unwrap())
}

fn any_stream_id() -> impl Strategy<Value = Option<StreamId>> {
    proptest::option::of(stream_id())
}

fn name() -> impl Strategy<Value = String> {
    let byte = proptest::sample::select(b"abcxyz019-_.~!".to_vec());
    prop_oneof![
        proptest::sample::select(vec![
            ":method",
            ":path",
            "cookie",
            "set-cookie",
            "accept",
            "x-a"
        ])
        .prop_map(str::to_owned),
        vec(byte, 1..20).prop_map(|bytes| String::from_utf8(bytes).unwrap()),
    ]
}

fn block() -> impl Strategy<Value = HeaderBlock> {
    let value = vec(any::<u8>(), 0..60);
    let header = (name(), vec(value, 0..4));
    vec(header, 0..12).prop_map(|headers| {
        let mut builder = HeaderBlock::builder();
        for (name, values) in &headers {
            // Duplicate names and values with NUL are refused, which leaves the rest untouched.
            let _ = builder.push_values(name, values.iter().map(Vec::as_slice));
        }
        builder.finish()
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let entry = (1_u32..=8, any::<u32>(), any::<bool>(), any::<bool>());
    (any::<bool>(), vec(entry, 0..10)).prop_map(|(clear, entries)| {
        let mut settings = Settings::new();
        settings.clear = clear;
        for (id, value, persist, persisted) in entries {
            let setting = Setting {
                value,
                persist,
                persisted,
            };
            settings.insert_first(SettingId::from_wire(id).unwrap(), setting);
        }
        settings
    })
}

fn data() -> impl Strategy<Value = Data> {
    let payload = prop_oneof![3 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 1000..3000)];
    (stream_id(), any::<bool>(), payload).prop_map(|(id, fin, payload)| Data {
        id,
        fin: fin || payload.is_empty(),
        payload: Bytes::from(payload),
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let header = || {
        (stream_id(), any::<bool>(), block()).prop_map(|(id, fin, block)| HeaderFrame {
            id,
            fin,
            block,
        })
    };
    let syn = (
        stream_id(),
        any_stream_id(),
        0_u8..8,
        any::<bool>(),
        any::<bool>(),
        block(),
    );
    prop_oneof![
        2 => syn.prop_map(|(id, associated, priority, fin, unidirectional, block)| Frame::SynStream(SynStream {
            id,
            associated,
            priority: Priority::new(priority),
            fin,
            unidirectional,
            block,
        })),
        2 => header().prop_map(Frame::SynReply),
        2 => header().prop_map(Frame::Headers),
        1 => (stream_id(), any::<u32>())
            .prop_map(|(id, status)| Frame::RstStream(RstStream { id, status: ResetStatus::new(status) })),
        1 => settings().prop_map(Frame::Settings),
        1 => any::<u32>().prop_map(Frame::Ping),
        1 => (any_stream_id(), any::<u32>())
            .prop_map(|(last_good, status)| Frame::GoAway(GoAway { last_good, status: GoAwayStatus::new(status) })),
        1 => (any_stream_id(), 1_u32..=0x7fff_ffff)
            .prop_map(|(id, delta)| Frame::WindowUpdate(WindowUpdate { id, delta })),
        3 => data().prop_map(Frame::Data),
    ]
}

fn compression() -> impl Strategy<Value = HeaderCompression> {
    prop_oneof![
        Just(HeaderCompression::Off),
        prop_oneof![Just(1), 0_u32..12].prop_map(HeaderCompression::Level),
    ]
}

/// Takes everything out of `out` in vectored writes that accept `sizes` bytes each.
fn drain_vectored(out: &mut OutBuf, sizes: &[usize]) -> Vec<u8> {
    let mut sizes = sizes.iter().copied().filter(|size| *size > 0).cycle();
    let mut bytes = Vec::new();
    while out.has_remaining() {
        let mut slices = [std::io::IoSlice::new(&[]); 3];
        let filled = out.chunks_vectored(&mut slices);
        assert_eq!(filled, out.slices().min(3));
        assert!(slices[..filled].iter().all(|slice| !slice.is_empty()));
        assert_eq!(&slices[0][..], out.chunk());
        let offered: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let taken = sizes.next().unwrap_or(usize::MAX).min(offered.len());
        bytes.extend_from_slice(&offered[..taken]);
        out.advance(taken);
    }
    bytes
}

proptest! {
    // Six frames a case on average.
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_inverts_encoding_stored(frames in vec(frame(), 1..12)) {
        let bytes = encode_all(&mut encoder(HeaderCompression::Off), &frames);
        let (decoded, result) = decode_split(&mut decoder(), &bytes, &[]);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(join(decoded), frames.iter().map(received).collect::<Vec<_>>());
    }

    #[test]
    fn decoding_inverts_encoding_compressed(level in prop_oneof![4 => Just(1), 1 => 0_u32..12], frames in vec(frame(), 1..12)) {
        let bytes = encode_all(&mut encoder(HeaderCompression::Level(level)), &frames);
        let (decoded, result) = decode_split(&mut decoder(), &bytes, &[]);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(join(decoded), frames.iter().map(received).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fragmentation_makes_no_difference(
        compression in compression(),
        frames in vec(frame(), 1..8),
        sizes in prop_oneof![Just(vec![1]), vec(1_usize..40, 1..8), vec(1_usize..2000, 1..8)],
    ) {
        let bytes = encode_all(&mut encoder(compression), &frames);
        let mut decoder = decoder();
        let (decoded, result) = decode_split(&mut decoder, &bytes, &sizes);
        prop_assert_eq!(result, Ok(()));
        prop_assert!(decoder.is_at_boundary());
        prop_assert_eq!(join(decoded), frames.iter().map(received).collect::<Vec<_>>());
    }

    #[test]
    fn output_is_the_same_flat_or_not_and_however_it_is_written(
        frames in vec(frame(), 1..12),
        more in vec(frame(), 0..4),
        sizes in vec(1_usize..1500, 1..6),
    ) {
        let all: Vec<Frame> = frames.iter().chain(&more).cloned().collect();
        let expected = encode_all(&mut encoder(HeaderCompression::Off), &all);
        for flat in [false, true] {
            let (mut encoder, mut out) = (encoder(HeaderCompression::Off), OutBuf::new());
            out.set_flat(flat);
            for frame in &frames {
                encoder.encode(frame, &mut out);
            }
            // A partial write between two batches.
            let half = out.len() / 2;
            let mut bytes = out.copy_to_bytes(half).to_vec();
            for frame in &more {
                encoder.encode(frame, &mut out);
            }
            prop_assert!(!flat || out.slices() <= 1);
            bytes.extend(drain_vectored(&mut out, &sizes));
            prop_assert!(out.is_empty() && out.slices() == 0);
            prop_assert_eq!(&expected, &bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..600), sizes in vec(1_usize..50, 1..4)) {
        let (_, result) = decode_split(&mut decoder(), &bytes, &sizes);
        if let Err(error) = result {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn damaged_frames_never_panic(
        compression in compression(),
        frames in vec(frame(), 1..6),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        sizes in vec(1_usize..200, 1..4),
    ) {
        let mut bytes = encode_all(&mut encoder(compression), &frames).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut decoder = decoder();
        let (_, result) = decode_split(&mut decoder, &bytes, &sizes);
        if let Err(error) = result {
            // An error is final.
            let mut more = bytes::BytesMut::from(&bytes[..]);
            prop_assert_eq!(decoder.decode(&mut more), Err(error));
            prop_assert_eq!(more.len(), bytes.len());
        }
    }

    #[test]
    fn whatever_parses_obeys_the_rules(
        block in block(),
        damage in vec((any::<proptest::sample::Index>(), prop_oneof![Just(0), any::<u8>()]), 0..3),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut plain = block.plain().to_vec();
        let damaged = !damage.is_empty() || cut.is_some();
        for (at, byte) in damage {
            let at = at.index(plain.len());
            plain[at] = byte;
        }
        if let Some(cut) = cut {
            plain.truncate(cut.index(plain.len()));
        }
        let plain = Bytes::from(plain);
        let limits = BlockLimits::default();
        match HeaderBlock::parse(Version::Spdy31, plain.clone(), &limits) {
            Ok(parsed) => {
                prop_assert!(damaged || parsed == block);
                prop_assert_eq!(parsed.plain(), &plain);
                prop_assert_eq!(parsed.iter().count(), parsed.len());
                prop_assert!(parsed.list_size() <= limits.max_list_size);
                let mut size = 0;
                let names: std::collections::HashSet<_> = parsed.iter().map(|(name, _)| name.to_owned()).collect();
                prop_assert_eq!(names.len(), parsed.len());
                for (at, (name, raw)) in parsed.iter().enumerate() {
                    prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
                    prop_assert!(!name.is_empty());
                    let members: Vec<_> = parsed.values(name).collect();
                    prop_assert!(raw.is_empty() || members.iter().all(|member| !member.is_empty()));
                    size += members.iter().map(|member| name.len() + member.len() + 32).sum::<usize>();
                    let (name_bytes, value) = parsed.field_bytes(at).unwrap();
                    prop_assert_eq!((&name_bytes[..], &value[..]), (name.as_bytes(), raw));
                }
                prop_assert_eq!(size, parsed.list_size());
                for ((name, raw), (same, value)) in parsed.iter().zip(parsed.iter_bytes()) {
                    prop_assert_eq!((name, raw), (same, &value[..]));
                }
            }
            Err(error) => prop_assert!(damaged, "{}", error),
        }
    }
}
