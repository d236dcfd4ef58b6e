//! The golden and malformed frame vectors in `tests/vectors`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod codec_support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use codec_support::{decode_split, encode_all, join, received, to_send};
use serde_json::Value;
use spdy::codec::{Decoder, DecoderLimits, Encoder};
use spdy::frame::{
    GoAwayStatus, Received, ReceivedBlock, ResetStatus, SettingId, StreamId, Version,
};
use spdy::headers::{BlockError, HeaderBlock, HeaderCompression};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

struct Vector {
    name: String,
    json: Value,
    bytes: Vec<u8>,
}

impl Vector {
    fn is(&self, key: &str) -> bool {
        self.json[key].as_bool().unwrap()
    }

    fn frames(&self) -> &[Value] {
        self.json["frames"].as_array().unwrap()
    }
}

/// All vectors of a protocol version; `valid` or malformed.
fn vectors(version: u64, valid: bool) -> Vec<Vector> {
    let index: Value =
        serde_json::from_str(&fs::read_to_string(directory().join("vectors.json")).unwrap())
            .unwrap();
    let all = index["vectors"].as_array().unwrap().iter().map(|json| {
        let bytes =
            unhex(&fs::read_to_string(directory().join(json["file"].as_str().unwrap())).unwrap());
        assert_eq!(json["length"], bytes.len());
        Vector {
            name: json["name"].as_str().unwrap().to_owned(),
            json: json.clone(),
            bytes,
        }
    });
    all.filter(|vector| vector.json["wire_version"] == version && vector.is("malformed") != valid)
        .collect()
}

fn decoder() -> Decoder {
    Decoder::new(Version::Spdy31, DecoderLimits::default())
}

fn number(id: Option<StreamId>) -> u32 {
    id.map_or(0, StreamId::get)
}

fn latin1(text: &Value) -> Vec<u8> {
    text.as_str()
        .unwrap()
        .chars()
        .map(|c| u8::try_from(c).unwrap())
        .collect()
}

