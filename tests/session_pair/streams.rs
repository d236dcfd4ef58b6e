//! The life of streams: opening, replying, ending, and what the application sees of it.

use spdy::Config;
use spdy::frame::{HeaderFrame, Received, ResetStatus, Role, SettingId, StreamId};
use spdy::headers::{BlockError, HeaderBlock};
use spdy::session::{Event, OpenOptions, Read};

use crate::pair::*;

pub(crate) fn wake(key: spdy::session::Key, read: bool, write: bool, reply: bool) -> Event {
    Event::Wake {
        key,
        read,
        write,
        reply,
    }
}

#[test]
fn ids_are_given_when_syn_stream_is_emitted_so_they_rise_whatever_was_cancelled() {
    let mut peer = Solo::client();
    let keys: Vec<_> = (0..4).map(|_| peer.open_stream()).collect();
    assert_eq!(peer.session.stream_id(keys[0]), None);
    peer.session.reset(keys[0], ResetStatus::CANCEL);
    peer.drop_stream(keys[2]);
    assert_eq!(
        peer.sent(),
        ["SYN_STREAM 1", "SYN_STREAM 3"],
        "and no RST_STREAM"
    );
    assert_eq!(peer.session.stream_id(keys[1]), StreamId::new(1));
    assert_eq!(peer.session.stream_id(keys[3]), StreamId::new(3));
    assert!(peer.session.take_reply(keys[0]).unwrap_err().is_canceled());
}

#[test]
fn streams_beyond_the_peers_limit_wait_and_start_in_order() {
    let mut peer = Solo::client();
    peer.feed(setting(SettingId::MaxConcurrentStreams, 2));
    let keys: Vec<_> = (0..4).map(|_| peer.open_stream()).collect();
    assert_eq!(peer.sent(), ["SYN_STREAM 1", "SYN_STREAM 3"]);
    assert_eq!(
        peer.session.poll_capacity(keys[2]).unwrap(),
        0,
        "nothing is queued before"
    );
    peer.events();
    peer.feed(rst(1, ResetStatus::CANCEL));
    assert!(peer.events().contains(&wake(keys[2], false, true, false)));
    assert_eq!(peer.sent(), ["SYN_STREAM 5"]);
    // Lowered below what is open: nothing new until enough have ended.
    peer.feed(setting(SettingId::MaxConcurrentStreams, 1));
    peer.feed(rst(3, ResetStatus::CANCEL));
    assert!(peer.sent().is_empty());
    peer.feed(setting(SettingId::MaxConcurrentStreams, 7));
    assert_eq!(peer.sent(), ["SYN_STREAM 7"]);
}

#[test]
fn a_limit_of_zero_queues_until_it_is_raised() {
    let mut peer = Solo::client();
    peer.feed(setting(SettingId::MaxConcurrentStreams, 0));
    peer.open_stream();
    assert!(peer.sent().is_empty());
    peer.feed(setting(SettingId::MaxConcurrentStreams, 1));
    assert_eq!(peer.sent(), ["SYN_STREAM 1"]);
}

#[test]
fn a_limit_that_arrives_before_syn_streams_left_holds_them_back_in_order() {
    let mut peer = Solo::client();
    let keys: Vec<_> = (0..5).map(|_| peer.open_stream()).collect();
    peer.feed(setting(SettingId::MaxConcurrentStreams, 2));
    assert_eq!(peer.sent().len(), 2);
    peer.feed(setting(SettingId::MaxConcurrentStreams, 10));
    peer.sent();
    let ids: Vec<_> = keys
        .iter()
        .map(|key| peer.session.stream_id(*key).unwrap().get())
        .collect();
    assert_eq!(ids, [1, 3, 5, 7, 9]);
}

#[test]
fn a_peer_that_announces_no_limit_gets_a_hundred_streams_at_first() {
    let mut peer = Solo::client();
    for _ in 0..150 {
        peer.open_stream();
    }
    assert_eq!(peer.sent().len(), 100);
    peer.feed(setting(SettingId::MaxConcurrentStreams, 1000));
    assert_eq!(peer.sent().len(), 50);
}

