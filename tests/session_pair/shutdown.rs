//! GOAWAY both ways, the three-step drain, and the loss of the transport (scenarios 73 to 80).

use spdy::frame::{GoAwayStatus, Received, ResetStatus, Role};
use spdy::session::{Event, OpenOptions, Read};
use spdy::{Config, Error};

use crate::pair::*;

#[test]
fn a_graceful_shutdown_serves_what_came_before_the_echo_and_ignores_what_comes_after() {
    let mut peer = Solo::server();
    let early = peer.accepted(1, false);
    peer.session.shutdown();
    assert_eq!(peer.sent(), ["GOAWAY 2147483647 OK", "PING 2"]);
    // Sent without knowledge of the GOAWAY.
    let between = peer.accepted(3, true);
    peer.feed(Received::Ping(2));
    assert_eq!(peer.sent(), ["GOAWAY 3 OK"]);
    peer.feed(syn(5, false))
        .feed(data(5, 10, false))
        .feed(headers(5, true));
    assert!(peer.sent().is_empty(), "later ones are ignored");
    assert!(peer.session.accept().is_none());
    peer.session.reply(early, response(), true).unwrap();
    peer.feed(data(1, 0, true));
    peer.session.reply(between, response(), true).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1 FIN", "SYN_REPLY 3 FIN"]);
    assert!(peer.session.is_finished());
    assert!(peer.session.outcome().unwrap().is_ok());
    assert!(peer.events().contains(&Event::Ended));
}

#[test]
fn a_peer_that_echoes_no_ping_delays_a_shutdown_by_one_second() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, true);
    peer.session.shutdown();
    peer.sent();
    peer.pass(SECOND - SECOND / 100);
    assert!(peer.sent().is_empty());
    peer.pass(SECOND / 100);
    assert_eq!(peer.sent(), ["GOAWAY 1 OK"]);
    assert!(!peer.session.is_over());
    peer.session.reply(key, response(), true).unwrap();
    peer.sent();
    assert!(peer.session.is_finished());
}

#[test]
fn the_clock_of_the_echo_starts_when_the_ping_is_sent() {
    let mut peer = Solo::server();
    peer.session.shutdown();
    peer.pass(10 * SECOND);
    assert_eq!(peer.sent(), ["GOAWAY 2147483647 OK", "PING 2"]);
    peer.pass(SECOND);
    assert_eq!(peer.sent(), ["GOAWAY 0 OK"]);
}

#[test]
fn streams_read_in_one_batch_with_the_echo_can_still_be_accepted() {
    let mut peer = Solo::server();
    peer.session.shutdown();
    peer.sent();
    peer.feed(syn(1, true)).feed(Received::Ping(2));
    assert!(peer.sent().is_empty());
    let key = peer.accept_stream().key;
    assert_eq!(peer.sent(), ["GOAWAY 1 OK"]);
    peer.session.reply(key, response(), true).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1 FIN"]);
    assert!(peer.session.is_finished());
}

#[test]
fn streams_nobody_accepts_do_not_hold_up_a_shutdown() {
    let mut peer = Solo::server();
    peer.feed(syn(1, false)).feed(data(1, 100, false));
    peer.session.shutdown();
    peer.sent();
    peer.feed(Received::Ping(2));
    peer.pass(SECOND);
    assert_eq!(
        peer.sent(),
        ["GOAWAY 0 OK"],
        "below it: the peer may send it again"
    );
    assert!(peer.session.is_finished());
    assert_eq!(peer.session.stream_count(), 0);
}

#[test]
fn without_early_goaway_streams_are_refused_and_goaway_is_last() {
    let mut peer = Solo::started(Role::Server, Config::server().early_goaway(false));
    let key = peer.accepted(1, true);
    peer.feed(syn(3, false));
    peer.session.shutdown();
    peer.feed(syn(5, false)).feed(data(5, 9, false));
    let refused = ["RST_STREAM 3 REFUSED_STREAM", "RST_STREAM 5 REFUSED_STREAM"];
    assert_eq!(peer.sent(), refused);
    peer.session.reply(key, response(), true).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1 FIN", "GOAWAY 1 OK"]);
    assert!(peer.session.is_finished());
}