fn check_block(block: &ReceivedBlock, json: &Value) {
    let block = block.as_ref().unwrap();
    assert_eq!(
        block.plain(),
        &unhex(json["block_plain_hex"].as_str().unwrap())
    );
    let headers = json["headers"].as_array().unwrap();
    assert_eq!(block.len(), headers.len());
    for ((name, raw), expected) in block.iter().zip(headers) {
        assert_eq!(name.as_bytes(), latin1(&expected["name"]));
        let members: Vec<_> = expected["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(latin1)
            .collect();
        assert_eq!(raw, members.join(&0));
        assert_eq!(block.values(name).collect::<Vec<_>>(), members);
        assert_eq!(block.get(name), Some(raw));
    }
}

/// Compares a decoded frame with its description, field by field.
fn check(frame: &Received, json: &Value) {
    let is = |key: &str, value: u64| assert_eq!(json[key], value, "{key} of {json}");
    let flag = |key: &str, value: bool| assert_eq!(json[key], value, "{key} of {json}");
    let kind = |name: &str| assert_eq!(json["type_name"], name);
    match frame {
        Received::SynStream(syn) => {
            kind("SYN_STREAM");
            is("stream_id", syn.id.get().into());
            is("associated_stream_id", number(syn.associated).into());
            is("priority", syn.priority.get().into());
            flag("fin", syn.fin);
            flag("unidirectional", syn.unidirectional);
            check_block(&syn.block, json);
        }
        Received::SynReply(headers) | Received::Headers(headers) => {
            let reply = matches!(frame, Received::SynReply(_));
            kind(if reply { "SYN_REPLY" } else { "HEADERS" });
            is("stream_id", headers.id.get().into());
            flag("fin", headers.fin);
            check_block(&headers.block, json);
        }
        Received::RstStream(rst) => {
            kind("RST_STREAM");
            is("stream_id", rst.id.get().into());
            is("status", rst.status.code().into());
        }
        Received::Settings(settings) => {
            kind("SETTINGS");
            flag("clear_settings", settings.clear);
            let entries = json["entries"].as_array().unwrap();
            let known = entries
                .iter()
                .filter(|entry| entry["id"].as_u64().unwrap() <= 8);
            let known: Vec<_> = known.collect();
            assert_eq!(settings.len(), known.len());
            for entry in known {
                let id = SettingId::from_wire(entry["id"].as_u64().unwrap() as u32).unwrap();
                let setting = settings.get(id).unwrap();
                assert_eq!(entry["value"], setting.value);
                assert_eq!(entry["persist_value"], setting.persist);
                assert_eq!(entry["persisted"], setting.persisted);
            }
        }
        Received::Ping(id) => {
            kind("PING");
            is("ping_id", (*id).into());
        }
        Received::GoAway(go_away) => {
            kind("GOAWAY");
            is("last_good_stream_id", number(go_away.last_good).into());
            is("status", go_away.status.code().into());
        }
        Received::WindowUpdate(update) => {
            kind("WINDOW_UPDATE");
            is("stream_id", number(update.id).into());
            is("delta", update.delta.into());
        }
        Received::Data(data) => {
            assert_eq!(json["kind"], "data");
            is("stream_id", number(data.id).into());
            is("length", data.frame_len.unwrap().into());
            flag("fin", data.fin);
            assert_eq!(data.payload, unhex(json["payload_hex"].as_str().unwrap()));
        }
        Received::Ignored { .. } => panic!("{json} was ignored"),
    }
}

#[test]
fn golden_vectors_decode_to_what_they_say_however_they_are_split() {
    let vectors = vectors(3, true);
    assert_eq!(vectors.len(), 11);
    for vector in &vectors {
        for split in [&[][..], &[1], &[2, 3, 5, 7], &[13, 1]] {
            let mut decoder = decoder();
            let (frames, result) = decode_split(&mut decoder, &vector.bytes, split);
            assert_eq!(result, Ok(()), "{}", vector.name);
            assert!(decoder.is_at_boundary());
            let frames = join(frames);
            assert_eq!(frames.len(), vector.frames().len(), "{}", vector.name);
            for (frame, json) in frames.iter().zip(vector.frames()) {
                check(frame, json);
            }
        }
    }
}

#[test]
fn byte_exact_vectors_are_encoded_to_the_same_bytes() {
    let mut exact = 0;
    let mut left_out = BTreeSet::new();
    let all = vectors(3, true).into_iter().chain(vectors(3, false));
    for vector in
        all.filter(|vector| vector.is("byte_exact") && vector.name != "bad-17-settings-count-lie")
    {
        let (frames, result) = decode_split(&mut decoder(), &vector.bytes, &[]);
        assert_eq!(result, Ok(()), "{}", vector.name);
        for (at, (frame, json)) in join(frames).iter().zip(vector.frames()).enumerate() {
            let foreign = json["entries"]
                .as_array()
                .is_some_and(|entries| entries.iter().any(|entry| entry["id"].as_u64() > Some(8)));
            let Some(frame) = to_send(frame).filter(|_| !foreign) else {
                left_out.insert((vector.name.clone(), at));
                continue;
            };
            let start = json["offset"].as_u64().unwrap() as usize;
            let end = start + 8 + json["length"].as_u64().unwrap() as usize;
            let mut encoder = Encoder::new(Version::Spdy31, HeaderCompression::Off);
            assert_eq!(
                encode_all(&mut encoder, [&frame]),
                &vector.bytes[start..end],
                "{} {at}",
                vector.name
            );
            exact += 1;
        }
    }
    // An unknown setting is not kept, and we never send empty DATA without FIN.
    let expected =
        [("v3-07-settings", 0), ("v3-10-data", 0)].map(|(name, at)| (name.to_owned(), at));
    assert_eq!(left_out, BTreeSet::from(expected));
    assert_eq!(exact, 2 + 17 + 3 + 2 + 4);
}

#[test]
fn vectors_with_blocks_survive_encoding_and_decoding() {
    for vector in vectors(3, true) {
        let (frames, _) = decode_split(&mut decoder(), &vector.bytes, &[]);
        let frames: Vec<_> = join(frames).iter().filter_map(to_send).collect();
        for compression in [
            HeaderCompression::Off,
            HeaderCompression::Level(1),
            HeaderCompression::Level(9),
        ] {
            let mut encoder = Encoder::new(Version::Spdy31, compression);
            let bytes = encode_all(&mut encoder, &frames);
            let (again, result) = decode_split(&mut decoder(), &bytes, &[]);
            assert_eq!(result, Ok(()));
            assert_eq!(join(again), frames.iter().map(received).collect::<Vec<_>>());
        }
    }
}

/// The block of the only frame of a vector.
fn only_block(vector: &Vector) -> Result<HeaderBlock, BlockError> {
    let (frames, result) = decode_split(&mut decoder(), &vector.bytes, &[]);
    assert_eq!(result, Ok(()), "{}", vector.name);
    match frames.as_slice() {
        [Received::SynStream(syn)] => syn.block.clone(),
        other => panic!("{}: {other:?}", vector.name),
    }
}

#[test]
fn malformed_vectors_fail_where_the_codec_can_tell() {
    let mut above = Vec::new();
    for vector in vectors(3, false) {
        let number: String = vector.name.chars().skip(4).take(2).collect();
        match number.as_str() {
            // Names and values: errors of the stream.
            "01" | "02" | "03" => {
                let error = only_block(&vector).unwrap_err();
                assert_eq!(error.status(), ResetStatus::PROTOCOL_ERROR);
                assert!(!error.is_too_large());
                assert_eq!(vector.json["expected"]["kind"], "stream_error");
                assert_eq!(vector.json["expected"]["code"], error.status().code());
            }
            // A foreign dictionary, a SETTINGS count that lies: errors of the session.
            "04" | "17" => {
                let (frames, result) = decode_split(&mut decoder(), &vector.bytes, &[]);
                let error = result.unwrap_err();
                assert_eq!(frames, []);
                assert_eq!(error.status(), GoAwayStatus::PROTOCOL_ERROR);
                assert_eq!(vector.json["expected"]["kind"], "session_error");
                assert_eq!(
                    spdy::Error::from(error).go_away_status(),
                    Some(GoAwayStatus::PROTOCOL_ERROR)
                );
            }
            // Well-formed; what is wrong is for the session or HTTP to judge.
            _ => {
                let (frames, result) = decode_split(&mut decoder(), &vector.bytes, &[]);
                assert_eq!(result, Ok(()), "{}", vector.name);
                for (frame, json) in join(frames).iter().zip(vector.frames()) {
                    check(frame, json);
                }
                above.push(number);
            }
        }
    }
    assert_eq!(
        above,
        [
            "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15"
        ]
    );
}

#[test]
fn spdy2_vectors_are_refused_by_name() {
    let all: Vec<_> = vectors(2, true)
        .into_iter()
        .chain(vectors(2, false))
        .collect();
    assert_eq!(all.len(), 8);
    for vector in all {
        let (frames, result) = decode_split(&mut decoder(), &vector.bytes, &[]);
        assert_eq!(frames, []);
        assert!(
            result.unwrap_err().to_string().contains("version 2"),
            "{}",
            vector.name
        );
    }
}

/// What kubectl (moby/spdystream) sends for `exec -i`, as recorded from 1.20, 1.28 and 1.33: level 9, one header
/// per stream, every field in its own write.
#[test]
fn recorded_kubectl_streams_decode() {
    let bytes = unhex(
        "8003000100000029000000010000000000 00 78f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff
         8003000100000017000000030000000000 00 c22e555c92929907000000ffff
         8003000100000019000000050000000000 00 c22ac5565c92925f5a02000000ffff
         8003000100000015000000070000000000 00 c229975a5404000000ffff
         0000000300000008 6162630a6465660a 0000000301000000
         8003000300000008 00000003 00000005 8003000700000008 00000000 00000000",
    );
    for split in [&[][..], &[1], &[4, 4], &[2, 2, 4]] {
        let (frames, result) = decode_split(&mut decoder(), &bytes, split);
        assert_eq!(result, Ok(()));
        let frames = join(frames);
        let [streams @ .., data, fin, rst, go_away] = frames.as_slice() else {
            panic!("{frames:?}");
        };
        for ((frame, id), kind) in streams
            .iter()
            .zip([1, 3, 5, 7])
            .zip(["error", "stdin", "stdout", "stderr"])
        {
            let Received::SynStream(syn) = frame else {
                panic!("{frame:?}")
            };
            assert_eq!((syn.id.get(), syn.priority.get(), syn.fin), (id, 0, false));
            let block = syn.block.as_ref().unwrap();
            assert_eq!(
                block.iter().collect::<Vec<_>>(),
                [("streamtype", kind.as_bytes())]
            );
        }
        assert_eq!(streams.len(), 4);
        assert!(matches!(data, Received::Data(data) if data.payload == "abc\ndef\n" && !data.fin));
        assert!(matches!(fin, Received::Data(data) if data.payload.is_empty() && data.fin));
        assert!(matches!(rst, Received::RstStream(rst) if rst.status == ResetStatus::CANCEL));
        assert!(matches!(go_away, Received::GoAway(go_away) if go_away.last_good.is_none()));
    }
}
