//! Whoever breaks a rule is told so, and so is the application: its error names the rule and who ended what, the log the
//! frame that did it. One row for each kind of violation.

use spdy::Initiator;
use spdy::frame::{GoAwayStatus, SettingId};
use spdy::stream::Stream;

use crate::http_support::get;
use crate::*;

/// What a peer sends that breaks a rule. Stream 1 is open, with nothing sent but its headers.
type Break = fn(&mut Peer) -> Vec<u8>;

struct Row {
    what: &'static str,
    send: Break,
    /// The error of the application.
    error: &'static str,
    /// `None`: the session ends.
    reset: Option<ResetStatus>,
    /// What one line of the log has.
    log: &'static [&'static str],
}

const fn session(
    what: &'static str,
    send: Break,
    error: &'static str,
    log: &'static [&'static str],
) -> Row {
    Row {
        what,
        send,
        error,
        reset: None,
        log,
    }
}

const fn stream(
    what: &'static str,
    status: ResetStatus,
    send: Break,
    error: &'static str,
    log: &'static [&'static str],
) -> Row {
    Row {
        what,
        send,
        error,
        reset: Some(status),
        log,
    }
}

fn many(peer: &mut Peer, times: u32, frames: impl Fn(u32) -> Vec<Draft>) -> Vec<u8> {
    let all: Vec<_> = (0..times).flat_map(frames).collect();
    let encoded = all.into_iter().map(|frame| peer.encode(frame));
    encoded.flat_map(|bytes| bytes.to_vec()).collect()
}

/// HEADERS of stream 1 with these bytes for their plain form. Stored, which goes on where the last block of the peer has
/// ended.
fn stored(plain: &[u8]) -> Vec<u8> {
    let len = u16::try_from(plain.len()).unwrap();
    let lengths = [len.to_le_bytes(), (!len).to_le_bytes()].concat();
    let payload = [&[0, 0, 0, 1, 0][..], &lengths, plain].concat();
    raw(8, u32::try_from(payload.len()).unwrap(), &payload)
}

/// The fixed part of SYN_STREAM 3.
const THIRD: [u8; 10] = [0, 0, 0, 3, 0, 0, 0, 0, 0, 0];

static ROWS: [Row; 24] = [
    session(
        "framing: a fixed Length",
        |_| raw(3, 4, &[0, 0, 0, 1]),
        "RST_STREAM of Length 4",
        &["refused", "RST_STREAM of Length 4"],
    ),
    session(
        "framing: a large frame",
        |_| raw(1, 0x00ff_ffff, &THIRD),
        "SYN_STREAM of Length 16777215",
        &["refused", "SYN_STREAM of Length 16777215"],
    ),
    session(
        "framing: stream 0",
        |_| raw(8, 4, &[0; 4]),
        "HEADERS for stream 0",
        &["refused", "HEADERS for stream 0"],
    ),
    session(
        "framing: another version",
        |_| vec![0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1],
        "control frame of SPDY version 2",
        &["refused", "control frame of SPDY version 2"],
    ),
    session(
        "framing: a count",
        |_| raw(4, 4, &[0, 0, 0, 9]),
        "SETTINGS whose count contradicts its Length",
        &["refused", "SETTINGS whose count contradicts its Length"],
    ),
    session(
        "header block: no zlib",
        |_| raw(1, 18, &[&THIRD[..], &[0xff; 8]].concat()),
        "compressed header block is corrupt",
        &[
            "refused",
            "SYN_STREAM id=3",
            "compressed header block is corrupt",
        ],
    ),
    session(
        "header block: a bomb",
        |peer| {
            peer.encode(get(3).header("x", &"x".repeat(100_000)))
                .to_vec()
        },
        "header block more than four times as large as the limit",
        &["refused", "SYN_STREAM id=3", "four times as large"],
    ),
    stream(
        "header block: malformed",
        ResetStatus::PROTOCOL_ERROR,
        |_| stored(&[0, 0, 0, 1, 0, 0, 0, 1, b'A', 0, 0, 0, 0]),
        "upper-case letter in a header name",
        &["received", "HEADERS id=1 bad headers"],
    ),
    stream(
        "header block: too large",
        ResetStatus::FRAME_TOO_LARGE,
        |peer| {
            peer.encode(headers(1).header("x", &"x".repeat(20_000)))
                .to_vec()
        },
        "header",
        &["received", "HEADERS id=1 bad headers"],
    ),
    session(
        "session: an id of ours",
        |peer| peer.encode(get(2)).to_vec(),
        "SYN_STREAM with an id of the receiver's parity (section 2.3.2)",
        &["the session ends", "SYN_STREAM id=2 "],
    ),
    session(
        "session: a lower id",
        |peer| many(peer, 1, |_| vec![get(7), get(5)]),
        "SYN_STREAM with an id lower than one received before (section 2.3.2)",
        &["the session ends", "SYN_STREAM id=5 "],
    ),
    session(
        "session: DATA on stream 0",
        |_| vec![0, 0, 0, 0, 0, 0, 0, 1, b'x'],
        "DATA on stream 0",
        &["the session ends", "DATA id=0 len=1"],
    ),
    stream(
        "stream: opened twice",
        ResetStatus::PROTOCOL_ERROR,
        |peer| peer.encode(get(1)).to_vec(),
        "second SYN_STREAM for an open stream",
        &["received", "SYN_STREAM id=1 "],
    ),
    stream(
        "stream: a reply to its own request",
        ResetStatus::PROTOCOL_ERROR,
        |peer| peer.encode(syn_reply(1)).to_vec(),
        "SYN_REPLY in a state that does not allow it",
        &["received", "SYN_REPLY id=1"],
    ),
    stream(
        "stream: HEADERS without end",
        ResetStatus::FRAME_TOO_LARGE,
        |peer| many(peer, 600, |_| vec![headers(1).header("x", "")]),
        "the HEADERS that wait to be read together pass the header list limit",
        &["received", "HEADERS id=1 headers=1"],
    ),
    session(
        "flow control: SETTINGS",
        |peer| {
            let size = settings().set(SettingId::InitialWindowSize, 1 << 31);
            peer.encode(size).to_vec()
        },
        "SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1",
        &["the session ends", "SETTINGS InitialWindowSize=2147483648"],
    ),
    session(
        "flow control: nothing for the connection",
        |_| raw_window_update(0, 0),
        "WINDOW_UPDATE of 0 for the connection (section 2.6.8)",
        &["the session ends", "WINDOW_UPDATE id=0 delta=0"],
    ),
    session(
        "flow control: the connection window",
        |peer| {
            let full = |id| {
                let body = [(); 4].map(|()| data(id, vec![7; 64 * KIB]));
                [vec![http_support::request(id, "POST", "/")], body.to_vec()].concat()
            };
            many(peer, 1, |_| [full(3), full(5), vec![data(1, "x")]].concat())
        },
        "the peer sent more DATA than the connection window allows (flow-control error)",
        &["the session ends", "DATA id=1 len=1 "],
    ),
    stream(
        "flow control: the stream window",
        ResetStatus::FLOW_CONTROL_ERROR,
        |peer| many(peer, 5, |_| vec![data(1, vec![7; 64 * KIB])]),
        "the peer sent more DATA than the stream window allows",
        &["received", "DATA id=1 len=65536"],
    ),
    stream(
        "flow control: too much credit",
        ResetStatus::FLOW_CONTROL_ERROR,
        |_| raw_window_update(1, 0x7fff_ffff),
        "WINDOW_UPDATE of 0, or one that lifts the stream window above 2^31-1",
        &["received", "WINDOW_UPDATE id=1 delta=2147483647"],
    ),
    session(
        "budget: PINGs",
        |peer| many(peer, 200, |n| vec![ping(2 * n + 1)]),
        "budget of PING, SETTINGS and unknown frames is used up",
        &["the session ends", "PING id=201 "],
    ),
    session(
        "budget: resets",
        |peer| {
            let pair = |n| vec![get(2 * n + 3), rst(2 * n + 3, ResetStatus::CANCEL)];
            many(peer, 1200, pair)
        },
        "budget of streams reset by the peer before a reply is used up",
        &["the session ends", "RST_STREAM id=2003 "],
    ),
    session(
        "budget: errors",
        |peer| many(peer, 200, |n| vec![data(2 * n + 1001, "x")]),
        "budget of stream errors is used up",
        &["the session ends", "DATA id=1201 "],
    ),
    session(
        "budget: empty DATA",
        |_| [0, 0, 0, 1, 0, 0, 0, 0].repeat(20_000),
        "budget of empty DATA frames is used up",
        &["the session ends", "DATA id=1 len=0"],
    ),
];

