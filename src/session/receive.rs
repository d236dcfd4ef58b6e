//! B. What happened: frames of the peer, and the end of the transport.

use std::time::Instant;

use super::control::Control;
use super::ping::Purpose;
use super::state::State;
use super::store::Key;
use super::stream::{Request, Stream};
use super::window::StreamWindow;
use super::{Event, FlowControl, Session};
use crate::error::{Error, Initiator};
use crate::frame::{
    DataPiece, GoAwayStatus, HeaderFrame, MAX_WINDOW, Received, ReceivedBlock, ResetStatus,
    RstStream, SettingId, Settings, StreamId, SynStream, WindowUpdate,
};
use crate::headers::BlockError;

/// A DATA frame under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IncomingData {
    /// The stream that takes the bytes; `None` drops them and credits the connection.
    pub(crate) key: Option<Key>,
    /// Bytes of the frame that have not arrived.
    pub(crate) remaining: u32,
}

/// The highest id of our parity that a lenient session lets its peer use: it must not use up ours.
const MAX_TAKEN_ID: u32 = 1 << 30;

/// A violation that ends the session.
type Violation = &'static str;

/// What a wire id stands for.
enum Lookup {
    Active(Key),
    /// Used once, or skipped: ids in gaps count as closed.
    Closed,
    /// Never used.
    Idle,
}

impl Session {
    /// Bytes of any kind have arrived.
    pub fn handle_read(&mut self, now: Instant) {
        self.heard = true;
        self.keep_alive.heard(now);
    }

    /// The transport took emitted bytes; `all` says that nothing emitted is left to be written. Optional: it makes
    /// the keep-alive time-out count from when its PING was written, not from when it was emitted.
    pub fn handle_write(&mut self, all: bool, now: Instant) {
        self.keep_alive.written(all, now);
    }

    /// A frame, or a piece of a DATA frame, has arrived. A violation that ends the session is handled here:
    /// GOAWAY is queued and every stream fails.
    pub fn handle_frame(&mut self, frame: Received, now: Instant) {
        if self.lifecycle.is_over() {
            return;
        }
        self.last_frame = now;
        let result = match frame {
            Received::Data(piece) => self.on_data(piece, now),
            Received::SynStream(syn) => self.on_syn_stream(syn),
            Received::SynReply(reply) => {
                self.on_syn_reply(reply, now);
                Ok(())
            }
            Received::Headers(headers) => {
                self.on_headers(headers, now);
                Ok(())
            }
            Received::RstStream(reset) => self.on_rst_stream(reset, now),
            Received::WindowUpdate(update) => self.on_window_update(update),
            Received::Settings(settings) => {
                let allowed = self.budgets.control_frame(now);
                allowed.and_then(|()| self.on_settings(&settings))
            }
            Received::Ping(id) => self.on_ping(id, now),
            Received::GoAway(go_away) => {
                self.on_go_away(go_away);
                self.budgets.control_frame(now)
            }
            // Section 2.2.1 lets unknown types be skipped; so do all lenient peers (U-09).
            Received::Ignored { .. } => self.budgets.control_frame(now),
        };
        let result = result.and_then(|()| {
            if std::mem::take(&mut self.forced_reset) {
                self.budgets.forced_reset(now)?;
            }
            Ok(())
        });
        if let Err(why) = result {
            self.fail(Error::session(
                GoAwayStatus::PROTOCOL_ERROR,
                Initiator::Library,
                why,
            ));
        }
    }

    fn lookup(&mut self, id: StreamId) -> Lookup {
        if let Some(key) = self.store.find(id) {
            return Lookup::Active(key);
        }
        let used = if self.role.created(id.get()) {
            self.next_id.is_none_or(|next| id < next)
        } else {
            id.get() <= self.highest_peer
        };
        if used { Lookup::Closed } else { Lookup::Idle }
    }

    /// Resets an active stream for an error of the peer.
    fn reset_for_error(&mut self, key: Key, status: ResetStatus, why: &'static str) {
        self.forced_reset = true;
        self.reset_stream(key, status, Initiator::Library, why);
    }

