//! Windows: what is sent, what is credited, who waits (scenarios 45 to 62).

use spdy::frame::{ResetStatus, Role, SettingId, StreamId};
use spdy::session::{Event, OpenOptions, Read};
use spdy::{Config, FlowControl};

use crate::pair::*;

const KIB: usize = 1024;

/// A client with a wide connection window and one stream with 64 KiB.
fn uploader() -> (Solo, spdy::session::Key) {
    let mut peer = Solo::client();
    peer.feed(credit(0, 1 << 20));
    let key = peer.replied(1);
    (peer, key)
}

#[test]
fn a_shrunk_window_goes_negative_and_recovers_as_the_draft_computes() {
    let (mut peer, key) = uploader();
    peer.write(key, 128 * KIB);
    assert_eq!(peer.sent_data(), 64 * KIB);
    peer.feed(credit(1, 32 * 1024));
    assert_eq!(peer.sent_data(), 32 * KIB);
    peer.feed(setting(SettingId::InitialWindowSize, 16 * 1024));
    let window = peer.session.inspect(key).unwrap().send_window;
    assert_eq!(window, -48 * 1024);
    peer.feed(credit(1, 48 * 1024));
    assert_eq!(peer.sent_data(), 0);
    peer.feed(credit(1, 16 * 1024));
    assert_eq!(peer.sent_data(), 16 * KIB);
    peer.feed(credit(1, 16 * 1024));
    assert_eq!(peer.sent_data(), 16 * KIB);
    assert_eq!(peer.session.inspect(key).unwrap().queued, 0);
}

#[test]
fn stream_credit_alone_does_not_release_what_the_connection_holds_back() {
    let mut peer = Solo::client();
    let keys = [peer.replied(1), peer.replied(3)];
    for key in keys {
        peer.write(key, 64 * KIB);
    }
    assert_eq!(peer.sent_data(), 64 * KIB);
    peer.feed(credit(1, 64 * 1024)).feed(credit(3, 64 * 1024));
    assert_eq!(peer.sent_data(), 0);
    peer.feed(credit(0, 10));
    assert_eq!(peer.sent_data(), 10);
    peer.feed(credit(0, 64 * 1024));
    assert_eq!(peer.sent_data(), 64 * KIB - 10);
}

#[test]
fn bodies_around_the_window_arrive_whole_with_fin() {
    for window in [KIB, 64 * KIB, 256 * KIB] {
        for size in [window - 16, window - 15, window, window + 16, 5 * window] {
            let config =
                Config::server().initial_stream_window_size(u32::try_from(window).unwrap());
            let mut pair = Pair::new(Config::client(), config);
            pair.drive();
            let (ours, theirs) = pair.exchange();
            pair.client.write(ours, vec![b'b'; size].into()).unwrap();
            pair.client.finish(ours).unwrap();
            let mut got = 0;
            for _ in 0..1000 {
                pair.drive();
                let (bytes, end) = pair.server.read_all(theirs).unwrap();
                got += bytes.len();
                if end {
                    break;
                }
            }
            assert_eq!(got, size, "window {window}");
            assert!(pair.client.poll_finished(ours).unwrap());
        }
    }
}

#[test]
fn one_write_far_larger_than_the_window_streams_through_with_bounded_memory() {
    let mut pair = Pair::start();
    let (ours, theirs) = pair.exchange();
    let total = 10 * KIB * KIB;
    pair.client.write(ours, vec![b'b'; total].into()).unwrap();
    pair.client.finish(ours).unwrap();
    let mut got = 0;
    while got < total {
        pair.drive();
        assert!(pair.server.unread_bytes() <= 256 * KIB);
        let (bytes, _) = pair.server.read_all(theirs).unwrap();
        assert!(!bytes.is_empty(), "stalled at {got}");
        got += bytes.len();
    }
    pair.drive();
    assert!(pair.read_to_end(theirs));
}

impl Pair {
    fn read_to_end(&mut self, theirs: spdy::session::Key) -> bool {
        self.server.read_all(theirs).unwrap().1
    }
}

