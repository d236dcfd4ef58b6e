//! Rules of the draft that no scenario covers by itself: what a session never sends, what it has to tolerate.

use spdy::codec::{Encoder, OutBuf};
use spdy::frame::{
    Frame, GoAway, GoAwayStatus, Received, ResetStatus, Role, SettingId, Settings, StreamId,
    Version,
};
use spdy::headers::HeaderBlock;
use spdy::session::Read;
use spdy::{Config, HeaderCompression};

use crate::pair::*;

const KIB: usize = 1024;

fn encoded(encoder: &mut Encoder, frame: &Frame) -> Vec<u8> {
    use bytes::Buf;
    let mut out = OutBuf::new();
    encoder.encode(frame, &mut out);
    out.copy_to_bytes(out.remaining()).to_vec()
}

#[test]
fn a_second_syn_stream_for_an_open_stream_below_the_highest_resets_it_only() {
    // Sections 2.3.2: it is a duplicate before it is a lower id.
    let mut peer = Solo::server();
    let twice = peer.accepted(1, false);
    let other = peer.accepted(3, false);
    peer.feed(syn(1, false));
    assert_eq!(peer.sent(), ["RST_STREAM 1 PROTOCOL_ERROR"]);
    assert!(peer.session.read(twice, 1).unwrap_err().is_reset());
    assert_eq!(peer.session.read(other, 1).unwrap(), Read::Blocked);
    assert!(!peer.session.is_over());
}

#[test]
fn data_for_unknown_ids_behind_our_goaway_is_dropped_and_credited() {
    let mut peer = Solo::server();
    let key = peer.accepted(1, false);
    peer.session.shutdown();
    peer.sent();
    peer.feed(Received::Ping(2));
    assert_eq!(peer.sent(), ["GOAWAY 1 OK"]);
    let [left, _, _, pending] = peer.session.receive_ledger();
    peer.feed(syn(3, false)).feed(data(3, 100, false));
    peer.feed(data(99, 50, true)).feed(data(2, 7, false));
    assert!(peer.sent().is_empty(), "no RST_STREAM");
    let ledger = peer.session.receive_ledger();
    assert_eq!(ledger, [left - 157, 0, 0, pending + 157]);
    peer.feed(data(1, 5, true));
    assert_eq!(peer.read_all(key).unwrap(), (vec![b'x'; 5], true));
}

#[test]
fn behind_our_fin_only_credit_and_a_reset_go_out() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.write(key, 3);
    peer.session.finish(key).unwrap();
    let more = |peer: &mut Solo| {
        let written = peer.session.write(key, vec![1].into());
        let headers = peer.session.send_headers(key, block(&[("a", "1")]), true);
        assert!(written.is_err() && headers.is_err());
        drop(peer.session.finish(key));
    };
    // Before FIN has left, and behind it.
    more(&mut peer);
    assert_eq!(peer.sent(), ["DATA 1 3 FIN"]);
    more(&mut peer);
    assert!(peer.sent().is_empty());
    peer.feed(data(1, 1 << 20, false));
    peer.read_all(key).unwrap();
    assert_eq!(peer.sent(), ["WINDOW_UPDATE 1 1048576"]);
    peer.session.reset(key, ResetStatus::CANCEL);
    assert_eq!(peer.sent(), ["RST_STREAM 1 CANCEL"]);
    more(&mut peer);
    assert!(peer.sent().is_empty());
}

#[test]
fn our_settings_have_no_flags_and_rising_ids() {
    for role in [Role::Client, Role::Server] {
        let mut peer = Solo::new(role, Config::for_role(role));
        let mut seen = 0;
        for frame in peer.sent_frames() {
            if !matches!(frame, Frame::Settings(_)) {
                continue;
            }
            seen += 1;
            let mut encoder = Encoder::new(Version::Spdy31, HeaderCompression::Off);
            let bytes = encoded(&mut encoder, &frame);
            assert_eq!(bytes[4], 0, "CLEAR_SETTINGS");
            let entries: Vec<_> = bytes[12..].chunks(8).collect();
            assert!(entries.iter().all(|entry| entry[0] == 0), "{entries:?}");
            let ids: Vec<_> = entries.iter().map(|entry| entry[3]).collect();
            // What is not known, such as bandwidths, is not announced.
            assert_eq!(ids, [4, 7], "{role:?}");
        }
        assert_eq!(seen, 1);
    }
}

