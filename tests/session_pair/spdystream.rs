//! The options for Go's spdystream: what it does against the text is no error, and it is spared what it cannot take.

use std::time::Duration;

use spdy::frame::{Frame, GoAway, GoAwayStatus, Priority, Received, ResetStatus, Role};
use spdy::session::{Key, OpenOptions, Read};
use spdy::{Config, FlowControl, Timeout};

use crate::pair::*;

fn client() -> Solo {
    Solo::started(Role::Client, Config::spdystream_client())
}

fn server() -> Solo {
    Solo::started(Role::Server, Config::spdystream_server())
}

fn cancel(stream: u32) -> Received {
    rst(stream, ResetStatus::CANCEL)
}

#[test]
fn nothing_is_announced_and_a_server_waits_to_be_spoken_to() {
    let mut peer = Solo::new(Role::Client, Config::spdystream_client());
    assert!(peer.sent().is_empty());
    peer.session.ping().unwrap();
    assert_eq!(peer.sent(), ["PING 1"]);
    let mut peer = Solo::new(Role::Server, Config::spdystream_server());
    peer.session.ping().unwrap();
    assert!(
        peer.sent().is_empty(),
        "the client reads past what comes now"
    );
    peer.feed(Received::Ping(1));
    assert_eq!(peer.sent(), ["PING 1", "PING 2"]);
}

#[test]
fn streams_are_plain_unless_asked_otherwise() {
    let mut peer = client();
    for stream in [1, 3, 5] {
        peer.replied(stream);
    }
    peer.open_stream();
    let [Frame::SynStream(syn)] = &peer.sent_frames()[..] else {
        panic!("expected a SYN_STREAM");
    };
    assert_eq!(syn.priority, Priority::HIGHEST);
    assert!(!syn.fin && !syn.unidirectional && syn.associated.is_none());
    // FIN is where it was asked for, and in a frame of its own else.
    let quick = peer.open_stream();
    peer.session.finish(quick).unwrap();
    peer.open_with(OpenOptions::new().fin(true));
    assert_eq!(
        peer.sent(),
        ["SYN_STREAM 9", "SYN_STREAM 11 FIN", "DATA 9 0 FIN"]
    );
    let mut peer = server();
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    peer.session.finish(key).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1", "DATA 1 0 FIN"]);
    let key = peer.accepted(3, false);
    peer.session.reply(key, response(), true).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 3 FIN"]);
    for stream in [2, 4] {
        peer.replied(stream);
    }
}

#[test]
fn windows_neither_hold_back_what_is_sent_nor_come_back_for_what_is_read() {
    let mut peer = server();
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1"]);
    let mut sent = 0;
    while sent < 20 << 20 {
        peer.write(key, 32 << 10);
        sent += peer.sent_data();
    }
    let mut got = 0;
    while got < 20 << 20 {
        peer.feed(data(1, 512 << 10, false));
        got += peer.read_all(key).unwrap().0.len();
    }
    // What it says about windows is nothing to us.
    peer.feed(credit(0, 0))
        .feed(credit(1, 0))
        .feed(credit(77, 1 << 30));
    peer.feed(credit(0, i32::MAX as u32))
        .feed(credit(0, i32::MAX as u32));
    assert!(peer.sent().is_empty(), "no WINDOW_UPDATE");
    assert!(!peer.session.is_over());
}

