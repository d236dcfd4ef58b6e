//! PING: round trips for the application, keep-alive, and the echo that ends the first phase of a shutdown
//! (SPDY/3.1 section 2.6.5).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::frame::Role;

/// How many PINGs may be under way at once: fewer than the burst that a session of this crate takes from its peer.
const MAX_OUTSTANDING: usize = 64;

/// What a PING was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The application asked.
    User,
    /// Keep-alive.
    KeepAlive,
    /// The echo shows that the peer has read our first GOAWAY.
    Drain,
}

#[derive(Debug)]
struct Outstanding {
    id: u32,
    purpose: Purpose,
    sent: Option<Instant>,
}

/// The PINGs that wait for their echo.
#[derive(Debug)]
pub(crate) struct Pings {
    next: u32,
    outstanding: VecDeque<Outstanding>,
}

impl Pings {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            next: role.first_id(),
            outstanding: VecDeque::new(),
        }
    }

    /// Registers a PING and gives its id, or `None` when too many are under way.
    pub(crate) fn start(&mut self, purpose: Purpose) -> Option<u32> {
        if self.outstanding.len() >= MAX_OUTSTANDING && purpose == Purpose::User {
            return None;
        }
        if purpose == Purpose::KeepAlive {
            // Any byte answers a keep-alive PING: a peer that never echoes must not make them pile up.
            self.outstanding
                .retain(|ping| ping.purpose != Purpose::KeepAlive);
        }
        let id = self.next;
        // Ids are reused after wrapping (section 2.6.5); +2 keeps the parity. Some peers take 0 for an error.
        self.next = match id.wrapping_add(2) {
            0 => 2,
            next => next,
        };
        self.outstanding.push_back(Outstanding {
            id,
            purpose,
            sent: None,
        });
        Some(id)
    }

    /// Notes when a PING of ours was written, and what it was sent for.
    pub(crate) fn sent(&mut self, id: u32, now: Instant) -> Option<Purpose> {
        let ping = self.outstanding.iter_mut().find(|ping| ping.id == id)?;
        ping.sent = Some(now);
        Some(ping.purpose)
    }

    /// Takes the PING that this echo answers; `None` if there is none (ignored, section 2.6.5).
    pub(crate) fn answered(&mut self, id: u32, now: Instant) -> Option<(Purpose, Duration)> {
        let position = self
            .outstanding
            .iter()
            .position(|ping| ping.id == id && ping.sent.is_some())?;
        let ping = self.outstanding.remove(position)?;
        Some((ping.purpose, now.saturating_duration_since(ping.sent?)))
    }
}

/// Keep-alive: any received byte is life.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    interval: Option<Duration>,
    timeout: Duration,
    last_heard: Instant,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing asked.
    Quiet,
    /// A PING is queued.
    Asked,
    /// The PING was emitted, or the transport took bytes in front of it, at this time.
    Emitted(Instant),
    /// The PING was written at this time.
    Waiting(Instant),
}

/// What keep-alive wants to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepAliveAction {
    /// Send a PING.
    Ping,
    /// The peer is dead.
    Expire,
}

impl KeepAlive {
    pub(crate) fn new(interval: Option<Duration>, timeout: Duration, now: Instant) -> Self {
        Self {
            interval,
            timeout,
            last_heard: now,
            phase: Phase::Quiet,
        }
    }

    /// Bytes arrived, or reading starts again after a pause of ours.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.phase = Phase::Quiet;
    }

    /// Nothing may be sent yet: the peer has to speak first, and its time-out starts now.
    pub(crate) fn cannot_ask(&mut self, now: Instant) {
        self.phase = Phase::Waiting(now);
    }

    /// The PING was emitted: the time-out starts now.
    pub(crate) fn ping_sent(&mut self, now: Instant) {
        if self.phase == Phase::Asked {
            self.phase = Phase::Emitted(now);
        }
    }

    /// The transport took bytes; `all` says that nothing is left. While output lies in front of the PING, a peer
    /// that reads slowly is alive, and the time-out starts again.
    pub(crate) fn written(&mut self, all: bool, now: Instant) {
        if matches!(self.phase, Phase::Emitted(_)) {
            self.phase = if all {
                Phase::Waiting(now)
            } else {
                Phase::Emitted(now)
            };
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let interval = self.interval?;
        match self.phase {
            Phase::Quiet => self.last_heard.checked_add(interval),
            Phase::Asked => None,
            Phase::Emitted(since) | Phase::Waiting(since) => since.checked_add(self.timeout),
        }
    }

    pub(crate) fn expired(&mut self, now: Instant) -> Option<KeepAliveAction> {
        if self.deadline()? > now {
            return None;
        }
        match self.phase {
            Phase::Quiet => {
                self.phase = Phase::Asked;
                Some(KeepAliveAction::Ping)
            }
            Phase::Asked => None,
            Phase::Emitted(_) | Phase::Waiting(_) => Some(KeepAliveAction::Expire),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_role_and_echoes_are_matched_once() {
        let start = Instant::now();
        let mut pings = Pings::new(Role::Server);
        let id = pings.start(Purpose::User).unwrap();
        assert_eq!(id, 2);
        assert_eq!(pings.start(Purpose::Drain), Some(4));
        assert_eq!(pings.answered(id, start), None, "not sent yet");
        pings.sent(id, start);
        let rtt = Duration::from_millis(7);
        assert_eq!(pings.answered(id, start + rtt), Some((Purpose::User, rtt)));
        assert_eq!(pings.answered(id, start), None);
    }

    #[test]
    fn the_number_under_way_is_bounded() {
        let mut pings = Pings::new(Role::Client);
        let started = (0..200).filter_map(|_| pings.start(Purpose::User)).count();
        assert_eq!(started, MAX_OUTSTANDING);
        assert!(pings.start(Purpose::Drain).is_some());
    }

    #[test]
    fn the_clock_of_a_keep_alive_starts_when_the_ping_was_written() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut keep_alive = KeepAlive::new(Some(10 * second), 5 * second, start);
        assert_eq!(keep_alive.expired(start + 9 * second), None);
        assert_eq!(
            keep_alive.expired(start + 10 * second),
            Some(KeepAliveAction::Ping)
        );
        assert_eq!(keep_alive.deadline(), None);
        assert_eq!(keep_alive.expired(start + 100 * second), None);
        keep_alive.ping_sent(start + 100 * second);
        assert_eq!(keep_alive.expired(start + 104 * second), None);
        assert_eq!(
            keep_alive.expired(start + 105 * second),
            Some(KeepAliveAction::Expire)
        );
        keep_alive.written(false, start + 103 * second);
        assert_eq!(keep_alive.expired(start + 107 * second), None);
        keep_alive.written(true, start + 107 * second);
        keep_alive.written(true, start + 110 * second);
        assert_eq!(
            keep_alive.expired(start + 112 * second),
            Some(KeepAliveAction::Expire)
        );
        keep_alive.heard(start + 105 * second);
        assert_eq!(keep_alive.deadline(), Some(start + 115 * second));
    }
}
