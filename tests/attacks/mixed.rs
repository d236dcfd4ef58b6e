//! Attacks that mix what the others do one at a time, in an order that looks random. Fixed seeds.

use std::time::Duration;

use spdy::frame::{GoAwayStatus, SettingId};
use spdy::{FlowControl, Overflow};

use crate::http_support::{get, reply, request};
use crate::line::Flood;
use crate::*;

/// How many streams there may be in these attacks.
const LIMIT: u32 = 20;

/// One round: frames of any kind for streams that are new, open, over, refused or unknown.
fn round(peer: &mut Peer, random: &mut Random, next: &mut u32, calm: bool, out: &mut Vec<u8>) {
    let span = 2 * LIMIT + 4;
    let low = next.saturating_sub(2 * span).max(1);
    let mut stream = low + 2 * u32::try_from(random.below(span.into())).unwrap();
    if stream % 2 != *next % 2 {
        stream += 1;
    }
    let large = "v".repeat(usize::try_from(random.below(7000)).unwrap());
    let frame = match random.below(if calm { 15 } else { 20 }) {
        0..=2 => {
            let id = *next;
            *next += 2;
            let mut draft =
                request(id, "POST", "/").priority(u8::try_from(random.below(8)).unwrap());
            if random.below(3) == 0 {
                draft = draft.header("x-large", &large);
            }
            if random.below(4) == 0 {
                draft = draft.fin();
            }
            if random.below(6) == 0 {
                draft = draft.unidirectional().associated(stream);
            }
            draft
        }
        3..=4 => window_update(if random.below(2) == 0 { 0 } else { stream }, 40_000),
        5..=7 => data(
            stream,
            vec![9; usize::try_from(random.below(9000) + 1).unwrap()],
        ),
        8 => data(stream, [1]),
        9 => headers(stream).header("x-large", &large),
        10 => headers(stream),
        11 => rst(stream, ResetStatus::CANCEL),
        12 => data(stream, "").fin(),
        13 => headers(stream).header("a", "b").fin(),
        14 => reply(
            if random.below(2) == 0 {
                stream
            } else {
                stream + 1
            },
            "200",
        ),
        15 => ping(u32::try_from(random.below(1000) + 1).unwrap()),
        16 => {
            let size = [0, 1, 65_536, (1 << 31) - 1][usize::try_from(random.below(4)).unwrap()];
            settings().set(SettingId::InitialWindowSize, size)
        }
        17 => settings().set(
            SettingId::MaxConcurrentStreams,
            u32::try_from(random.below(3)).unwrap(),
        ),
        18 => get(stream),
        _ => go_away(stream, GoAwayStatus::OK),
    };
    out.extend_from_slice(&peer.encode(frame));
}

fn play(
    flow: FlowControl,
    overflow: Overflow,
    change: fn(spdy::Config) -> spdy::Config,
    calm: bool,
) {
    for app in [App::Sleep, App::Hold, App::Read, App::Write(300_000)] {
        for mut victim in Victim::both(&app) {
            victim.limits.flow_control = flow;
            victim.limits.overflow = overflow;
            victim.limits.max_concurrent_streams = LIMIT;
            victim.limits.stream_window = 64 << 10;
            victim.limits.connection_window = 256 << 10;
            victim.limits.unread_stream_limit = 64 << 10;
            victim.limits.unread_connection_limit = 256 << 10;
            let victim = victim.with(change);
            for seed in 0..4 {
                let name = format!("mixed {flow:?} calm {calm} seed {seed}");
                attack(
                    &name,
                    &victim,
                    2 * LIMIT as usize,
                    async |line: &mut Line| {
                        let mut random = Random(seed);
                        let mut next = line.id(0);
                        // What the pipe holds is not the library's.
                        line.peer.wire().set_out_capacity(64 * KIB);
                        for turn in 0..30 {
                            if flow != FlowControl::Off && turn % 5 == seed % 5 {
                                line.peer.wire().set_out_capacity(2000);
                            } else if turn % 5 == 4 {
                                line.peer.wire().set_out_capacity(64 * KIB);
                            }
                            let end = line
                                .flood(150, |peer, _, out| {
                                    round(peer, &mut random, &mut next, calm, out);
                                })
                                .await;
                            if end != Flood::Taken {
                                break;
                            }
                            // A session that has failed gives its last words a second.
                            while line.peer.wire().unread_out() > 0 {
                                line.drain().await;
                                settle().await;
                            }
                            tokio::time::advance(Duration::from_millis(300)).await;
                        }
                        line.give_up();
                    },
                );
            }
        }
    }
}