#[test]
fn two_sessions_drain_without_losing_a_stream() {
    let mut pair = Pair::start();
    pair.latency = SECOND / 10;
    let (ours, theirs) = pair.exchange();
    pair.server.shutdown();
    pair.emit(Role::Server, 10);
    // Opened before the GOAWAY arrives.
    let crossing = pair.client.open_with(OpenOptions::new().fin(true));
    pair.pass(SECOND / 20);
    pair.drive();
    let served = pair.server.accept_stream().key;
    pair.server.reply(served, response(), true).unwrap();
    pair.server.finish(theirs).unwrap();
    pair.client.finish(ours).unwrap();
    pair.drive();
    assert!(pair.client.take_reply(crossing).unwrap().is_some());
    assert!(pair.client.is_finished() && pair.server.is_finished());
    assert!(pair.client.outcome().unwrap().is_ok() && pair.server.outcome().unwrap().is_ok());
}

#[test]
fn goaway_fails_what_it_excludes_as_retryable_and_lets_the_rest_finish() {
    let mut peer = Solo::client();
    let keys = [peer.replied(1), peer.replied(3)];
    let queued = peer.open_stream();
    peer.feed(go_away(1));
    assert!(peer.sent().is_empty(), "the queued SYN_STREAM never leaves");
    for key in [keys[1], queued] {
        let error = peer.session.read(key, 1).unwrap_err();
        assert!(error.is_retryable() && error.is_go_away(), "{error}");
    }
    assert!(peer.session.is_closing());
    assert!(
        peer.try_open(OpenOptions::new())
            .unwrap_err()
            .is_retryable()
    );
    peer.feed(data(1, 5, true));
    assert_eq!(peer.read_all(keys[0]).unwrap().0.len(), 5);
    peer.session.finish(keys[0]).unwrap();
    assert_eq!(
        peer.sent(),
        ["DATA 1 0 FIN", "GOAWAY 0 OK"],
        "drained, so it closes"
    );
    assert!(peer.session.is_finished());
}

#[test]
fn a_second_goaway_only_lowers_the_last_good_id() {
    let mut peer = Solo::client();
    let keys = [peer.replied(1), peer.replied(3)];
    peer.feed(go_away(1)).feed(go_away(3));
    assert!(peer.session.read(keys[1], 1).is_err(), "stays failed");
    assert_eq!(peer.session.read(keys[0], 1).unwrap(), Read::Blocked);
    peer.events();
    peer.feed(go_away(1));
    assert!(peer.events().is_empty(), "nothing new");
    peer.feed(go_away(0));
    assert!(peer.session.read(keys[0], 1).unwrap_err().is_retryable());
}

#[test]
fn who_opens_a_stream_in_vain_is_told_who_shuts_down() {
    let mut peer = Solo::client();
    peer.replied(1);
    assert!(!peer.session.is_closing() && !peer.session.is_draining());
    peer.session.shutdown();
    assert!(peer.session.is_closing() && !peer.session.is_draining());
    peer.sent();
    peer.feed(Received::Ping(1));
    assert!(peer.session.is_draining(), "its echo");
    let error = peer.session.reserve_slot().unwrap_err();
    assert!(error.is_retryable() && !error.is_remote(), "{error}");
    assert!(error.to_string().contains("shutting down"), "{error}");

    let mut peer = Solo::client();
    peer.replied(1);
    peer.feed(go_away(1));
    assert!(peer.session.is_closing() && !peer.session.is_draining());
    let error = peer.session.reserve_slot().unwrap_err();
    assert!(error.is_retryable() && error.is_remote(), "{error}");
    assert!(error.to_string().contains("GOAWAY"), "{error}");
    // Ours changes nothing of that.
    peer.session.shutdown();
    let error = peer.session.reserve_slot().unwrap_err();
    assert!(error.is_remote(), "{error}");
}

#[test]
fn goaway_of_the_peer_leaves_its_own_streams_alone() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.feed(go_away(0));
    peer.feed(data(1, 5, true));
    assert_eq!(peer.read_all(key).unwrap(), (vec![b'x'; 5], true));
    peer.session.reply(key, response(), true).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1 FIN", "GOAWAY 1 OK"]);
}

