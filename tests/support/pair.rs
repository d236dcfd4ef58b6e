//! Two sessions without bytes between them: a virtual clock, frames carried as values, death at any point.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by test crates, none of which uses all of it"
)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spdy::frame::{
    DataPiece, Frame, GoAway, GoAwayStatus, HeaderFrame, Priority, Received, ResetStatus, Role,
    RstStream, SettingId, Settings, StreamId, SynStream, WindowUpdate,
};
use spdy::headers::HeaderBlock;
use spdy::session::{Accepted, Event, Key, OpenOptions, Read, Session};
use spdy::{Config, Error};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn id(id: u32) -> StreamId {
    StreamId::new(id).unwrap()
}

pub(crate) fn block(pairs: &[(&str, &str)]) -> HeaderBlock {
    let mut builder = HeaderBlock::builder();
    for (name, value) in pairs {
        builder.push(name, value.as_bytes()).unwrap();
    }
    builder.finish()
}

pub(crate) fn request() -> HeaderBlock {
    block(&[(":method", "GET"), (":path", "/")])
}

pub(crate) fn response() -> HeaderBlock {
    block(&[(":status", "200"), (":version", "HTTP/1.1")])
}

/// What the peer receives for a frame; DATA in pieces of at most `split` bytes.
pub(crate) fn received(frame: Frame, split: usize) -> Vec<Received> {
    let headers = |frame: HeaderFrame| HeaderFrame {
        id: frame.id,
        fin: frame.fin,
        block: Ok(frame.block),
    };
    vec![match frame {
        Frame::SynStream(syn) => Received::SynStream(SynStream {
            id: syn.id,
            associated: syn.associated,
            priority: syn.priority,
            fin: syn.fin,
            unidirectional: syn.unidirectional,
            block: Ok(syn.block),
        }),
        Frame::SynReply(reply) => Received::SynReply(headers(reply)),
        Frame::Headers(frame) => Received::Headers(headers(frame)),
        Frame::RstStream(reset) => Received::RstStream(reset),
        Frame::Settings(settings) => Received::Settings(settings),
        Frame::Ping(id) => Received::Ping(id),
        Frame::GoAway(go_away) => Received::GoAway(go_away),
        Frame::WindowUpdate(update) => Received::WindowUpdate(update),
        Frame::Data(data) => return pieces(Some(data.id), data.payload, data.fin, split),
    }]
}

/// A DATA frame in pieces of at most `split` bytes.
pub(crate) fn pieces(
    id: Option<StreamId>,
    mut payload: Bytes,
    fin: bool,
    split: usize,
) -> Vec<Received> {
    let len = u32::try_from(payload.len()).unwrap();
    let mut all = Vec::new();
    loop {
        let part = payload.split_to(payload.len().min(split));
        let last = payload.is_empty();
        all.push(Received::Data(DataPiece {
            id,
            frame_len: all.is_empty().then_some(len),
            last,
            fin: last && fin,
            payload: part,
        }));
        if last {
            return all;
        }
    }
}

// Frames of a peer.

pub(crate) fn syn(stream: u32, fin: bool) -> Received {
    syn_with(stream, fin, false)
}

pub(crate) fn syn_with(stream: u32, fin: bool, unidirectional: bool) -> Received {
    Received::SynStream(SynStream {
        id: id(stream),
        associated: None,
        priority: Priority::new(3),
        fin,
        unidirectional,
        block: Ok(request()),
    })
}

pub(crate) fn reply(stream: u32, fin: bool) -> Received {
    reply_with(stream, fin, response())
}

pub(crate) fn reply_with(stream: u32, fin: bool, block: HeaderBlock) -> Received {
    Received::SynReply(HeaderFrame {
        id: id(stream),
        fin,
        block: Ok(block),
    })
}

pub(crate) fn headers(stream: u32, fin: bool) -> Received {
    Received::Headers(HeaderFrame {
        id: id(stream),
        fin,
        block: Ok(block(&[("x-trailer", "1")])),
    })
}