#[test]
fn frames_are_as_large_as_what_kubernetes_writes_and_half_of_that_where_windows_count() {
    for (flow_control, largest) in [(FlowControl::Off, 32 << 10), (FlowControl::Spec, 16 << 10)] {
        let config = Config::spdystream_server().flow_control(flow_control);
        let mut peer = Solo::started(Role::Server, config);
        let key = peer.accepted(1, false);
        peer.session.reply(key, response(), false).unwrap();
        peer.sent();
        peer.write(key, (32 << 10) + 1);
        let lengths: Vec<_> = peer
            .sent_frames()
            .iter()
            .map(|frame| match frame {
                Frame::Data(data) => data.payload.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(lengths.iter().all(|n| *n <= largest), "{lengths:?}");
        assert_eq!(lengths[0], largest);
        assert_eq!(lengths.iter().sum::<usize>(), (32 << 10) + 1);
    }
}

#[test]
fn what_nobody_reads_stops_the_transport_at_the_limit() {
    let config = Config::spdystream_server().unread_stream_limit(100_000);
    let mut peer = Solo::started(Role::Server, config);
    let key = peer.accepted(1, false);
    let mut fed = 0;
    while peer.session.wants_read(false, peer.now) {
        peer.feed(data(1, 10_000, false));
        fed += 10_000;
        assert!(fed <= 110_000, "{fed} bytes are unread");
    }
    assert!(!peer.session.is_over());
    peer.read_all(key).unwrap();
    assert!(peer.session.wants_read(false, peer.now));
}

#[test]
fn windows_are_there_for_other_peers() {
    let mode = |config: Config| config.flow_control_mode();
    assert_eq!(mode(Config::spdystream_server()), FlowControl::Off);
    let spec = Config::spdystream_server().flow_control(FlowControl::Spec);
    let mut peer = Solo::started(Role::Server, spec);
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    peer.write(key, 200_000);
    assert_eq!(peer.sent_data(), 65_536);
}

#[test]
fn cancel_behind_data_is_its_end_and_another_status_is_an_error() {
    for (status, end) in [
        (ResetStatus::CANCEL, true),
        (ResetStatus::INTERNAL_ERROR, false),
    ] {
        for half_closed in [false, true] {
            let mut peer = client();
            let key = peer.replied(1);
            if half_closed {
                peer.session.finish(key).unwrap();
                assert_eq!(peer.sent(), ["DATA 1 0 FIN"]);
            }
            peer.feed(data(1, 10, false)).feed(rst(1, status));
            let Read::Data(bytes) = peer.session.read(key, usize::MAX).unwrap() else {
                panic!("what came before the reset is lost");
            };
            assert_eq!(bytes.len(), 10);
            match peer.session.read(key, usize::MAX) {
                Ok(Read::End) => assert!(end),
                Err(error) => assert!(!end && error.reset_status() == Some(status), "{error}"),
                Ok(read) => panic!("{read:?}"),
            }
            // Nobody takes what would still be written.
            assert!(peer.session.poll_capacity(key).is_err());
            assert!(peer.sent().is_empty());
        }
    }
}

#[test]
fn cancel_is_the_end_at_the_callers_choice_and_never_instead_of_a_reply() {
    let config = Config::spdystream_client().cancel_is_end(false);
    let mut peer = Solo::started(Role::Client, config);
    let key = peer.replied(1);
    peer.feed(data(1, 1, false)).feed(cancel(1));
    assert!(matches!(peer.session.read(key, 9), Ok(Read::Data(_))));
    let error = peer.session.read(key, 9).unwrap_err();
    assert_eq!(error.reset_status(), Some(ResetStatus::CANCEL));

    let mut peer = client();
    let key = peer.open_stream();
    peer.sent();
    peer.feed(cancel(1));
    let error = peer.session.take_reply(key).unwrap_err();
    assert!(error.is_reset() && error.is_remote(), "{error}");
    assert!(peer.session.read(key, 9).is_err(), "it was refused");
}

#[test]
fn a_stream_whose_own_direction_has_ended_is_given_up_in_silence() {
    for explicit in [false, true] {
        let mut peer = client();
        let key = peer.replied(1);
        peer.session.finish(key).unwrap();
        assert_eq!(peer.sent(), ["DATA 1 0 FIN"]);
        if explicit {
            peer.session.reset(key, ResetStatus::CANCEL);
        }
        peer.drop_stream(key);
        assert!(peer.sent().is_empty(), "explicit: {explicit}");
        assert_eq!(peer.session.stream_count(), 0);
        for _ in 0..1000 {
            peer.feed(data(1, 1000, false));
        }
        peer.feed(data(1, 0, true)).feed(cancel(1));
        assert!(peer.sent().is_empty());
        assert!(!peer.session.is_over() && peer.session.unread_bytes() == 0);
    }
    // One that has not ended is reset, as is any for another peer.
    let mut peer = client();
    let key = peer.replied(1);
    peer.drop_stream(key);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
    let strict = Config::spdystream_client().lenient_streams(false);
    let mut peer = Solo::started(Role::Client, strict);
    let key = peer.replied(1);
    peer.session.finish(key).unwrap();
    peer.sent();
    peer.drop_stream(key);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
}

#[test]
fn a_handle_dropped_before_its_fin_is_sent_leaves_no_reset_behind() {
    let mut peer = server();
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    peer.write(key, 5);
    peer.session.finish(key).unwrap();
    peer.drop_stream(key);
    assert_eq!(peer.sent(), ["SYN_REPLY 1", "DATA 1 5 FIN"]);
    assert_eq!(peer.session.stream_count(), 0);
}

#[test]
fn frames_for_streams_that_are_unknown_or_over_end_nothing() {
    let mut peer = server();
    let gone = peer.accepted(1, false);
    let live = peer.accepted(3, false);
    peer.drop_stream(gone);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
    for _ in 0..2000 {
        for stream in [1, 2, 99] {
            peer.feed(data(stream, 10, false));
            peer.feed(data(stream, 10, true));
            peer.feed(headers(stream, false));
            peer.feed(reply(stream, false));
            peer.feed(rst(stream, ResetStatus::CANCEL));
            peer.feed(credit(stream, 1));
        }
    }
    assert!(peer.sent().is_empty());
    assert!(!peer.session.is_over());
    peer.feed(data(3, 7, true));
    assert_eq!(peer.read_all(live).unwrap(), (vec![b'x'; 7], true));
}

#[test]
fn data_behind_fin_is_dropped_and_our_direction_goes_on() {
    let mut peer = server();
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    peer.feed(data(1, 3, true));
    peer.feed(data(1, 3, false))
        .feed(data(1, 0, true))
        .feed(headers(1, false));
    assert_eq!(peer.read_all(key).unwrap(), (vec![b'x'; 3], true));
    peer.write(key, 4);
    peer.session.finish(key).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1", "DATA 1 4 FIN"]);
}

#[test]
fn a_second_syn_reply_is_ignored_in_every_state() {
    let mut peer = client();
    let open = peer.replied(1);
    let finished = peer.replied(3);
    peer.session.finish(finished).unwrap();
    assert_eq!(peer.sent(), ["DATA 3 0 FIN"]);
    let ended = peer.replied(5);
    peer.feed(data(5, 1, true));
    peer.sent();
    for stream in [1, 3, 5] {
        peer.feed(reply(stream, false));
        peer.feed(reply(stream, true));
    }
    assert!(peer.sent().is_empty());
    assert_eq!(
        peer.session.read(open, 9).unwrap(),
        Read::Blocked,
        "its FIN is ignored, too"
    );
    assert_eq!(peer.session.read(finished, 9).unwrap(), Read::Blocked);
    assert_eq!(peer.read_all(ended).unwrap(), (vec![b'x'; 1], true));
    peer.write(open, 2);
    assert_eq!(peer.sent(), ["DATA 1 2"]);
}

#[test]
fn ids_of_either_parity_are_taken_and_our_own_go_on_behind_them() {
    let mut peer = server();
    let even = peer.accepted(4, false);
    peer.session.reply(even, response(), false).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 4"]);
    let odd = peer.accepted(5, false);
    peer.session.reply(odd, response(), false).unwrap();
    peer.open_stream();
    assert_eq!(peer.sent(), ["SYN_REPLY 5", "SYN_STREAM 6"]);
    peer.feed(data(4, 3, true));
    assert_eq!(peer.read_all(even).unwrap(), (vec![b'x'; 3], true));
    // Used before, or lower than one before: an error of that id alone.
    peer.feed(syn(6, false))
        .feed(syn(2, false))
        .feed(syn(3, false));
    assert_eq!(
        peer.sent(),
        [
            "RST_STREAM 6 PROTOCOL_ERROR",
            "RST_STREAM 2 PROTOCOL_ERROR",
            "RST_STREAM 3 PROTOCOL_ERROR"
        ]
    );
    // Ids must not run out.
    peer.feed(syn(0x7fff_fffe, false));
    assert_eq!(peer.sent(), ["RST_STREAM 2147483646 PROTOCOL_ERROR"]);
    assert!(!peer.session.is_over());
    peer.open_stream();
    assert_eq!(peer.sent(), ["SYN_STREAM 8"]);
    peer.feed(data(5, 1, true));
    assert_eq!(peer.read_all(odd).unwrap(), (vec![b'x'; 1], true));
}

#[test]
fn a_stream_without_a_reply_is_reset_in_time_and_forgotten() {
    let mut peer = client();
    let answered = peer.replied(1);
    let first = peer.open_stream();
    assert_eq!(peer.sent(), ["SYN_STREAM 3"]);
    peer.pass(10 * SECOND);
    let second = peer.open_with(OpenOptions::new().fin(true));
    assert_eq!(peer.sent(), ["SYN_STREAM 5 FIN"]);
    peer.pass(20 * SECOND - Duration::from_millis(1));
    assert!(peer.sent().is_empty());
    assert!(peer.session.take_reply(first).unwrap().is_none());
    peer.pass(Duration::from_millis(1));
    assert_eq!(peer.sent(), ["RST_STREAM 3 CANCEL"]);
    let error = peer.session.take_reply(first).unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Open), "{error}");
    assert!(peer.session.take_reply(second).unwrap().is_none());
    peer.drop_stream(first);
    assert_eq!(peer.session.stream_count(), 2);
    // Too late.
    peer.feed(reply(3, false)).feed(data(3, 10, true));
    assert!(peer.sent().is_empty());
    peer.pass(10 * SECOND);
    assert_eq!(peer.sent(), ["RST_STREAM 5 CANCEL"]);
    peer.pass(100 * SECOND);
    assert_eq!(peer.session.read(answered, 1).unwrap(), Read::Blocked);
    assert!(peer.sent().is_empty() && !peer.session.is_over());
}

