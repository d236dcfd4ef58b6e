//! The urgent queue: what is sent ahead of everything else, in order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::budget::Bucket;
use super::ping::Purpose;
use super::{Session, shutdown};
use crate::frame::{DEFAULT_WINDOW, Frame, GoAway, RstStream, SettingId, Settings};

/// A small frame that waits to be sent.
#[derive(Debug)]
pub(crate) enum Control {
    Settings(Settings),
    /// Shows whether anybody is there, and asks for nothing.
    Probe,
    Ping(u32),
    Reset(RstStream),
    GoAway(GoAway),
}

#[derive(Debug)]
pub(crate) struct Queued {
    control: Control,
    peer_caused: bool,
}

/// How many PINGs of the application go out at once, and how many a second: less than what a peer of this crate takes
/// for a flood.
const PING_BURST: u64 = 64;
const PING_RATE: u64 = 8;

/// The urgent frames. Bounded: what the peer causes stops us from reading (see `wants_read`), PINGs of ours are
/// counted, and resets need streams that were open.
#[derive(Debug)]
pub(crate) struct ControlQueue {
    queue: VecDeque<Queued>,
    /// PINGs of the peer.
    echoes: VecDeque<u32>,
    peer_caused: usize,
    /// Whether a probe waits.
    probe: bool,
    /// PINGs of the application.
    pings: VecDeque<u32>,
    pace: Bucket,
    /// When the next of them may go out, if not now.
    pings_at: Option<Instant>,
}

impl Default for ControlQueue {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            echoes: VecDeque::new(),
            peer_caused: 0,
            probe: false,
            pings: VecDeque::new(),
            pace: Bucket::new(PING_BURST, PING_RATE),
            pings_at: None,
        }
    }
}

impl ControlQueue {
    pub(crate) fn push(&mut self, control: Control, peer_caused: bool) {
        self.peer_caused += usize::from(peer_caused);
        self.queue.push_back(Queued {
            control,
            peer_caused,
        });
    }

    /// An echo goes out ahead of everything else (section 2.6.5).
    pub(crate) fn push_echo(&mut self, id: u32) {
        self.echoes.push_back(id);
    }

    /// At most one waits.
    pub(crate) fn push_probe(&mut self) {
        self.probe = true;
    }

    pub(crate) fn has_probe(&self) -> bool {
        self.probe
    }

    pub(crate) fn push_ping(&mut self, id: u32) {
        self.pings.push_back(id);
    }

    /// The next PING of the application, unless it has to wait.
    fn pop_ping(&mut self, now: Instant) -> Option<Control> {
        if self.pings.is_empty() || self.pings_at.is_some() {
            return None;
        }
        if !self.pace.take(now) {
            let pause = Duration::from_millis(1000 / PING_RATE);
            self.pings_at = now.checked_add(pause);
            return None;
        }
        self.pings.pop_front().map(Control::Ping)
    }

    /// When PINGs that wait may go out.
    pub(crate) fn pings_deadline(&self) -> Option<Instant> {
        self.pings_at
    }

    pub(crate) fn release_pings(&mut self, now: Instant) {
        self.pings_at = self.pings_at.filter(|at| *at > now);
    }

    pub(crate) fn pop(&mut self, now: Instant) -> Option<Control> {
        // SETTINGS with entries is only queued as the first frame of the session, and stays that.
        let settings = |queued: &Queued| matches!(queued.control, Control::Settings(_));
        if !self.queue.front().is_some_and(settings) {
            if let Some(id) = self.echoes.pop_front() {
                return Some(Control::Ping(id));
            }
            if std::mem::take(&mut self.probe) {
                return Some(Control::Probe);
            }
        }
        let Some(queued) = self.queue.pop_front() else {
            return self.pop_ping(now);
        };
        self.peer_caused -= usize::from(queued.peer_caused);
        Some(queued.control)
    }

    pub(crate) fn is_empty(&self) -> bool {
        let pings = !self.pings.is_empty() && self.pings_at.is_none();
        self.queue.is_empty() && self.echoes.is_empty() && !self.probe && !pings
    }

    /// How many frames the peer has caused.
    pub(crate) fn peer_caused(&self) -> usize {
        self.peer_caused + self.echoes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.echoes.clear();
        self.probe = false;
        self.pings.clear();
        self.pings_at = None;
        self.peer_caused = 0;
    }
}

impl Session {
    /// The first frames: SETTINGS. The larger connection window follows as credit that is due at once.
    pub(crate) fn queue_preface(&mut self) {
        if self.config.announce_settings {
            let mut settings = Settings::new();
            if self.config.accept_streams {
                settings.set(
                    SettingId::MaxConcurrentStreams,
                    self.config.max_concurrent_streams,
                );
            }
            if self.obeys_windows() {
                settings.set(SettingId::InitialWindowSize, self.config.stream_window);
            }
            if !settings.is_empty() {
                self.control.push(Control::Settings(settings), false);
            }
        }
        if self.obeys_windows() {
            // The connection window can only grow past its start by WINDOW_UPDATE (section 2.6.8).
            self.recv_pending =
                u64::from(self.config.effective_connection_window() - DEFAULT_WINDOW);
        }
    }

    /// The next urgent frame.
    pub(crate) fn pop_control(&mut self, now: Instant) -> Option<Frame> {
        Some(match self.control.pop(now)? {
            Control::Settings(settings) => Frame::Settings(settings),
            Control::Probe => {
                self.probe_sent(now);
                Frame::Settings(Settings::new())
            }
            Control::Reset(reset) => Frame::RstStream(reset),
            Control::GoAway(go_away) => Frame::GoAway(go_away),
            Control::Ping(id) => {
                if self.role.created(id) {
                    match self.pings.sent(id, now) {
                        Some(Purpose::KeepAlive) => self.keep_alive.ping_sent(now),
                        Some(Purpose::Drain) => self.drain_ping_sent(now + shutdown::DRAIN_ECHO),
                        Some(Purpose::User) | None => {}
                    }
                }
                Frame::Ping(id)
            }
        })
    }
}