    /// Resets an active stream for its header block. One that is merely larger than our limit is no error of the peer.
    fn reset_for_block(&mut self, key: Key, error: BlockError) {
        self.forced_reset |= !error.is_too_large();
        self.reset_stream(key, error.status(), Initiator::Library, error.description());
    }

    /// Answers a frame for a stream that is not active: one RST_STREAM at most per id (section 2.4.2 lets
    /// repeats be coalesced), and none once GOAWAY has told which streams are ignored (sections 2.2.2, 2.6.6).
    fn reset_inactive(&mut self, id: StreamId, status: ResetStatus) {
        if self.tombstones.contains(id) || self.lifecycle.has_sent_last_good() {
            return;
        }
        self.control
            .push(Control::Reset(RstStream { id, status }), true);
        self.tombstones.insert(id);
    }

    /// As [`reset_inactive`](Self::reset_inactive), for an id that was never used. Lenient peers ignore such frames, and
    /// we theirs.
    fn reset_unknown(&mut self, id: StreamId) {
        if !self.config.lenient_streams {
            self.forced_reset = true;
            self.reset_inactive(id, ResetStatus::INVALID_STREAM);
        }
    }

    /// As [`reset_inactive`](Self::reset_inactive), for an id that was used: no more than a few a second, because the ids
    /// that were answered are not remembered for ever. The frame is dropped either way.
    fn reset_used(&mut self, id: StreamId, status: ResetStatus, now: Instant) {
        if !self.config.lenient_streams && self.budgets.late_frame(now) {
            self.reset_inactive(id, status);
        }
    }

    fn on_data(&mut self, piece: DataPiece, now: Instant) -> Result<(), Violation> {
        if let Some(len) = piece.frame_len {
            let key = self.begin_data(piece.id, len, piece.last && piece.fin, now)?;
            self.incoming_data = Some(IncomingData {
                key,
                remaining: len,
            });
        }
        let Some(mut data) = self.incoming_data else {
            return Ok(());
        };
        let n = u32::try_from(piece.payload.len()).unwrap_or(u32::MAX);
        data.remaining = data.remaining.saturating_sub(n);
        // The stream may have died, or lost its reader, in mid-frame.
        let reader = |key: &Key| self.store.get(*key).is_some_and(|s| !s.is_closed());
        data.key = data.key.filter(reader);
        self.incoming_data = if piece.last { None } else { Some(data) };
        match data
            .key
            .and_then(|key| Some((key, self.store.get_mut(key)?)))
        {
            // A stream that waits to be accepted will have a reader.
            Some((key, stream)) if stream.recv.held || stream.request.is_some() => {
                if n > 0 {
                    stream.recv.queue.push_received(piece.payload);
                    stream.recv.waiting_since.get_or_insert(now);
                    self.unread += n as usize;
                    self.wake(key, true, false, false);
                    self.unread_more(key, now);
                }
            }
            Some((key, _)) => self.discarded(key, n as usize),
            None => self.credit_connection(n as usize),
        }
        if let (true, true, Some(key)) = (piece.last, piece.fin, data.key) {
            self.on_fin(key);
        }
        Ok(())
    }

