//! Peers that take their time.

use std::time::Duration;

use tokio::time::Instant;

use crate::http_support::{get, request};
use crate::line::Flood;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// What comes drop by drop, and the bytes before it that come at once.
fn drips(peer: &mut Peer, id: u32) -> [(&'static str, Vec<u8>, Vec<u8>); 3] {
    let settings = peer.encode(settings().set(spdy::frame::SettingId::RoundTripTime, 1));
    let long = get(id).header("x", &"y".repeat(500));
    let block = peer.encode(long).to_vec();
    [
        ("in the first frame", Vec::new(), settings.to_vec()),
        (
            "in a later frame header",
            settings.to_vec(),
            settings.to_vec(),
        ),
        (
            "in a header block",
            block[..18].to_vec(),
            block[18..].to_vec(),
        ),
    ]
}

/// Writes a byte a second, from the start again, until the other side closes; how long that took.
async fn drip(line: &mut Line, bytes: &[u8], at_most: Duration) -> Option<Duration> {
    let start = Instant::now();
    let mut left = bytes.len();
    while start.elapsed() < at_most {
        // The last byte of a frame never comes, so that the frame is always under way.
        if left > 1 {
            left -= 1;
            let at = bytes.len() - 1 - left;
            if line.write(&bytes[at..=at]).await != Flood::Taken {
                return Some(start.elapsed());
            }
        }
        tokio::time::sleep(SECOND).await;
        line.drain().await;
        if line.is_over() {
            return Some(start.elapsed());
        }
    }
    None
}

#[test]
fn a_byte_a_second_is_ended_by_the_idle_timeout() {
    for victim in Victim::both(&App::Read) {
        let victim = victim.with(|config| config.idle_timeout(Duration::from_secs(30)));
        for case in 0..3 {
            attack(
                "a byte a second, idle time-out",
                &victim,
                0,
                async |line: &mut Line| {
                    let id = line.id(0);
                    let (what, head, rest) = drips(&mut line.peer, id)[case].clone();
                    line.peer.send_raw(&head).await;
                    let over = drip(line, &rest, 600 * SECOND).await;
                    // GOAWAY, a second for its PING, and a second for the peer to close.
                    let over = over.unwrap_or_else(|| panic!("{what}: the drip never ends"));
                    assert!(
                        over <= 34 * SECOND && over >= 30 * SECOND,
                        "{what}: {over:?}"
                    );
                },
            );
        }
    }
}

#[test]
fn a_byte_a_second_is_waited_for_without_an_option_and_costs_nothing() {
    for victim in Victim::both(&App::Read) {
        for case in 0..3 {
            attack("a byte a second", &victim, 0, async |line: &mut Line| {
                let id = line.id(0);
                let (what, head, rest) = drips(&mut line.peer, id)[case].clone();
                line.peer.send_raw(&head).await;
                assert_eq!(drip(line, &rest, 3600 * SECOND).await, None, "{what}");
            });
        }
    }
}

/// An open stream keeps the idle time-out away, and dripping bytes keep-alive: the time-out is the handler's.
#[test]
fn a_body_that_never_ends_is_bounded_by_the_time_that_its_handler_gives_it() {
    let handler = App::http(|request| async move {
        let body = http_body_util::BodyExt::collect(request.into_body());
        let whole = tokio::time::timeout(Duration::from_secs(60), body).await;
        let status = if whole.is_ok() { 200 } else { 408 };
        http::Response::builder()
            .status(status)
            .body(http_support::empty())
            .unwrap()
    });
    let victim = Victim::server(handler).with(|config| {
        config
            .idle_timeout(Duration::from_secs(30))
            .keep_alive_interval(Duration::from_secs(10))
    });
    attack(
        "a body drop by drop",
        &victim,
        2,
        async |line: &mut Line| {
            let id = line.fresh();
            line.peer.send(request(id, "POST", "/")).await;
            for _ in 0..59 {
                line.peer.send(data(id, "x")).await;
                tokio::time::sleep(SECOND).await;
                line.drain().await;
                assert_eq!(line.seen.replies, 0);
            }
            tokio::time::sleep(2 * SECOND).await;
            line.drain().await;
            assert_eq!(line.seen.statuses, ["408"]);
            // Nobody will read the rest.
            assert_eq!(line.seen.resets, [(id, ResetStatus::CANCEL)]);
            line.goes_on().await;
        },
    );
}

#[test]
fn a_peer_that_says_nothing_is_ended_by_keep_alive_with_and_without_a_stream() {
    for victim in Victim::both(&App::Hold) {
        let victim = victim.with(|config| {
            config
                .keep_alive_interval(Duration::from_secs(10))
                .keep_alive_timeout(Duration::from_secs(5))
                .keep_alive_while_idle(true)
        });
        for streams in [0, 1] {
            attack(
                "silence, keep-alive",
                &victim,
                1,
                async |line: &mut Line| {
                    if streams == 1 {
                        let id = line.fresh();
                        line.peer.send(request(id, "POST", "/")).await;
                    }
                    let start = Instant::now();
                    let error = line.outcome().await.unwrap_err();
                    assert_eq!(error.timeout_kind(), Some(spdy::Timeout::KeepAlive));
                    assert!(start.elapsed() < 20 * SECOND);
                },
            );
        }
    }
}