/// A SETTINGS frame with one entry that has these flags.
fn flagged(id: SettingId, value: u32, persist: bool, persisted: bool) -> Received {
    let mut settings = Settings::new();
    settings.insert_first(
        id,
        spdy::frame::Setting {
            value,
            persist,
            persisted,
        },
    );
    Received::Settings(settings)
}

#[test]
fn a_request_to_persist_changes_nothing_and_a_persisted_value_is_not_applied() {
    for role in [Role::Client, Role::Server] {
        let mut peer = Solo::started(role, Config::for_role(role));
        peer.feed(flagged(SettingId::InitialWindowSize, 10, true, false));
        peer.feed(flagged(SettingId::InitialWindowSize, 20, false, true));
        peer.feed(flagged(SettingId::InitialWindowSize, 30, true, true));
        let mut clear = Settings::new();
        clear.clear = true;
        peer.feed(Received::Settings(clear));
        let key = peer.open_stream();
        peer.sent();
        assert_eq!(peer.session.inspect(key).unwrap().send_window, 10);
        assert!(peer.sent().is_empty() && !peer.session.is_over());
    }
}

#[test]
fn settings_change_what_they_name_and_leave_the_rest() {
    let mut peer = Solo::client();
    peer.feed(setting(SettingId::MaxConcurrentStreams, 1));
    peer.feed(setting(SettingId::InitialWindowSize, 10));
    peer.feed(setting(SettingId::InitialWindowSize, 20));
    let first = peer.open_stream();
    peer.open_stream();
    assert_eq!(peer.sent(), ["SYN_STREAM 1"], "the limit still holds");
    assert_eq!(peer.session.inspect(first).unwrap().send_window, 20);
    peer.feed(setting(SettingId::MaxConcurrentStreams, 2));
    assert_eq!(peer.sent(), ["SYN_STREAM 3"]);
    assert_eq!(peer.session.inspect(first).unwrap().send_window, 20);
}

#[test]
fn frames_other_than_data_pass_windows_that_are_used_up() {
    let config = Config::server()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(128 * 1024);
    let mut peer = Solo::started(Role::Server, config);
    let full = [peer.accepted(1, false), peer.accepted(3, false)];
    for stream in [1, 3] {
        peer.feed(data(stream, 64 * KIB, false));
    }
    assert_eq!(peer.session.receive_ledger()[0], 0);
    // Both windows are at 0: HEADERS, new streams, PING and an empty FIN still get through.
    peer.feed(headers(1, false)).feed(Received::Ping(1));
    peer.feed(data(1, 0, true)).feed(headers(3, true));
    let third = peer.accepted(5, true);
    assert_eq!(peer.sent(), ["PING 1"]);
    assert!(peer.session.take_headers(full[0]).is_some());
    assert!(peer.session.take_headers(full[1]).is_some());
    for key in full {
        assert_eq!(peer.read_all(key).unwrap(), (vec![b'x'; 64 * KIB], true));
    }
    peer.session.reply(third, response(), true).unwrap();
    assert!(peer.sent().contains(&"SYN_REPLY 5 FIN".to_owned()));
    // The same for what we send.
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.write(key, 64 * KIB);
    assert_eq!(peer.sent_data(), 64 * KIB);
    peer.session
        .send_headers(key, block(&[("a", "1")]), false)
        .unwrap();
    peer.session.finish(key).unwrap();
    peer.open_stream();
    let sent = peer.sent();
    assert_eq!(sent, ["SYN_STREAM 3", "HEADERS 1", "DATA 1 0 FIN"]);
}

#[test]
fn settings_never_move_the_connection_window() {
    let mut peer = Solo::client();
    let before = peer.session.send_ledger().0;
    for size in [1 << 20, 0, 200_000] {
        peer.feed(setting(SettingId::InitialWindowSize, size));
        assert_eq!(peer.session.send_ledger().0, before);
    }
    let key = peer.replied(1);
    peer.write(key, 200_000);
    assert_eq!(peer.sent_data(), 64 * KIB);
}

