//! DATA and HEADERS that cost more than they carry.

use std::time::Duration;

use crate::http_support::request;
use crate::line::Flood;
use crate::*;

/// Opens a stream whose body is to come.
async fn open(line: &mut Line) -> u32 {
    let id = line.fresh();
    line.peer.send(request(id, "POST", "/")).await;
    settle().await;
    line.drain().await;
    id
}

/// A DATA frame without bytes and without FIN, which our codec never writes.
fn empty(id: u32) -> Vec<u8> {
    [id.to_be_bytes(), [0; 4]].concat()
}

fn victims() -> Vec<Victim> {
    [App::Sleep, App::Hold, App::Read]
        .iter()
        .flat_map(Victim::both)
        .collect()
}

#[test]
fn a_flood_of_empty_data_ends_the_session() {
    for victim in victims() {
        attack("empty DATA", &victim, 1, async |line: &mut Line| {
            let id = open(line).await;
            let flood = line
                .flood(1_000_000, |_, _, out| out.extend(empty(id)))
                .await;
            let Flood::Closed(n) = flood else {
                panic!("{flood:?}")
            };
            assert!((10_000..100_000).contains(&n), "after {n}");
            line.ends_anywhere("budget of empty DATA frames is used up")
                .await;
        });
    }
}

#[test]
fn empty_data_below_the_allowed_rate_goes_on_for_ever() {
    for victim in Victim::both(&App::Hold) {
        attack(
            "60 empty DATA a second",
            &victim,
            2,
            async |line: &mut Line| {
                let id = open(line).await;
                let frame = empty(id);
                for _ in 0..20_000 {
                    line.peer.send_raw(&frame).await;
                    tokio::time::advance(Duration::from_micros(16_667)).await;
                }
                line.goes_on().await;
            },
        );
    }
}

#[test]
fn single_bytes_that_are_read_go_on_for_ever() {
    for victim in Victim::both(&App::Read) {
        attack("single bytes, read", &victim, 2, async |line: &mut Line| {
            let id = open(line).await;
            let flood = line
                .flood(200_000, |peer, _, out| {
                    out.extend(peer.encode(data(id, "x")));
                })
                .await;
            assert_eq!(flood, Flood::Taken);
            settle().await;
            line.drain().await;
            assert!(line.seen.updates > 0, "they were credited");
            line.goes_on().await;
        });
    }
}

#[test]
fn single_bytes_that_nobody_reads_are_bounded_by_the_window() {
    for app in [App::Sleep, App::Hold] {
        for mut victim in Victim::both(&app) {
            victim.limits.stream_window = 100_000;
            attack(
                "single bytes, unread",
                &victim,
                2,
                async |line: &mut Line| {
                    let id = open(line).await;
                    let flood = line
                        .flood(100_001, |peer, _, out| {
                            out.extend(peer.encode(data(id, "x")));
                        })
                        .await;
                    assert_eq!(flood, Flood::Taken);
                    settle().await;
                    line.drain().await;
                    assert_eq!(line.seen.resets, [(id, ResetStatus::FLOW_CONTROL_ERROR)]);
                    if !matches!(victim.app, App::Sleep) {
                        line.goes_on().await;
                    }
                },
            );
        }
    }
}

#[test]
fn a_few_bytes_on_every_stream_are_bounded_by_the_connection_window() {
    for app in [App::Sleep, App::Hold] {
        let victim = Victim::server(app);
        attack(
            "100 bytes a frame on 200 streams",
            &victim,
            200,
            async |line: &mut Line| {
                let first = line.id(0);
                let flood = line
                    .flood(200, |peer, n, out| {
                        out.extend(peer.encode(request(first + 2 * n, "POST", "/")));
                    })
                    .await;
                assert_eq!(flood, Flood::Taken);
                // All that the window of 4 MiB allows, spread evenly.
                let flood = line
                    .flood((4 << 20) / 100, |peer, n, out| {
                        out.extend(peer.encode(data(first + 2 * (n % 200), [7; 100])));
                    })
                    .await;
                assert_eq!(flood, Flood::Taken);
                line.used(first + 400);
                line.peer.send(data(first, [7; 200])).await;
                line.ends_anywhere("more DATA than the connection window allows")
                    .await;
            },
        );
    }
}

/// A slice of a kibibyte keeps all of the read buffer it came in: one for each stream is the worst.
#[test]
fn read_buffers_pinned_by_every_stream_are_within_the_bound() {
    for app in [App::Sleep, App::Hold] {
        let victim = Victim::server(app);
        let peak = attack(
            "pinned read buffers",
            &victim,
            200,
            async |line: &mut Line| {
                let first = line.id(0);
                let flood = line
                    .flood(200, |peer, n, out| {
                        out.extend(peer.encode(request(first + 2 * n, "POST", "/")));
                    })
                    .await;
                assert_eq!(flood, Flood::Taken);
                let padding = raw_window_update(first + 1_000_000, 1).repeat(3900);
                for n in 0..200 {
                    let payload = line.peer.encode(data(first + 2 * n, [7; 1024]));
                    line.peer.send_raw(&[&padding[..], &payload].concat()).await;
                    settle().await;
                    line.drain().await;
                }
                assert_eq!(line.session.as_ref().unwrap().unread_bytes(), 200 * 1024);
            },
        );
        // Else the attack does not do what it says.
        assert!(peak > 200 * 60 * KIB, "{peak}");
    }
}