#[test]
fn the_time_for_a_reply_stands_still_while_nothing_is_read() {
    let config = Config::spdystream_client().unread_stream_limit(10);
    let mut peer = Solo::started(Role::Client, config);
    let full = peer.replied(1);
    let waiting = peer.open_stream();
    peer.sent();
    peer.pass(10 * SECOND);
    // It does not start again: whoever makes us pause keeps no stream waiting by that.
    for _ in 0..3 {
        peer.feed(data(1, 11, false));
        assert!(!peer.session.wants_read(false, peer.now));
        peer.pass(100 * SECOND);
        assert!(peer.session.take_reply(waiting).unwrap().is_none());
        peer.read_all(full).unwrap();
        assert!(peer.session.wants_read(false, peer.now));
        peer.pass(5 * SECOND);
    }
    // One that is sent in a pause has all its time behind that.
    peer.feed(data(1, 11, false));
    assert!(!peer.session.wants_read(false, peer.now));
    let late = peer.open_stream();
    peer.sent();
    peer.pass(100 * SECOND);
    peer.read_all(full).unwrap();
    assert!(peer.session.wants_read(false, peer.now));

    peer.pass(5 * SECOND - Duration::from_millis(1));
    assert!(peer.session.take_reply(waiting).unwrap().is_none());
    peer.pass(Duration::from_millis(1));
    assert!(peer.session.take_reply(waiting).unwrap_err().is_timeout());
    peer.pass(25 * SECOND - Duration::from_millis(1));
    assert!(peer.session.take_reply(late).unwrap().is_none());
    peer.pass(Duration::from_millis(1));
    assert!(peer.session.take_reply(late).unwrap_err().is_timeout());
}

