//! What lives long or looks odd without being hostile is not punished: paced PINGs, forgiven work, named causes.

use std::time::Duration;

use spdy::frame::{GoAway, GoAwayStatus, Received, ResetStatus};
use spdy::session::{Event, OpenOptions};
use spdy::{Error, Initiator};

use crate::pair::*;

#[test]
fn a_loop_of_pings_is_paced_and_no_flood_to_the_peer() {
    let mut pair = Pair::start();
    let start = pair.now;
    let mut echoes = 0;
    for _ in 0..300 {
        pair.client.ping().unwrap();
        loop {
            pair.drive();
            let pong = |event: &Event| matches!(event, Event::Pong { .. });
            let events = std::iter::from_fn(|| pair.client.poll_event());
            if events.collect::<Vec<_>>().iter().any(pong) {
                break;
            }
            pair.pass(SECOND / 8);
        }
        echoes += 1;
    }
    assert_eq!(echoes, 300);
    // 64 at once, then 8 a second.
    assert_eq!((pair.now - start).as_secs(), (300 - 64) / 8);
    assert!(!pair.client.is_over() && !pair.server.is_over());
}

#[test]
fn paced_pings_go_out_when_their_time_has_come_and_not_before() {
    let mut peer = Solo::client();
    let mut sent = 0;
    while sent < 65 {
        peer.session.ping().unwrap();
        if peer.sent().is_empty() {
            break;
        }
        sent += 1;
        peer.feed(Received::Ping(2 * sent - 1));
    }
    assert_eq!(sent, 64);
    let wake = |peer: &mut Solo, millis| {
        peer.now += Duration::from_millis(millis);
        peer.session.handle_timeout(peer.now);
        (peer.session.has_output(), peer.sent())
    };
    assert_eq!(wake(&mut peer, 124), (false, vec![]));
    assert_eq!(
        wake(&mut peer, 100),
        (true, vec!["PING 129".into()]),
        "a late wake-up"
    );
}

#[test]
fn the_status_of_the_peers_go_away_is_the_cause_and_the_outcome() {
    let mut peer = Solo::client();
    let slot = peer.session.reserve_slot().unwrap().unwrap();
    let key = peer
        .session
        .open(slot, request(), OpenOptions::new())
        .unwrap();
    peer.sent_frames();
    peer.feed(Received::GoAway(GoAway {
        last_good: None,
        status: GoAwayStatus::PROTOCOL_ERROR,
    }));
    let blamed = |error: &Error| {
        assert_eq!(
            error.go_away_status(),
            Some(GoAwayStatus::PROTOCOL_ERROR),
            "{error}"
        );
        assert_eq!(error.initiator(), Some(Initiator::Remote));
        assert!(error.is_go_away() && error.is_remote());
    };
    let error = peer.session.take_reply(key).unwrap_err();
    assert!(error.is_retryable());
    blamed(&error);
    blamed(&peer.session.reserve_slot().unwrap_err());
    peer.session.drop_send(key);
    peer.session.drop_recv(key);
    peer.sent_frames();
    assert!(peer.session.is_finished());
    blamed(&peer.session.outcome().unwrap().unwrap_err());
}

#[test]
fn a_reservation_does_not_keep_a_session_that_takes_no_streams() {
    let mut peer = Solo::client();
    let slot = peer.session.reserve_slot().unwrap().unwrap();
    peer.feed(go_away(0));
    assert!(peer.session.is_over(), "nothing is left to wait for");
    peer.session.release_slot(slot);
    let mut peer = Solo::client();
    let slot = peer.session.reserve_slot().unwrap().unwrap();
    peer.session.close_when_idle();
    assert!(!peer.session.is_over(), "the slot may still be used");
    peer.session.release_slot(slot);
    assert!(peer.session.is_over());
}

#[test]
fn any_number_of_headers_may_come_on_a_stream_that_takes_them() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    for _ in 0..5000 {
        peer.feed(headers(1, false));
        assert!(peer.session.take_headers(key).is_some());
    }
    let untaken = (0..5000).take_while(|_| {
        peer.feed(headers(1, false));
        peer.session.stream_error(key).is_none()
    });
    assert!(untaken.count() < 1000, "those that wait are bounded");
    assert!(!peer.session.is_over());
}

#[test]
fn a_heartbeat_of_empty_data_goes_on_for_ever() {
    let mut peer = Solo::server();
    peer.accepted(1, false);
    for _ in 0..100_000 {
        peer.feed(data(1, 0, false)).pass(5 * SECOND);
    }
    assert!(!peer.session.is_over());
}

#[test]
fn empty_data_is_forgiven_however_often_it_comes() {
    let mut peer = Solo::server();
    peer.accepted(1, false);
    for _ in 0..20_000 {
        peer.feed(data(1, 0, false)).pass(SECOND / 10);
    }
    assert!(!peer.session.is_over());
}

#[test]
fn frames_for_closed_streams_are_answered_a_few_times_and_dropped_from_then_on() {
    let mut peer = Solo::server();
    peer.accepted(2001, true);
    let mut answers = 0;
    for i in 0..100_000_u32 {
        // Ids in gaps count as closed.
        peer.feed(data(2 * (i % 1000) + 1, 0, false));
        answers += peer
            .sent()
            .iter()
            .filter(|frame| frame.starts_with("RST_STREAM"))
            .count();
    }
    assert!((1..=100).contains(&answers), "{answers} resets");
    assert!(!peer.session.is_over());
}

#[test]
fn what_the_application_gives_in_vain_is_not_dropped_in_the_session() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    peer.session.write(key, vec![1; 10].into()).unwrap();
    drop(peer.session.take_graveyard());
    peer.session.write(key, vec![1; 10].into()).unwrap();
    assert_eq!(
        peer.session.take_graveyard().len(),
        1,
        "the payload that was copied"
    );
    assert!(peer.session.reply(key, response(), false).is_err());
    assert_eq!(peer.session.take_graveyard().len(), 1, "the second reply");
    peer.session.reset(key, ResetStatus::CANCEL);
    let queued = peer.session.take_graveyard();
    assert!(queued.concat().ends_with(&[1; 20]), "what was queued");
    assert!(peer.session.write(key, vec![1; 10].into()).is_err());
    assert!(peer.session.send_headers(key, response(), false).is_err());
    assert_eq!(peer.session.take_graveyard().len(), 2, "what was refused");
}