pub(crate) fn data(stream: u32, len: usize, fin: bool) -> Received {
    pieces(
        StreamId::new(stream),
        Bytes::from(vec![b'x'; len]),
        fin,
        usize::MAX,
    )
    .remove(0)
}

pub(crate) fn rst(stream: u32, status: ResetStatus) -> Received {
    Received::RstStream(RstStream {
        id: id(stream),
        status,
    })
}

/// WINDOW_UPDATE; stream 0 is the connection.
pub(crate) fn credit(stream: u32, delta: u32) -> Received {
    Received::WindowUpdate(WindowUpdate {
        id: StreamId::new(stream),
        delta,
    })
}

pub(crate) fn setting(setting: SettingId, value: u32) -> Received {
    let mut settings = Settings::new();
    settings.set(setting, value);
    Received::Settings(settings)
}

pub(crate) fn go_away(last_good: u32) -> Received {
    Received::GoAway(GoAway {
        last_good: StreamId::new(last_good),
        status: GoAwayStatus::OK,
    })
}

/// A frame to send, in short: what tests compare.
pub(crate) fn short(frame: &Frame) -> String {
    let fin = |fin: bool| if fin { " FIN" } else { "" };
    match frame {
        Frame::SynStream(syn) => format!("SYN_STREAM {}{}", syn.id, fin(syn.fin)),
        Frame::SynReply(reply) => format!("SYN_REPLY {}{}", reply.id, fin(reply.fin)),
        Frame::Headers(headers) => format!("HEADERS {}{}", headers.id, fin(headers.fin)),
        Frame::RstStream(reset) => format!("RST_STREAM {} {}", reset.id, reset.status),
        Frame::Settings(_) => "SETTINGS".into(),
        Frame::Ping(id) => format!("PING {id}"),
        Frame::GoAway(go_away) => format!(
            "GOAWAY {} {}",
            go_away.last_good.map_or(0, StreamId::get),
            go_away.status
        ),
        Frame::WindowUpdate(update) => format!(
            "WINDOW_UPDATE {} {}",
            update.id.map_or(0, StreamId::get),
            update.delta
        ),
        Frame::Data(data) => format!("DATA {} {}{}", data.id, data.payload.len(), fin(data.fin)),
    }
}

/// The next frame; the session has to have said that there is one.
fn next_frame(session: &mut Session, now: Instant) -> Option<Frame> {
    let has_output = session.has_output();
    let frame = session.poll_frame(now)?;
    assert!(has_output, "output that nobody is told of: {frame:?}");
    Some(frame)
}

/// What both ways of driving a session share.
pub(crate) trait Drive {
    fn session(&mut self) -> &mut Session;

    fn open_stream(&mut self) -> Key {
        self.open_with(OpenOptions::new())
    }

    fn open_with(&mut self, options: OpenOptions) -> Key {
        self.try_open(options).unwrap()
    }

    fn try_open(&mut self, options: OpenOptions) -> Result<Key, Error> {
        let slot = self.session().reserve_slot()?.unwrap();
        self.session().open(slot, request(), options)
    }

    fn accept_stream(&mut self) -> Accepted {
        self.session().accept().unwrap()
    }

    fn write(&mut self, key: Key, len: usize) {
        let payload = Bytes::from(vec![b'w'; len]);
        self.session().write(key, payload).unwrap();
    }

    /// Reads all there is; the second value tells whether the end was reached.
    fn read_all(&mut self, key: Key) -> Result<(Vec<u8>, bool), Error> {
        let mut all = Vec::new();
        loop {
            match self.session().read(key, usize::MAX)? {
                Read::Data(payload) => all.extend_from_slice(&payload),
                Read::End => return Ok((all, true)),
                Read::Blocked => return Ok((all, false)),
            }
        }
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session().poll_event()).collect()
    }

    /// Gives up both handles.
    fn drop_stream(&mut self, key: Key) {
        self.session().drop_send(key);
        self.session().drop_recv(key);
    }
}

impl Drive for Session {
    fn session(&mut self) -> &mut Session {
        self
    }
}