#[test]
fn answered_streams_do_not_pile_up_behind_one_that_waits() {
    let mut peer = client();
    let waiting = peer.open_stream();
    assert_eq!(peer.sent(), ["SYN_STREAM 1"]);
    for n in 1..=1000 {
        let key = peer.replied(2 * n + 1);
        peer.feed(data(2 * n + 1, 0, true));
        peer.session.finish(key).unwrap();
        peer.drop_stream(key);
        peer.sent();
    }
    let debug = format!("{:?}", peer.session);
    let opening = debug.split("opening: ").nth(1).unwrap();
    let opening = opening.split("last_frame").next().unwrap();
    assert!(opening.matches("Key").count() <= 65, "{opening}");
    peer.pass(30 * SECOND);
    assert!(peer.session.take_reply(waiting).unwrap_err().is_timeout());
}

#[test]
fn silence_is_counted_from_the_last_frame_in_either_direction() {
    let config = Config::spdystream_server().silence_timeout(60 * SECOND);
    let mut peer = Solo::started(Role::Server, config);
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1"]);
    let unaccepted = 3;
    peer.feed(syn(unaccepted, false));
    for _ in 0..3 {
        peer.pass(59 * SECOND).feed(Received::Ping(1));
        assert_eq!(peer.sent(), ["PING 1"]);
        peer.pass(59 * SECOND);
        peer.write(key, 1);
        assert_eq!(peer.sent(), ["DATA 1 1"]);
        peer.pass(59 * SECOND).feed(data(1, 1, false));
    }
    assert!(!peer.session.is_over());
    peer.pass(60 * SECOND);
    let mut sent = peer.sent();
    assert_eq!(sent.pop().as_deref(), Some("GOAWAY 1 OK"), "the last frame");
    sent.sort();
    assert_eq!(sent, ["RST_STREAM 1 CANCEL", "RST_STREAM 3 CANCEL"]);
    assert!(peer.session.is_finished());
    assert!(peer.session.outcome().unwrap().is_ok());
    let error = peer.session.poll_capacity(key).unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Silence), "{error}");
}