#[test]
fn a_stream_window_lifted_above_the_maximum_resets_the_stream() {
    let (mut peer, key) = uploader();
    peer.feed(credit(1, 0x7fff_ffff));
    assert_eq!(peer.sent(), ["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
    assert_eq!(peer.session.stream_error(key).unwrap().status(), Some(7));
    assert!(!peer.session.is_over());
}

#[test]
fn settings_that_lift_a_stream_window_above_the_maximum_reset_only_that_stream() {
    let (mut peer, _) = uploader();
    peer.feed(credit(1, 0x7fff_ffff - 65_536));
    let other = peer.replied(3);
    peer.feed(setting(SettingId::InitialWindowSize, 65_537));
    assert_eq!(peer.sent(), ["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
    assert_eq!(peer.session.inspect(other).unwrap().send_window, 65_537);
}

#[test]
fn the_largest_window_may_be_announced() {
    let mut peer = Solo::client();
    let before = peer.replied(1);
    peer.feed(setting(SettingId::InitialWindowSize, 0x7fff_ffff));
    let behind = peer.replied(3);
    for key in [before, behind] {
        let window = peer.session.inspect(key).unwrap().send_window;
        assert_eq!(window, 0x7fff_ffff);
    }
}

#[test]
fn behind_our_fin_no_window_is_judged() {
    let (mut peer, key) = uploader();
    peer.feed(credit(1, 0x7fff_ffff - 65_536));
    peer.session.finish(key).unwrap();
    assert_eq!(peer.sent(), ["DATA 1 0 FIN"]);
    peer.feed(credit(1, 0x7fff_ffff)).feed(credit(1, 0));
    peer.feed(setting(SettingId::InitialWindowSize, 70_000));
    assert!(peer.sent().is_empty());
}

#[test]
fn a_connection_window_lifted_above_the_maximum_ends_the_session() {
    let (mut peer, key) = uploader();
    peer.feed(credit(0, 0x7fff_ffff));
    assert_eq!(peer.sent(), ["GOAWAY 0 PROTOCOL_ERROR"]);
    let error = peer.session.read(key, 1).unwrap_err();
    assert!(
        error.is_go_away() && error.to_string().contains("window"),
        "{error}"
    );
}

#[test]
fn credit_of_zero_is_an_error_of_the_stream_or_of_the_session() {
    let (mut peer, _) = uploader();
    peer.feed(credit(1, 0));
    assert_eq!(peer.sent(), ["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
    peer.feed(credit(0, 0));
    assert_eq!(peer.sent(), ["GOAWAY 0 PROTOCOL_ERROR"]);
}

#[test]
fn an_announced_window_above_the_maximum_ends_the_session() {
    let (mut peer, _) = uploader();
    peer.feed(setting(SettingId::InitialWindowSize, 0x8000_0000));
    assert_eq!(peer.sent(), ["GOAWAY 0 PROTOCOL_ERROR"]);
}

#[test]
fn a_peer_that_overruns_a_stream_window_has_it_reset_and_the_bytes_count() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.feed(data(1, 256 * KIB, false));
    assert!(peer.sent().is_empty());
    let left = peer.session.receive_ledger()[0];
    peer.feed(data(1, 1, false));
    assert_eq!(peer.sent(), ["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
    assert_eq!(peer.session.receive_ledger()[0], left - 1);
    assert!(
        peer.session.read(key, 1).is_err(),
        "what is left is not whole"
    );
}

#[test]
fn a_small_announced_window_tolerates_what_the_peer_sent_before_it_knew() {
    let config = Config::server().initial_stream_window_size(1000);
    let mut peer = Solo::started(Role::Server, config);
    peer.accepted(1, false);
    peer.feed(data(1, 64 * KIB, false));
    assert!(peer.sent().is_empty());
    peer.feed(data(1, 1, false));
    assert_eq!(peer.sent(), ["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
}

#[test]
fn a_peer_that_overruns_the_connection_window_loses_the_session() {
    let config = Config::server()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(128 * 1024);
    let mut peer = Solo::started(Role::Server, config);
    for stream in [1, 3] {
        peer.feed(syn(stream, false));
        peer.feed(data(stream, 64 * KIB, false));
    }
    assert!(!peer.session.is_over());
    peer.feed(syn(5, false)).feed(data(5, 1, false));
    assert_eq!(peer.sent(), ["GOAWAY 0 PROTOCOL_ERROR"]);
}

#[test]
fn data_of_dead_streams_counts_against_the_connection_too() {
    let config = Config::server()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(128 * 1024);
    let mut peer = Solo::started(Role::Server, config);
    peer.feed(data(9, 65 * KIB, false));
    // All of it comes back, as soon as it is worth a frame.
    assert_eq!(
        peer.sent(),
        ["RST_STREAM 9 INVALID_STREAM", "WINDOW_UPDATE 0 66560"]
    );
    peer.feed(data(9, 129 * KIB, false));
    assert_eq!(peer.sent(), ["GOAWAY 0 PROTOCOL_ERROR"]);
}

#[test]
fn lenient_flow_control_tolerates_overruns_and_goes_on_crediting() {
    let config = Config::server().flow_control(FlowControl::Lenient);
    let mut peer = Solo::started(Role::Server, config);
    let key = peer.accepted(1, false);
    for _ in 0..64 {
        peer.feed(data(1, 128 * KIB, false));
    }
    assert!(!peer.session.is_over());
    assert!(!peer.session.wants_read(false, peer.now), "8 MiB unread");
    let (bytes, _) = peer.read_all(key).unwrap();
    assert_eq!(bytes.len(), 8 << 20);
    assert!(peer.session.wants_read(false, peer.now));
    assert_eq!(
        peer.sent(),
        ["WINDOW_UPDATE 0 8388608", "WINDOW_UPDATE 1 8388608"]
    );
}

#[test]
fn credit_for_unknown_closed_and_half_closed_streams_is_ignored() {
    let (mut peer, key) = uploader();
    peer.session.finish(key).unwrap();
    peer.sent();
    peer.feed(credit(1, 100))
        .feed(credit(99, 100))
        .feed(credit(2, 100));
    peer.feed(data(1, 0, true)).feed(credit(1, 100));
    assert!(peer.sent().is_empty());
    assert!(!peer.session.is_over());
}

#[test]
fn an_announced_window_of_zero_holds_data_until_credit_comes() {
    let mut peer = Solo::client();
    peer.feed(setting(SettingId::InitialWindowSize, 0));
    let key = peer.replied(1);
    assert_eq!(peer.session.poll_capacity(key).unwrap(), 0);
    peer.session.finish(key).unwrap();
    assert_eq!(
        peer.sent(),
        ["DATA 1 0 FIN"],
        "an empty FIN needs no window"
    );
    let key = peer.replied(3);
    peer.write(key, 10);
    assert!(peer.sent().is_empty());
    peer.feed(credit(3, 4));
    assert_eq!(peer.sent(), ["DATA 3 4"]);
    peer.session.finish(key).unwrap();
    assert!(peer.sent().is_empty(), "FIN stays behind the bytes");
    peer.feed(credit(3, 100));
    assert_eq!(peer.sent(), ["DATA 3 6 FIN"]);
}

#[test]
fn credit_comes_only_after_consumption_and_not_for_every_small_read() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.feed(data(1, 256 * KIB, false));
    assert!(peer.sent().is_empty(), "unread bytes are not credited");
    let mut updates = 0;
    for _ in 0..256 {
        assert!(matches!(
            peer.session.read(key, KIB).unwrap(),
            Read::Data(_)
        ));
        updates += peer
            .sent()
            .iter()
            .filter(|f| f.starts_with("WINDOW_UPDATE 1"))
            .count();
    }
    assert!((1..=20).contains(&updates), "{updates} updates");
}

/// A peer that ignores windows sends a frame many times as large, and it comes in small reads: a WINDOW_UPDATE for each
/// would be more than was received. Found by fuzzing.
#[test]
fn a_frame_beyond_the_window_is_not_credited_at_every_read() {
    let config = Config::server()
        .flow_control(FlowControl::Lenient)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(64 * 1024);
    let mut peer = Solo::started(Role::Server, config);
    let key = peer.accepted(1, false);
    let payload = vec![b'x'; 1024 * KIB].into();
    let mut updates = 0;
    for piece in pieces(StreamId::new(1), payload, false, 10) {
        peer.feed(piece);
        assert!(!peer.read_all(key).unwrap().0.is_empty());
        updates += peer.sent().len();
    }
    assert!(updates <= 200, "{updates} updates");
    // What is not credited is less than the peer has left.
    let [left, _, unread, pending] = peer.session.receive_ledger();
    assert!(unread == 0 && pending < left);
    assert!(peer.session.inspect(key).unwrap().recv_window > 0);
}

#[test]
fn an_update_comes_before_the_window_is_used_up() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    for _ in 0..8 {
        peer.feed(data(1, 16 * KIB, false));
        peer.read_all(key).unwrap();
    }
    assert_eq!(peer.sent(), ["WINDOW_UPDATE 1 131072"], "at half");
}

#[test]
fn no_stream_credit_for_what_content_length_makes_needless() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.session.set_expected(key, 200 * 1024);
    peer.feed(data(1, 199 * KIB, false));
    peer.read_all(key).unwrap();
    assert!(peer.sent().is_empty());
    let key = peer.accepted(3, false);
    peer.session.set_expected(key, 2 << 20);
    peer.feed(data(3, 200 * KIB, false));
    peer.read_all(key).unwrap();
    assert_eq!(peer.sent(), ["WINDOW_UPDATE 3 204800"]);
}

#[test]
fn a_content_length_that_was_too_small_does_not_hang_its_stream() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    let window = 256 * 1024;
    peer.session.set_expected(key, window as u64);
    peer.feed(data(1, window, false));
    assert_eq!(peer.read_all(key).unwrap().0.len(), window);
    let credit = format!("WINDOW_UPDATE 1 {window}");
    assert!(
        peer.sent().contains(&credit),
        "the peer stands at a window of 0"
    );
}

#[test]
fn dropping_an_unread_body_returns_its_bytes_to_the_connection() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.feed(data(1, 200 * KIB, false));
    assert_eq!(peer.session.unread_bytes(), 200 * KIB);
    peer.session.drop_recv(key);
    assert_eq!(peer.session.unread_bytes(), 0);
    // What still comes is credited at once, to the connection only.
    peer.feed(data(1, 56 * KIB, true));
    assert_eq!(peer.session.receive_ledger()[3], 256 * 1024);
    peer.session.assert_invariants();
}

#[test]
fn a_stream_stuck_with_more_than_half_of_the_connection_does_not_stop_the_rest() {
    let config = Config::server()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(128 * 1024);
    let mut pair = Pair::new(Config::client(), config);
    pair.drive();
    let mut stuck = Vec::new();
    // 96 KiB of the 128 KiB stay unread on two streams.
    for len in [64 * KIB, 32 * KIB] {
        let (ours, _theirs) = pair.exchange();
        pair.client.write(ours, vec![0; len].into()).unwrap();
        stuck.push(ours);
    }
    let (ours, theirs) = pair.exchange();
    pair.client.write(ours, vec![0; 1 << 20].into()).unwrap();
    let mut got = 0;
    while got < 1 << 20 {
        pair.drive();
        let (bytes, _) = pair.server.read_all(theirs).unwrap();
        assert!(!bytes.is_empty(), "deadlock at {got}");
        got += bytes.len();
    }
}

#[test]
fn an_unread_stream_with_200_frames_in_flight_stops_neither_streams_nor_pings() {
    let mut pair = Pair::start();
    let (stuck, unread) = pair.exchange();
    for _ in 0..200 {
        pair.client.write(stuck, vec![0; 1200].into()).unwrap();
        pair.drive();
    }
    assert_eq!(pair.server.inspect(unread).unwrap().unread, 200 * 1200);
    for _ in 0..5 {
        let (ours, theirs) = pair.exchange();
        pair.client.write(ours, vec![1; 100 * KIB].into()).unwrap();
        pair.client.finish(ours).unwrap();
        pair.drive();
        let (bytes, end) = pair.server.read_all(theirs).unwrap();
        assert_eq!((bytes.len(), end), (100 * KIB, true));
    }
    let ping = pair.client.ping().unwrap();
    pair.drive();
    let events = pair.client.events();
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::Pong { id, .. } if *id == ping))
    );
}

#[test]
fn idle_streams_pin_nothing_of_the_connection_window() {
    let mut peer = Solo::client();
    for stream in 0..50 {
        let key = peer.replied(2 * stream + 1);
        assert!(peer.session.poll_capacity(key).unwrap() > 0);
    }
    let key = peer.replied(101);
    peer.write(key, 64 * KIB);
    assert_eq!(peer.sent_data(), 64 * KIB);
}

#[test]
fn a_writer_may_queue_a_share_and_all_together_a_pool() {
    let (mut peer, first) = uploader();
    assert_eq!(peer.session.poll_capacity(first).unwrap(), 64 * KIB);
    peer.feed(setting(SettingId::MaxConcurrentStreams, 1000));
    let mut keys = vec![first];
    for stream in 1..100 {
        keys.push(peer.replied(2 * stream + 1));
    }
    for key in &keys {
        let room = peer.session.poll_capacity(*key).unwrap();
        assert!(room >= 16 * KIB, "one frame is always guaranteed");
        peer.session.write_slice(*key, &vec![0; room]).unwrap();
        assert_eq!(peer.session.poll_capacity(*key).unwrap(), 0);
    }
    assert_eq!(peer.session.send_ledger().1, 4 << 20, "the pool is full");
}

#[test]
fn without_flow_control_no_window_limits_either_side() {
    let config = |config: Config| config.flow_control(FlowControl::Off);
    let mut pair = Pair::new(config(Config::client()), config(Config::server()));
    pair.drive();
    assert!(
        pair.trace
            .iter()
            .all(|(_, frame)| !frame.starts_with("WINDOW_UPDATE"))
    );
    let (ours, theirs) = pair.exchange();
    pair.client.write(ours, vec![0; 900 * KIB].into()).unwrap();
    pair.drive();
    assert_eq!(pair.server.inspect(theirs).unwrap().unread, 900 * KIB);
    pair.server.read_all(theirs).unwrap();
    pair.drive();
    assert!(
        pair.trace
            .iter()
            .all(|(_, frame)| !frame.starts_with("WINDOW_UPDATE"))
    );
}

#[test]
fn a_data_frame_in_pieces_is_judged_once_and_its_fin_rides_the_last() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    let all = pieces(Some(id(1)), vec![7; 1000].into(), true, 300);
    assert_eq!(all.len(), 4);
    for (i, piece) in all.into_iter().enumerate() {
        peer.feed(piece);
        let (bytes, end) = peer.read_all(key).unwrap();
        assert_eq!(bytes.len(), if i < 3 { 300 } else { 100 });
        assert_eq!(end, i == 3);
    }
    // A stream that dies in mid-frame: the rest is dropped and credited, without a second RST_STREAM.
    let key = peer.accepted(3, false);
    let mut rest = pieces(Some(id(3)), vec![7; 1000].into(), true, 300).into_iter();
    peer.feed(rest.next().unwrap());
    peer.session.reset(key, ResetStatus::CANCEL);
    rest.for_each(|piece| {
        peer.feed(piece);
    });
    assert_eq!(peer.sent(), ["RST_STREAM 3 CANCEL"]);
    assert_eq!(peer.session.receive_ledger()[1..], [0, 0, 2000]);
}