/// One session and a scripted peer.
pub(crate) struct Solo {
    pub(crate) session: Session,
    pub(crate) now: Instant,
}

impl Drive for Solo {
    fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl Solo {
    pub(crate) fn new(role: Role, config: Config) -> Self {
        let now = Instant::now();
        let session = Session::new(role, config, now);
        Self { session, now }
    }

    /// Past its first frames.
    pub(crate) fn started(role: Role, config: Config) -> Self {
        let mut solo = Self::new(role, config);
        solo.sent();
        solo
    }

    pub(crate) fn server() -> Self {
        Self::started(Role::Server, Config::server())
    }

    pub(crate) fn client() -> Self {
        Self::started(Role::Client, Config::client())
    }

    /// The peer sends a frame.
    pub(crate) fn feed(&mut self, frame: Received) -> &mut Self {
        self.session.handle_read(self.now);
        self.session.handle_frame(frame, self.now);
        self.session.assert_invariants();
        self
    }

    /// Frames that go out now.
    pub(crate) fn sent_frames(&mut self) -> Vec<Frame> {
        let frames = std::iter::from_fn(|| next_frame(&mut self.session, self.now));
        let frames: Vec<_> = frames.take(100_000).collect();
        assert!(frames.len() < 100_000, "endless output");
        assert!(!self.session.has_output());
        self.session.assert_invariants();
        frames
    }

    pub(crate) fn sent(&mut self) -> Vec<String> {
        self.sent_frames().iter().map(short).collect()
    }

    /// The bytes of DATA that go out now.
    pub(crate) fn sent_data(&mut self) -> usize {
        let len = |frame: &Frame| match frame {
            Frame::Data(data) => data.payload.len(),
            _ => 0,
        };
        self.sent_frames().iter().map(len).sum()
    }

    /// Lets time pass and the timer fire.
    pub(crate) fn pass(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        for _ in 0..1000 {
            let Some(deadline) = self.session.poll_timeout(self.now).filter(|at| *at <= end) else {
                self.now = end;
                return self;
            };
            self.now = self.now.max(deadline);
            self.session.handle_timeout(self.now);
            self.session.assert_invariants();
        }
        panic!("a deadline that passed is reported again and again");
    }

    /// An accepted stream of the peer.
    pub(crate) fn accepted(&mut self, stream: u32, fin: bool) -> Key {
        self.feed(syn(stream, fin));
        self.accept_stream().key
    }

    /// An own stream that was replied to.
    pub(crate) fn replied(&mut self, stream: u32) -> Key {
        let key = self.open_stream();
        assert_eq!(self.sent(), [format!("SYN_STREAM {stream}")]);
        self.feed(reply(stream, false));
        assert!(self.session.take_reply(key).unwrap().is_some());
        key
    }
}

/// Two sessions.
pub(crate) struct Pair {
    pub(crate) client: Session,
    pub(crate) server: Session,
    pub(crate) now: Instant,
    pub(crate) latency: Duration,
    /// DATA arrives in pieces of at most this size.
    pub(crate) split: usize,
    /// Frames to the server, frames to the client, with the time of their arrival.
    wires: [VecDeque<(Instant, Frame)>; 2],
    pub(crate) dead: bool,
    /// What was sent, by whom.
    pub(crate) trace: Vec<(Role, String)>,
}

impl Pair {
    pub(crate) fn new(client: Config, server: Config) -> Self {
        let now = Instant::now();
        Self {
            client: Session::new(Role::Client, client, now),
            server: Session::new(Role::Server, server, now),
            now,
            latency: Duration::ZERO,
            split: usize::MAX,
            wires: [VecDeque::new(), VecDeque::new()],
            dead: false,
            trace: Vec::new(),
        }
    }

    /// With the defaults, past the first frames.
    pub(crate) fn start() -> Self {
        let mut pair = Self::new(Config::client(), Config::server());
        pair.drive();
        pair
    }