#[test]
fn slots_are_bounded_and_announced_again() {
    let mut peer = Solo::client();
    peer.feed(setting(SettingId::MaxConcurrentStreams, 1));
    let mut slots: Vec<_> = (0..101)
        .map(|_| peer.session.reserve_slot().unwrap().unwrap())
        .collect();
    assert!(peer.session.reserve_slot().unwrap().is_none());
    peer.events();
    peer.session.release_slot(slots.pop().unwrap());
    assert_eq!(peer.events(), [Event::Slot]);
    assert!(peer.session.reserve_slot().unwrap().is_some());
    // A stream that ends frees a slot, a failed session tells everybody.
    let key = peer
        .session
        .open(slots.pop().unwrap(), request(), OpenOptions::new())
        .unwrap();
    peer.sent();
    assert!(peer.session.reserve_slot().unwrap().is_none());
    peer.session.reset(key, ResetStatus::CANCEL);
    assert!(peer.events().contains(&Event::Slot));
    peer.session.handle_eof(false);
    assert!(peer.events().contains(&Event::Slot));
    let error = peer
        .session
        .open(slots.pop().unwrap(), request(), OpenOptions::new());
    assert!(error.unwrap_err().is_retryable());
}

#[test]
fn a_stream_over_our_limit_is_refused_and_later_ones_work() {
    let config = Config::server().max_concurrent_streams(2);
    let mut peer = Solo::started(Role::Server, config);
    for stream in [1, 3, 5] {
        peer.feed(syn(stream, false));
    }
    assert_eq!(peer.sent(), ["RST_STREAM 5 REFUSED_STREAM"]);
    // What was in flight for it is dropped.
    peer.feed(data(5, 10, true)).feed(headers(5, true));
    assert!(peer.sent().is_empty());
    peer.feed(rst(1, ResetStatus::CANCEL)).feed(syn(7, true));
    assert!(peer.sent().is_empty());
    assert_eq!(peer.accept_stream().id.get(), 3);
    assert_eq!(peer.accept_stream().id.get(), 7);
}

#[test]
fn used_up_ids_fail_new_streams_cleanly_and_leave_old_ones_alone() {
    let mut peer = Solo::client();
    peer.session.skip_ids_to(id(0x7fff_ffff));
    let last = peer.open_stream();
    let beyond = peer.open_stream();
    assert_eq!(peer.sent(), ["SYN_STREAM 2147483647"]);
    let error = peer.session.take_reply(beyond).unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("used up"),
        "{error}"
    );
    assert!(peer.session.is_closing());
    assert!(
        peer.try_open(OpenOptions::new())
            .unwrap_err()
            .is_retryable()
    );
    peer.feed(reply(0x7fff_ffff, false))
        .feed(data(0x7fff_ffff, 3, true));
    assert_eq!(peer.read_all(last).unwrap(), (b"xxx".to_vec(), true));
}

#[test]
fn fin_half_closes_on_every_kind_of_frame() {
    // SYN_STREAM and SYN_REPLY.
    let mut pair = Pair::start();
    let ours = pair.client.open_with(OpenOptions::new().fin(true));
    pair.drive();
    let accepted = pair.server.accept_stream();
    assert!(accepted.fin);
    assert_eq!(pair.server.read(accepted.key, 1).unwrap(), Read::End);
    pair.server.reply(accepted.key, response(), true).unwrap();
    pair.drive();
    assert!(pair.client.take_reply(ours).unwrap().is_some());
    assert_eq!(pair.client.read(ours, 1).unwrap(), Read::End);
    assert_eq!(
        pair.client.active_streams() + pair.server.active_streams(),
        0
    );
    // DATA one way, HEADERS the other.
    let (ours, theirs) = pair.exchange();
    pair.client.write(ours, b"abc".as_ref().into()).unwrap();
    pair.client.finish(ours).unwrap();
    pair.server.write(theirs, b"def".as_ref().into()).unwrap();
    pair.server
        .send_headers(theirs, block(&[("x", "1")]), true)
        .unwrap();
    pair.drive();
    assert_eq!(
        pair.server.read_all(theirs).unwrap(),
        (b"abc".to_vec(), true)
    );
    assert_eq!(pair.client.read_all(ours).unwrap(), (b"def".to_vec(), true));
    assert!(pair.client.take_headers(ours).is_some());
    assert!(!pair.client.is_read_open(ours));
    assert_eq!(
        pair.client.active_streams() + pair.server.active_streams(),
        0
    );
    // An empty DATA frame.
    let (ours, theirs) = pair.exchange();
    pair.client.finish(ours).unwrap();
    pair.drive();
    assert_eq!(pair.server.read(theirs, 1).unwrap(), Read::End);
    assert!(pair.trace.iter().any(|(_, frame)| frame == "DATA 5 0 FIN"));
}

