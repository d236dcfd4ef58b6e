//! Flow control abused: windows ignored, never opened, opened too far, and output that nobody takes.

use std::time::Duration;

use spdy::{FlowControl, Overflow, Timeout};

use crate::http_support::{full, get, request};
use crate::line::Flood;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

fn lines_of(app: &App, flow: FlowControl) -> Vec<Victim> {
    let set = |mut victim: Victim| {
        victim.limits.flow_control = flow;
        victim
    };
    Victim::both(app).map(set).to_vec()
}

/// An HTTP server with large answers that are not its own memory.
fn large_server() -> App {
    static LARGE: [u8; 8 * MIB] = [7; 8 * MIB];
    App::http(|_request| async { http::Response::new(full(bytes::Bytes::from_static(&LARGE))) })
}

/// Sends DATA of 16 KiB until it is not taken.
async fn upload(line: &mut Line, id: u32, frames: u32) -> Flood {
    let frame = line.peer.encode(data(id, vec![7; 16 * KIB]));
    line.flood(frames, |_, _, out| out.extend_from_slice(&frame))
        .await
}

#[test]
fn an_upload_beyond_its_stream_window_loses_the_stream_only() {
    for victim in lines_of(&App::Hold, FlowControl::Spec) {
        let frames = victim.limits.stream_window / (16 << 10);
        attack(
            "upload beyond a stream window",
            &victim,
            2,
            async |line: &mut Line| {
                let id = line.fresh();
                line.peer.send(request(id, "POST", "/")).await;
                assert_eq!(upload(line, id, frames + 10).await, Flood::Taken);
                settle().await;
                line.drain().await;
                assert_eq!(line.seen.resets, [(id, ResetStatus::FLOW_CONTROL_ERROR)]);
                line.goes_on().await;
            },
        );
    }
}

#[test]
fn uploads_beyond_the_connection_window_end_the_session() {
    for app in [App::Hold, App::Sleep] {
        for victim in lines_of(&app, FlowControl::Spec) {
            let frames = victim.limits.stream_window / (16 << 10);
            attack(
                "upload beyond the connection window",
                &victim,
                16,
                async |line: &mut Line| {
                    for _ in 0..16 {
                        let id = line.fresh();
                        line.peer.send(request(id, "POST", "/")).await;
                        assert_eq!(upload(line, id, frames).await, Flood::Taken);
                    }
                    let id = line.id(0);
                    line.peer.send(data(id, "one more")).await;
                    line.ends_anywhere("more DATA than the connection window allows")
                        .await;
                },
            );
        }
    }
}

#[test]
fn without_strict_windows_reading_stops_at_the_unread_limits() {
    for flow in [FlowControl::Lenient, FlowControl::Off] {
        for victim in lines_of(&App::Hold, flow) {
            // One stream,
            let frames = attack_unread(&victim, 1);
            assert!((64..80).contains(&frames), "{frames} frames");
            // and all together.
            let frames = attack_unread(&victim, 40);
            assert!((1024..1050).contains(&frames), "{frames} frames");
        }
    }
}

/// How many frames of 16 KiB are taken on so many streams which nobody reads.
fn attack_unread(victim: &Victim, streams: u32) -> u32 {
    let taken = std::cell::Cell::new(0);
    attack(
        "windows ignored",
        victim,
        streams as usize,
        async |line: &mut Line| {
            let first = line.id(0);
            for n in 0..streams {
                line.peer.send(request(first + 2 * n, "POST", "/")).await;
            }
            let frames: Vec<_> = (0..streams)
                .map(|n| line.peer.encode(data(first + 2 * n, vec![7; 16 * KIB])))
                .collect();
            let flood = line
                .flood(5000, |_, n, out| {
                    out.extend_from_slice(&frames[n as usize % frames.len()]);
                })
                .await;
            let Flood::Stalled(n) = flood else {
                panic!("{flood:?}")
            };
            taken.set(n);
            line.give_up();
        },
    );
    taken.get()
}

#[test]
fn a_stream_that_nobody_reads_is_given_up_after_its_grace_time() {
    for flow in [FlowControl::Lenient, FlowControl::Off] {
        for mut victim in lines_of(&App::Hold, flow) {
            victim.limits.overflow = Overflow::Reset {
                after: Duration::from_secs(5),
            };
            attack(
                "windows ignored, Overflow::Reset",
                &victim,
                2,
                async |line: &mut Line| {
                    let id = line.fresh();
                    line.peer.send(request(id, "POST", "/")).await;
                    // It borrows from the limit of the connection.
                    let Flood::Stalled(frames) = upload(line, id, 5000).await else {
                        panic!("all was taken");
                    };
                    assert!((1024..1050).contains(&frames), "{frames} frames");
                    tokio::time::sleep(6 * SECOND).await;
                    line.drain().await;
                    assert_eq!(line.seen.resets, [(id, ResetStatus::CANCEL)]);
                    // The frame in the middle of which it has stalled.
                    line.write(&[7; 16 * KIB]).await;
                },
            );
        }
    }
}

#[test]
fn window_updates_without_end_are_harmless() {
    for victim in Victim::both(&App::Hold) {
        attack("WINDOW_UPDATE", &victim, 2, async |line: &mut Line| {
            let id = line.fresh();
            line.peer.send(request(id, "POST", "/")).await;
            for id in [0, id, id + 2000] {
                let frame = raw_window_update(id, 1);
                let flood = line
                    .flood(50_000, |_, _, out| out.extend_from_slice(&frame))
                    .await;
                assert_eq!(flood, Flood::Taken);
            }
            line.goes_on().await;
        });
    }
}