#[test]
fn data_frames_are_16_kib_and_take_turns() {
    let mut peer = Solo::client();
    let keys = [peer.replied(1), peer.replied(3)];
    for key in keys {
        peer.write(key, 32 * KIB);
    }
    let expected = [
        "DATA 1 16384",
        "DATA 3 16384",
        "DATA 1 16384",
        "DATA 3 16384",
    ];
    assert_eq!(peer.sent(), expected);
}

#[test]
fn priority_is_strict_but_every_32nd_turn_goes_to_the_lowest() {
    let mut peer = Solo::client();
    peer.feed(credit(0, 1 << 30));
    peer.feed(setting(SettingId::InitialWindowSize, 1 << 30));
    let urgent = peer.open_stream();
    let lowest = OpenOptions::new().priority(spdy::frame::Priority::LOWEST);
    let lazy = peer.open_with(lowest);
    peer.sent();
    for key in [lazy, urgent] {
        peer.write(key, 64 * 16 * KIB);
    }
    let order = peer.sent();
    let lazy_turns: Vec<_> = order
        .iter()
        .take(64)
        .enumerate()
        .filter(|(_, frame)| frame.starts_with("DATA 3"))
        .map(|(i, _)| i)
        .collect();
    assert_eq!(lazy_turns.len(), 2, "{lazy_turns:?}");
    assert_eq!(order.len(), 128);
}