#[test]
fn mixed_frames_are_within_the_bound() {
    for calm in [true, false] {
        play(FlowControl::Spec, Overflow::Pause, |config| config, calm);
    }
}

#[test]
fn mixed_frames_are_within_the_bound_where_windows_are_lenient() {
    for calm in [true, false] {
        play(FlowControl::Lenient, Overflow::Pause, |config| config, calm);
    }
}

#[test]
fn mixed_frames_are_within_the_bound_without_windows() {
    let after = Duration::from_secs(1);
    for calm in [true, false] {
        play(FlowControl::Off, Overflow::Pause, |config| config, calm);
        play(
            FlowControl::Off,
            Overflow::Reset { after },
            |config| {
                config
                    .announce_settings(false)
                    .hold_until_peer_speaks(true)
                    .early_goaway(false)
                    .cancel_is_end(true)
                    .lenient_streams(true)
                    .fold_header_names(true)
            },
            calm,
        );
    }
}

/// SETTINGS flips the windows and the number of streams of a client with hundreds of own streams, within the budget.
#[test]
fn settings_that_flip_while_hundreds_of_streams_wait_lose_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (session, connection, mut peer) =
            client(spdy::Config::client().initial_max_open_streams(2000));
        let running = tokio::spawn(connection);
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..2000 {
            let session = session.clone();
            asking.spawn(async move {
                let mut stream = session
                    .open(
                        spdy::headers::HeaderBlock::empty(),
                        spdy::stream::OpenOptions::new(),
                    )
                    .await?;
                stream.send_half().send(vec![1; 100].into()).await?;
                stream.send_half().finish()?;
                stream.reply().await
            });
        }
        let mut answered = 0;
        let mut open = std::collections::VecDeque::new();
        for turn in 0..3000_u32 {
            let size = if turn % 2 == 0 { 0 } else { (1 << 31) - 1 };
            let streams = [0, 3, 2000, 1][turn as usize % 4];
            peer.send(
                settings()
                    .set(SettingId::InitialWindowSize, size)
                    .set(SettingId::MaxConcurrentStreams, streams),
            )
            .await;
            while let Ok(Some(frame)) =
                tokio::time::timeout(Duration::from_millis(100), peer.recv()).await
            {
                if let spdy::frame::Frame::SynStream(syn) = frame {
                    open.push_back(syn.id.get());
                }
            }
            for _ in 0..open.len().min(2) {
                peer.send(reply(open.pop_front().unwrap(), "200").fin())
                    .await;
                answered += 1;
            }
        }
        assert!(answered > 1000, "{answered} answered");
        // All windows open.
        peer.send(
            settings()
                .set(SettingId::InitialWindowSize, 1 << 20)
                .set(SettingId::MaxConcurrentStreams, 2000),
        )
        .await;
        peer.send(window_update(0, 10_000_000)).await;
        while let Ok(Some(frame)) = tokio::time::timeout(Duration::from_secs(1), peer.recv()).await
        {
            if let spdy::frame::Frame::SynStream(syn) = frame {
                peer.send(reply(syn.id.get(), "200").fin()).await;
            }
            while let Some(id) = open.pop_front() {
                peer.send(reply(id, "200").fin()).await;
            }
        }
        while let Some(result) = asking.join_next().await {
            result.unwrap().unwrap();
        }
        settle().await;
        assert_eq!(session.stream_count(), 0);
        assert!(!running.is_finished());
    });
}

/// A drain under a flood of what a peer may still send, where a stream stays open.
#[test]
fn a_drain_ends_whatever_the_peer_sends_meanwhile() {
    for victim in Victim::both(&App::Read) {
        for calm in [true, false] {
            attack(
                "a drain under fire",
                &victim,
                400,
                async |line: &mut Line| {
                    let mut random = Random(5);
                    let id = line.fresh();
                    line.peer.send(request(id, "POST", "/")).await;
                    settle().await;
                    line.session.as_ref().unwrap().shutdown();
                    let mut next = line.id(1);
                    for _ in 0..40 {
                        let end = line
                            .flood(50, |peer, _, out| {
                                round(peer, &mut random, &mut next, calm, out);
                            })
                            .await;
                        if end != Flood::Taken {
                            break;
                        }
                        tokio::time::advance(Duration::from_millis(100)).await;
                    }
                    if !line.is_over() {
                        // The last stream ends, and with it the session.
                        let mut out = Vec::new();
                        for id in (line.id(0)..next).step_by(2) {
                            out.extend_from_slice(&line.peer.encode(rst(id, ResetStatus::CANCEL)));
                        }
                        line.write(&out).await;
                    }
                    drop(line.outcome().await);
                },
            );
        }
    }
}