#[test]
fn silence_ends_a_shutdown_that_a_stream_holds_up_and_a_session_that_never_spoke() {
    let config = Config::spdystream_server().silence_timeout(60 * SECOND);
    let mut peer = Solo::started(Role::Server, config.clone());
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    peer.sent();
    peer.session.shutdown();
    peer.pass(60 * SECOND);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL", "GOAWAY 1 OK"]);

    let mut peer = Solo::started(Role::Server, config);
    peer.pass(59 * SECOND);
    assert!(!peer.session.is_over());
    peer.pass(SECOND);
    assert!(peer.session.is_over());
}

#[test]
fn goaway_is_the_last_frame_behind_all_that_was_queued() {
    let mut peer = server();
    let first = peer.accepted(1, false);
    let second = peer.accepted(3, false);
    for key in [first, second] {
        peer.session.reply(key, response(), false).unwrap();
    }
    peer.write(first, 40_000);
    peer.session.finish(first).unwrap();
    peer.session.shutdown();
    peer.session.drop_recv(first);
    let sent = peer.sent();
    let expected = [
        "SYN_REPLY 1",
        "SYN_REPLY 3",
        "DATA 1 32768",
        "DATA 1 7232 FIN",
    ];
    assert_eq!(sent, expected);
    // What comes now is refused one by one: the peer has seen no GOAWAY.
    peer.feed(syn(5, false));
    peer.drop_stream(second);
    let expected = [
        "RST_STREAM 5 REFUSED_STREAM",
        "RST_STREAM 3 CANCEL",
        "GOAWAY 3 OK",
    ];
    assert_eq!(peer.sent(), expected);
    assert!(peer.session.is_finished());
}

