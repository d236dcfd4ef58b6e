//! B. What happened: the end of the transport.

use super::Session;
use super::shutdown::Lifecycle;
use crate::error::{Error, Initiator};

impl Session {
    /// The transport has ended. `mid_frame` says that a frame was under way: that is an error, never a clean end.
    pub fn handle_eof(&mut self, mid_frame: bool) {
        let named = self.peer_error.take();
        let always_an_error = mid_frame || named.is_some();
        let error = if let Some(error) = named {
            // The peer has said why it would end the session.
            error
        } else if mid_frame {
            Error::closed(
                Initiator::Remote,
                "the transport ended in the middle of a frame",
            )
        } else if !self.heard {
            // A proxy that has closed behind its 101, or a port where nobody speaks SPDY.
            Error::closed(
                Initiator::Remote,
                "the transport ended before the peer had sent a byte; SPDY frames were expected",
            )
        } else {
            Error::closed(Initiator::Remote, "the transport ended")
        };
        self.transport_gone(error, always_an_error);
    }

    /// The transport has failed.
    ///
    /// An IO error during a graceful shutdown with no stream left is the end that the shutdown waits for: a peer that
    /// closes on the first GOAWAY answers the PING behind it with a TCP reset.
    pub fn handle_transport_error(&mut self, mut error: Error) {
        if !self.heard && error.is_io() {
            error = Error::unheard(error);
        }
        let shutting_down = matches!(
            self.lifecycle,
            Lifecycle::Announced { .. } | Lifecycle::Draining { .. }
        );
        let always_an_error = !(shutting_down && error.is_io());
        self.transport_gone(error, always_an_error);
    }

    fn transport_gone(&mut self, error: Error, always_an_error: bool) {
        if self.lifecycle.is_over() {
            self.lifecycle.transport_gone();
            self.control.clear();
            return;
        }
        // A peer that gives the streams up by closing behind its GOAWAY has said that it would.
        let announced = self.config.lenient_streams && self.peer_goaway.is_some();
        let clean = !always_an_error
            && (announced
                || self.store.active() == 0 && self.own_active == 0 && self.sched.waiting() == 0);
        self.lifecycle = if clean {
            Lifecycle::Closed
        } else {
            Lifecycle::Failed {
                error: error.clone(),
                go_away: None,
            }
        };
        self.control.clear();
        self.fail_all(&error);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Instant;

    use super::*;
    use crate::Config;
    use crate::frame::Role;

    #[test]
    fn a_reset_transport_is_a_clean_end_only_of_a_shutdown_with_nothing_left() {
        let reset = || Error::io("reading", io::ErrorKind::ConnectionReset.into());
        let outcome = |shutdown: bool, error: Error| {
            let mut session = Session::new(Role::Server, Config::server(), Instant::now());
            if shutdown {
                session.shutdown();
            }
            session.handle_transport_error(error);
            session.outcome().unwrap()
        };
        assert!(outcome(true, reset()).is_ok());
        assert!(outcome(false, reset()).unwrap_err().is_io());
        let late = || Error::timeout(crate::Timeout::Write);
        assert!(outcome(true, late()).unwrap_err().is_timeout());
    }
    #[test]
    fn a_transport_that_fails_says_whether_the_peer_ever_spoke() {
        let now = Instant::now();
        let failed = |heard: bool, error: Error| {
            let mut session = Session::new(Role::Server, Config::server(), now);
            if heard {
                session.handle_read(now);
            }
            session.handle_transport_error(error);
            session.outcome().unwrap().unwrap_err().to_string()
        };
        let unheard = "the peer had not sent a byte";
        let reset = || Error::io("reading", io::ErrorKind::ConnectionReset.into());
        assert!(failed(false, reset()).contains(unheard));
        assert!(!failed(true, reset()).contains(unheard));
        let late = Error::timeout(crate::Timeout::Write);
        assert!(!failed(false, late).contains(unheard));
    }
}