#[test]
fn a_connection_window_of_nothing_or_too_much_ends_the_session() {
    for victim in Victim::both(&App::Hold) {
        let cases = [
            (0, "WINDOW_UPDATE of 0 for the connection"),
            (
                0x7fff_ffff,
                "WINDOW_UPDATE lifts the connection window above 2^31-1",
            ),
        ];
        for (delta, says) in cases {
            attack(
                "WINDOW_UPDATE on stream 0",
                &victim,
                0,
                async |line: &mut Line| {
                    line.peer.send_raw(raw_window_update(0, delta)).await;
                    line.ends(0, says).await;
                },
            );
        }
    }
}

#[test]
fn a_stream_window_of_nothing_or_too_much_loses_the_stream_only() {
    for victim in Victim::both(&App::Hold) {
        for delta in [0, 0x7fff_ffff] {
            attack(
                "WINDOW_UPDATE on a stream",
                &victim,
                2,
                async |line: &mut Line| {
                    let id = line.fresh();
                    line.peer.send(request(id, "POST", "/")).await;
                    line.peer.send_raw(raw_window_update(id, delta)).await;
                    settle().await;
                    line.drain().await;
                    assert_eq!(line.seen.resets, [(id, ResetStatus::FLOW_CONTROL_ERROR)]);
                    line.goes_on().await;
                },
            );
        }
    }
}

/// Asks for as many answers as are allowed, and more.
async fn ask(line: &mut Line, streams: u32) {
    let first = line.id(0);
    let flood = line
        .flood(streams, |peer, n, out| {
            out.extend(peer.encode(get(first + 2 * n)));
        })
        .await;
    assert_eq!(flood, Flood::Taken);
    line.used(first + 2 * streams);
    settle().await;
    line.drain().await;
}

fn writers() -> Vec<Victim> {
    let mut all = Victim::both(&App::Write(8 * MIB)).to_vec();
    all.push(Victim::server(large_server()));
    all
}

#[test]
fn answers_to_a_peer_that_never_credits_are_bounded() {
    for victim in writers() {
        attack("no credit", &victim, 200, async |line: &mut Line| {
            ask(line, 200).await;
            assert_eq!(line.seen.replies, 200);
            assert_eq!(line.seen.data, 64 * KIB, "the window of the connection");
            tokio::time::sleep(86_400 * SECOND).await;
            line.drain().await;
            assert_eq!(line.seen.data, 64 * KIB);
            // A place becomes free: all is well.
            line.peer.send(rst(line.id(0), ResetStatus::CANCEL)).await;
            line.goes_on().await;
        });
    }
}

#[test]
fn answers_to_a_peer_that_stops_reading_are_bounded() {
    for victim in writers() {
        attack(
            "nothing read, all credited",
            &victim,
            200,
            async |line: &mut Line| {
                line.peer.wire().set_out_capacity(64 * KIB);
                line.peer.send(window_update(0, 0x7000_0000)).await;
                let settings =
                    settings().set(spdy::frame::SettingId::InitialWindowSize, 0x7000_0000);
                line.peer.send(settings).await;
                let first = line.id(0);
                for n in 0..200 {
                    line.peer.send(get(first + 2 * n)).await;
                }
                line.used(first + 400);
                settle().await;
                // It reads again: more comes.
                for _ in 0..100 {
                    line.drain().await;
                    settle().await;
                }
                assert!(line.seen.data > MIB, "{} bytes", line.seen.data);
            },
        );
    }
}

/// The bound leaves room for what the peer sends as well; here our own side is held against its own part.
#[test]
fn output_that_waits_is_bounded_on_one_stream_and_on_all() {
    for (streams, allowed) in [(1, MIB), (400, 4 * MIB + 400 * 38 * KIB + MIB)] {
        let mut limits = Limits::of(Role::Server);
        limits.max_concurrent_streams = streams;
        limits.compression = spdy::HeaderCompression::Off;
        let victim = Victim::new(limits, App::Write(64 * MIB));
        let name = format!("answers on {streams} streams, nothing read");
        let peak = attack(&name, &victim, streams as usize, async |line: &mut Line| {
            line.peer.wire().set_out_capacity(0);
            line.peer.send(window_update(0, 0x7000_0000)).await;
            let settings = settings().set(spdy::frame::SettingId::InitialWindowSize, 0x7000_0000);
            line.peer.send(settings).await;
            let first = line.id(0);
            for n in 0..streams {
                line.peer.send(get(first + 2 * n)).await;
            }
            for _ in 0..20 {
                settle().await;
            }
        });
        assert!(peak <= allowed, "{streams} streams: {peak} of {allowed}");
    }
}

#[test]
fn the_write_timeout_ends_a_session_whose_peer_stops_reading() {
    for victim in writers() {
        let victim = victim.with(|config| config.write_timeout(Duration::from_secs(5)));
        attack(
            "nothing read, write time-out",
            &victim,
            200,
            async |line: &mut Line| {
                line.peer.wire().set_out_capacity(0);
                let first = line.id(0);
                for n in 0..200 {
                    line.peer.send(get(first + 2 * n)).await;
                }
                let error = line.outcome().await.unwrap_err();
                assert_eq!(error.timeout_kind(), Some(Timeout::Write));
            },
        );
    }
}