#[test]
fn headers_stay_where_they_were_written_between_data() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.write(key, 10);
    peer.session
        .send_headers(key, block(&[("a", "1")]), false)
        .unwrap();
    peer.write(key, 20);
    peer.session
        .send_headers(key, block(&[("b", "1")]), true)
        .unwrap();
    assert_eq!(
        peer.sent(),
        ["DATA 1 10", "HEADERS 1", "DATA 1 20", "HEADERS 1 FIN"]
    );
    // Some peers do not look for FIN there: it rides on HEADERS only if they were sent with it.
    let key = peer.replied(3);
    peer.session
        .send_headers(key, block(&[("a", "1")]), false)
        .unwrap();
    peer.session.finish(key).unwrap();
    assert_eq!(peer.sent(), ["HEADERS 3", "DATA 3 0 FIN"]);
}

#[test]
fn nothing_is_sent_on_a_stream_before_its_reply() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.write(key, 10);
    peer.session.finish(key).unwrap();
    assert!(peer.sent().is_empty());
    peer.session.reply(key, response(), false).unwrap();
    assert_eq!(peer.sent(), ["SYN_REPLY 1", "DATA 1 10 FIN"]);
    assert!(
        peer.session
            .reply(key, response(), false)
            .unwrap_err()
            .is_user()
    );
}

#[test]
fn a_client_may_send_before_the_reply() {
    let mut peer = Solo::client();
    let key = peer.open_stream();
    peer.write(key, 10);
    assert_eq!(peer.sent(), ["SYN_STREAM 1", "DATA 1 10"]);
}

#[test]
fn unidirectional_streams_carry_bytes_one_way_and_need_no_reply() {
    let mut pair = Pair::start();
    let ours = pair
        .client
        .open_with(OpenOptions::new().unidirectional(true));
    assert_eq!(
        pair.client.read(ours, 1).unwrap(),
        Read::End,
        "nothing is to come"
    );
    assert!(pair.client.take_reply(ours).unwrap_err().is_user());
    pair.client.write(ours, b"abc".as_ref().into()).unwrap();
    pair.client.finish(ours).unwrap();
    pair.drive();
    let accepted = pair.server.accept_stream();
    assert!(accepted.unidirectional);
    let theirs = accepted.key;
    assert!(pair.server.reply(theirs, response(), false).is_err());
    assert!(pair.server.write(theirs, b"x".as_ref().into()).is_err());
    assert_eq!(
        pair.server.read_all(theirs).unwrap(),
        (b"abc".to_vec(), true)
    );
    pair.client.drop_stream(ours);
    pair.server.drop_stream(theirs);
    pair.drive();
    pair.assert_empty();
    assert!(
        pair.trace
            .iter()
            .all(|(_, frame)| !frame.starts_with("RST"))
    );
}

#[test]
fn a_unidirectional_stream_ended_by_its_syn_stream_is_still_accepted() {
    let mut peer = Solo::server();
    peer.feed(syn_with(1, true, true));
    assert_eq!(peer.session.active_streams(), 0);
    let accepted = peer.accept_stream();
    assert!(accepted.fin);
    assert_eq!(peer.session.read(accepted.key, 1).unwrap(), Read::End);
    peer.drop_stream(accepted.key);
    assert_eq!(peer.session.stream_count(), 0);
}

