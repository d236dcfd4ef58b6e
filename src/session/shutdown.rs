//! How a session ends: gracefully in three steps, or by an error (SPDY/3.1 sections 2.4.1 and 2.6.6).

use std::time::{Duration, Instant};

use super::control::Control;
use super::excess::Excess;
use super::ping::{KeepAliveAction, Purpose};
use super::store::Key;
use super::{Event, Session};
use crate::error::{Error, Initiator, Timeout};
use crate::frame::{Frame, GoAway, GoAwayStatus, ResetStatus, Role, StreamId};

/// How long the first step of a graceful shutdown waits for its PING.
pub(crate) const DRAIN_ECHO: Duration = Duration::from_secs(1);

/// Where a session is in its life.
///
/// ```text
/// Active --shutdown--> Announced --echo or 1 s--> Draining --last stream ended--> Closing --GOAWAY sent--> Closed
///    |                     |                         |                               |
///    '---------------------+------ error ------------+-------------------------------'--> Failed
/// ```
#[derive(Debug)]
pub(crate) enum Lifecycle {
    /// In use.
    Active,
    /// GOAWAY with the highest possible last-good-stream-id was sent and a PING behind it. What arrives before its
    /// echo was sent without knowledge of the GOAWAY and is still served: a deliberate deviation from section
    /// 2.6.6, which would lose these streams.
    Announced {
        /// When the PING is waited for no longer; `None` until it is sent. Where nothing may be said yet, when the peer's
        /// first byte is: its first request may be on its way.
        deadline: Option<Instant>,
        /// Its echo has arrived; streams that came before it wait to be accepted.
        echoed: bool,
    },
    /// GOAWAY with the real last-good-stream-id was sent, or will be the last frame; streams finish.
    Draining { go_away_sent: bool },
    /// All streams ended; `go_away` is the last frame.
    Closing { go_away: Option<GoAway> },
    /// Over without an error.
    Closed,
    /// Over by an error; `go_away` is the last frame.
    Failed {
        error: Error,
        go_away: Option<GoAway>,
    },
}

impl Lifecycle {
    /// Whether no frame is handled any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Closing { .. } | Self::Closed | Self::Failed { .. }
        )
    }

    /// Whether new streams of the peer are ignored.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self, Self::Draining { .. }) || self.is_over()
    }

    /// Whether the peer was told which of its streams are ignored.
    pub(crate) fn has_sent_last_good(&self) -> bool {
        matches!(self, Self::Draining { go_away_sent: true }) || self.is_over()
    }

    pub(crate) fn has_last_frame(&self) -> bool {
        matches!(
            self,
            Self::Closing { go_away: Some(_) }
                | Self::Failed {
                    go_away: Some(_),
                    ..
                }
        )
    }

    pub(crate) fn take_last_frame(&mut self) -> Option<Frame> {
        match self {
            Self::Closing { go_away } | Self::Failed { go_away, .. } => {
                go_away.take().map(Frame::GoAway)
            }
            _ => None,
        }
    }

    /// Nothing can be sent any more.
    pub(crate) fn transport_gone(&mut self) {
        drop(self.take_last_frame());
    }
}

impl Session {
    /// Starts a graceful shutdown: new streams of the peer are refused after at most one round trip, streams
    /// under way finish, then the session ends. Own streams whose SYN_STREAM was not sent fail as unprocessed.
    /// Repeating it changes nothing.
    pub fn shutdown(&mut self) {
        if !matches!(self.lifecycle, Lifecycle::Active) {
            return;
        }
        if !self.config.accept_streams || !self.config.early_goaway {
            self.begin_drain();
            return;
        }
        self.control.push(
            Control::GoAway(GoAway {
                last_good: Some(StreamId::MAX),
                status: GoAwayStatus::OK,
            }),
            false,
        );
        if let Some(id) = self.pings.start(Purpose::Drain) {
            self.control.push(Control::Ping(id), false);
        }
        self.lifecycle = Lifecycle::Announced {
            deadline: None,
            echoed: false,
        };
        self.fail_unsent(&Error::unprocessed(
            Initiator::User,
            "the session is shutting down",
        ));
        self.events.push_back(Event::Slot);
    }

    /// Ends the session as soon as no stream is left: nobody can open one any more.
    pub fn close_when_idle(&mut self) {
        self.close_when_idle = true;
        self.check_drained();
    }

