//! What the session knows of its streams: counts, limits in force, and who has caused what.

use spdy::frame::{Frame, MAX_WINDOW, Priority, Received, ResetStatus, Role, SettingId};
use spdy::session::{OpenOptions, Read};
use spdy::{Config, FlowControl};

use crate::pair::*;

const KIB: usize = 1024;

#[test]
fn streams_are_counted_by_who_knows_of_them() {
    let mut peer = Solo::client();
    peer.feed(setting(SettingId::MaxConcurrentStreams, 1));
    let counts = |peer: &Solo| (peer.session.stream_count(), peer.session.active_streams());
    assert_eq!(counts(&peer), (0, 0));
    assert!(peer.session.is_idle());
    let first = peer.open_stream();
    assert!(!peer.session.is_idle());
    peer.open_stream();
    assert_eq!(counts(&peer), (2, 0), "nothing was sent");
    assert_eq!(peer.sent(), ["SYN_STREAM 1"]);
    assert_eq!(counts(&peer), (2, 1));
    peer.session.reset(first, ResetStatus::CANCEL);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL", "SYN_STREAM 3"]);
    assert_eq!(counts(&peer), (2, 1), "the handles of the first are held");
    peer.drop_stream(first);
    assert_eq!(counts(&peer), (1, 1));
}

#[test]
fn a_stream_given_up_while_it_waits_frees_no_slot() {
    let mut peer = Solo::client();
    peer.feed(setting(SettingId::MaxConcurrentStreams, 1));
    let first = peer.replied(1);
    let waiting = peer.open_stream();
    peer.session.reset(waiting, ResetStatus::CANCEL);
    peer.drop_stream(waiting);
    peer.open_stream();
    assert!(peer.sent().is_empty(), "the only slot is taken");
    peer.session.reset(first, ResetStatus::CANCEL);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL", "SYN_STREAM 3"]);
}

#[test]
fn with_windows_the_unread_limits_do_not_hold() {
    // Below the default window, which the peer uses until it knows ours.
    let config = Config::server()
        .initial_stream_window_size(1000)
        .unread_stream_limit(1000);
    for (mode, reads) in [(FlowControl::Spec, true), (FlowControl::Lenient, false)] {
        let mut peer = Solo::started(Role::Server, config.clone().flow_control(mode));
        peer.accepted(1, false);
        peer.feed(data(1, 60 * KIB, false));
        assert_eq!(peer.session.wants_read(false, peer.now), reads, "{mode:?}");
    }
}

#[test]
fn without_settings_the_peer_is_held_to_the_default_window() {
    let mut peer = Solo::started(Role::Server, Config::server().announce_settings(false));
    peer.accepted(1, false);
    peer.accepted(3, false);
    peer.feed(data(1, 64 * KIB, false));
    assert!(peer.sent().is_empty());
    peer.feed(data(3, 64 * KIB + 1, false));
    assert_eq!(peer.sent(), ["RST_STREAM 3 FLOW_CONTROL_ERROR"]);
}

#[test]
fn a_body_that_was_whole_ends_cleanly_although_its_stream_was_reset_by_us() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.feed(data(1, 5, true));
    assert!(matches!(peer.session.read(key, 9), Ok(Read::Data(bytes)) if bytes.len() == 5));
    peer.session.reset(key, ResetStatus::CANCEL);
    assert_eq!(peer.session.read(key, 9).unwrap(), Read::End);
}

#[test]
fn a_body_whose_trailers_were_not_taken_is_not_whole_once_it_was_reset() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.feed(headers(1, true));
    peer.session.reset(key, ResetStatus::CANCEL);
    assert!(peer.session.take_headers(key).is_none());
    assert!(peer.session.poll_headers(key).unwrap_err().is_reset());
}