#[test]
fn a_reset_reaches_every_waiter_at_once_with_its_status() {
    for by_peer in [true, false] {
        let mut peer = Solo::client();
        let key = peer.open_stream();
        peer.sent();
        assert_eq!(peer.session.read(key, 1).unwrap(), Read::Blocked);
        assert!(peer.session.take_reply(key).unwrap().is_none());
        peer.write(key, 64 * 1024);
        peer.sent();
        assert_eq!(peer.session.poll_capacity(key).unwrap(), 0);
        peer.events();
        if by_peer {
            peer.feed(rst(1, ResetStatus::INTERNAL_ERROR));
        } else {
            peer.session.reset(key, ResetStatus::INTERNAL_ERROR);
            assert_eq!(peer.sent(), ["RST_STREAM 1 INTERNAL_ERROR"]);
        }
        assert_eq!(peer.events(), [wake(key, true, true, true)]);
        for error in [
            peer.session.read(key, 1).unwrap_err(),
            peer.session.take_reply(key).unwrap_err(),
            peer.session.poll_capacity(key).unwrap_err(),
        ] {
            assert_eq!(error.status(), Some(6));
            assert_eq!(error.is_remote(), by_peer);
        }
        peer.session.reset(key, ResetStatus::CANCEL);
        assert!(peer.sent().is_empty(), "it is over");
    }
}

#[test]
fn bytes_that_came_before_a_reset_stay_readable() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.feed(data(1, 5, false))
        .feed(rst(1, ResetStatus::CANCEL));
    assert!(matches!(peer.session.read(key, 9).unwrap(), Read::Data(b) if b.len() == 5));
    assert!(peer.session.read(key, 9).unwrap_err().is_reset());
}

#[test]
fn a_reset_behind_fin_takes_nothing_away() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.feed(data(1, 5, true))
        .feed(rst(1, ResetStatus::CANCEL));
    assert_eq!(peer.read_all(key).unwrap(), (vec![b'x'; 5], true));
    assert!(peer.session.poll_capacity(key).unwrap_err().is_reset());
}

#[test]
fn our_own_reset_with_unread_bytes_never_reads_as_a_clean_end() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.feed(data(1, 5, true));
    peer.session.reset(key, ResetStatus::CANCEL);
    assert!(peer.session.read(key, 9).unwrap_err().is_canceled());
}

#[test]
fn a_reply_lost_to_a_reset_or_taken_before_it() {
    let mut peer = Solo::client();
    let key = peer.open_stream();
    peer.sent();
    peer.feed(reply(1, false)).feed(rst(1, ResetStatus::CANCEL));
    assert!(
        peer.session.take_reply(key).unwrap().is_some(),
        "it did arrive"
    );
    assert!(peer.session.take_reply(key).unwrap_err().is_reset());
}

#[test]
fn one_interim_reply_is_skipped_where_that_is_wanted() {
    let mut client = Config::client();
    let interim = || block(&[(":status", "100 Continue"), (":version", "HTTP/1.1")]);
    let mut peer = Solo::started(Role::Client, client.clone());
    let key = peer.open_stream();
    peer.sent();
    peer.feed(reply_with(1, false, interim()));
    assert!(
        peer.session.take_reply(key).unwrap().is_some(),
        "raw streams see it"
    );

    client = client.skip_interim_replies(true);
    let mut peer = Solo::started(Role::Client, client);
    let key = peer.open_stream();
    peer.sent();
    peer.feed(reply_with(1, false, interim()));
    assert!(peer.session.take_reply(key).unwrap().is_none());
    peer.feed(reply(1, false));
    let reply_block = peer.session.take_reply(key).unwrap().unwrap();
    assert_eq!(reply_block.get(":status"), Some(&b"200"[..]));
    peer.feed(reply(1, false));
    assert_eq!(peer.sent(), ["RST_STREAM 1 STREAM_IN_USE"]);
}