#[test]
fn data_that_came_before_a_goaway_is_delivered() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.feed(data(1, 5, false)).feed(go_away(1));
    peer.session.handle_eof(false);
    assert!(matches!(peer.session.read(key, 9).unwrap(), Read::Data(b) if b.len() == 5));
    assert!(peer.session.read(key, 9).unwrap_err().is_closed());
}

#[test]
fn the_status_of_a_goaway_is_told_when_the_transport_ends() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.feed(Received::GoAway(spdy::frame::GoAway {
        last_good: Some(id(1)),
        status: GoAwayStatus::INTERNAL_ERROR,
    }));
    peer.session.handle_eof(false);
    let error = peer.session.read(key, 9).unwrap_err();
    assert!(error.is_go_away() && error.is_remote());
    assert_eq!(error.status(), Some(2));
}

#[test]
fn a_session_error_says_goaway_with_the_last_accepted_id_and_fails_every_stream() {
    let mut peer = Solo::server();
    let keys = [peer.accepted(1, false), peer.accepted(3, false)];
    peer.feed(syn(7, false));
    assert_eq!(peer.session.read(keys[0], 1).unwrap(), Read::Blocked);
    peer.events();
    peer.feed(credit(0, 0));
    assert!(
        peer.events()
            .iter()
            .any(|e| matches!(e, Event::Wake { read: true, .. }))
    );
    assert_eq!(peer.sent(), ["GOAWAY 3 PROTOCOL_ERROR"], "and nothing else");
    for key in keys {
        assert!(peer.session.read(key, 1).unwrap_err().is_go_away());
    }
    assert!(peer.session.is_finished());
    assert!(peer.session.outcome().unwrap().unwrap_err().is_go_away());
    peer.feed(syn(9, false));
    assert!(peer.session.accept().is_none() && peer.sent().is_empty());
}

#[test]
fn an_abort_says_goaway_with_the_status_asked_for() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.session
        .abort(GoAwayStatus::INTERNAL_ERROR, "the service failed");
    assert_eq!(peer.sent(), ["GOAWAY 1 INTERNAL_ERROR"]);
    assert!(peer.session.read(key, 1).is_err());
}

#[test]
fn a_lost_transport_fails_open_streams_and_no_clean_end_is_shown() {
    for mid_frame in [true, false] {
        let mut peer = Solo::client();
        let key = peer.open_stream();
        peer.sent();
        assert!(peer.session.take_reply(key).unwrap().is_none());
        peer.feed(reply(1, false));
        let waiting = peer.open_stream();
        peer.events();
        assert_eq!(peer.session.read(key, 1).unwrap(), Read::Blocked);
        peer.session.handle_eof(mid_frame);
        assert!(
            peer.events()
                .iter()
                .any(|e| matches!(e, Event::Wake { read: true, .. }))
        );
        assert!(
            peer.session.take_reply(key).unwrap().is_some(),
            "it did arrive"
        );
        assert!(peer.session.read(key, 1).unwrap_err().is_closed());
        assert!(
            peer.session.take_reply(waiting).unwrap_err().is_retryable(),
            "was never sent"
        );
        assert!(peer.sent().is_empty());
        assert!(peer.session.is_finished() && peer.session.outcome().unwrap().is_err());
    }
}

#[test]
fn the_end_of_an_idle_transport_is_clean_unless_it_cuts_a_frame() {
    let mut peer = Solo::client();
    peer.session.handle_eof(false);
    assert!(peer.session.outcome().unwrap().is_ok());
    let mut peer = Solo::client();
    peer.session.handle_eof(true);
    assert!(peer.session.outcome().unwrap().unwrap_err().is_closed());
    let mut peer = Solo::client();
    peer.session.handle_transport_error(failure());
    assert!(peer.session.outcome().unwrap().is_err());
    assert!(peer.session.ping().is_err());
}

