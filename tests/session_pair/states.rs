//! Frames by the state of their stream, for both roles and both creators.

use spdy::Config;
use spdy::frame::{Received, ResetStatus, Role};
use spdy::session::Read;

use crate::pair::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Creator {
    Own,
    Peer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Sent,
    SentFin,
    Rcvd,
    RcvdFin,
    Open,
    HalfLocal,
    HalfRemote,
    Closed,
    ResetOut,
    ResetIn,
}

/// What a frame leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// Taken; no answer.
    Taken,
    /// Dropped; no answer.
    Dropped,
    /// RST_STREAM.
    Reset(ResetStatus),
}

use Creator::{Own, Peer};
use Reaction::{Dropped, Reset, Taken};
use State::{
    Closed, HalfLocal, HalfRemote, Idle, Open, Rcvd, RcvdFin, ResetIn, ResetOut, Sent, SentFin,
};

const PROTOCOL: Reaction = Reset(ResetStatus::PROTOCOL_ERROR);
const INVALID: Reaction = Reset(ResetStatus::INVALID_STREAM);
const IN_USE: Reaction = Reset(ResetStatus::STREAM_IN_USE);
const ALREADY_CLOSED: Reaction = Reset(ResetStatus::STREAM_ALREADY_CLOSED);

/// Section 10.2 of the protocol digest: the reactions to SYN_REPLY, HEADERS and DATA.
const TABLE: &[(Creator, State, [Reaction; 3])] = &[
    (Own, Idle, [INVALID, INVALID, INVALID]),
    (Peer, Idle, [INVALID, INVALID, INVALID]),
    (Own, Sent, [Taken, PROTOCOL, PROTOCOL]),
    (Own, SentFin, [Taken, PROTOCOL, PROTOCOL]),
    (Peer, Rcvd, [PROTOCOL, Taken, Taken]),
    (Peer, RcvdFin, [PROTOCOL, ALREADY_CLOSED, ALREADY_CLOSED]),
    (Own, Open, [IN_USE, Taken, Taken]),
    (Peer, Open, [PROTOCOL, Taken, Taken]),
    (Own, HalfLocal, [IN_USE, Taken, Taken]),
    (Peer, HalfLocal, [PROTOCOL, Taken, Taken]),
    (
        Own,
        HalfRemote,
        [ALREADY_CLOSED, ALREADY_CLOSED, ALREADY_CLOSED],
    ),
    (Peer, HalfRemote, [PROTOCOL, ALREADY_CLOSED, ALREADY_CLOSED]),
    (Own, Closed, [INVALID, INVALID, PROTOCOL]),
    (Peer, Closed, [INVALID, INVALID, PROTOCOL]),
    (Own, ResetOut, [Dropped, Dropped, Dropped]),
    (Peer, ResetOut, [Dropped, Dropped, Dropped]),
    (Own, ResetIn, [Dropped, Dropped, Dropped]),
    (Peer, ResetIn, [Dropped, Dropped, Dropped]),
];

/// A session with a stream in this state, the wire id and the key, if there is one.
fn prepare(role: Role, creator: Creator, state: State) -> (Solo, u32, Option<spdy::session::Key>) {
    let mut peer = Solo::started(role, Config::for_role(role));
    let stream = match creator {
        Own => role.first_id(),
        Peer => role.peer().first_id(),
    };
    if state == Idle {
        return (peer, stream + 8, None);
    }
    let key = match creator {
        Own => {
            let key = peer.open_stream();
            if state == SentFin {
                peer.session.finish(key).unwrap();
            }
            peer.sent();
            if !matches!(state, Sent | SentFin) {
                peer.feed(reply(stream, false));
            }
            key
        }
        Peer => {
            let key = peer.accepted(stream, state == RcvdFin);
            if !matches!(state, Rcvd | RcvdFin) {
                peer.session.reply(key, response(), false).unwrap();
                peer.sent();
            }
            key
        }
    };
    match state {
        HalfLocal | Closed => peer.session.finish(key).unwrap(),
        ResetOut => peer.session.reset(key, ResetStatus::CANCEL),
        ResetIn => drop(peer.feed(rst(stream, ResetStatus::CANCEL))),
        _ => {}
    }
    if matches!(state, HalfRemote | Closed) {
        peer.feed(data(stream, 0, true));
    }
    peer.sent();
    (peer, stream, Some(key))
}

fn react(peer: &mut Solo, stream: u32, frame: Received) -> Vec<String> {
    peer.feed(frame);
    assert!(!peer.session.is_over(), "a stream error ended the session");
    let mut sent = peer.sent();
    sent.retain(|frame| !frame.starts_with("WINDOW_UPDATE"));
    let about_it = |frame: &String| frame.starts_with(&format!("RST_STREAM {stream} "));
    assert!(sent.iter().all(about_it), "{sent:?}");
    sent
}