#[test]
fn faulty_blocks_end_their_stream_only() {
    let faulty = |id: StreamId, error| HeaderFrame {
        id,
        fin: false,
        block: Err(error),
    };
    let malformed = BlockError::Malformed("a name occurs twice");
    let mut peer = Solo::client();
    for (frame, status) in [
        (
            Received::SynReply(faulty(id(1), malformed)),
            "PROTOCOL_ERROR",
        ),
        (
            Received::SynReply(faulty(id(3), BlockError::TooLarge)),
            "FRAME_TOO_LARGE",
        ),
        (
            Received::Headers(faulty(id(5), BlockError::TooLarge)),
            "FRAME_TOO_LARGE",
        ),
    ] {
        let key = peer.open_stream();
        let stream = peer.sent()[0].split(' ').nth(1).unwrap().to_owned();
        if stream == "5" {
            peer.feed(reply(5, false));
            assert!(peer.session.take_reply(key).unwrap().is_some());
        }
        peer.feed(frame);
        assert_eq!(peer.sent(), [format!("RST_STREAM {stream} {status}")]);
        assert!(peer.session.take_reply(key).unwrap_err().is_reset());
    }
    // A request whose headers are too large reaches the application, which may answer 431.
    let mut peer = Solo::server();
    let Received::SynStream(mut large) = syn(1, true) else {
        unreachable!()
    };
    large.block = Err(BlockError::TooLarge);
    peer.feed(Received::SynStream(large.clone()));
    assert_eq!(peer.accept_stream().headers, Err(BlockError::TooLarge));
    large.id = id(3);
    large.block = Err(malformed);
    peer.feed(Received::SynStream(large));
    assert_eq!(peer.sent(), ["RST_STREAM 3 PROTOCOL_ERROR"]);
    assert!(peer.session.accept().is_none());
}

#[test]
fn headers_of_a_stream_are_bounded_together() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    let mut frames = 0;
    while peer.session.stream_error(key).is_none() {
        peer.feed(headers(1, false));
        frames += 1;
        assert!(frames < 1000, "no bound");
    }
    assert_eq!(peer.sent(), ["RST_STREAM 1 FRAME_TOO_LARGE"]);
    // Up to the limit exactly.
    let limit = u32::try_from(2 * block(&[("x-trailer", "1")]).list_size()).unwrap();
    let config = Config::client().max_header_list_size(limit);
    let mut exact = Solo::started(Role::Client, config);
    exact.replied(1);
    exact.feed(headers(1, false)).feed(headers(1, false));
    assert!(exact.sent().is_empty());
    exact.feed(headers(1, false));
    assert_eq!(exact.sent(), ["RST_STREAM 1 FRAME_TOO_LARGE"]);
    // Empty ones are legal, cost nothing and wake nobody.
    let key = peer.replied(3);
    assert_eq!(peer.session.read(key, 1).unwrap(), Read::Blocked);
    peer.events();
    for _ in 0..1000 {
        peer.feed(Received::Headers(HeaderFrame {
            id: id(3),
            fin: false,
            block: Ok(block(&[])),
        }));
    }
    assert!(peer.events().is_empty() && peer.session.take_headers(key).is_none());
}

#[test]
fn dropping_a_sender_cuts_off_what_it_has_not_ended() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.write(key, 10);
    peer.session.drop_send(key);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
    let key = peer.replied(3);
    peer.write(key, 10);
    peer.session.finish(key).unwrap();
    peer.session.drop_send(key);
    assert_eq!(peer.sent(), ["DATA 3 10 FIN"]);
    peer.feed(data(3, 4, true));
    assert_eq!(peer.read_all(key).unwrap(), (vec![b'x'; 4], true));
    peer.session.drop_recv(key);
    assert!(peer.sent().is_empty());
    assert_eq!(peer.session.active_streams(), 0);
}