    /// Judges a DATA frame at its header and debits both windows by its Length.
    fn begin_data(
        &mut self,
        id: Option<StreamId>,
        len: u32,
        fin: bool,
        now: Instant,
    ) -> Result<Option<Key>, Violation> {
        let id = id.ok_or("DATA on stream 0")?;
        if self.obeys_windows() {
            // Section 2.6.8: every DATA frame counts, also one in error.
            self.recv_window.debit(len);
            if self.config.flow_control == FlowControl::Spec && self.recv_window.left() < 0 {
                // The text demands GOAWAY with FLOW_CONTROL_ERROR and has no number for it; all peers send 1.
                return Err(
                    "the peer sent more DATA than the connection window allows (flow-control error)",
                );
            }
        }
        let key = match self.lookup(id) {
            Lookup::Active(key) => key,
            // Section 2.2.2: DATA for a stream that is not open, unless GOAWAY was sent.
            Lookup::Idle => {
                self.budgets.data_frame(len, now)?;
                self.reset_unknown(id);
                return Ok(None);
            }
            // Section 2.3.7: DATA for a stream that was open and is closed.
            Lookup::Closed => {
                self.reset_used(id, ResetStatus::PROTOCOL_ERROR, now);
                return Ok(None);
            }
        };
        let floor =
            i64::from(self.announced_stream_window()) - i64::from(crate::frame::DEFAULT_WINDOW);
        let strict = self.config.flow_control == FlowControl::Spec;
        let obeys_windows = self.obeys_windows();
        let lenient = self.config.lenient_streams;
        let Some(stream) = self.store.get_mut(key) else {
            return Ok(None);
        };
        if let Err(status) = stream.state.recv_payload() {
            if !(lenient && status == ResetStatus::STREAM_ALREADY_CLOSED) {
                self.reset_for_error(key, status, "DATA in a state that does not allow it");
            }
            return Ok(None);
        }
        if obeys_windows {
            stream.recv.window.debit(len);
            // Section 2.6.8: until the peer has seen a SETTINGS that lowers the window, it may send up to 64 KiB.
            if strict && stream.recv.window.left() < floor.min(0) {
                let why = "the peer sent more DATA than the stream window allows";
                self.reset_for_error(key, ResetStatus::FLOW_CONTROL_ERROR, why);
                return Ok(None);
            }
        }
        stream.recv.received += u64::from(len);
        // Final frames are free (as far as FIN is known here), and so is what nobody will read.
        if !fin && (stream.recv.held || stream.request.is_some()) {
            stream.recv.overhead += self.budgets.data_frame(len, now)?;
        }
        Ok(Some(key))
    }

    /// The peer has ended its direction.
    fn on_fin(&mut self, key: Key) {
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        let next = stream.state.recv_fin();
        stream.recv.ended = true;
        self.credit.remove(&mut self.store, key);
        if next == State::Closed {
            self.end(key, None, false);
        } else if let Some(stream) = self.store.get_mut(key) {
            stream.state = next;
            self.wake(key, true, false, false);
        }
    }

    fn on_syn_stream(&mut self, syn: SynStream<ReceivedBlock>) -> Result<(), Violation> {
        let id = syn.id;
        if self.role.created(id.get()) {
            if !self.config.lenient_streams {
                return Err("SYN_STREAM with an id of the receiver's parity (section 2.3.2)");
            }
            if self.next_id.is_none_or(|next| id < next) {
                return self.on_reused_id(id);
            }
            if id.get() > MAX_TAKEN_ID {
                self.forced_reset = true;
                self.reset_inactive(id, ResetStatus::PROTOCOL_ERROR);
                return Ok(());
            }
            // Our own go on behind it.
            self.next_id = StreamId::new(id.get() + 2);
        }
        if id.get() <= self.highest_peer {
            return self.on_reused_id(id);
        }
        self.highest_peer = id.get();
        // Section 2.6.6: streams that arrive after our GOAWAY are ignored; the codec has inflated the block.
        if self.lifecycle.is_draining() {
            if !self.config.early_goaway {
                self.reset_inactive(id, ResetStatus::REFUSED_STREAM);
            }
            return Ok(());
        }
        let headers = match syn.block {
            Err(error) if !error.is_too_large() => {
                self.forced_reset = true;
                self.reset_inactive(id, error.status());
                return Ok(());
            }
            headers => headers,
        };
        let limit = self.config.max_concurrent_streams as usize;
        // Ended streams that the application still holds count at half weight: a peer that cancels and asks again
        // is served, one that does nothing else meets a bound.
        let crowded = self.peer_active >= limit || self.peer_held >= limit.saturating_mul(2);
        if !self.config.accept_streams || crowded {
            self.reset_inactive(id, ResetStatus::REFUSED_STREAM);
            return Ok(());
        }
        let mut stream = Stream::incoming(id, syn.priority, syn.unidirectional);
        stream.request = Some(Box::new(Request {
            headers,
            associated: syn.associated,
            unidirectional: syn.unidirectional,
        }));
        stream.send.window = StreamWindow::new(self.peer_initial_window);
        stream.recv.window = StreamWindow::new(self.announced_stream_window());
        let key = self.insert(stream);
        self.peer_active += 1;
        self.peer_held += 1;
        self.backlog.push_back(&mut self.store, key);
        self.events.push_back(Event::Accept);
        if syn.fin {
            self.on_fin(key);
        }
        Ok(())
    }