    pub(crate) fn drain_ping_sent(&mut self, until: Instant) {
        if let Lifecycle::Announced { deadline, .. } = &mut self.lifecycle {
            *deadline = Some(until);
        }
    }

    /// The drain PING cannot be sent as long as the peer has said nothing: then that is waited for, as long as for an
    /// echo.
    pub(crate) fn note_held_back(&mut self, now: Instant) {
        if self.is_held_back() {
            if let Lifecycle::Announced { deadline, .. } = &mut self.lifecycle {
                if deadline.is_none() {
                    *deadline = now.checked_add(DRAIN_ECHO);
                }
            }
        }
    }

    /// Whether a shutdown waits for the peer's first byte, and [`note_held_back`](Self::note_held_back) has yet to say
    /// until when: nothing can be sent that would have the driver look.
    #[allow(dead_code, reason = "used by the driver above the core")]
    pub(crate) fn is_drain_untimed(&self) -> bool {
        self.is_held_back() && matches!(self.lifecycle, Lifecycle::Announced { deadline: None, .. })
    }

    pub(crate) fn drain_ping_answered(&mut self) {
        if let Lifecycle::Announced { echoed, .. } = &mut self.lifecycle {
            *echoed = true;
        }
        self.drain_if_ready();
    }

    /// Takes the second step once the echo has arrived and the application has accepted what came before it; the
    /// deadline bounds how long it may take.
    pub(crate) fn drain_if_ready(&mut self) {
        let echoed = matches!(self.lifecycle, Lifecycle::Announced { echoed: true, .. });
        if echoed && self.backlog.is_empty() {
            self.begin_drain();
        }
    }

    pub(crate) fn drain_deadline(&self) -> Option<Instant> {
        match self.lifecycle {
            Lifecycle::Announced { deadline, .. } => deadline,
            _ => None,
        }
    }

    /// The second step: from here on new streams are ignored.
    pub(crate) fn begin_drain(&mut self) {
        let early = self.config.early_goaway;
        if early {
            let go_away = self.go_away(GoAwayStatus::OK);
            self.control.push(Control::GoAway(go_away), false);
        }
        self.lifecycle = Lifecycle::Draining {
            go_away_sent: early,
        };
        self.drop_backlog(!early);
        self.fail_unsent(&Error::unprocessed(
            Initiator::User,
            "the session is shutting down",
        ));
        self.events.push_back(Event::Accept);
        self.events.push_back(Event::Slot);
        self.check_drained();
    }

    /// Drops the streams that nobody accepted. They are above last-good-stream-id: for the peer they were never
    /// processed. `refuse` tells it so one by one, for peers that were sent no GOAWAY.
    pub(crate) fn drop_backlog(&mut self, refuse: bool) {
        while let Some(key) = self.backlog.pop_front(&mut self.store) {
            if refuse {
                self.reset_stream(
                    key,
                    ResetStatus::REFUSED_STREAM,
                    Initiator::Library,
                    "the session is shutting down",
                );
            } else {
                self.end(
                    key,
                    Some(Error::unprocessed(
                        Initiator::User,
                        "the session is shutting down",
                    )),
                    true,
                );
            }
            // One that had ended before it was accepted.
            if let Some(stream) = self.store.get_mut(key) {
                stream.request = None;
            }
            self.remove_if_over(key);
        }
    }

    fn go_away(&self, status: GoAwayStatus) -> GoAway {
        GoAway {
            last_good: StreamId::new(self.highest_accepted),
            status,
        }
    }

    /// Ends a draining session once its last stream has ended.
    pub(crate) fn check_drained(&mut self) {
        if !self.is_idle() {
            return;
        }
        let go_away = match self.lifecycle {
            Lifecycle::Draining { go_away_sent: true } => None,
            Lifecycle::Draining {
                go_away_sent: false,
            } => Some(self.go_away(GoAwayStatus::OK)),
            Lifecycle::Active | Lifecycle::Announced { .. }
                if self.close_when_idle
                    && self.backlog.is_empty()
                    // A reservation is worth nothing once no stream can be opened.
                    && (self.reserved == 0 || !self.takes_streams()) =>
            {
                Some(self.go_away(GoAwayStatus::OK))
            }
            _ => return,
        };
        self.lifecycle = match self.peer_error.take() {
            Some(error) => Lifecycle::Failed { error, go_away },
            None => Lifecycle::Closing { go_away },
        };
        self.events.push_back(Event::Ended);
    }

