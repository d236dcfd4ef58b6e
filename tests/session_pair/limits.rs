//! What bounds the harm of a hostile or just greedy peer (scenarios 71, 101 to 104).

use spdy::frame::{HeaderFrame, Received, ResetStatus, Role};
use spdy::headers::BlockError;
use spdy::session::{Read, Session};
use spdy::{Config, FlowControl, Overflow};

use crate::pair::*;

const MIB: usize = 1 << 20;

fn without_windows(overflow: Overflow) -> Solo {
    let config = Config::server()
        .flow_control(FlowControl::Off)
        .overflow(overflow);
    Solo::started(Role::Server, config)
}

fn reads(peer: &mut Solo) -> bool {
    peer.session.wants_read(false, peer.now)
}

#[test]
fn pause_stops_reading_until_the_reader_returns_and_loses_nothing() {
    let mut peer = without_windows(Overflow::Pause);
    let key = peer.accepted(1, false);
    peer.feed(data(1, MIB, false));
    assert!(reads(&mut peer), "at the limit");
    peer.feed(data(1, 1, false));
    assert!(!reads(&mut peer));
    peer.pass(1000 * SECOND);
    assert!(!reads(&mut peer));
    assert_eq!(peer.read_all(key).unwrap().0.len(), MIB + 1);
    assert!(reads(&mut peer));
}

#[test]
fn pause_ends_when_the_stream_or_its_reader_goes_away() {
    type End = fn(&mut Session, spdy::session::Key);
    let ends: [End; 3] = [
        |session, key| session.drop_recv(key),
        |session, key| session.reset(key, ResetStatus::CANCEL),
        |session, key| session.drop_send(key),
    ];
    for end in ends {
        let mut peer = without_windows(Overflow::Pause);
        let key = peer.accepted(1, false);
        peer.feed(data(1, 2 * MIB, false));
        assert!(!reads(&mut peer));
        end(&mut peer.session, key);
        assert!(reads(&mut peer));
    }
}

#[test]
fn the_limit_of_the_connection_pauses_too() {
    let mut peer = without_windows(Overflow::Pause);
    let keys: Vec<_> = (0..17).map(|i| peer.accepted(2 * i + 1, false)).collect();
    for i in 0..17 {
        assert!(reads(&mut peer));
        peer.feed(data(2 * i + 1, MIB, false));
    }
    assert!(!reads(&mut peer), "17 MiB unread");
    peer.read_all(keys[3]).unwrap();
    assert!(reads(&mut peer));
}

#[test]
fn reset_gives_up_the_unread_stream_after_the_grace_time_and_the_others_go_on() {
    let mut peer = without_windows(Overflow::Reset { after: 5 * SECOND });
    let unread = peer.accepted(1, false);
    let other = peer.accepted(3, false);
    peer.feed(data(1, 2 * MIB, false));
    assert!(!reads(&mut peer), "it may have a slow reader");
    peer.pass(SECOND / 2);
    assert!(reads(&mut peer));
    peer.feed(data(3, 7, false));
    assert_eq!(peer.read_all(other).unwrap(), (vec![b'x'; 7], false));
    peer.pass(4 * SECOND);
    assert!(reads(&mut peer) && peer.sent().is_empty());
    peer.pass(SECOND / 2);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
    assert!(reads(&mut peer));
    assert!(peer.session.read(unread, 9).unwrap_err().is_reset());
    peer.feed(data(3, 5, true));
    assert_eq!(peer.read_all(other).unwrap(), (vec![b'x'; 5], true));
}

#[test]
fn a_reader_within_the_grace_time_keeps_its_stream() {
    let mut peer = without_windows(Overflow::Reset { after: 5 * SECOND });
    let key = peer.accepted(1, false);
    peer.feed(data(1, 2 * MIB, false));
    peer.pass(4 * SECOND);
    peer.read_all(key).unwrap();
    peer.pass(100 * SECOND);
    assert!(peer.sent().is_empty());
    assert_eq!(peer.session.read(key, 1).unwrap(), Read::Blocked);
}

#[test]
fn a_whole_body_given_up_unread_never_reads_as_a_clean_end() {
    for replied in [true, false] {
        let mut peer = without_windows(Overflow::Reset { after: SECOND });
        let key = peer.accepted(1, false);
        if replied {
            peer.session.reply(key, response(), true).unwrap();
            peer.sent();
        }
        peer.feed(data(1, 2 * MIB, true));
        peer.pass(SECOND);
        assert!(
            peer.session.read(key, 9).unwrap_err().is_reset(),
            "replied: {replied}"
        );
        assert!(reads(&mut peer));
    }
}

#[test]
fn no_overflow_deadline_outlives_the_session() {
    let mut peer = without_windows(Overflow::Reset { after: SECOND });
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), true).unwrap();
    peer.session.close_when_idle();
    peer.sent();
    peer.feed(data(1, 2 * MIB, true));
    assert!(peer.session.is_over());
    peer.pass(10 * SECOND);
    assert_eq!(
        peer.read_all(key).unwrap().0.len(),
        2 * MIB,
        "all of it came"
    );
}