#[test]
fn dropping_a_receiver_only_stops_reading_until_our_own_end() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.session.drop_recv(key);
    peer.session.reply(key, response(), false).unwrap();
    peer.write(key, 10);
    peer.feed(data(1, 100, false));
    assert_eq!(peer.sent(), ["SYN_REPLY 1", "DATA 1 10"], "no reset yet");
    peer.session.finish(key).unwrap();
    peer.session.drop_send(key);
    assert_eq!(
        peer.sent_frames().iter().map(short).collect::<Vec<_>>(),
        ["DATA 1 0 FIN", "RST_STREAM 1 CANCEL",]
    );
    assert_eq!(peer.session.stream_count(), 0);
    // The peer had ended already: nothing to cancel.
    let key = peer.accepted(3, true);
    peer.session.drop_recv(key);
    peer.session.reply(key, response(), true).unwrap();
    peer.session.drop_send(key);
    assert_eq!(peer.sent(), ["SYN_REPLY 3 FIN"]);
    assert_eq!(peer.session.stream_count(), 0);
}

#[test]
fn a_stream_reset_before_anybody_accepted_it_is_forgotten() {
    let mut peer = Solo::server();
    peer.feed(syn(1, false)).feed(data(1, 100, false));
    peer.feed(rst(1, ResetStatus::CANCEL));
    assert!(peer.session.accept().is_none());
    assert_eq!(
        (peer.session.stream_count(), peer.session.unread_bytes()),
        (0, 0)
    );
}

#[test]
fn no_event_without_interest() {
    let mut pair = Pair::start();
    let (ours, theirs) = pair.exchange();
    pair.client.events();
    pair.server.events();
    pair.client.write(ours, vec![0; 1000].into()).unwrap();
    pair.client
        .send_headers(ours, block(&[("a", "1")]), true)
        .unwrap();
    pair.server.write(theirs, vec![0; 1000].into()).unwrap();
    pair.drive();
    assert!(pair.client.events().is_empty());
    assert!(pair.server.events().is_empty());
    assert_eq!(pair.client.read_all(ours).unwrap(), (vec![0; 1000], false));
    pair.server.write(theirs, vec![0; 1].into()).unwrap();
    pair.server.write(theirs, vec![0; 1].into()).unwrap();
    pair.drive();
    assert_eq!(
        pair.client.events(),
        [wake(ours, true, false, false)],
        "once"
    );
}

#[test]
fn keys_of_ended_streams_do_no_harm() {
    let mut peer = Solo::client();
    let old = peer.replied(1);
    peer.drop_stream(old);
    peer.sent();
    let new = peer.replied(3);
    assert_eq!(old.index(), new.index());
    peer.session.reset(old, ResetStatus::CANCEL);
    peer.drop_stream(old);
    assert_eq!(peer.session.read(old, 1).unwrap(), Read::End);
    assert!(
        peer.session
            .write(old, vec![1].into())
            .unwrap_err()
            .is_user()
    );
    assert!(peer.sent().is_empty());
    assert!(peer.session.stream_error(new).is_none());
}

#[test]
fn what_is_not_finished_can_be_reset_apart_from_the_rest() {
    let mut peer = Solo::started(Role::Server, Config::server());
    let [open, finished] = [1, 3].map(|stream| {
        let key = peer.accepted(stream, false);
        peer.session
            .reply(key, HeaderBlock::empty(), false)
            .unwrap();
        key
    });
    peer.sent();
    for key in [open, finished] {
        peer.session.write_slice(key, b"words").unwrap();
    }
    peer.session.finish(finished).unwrap();
    let status = ResetStatus::INTERNAL_ERROR;
    assert_eq!(peer.session.reset_unfinished(status), 1);
    assert_eq!(peer.sent(), ["RST_STREAM 1 INTERNAL_ERROR", "DATA 3 5 FIN"]);
    assert_eq!(peer.session.reset_all(status), 2);
    assert_eq!(peer.sent(), ["RST_STREAM 3 INTERNAL_ERROR"]);
}