    /// A SYN_STREAM whose id is not new (section 2.3.2).
    fn on_reused_id(&mut self, id: StreamId) -> Result<(), Violation> {
        if let Some(key) = self.store.find(id) {
            let why = "second SYN_STREAM for an open stream";
            self.reset_for_error(key, ResetStatus::PROTOCOL_ERROR, why);
            return Ok(());
        }
        if id.get() == self.highest_peer || self.config.lenient_streams {
            self.forced_reset = true;
            self.reset_inactive(id, ResetStatus::PROTOCOL_ERROR);
            return Ok(());
        }
        Err("SYN_STREAM with an id lower than one received before (section 2.3.2)")
    }

    fn on_syn_reply(&mut self, reply: HeaderFrame<ReceivedBlock>, now: Instant) {
        let key = match self.lookup(reply.id) {
            Lookup::Active(key) => key,
            // U-11: no draft names the reaction to SYN_REPLY for an unknown or closed stream.
            Lookup::Idle => return self.reset_unknown(reply.id),
            Lookup::Closed => {
                return self.reset_used(reply.id, ResetStatus::INVALID_STREAM, now);
            }
        };
        let skip_interim = self.config.skip_interim_replies;
        let lenient = self.config.lenient_streams;
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        let next = match stream.state.recv_reply(stream.own) {
            Ok(next) => next,
            Err(_) if lenient => return,
            Err(status) => {
                return self.reset_for_error(
                    key,
                    status,
                    "SYN_REPLY in a state that does not allow it",
                );
            }
        };
        let block = match reply.block {
            Ok(block) => block,
            Err(error) => return self.reset_for_block(key, error),
        };
        // SPDY has no interim responses, but node sends them. One is skipped, a deliberate deviation from section
        // 2.6.2, which would make the real reply behind it an error.
        let interim = block
            .get(":status")
            .is_some_and(|status| status.first() == Some(&b'1'));
        if skip_interim && interim && !reply.fin && !stream.recv.interim_seen {
            stream.recv.interim_seen = true;
            return;
        }
        stream.state = next;
        stream.recv.reply = Some(block);
        self.wake(key, false, false, true);
        if reply.fin {
            self.on_fin(key);
        }
    }

    fn on_headers(&mut self, headers: HeaderFrame<ReceivedBlock>, now: Instant) {
        let key = match self.lookup(headers.id) {
            Lookup::Active(key) => key,
            Lookup::Idle => return self.reset_unknown(headers.id),
            Lookup::Closed => {
                return self.reset_used(headers.id, ResetStatus::INVALID_STREAM, now);
            }
        };
        let limit = self.config.max_header_list_size;
        let lenient = self.config.lenient_streams;
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        if let Err(status) = stream.state.recv_payload() {
            if lenient && status == ResetStatus::STREAM_ALREADY_CLOSED {
                return;
            }
            return self.reset_for_error(key, status, "HEADERS in a state that does not allow it");
        }
        let block = match headers.block {
            Ok(block) => block,
            Err(error) => return self.reset_for_block(key, error),
        };
        // Any number of HEADERS may come (section 2.3.4); together they are bounded like one block.
        // What the application has taken counts no more: a stream may live long.
        if !block.is_empty() && (stream.recv.held || stream.request.is_some()) {
            stream.recv.headers_size += block.list_size();
            if stream.recv.headers_size > limit {
                let why = "the HEADERS that wait to be read together pass the header list limit";
                return self.reset_for_error(key, ResetStatus::FRAME_TOO_LARGE, why);
            }
            stream.recv.headers.push_back(block);
            self.wake(key, true, false, false);
        }
        if headers.fin {
            self.on_fin(key);
        }
    }