#[test]
fn what_an_abandoned_stream_had_unread_is_credited_to_it() {
    // Else a peer that reads only once it has written would wait for us, and we for its credit.
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    peer.write(key, 100 * KIB);
    peer.session.finish(key).unwrap();
    assert_eq!(peer.sent_data(), 64 * KIB, "the rest waits for credit");
    peer.feed(data(1, 200 * KIB, false));
    peer.drop_stream(key);
    assert_eq!(peer.sent(), [format!("WINDOW_UPDATE 1 {}", 200 * KIB)]);
    // And what arrives from now on.
    peer.feed(data(1, 50 * KIB, false))
        .feed(data(1, 150 * KIB, false));
    let credit = format!("WINDOW_UPDATE 1 {}", 200 * KIB);
    assert!(peer.sent().contains(&credit));
}

#[test]
fn a_stream_without_a_reader_gets_no_credit_while_we_may_still_answer() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.session.drop_recv(key);
    peer.feed(data(1, 200 * KIB, false));
    assert!(!peer.session.has_output());
    assert!(peer.sent().is_empty());
}

/// Resets that the peer has caused are bounded while it reads none; those of the application are its own affair.
#[test]
fn only_resets_that_the_peer_has_caused_stop_the_reading() {
    const MANY: u32 = 80;
    let stops = |peer: &mut Solo| !peer.session.wants_read(true, peer.now);

    let mut peer = Solo::client();
    let keys: Vec<_> = (0..MANY).map(|i| peer.replied(2 * i + 1)).collect();
    for key in keys {
        peer.session.reset(key, ResetStatus::CANCEL);
    }
    assert!(!stops(&mut peer), "own streams that we cancelled");

    let mut peer = Solo::client();
    for i in 0..MANY {
        peer.replied(2 * i + 1);
    }
    for i in 0..MANY {
        peer.feed(credit(2 * i + 1, MAX_WINDOW));
    }
    assert!(
        stops(&mut peer),
        "own streams on which the peer broke a rule"
    );

    let mut peer = Solo::server();
    let keys: Vec<_> = (0..MANY).map(|i| peer.accepted(2 * i + 1, false)).collect();
    for key in keys {
        peer.session.reset(key, ResetStatus::CANCEL);
    }
    assert!(stops(&mut peer), "streams that the peer opened");
    peer.sent();
    assert!(!stops(&mut peer), "they are written");
}

#[test]
fn the_decoder_is_held_to_the_options() {
    let config = Config::server()
        .max_header_list_size(5)
        .max_header_values(6)
        .max_control_frame_size(9000)
        .flow_control(FlowControl::Lenient);
    let limits = config.decoder_limits();
    assert_eq!(
        (limits.block.max_list_size, limits.block.max_values),
        (5, 6)
    );
    assert_eq!(limits.max_control_frame_size, 9000);
    assert_eq!(config.flow_control_mode(), FlowControl::Lenient);
}

#[test]
fn the_options_of_a_stream_are_in_its_syn_stream() {
    let mut peer = Solo::client();
    peer.replied(1);
    let options = OpenOptions::new()
        .associated(id(1))
        .priority(Priority::new(6))
        .unidirectional(true)
        .fin(true);
    peer.open_with(options);
    let frames = peer.sent_frames();
    let [Frame::SynStream(syn)] = &frames[..] else {
        panic!("{frames:?}");
    };
    assert_eq!(syn.associated, Some(id(1)));
    assert_eq!(syn.priority, Priority::new(6));
    assert!(syn.unidirectional && syn.fin);
}

#[test]
fn reading_is_open_while_anything_is_there_or_may_come() {
    let fed = |frames: Vec<Received>| {
        let mut peer = Solo::server();
        let key = peer.accepted(1, false);
        for frame in frames {
            peer.feed(frame);
        }
        (peer, key)
    };
    let (peer, key) = fed(vec![]);
    assert!(peer.session.is_read_open(key));
    let (mut peer, key) = fed(vec![data(1, 5, true)]);
    assert!(peer.session.is_read_open(key), "bytes");
    peer.read_all(key).unwrap();
    assert!(!peer.session.is_read_open(key));
    peer.session.reset(key, ResetStatus::CANCEL);
    assert!(!peer.session.is_read_open(key), "an error behind the end");
    peer.drop_stream(key);
    assert!(!peer.session.is_read_open(key), "gone");
    let (mut peer, key) = fed(vec![headers(1, true)]);
    assert!(peer.session.is_read_open(key), "trailers");
    peer.session.take_headers(key).unwrap();
    assert!(!peer.session.is_read_open(key));
    let (peer, key) = fed(vec![rst(1, ResetStatus::CANCEL)]);
    assert!(peer.session.is_read_open(key), "the error waits to be read");
}

