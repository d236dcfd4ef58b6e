//! Frames as a peer may send them, drawn from bytes: most of them make sense, on streams that are likely to be in use.

use bytes::Bytes;
use spdy::frame::{
    Data, Frame, GoAway, GoAwayStatus, HeaderFrame, Priority, ResetStatus, RstStream, Setting,
    SettingId, Settings, StreamId, SynStream, WindowUpdate,
};
use spdy::headers::HeaderBlock;

use super::draw::Draw;

/// What the services of the target `server` are reached by, and something else.
const PATHS: [&str; 8] = [
    "/",
    "/stream",
    "/upload",
    "/slow",
    "/trailers",
    "/ignore",
    "*",
    "/else",
];
const METHODS: [&str; 6] = ["GET", "POST", "HEAD", "CONNECT", "OPTIONS", "PUT"];
const NAMES: [&str; 12] = [
    "accept",
    "cookie",
    "expect",
    "te",
    "connection",
    "transfer-encoding",
    "content-length",
    "x-a",
    ":host",
    "host",
    "trailer",
    ":method",
];
const STATUSES: [&str; 10] = [
    "200", "204", "304", "404", "100", "101", "103", "500 Text", "99", "x",
];

/// What Kubernetes' streams are for, where they lead, and what is said on them.
const TYPES: [&str; 7] = [
    "error", "stdin", "stdout", "stderr", "resize", "data", "other",
];
const PORTS: [&str; 6] = ["80", "81", "82", "83", "0", "x"];
const REQUESTS: [&str; 4] = ["0", "1", "2", ""];
const TEXTS: [&str; 8] = [
    "{\"Width\":100,\"Height\":30}\n",
    "{\"Width\":70000}\n{\"Height\":1}[",
    "{\"metadata\":{},\"status\":\"Success\"}",
    "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"3\"}]}}",
    "{\"status\":\"Failure\",\"message\":\"no\",\"reason\":\"InternalError\",\"code\":500}",
    "port 80: connection refused",
    "typed\n",
    "",
];

fn stream(draw: &mut Draw<'_>) -> StreamId {
    let id = match draw.byte() {
        250.. => draw.word() & 0x7fff_ffff,
        byte @ 220.. => u32::from(byte - 219),
        // Small and odd: what a client opens.
        byte => u32::from(byte % 6) * 2 + 1,
    };
    StreamId::new(id.max(1)).unwrap()
}

fn value<'a>(draw: &mut Draw<'a>) -> &'a [u8] {
    let len = draw.byte();
    draw.bytes(usize::from(len % 40))
}

/// Adds what is drawn; the builder leaves out what is not legal.
fn extra(draw: &mut Draw<'_>, pairs: &mut Vec<(String, Vec<u8>)>) {
    for _ in 0..draw.weighted(&[8, 4, 2, 1]) {
        match draw.weighted(&[4, 2, 1]) {
            0 => pairs.push((draw.pick(&NAMES).to_owned(), value(draw).to_vec())),
            1 => {
                let name = String::from_utf8_lossy(value(draw)).to_lowercase();
                pairs.push((name, value(draw).to_vec()));
            }
            _ => {
                let name = format!("x-{}", draw.byte());
                pairs.push((name, vec![b'v'; draw.below(20_000)]));
            }
        }
    }
}

fn build(pairs: &[(String, Vec<u8>)]) -> HeaderBlock {
    let mut builder = HeaderBlock::builder();
    for (name, value) in pairs {
        let members = value.split(|byte| *byte == 0);
        // A header that must not be sent is left out.
        let _ = builder.push_values(name, members);
    }
    builder.finish()
}

