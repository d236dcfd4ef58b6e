//! What may come out of our side: frames that decode, in an order and of a size that the protocol and the peer allow.

use std::collections::{HashMap, HashSet};

use bytes::BytesMut;
use spdy::codec::{Decoder, DecoderLimits};
use spdy::frame::{
    DEFAULT_WINDOW, DataPiece, GoAwayStatus, Received, ReceivedBlock, ResetStatus, Role, RstStream,
    SettingId, StreamId, Version,
};
use spdy::{Config, FlowControl};

/// The DATA frames we send are no larger, with windows and without.
const MOST_DATA: usize = 16 << 10;
const MOST_DATA_NO_WINDOWS: usize = 32 << 10;
/// So many resets are remembered, and not repeated.
const REMEMBERED: usize = 256;

/// What the peer says in all, however much of it our side gets to read.
#[derive(Debug, Default)]
struct Said {
    /// Its own streams.
    opened: HashSet<u32>,
    /// Streams it has named in any frame.
    named: HashSet<u32>,
    pings: HashSet<u32>,
    /// The largest initial window it has ever set.
    initial_window: u64,
    /// By stream; 0 is the connection.
    credit: HashMap<u32, u64>,
    /// DATA by stream, and all of it under 0.
    data: HashMap<u32, u64>,
}

/// One stream, as far as we have sent on it.
#[derive(Debug, Default)]
struct Sent {
    /// SYN_STREAM or SYN_REPLY.
    begun: bool,
    finished: bool,
    reset: bool,
    /// The peer has named it before it was opened, and was told so; it may be opened after that.
    premature: bool,
    data: u64,
    credit: u64,
}

pub(crate) struct Legal {
    ours: Role,
    /// Streams without HTTP, with a peer like spdystream.
    raw: bool,
    windows_count: bool,
    most_data: usize,
    said: Said,
    /// What our connection window grows by at the start.
    first_credit: u64,
    decoder: Decoder,
    buf: BytesMut,
    streams: HashMap<u32, Sent>,
    connection: Sent,
    newest: u32,
    /// Nothing may follow.
    over: bool,
    resets: usize,
}

fn frames(decoder: &mut Decoder, buf: &mut BytesMut) -> Result<Vec<Received>, String> {
    let mut all = Vec::new();
    loop {
        match decoder.decode(buf) {
            Ok(Some(frame)) => all.push(frame),
            Ok(None) => return Ok(all),
            Err(error) => {
                let after: Vec<_> = all.iter().map(short).collect();
                return Err(format!("{error}, behind {after:?}"));
            }
        }
    }
}

fn short(frame: &Received) -> String {
    let mut text = format!("{frame:?}");
    text.truncate(200);
    text
}

impl Said {
    fn new<'a>(limits: DecoderLimits, bytes: impl Iterator<Item = &'a bytes::Bytes>) -> Self {
        let mut said = Self {
            initial_window: u64::from(DEFAULT_WINDOW),
            ..Self::default()
        };
        let mut decoder = Decoder::new(Version::Spdy31, limits);
        let mut buf = BytesMut::new();
        for bytes in bytes {
            buf.extend_from_slice(bytes);
            // Nothing behind an error is heard.
            while let Ok(Some(frame)) = decoder.decode(&mut buf) {
                said.note(&frame);
            }
        }
        said
    }

    fn note(&mut self, frame: &Received) {
        match frame {
            Received::SynStream(syn) => {
                self.opened.insert(syn.id.get());
                self.named.insert(syn.id.get());
            }
            Received::SynReply(frame) | Received::Headers(frame) => {
                self.named.insert(frame.id.get());
            }
            Received::Data(DataPiece { id, frame_len, .. }) => {
                let id = id.map_or(0, StreamId::get);
                self.named.insert(id);
                let len = u64::from(frame_len.unwrap_or(0));
                *self.data.entry(0).or_default() += len;
                *self.data.entry(id).or_default() += len;
            }
            Received::WindowUpdate(update) => {
                let id = update.id.map_or(0, StreamId::get);
                self.named.insert(id);
                *self.credit.entry(id).or_default() += u64::from(update.delta);
            }
            Received::Settings(settings) => {
                if let Some(window) = settings.get(SettingId::InitialWindowSize) {
                    self.initial_window = self.initial_window.max(u64::from(window.value));
                }
            }
            Received::Ping(id) => {
                self.pings.insert(*id);
            }
            Received::RstStream(_) | Received::GoAway(_) | Received::Ignored { .. } => {}
        }
    }

    fn credit(&self, id: u32) -> u64 {
        self.credit.get(&id).copied().unwrap_or(0)
    }

    fn data(&self, id: u32) -> u64 {
        self.data.get(&id).copied().unwrap_or(0)
    }
}