#[test]
fn data_sent_under_the_old_window_is_credited_under_the_new_one() {
    let config = Config::server().initial_stream_window_size(1000);
    let mut peer = Solo::started(Role::Server, config);
    let key = peer.accepted(1, false);
    peer.feed(data(1, 64 * KIB, false));
    assert_eq!(peer.read_all(key).unwrap().0.len(), 64 * KIB);
    // 1000 - 65,536 at both ends; what was read brings it back to 1000, and no further.
    let credited: u32 = peer
        .sent_frames()
        .iter()
        .filter_map(|frame| match frame {
            Frame::WindowUpdate(update) if update.id == StreamId::new(1) => Some(update.delta),
            _ => None,
        })
        .sum();
    assert_eq!(credited, 65_536);
    assert_eq!(peer.session.inspect(key).unwrap().recv_window, 1000);
}

#[test]
fn a_status_that_no_draft_knows_ends_the_stream_without_an_answer() {
    for code in [0, 12, u32::MAX] {
        let mut peer = Solo::client();
        let key = peer.open_stream();
        peer.sent();
        assert!(peer.session.take_reply(key).unwrap().is_none());
        peer.feed(rst(1, ResetStatus::new(code)));
        let error = peer.session.take_reply(key).unwrap_err();
        assert!(error.is_reset() && error.is_remote() && !error.is_retryable());
        assert_eq!(error.status(), Some(code));
        assert!(peer.sent().is_empty() && !peer.session.is_over());
        assert_eq!(peer.session.active_streams(), 0);
    }
}

#[test]
fn status_0_is_never_sent() {
    let mut peer = Solo::client();
    let key = peer.replied(1);
    peer.session.reset(key, ResetStatus::new(0));
    assert_eq!(peer.sent(), ["RST_STREAM 1 PROTOCOL_ERROR"]);
}

#[test]
fn a_goaway_status_that_no_draft_knows_is_an_error_and_the_latest_error_counts() {
    let go_away = |last_good, code| {
        Received::GoAway(GoAway {
            last_good: StreamId::new(last_good),
            status: GoAwayStatus::new(code),
        })
    };
    // 11 is what an early draft called INTERNAL_ERROR, 3 what some peers send for a flow-control error.
    for code in [3, 11, 99] {
        let mut peer = Solo::client();
        let key = peer.replied(1);
        peer.feed(go_away(1, 0)).feed(go_away(1, code));
        assert_eq!(peer.session.read(key, 1).unwrap(), Read::Blocked);
        peer.feed(data(1, 5, true));
        assert_eq!(peer.read_all(key).unwrap().0.len(), 5);
        peer.session.finish(key).unwrap();
        assert_eq!(peer.sent(), ["DATA 1 0 FIN", "GOAWAY 0 OK"]);
        let outcome = peer.session.outcome().unwrap().unwrap_err();
        assert!(outcome.is_go_away() && outcome.is_remote());
        assert_eq!(outcome.status(), Some(code));
    }
}

#[test]
fn refusals_to_a_peer_that_reads_none_are_bounded() {
    let config = Config::server().max_concurrent_streams(1);
    let mut peer = Solo::started(Role::Server, config);
    let mut fed = 0;
    while peer.session.wants_read(true, peer.now) {
        peer.feed(syn(2 * fed + 1, false));
        fed += 1;
        assert!(fed < 1000, "no bound");
    }
    assert!((60..80).contains(&fed), "{fed} streams");
    assert_eq!(peer.session.stream_count(), 1);
    assert_eq!(u32::try_from(peer.sent().len()), Ok(fed - 1));
    assert!(peer.session.wants_read(false, peer.now));
}

#[test]
fn a_client_does_not_compress_its_secrets_unless_told_to() {
    let secrets: HeaderBlock = block(&[("cookie", "session=secret"), ("x", "session=secret")]);
    let frame = Frame::Headers(spdy::frame::HeaderFrame {
        id: id(1),
        fin: false,
        block: secrets,
    });
    let mut encoder = Encoder::new(Version::Spdy31, Config::client().compression());
    for _ in 0..2 {
        let bytes = encoded(&mut encoder, &frame);
        let whole = bytes.windows(14).filter(|part| *part == b"session=secret");
        assert_eq!(whole.count(), 2, "a length that tells of the content");
    }
    assert_eq!(Config::client().compression(), HeaderCompression::Off);
}
