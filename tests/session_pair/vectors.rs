//! The malformed vectors, from bytes to the reaction of the session.

use bytes::BytesMut;
use serde_json::Value;
use spdy::codec::Decoder;
use spdy::frame::Role;
use spdy::headers::HeaderBlock;
use spdy::session::Key;
use spdy::{Config, Error};

use crate::pair::*;

fn vectors() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../vectors/vectors.json")).unwrap();
    all["vectors"].as_array().unwrap().clone()
}

fn bytes_of(vector: &Value) -> BytesMut {
    let path = format!(
        "{}/tests/vectors/{}",
        env!("CARGO_MANIFEST_DIR"),
        vector["file"].as_str().unwrap()
    );
    let text = std::fs::read_to_string(path).unwrap();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes: BytesMut = digits.chunks(2).map(byte).collect();
    assert_eq!(bytes.len() as u64, vector["length"].as_u64().unwrap());
    bytes
}

/// A session in the state that the vector presupposes. `None`: the vector asks for a state unknown here.
fn set_up(vector: &Value) -> Option<(Solo, Option<Key>)> {
    let role = match vector["sender"].as_str()? {
        "client" => Role::Server,
        _ => Role::Client,
    };
    let mut peer = Solo::started(role, Config::for_role(role));
    let mut key = None;
    for condition in vector["setup"].as_array().into_iter().flatten() {
        match condition.as_str()? {
            "stream 1 is open, receiver has sent no DATA or FIN on it" => {
                peer.accepted(1, false);
            }
            "the client opened stream 1 and got no SYN_REPLY yet"
            | "the client opened stream 1"
            | "the client opened stream 1 and it is still open" => {
                key = Some(peer.open_stream());
                peer.sent();
            }
            // Nothing to do for these: streams stay open until the test ends them.
            "stream 1 is still open when the second frame is processed"
            | "stream 9 was never opened"
            | "receiver has not sent GOAWAY"
            | "the server has not finished its response" => {}
            _ => return None,
        }
    }
    Some((peer, key))
}

/// Feeds bytes as the driver does.
fn feed(peer: &mut Solo, mut bytes: BytesMut) {
    let config = peer.session.config();
    let mut decoder = Decoder::new(config.version(), config.decoder_limits());
    loop {
        match decoder.decode(&mut bytes) {
            Ok(Some(frame)) => drop(peer.feed(frame)),
            Ok(None) => return,
            Err(error) => return peer.session.fail(Error::from(error)),
        }
    }
}

#[test]
fn malformed_vectors_get_the_reaction_that_the_drafts_demand() {
    let mut covered = 0;
    for vector in vectors() {
        if vector["malformed"] != true || vector["wire_version"] != 3 {
            continue;
        }
        covered += 1;
        let name = vector["name"].as_str().unwrap();
        let (mut peer, key) = set_up(&vector).unwrap_or_else(|| panic!("{name}: unknown setup"));
        feed(&mut peer, bytes_of(&vector));
        let expected = &vector["expected"];
        let stream = expected["stream_id"].as_u64();
        let sent = peer.sent_frames();
        let statuses: Vec<_> = sent
            .iter()
            .filter_map(|frame| match frame {
                spdy::frame::Frame::RstStream(reset) => Some((
                    Some(u64::from(reset.id.get())),
                    u64::from(reset.status.code()),
                )),
                spdy::frame::Frame::GoAway(go_away) => {
                    Some((None, u64::from(go_away.status.code())))
                }
                _ => None,
            })
            .collect();
        let code = expected["code"].as_u64().unwrap();
        match expected["kind"].as_str().unwrap() {
            // What only HTTP can judge reaches the application, which layer 4 is.
            "http_400" => assert!(statuses.is_empty() && lacks(&mut peer, ":path"), "{name}"),
            "stream_error" if name == "bad-14-reply-without-status" => {
                let reply = peer.session.take_reply(key.unwrap()).unwrap().unwrap();
                assert!(statuses.is_empty() && reply.get(":status").is_none());
            }
            "stream_error" if name == "bad-15-push-without-host" => {
                assert!(statuses.is_empty() && lacks(&mut peer, ":host"), "{name}");
            }
            "stream_error" => {
                assert_eq!(statuses, [(stream, code)], "{name}");
                assert!(!peer.session.is_over(), "{name}");
            }
            "session_error" => {
                assert_eq!(statuses, [(None, code)], "{name}");
                assert!(peer.session.is_over(), "{name}");
            }
            kind => panic!("{name}: unknown kind {kind}"),
        }
    }
    assert_eq!(covered, 16, "vectors were added or lost");
}

/// The stream was handed to the application, which can see what is missing.
fn lacks(peer: &mut Solo, name: &str) -> bool {
    let block: HeaderBlock = peer.accept_stream().headers.unwrap();
    block.get(name).is_none()
}

#[test]
fn sound_vectors_are_accepted_frame_by_frame() {
    let mut covered = 0;
    for vector in vectors() {
        if vector["malformed"] == true || vector["wire_version"] != 3 {
            continue;
        }
        covered += 1;
        let name = vector["name"].as_str().unwrap();
        let mut bytes = bytes_of(&vector);
        let config = Config::server();
        let mut decoder = Decoder::new(config.version(), config.decoder_limits());
        let mut frames = 0;
        while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
            let starts = match &frame {
                spdy::frame::Received::Data(piece) => piece.frame_len.is_some(),
                _ => true,
            };
            frames += usize::from(starts);
        }
        assert_eq!(frames, vector["frames"].as_array().unwrap().len(), "{name}");
        assert!(bytes.is_empty() && decoder.is_at_boundary());
    }
    assert_eq!(covered, 11, "vectors were added or lost");
}