impl Legal {
    /// `config` and `window` are ours, `peer` is all that the peer will send.
    pub(crate) fn new<'a>(
        ours: Role,
        config: &Config,
        window: u64,
        peer: impl Iterator<Item = &'a bytes::Bytes>,
    ) -> Self {
        let mut patient = DecoderLimits::default();
        patient.block.max_list_size = 1 << 20;
        patient.block.max_values = 10_000;
        Self {
            ours,
            raw: false,
            windows_count: config.flow_control_mode() == FlowControl::Spec,
            most_data: match config.flow_control_mode() {
                FlowControl::Off => MOST_DATA_NO_WINDOWS,
                _ => MOST_DATA,
            },
            said: Said::new(config.decoder_limits(), peer),
            first_credit: window - u64::from(DEFAULT_WINDOW),
            decoder: Decoder::new(Version::Spdy31, patient),
            buf: BytesMut::new(),
            streams: HashMap::new(),
            connection: Sent::default(),
            newest: 0,
            over: false,
            resets: 0,
        }
    }

    /// For streams without HTTP, and the options for spdystream: ids of either parity are taken, and a pause of reading may
    /// show by SETTINGS without an entry.
    pub(crate) fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    fn check_block(&self, block: &ReceivedBlock, names: &[&str]) {
        let block = block.as_ref().expect("our blocks are sound");
        for name in names {
            let there = self.raw || block.get(name).is_some();
            assert!(there, "{name} is missing in {block:?}");
        }
    }

    /// Our side has written this.
    pub(crate) fn wrote(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
        let frames = frames(&mut self.decoder, &mut self.buf).expect("our output decodes");
        for frame in &frames {
            assert!(!self.over, "behind the last frame: {}", short(frame));
            self.check(frame);
        }
    }

    /// Our side writes no more.
    pub(crate) fn end(&self) {
        let whole = self.decoder.is_at_boundary() && self.buf.is_empty();
        assert!(whole, "our output ends inside a frame");
    }

    fn stream(&mut self, id: StreamId, what: &str) -> &mut Sent {
        let known = self.said.opened.contains(&id.get()) || self.streams.contains_key(&id.get());
        assert!(known, "{what} on stream {id}, which nobody has opened");
        self.streams.entry(id.get()).or_default()
    }

    /// A frame that carries something for the peer's application.
    fn speaks(&mut self, id: StreamId, fin: bool, what: &str) -> &mut Sent {
        let stream = self.stream(id, what);
        assert!(stream.begun, "{what} on stream {id} before its first frame");
        assert!(!stream.finished, "{what} on stream {id} behind FIN");
        assert!(!stream.reset, "{what} on stream {id} behind RST_STREAM");
        stream.finished = fin;
        stream
    }

    fn check(&mut self, frame: &Received) {
        match frame {
            Received::SynStream(syn) => {
                self.check_block(
                    &syn.block,
                    &[":method", ":path", ":version", ":host", ":scheme"],
                );
                assert!(self.ours.created(syn.id.get()), "an id of the peer's");
                assert!(syn.id.get() > self.newest, "ids have to grow");
                assert!(self.ours == Role::Client, "a server never pushes");
                self.newest = syn.id.get();
                let stream = self.streams.entry(syn.id.get()).or_default();
                stream.begun = true;
                stream.finished = syn.fin;
            }
            Received::SynReply(reply) => {
                self.check_block(&reply.block, &[":status", ":version"]);
                let foreign = self.raw || !self.ours.created(reply.id.get());
                assert!(foreign, "a reply to ourselves");
                let stream = self.stream(reply.id, "SYN_REPLY");
                assert!(!stream.begun, "two replies on stream {}", reply.id);
                stream.begun = true;
                self.speaks(reply.id, reply.fin, "SYN_REPLY");
            }
            Received::Headers(headers) => {
                self.check_block(&headers.block, &[]);
                self.speaks(headers.id, headers.fin, "HEADERS");
            }
            Received::Data(piece) => self.check_data(piece),
            Received::RstStream(rst) => self.check_reset(*rst),
            Received::WindowUpdate(update) => {
                assert!(update.delta > 0, "an empty WINDOW_UPDATE");
                let id = update.id.map_or(0, StreamId::get);
                let most = match update.id {
                    Some(_) => self.said.data(id),
                    None => self.said.data(0) + self.first_credit,
                };
                let sent = match update.id {
                    Some(id) => self.stream(id, "WINDOW_UPDATE"),
                    None => &mut self.connection,
                };
                sent.credit += u64::from(update.delta);
                assert!(sent.credit <= most, "more credit than DATA on {id}");
            }
            Received::Ping(id) => {
                let known = self.ours.created(*id) || self.said.pings.contains(id);
                assert!(known, "PING {id} echoes nothing");
            }
            Received::GoAway(go_away) => self.over = go_away.status != GoAwayStatus::OK,
            Received::Settings(settings) => assert!(self.raw || !settings.is_empty()),
            Received::Ignored { kind, .. } => panic!("a frame of the unknown type {kind}"),
        }
    }

    fn check_reset(&mut self, rst: RstStream) {
        let id = rst.id.get();
        self.resets += 1;
        let known = self.said.named.contains(&id) || self.streams.contains_key(&id);
        assert!(known, "RST_STREAM {id} answers nothing");
        assert!(rst.status.code() != 0);
        let stream = self.streams.entry(id).or_default();
        if rst.status == ResetStatus::INVALID_STREAM && !stream.begun && !stream.premature {
            stream.premature = true;
            return;
        }
        let again = stream.reset && self.resets <= REMEMBERED;
        assert!(!again, "stream {id} is reset twice");
        stream.reset = true;
    }

    fn check_data(&mut self, piece: &DataPiece) {
        let id = piece.id.expect("DATA names a stream");
        if let Some(len) = piece.frame_len {
            let len = usize::try_from(len).unwrap();
            assert!(len <= self.most_data, "DATA of {len} bytes");
            let empty = len == 0 && !piece.fin;
            assert!(!empty, "empty DATA without FIN on stream {id}");
        }
        let len = u64::try_from(piece.payload.len()).unwrap();
        let windows = self.said.initial_window + self.said.credit(id.get());
        let connection = u64::from(DEFAULT_WINDOW) + self.said.credit(0);
        let counts = self.windows_count;
        self.connection.data += len;
        let all = self.connection.data;
        let stream = self.speaks(id, piece.fin, "DATA");
        stream.data += len;
        if counts {
            assert!(stream.data <= windows, "stream {id} passes its window");
            assert!(all <= connection, "the window of the connection is passed");
        }
    }
}