#[test]
fn replies_to_a_peer_that_reads_none_are_bounded() {
    let mut peer = Solo::server();
    let mut fed = 0;
    while peer.session.wants_read(true, peer.now) {
        peer.feed(Received::Ping(2 * fed + 1));
        peer.feed(data(2 * fed + 1001, 0, false));
        fed += 1;
        assert!(fed < 1000, "no bound");
    }
    assert!(fed <= 64);
    assert!(
        peer.session.wants_read(false, peer.now),
        "it may only be slow"
    );
}

#[test]
fn a_rapid_reset_ends_the_session_and_a_fair_rate_does_not() {
    let mut peer = Solo::server();
    for i in 0..100_000 {
        peer.feed(syn(2 * i + 1, false))
            .feed(rst(2 * i + 1, ResetStatus::CANCEL));
        if peer.session.is_over() {
            assert!(i >= 1000, "after {i}");
            break;
        }
    }
    assert_eq!(peer.sent(), ["GOAWAY 0 PROTOCOL_ERROR"]);
    let outcome = peer.session.outcome().unwrap().unwrap_err();
    assert!(outcome.to_string().contains("budget"), "{outcome}");

    let mut peer = Solo::server();
    for i in 0..5000 {
        peer.feed(syn(2 * i + 1, false))
            .feed(rst(2 * i + 1, ResetStatus::CANCEL));
        peer.pass(SECOND / 90);
    }
    assert!(!peer.session.is_over());
}

#[test]
fn cancels_of_answered_streams_are_never_counted() {
    let mut peer = Solo::server();
    for i in 0..5000 {
        let key = peer.accepted(2 * i + 1, true);
        peer.session.reply(key, response(), false).unwrap();
        peer.sent();
        peer.feed(rst(2 * i + 1, ResetStatus::CANCEL));
        peer.drop_stream(key);
        peer.events();
    }
    assert!(!peer.session.is_over());
    assert_eq!(peer.session.stream_count(), 0);
}

#[test]
fn a_flood_of_stream_errors_ends_the_session() {
    let mut peer = Solo::server();
    for i in 0..1000 {
        peer.feed(syn(2 * i + 1, true))
            .feed(data(2 * i + 1, 1, false));
        peer.sent();
        if peer.session.is_over() {
            assert!(i >= 100);
            return;
        }
    }
    panic!("1,000 stream errors in no time are tolerated");
}

#[test]
fn blocks_that_are_only_too_large_are_no_errors_of_the_peer() {
    let malformed = BlockError::Malformed("test");
    for (error, over) in [(BlockError::TooLarge, false), (malformed, true)] {
        let mut peer = Solo::client();
        for i in 0..150 {
            let key = peer.open_stream();
            peer.sent();
            peer.session.handle_frame(
                Received::SynReply(HeaderFrame {
                    id: id(2 * i + 1),
                    fin: false,
                    block: Err(error),
                }),
                peer.now,
            );
            peer.drop_stream(key);
            if peer.session.is_over() {
                break;
            }
        }
        assert_eq!(peer.session.is_over(), over, "{error}");
    }
}

#[test]
fn the_next_id_of_our_own_is_not_in_use() {
    let mut peer = Solo::client();
    peer.feed(data(1, 1, false));
    assert_eq!(peer.sent(), ["RST_STREAM 1 INVALID_STREAM"]);
}

#[test]
fn our_own_cancels_and_what_they_cause_are_never_counted() {
    let mut peer = Solo::client();
    for i in 0..2000 {
        let key = peer.replied(2 * i + 1);
        peer.drop_stream(key);
        peer.sent();
    }
    // Much later, what was in flight arrives: at most one RST_STREAM each, none for the latest.
    for i in 0..2000 {
        peer.feed(data(2 * i + 1, 100, false))
            .feed(data(2 * i + 1, 100, true));
    }
    assert!(!peer.session.is_over());
    assert!(peer.sent().iter().filter(|f| f.starts_with("RST")).count() <= 2000);
}

#[test]
fn floods_of_pings_settings_and_unknown_frames_end_the_session() {
    let frames: [fn() -> Received; 4] = [
        || Received::Ping(1),
        || Received::Ping(2),
        || setting(spdy::frame::SettingId::RoundTripTime, 1),
        || Received::Ignored { kind: 77, len: 0 },
    ];
    for frame in frames {
        let mut peer = Solo::server();
        for _ in 0..100 {
            peer.feed(frame());
        }
        assert!(!peer.session.is_over());
        peer.feed(frame());
        assert!(peer.session.is_over());
        let mut peer = Solo::server();
        for _ in 0..1000 {
            peer.feed(frame()).pass(SECOND / 10);
        }
        assert!(!peer.session.is_over(), "ten a second are fine");
    }
}

#[test]
fn a_flood_of_empty_data_ends_the_session() {
    let mut peer = Solo::server();
    peer.accepted(1, false);
    let mut fed = 0;
    while !peer.session.is_over() {
        peer.session.handle_frame(data(1, 0, false), peer.now);
        fed += 1;
        assert!(fed < 100_000, "no bound");
    }
    assert!(fed > 10_000);
}

