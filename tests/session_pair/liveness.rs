//! PING, keep-alive, idle time-out, and the very first frames (scenarios 63, 69 to 72, 81).

use std::time::Duration;

use spdy::Config;
use spdy::frame::{Frame, Received, ResetStatus, Role, SettingId};
use spdy::session::Event;

use crate::pair::*;

#[test]
fn the_first_frames_announce_what_the_options_say() {
    let mut peer = Solo::new(Role::Server, Config::server());
    let frames = peer.sent_frames();
    let Frame::Settings(settings) = &frames[0] else {
        panic!("{frames:?}")
    };
    let value = |id| settings.get(id).unwrap().value;
    assert_eq!(value(SettingId::MaxConcurrentStreams), 200);
    assert_eq!(value(SettingId::InitialWindowSize), 256 * 1024);
    let credit = format!("WINDOW_UPDATE 0 {}", (4 << 20) - 65_536);
    assert_eq!(frames[1..].iter().map(short).collect::<Vec<_>>(), [credit]);
    let mut quiet = Solo::new(Role::Client, Config::client().announce_settings(false));
    let credit = format!("WINDOW_UPDATE 0 {}", (16 << 20) - 65_536);
    assert_eq!(quiet.sent(), [credit], "only the connection window");
}

#[test]
fn nothing_is_sent_before_the_peer_speaks_where_that_is_asked_for() {
    let mut peer = Solo::new(Role::Server, Config::server().hold_until_peer_speaks(true));
    peer.session.ping().unwrap();
    assert!(!peer.session.has_output() && peer.sent().is_empty());
    peer.feed(Received::Ping(1));
    let sent = peer.sent();
    assert_eq!(sent[..2], ["SETTINGS", "PING 1"]);
    assert_eq!(sent.len(), 4);
}

#[test]
fn keep_alive_gives_a_peer_up_that_has_to_speak_first_and_does_not() {
    let second = Duration::from_secs(1);
    let config = Config::server()
        .hold_until_peer_speaks(true)
        .keep_alive_interval(10 * second)
        .keep_alive_timeout(5 * second);
    // An idle session is left alone, unless asked otherwise.
    let mut peer = Solo::new(Role::Server, config.clone());
    peer.pass(1000 * second);
    assert!(!peer.session.is_over());

    let mut peer = Solo::new(Role::Server, config.keep_alive_while_idle(true));
    peer.pass(Duration::from_millis(14_999));
    assert!(!peer.session.is_over() && peer.sent().is_empty());
    peer.pass(Duration::from_millis(1));
    let error = peer.session.outcome().unwrap().unwrap_err();
    assert_eq!(error.timeout_kind(), Some(spdy::Timeout::KeepAlive));
}

#[test]
fn a_shutdown_waits_a_second_for_a_peer_that_has_to_speak_first() {
    let held = || {
        let mut peer = Solo::new(Role::Server, Config::server().hold_until_peer_speaks(true));
        peer.session.shutdown();
        peer.pass(Duration::from_millis(999));
        assert!(!peer.session.is_over() && peer.sent().is_empty());
        peer
    };
    // Its first request was on its way: it is served, and the drain goes on as usual.
    let mut peer = held();
    peer.feed(syn(1, true));
    assert!(peer.session.accept().is_some());
    assert!(peer.sent().contains(&"GOAWAY 2147483647 OK".to_owned()));

    let mut peer = held();
    peer.pass(Duration::from_millis(1));
    assert!(peer.session.is_finished() && peer.sent().is_empty());
}

#[test]
fn an_echo_goes_out_ahead_of_everything_that_is_queued() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    peer.write(key, 1000);
    peer.feed(data(9, 1, false));
    peer.feed(Received::Ping(1)).feed(Received::Ping(3));
    let sent = peer.sent();
    assert_eq!(
        sent[..3],
        ["PING 1", "PING 3", "RST_STREAM 9 INVALID_STREAM"]
    );
    assert_eq!(sent[3..], ["SYN_REPLY 1", "DATA 1 1000"]);
}

