//! The urgent queue: what is sent ahead of everything else, in order.

use std::collections::VecDeque;
use std::time::Instant;

use super::ping::Purpose;
use super::{Session, shutdown};
use crate::frame::{DEFAULT_WINDOW, Frame, GoAway, RstStream, SettingId, Settings};

/// A small frame that waits to be sent.
#[derive(Debug)]
pub(crate) enum Control {
    Settings(Settings),
    Ping(u32),
    Reset(RstStream),
    GoAway(GoAway),
}

#[derive(Debug)]
pub(crate) struct Queued {
    control: Control,
    peer_caused: bool,
}

/// The urgent frames. Bounded: what the peer causes stops us from reading (see `wants_read`), PINGs of ours are
/// counted, and resets need streams that were open.
#[derive(Debug, Default)]
pub(crate) struct ControlQueue {
    queue: VecDeque<Queued>,
    /// PINGs of the peer.
    echoes: VecDeque<u32>,
    peer_caused: usize,
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

    pub(crate) fn pop(&mut self) -> Option<Control> {
        // SETTINGS is only queued as the first frame of the session, and stays that.
        let settings = |queued: &Queued| matches!(queued.control, Control::Settings(_));
        if !self.queue.front().is_some_and(settings) {
            if let Some(id) = self.echoes.pop_front() {
                return Some(Control::Ping(id));
            }
        }
        let queued = self.queue.pop_front()?;
        self.peer_caused -= usize::from(queued.peer_caused);
        Some(queued.control)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.echoes.is_empty()
    }

    /// How many frames the peer has caused.
    pub(crate) fn peer_caused(&self) -> usize {
        self.peer_caused + self.echoes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.echoes.clear();
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
        Some(match self.control.pop()? {
            Control::Settings(settings) => Frame::Settings(settings),
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