    /// Ends the session for an error of this side or of the peer: GOAWAY is the last frame, every stream fails.
    pub fn fail(&mut self, error: Error) {
        if matches!(self.lifecycle, Lifecycle::Failed { .. } | Lifecycle::Closed) {
            return;
        }
        let status = error.go_away_status().unwrap_or(GoAwayStatus::OK);
        let go_away = Some(self.go_away(status));
        self.control.clear();
        self.lifecycle = Lifecycle::Failed {
            error: error.clone(),
            go_away,
        };
        self.fail_all(&error);
    }

    /// Ends the session now, with whatever streams are open: GOAWAY with this status is the last frame.
    pub fn abort(&mut self, status: GoAwayStatus, why: &'static str) {
        self.fail(Error::session(status, Initiator::User, why));
    }

    /// Ends every stream. The lifecycle is over already, so that the last one does not start a clean close.
    pub(crate) fn fail_all(&mut self, error: &Error) {
        for key in self.store.keys() {
            let unsent = self
                .store
                .get(key)
                .is_some_and(|stream| stream.own && stream.id.is_none());
            let error = if unsent {
                Error::unprocessed_because("the session has failed", error.clone())
            } else {
                error.clone()
            };
            self.end(key, Some(error), false);
        }
        self.drop_backlog(false);
        self.incoming_data = None;
        self.excess = Excess::default();
        self.events
            .extend([Event::Accept, Event::Slot, Event::Ended]);
    }

    /// Fails the own streams whose SYN_STREAM was not sent: the peer knows nothing of them.
    fn fail_unsent(&mut self, error: &Error) {
        for key in self.store.keys() {
            let unsent = self
                .store
                .get(key)
                .is_some_and(|stream| stream.own && stream.id.is_none());
            if unsent {
                self.end(key, Some(error.clone()), true);
            }
        }
    }

    /// Whatever the options leave to the peer, the transport is closed at the end: a time-out is over, or it was given up.
    pub(crate) fn close_first(&mut self) {
        self.closes_first = true;
    }

    #[allow(dead_code, reason = "used by the driver")]
    pub(crate) fn closes_first(&self) -> bool {
        self.closes_first
    }

    /// GOAWAY of the peer: own streams above last-good-stream-id were not processed and come back; the others, and
    /// those of the peer, go on. Repeated ones only lower it (U-33).
    pub(crate) fn on_go_away(&mut self, go_away: GoAway) {
        let mut last_good = go_away.last_good.map_or(0, StreamId::get);
        if let Some(earlier) = self.peer_goaway {
            last_good = last_good.min(earlier);
        }
        let fell = self.peer_goaway.is_none_or(|earlier| last_good < earlier);
        self.peer_goaway = Some(last_good);
        if go_away.status != GoAwayStatus::OK {
            let why = go_away.status.description();
            self.peer_error = Some(Error::session(go_away.status, Initiator::Remote, why));
        }
        if !fell {
            return;
        }
        self.fail_unsent(&self.gone_away("the peer takes no more streams (GOAWAY)"));
        let error = self.gone_away("above the last-good-stream-id of the peer's GOAWAY");
        for key in self.store.keys() {
            let unprocessed = |stream: &super::Stream| {
                stream.own && stream.id.is_some_and(|id| id.get() > last_good)
            };
            if self.store.get(key).is_some_and(unprocessed) {
                self.end(key, Some(error.clone()), true);
            }
        }
        self.events.push_back(Event::Slot);
        self.close_when_idle = true;
        self.end_what_goes_nowhere();
        self.check_drained();
    }

    /// Where GOAWAY is the last frame: a server that has ended all of its directions before that leaves nothing to wait for.
    /// What is open are ours, and nobody reads them. Such a server may leave it to us to close, as Go's clients do. What is
    /// queued goes out first; the server closes then.
    fn end_what_goes_nowhere(&mut self) {
        let keys = self.store.keys();
        let moves = |key: &Key| {
            let stream = self.store.get(*key);
            stream.is_some_and(|stream| {
                stream.state.is_recv_open()
                    || stream.state.can_send()
                        && (!stream.send.queue.is_empty() || stream.fin_queued())
            })
        };
        // The preset of spdystream's clients. A peer of others says GOAWAY first, and reads on.
        let last = self.config.lenient_streams && !self.config.early_goaway;
        if !last || self.role != Role::Client || keys.iter().any(moves) {
            return;
        }
        let error = self.peer_error.clone().unwrap_or_else(|| {
            let why = "the peer has ended the session (GOAWAY), and reads no more";
            Error::closed(Initiator::Remote, why)
        });
        for key in keys {
            self.end(key, Some(error.clone()), false);
        }
    }

