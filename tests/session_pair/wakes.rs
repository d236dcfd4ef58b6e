//! Who is woken by what, and who sleeps on.

use spdy::frame::{Priority, ResetStatus, SettingId};
use spdy::session::{Event, OpenOptions, Read};

use crate::pair::*;
use crate::streams::wake;

const KIB: usize = 1024;

fn uploader() -> (Solo, spdy::session::Key) {
    let mut peer = Solo::client();
    peer.feed(credit(0, 1 << 20));
    let key = peer.replied(1);
    (peer, key)
}

#[test]
fn a_waiting_writer_is_woken_by_credit_settings_or_the_end() {
    let causes: [spdy::frame::Received; 3] = [
        credit(1, 100),
        setting(SettingId::InitialWindowSize, 70_000),
        rst(1, ResetStatus::CANCEL),
    ];
    for cause in causes {
        let (mut peer, key) = uploader();
        peer.write(key, 64 * KIB);
        peer.sent();
        assert_eq!(peer.session.poll_capacity(key).unwrap(), 0);
        peer.events();
        peer.feed(cause);
        assert_eq!(peer.events(), [wake(key, false, true, false)]);
    }
}

#[test]
fn a_flush_ends_when_the_last_byte_uses_up_the_window() {
    let (mut peer, key) = uploader();
    peer.write(key, 64 * KIB);
    let mut flushed = peer.session.poll_flushed(key).unwrap();
    // Half of the queue is what writers are woken at.
    for woken in [0, 1, 1, 1] {
        assert!(!flushed);
        assert!(peer.session.poll_frame(peer.now).is_some());
        let wake = wake(key, false, true, false);
        assert_eq!(peer.events(), vec![wake; woken]);
        // As a task does that was woken, and no other.
        if woken > 0 {
            flushed = peer.session.poll_flushed(key).unwrap();
        }
    }
    assert!(flushed);
}

#[test]
fn a_writer_sleeps_while_the_window_is_used_up() {
    let (mut peer, key) = uploader();
    peer.write(key, 64 * KIB);
    assert_eq!(peer.session.poll_capacity(key).unwrap(), 0);
    peer.sent();
    assert_eq!(
        peer.events().len(),
        1,
        "room, before the window was used up"
    );
    assert_eq!(peer.session.poll_capacity(key).unwrap(), 0);
    assert!(peer.sent().is_empty() && peer.events().is_empty());
    peer.feed(credit(0, 100));
    assert!(
        peer.events().is_empty(),
        "the window of the stream is still used up"
    );
    peer.feed(credit(1, 100));
    assert_eq!(peer.events().len(), 1);
}

#[test]
fn a_writer_sleeps_while_the_pool_is_used_up() {
    let mut peer = Solo::client();
    peer.feed(setting(SettingId::InitialWindowSize, 1 << 20));
    let key = peer.open_stream();
    peer.write(key, 64 * KIB);
    assert_eq!(peer.sent_data(), 64 * KIB, "all that the connection takes");
    for _ in 0..88 {
        let later = OpenOptions::new().priority(Priority::new(7));
        let other = peer.open_with(later);
        peer.write(other, 64 * KIB);
    }
    peer.write(key, 64 * KIB);
    assert_eq!(peer.session.poll_capacity(key).unwrap(), 0);
    peer.sent();
    peer.events();
    let sends = |peer: &mut Solo, kib: u32| {
        peer.feed(credit(0, kib * 1024));
        assert_eq!(peer.sent_data(), kib as usize * KIB);
        peer.events().len()
    };
    assert_eq!(sends(&mut peer, 32), 0, "half of its queue, and no room");
    assert_eq!(sends(&mut peer, 32), 1, "what every stream may queue");
    assert_eq!(peer.session.poll_capacity(key).unwrap(), 16 * KIB);
}

#[test]
fn all_is_finished_when_fin_was_emitted_whatever_comes_behind_it() {
    let (mut peer, key) = uploader();
    assert!(!peer.session.poll_finished(key).unwrap());
    peer.write(key, 100 * KIB);
    peer.session.finish(key).unwrap();
    peer.sent();
    assert!(!peer.session.poll_finished(key).unwrap(), "the window");
    peer.feed(credit(1, 100_000)).feed(credit(0, 100_000));
    assert!(peer.sent().last().unwrap().ends_with("FIN"));
    assert!(peer.session.poll_finished(key).unwrap());
    peer.feed(rst(1, ResetStatus::CANCEL));
    assert!(peer.session.poll_finished(key).unwrap());
    assert!(peer.session.poll_flushed(key).unwrap());
}

#[test]
fn the_pool_counts_what_was_queued_in_several_writes() {
    let (mut peer, key) = uploader();
    for queued in [10, 20, 30, 40] {
        peer.write(key, 10 * KIB);
        peer.session.assert_invariants();
        let beyond = (queued * KIB).saturating_sub(16 * KIB);
        assert_eq!(peer.session.send_ledger().1, beyond);
    }
}

#[test]
fn a_flush_cut_off_by_a_reset_is_an_error() {
    let (mut peer, key) = uploader();
    peer.write(key, 100 * KIB);
    peer.sent();
    assert!(!peer.session.poll_flushed(key).unwrap());
    peer.feed(rst(1, ResetStatus::CANCEL));
    assert!(peer.session.poll_flushed(key).unwrap_err().is_reset());
    assert!(peer.session.poll_finished(key).unwrap_err().is_reset());
    assert_eq!(peer.session.send_ledger().1, 0, "the queue is gone");
    assert!(peer.sent().is_empty(), "nothing further is sent");
}

#[test]
fn a_writer_is_woken_when_half_of_its_queue_was_sent() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, true);
    peer.session.reply(key, response(), false).unwrap();
    peer.sent();
    peer.write(key, 64 * KIB);
    assert_eq!(peer.session.poll_capacity(key).unwrap(), 0);
    peer.feed(credit(1, 1 << 20)).feed(credit(0, 1 << 20));
    peer.events();
    for woken in [0, 1, 0, 0] {
        assert!(peer.session.poll_frame(peer.now).is_some());
        let wakes = peer.events();
        let writers = wakes
            .iter()
            .filter(|event| matches!(event, Event::Wake { write: true, .. }));
        assert_eq!(writers.count(), woken);
    }
}

#[test]
fn who_watches_is_woken_by_the_end_and_by_nothing_else() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.events();
    peer.session.watch_end(key).unwrap();
    peer.feed(credit(1, 100)).feed(data(1, 5, false));
    assert!(peer.events().is_empty());
    peer.feed(rst(1, ResetStatus::CANCEL));
    assert_eq!(peer.events(), [wake(key, false, true, false)]);
    assert!(peer.session.watch_end(key).unwrap_err().is_reset());
}

#[test]
fn empty_data_wakes_nobody() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.events();
    assert_eq!(peer.session.read(key, 1).unwrap(), Read::Blocked);
    peer.feed(data(1, 0, false));
    assert!(peer.events().is_empty());
    peer.feed(data(1, 1, false));
    assert_eq!(peer.events(), [wake(key, true, false, false)]);
}