/// How many empty frames may be unread.
const EMPTY_FRAMES: usize = (4 << 20) / 256;

fn empty_frames(peer: &mut Solo, stream: u32, n: usize) {
    for _ in 0..n {
        peer.session.handle_frame(data(stream, 0, false), peer.now);
    }
}

#[test]
fn empty_frames_with_fin_cost_nothing_while_they_wait_to_be_read() {
    let streams = u32::try_from(EMPTY_FRAMES).unwrap() + 100;
    let config = Config::server().max_concurrent_streams(streams);
    let mut peer = Solo::started(Role::Server, config);
    for i in 0..streams {
        peer.session.handle_frame(syn(2 * i + 1, false), peer.now);
        peer.session
            .handle_frame(data(2 * i + 1, 0, true), peer.now);
    }
    assert!(!peer.session.is_over());
}

#[test]
fn reading_a_part_repays_that_part_of_the_budget_of_empty_data() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.accepted(3, false);
    peer.feed(data(1, 1000, false)).feed(data(3, 1000, false));
    empty_frames(&mut peer, 1, EMPTY_FRAMES / 2);
    empty_frames(&mut peer, 3, EMPTY_FRAMES / 2);
    peer.session.read(key, 750).unwrap();
    // Three quarters of one half.
    empty_frames(&mut peer, 3, EMPTY_FRAMES / 8 * 3);
    assert!(!peer.session.is_over());
    // The last quarter.
    peer.session.read(key, 250).unwrap();
    empty_frames(&mut peer, 3, EMPTY_FRAMES / 8);
    assert!(!peer.session.is_over());
    empty_frames(&mut peer, 3, 1);
    assert!(peer.session.is_over());
}

#[test]
fn single_bytes_that_nobody_reads_are_bounded_by_their_window_and_hurt_no_other_stream() {
    let mut peer = Solo::started(
        Role::Server,
        Config::server().initial_stream_window_size(100_000),
    );
    let stuck = peer.accepted(1, false);
    let other = peer.accepted(3, false);
    for _ in 0..100_000 {
        peer.session.handle_frame(data(1, 1, false), peer.now);
    }
    assert!(peer.session.stream_error(stuck).is_none());
    peer.session.handle_frame(data(1, 1, false), peer.now);
    let error = peer.session.stream_error(stuck).unwrap();
    assert_eq!(error.reset_status(), Some(ResetStatus::FLOW_CONTROL_ERROR));
    peer.feed(data(3, 5, false));
    assert!(matches!(peer.session.read(other, 9), Ok(Read::Data(_))));
}

#[test]
fn tiny_data_that_is_read_and_tiny_final_frames_are_free() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    for _ in 0..100_000 {
        peer.session.handle_frame(data(1, 1, false), peer.now);
        assert!(matches!(peer.session.read(key, 9), Ok(Read::Data(_))));
        while peer.session.poll_frame(peer.now).is_some() {}
    }
    for i in 1..20_000 {
        let key = peer.accepted(2 * i + 1, false);
        peer.session.reply(key, response(), true).unwrap();
        peer.session
            .handle_frame(data(2 * i + 1, 0, true), peer.now);
        peer.session.drop_stream(key);
        while peer.session.poll_frame(peer.now).is_some() {}
        peer.events();
    }
    assert!(!peer.session.is_over());
}

#[test]
fn ended_streams_that_the_application_holds_are_bounded() {
    let config = Config::server().max_concurrent_streams(10);
    let mut peer = Solo::started(Role::Server, config);
    let mut held = Vec::new();
    for i in 0..100 {
        peer.feed(syn(2 * i + 1, false));
        held.extend(peer.session.accept());
        peer.feed(rst(2 * i + 1, ResetStatus::CANCEL));
    }
    assert_eq!(held.len(), 20);
    assert!(peer.session.stream_count() <= 20);
}

#[test]
fn ten_thousand_cancelled_streams_leave_nothing_behind() {
    let mut pair = Pair::start();
    for i in 0..10_000_u32 {
        let ours = pair.client.open_stream();
        if i % 2 == 0 {
            pair.client.write(ours, vec![0; 100].into()).unwrap();
            pair.drive();
            let theirs = pair.server.accept_stream().key;
            if i % 4 == 0 {
                pair.server.reply(theirs, response(), false).unwrap();
            }
            pair.client.drop_stream(ours);
            pair.drive();
            assert!(pair.server.read_all(theirs).is_err());
            pair.server.drop_stream(theirs);
        } else {
            pair.client.drop_stream(ours);
        }
        pair.now += std::time::Duration::from_millis(10);
        pair.client.events();
        pair.server.events();
        drop((pair.client.take_graveyard(), pair.server.take_graveyard()));
        pair.trace.clear();
    }
    pair.drive();
    pair.assert_empty();
    assert!(!pair.client.is_over() && !pair.server.is_over());
}