#[test]
fn pings_of_our_parity_that_we_did_not_send_are_ignored() {
    let mut client = Solo::client();
    client.feed(Received::Ping(1)).feed(Received::Ping(0));
    assert_eq!(client.sent(), ["PING 0"], "0 is even: a client echoes it");
    let mut server = Solo::server();
    server.feed(Received::Ping(0)).feed(Received::Ping(2));
    assert!(server.sent().is_empty() && server.events().is_empty());
}

#[test]
fn concurrent_pings_are_told_apart_and_timed_from_their_emission() {
    let mut peer = Solo::client();
    let first = peer.session.ping().unwrap();
    peer.pass(SECOND);
    assert_eq!(peer.sent(), ["PING 1"]);
    let second = peer.session.ping().unwrap();
    peer.pass(SECOND);
    peer.sent();
    peer.pass(SECOND);
    peer.feed(Received::Ping(3))
        .feed(Received::Ping(1))
        .feed(Received::Ping(1));
    assert_eq!(
        peer.events(),
        [
            Event::Pong {
                id: second,
                rtt: SECOND
            },
            Event::Pong {
                id: first,
                rtt: 2 * SECOND
            },
        ]
    );
}

#[test]
fn pings_under_way_are_bounded() {
    let mut peer = Solo::client();
    let started = (0..200).take_while(|_| peer.session.ping().is_ok()).count();
    assert_eq!(started, 64);
    assert!(peer.session.ping().unwrap_err().is_user());
    // A peer of the same kind takes all of them at once.
    let mut pair = Pair::new(Config::client(), Config::server());
    while pair.client.ping().is_ok() {}
    pair.drive();
    assert_eq!(pair.client.events().len(), 64);
}

fn keep_alive(config: Config) -> Config {
    config
        .keep_alive_interval(10 * SECOND)
        .keep_alive_timeout(5 * SECOND)
}

#[test]
fn a_silent_peer_is_asked_and_then_given_up() {
    let mut peer = Solo::started(Role::Client, keep_alive(Config::client()));
    let key = peer.replied(1);
    peer.pass(10 * SECOND);
    assert_eq!(peer.sent(), ["PING 1"]);
    peer.pass(5 * SECOND);
    assert!(peer.session.read(key, 1).unwrap_err().is_timeout());
    assert_eq!(peer.sent(), ["GOAWAY 0 OK"]);
    assert!(peer.session.outcome().unwrap().unwrap_err().is_timeout());
}

#[test]
fn any_byte_is_life() {
    let mut peer = Solo::started(Role::Client, keep_alive(Config::client()));
    peer.replied(1);
    for _ in 0..20 {
        peer.pass(10 * SECOND);
        assert_eq!(peer.sent().len(), 1);
        peer.pass(4 * SECOND);
        peer.session.handle_read(peer.now);
    }
    assert!(!peer.session.is_over());
}

#[test]
fn the_clock_of_keep_alive_starts_when_the_ping_is_written() {
    let mut peer = Solo::started(Role::Client, keep_alive(Config::client()));
    peer.replied(1);
    peer.pass(100 * SECOND);
    assert!(!peer.session.is_over(), "the PING is still queued");
    assert_eq!(peer.sent(), ["PING 1"]);
    peer.pass(4 * SECOND);
    assert!(!peer.session.is_over());
    peer.pass(SECOND);
    assert!(peer.session.is_over());
}

#[test]
fn a_peer_that_takes_output_slowly_is_alive_until_the_ping_is_written() {
    let mut peer = Solo::started(Role::Client, keep_alive(Config::client()));
    peer.replied(1);
    peer.pass(10 * SECOND);
    assert_eq!(peer.sent(), ["PING 1"]);
    for _ in 0..10 {
        peer.pass(4 * SECOND);
        peer.session.handle_write(false, peer.now);
    }
    peer.session.handle_write(true, peer.now);
    peer.pass(4 * SECOND);
    assert!(!peer.session.is_over());
    peer.session.handle_write(true, peer.now);
    peer.pass(SECOND);
    assert!(
        peer.session.is_over(),
        "what is written later changes nothing"
    );
}