    /// The error of a stream that the peer's GOAWAY has left unprocessed; its cause is the peer's error, if it named one.
    fn gone_away(&self, why: &'static str) -> Error {
        match &self.peer_error {
            Some(error) => Error::unprocessed_because(why, error.clone()),
            None => Error::unprocessed(Initiator::Remote, why),
        }
    }

    /// Whether streams can be opened.
    fn takes_streams(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Active)
            && self.peer_goaway.is_none()
            && self.next_id.is_some()
    }

    /// Why no stream can be opened, if so.
    pub(crate) fn refuses_open(&self) -> Option<Error> {
        if self.takes_streams() {
            return None;
        }
        let ours = |why| Error::unprocessed(Initiator::User, why);
        Some(match &self.lifecycle {
            Lifecycle::Failed { error, .. } => {
                Error::unprocessed_because("the session has failed", error.clone())
            }
            _ if self.peer_goaway.is_some() => {
                self.gone_away("the peer takes no more streams (GOAWAY)")
            }
            Lifecycle::Active => Error::unprocessed(
                Initiator::Library,
                "the stream ids of the connection are used up",
            ),
            Lifecycle::Closing { .. } | Lifecycle::Closed => ours("the session has ended"),
            Lifecycle::Announced { .. } | Lifecycle::Draining { .. } => {
                ours("the session is shutting down")
            }
        })
    }

    /// Whether the session takes part in no new streams: it ended, drains, or the peer said GOAWAY.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        !self.takes_streams()
    }

    /// Whether no stream of the peer will be handed out any more, except those that wait to be accepted.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.lifecycle.is_draining()
    }

    /// Whether the session is over: no further frame is handled.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lifecycle.is_over()
    }

    /// A deadline of [`poll_timeout`](Self::poll_timeout) may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.lifecycle.is_over() {
            return;
        }
        if self
            .drain_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.begin_drain();
        }
        self.expire_excess(now);
        self.expire_opening(now);
        self.expire_silence(now);
        self.expire_probe(now);
        self.control.release_pings(now);
        if self.lifecycle.is_over() {
            return;
        }
        let idle = self.is_idle();
        if self.paused.is_none() && (!idle || self.config.keep_alive_while_idle) {
            match self.keep_alive.expired(now) {
                Some(KeepAliveAction::Ping) if self.is_held_back() => {
                    self.keep_alive.cannot_ask(now);
                }
                Some(KeepAliveAction::Ping) => {
                    if let Some(id) = self.pings.start(Purpose::KeepAlive) {
                        self.control.push(Control::Ping(id), false);
                    }
                }
                Some(KeepAliveAction::Expire) => self.fail(Error::timeout(Timeout::KeepAlive)),
                None => {}
            }
        }
        let expired = |since: Instant| {
            self.config
                .idle_timeout
                .is_some_and(|timeout| now.saturating_duration_since(since) >= timeout)
        };
        if idle && !self.lifecycle.is_over() && self.idle_since.is_some_and(expired) {
            self.close_first();
            self.shutdown();
        }
    }

    /// Ends the reading of a stream that is over on the wire.
    pub(crate) fn fail_reader(&mut self, key: Key, status: ResetStatus, why: &'static str) {
        self.discard_unread(key);
        if let Some(stream) = self.store.get_mut(key) {
            stream.error = Some(Error::reset(stream.id, status, Initiator::Library, why));
        }
        self.wake(key, true, false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn a_shutdown_without_a_deadline_is_looked_at_once_while_the_peer_has_to_speak_first() {
        let now = Instant::now();
        for hold in [true, false] {
            let config = Config::server().hold_until_peer_speaks(hold);
            let mut session = Session::new(Role::Server, config, now);
            assert!(!session.is_drain_untimed());
            session.shutdown();
            assert_eq!(session.is_drain_untimed(), hold);
            assert_eq!(session.poll_timeout(now).is_some(), hold);
            assert!(!session.is_drain_untimed());
        }
    }
}
