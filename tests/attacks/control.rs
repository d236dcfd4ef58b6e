//! SETTINGS, PING and unknown frames.

use spdy::frame::SettingId;

use crate::line::Flood;
use crate::*;

const SETTINGS: u32 = 4;
const UNKNOWN: u32 = 99;

#[test]
fn settings_with_any_number_of_entries_cost_nothing() {
    for victim in Victim::both(&App::Read) {
        attack(
            "8,000 settings in a frame",
            &victim,
            1,
            async |line: &mut Line| {
                let mut entries = 8000_u32.to_be_bytes().to_vec();
                for id in 0..8000_u32 {
                    entries.extend_from_slice(&[id.to_be_bytes(), 7_u32.to_be_bytes()].concat());
                }
                let frame = raw(SETTINGS, 4 + 8 * 8000, &entries);
                assert_eq!(line.write(&frame).await, Flood::Taken);
                line.goes_on().await;
            },
        );
    }
}

#[test]
fn settings_that_lie_about_their_number_end_the_session() {
    for victim in Victim::both(&App::Read) {
        for count in [u32::MAX, 0x2000_0000, 8000] {
            attack(
                "SETTINGS with a lying count",
                &victim,
                0,
                async |line: &mut Line| {
                    line.write(&raw(SETTINGS, 4, &count.to_be_bytes())).await;
                    line.ends(0, "SETTINGS whose count contradicts its Length")
                        .await;
                },
            );
        }
        attack("SETTINGS of 16 MiB", &victim, 0, async |line: &mut Line| {
            let count = 0x00ff_fff8_u32 / 8;
            line.write(&raw(
                SETTINGS,
                4 + 8 * (count - 1),
                &(count - 1).to_be_bytes(),
            ))
            .await;
            line.ends(0, "SETTINGS of Length").await;
        });
    }
}

#[test]
fn a_flood_of_control_frames_ends_the_session() {
    type Make = fn(&mut Peer) -> Vec<u8>;
    let frames: [(&str, Make); 3] = [
        ("PING", |peer| peer.encode(ping(77)).to_vec()),
        ("SETTINGS", |peer| {
            peer.encode(settings().set(SettingId::RoundTripTime, 1))
                .to_vec()
        }),
        ("unknown frames", |_| raw(UNKNOWN, 0, &[])),
    ];
    for victim in Victim::both(&App::Read) {
        for (name, make) in frames {
            attack(name, &victim, 0, async |line: &mut Line| {
                let flood = line
                    .flood(1_000_000, |peer, _, out| out.extend(make(peer)))
                    .await;
                assert!(
                    matches!(flood, Flood::Closed(n) if n < 100_000),
                    "{flood:?}"
                );
                line.ends(0, "budget of PING, SETTINGS and unknown frames is used up")
                    .await;
            });
        }
    }
}

#[test]
fn pings_within_the_budget_and_no_answer_read_stop_the_reading() {
    for victim in Victim::both(&App::Write(1 << 20)) {
        attack(
            "PINGs, nothing read",
            &victim,
            1,
            async |line: &mut Line| {
                line.peer.wire().set_out_capacity(0);
                let id = line.fresh();
                line.peer.send(http_support::get(id)).await;
                line.peer.wire().set_in_capacity(1200);
                let mut taken = 0;
                let flood = loop {
                    let id = line.id(40);
                    let frame = line.peer.encode(ping(id));
                    match line.write(&frame).await {
                        Flood::Taken => taken += 1,
                        other => break other,
                    }
                    assert!(taken < 10_000, "nothing stops it");
                    tokio::time::sleep(std::time::Duration::from_millis(101)).await;
                };
                assert_eq!(flood, Flood::Stalled(0));
                assert!((64..400).contains(&taken), "{taken}");
                line.peer.wire().set_out_capacity(usize::MAX);
                line.peer.wire().set_in_capacity(64 * KIB);
                settle().await;
                line.drain().await;
                assert!(line.seen.pings >= 64);
                // The budget has to recover first.
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                line.goes_on().await;
            },
        );
    }
}