    pub(crate) fn side(&mut self, role: Role) -> &mut Session {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// Takes at most `max` frames from one side to its wire; `false` if there was none.
    pub(crate) fn emit(&mut self, from: Role, max: usize) -> bool {
        let (now, at) = (self.now, self.now + self.latency);
        let mut any = false;
        for _ in 0..max {
            let Some(frame) = next_frame(self.side(from), now) else {
                break;
            };
            any = true;
            self.trace.push((from, short(&frame)));
            if !self.dead {
                self.wires[from as usize].push_back((at, frame));
            }
        }
        any
    }

    /// Delivers at most `max` frames that have arrived at the other end of `from`.
    pub(crate) fn deliver(&mut self, from: Role, max: usize) -> bool {
        let mut any = false;
        let now = self.now;
        for _ in 0..max {
            let wire = &mut self.wires[from as usize];
            if wire.front().is_none_or(|(at, _)| *at > now) {
                break;
            }
            any = true;
            let (_, frame) = wire.pop_front().unwrap();
            let split = self.split;
            let to = self.side(from.peer());
            to.handle_read(now);
            for piece in received(frame, split) {
                to.handle_frame(piece, now);
            }
        }
        any
    }

    /// Carries frames until nothing moves; the clock only advances over the latency.
    pub(crate) fn drive(&mut self) {
        for _ in 0..100_000 {
            let mut moved = false;
            for role in [Role::Client, Role::Server] {
                moved |= self.emit(role, usize::MAX);
                moved |= self.deliver(role, usize::MAX);
            }
            self.client.assert_invariants();
            self.server.assert_invariants();
            if moved {
                continue;
            }
            let arrival = self.wires.iter().filter_map(|wire| Some(wire.front()?.0));
            match arrival.min() {
                Some(arrival) => self.now = self.now.max(arrival),
                None => return,
            }
        }
        panic!("livelock: the sessions never come to rest");
    }

    /// Lets time pass, firing timers and carrying frames.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..10_000 {
            self.drive();
            let now = self.now;
            let deadlines = [self.client.poll_timeout(now), self.server.poll_timeout(now)];
            let Some(next) = deadlines
                .into_iter()
                .flatten()
                .min()
                .filter(|at| *at <= end)
            else {
                self.now = self.now.max(end);
                return;
            };
            self.now = self.now.max(next);
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
        }
        panic!("a deadline that passed is reported again and again");
    }

    /// The transport dies; what was under way is lost.
    pub(crate) fn kill(&mut self) {
        self.dead = true;
        self.wires = [VecDeque::new(), VecDeque::new()];
        self.client.handle_eof(false);
        self.server.handle_eof(false);
    }

    /// DATA bytes under way from `role`, by stream.
    pub(crate) fn in_flight(&self, from: Role, stream: Option<StreamId>) -> usize {
        let len = |(_, frame): &(Instant, Frame)| match frame {
            Frame::Data(data) if stream.is_none_or(|id| id == data.id) => data.payload.len(),
            _ => 0,
        };
        self.wires[from as usize].iter().map(len).sum()
    }

    /// Credit for the connection under way from `role`.
    pub(crate) fn credit_in_flight(&self, from: Role) -> i64 {
        let delta = |(_, frame): &(Instant, Frame)| match frame {
            Frame::WindowUpdate(WindowUpdate { id: None, delta }) => i64::from(*delta),
            _ => 0,
        };
        self.wires[from as usize].iter().map(delta).sum()
    }

    /// An exchange under way: its keys at the client and at the server.
    pub(crate) fn exchange(&mut self) -> (Key, Key) {
        let ours = self.client.open_stream();
        self.drive();
        let theirs = self.server.accept_stream().key;
        self.server.reply(theirs, response(), false).unwrap();
        self.drive();
        assert!(self.client.take_reply(ours).unwrap().is_some());
        (ours, theirs)
    }

    /// Nothing is left on either side.
    pub(crate) fn assert_empty(&self) {
        for session in [&self.client, &self.server] {
            session.assert_invariants();
            assert_eq!(session.stream_count(), 0);
            assert_eq!(session.active_streams(), 0);
            assert_eq!(session.unread_bytes(), 0);
            assert_eq!(session.send_ledger().1, 0);
        }
    }
}