#[test]
fn a_goaway_lets_what_is_there_be_read_and_the_end_behind_it_is_clean() {
    let mut peer = client();
    let ended = peer.replied(1);
    let cut = peer.replied(3);
    peer.feed(data(1, 5, true))
        .feed(data(3, 6, false))
        .feed(go_away(3));
    assert!(
        peer.try_open(OpenOptions::new())
            .unwrap_err()
            .is_retryable()
    );
    assert!(!peer.session.is_over());
    peer.session.handle_eof(false);
    assert!(peer.session.outcome().unwrap().is_ok());
    assert_eq!(peer.read_all(ended).unwrap(), (vec![b'x'; 5], true));
    let Read::Data(bytes) = peer.session.read(cut, 9).unwrap() else {
        panic!("what came before the end is lost");
    };
    assert_eq!(bytes.len(), 6);
    assert!(peer.session.read(cut, 9).unwrap_err().is_closed());
    // Without a GOAWAY, or within a frame, nothing is clean.
    for (said, mid_frame) in [(false, false), (true, true)] {
        let mut peer = client();
        peer.replied(1);
        if said {
            peer.feed(go_away(1));
        }
        peer.session.handle_eof(mid_frame);
        assert!(peer.session.outcome().unwrap().is_err());
    }
}

/// As when it leaves it to its client to close.
#[test]
fn a_goaway_behind_the_end_of_all_that_a_server_sends_ends_the_session() {
    let mut peer = client();
    let keys = [peer.replied(1), peer.replied(3)];
    peer.feed(data(1, 5, true)).feed(go_away(3));
    assert!(!peer.session.is_over(), "more may come on the other stream");

    let mut peer = client();
    let (output, input) = (peer.replied(1), peer.replied(3));
    assert_eq!([output, input], keys);
    peer.write(input, 100);
    peer.sent();
    peer.feed(data(1, 5, true))
        .feed(data(3, 0, true))
        .feed(go_away(3));
    assert_eq!(peer.sent(), ["GOAWAY 0 OK"]);
    assert!(peer.session.outcome().unwrap().is_ok());
    assert_eq!(peer.read_all(output).unwrap(), (vec![b'x'; 5], true));
    assert!(peer.session.finish(input).unwrap_err().is_closed());

    // Others may read on behind their GOAWAY, and a client may wait for an answer.
    let mut peer = Solo::started(Role::Client, Config::client());
    peer.replied(1);
    peer.feed(data(1, 5, true)).feed(go_away(1));
    assert!(!peer.session.is_over());
    let mut peer = server();
    peer.accepted(1, true);
    peer.feed(go_away(0));
    assert!(!peer.session.is_over());
}

#[test]
fn more_streams_than_the_usual_limits_are_opened_and_accepted() {
    let mut peer = client();
    for stream in 0..1000 {
        peer.open_stream();
        assert_eq!(peer.sent(), [format!("SYN_STREAM {}", 2 * stream + 1)]);
    }
    let mut peer = server();
    for stream in 0..4096 {
        peer.feed(syn(2 * stream + 1, false));
        peer.accept_stream();
    }
    assert!(peer.sent().is_empty());
    peer.feed(syn(8193, false));
    assert_eq!(peer.sent(), ["RST_STREAM 8193 REFUSED_STREAM"]);
}