#[test]
fn every_frame_in_every_state_gets_the_reaction_of_the_table() {
    for role in [Role::Client, Role::Server] {
        for (creator, state, reactions) in TABLE {
            for (i, expected) in reactions.iter().enumerate() {
                let (mut peer, stream, key) = prepare(role, *creator, *state);
                let frame = [
                    reply(stream, false),
                    headers(stream, false),
                    data(stream, 5, false),
                ][i]
                    .clone();
                let case = format!("{role:?} {creator:?} {state:?} frame {i}");
                let left = peer.session.receive_ledger()[0];
                let sent = react(&mut peer, stream, frame.clone());
                let reset = match expected {
                    Reset(status) => vec![format!("RST_STREAM {stream} {status}")],
                    Taken | Dropped => vec![],
                };
                assert_eq!(sent, reset, "{case}");
                if i == 2 {
                    assert_eq!(left - peer.session.receive_ledger()[0], 5, "{case}");
                }
                if *expected == Taken {
                    let key = key.unwrap();
                    match i {
                        0 => assert!(peer.session.take_reply(key).unwrap().is_some(), "{case}"),
                        1 => assert!(peer.session.take_headers(key).is_some(), "{case}"),
                        _ => assert!(
                            matches!(peer.session.read(key, 9), Ok(Read::Data(_))),
                            "{case}"
                        ),
                    }
                } else {
                    // Repeats are coalesced.
                    assert!(react(&mut peer, stream, frame).is_empty(), "{case}");
                }
            }
        }
    }
}

#[test]
fn a_stream_error_is_told_to_the_waiting_application() {
    for role in [Role::Client, Role::Server] {
        for (creator, state, reactions) in TABLE {
            for (i, expected) in reactions.iter().enumerate() {
                let (mut peer, stream, Some(key)) = prepare(role, *creator, *state) else {
                    continue;
                };
                let Reset(status) = expected else { continue };
                if *state == Closed {
                    continue;
                }
                let all = [
                    reply(stream, false),
                    headers(stream, true),
                    data(stream, 5, true),
                ];
                peer.feed(all[i].clone());
                let error = peer.session.stream_error(key).unwrap();
                assert_eq!(error.status(), Some(status.code()));
                assert!(!error.is_remote() && !error.is_retryable());
                assert!(peer.session.poll_capacity(key).is_err());
            }
        }
    }
}

#[test]
fn rst_stream_is_never_answered_and_ends_whatever_is_open() {
    for role in [Role::Client, Role::Server] {
        for (creator, state, _) in TABLE {
            let (mut peer, stream, key) = prepare(role, *creator, *state);
            let sent = react(&mut peer, stream, rst(stream, ResetStatus::CANCEL));
            assert!(sent.is_empty(), "{creator:?} {state:?}");
            let Some(key) = key else { continue };
            assert_eq!(peer.session.active_streams(), 0);
            peer.drop_stream(key);
            assert_eq!(peer.session.stream_count(), 0);
            assert!(peer.sent().is_empty(), "no RST_STREAM for one");
        }
    }
}

#[test]
fn window_update_is_never_answered() {
    for role in [Role::Client, Role::Server] {
        for (creator, state, _) in TABLE {
            let (mut peer, stream, key) = prepare(role, *creator, *state);
            assert!(react(&mut peer, stream, credit(stream, 100)).is_empty());
            let Some(key) = key else { continue };
            let counts = matches!(state, Sent | Rcvd | RcvdFin | Open | HalfRemote);
            let window = peer.session.inspect(key).unwrap().send_window;
            assert_eq!(window, if counts { 65_636 } else { 65_536 }, "{state:?}");
        }
    }
}

#[test]
fn ids_of_the_receivers_parity_end_the_session() {
    for role in [Role::Client, Role::Server] {
        let mut peer = Solo::started(role, Config::for_role(role));
        peer.feed(syn(role.first_id(), false));
        assert_eq!(peer.sent(), ["GOAWAY 0 PROTOCOL_ERROR"]);
    }
}

#[test]
fn a_second_syn_stream_resets_the_stream_and_a_lower_id_ends_the_session() {
    let mut peer = Solo::server();
    let key = peer.accepted(5, false);
    peer.feed(syn(5, false));
    assert_eq!(peer.sent(), ["RST_STREAM 5 PROTOCOL_ERROR"]);
    assert!(peer.session.read(key, 1).unwrap_err().is_reset());
    peer.feed(syn(3, false));
    assert_eq!(peer.sent(), ["GOAWAY 5 PROTOCOL_ERROR"]);
    assert!(peer.session.is_finished());
}

#[test]
fn ids_in_gaps_count_as_closed() {
    let mut peer = Solo::server();
    peer.accepted(9, false);
    peer.feed(data(5, 1, false));
    assert_eq!(peer.sent(), ["RST_STREAM 5 PROTOCOL_ERROR"]);
    peer.feed(syn(5, false));
    assert_eq!(peer.sent(), ["GOAWAY 9 PROTOCOL_ERROR"]);
}

#[test]
fn data_on_stream_0_ends_the_session() {
    let mut peer = Solo::server();
    peer.feed(data(0, 1, false));
    assert_eq!(peer.sent(), ["GOAWAY 0 PROTOCOL_ERROR"]);
}