fn pair(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

/// A request, with one of its headers missing at times.
fn request(draw: &mut Draw<'_>) -> HeaderBlock {
    let mut pairs = vec![
        pair(":method", draw.pick(&METHODS)),
        pair(":path", draw.pick(&PATHS)),
        pair(":version", "HTTP/1.1"),
        pair(":host", "a"),
        pair(":scheme", "http"),
    ];
    if draw.chance(10) {
        pairs.remove(draw.below(5));
    }
    if draw.chance(20) {
        pairs.push(pair("content-length", &draw.below(100).to_string()));
    }
    extra(draw, &mut pairs);
    build(&pairs)
}

fn response(draw: &mut Draw<'_>) -> HeaderBlock {
    let mut pairs = vec![
        pair(":status", draw.pick(&STATUSES)),
        pair(":version", "HTTP/1.1"),
    ];
    if draw.chance(10) {
        pairs.remove(draw.below(2));
    }
    if draw.chance(20) {
        pairs.push(pair("content-length", &draw.below(100).to_string()));
    }
    extra(draw, &mut pairs);
    build(&pairs)
}

fn other(draw: &mut Draw<'_>) -> HeaderBlock {
    let mut pairs = Vec::new();
    extra(draw, &mut pairs);
    build(&pairs)
}

/// A block with many distinct names, past the point where duplicates are searched in another way; or one that does not
/// fit into one stored block of zlib's.
fn large(draw: &mut Draw<'_>) -> HeaderBlock {
    if draw.flag() {
        let value = "v".repeat(65_400 + draw.below(300));
        return build(&[pair("x", &value)]);
    }
    let pairs: Vec<_> = (0..draw.below(120))
        .map(|n| pair(&format!("n{n}"), ""))
        .collect();
    build(&pairs)
}

pub(crate) fn block(draw: &mut Draw<'_>) -> HeaderBlock {
    match draw.weighted(&[6, 6, 3, 1]) {
        0 => request(draw),
        1 => response(draw),
        2 => other(draw),
        _ => large(draw),
    }
}

fn payload(draw: &mut Draw<'_>) -> Bytes {
    match draw.weighted(&[1, 4, 2, 1]) {
        0 => Bytes::new(),
        1 => Bytes::copy_from_slice(value(draw)),
        2 => Bytes::from(vec![b'd'; draw.below(3000)]),
        _ => Bytes::from(vec![b'D'; draw.below(70_000)]),
    }
}

fn settings(draw: &mut Draw<'_>) -> Settings {
    let mut settings = Settings::new();
    settings.clear = draw.chance(10);
    for _ in 0..draw.below(4) {
        let id = SettingId::from_wire(draw.pick(&[7, 4, 1, 2, 3, 5, 6, 8])).unwrap();
        let value = match draw.weighted(&[3, 2, 1, 1]) {
            0 => draw.below_u32(8),
            1 => draw.below_u32(200_000),
            2 => 0x7fff_ffff,
            _ => draw.word(),
        };
        let setting = Setting {
            value,
            persist: draw.flag(),
            persisted: draw.flag(),
        };
        settings.insert_first(id, setting);
    }
    settings
}

fn update(draw: &mut Draw<'_>) -> WindowUpdate {
    WindowUpdate {
        id: if draw.flag() {
            Some(stream(draw))
        } else {
            None
        },
        delta: match draw.weighted(&[3, 1, 1]) {
            0 => 1 + draw.below_u32(99_999),
            1 => 0x7fff_ffff,
            _ => (draw.word() & 0x7fff_ffff).max(1),
        },
    }
}

/// As [`frame`], and mostly what a peer of Kubernetes' streams may send.
pub(crate) fn kubernetes(draw: &mut Draw<'_>) -> Frame {
    let (id, fin) = (stream(draw), draw.chance(15));
    match draw.weighted(&[6, 6, 8, 3]) {
        0 => {
            let mut pairs = vec![pair("streamtype", draw.pick(&TYPES))];
            if draw.flag() {
                pairs.push(pair("port", draw.pick(&PORTS)));
                pairs.push(pair("requestid", draw.pick(&REQUESTS)));
            }
            if draw.chance(5) {
                extra(draw, &mut pairs);
            }
            Frame::SynStream(SynStream {
                id,
                associated: None,
                priority: Priority::new(0),
                fin,
                unidirectional: draw.chance(2),
                block: build(&pairs),
            })
        }
        1 => Frame::SynReply(HeaderFrame {
            id,
            fin: draw.chance(2),
            block: HeaderBlock::empty(),
        }),
        2 => {
            let text = draw.pick(&TEXTS).as_bytes();
            let payload = if draw.chance(20) {
                payload(draw)
            } else {
                Bytes::copy_from_slice(&text[..text.len().min(usize::from(draw.byte()))])
            };
            Frame::Data(Data {
                id,
                fin: fin || payload.is_empty(),
                payload,
            })
        }
        _ => frame(draw),
    }
}

/// Any frame that our encoder can write.
pub(crate) fn frame(draw: &mut Draw<'_>) -> Frame {
    let header = |draw: &mut Draw<'_>, block: HeaderBlock| HeaderFrame {
        id: stream(draw),
        fin: draw.flag(),
        block,
    };
    match draw.weighted(&[8, 6, 3, 8, 3, 2, 3, 1, 4]) {
        0 => Frame::SynStream(SynStream {
            id: stream(draw),
            associated: if draw.chance(5) {
                Some(stream(draw))
            } else {
                None
            },
            priority: Priority::new(draw.byte() % 8),
            fin: draw.flag(),
            unidirectional: draw.chance(5),
            block: if draw.chance(20) {
                block(draw)
            } else {
                request(draw)
            },
        }),
        1 => {
            let block = if draw.chance(20) {
                block(draw)
            } else {
                response(draw)
            };
            Frame::SynReply(header(draw, block))
        }
        2 => {
            let block = if draw.chance(20) {
                block(draw)
            } else {
                other(draw)
            };
            Frame::Headers(header(draw, block))
        }
        3 => {
            let payload = payload(draw);
            Frame::Data(Data {
                id: stream(draw),
                fin: draw.chance(30) || payload.is_empty(),
                payload,
            })
        }
        4 => Frame::RstStream(RstStream {
            id: stream(draw),
            status: ResetStatus::new(draw.below_u32(13)),
        }),
        5 => Frame::Settings(settings(draw)),
        6 => Frame::Ping(draw.below_u32(8)),
        7 => Frame::GoAway(GoAway {
            last_good: StreamId::new(draw.below_u32(10)),
            status: GoAwayStatus::new(draw.below_u32(4)),
        }),
        _ => Frame::WindowUpdate(update(draw)),
    }
}
