//! Streams opened, reset and never finished.

use std::time::Duration;

use crate::http_support::{full, get, request};
use crate::line::Flood;
use crate::*;

/// An HTTP server that answers at once, after it has read the request body.
fn small_server() -> App {
    App::http(|request| async move {
        let _ = http_body_util::BodyExt::collect(request.into_body()).await;
        http::Response::new(full("hello"))
    })
}

/// Every application that streams of the peer can reach.
fn victims() -> Vec<Victim> {
    let mut all = Victim::both(&App::Sleep).to_vec();
    all.extend(Victim::both(&App::Read));
    all.push(Victim::server(small_server()));
    all
}

/// SYN_STREAM number `n` and its RST_STREAM.
fn reset_pair(peer: &mut Peer, id: u32, out: &mut Vec<u8>) {
    out.extend(peer.encode(get(id)));
    out.extend(peer.encode(rst(id, ResetStatus::CANCEL)));
}

#[test]
fn a_rapid_reset_ends_the_session_by_its_budget() {
    for victim in victims() {
        attack("rapid reset", &victim, 1, async |line: &mut Line| {
            let first = line.id(0);
            let flood = line
                .flood(100_000, |peer, n, out| reset_pair(peer, first + 2 * n, out))
                .await;
            let Flood::Closed(n) = flood else {
                panic!("{flood:?}")
            };
            assert!((1000..30_000).contains(&n), "after {n} streams");
            line.ends_anywhere("budget of streams reset by the peer before a reply is used up")
                .await;
        });
    }
}

#[test]
fn resets_below_the_allowed_rate_go_on_for_ever() {
    for victim in victims() {
        attack("90 resets a second", &victim, 1, async |line: &mut Line| {
            for _ in 0..3_000 {
                let id = line.fresh();
                let mut bytes = Vec::new();
                reset_pair(&mut line.peer, id, &mut bytes);
                assert_eq!(line.write(&bytes).await, Flood::Taken);
                tokio::time::advance(Duration::from_micros(11_112)).await;
            }
            if !matches!(victim.app, App::Sleep) {
                line.goes_on().await;
            }
        });
    }
}

#[test]
fn a_flood_of_stream_errors_ends_the_session() {
    type Error = fn(&mut Peer, u32, &mut Vec<u8>);
    let errors: [(&str, Error); 4] = [
        ("DATA behind FIN", |peer, id, out| {
            out.extend(peer.encode(get(id)));
            out.extend(peer.encode(data(id, "x")));
        }),
        ("DATA on idle streams", |peer, id, out| {
            out.extend(peer.encode(data(id + 1_000_000, "x")));
        }),
        ("SYN_REPLY on idle streams", |peer, id, out| {
            out.extend(peer.encode(syn_reply(id + 1_000_000)));
        }),
        ("WINDOW_UPDATE of 0", |peer, id, out| {
            out.extend(peer.encode(request(id, "POST", "/")));
            out.extend(raw_window_update(id, 0));
        }),
    ];
    for victim in victims() {
        for (name, error) in errors {
            attack(name, &victim, 1, async |line: &mut Line| {
                let first = line.id(0);
                let flood = line
                    .flood(100_000, |peer, n, out| error(peer, first + 2 * n, out))
                    .await;
                assert!(matches!(flood, Flood::Closed(n) if n < 50_000), "{flood:?}");
                line.ends_anywhere("budget of stream errors is used up")
                    .await;
            });
        }
    }
}

#[test]
fn the_last_stream_id_is_served_and_a_lower_one_ends_the_session() {
    for victim in [
        Victim::both(&App::Read)[0].clone(),
        Victim::both(&App::Read)[1].clone(),
        Victim::server(small_server()),
    ] {
        attack("stream id 2^31-1", &victim, 1, async |line: &mut Line| {
            let last = line.id(0) + 0x7fff_fffc;
            let last = last.min(if last % 2 == 0 {
                0x7fff_fffe
            } else {
                0x7fff_ffff
            });
            let last = if last == 0x7fff_fffd {
                0x7fff_ffff
            } else {
                last
            };
            line.used(last - 4);
            line.goes_on().await;
            line.goes_on().await;
            assert_eq!(line.seen.replies, 2);
            // The id that was used last is an error of that stream,
            line.peer.send(get(last)).await;
            settle().await;
            line.drain().await;
            // a lower one is no stream at all.
            line.peer.send(get(line.id(7))).await;
            line.ends(last, "SYN_STREAM with an id lower than one received before")
                .await;
        });
    }
}