#[test]
fn headers_that_nobody_reads_are_bounded_like_one_block() {
    for app in [App::Sleep, App::Hold] {
        for victim in Victim::both(&app) {
            attack(
                "small HEADERS on 90 streams",
                &victim,
                90,
                async |line: &mut Line| {
                    let first = line.id(0);
                    let flood = line
                        .flood(90 * 500, |peer, n, out| {
                            let id = first + 2 * (n / 500);
                            if n % 500 == 0 {
                                out.extend(peer.encode(request(id, "POST", "/")));
                            }
                            out.extend(peer.encode(headers(id).header("x", "")));
                        })
                        .await;
                    assert_eq!(flood, Flood::Taken);
                    settle().await;
                    line.drain().await;
                    assert_eq!(line.seen.resets.len(), 90);
                    assert_eq!(line.seen.resets[0].1, ResetStatus::FRAME_TOO_LARGE);
                    line.used(first + 200);
                    if !matches!(victim.app, App::Sleep) {
                        line.goes_on().await;
                    }
                },
            );
        }
    }
}

/// As many as are taken: their number costs more than their bytes.
#[test]
fn headers_just_below_the_limit_are_within_the_bound_on_every_stream() {
    for app in [App::Sleep, App::Hold] {
        let victim = Victim::server(app);
        attack(
            "the most HEADERS on 200 streams",
            &victim,
            200,
            async |line: &mut Line| {
                let first = line.id(0);
                let flood = line
                    .flood(200 * 497, |peer, n, out| {
                        let id = first + 2 * (n / 497);
                        out.extend(if n % 497 == 0 {
                            peer.encode(request(id, "POST", "/"))
                        } else {
                            peer.encode(headers(id).header("x", ""))
                        });
                    })
                    .await;
                assert_eq!(flood, Flood::Taken);
                settle().await;
                line.drain().await;
                assert!(line.seen.resets.is_empty());
            },
        );
    }
}

#[test]
fn empty_headers_cost_nothing() {
    for victim in Victim::both(&App::Hold) {
        attack("empty HEADERS", &victim, 2, async |line: &mut Line| {
            let id = open(line).await;
            let frame = raw(8, 4, &id.to_be_bytes());
            let flood = line
                .flood(50_000, |_, _, out| out.extend_from_slice(&frame))
                .await;
            assert_eq!(flood, Flood::Taken);
            line.goes_on().await;
        });
    }
}

/// All that a stream can hold, on all of them: the bound is not far from what can be.
#[test]
fn everything_at_once_on_every_stream_comes_near_the_bound() {
    let victim = Victim::server(App::Write(MIB));
    let peak = attack(
        "everything at once",
        &victim,
        200,
        async |line: &mut Line| {
            line.peer.wire().set_out_capacity(0);
            let first = line.id(0);
            let flood = line
                .flood(200 * 497, |peer, n, out| {
                    let id = first + 2 * (n / 497);
                    out.extend(if n % 497 == 0 {
                        peer.encode(request(id, "POST", "/"))
                    } else {
                        peer.encode(headers(id).header("x", ""))
                    });
                })
                .await;
            assert_eq!(flood, Flood::Taken);
            let padding = raw_window_update(first + 1_000_000, 1).repeat(3900);
            for n in 0..200 {
                let payload = line.peer.encode(data(first + 2 * n, [7; 1024]));
                line.peer.send_raw(&[&padding[..], &payload].concat()).await;
                settle().await;
            }
        },
    );
    let bound = victim.limits.bound(200);
    assert!(
        peak > bound * 2 / 5,
        "{peak} of {bound}: the bound is loose"
    );
}

#[test]
fn requests_of_many_headers_are_within_the_bound_in_the_form_that_services_see() {
    let never = App::http(|request| async move {
        if request.uri().path() != "/" {
            std::future::pending::<()>().await;
        }
        http::Response::new(crate::http_support::full("hello"))
    });
    let victim = Victim::server(never);
    attack(
        "90 headers on 200 requests",
        &victim,
        200,
        async |line: &mut Line| {
            let first = line.id(0);
            let flood = line
                .flood(200, |peer, n, out| {
                    let mut draft = request(first + 2 * n, "POST", "/waits");
                    for header in 0..90 {
                        draft = draft.header(&format!("x-{header}-{n}"), &"v".repeat(130));
                    }
                    out.extend(peer.encode(draft));
                })
                .await;
            assert_eq!(flood, Flood::Taken);
            settle().await;
            line.drain().await;
            assert_eq!((line.seen.refused, line.seen.replies), (0, 0));
        },
    );
}