#[test]
fn keep_alive_rests_while_idle_unless_asked_not_to() {
    let mut peer = Solo::started(Role::Client, keep_alive(Config::client()));
    peer.pass(100 * SECOND);
    // Nor when the driver looks at the clock for another reason.
    peer.session.handle_timeout(peer.now);
    assert!(peer.sent().is_empty());
    let config = keep_alive(Config::client()).keep_alive_while_idle(true);
    let mut peer = Solo::started(Role::Client, config);
    peer.pass(15 * SECOND);
    assert_eq!(peer.sent(), ["PING 1"]);
}

#[test]
fn keep_alive_stands_still_while_we_do_not_read() {
    let config = keep_alive(Config::server()).flow_control(spdy::FlowControl::Off);
    let mut peer = Solo::started(Role::Server, config);
    let key = peer.accepted(1, false);
    for _ in 0..2 {
        peer.feed(data(1, 1 << 20, false));
    }
    assert!(!peer.session.wants_read(false, peer.now));
    peer.pass(100 * SECOND);
    assert!(peer.sent().is_empty() && !peer.session.is_over());
    peer.read_all(key).unwrap();
    assert!(peer.session.may_resume_reading());
    assert!(peer.session.wants_read(false, peer.now));
    peer.pass(9 * SECOND);
    assert!(peer.sent().is_empty(), "a full interval from now");
    peer.pass(SECOND);
    assert_eq!(peer.sent(), ["PING 2"]);
}

#[test]
fn an_idle_session_shuts_down() {
    let config = Config::server().idle_timeout(30 * SECOND);
    let mut pair = Pair::new(Config::client(), config);
    pair.pass(29 * SECOND);
    let (ours, theirs) = pair.exchange();
    pair.pass(100 * SECOND);
    assert!(!pair.server.is_closing(), "a stream is open");
    pair.client.reset(ours, ResetStatus::CANCEL);
    pair.drive();
    pair.client.drop_stream(ours);
    pair.server.drop_stream(theirs);
    pair.pass(29 * SECOND);
    assert!(!pair.server.is_closing());
    pair.pass(2 * SECOND);
    assert!(pair.server.is_finished() && pair.client.is_finished());
    assert!(pair.server.outcome().unwrap().is_ok());
}

#[test]
fn a_look_at_the_clock_for_keep_alive_ends_no_idle_session() {
    let config = keep_alive(Config::server())
        .keep_alive_while_idle(true)
        .idle_timeout(30 * SECOND);
    let mut peer = Solo::started(Role::Server, config);
    peer.pass(10 * SECOND);
    assert_eq!(peer.sent(), ["PING 2"]);
    assert!(!peer.session.is_closing());
}

#[test]
fn a_short_stream_between_two_looks_at_the_clock_restarts_the_idle_time() {
    let config = Config::server().idle_timeout(30 * SECOND);
    let mut peer = Solo::started(Role::Server, config);
    peer.pass(29 * SECOND);
    peer.feed(syn(1, false)).feed(rst(1, ResetStatus::CANCEL));
    peer.pass(29 * SECOND);
    assert!(!peer.session.is_closing());
    peer.pass(SECOND);
    assert!(peer.session.is_closing());
}

#[test]
fn no_deadline_is_reported_again_once_it_was_handled() {
    let config = keep_alive(Config::server())
        .idle_timeout(SECOND)
        .keep_alive_while_idle(true);
    let mut peer = Solo::started(Role::Server, config);
    peer.pass(SECOND);
    assert!(peer.session.is_closing());
    // The echo of the drain PING is not awaited with the idle deadline in the past.
    let next = peer.session.poll_timeout(peer.now).unwrap();
    assert!(next > peer.now);
    peer.sent();
    peer.pass(Duration::from_secs(60));
    assert!(peer.session.is_over());
    assert_eq!(peer.session.poll_timeout(peer.now), None);
}

#[test]
fn keep_alive_pings_that_are_never_echoed_do_not_use_up_the_pings() {
    let mut peer = Solo::started(Role::Client, keep_alive(Config::client()));
    peer.replied(1);
    for _ in 0..300 {
        peer.pass(10 * SECOND);
        peer.sent();
        peer.session.handle_read(peer.now);
    }
    assert!(peer.session.ping().is_ok());
}