#[test]
fn streams_that_are_opened_and_never_finished_stop_at_the_limit() {
    let never = App::http(|request| async move {
        if request.method() != http::Method::GET {
            std::future::pending::<()>().await;
        }
        http::Response::new(full("hello"))
    });
    let mut victims = victims();
    victims.push(Victim::server(never));
    for victim in victims {
        attack(
            "open and never finish",
            &victim,
            200,
            async |line: &mut Line| {
                let first = line.id(0);
                let flood = line
                    .flood(10_000, |peer, n, out| {
                        let id = first + 2 * n;
                        out.extend(peer.encode(request(id, "POST", "/")));
                        out.extend(peer.encode(data(id, "some bytes")));
                    })
                    .await;
                assert_eq!(flood, Flood::Taken);
                settle().await;
                line.drain().await;
                assert_eq!(line.seen.refused, 10_000 - 200);
                // A day later nothing has changed: there is no time-out of ours.
                tokio::time::sleep(Duration::from_secs(86_400)).await;
                // One place becomes free, and is taken.
                line.used(first + 20_000);
                line.peer.send(rst(first, ResetStatus::CANCEL)).await;
                let id = line.fresh();
                line.peer.send(get(id)).await;
                settle().await;
                line.drain().await;
                assert_eq!(line.seen.refused, 10_000 - 200);
            },
        );
    }
}

#[test]
fn streams_are_refused_without_end_while_the_refusals_are_read() {
    for role in BOTH {
        let mut limits = Limits::of(role);
        limits.max_concurrent_streams = 1;
        let victim = Victim::new(limits, App::Sleep);
        attack("150,000 refused", &victim, 1, async |line: &mut Line| {
            let first = line.id(0);
            let flood = line
                .flood(150_000, |peer, n, out| {
                    out.extend(peer.encode(get(first + 2 * n)));
                })
                .await;
            assert_eq!(flood, Flood::Taken);
            settle().await;
            line.drain().await;
            assert_eq!(line.seen.refused, 150_000 - 1);
        });
    }
}

#[test]
fn streams_are_taken_no_more_while_the_refusals_are_not_read() {
    static LARGE: [u8; MIB] = [7; MIB];
    let large = App::http(|_request| async {
        http::Response::new(full(bytes::Bytes::from_static(&LARGE)))
    });
    let mut victims = Victim::both(&App::Write(1 << 30)).to_vec();
    victims.extend(Victim::both(&App::Sleep));
    victims.push(Victim::server(large));
    for victim in victims {
        attack(
            "SYN_STREAM, nothing read",
            &victim,
            200,
            async |line: &mut Line| {
                line.peer.wire().set_out_capacity(0);
                let first = line.id(0);
                let flood = line
                    .flood(50_000, |peer, n, out| {
                        out.extend(peer.encode(get(first + 2 * n)));
                    })
                    .await;
                // The pipe, a read buffer, and the frames for 200 streams and 64 refusals.
                assert!(
                    matches!(flood, Flood::Stalled(n) if n < 20_000),
                    "{flood:?}"
                );
            },
        );
    }
}

/// A transport that takes a byte at a time is never blocked, and yet far behind.
#[test]
fn refusals_that_leave_byte_by_byte_are_bounded_too() {
    for role in BOTH {
        let mut limits = Limits::of(role);
        limits.max_concurrent_streams = 1;
        let victim = Victim::new(limits, App::Sleep);
        attack(
            "SYN_STREAM, a byte taken at a time",
            &victim,
            1,
            async |line: &mut Line| {
                line.peer.wire().set_out_piece(1);
                for n in 0..400 {
                    let mut bytes = Vec::new();
                    for id in 100 * n..100 * (n + 1) {
                        let id = line.id(id);
                        bytes.extend(line.peer.encode(get(id)));
                    }
                    line.peer.send_raw(&bytes).await;
                    line.drain().await;
                }
                line.peer.wire().set_out_piece(usize::MAX);
                settle().await;
                line.drain().await;
                assert_eq!(line.seen.refused, 40_000 - 1);
            },
        );
    }
}
