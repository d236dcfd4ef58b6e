//! `Overflow::Reset`, at random: readers that read, readers that stop, peers that do not care.

use std::time::{Duration, Instant};

use spdy::frame::{ResetStatus, Role};
use spdy::session::{Key, Read};
use spdy::{Config, FlowControl, Overflow};

use crate::pair::*;
use crate::random::Random;

const AFTER: Duration = Duration::from_secs(5);

fn index(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).unwrap()
}

struct Stream {
    id: u32,
    key: Key,
    /// When it was opened, or read last.
    read_at: Instant,
}

struct Play {
    peer: Solo,
    streams: Vec<Stream>,
    next: u32,
    lost: usize,
}

impl Play {
    fn new(random: &mut Random) -> Self {
        let (stream, all) = [(100, 1000), (100, 300), (1000, 300)][index(random, 3)];
        let flow = [FlowControl::Off, FlowControl::Lenient][index(random, 2)];
        let config = Config::server()
            .flow_control(flow)
            .overflow(Overflow::Reset { after: AFTER })
            .initial_stream_window_size(64)
            .initial_connection_window_size(128)
            .unread_stream_limit(stream)
            .unread_connection_limit(all);
        Self {
            peer: Solo::started(Role::Server, config),
            streams: Vec::new(),
            next: 1,
            lost: 0,
        }
    }

    fn reads(&mut self) -> bool {
        self.peer.session.wants_read(false, self.peer.now)
    }

    /// What was given up had its grace time since it was read last.
    fn look(&mut self) {
        for frame in self.peer.sent() {
            let Some(id) = frame
                .strip_prefix("RST_STREAM ")
                .and_then(|rest| rest.strip_suffix(" CANCEL"))
            else {
                continue;
            };
            let id: u32 = id.parse().unwrap();
            let stream = self.streams.iter().find(|stream| stream.id == id).unwrap();
            let quiet = self.peer.now - stream.read_at;
            assert!(quiet >= AFTER, "stream {id} is lost {quiet:?} after a read");
            self.lost += 1;
        }
    }

    fn step(&mut self, random: &mut Random) {
        let choice = index(random, 12);
        let reads = self.reads();
        if choice == 0 && self.streams.len() < 8 && reads {
            self.streams.push(Stream {
                id: self.next,
                key: self.peer.accepted(self.next, false),
                read_at: self.peer.now,
            });
            self.next += 2;
        } else if choice >= 10 || self.streams.is_empty() {
            let time = Duration::from_millis(random.below(3000));
            self.peer.pass(time);
        } else {
            let place = index(random, self.streams.len());
            self.step_on(choice, place, reads, random);
        }
        self.peer.session.assert_invariants();
        self.look();
    }

    fn step_on(&mut self, choice: usize, place: usize, reads: bool, random: &mut Random) {
        let (now, stream) = (self.peer.now, &mut self.streams[place]);
        let (id, key) = (stream.id, stream.key);
        let rare = index(random, 4) == 0;
        match choice {
            1..=5 if reads => {
                let (bytes, fin) = (1 + index(random, 250), index(random, 12) == 0);
                self.peer.feed(data(id, bytes, fin));
            }
            6 | 7 => {
                if let Ok(Read::Data(_)) = self.peer.session.read(key, 1 + index(random, 120)) {
                    stream.read_at = now;
                }
            }
            8 if rare => {
                self.peer.feed(rst(id, ResetStatus::CANCEL));
            }
            9 if rare => {
                self.streams.remove(place);
                self.peer.session.drop_recv(key);
                self.peer.session.drop_send(key);
                // Its own CANCEL.
                self.peer.sent();
            }
            _ => drop(self.peer.session.reply(key, response(), true)),
        }
    }
}

#[test]
fn no_stuck_reader_stops_the_transport_for_ever_and_no_other_one_loses_its_stream() {
    let mut lost = 0;
    for seed in 1..=1000 {
        let mut random = Random(seed);
        let mut play = Play::new(&mut random);
        for _ in 0..120 {
            play.step(&mut random);
        }
        // Nobody reads any more.
        play.peer.pass(4 * AFTER);
        play.look();
        assert!(play.reads(), "it stands still, seed {seed}");
        lost += play.lost;
    }
    assert!(lost > 1000, "{lost} streams were given up: few were stuck");
}

/// How long the transport stands still at most, in milliseconds, and the most that waits, in KiB: at a link that carries
/// `link` KiB a millisecond, with a reader of 64 KiB every `pause` milliseconds.
fn slow_reader(link: u64, pause: u64) -> (u64, u64) {
    let config = Config::server()
        .flow_control(FlowControl::Off)
        .overflow(Overflow::Reset { after: AFTER });
    let mut peer = Solo::started(Role::Server, config);
    let key = peer.accepted(1, false);
    let (mut stands, mut longest, mut unread, mut most) = (0, 0, 0_u64, 0);
    for now in 1..=60_000 {
        peer.pass(Duration::from_millis(1));
        let mut left = link;
        while left > 0 && peer.session.wants_read(false, peer.now) {
            let kib = left.min(64);
            peer.session.handle_frame(
                data(1, usize::try_from(kib << 10).unwrap(), false),
                peer.now,
            );
            left -= kib;
            unread += kib;
        }
        most = most.max(unread);
        stands = if left == link { stands + 1 } else { 0 };
        longest = longest.max(stands);
        if now % pause == 0 {
            let Read::Data(bytes) = peer.session.read(key, 64 << 10).unwrap() else {
                panic!("nothing to read");
            };
            unread -= (bytes.len() >> 10) as u64;
        }
    }
    assert!(peer.sent().is_empty());
    (longest, most)
}

#[test]
fn a_slow_reader_stops_the_transport_no_longer_than_from_read_to_read() {
    // Within a tenth of the grace time nothing is borrowed.
    for (link, pause) in [(64, 64), (64, 250), (512, 64)] {
        let (longest, most) = slow_reader(link, pause);
        assert!(longest < pause, "{longest} of {pause} ms");
        assert!(most <= 1024 + 64, "{most} KiB");
    }
    let (longest, most) = slow_reader(64, 1000);
    assert!(longest < 1000, "{longest} ms");
    assert!(most <= 16 * 1024 + 64, "{most} KiB");
}