#[test]
fn every_violation_is_named_in_the_error_and_its_frame_in_the_log() {
    for row in &ROWS {
        let log = support::trace::logged(play(row));
        let found = log
            .lines()
            .any(|line| row.log.iter().all(|part| line.contains(part)));
        let end = log.len().saturating_sub(2000);
        assert!(found, "{}: {:?} in\n{}", row.what, row.log, &log[end..]);
    }
}

async fn play(row: &Row) {
    let config = spdy::Config::server().initial_connection_window_size(512 << 10);
    let (session, connection, mut peer) = server(config);
    let driver = tokio::spawn(connection);
    peer.expect_preface().await;
    peer.send(http_support::request(1, "POST", "/")).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    let mut stream = incoming.reply(block(&[("a", "b")])).unwrap();
    peer.expect(syn_reply(1).header("a", "b")).await;

    let bytes = (row.send)(&mut peer);
    // The rest is not read any more when the session ends in the middle of it.
    let _ = peer.wire().write_all(&bytes).await;
    let error = of_stream(&mut stream).await;
    let what = row.what;
    let text = error.to_string();
    assert!(text.contains(row.error), "{what}: {text}");
    assert!(text.contains("for a fault of the peer"), "{what}: {text}");
    assert_eq!(error.initiator(), Some(Initiator::Library), "{what}");
    assert!(!error.is_remote(), "{what}");
    assert_eq!(error.reset_status(), row.reset, "{what}");
    if let Some(status) = row.reset {
        assert_eq!(error.stream_id(), Some(id(1)));
        peer.expect_past_updates(rst(1, status)).await;
        http_support::expect_alive(&mut peer, 99_999).await;
        return;
    }
    assert_eq!(error.go_away_status(), Some(GoAwayStatus::PROTOCOL_ERROR));
    let ended = within("the connection", driver).await.unwrap().unwrap_err();
    assert_eq!(ended.to_string(), text, "{what}");
}

/// Why a stream ends; bytes and HEADERS before it are passed over.
async fn of_stream(stream: &mut Stream) -> spdy::Error {
    settle().await;
    loop {
        match within("the error", stream.recv_half().data()).await {
            Ok(Some(_)) => {}
            Ok(None) => match within("HEADERS", stream.recv_half().headers()).await {
                Ok(Some(_)) => {}
                other => break other.expect_err("no error"),
            },
            Err(error) => break error,
        }
    }
}