    fn on_rst_stream(&mut self, reset: RstStream, now: Instant) -> Result<(), Violation> {
        // Section 2.4.2: RST_STREAM is never answered; one for an unknown stream is ignored.
        let Lookup::Active(key) = self.lookup(reset.id) else {
            return Ok(());
        };
        // What the peer still sends on the stream is dropped.
        self.tombstones.insert(reset.id);
        let unanswered = |stream: &Stream| matches!(stream.state, State::Rcvd | State::RcvdFin);
        let early = self.store.get(key).is_some_and(unanswered);
        if self.config.cancel_is_end && reset.status == ResetStatus::CANCEL {
            if let Some(stream) = self.store.get_mut(key) {
                // Without a SYN_REPLY it is a refusal.
                let replied = |state| matches!(state, State::Open | State::HalfLocal);
                stream.recv.ended |= replied(stream.state);
            }
        }
        let error = Error::reset(
            Some(reset.id),
            reset.status,
            Initiator::Remote,
            reset.status.description(),
        );
        // What arrived before the reset stays readable.
        self.end(key, Some(error), false);
        if early {
            self.budgets.early_reset(now)?;
        }
        Ok(())
    }

    fn on_window_update(&mut self, update: WindowUpdate) -> Result<(), Violation> {
        if !self.obeys_windows() {
            return Ok(());
        }
        let Some(id) = update.id else {
            if update.delta == 0 {
                return Err("WINDOW_UPDATE of 0 for the connection (section 2.6.8)");
            }
            return self.send_window.credit(update.delta).map_err(
                |_| "WINDOW_UPDATE lifts the connection window above 2^31-1 (flow-control error)",
            );
        };
        // U-14, C-090: ignored for unknown and closed streams, and once our FIN was sent.
        let Lookup::Active(key) = self.lookup(id) else {
            return Ok(());
        };
        let Some(stream) = self.store.get_mut(key) else {
            return Ok(());
        };
        if !stream.state.is_send_open() {
            return Ok(());
        }
        if update.delta == 0 || stream.send.window.credit(update.delta).is_err() {
            let why = "WINDOW_UPDATE of 0, or one that lifts the stream window above 2^31-1";
            self.reset_for_error(key, ResetStatus::FLOW_CONTROL_ERROR, why);
            return Ok(());
        }
        self.reschedule(key);
        self.wake_writer(key);
        Ok(())
    }

    fn on_settings(&mut self, settings: &Settings) -> Result<(), Violation> {
        // A PERSISTED value is our own old one coming back: it says nothing about the peer (U-35).
        let value = |id| {
            settings
                .get(id)
                .filter(|setting| !setting.persisted)
                .map(|setting| setting.value)
        };
        if let Some(limit) = value(SettingId::MaxConcurrentStreams) {
            self.peer_max_streams = Some(limit);
            self.apply_own_limit();
            self.announce_slot();
        }
        let Some(size) = value(SettingId::InitialWindowSize).filter(|_| self.obeys_windows())
        else {
            return Ok(());
        };
        if size > MAX_WINDOW {
            return Err("SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1 (U-17)");
        }
        // Section 2.6.8: every open stream shifts by the difference; the connection window does not change.
        let delta = i64::from(size) - i64::from(self.peer_initial_window);
        self.peer_initial_window = size;
        if delta == 0 {
            return Ok(());
        }
        for key in self.store.keys() {
            // Behind our FIN the window means nothing any more.
            let open = |stream: &&mut Stream| stream.state.is_send_open();
            let Some(stream) = self.store.get_mut(key).filter(open) else {
                continue;
            };
            if stream.send.window.shift(delta).is_err() {
                let why = "SETTINGS lifts the stream window above 2^31-1";
                self.reset_for_error(key, ResetStatus::FLOW_CONTROL_ERROR, why);
                continue;
            }
            self.reschedule(key);
            self.wake_writer(key);
        }
        Ok(())
    }

    fn on_ping(&mut self, id: u32, now: Instant) -> Result<(), Violation> {
        if !self.role.created(id) {
            self.budgets.control_frame(now)?;
            self.control.push_echo(id);
            return Ok(());
        }
        match self.pings.answered(id, now) {
            Some((Purpose::User, rtt)) => self.events.push_back(Event::Pong { id, rtt }),
            Some((Purpose::Drain, _)) => self.drain_ping_answered(),
            // Section 2.6.5: an echo of nothing is ignored.
            Some((Purpose::KeepAlive, _)) => {}
            None => self.budgets.control_frame(now)?,
        }
        Ok(())
    }
}
