//! Reading is paused: an end of the transport is seen by reading alone, so that only writing shows that the peer has gone.

use std::time::Instant;

use super::Session;

/// A pause of reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub(crate) since: Instant,
    /// When the next probe is due. None is while one waits to be sent, or without
    /// [`pause_probe_interval`](crate::Config::pause_probe_interval).
    probe_at: Option<Instant>,
}

impl Session {
    pub(crate) fn begin_pause(&mut self, now: Instant) {
        self.paused = Some(Pause {
            since: now,
            probe_at: self.next_probe(now),
        });
    }

    pub(crate) fn end_pause(&mut self, pause: Pause, now: Instant) {
        self.paused = None;
        // What was not read may be older than it looks: these start again.
        self.keep_alive.heard(now);
        self.last_frame = now;
        // This one stood still. Starting again would let a peer that makes us pause keep streams waiting for ever.
        self.opening.resume(pause.since, now);
    }

    fn next_probe(&self, now: Instant) -> Option<Instant> {
        let interval = self.config.pause_probe_interval?;
        now.checked_add(interval)
            .filter(|_| !self.control.has_probe())
    }

    pub(crate) fn probe_deadline(&self) -> Option<Instant> {
        self.paused?.probe_at
    }

    /// Queues a probe when one is due. SETTINGS without an entry changes nothing and is not answered. A PING would be: its
    /// echo waits for us to read, and spdystream, which writes it from the task that handles its frames, would read no more
    /// until then.
    pub(crate) fn expire_probe(&mut self, now: Instant) {
        if let Some(pause) = &mut self.paused {
            if pause.probe_at.is_some_and(|at| at <= now) {
                pause.probe_at = None;
                self.control.push_probe();
            }
        }
    }

    /// A probe was sent. The next one follows from there: while the transport takes nothing, what waits shows as well
    /// whether the peer is there.
    pub(crate) fn probe_sent(&mut self, now: Instant) {
        let next = self.next_probe(now);
        if let Some(pause) = &mut self.paused {
            pause.probe_at = next;
        }
    }
}
