//! Header blocks: too many, too large, bombs.

use bytes::Buf;
use spdy::HeaderCompression;
use spdy::codec::{Encoder, OutBuf};
use spdy::frame::{Frame, Version};
use spdy::headers::HeaderBlock;

use crate::http_support::get;
use crate::line::Flood;
use crate::*;

/// What a peer of the best compression sends.
struct Press(Encoder);

impl Press {
    fn new() -> Self {
        Self(Encoder::new(Version::Spdy31, HeaderCompression::Level(9)))
    }

    fn frame(&mut self, frame: impl Into<Frame>) -> Vec<u8> {
        let mut out = OutBuf::new();
        self.0.encode(&frame.into(), &mut out);
        out.copy_to_bytes(out.remaining()).to_vec()
    }
}

/// The id number `n` of the peer of a victim in this role.
fn id_for(role: Role, n: u32) -> u32 {
    if role == Role::Server {
        2 * n + 1
    } else {
        2 * n + 2
    }
}

/// A request with one more header.
fn with(stream: u32, value: &str) -> Draft {
    get(stream).header("x-large", value)
}

#[test]
fn a_header_list_above_the_limit_is_refused_and_the_context_lives_on() {
    // Three times the limit is still inflated, and dropped.
    for size in [17 * KIB, 48 * KIB] {
        for victim in Victim::both(&App::Read) {
            attack(
                "a bomb within four times the limit",
                &victim,
                1,
                async |line: &mut Line| {
                    for _ in 0..50 {
                        let id = line.fresh();
                        let frame = line.peer.encode(with(id, &"x".repeat(size)));
                        assert!(frame.len() < 2 * KIB, "{} is no bomb", frame.len());
                        line.peer.send_raw(&frame).await;
                        settle().await;
                        line.drain().await;
                    }
                    line.goes_on().await;
                },
            );
        }
    }
}

#[test]
fn a_header_list_above_four_times_the_limit_ends_the_session() {
    for victim in Victim::both(&App::Read) {
        let id = id_for(victim.limits.role, 0);
        let bomb = Press::new().frame(with(id, &"x".repeat(8_000_000)));
        assert!(bomb.len() < 63 * KIB, "{} is no bomb", bomb.len());
        attack("a bomb of 8 MiB", &victim, 1, async |line: &mut Line| {
            line.write(&bomb).await;
            line.ends(0, "header block more than four times as large as the limit")
                .await;
        });
    }
}

#[test]
fn bombs_just_below_the_limit_are_bounded_by_the_streams_they_open() {
    let cases = [
        (Role::Server, App::Sleep, 200),
        (Role::Server, App::Hold, 200),
        (Role::Server, App::Sleep, 1),
        (Role::Client, App::Sleep, 1),
    ];
    for (role, app, streams) in cases {
        let mut limits = Limits::of(role);
        limits.max_concurrent_streams = streams;
        let victim = Victim::new(limits, app);
        let bound = streams as usize;
        let (mut press, mut bytes) = (Press::new(), Vec::new());
        for n in 0..700 {
            let value = "x".repeat(16_000 - n as usize % 7);
            bytes.extend(press.frame(with(id_for(role, n), &value)));
        }
        // For 11 MB of headers.
        assert!(bytes.len() < 50 * KIB, "{} are no bombs", bytes.len());
        attack(
            "bombs below the limit",
            &victim,
            bound,
            async |line: &mut Line| {
                assert_eq!(line.write(&bytes).await, Flood::Taken);
                settle().await;
                line.drain().await;
                assert!(line.seen.refused >= 700 - bound);
            },
        );
    }
}

#[test]
fn thousands_of_values_from_few_bytes_are_refused() {
    for victim in Victim::both(&App::Read) {
        attack("NULs", &victim, 1, async |line: &mut Line| {
            for _ in 0..50 {
                let mut frame = Frame::from(get(line.fresh()));
                let Frame::SynStream(syn) = &mut frame else {
                    unreachable!()
                };
                // Eight thousand values.
                let mut values = HeaderBlock::builder();
                values.push_values("x", [&b"a"[..]; 7_900]).unwrap();
                syn.block = values.finish();
                let frame = line.peer.encode(frame);
                assert!(frame.len() < KIB, "{}", frame.len());
                line.peer.send_raw(&frame).await;
                settle().await;
                line.drain().await;
            }
            line.goes_on().await;
        });
    }
}