#[test]
fn sending_is_finished_once_the_application_has_said_so() {
    let mut peer = Solo::server();
    let keys = [1, 3, 5].map(|stream| peer.accepted(stream, false));
    for key in keys {
        assert!(!peer.session.is_finished_sending(key));
    }
    peer.session.reply(keys[0], response(), true).unwrap();
    peer.session.reply(keys[1], response(), false).unwrap();
    peer.session.finish(keys[1]).unwrap();
    peer.session.reset(keys[2], ResetStatus::CANCEL);
    for key in keys {
        assert!(peer.session.is_finished_sending(key));
        peer.drop_stream(key);
    }
    peer.sent();
    assert!(peer.session.is_finished_sending(keys[2]), "gone");
}

#[test]
fn header_lists_are_sent_up_to_the_limit_and_64_may_be_queued() {
    let limit = u32::try_from(response().list_size()).unwrap();
    for (limit, sent) in [(limit, true), (limit - 1, false)] {
        let config = Config::server().max_send_header_list_size(limit);
        let mut peer = Solo::started(Role::Server, config);
        let key = peer.accepted(1, false);
        let result = peer.session.reply(key, response(), false);
        assert_eq!(result.is_ok(), sent, "{result:?}");
    }
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.session.reply(key, response(), false).unwrap();
    for _ in 0..64 {
        peer.session.send_headers(key, response(), false).unwrap();
    }
    let error = peer.session.send_headers(key, response(), false);
    assert!(error.unwrap_err().is_user());
    assert_eq!(peer.sent().len(), 1 + 64);
    peer.session.send_headers(key, response(), true).unwrap();
    assert_eq!(peer.sent(), ["HEADERS 1 FIN"]);
}

#[test]
fn a_hundred_streams_wait_beyond_the_limit() {
    let mut peer = Solo::client();
    peer.feed(setting(SettingId::MaxConcurrentStreams, 3));
    let mut opened = 0;
    while let Some(slot) = peer.session.reserve_slot().unwrap() {
        let options = OpenOptions::new();
        peer.session.open(slot, request(), options).unwrap();
        opened += 1;
        assert!(opened < 1000, "no bound");
    }
    assert_eq!((opened, peer.sent().len()), (103, 3));
}

#[test]
fn no_more_headers_come_behind_fin_whatever_ended_the_stream() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    assert!(peer.session.poll_headers(key).unwrap().is_none());
    peer.feed(headers(1, true));
    let trailers = peer.session.poll_headers(key).unwrap();
    assert_eq!(trailers, Some(Some(block(&[("x-trailer", "1")]))));
    peer.session.reset(key, ResetStatus::CANCEL);
    assert_eq!(peer.session.poll_headers(key).unwrap(), Some(None));
    peer.sent();
    // Cut off before its end, it is an error.
    let key = peer.replied(3);
    peer.session.reset(key, ResetStatus::CANCEL);
    assert!(peer.session.poll_headers(key).unwrap_err().is_reset());
}

#[test]
fn a_stream_that_is_reset_with_output_holds_up_no_other_priority() {
    for (gone, stays) in [(1, 5), (5, 1), (0, 7), (7, 0)] {
        let mut peer = Solo::client();
        let [gone, stays] = [gone, stays].map(|priority| {
            let options = OpenOptions::new().priority(Priority::new(priority));
            let key = peer.open_with(options);
            peer.sent();
            key
        });
        peer.write(gone, 10);
        peer.write(stays, 20);
        peer.session.reset(gone, ResetStatus::CANCEL);
        assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL", "DATA 3 20"]);
    }
}