#[test]
fn the_end_of_a_transport_says_whether_the_peer_ever_spoke() {
    for (speaks, says) in [(false, "before the peer had sent a byte"), (true, "ended")] {
        let mut peer = Solo::client();
        if speaks {
            peer.feed(Received::Ping(2));
        }
        let key = peer.open_stream();
        peer.sent();
        peer.session.handle_eof(false);
        let error = peer.session.take_reply(key).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(error.contains("before"), !speaks, "{error}");
    }
}

/// Some error.
fn failure() -> Error {
    let mut peer = Solo::client();
    peer.session.abort(GoAwayStatus::INTERNAL_ERROR, "");
    peer.session.outcome().unwrap().unwrap_err()
}

#[test]
fn a_session_is_finished_when_it_is_over_and_all_was_sent() {
    let mut peer = Solo::server();
    assert!(!peer.session.is_finished(), "in use");
    peer.session.abort(GoAwayStatus::INTERNAL_ERROR, "");
    assert!(peer.session.is_over() && !peer.session.is_finished());
    assert_eq!(peer.sent(), ["GOAWAY 0 INTERNAL_ERROR"]);
    assert!(peer.session.is_finished());
}

#[test]
fn a_dead_transport_leaves_nothing_to_send() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, true);
    peer.session.shutdown();
    peer.session.reply(key, response(), true).unwrap();
    peer.session.handle_eof(false);
    assert!(!peer.session.has_output() && peer.session.is_finished());
    let mut peer = Solo::server();
    peer.session.close_when_idle();
    assert!(peer.session.is_over());
    peer.session.handle_eof(false);
    assert!(!peer.session.has_output() && peer.session.is_finished());
}

#[test]
fn both_sides_survive_the_death_of_the_transport_at_any_step() {
    for steps in 0..40 {
        let mut pair = Pair::start();
        let (ours, theirs) = pair.exchange();
        pair.client.write(ours, vec![0; 300_000].into()).unwrap();
        pair.client.finish(ours).unwrap();
        pair.server.write(theirs, vec![0; 300_000].into()).unwrap();
        let late = pair.client.open_stream();
        assert_eq!(pair.client.read(ours, 1).unwrap(), Read::Blocked);
        for step in 0..steps {
            let role = if step % 3 == 0 {
                Role::Server
            } else {
                Role::Client
            };
            pair.emit(role, 1 + step % 4);
            pair.deliver(role, 1);
        }
        pair.kill();
        let end = |result: Result<(Vec<u8>, bool), Error>| !matches!(result, Ok((_, false)));
        assert!(end(pair.client.read_all(ours)) && end(pair.server.read_all(theirs)));
        for key in [ours, late] {
            pair.client.drop_stream(key);
        }
        pair.server.drop_stream(theirs);
        while let Some(accepted) = pair.server.accept() {
            pair.server.drop_stream(accepted.key);
        }
        pair.assert_empty();
    }
}

#[test]
fn close_when_idle_waits_for_streams_that_wait_to_be_accepted() {
    let mut peer = Solo::server();
    peer.feed(syn_with(1, true, true));
    peer.session.close_when_idle();
    assert!(!peer.session.is_over());
    peer.accept_stream();
    assert_eq!(peer.sent(), ["GOAWAY 1 OK"]);
    assert!(peer.session.is_finished());
}

#[test]
fn nobody_to_accept_refuses_what_waits_and_what_comes() {
    let mut peer = Solo::server();
    peer.feed(syn(1, false));
    peer.session.stop_accepting();
    peer.feed(syn(3, false));
    let refused = ["RST_STREAM 1 REFUSED_STREAM", "RST_STREAM 3 REFUSED_STREAM"];
    assert_eq!(peer.sent(), refused);
    assert_eq!(peer.session.stream_count(), 0);
}

#[test]
fn a_reset_does_not_keep_a_draining_session_alive() {
    let mut peer = Solo::server();
    peer.accepted(1, false);
    peer.session.shutdown();
    peer.sent();
    peer.feed(Received::Ping(2))
        .feed(rst(1, ResetStatus::CANCEL));
    assert_eq!(peer.sent(), ["GOAWAY 1 OK"]);
    assert!(peer.session.is_finished());
}