#[test]
fn a_peer_is_not_silent_while_we_do_not_read() {
    let config = Config::spdystream_server()
        .silence_timeout(60 * SECOND)
        .pause_probe_interval(None)
        .unread_stream_limit(1000);
    let mut peer = Solo::started(Role::Server, config);
    let key = peer.accepted(1, false);
    peer.feed(data(1, 1001, false));
    assert!(!peer.session.wants_read(false, peer.now));
    peer.pass(1000 * SECOND);
    peer.read_all(key).unwrap();
    assert!(peer.session.wants_read(false, peer.now));
    peer.pass(59 * SECOND);
    assert!(peer.sent().is_empty() && !peer.session.is_closing());
    peer.pass(SECOND);
    assert!(peer.session.is_closing());
}

#[test]
fn a_goaway_that_names_an_error_is_the_outcome_although_streams_were_open() {
    for (status, clean) in [
        (GoAwayStatus::OK, true),
        (GoAwayStatus::PROTOCOL_ERROR, false),
    ] {
        let mut peer = Solo::started(Role::Server, Config::spdystream_server());
        peer.accepted(1, false);
        peer.feed(Received::GoAway(GoAway {
            last_good: None,
            status,
        }));
        peer.session.handle_eof(false);
        assert_eq!(peer.session.outcome().unwrap().is_ok(), clean, "{status}");
    }
}

/// A server that reads nothing: its stream is full.
fn paused(config: Config) -> (Solo, Key) {
    let mut peer = Solo::started(Role::Server, config.unread_stream_limit(10));
    let full = peer.accepted(1, false);
    peer.session.reply(full, response(), false).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1"]);
    peer.feed(data(1, 11, false));
    assert!(!peer.session.wants_read(false, peer.now));
    (peer, full)
}

#[test]
fn in_a_pause_a_frame_that_is_not_answered_shows_whether_the_peer_is_there() {
    let (mut peer, full) = paused(Config::spdystream_server());
    for _ in 0..3 {
        peer.pass(15 * SECOND - Duration::from_millis(1));
        assert!(peer.sent().is_empty());
        peer.pass(Duration::from_millis(1));
        let frames = peer.sent_frames();
        let [Frame::Settings(settings)] = &frames[..] else {
            panic!("{frames:?}");
        };
        assert!(settings.is_empty());
    }
    // One that cannot be sent is not joined by others, whatever pauses come.
    for _ in 0..3 {
        peer.pass(100 * SECOND);
        peer.read_all(full).unwrap();
        assert!(peer.session.wants_read(false, peer.now));
        peer.feed(data(1, 11, false));
        assert!(!peer.session.wants_read(false, peer.now));
    }
    assert_eq!(peer.sent_frames().len(), 1);
    peer.pass(15 * SECOND);
    assert_eq!(peer.sent_frames().len(), 1);
    // It stops with the pause.
    peer.read_all(full).unwrap();
    assert!(peer.session.wants_read(false, peer.now));
    peer.pass(100 * SECOND);
    assert!(peer.sent().is_empty());
}

#[test]
fn a_pause_is_silent_where_that_is_not_wanted() {
    let configs = [
        Config::spdystream_server().pause_probe_interval(None),
        Config::server().flow_control(FlowControl::Off),
    ];
    for config in configs {
        let (mut peer, _) = paused(config);
        peer.pass(1000 * SECOND);
        assert!(peer.sent().is_empty());
    }
}

#[test]
fn what_a_client_has_queued_goes_out_behind_a_goaway() {
    // With the options of one whose peer says GOAWAY last, and of one whose peer says it first.
    for config in [
        Config::spdystream_client(),
        Config::client().lenient_streams(true),
    ] {
        let mut peer = Solo::started(Role::Client, config);
        let key = peer.replied(1);
        peer.session.write(key, vec![b'x'; 30_000].into()).unwrap();
        peer.session.finish(key).unwrap();
        peer.feed(data(1, 0, true));
        peer.feed(go_away(1));
        let mut bytes = 0;
        for frame in peer.sent_frames() {
            if let Frame::Data(data) = frame {
                bytes += data.payload.len();
            }
        }
        assert_eq!(bytes, 30_000);
    }
}
