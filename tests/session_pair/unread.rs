//! The edges of what may wait: unread limits, stuck replies, the low water of writers.

use spdy::frame::{Received, ResetStatus, Role};
use spdy::session::Key;
use spdy::{Config, FlowControl, Overflow};

use crate::pair::*;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Without windows.
fn limited(stream: usize, connection: usize, overflow: Overflow) -> Solo {
    let config = Config::server()
        .flow_control(FlowControl::Off)
        .overflow(overflow)
        .unread_stream_limit(stream)
        .unread_connection_limit(connection);
    Solo::started(Role::Server, config)
}

fn reads(peer: &mut Solo) -> bool {
    peer.session.wants_read(false, peer.now)
}

fn read(peer: &mut Solo, key: Key, mut bytes: usize) {
    while bytes > 0 {
        match peer.session.read(key, bytes).unwrap() {
            spdy::session::Read::Data(data) => bytes -= data.len(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn without_windows_the_limits_are_those_asked_for_however_small() {
    for (stream, connection) in [(1000, MIB), (MIB, 1000)] {
        let mut peer = limited(stream, connection, Overflow::Pause);
        let key = peer.accepted(1, false);
        peer.feed(data(1, 1000, false));
        assert!(reads(&mut peer), "at the limit");
        peer.feed(data(1, 1, false));
        assert!(!reads(&mut peer));
        read(&mut peer, key, 1);
        assert!(reads(&mut peer), "at the limit again");
    }
}

#[test]
fn reading_another_stream_does_not_lift_the_pause() {
    let mut peer = limited(MIB, 16 * MIB, Overflow::Pause);
    let full = peer.accepted(1, false);
    let other = peer.accepted(3, false);
    peer.feed(data(3, 5, false)).feed(data(1, MIB + 5, false));
    assert!(!reads(&mut peer));
    read(&mut peer, other, 5);
    assert!(!reads(&mut peer));
    read(&mut peer, full, 5);
    assert!(reads(&mut peer));
}

#[test]
fn the_pause_lasts_while_the_connection_is_over_its_limit() {
    let mut peer = limited(MIB, 100 * KIB, Overflow::Pause);
    let keys = [1, 3, 5].map(|stream| peer.accepted(stream, false));
    for stream in [1, 3, 5] {
        peer.feed(data(stream, 60 * KIB, false));
    }
    read(&mut peer, keys[1], 60 * KIB);
    assert!(!reads(&mut peer), "120 KiB");
    read(&mut peer, keys[0], 20 * KIB);
    assert!(reads(&mut peer), "100 KiB");
}

#[test]
fn the_pause_lasts_while_the_stream_that_is_read_is_over_its_limit() {
    let mut peer = limited(1000, 2500, Overflow::Pause);
    let first = peer.accepted(1, false);
    let second = peer.accepted(3, false);
    // The second was in the same buffer of the driver.
    peer.feed(data(1, 1500, false)).feed(data(3, 2000, false));
    read(&mut peer, first, 600);
    assert!(!reads(&mut peer), "2,900 of the connection");
    read(&mut peer, second, 700);
    assert!(!reads(&mut peer), "1,300 of the second");
    read(&mut peer, second, 300);
    assert!(reads(&mut peer));
}

#[test]
fn streams_are_given_up_until_the_connection_keeps_its_limit() {
    let after = 5 * SECOND;
    let mut peer = limited(MIB, 100 * KIB, Overflow::Reset { after });
    for (stream, kib) in [(1, 70), (3, 90), (5, 60), (7, 50)] {
        peer.accepted(stream, false);
        peer.feed(data(stream, kib * KIB, false));
    }
    // Reported by the driver for another reason: it is too early.
    peer.now += SECOND;
    peer.session.handle_timeout(peer.now);
    assert!(peer.sent().is_empty());
    peer.pass(4 * SECOND);
    // The largest first, until half of the limit is free.
    let resets = [3, 1, 5].map(|stream| format!("RST_STREAM {stream} CANCEL"));
    assert_eq!(peer.sent(), resets);
    assert!(reads(&mut peer));
    peer.pass(100 * SECOND);
    assert!(peer.sent().is_empty());
}

#[test]
fn streams_that_are_stuck_together_have_one_grace_time_together() {
    let after = 5 * SECOND;
    let mut peer = limited(MIB, 300 * KIB, Overflow::Reset { after });
    let keys = [1, 3, 5, 7, 9, 11].map(|stream| peer.accepted(stream, false));
    for (stream, kib) in [(1, 160), (3, 50), (5, 50), (7, 41)] {
        peer.feed(data(stream, kib * KIB, false));
    }
    assert!(!reads(&mut peer), "301 KiB");
    peer.pass(2 * SECOND);
    // One of them is slow, not stuck.
    read(&mut peer, keys[2], KIB / 2);
    peer.pass(3 * SECOND);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
    assert!(reads(&mut peer), "140 KiB");

    // Two were not read all that time, and go at once when room is needed again.
    peer.pass(4 * SECOND);
    peer.feed(data(9, 170 * KIB, false));
    assert!(!reads(&mut peer), "310 KiB");
    peer.session.handle_timeout(peer.now);
    assert_eq!(peer.sent(), ["RST_STREAM 3 CANCEL", "RST_STREAM 7 CANCEL"]);
    assert!(reads(&mut peer), "219 KiB");

    // The slow one has a grace time of its own, and so has one that had nothing to be read.
    peer.feed(data(11, 90 * KIB, false));
    assert!(!reads(&mut peer), "309 KiB");
    peer.pass(4 * SECOND);
    assert!(peer.sent().is_empty());
    peer.pass(SECOND);
    assert_eq!(peer.sent(), ["RST_STREAM 9 CANCEL"]);
    assert!(reads(&mut peer), "139 KiB");
}

#[test]
fn a_full_connection_waits_for_those_that_read() {
    let after = 5 * SECOND;
    let mut peer = limited(MIB, 300 * KIB, Overflow::Reset { after });
    let keys = [1, 3].map(|stream| peer.accepted(stream, false));
    peer.feed(data(1, 200 * KIB, false));
    peer.feed(data(3, 200 * KIB, false));
    for _ in 0..4 {
        peer.pass(4 * SECOND);
        for key in keys {
            read(&mut peer, key, KIB);
        }
        assert!(!reads(&mut peer));
    }
    assert!(peer.sent().is_empty());
    // 392 KiB. Nobody reads any more: a grace time begins when the one ends in which they were read last.
    peer.pass(8 * SECOND);
    assert!(peer.sent().is_empty());
    peer.pass(SECOND);
    assert_eq!(peer.sent(), ["RST_STREAM 3 CANCEL", "RST_STREAM 1 CANCEL"]);
    assert!(reads(&mut peer));
}

#[test]
fn streams_that_were_read_a_little_before_they_were_stuck_are_given_up_too() {
    let after = 5 * SECOND;
    for end in [None, Some(true), Some(false)] {
        let mut peer = limited(MIB, 300 * KIB, Overflow::Reset { after });
        let keys = [1, 3].map(|stream| peer.accepted(stream, false));
        peer.feed(data(1, 200 * KIB, false));
        peer.feed(data(3, 200 * KIB, end == Some(true)));
        if end == Some(false) {
            peer.feed(rst(3, ResetStatus::CANCEL));
        }
        for key in keys {
            read(&mut peer, key, KIB);
        }
        assert!(!reads(&mut peer));
        peer.pass(10 * SECOND);
        assert!(reads(&mut peer), "{end:?}");
    }
}

#[test]
fn nothing_is_given_up_in_vain() {
    let after = 5 * SECOND;
    let mut peer = limited(4 * MIB, MIB, Overflow::Reset { after });
    let quiet = peer.accepted(1, false);
    let large = peer.accepted(3, false);
    peer.feed(data(1, 1, false));
    peer.feed(data(3, 2 * MIB, false));
    // The one that is read is what the connection is full of.
    for _ in 0..4 {
        peer.pass(4 * SECOND);
        read(&mut peer, large, KIB);
    }
    assert!(!reads(&mut peer) && peer.sent().is_empty());
    peer.pass(10 * SECOND);
    assert_eq!(peer.sent(), ["RST_STREAM 3 CANCEL"]);

    // A grace time has run out that the quiet one had as well. It would not be enough for this one either.
    let large = peer.accepted(5, false);
    peer.feed(data(5, MIB + KIB, false));
    assert!(!reads(&mut peer));
    peer.session.handle_timeout(peer.now);
    assert!(!reads(&mut peer) && peer.sent().is_empty());
    read(&mut peer, large, 2 * KIB);
    assert!(reads(&mut peer));
    read(&mut peer, quiet, 1);
}

#[test]
fn an_old_grace_time_counts_no_more() {
    let after = 5 * SECOND;
    for (time, resets) in [(SECOND, 1), (6 * SECOND, 0)] {
        let mut peer = limited(MIB, 300 * KIB, Overflow::Reset { after });
        let [_, _, healthy] = [1, 3, 5].map(|stream| peer.accepted(stream, false));
        peer.feed(data(1, 200 * KIB, false));
        peer.feed(data(3, 150 * KIB, false));
        peer.pass(5 * SECOND);
        assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
        peer.pass(time);
        // It passes the limit for a moment.
        peer.feed(data(5, 200 * KIB, false));
        peer.session.handle_timeout(peer.now);
        assert_eq!(peer.sent().len(), resets, "{time:?} later");
        read(&mut peer, healthy, 100 * KIB);
        assert!(reads(&mut peer));
        peer.pass(100 * SECOND);
        assert!(peer.sent().is_empty());
    }
}

#[test]
fn a_stream_that_nobody_reads_borrows_from_the_limit_of_the_connection() {
    let after = 5 * SECOND;
    let mut peer = limited(100 * KIB, MIB, Overflow::Reset { after });
    let stuck = peer.accepted(1, false);
    let other = peer.accepted(3, false);
    peer.feed(data(1, 100 * KIB, false));
    assert!(reads(&mut peer), "at its limit");
    peer.feed(data(1, 1, false));
    peer.pass(SECOND / 2 - SECOND / 1000);
    assert!(!reads(&mut peer), "it may have a slow reader");
    peer.pass(SECOND / 1000);
    for _ in 0..9 {
        assert!(reads(&mut peer), "it has none");
        peer.feed(data(1, 100 * KIB, false));
        peer.feed(data(3, 10 * KIB, false));
        read(&mut peer, other, 10 * KIB);
        peer.pass(SECOND / 10);
    }
    peer.feed(data(1, 100 * KIB, false));
    assert!(!reads(&mut peer), "1,100 KiB");
    // Its grace time is its own, and began when it passed its own limit.
    peer.pass(4 * SECOND - SECOND / 2);
    assert!(!reads(&mut peer) && peer.sent().is_empty());
    peer.pass(SECOND / 10);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
    assert!(reads(&mut peer));
    assert!(peer.session.read(stuck, 9).unwrap_err().is_reset());
}

#[test]
fn a_slow_reader_is_waited_for_by_all_and_keeps_its_stream() {
    let after = 5 * SECOND;
    let mut peer = limited(100 * KIB, MIB, Overflow::Reset { after });
    let slow = peer.accepted(1, false);
    peer.feed(data(1, 150 * KIB, false));
    for _ in 0..49 {
        assert!(!reads(&mut peer));
        peer.pass(SECOND / 4);
        read(&mut peer, slow, KIB);
    }
    assert!(!reads(&mut peer) && peer.sent().is_empty());
    read(&mut peer, slow, KIB);
    assert!(reads(&mut peer), "at the limit");

    // A reader that is slower than that fills the limit of the connection, and keeps its stream as well.
    peer.feed(data(1, 50 * KIB, false));
    for _ in 0..10 {
        peer.pass(4 * SECOND);
        assert!(reads(&mut peer));
        read(&mut peer, slow, KIB);
    }
    assert!(peer.sent().is_empty());
    // Once it is stuck it has its grace time, from when it was found to be.
    peer.pass(5 * SECOND);
    assert!(peer.sent().is_empty());
    peer.pass(SECOND / 2);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
}

#[test]
fn to_ask_for_no_bytes_is_not_to_read() {
    let mut peer = limited(100 * KIB, MIB, Overflow::Reset { after: SECOND });
    let key = peer.accepted(1, false);
    peer.feed(data(1, 150 * KIB, false));
    for _ in 0..10 {
        peer.pass(SECOND / 10);
        drop(peer.session.read(key, 0));
    }
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
}

#[test]
fn the_records_of_what_nobody_reads_bear_the_end_of_the_session() {
    for goaway in [true, false] {
        let mut peer = limited(MIB, MIB, Overflow::Reset { after: SECOND });
        let key = peer.accepted(1, false);
        peer.session.reply(key, response(), true).unwrap();
        peer.sent();
        peer.feed(data(1, 2 * MIB, true));
        if goaway {
            peer.feed(go_away(0));
        } else {
            peer.session.shutdown();
            peer.sent();
        }
        peer.pass(10 * SECOND);
        peer.session.assert_invariants();
        // Given up before that, or not: whole or an error.
        match peer.read_all(key) {
            Ok((bytes, ended)) => assert_eq!((bytes.len(), ended), (2 * MIB, true)),
            Err(error) => assert!(error.is_reset(), "{error}"),
        }
        peer.session.assert_invariants();
    }
}

#[test]
fn a_grace_time_of_zero_is_short_and_never_a_busy_wait() {
    let after = std::time::Duration::ZERO;
    let mut peer = limited(MIB, 100 * KIB, Overflow::Reset { after });
    let key = peer.accepted(1, false);
    peer.feed(data(1, 150 * KIB, false));
    for _ in 0..100 {
        read(&mut peer, key, 1);
        peer.session.handle_timeout(peer.now);
        let next = peer.session.poll_timeout(peer.now).unwrap();
        assert!(next > peer.now);
        peer.now = next;
    }
    assert!(!reads(&mut peer) && peer.sent().is_empty());
}

#[test]
fn what_is_beyond_the_limits_can_be_read_after_the_session_has_failed() {
    for overflow in [Overflow::Pause, Overflow::Reset { after: SECOND }] {
        let mut peer = limited(100 * KIB, 200 * KIB, overflow);
        let keys = [1, 3].map(|stream| peer.accepted(stream, false));
        peer.feed(data(1, 150 * KIB, false));
        peer.feed(data(3, 150 * KIB, true));
        peer.session.handle_eof(false);
        peer.session.assert_invariants();
        read(&mut peer, keys[0], KIB);
        peer.session.assert_invariants();
        let (bytes, ended) = peer.read_all(keys[1]).unwrap();
        assert_eq!((bytes.len(), ended), (150 * KIB, true), "{overflow:?}");
        peer.session.assert_invariants();
        assert!(peer.session.poll_timeout(peer.now).is_none());
    }
}

#[test]
fn reading_may_be_resumed_once_after_a_pause() {
    let mut peer = limited(1000, MIB, Overflow::Pause);
    let key = peer.accepted(1, false);
    assert!(!peer.session.may_resume_reading(), "nothing was paused");
    peer.feed(data(1, 1001, false));
    assert!(!reads(&mut peer));
    assert!(!peer.session.may_resume_reading());
    read(&mut peer, key, 1001);
    assert!(peer.session.may_resume_reading());
    assert!(reads(&mut peer));
    assert!(!peer.session.may_resume_reading(), "it is known");
}

#[test]
fn sixty_four_replies_may_be_stuck() {
    let mut peer = Solo::server();
    let reads = |peer: &mut Solo| peer.session.wants_read(true, peer.now);
    for i in 0..64 {
        peer.feed(Received::Ping(2 * i + 1));
    }
    assert!(reads(&mut peer));
    peer.feed(Received::Ping(1001));
    assert!(!reads(&mut peer));
    assert!(!peer.session.may_resume_reading(), "they are stuck yet");
    peer.sent();
    assert!(peer.session.may_resume_reading());
    assert!(reads(&mut peer));
}

#[test]
fn looking_at_whether_to_read_is_no_sign_of_life() {
    let config = Config::client()
        .keep_alive_interval(10 * SECOND)
        .keep_alive_while_idle(true);
    let mut peer = Solo::started(Role::Client, config);
    for _ in 0..9 {
        peer.pass(SECOND);
        assert!(reads(&mut peer));
        assert!(peer.sent().is_empty());
    }
    peer.pass(SECOND);
    assert_eq!(peer.sent(), ["PING 1"]);
}

#[test]
fn credit_that_is_due_is_not_sent_once_the_reader_is_gone() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.feed(data(1, 200 * KIB, false));
    peer.read_all(key).unwrap();
    peer.session.drop_recv(key);
    assert!(peer.sent().is_empty());
}
