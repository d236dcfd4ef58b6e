//! The states of a stream, as a pure transition table (SPDY/3.1 section 2.3).

use crate::frame::ResetStatus;

/// What has been exchanged on the wire for one stream.
///
/// ```text
///            send SYN_STREAM                             receive SYN_STREAM
///         .------------------ Idle                   (none) ------------------.
///         v                                                                   v
///       Sent ----- send FIN ----> SentFin               RcvdFin <-- recv FIN -- Rcvd
///         |                          |                     |                    |
///   recv SYN_REPLY             recv SYN_REPLY        send SYN_REPLY       send SYN_REPLY
///         |                          |                     |                    |
///         '--------> Open <----------+---------------------+--------------------'
///                    /   \           |                     |
///            send FIN     recv FIN   |                     |
///                  v         v       |                     |
///          HalfLocal <-------------- '   HalfRemote <------'
///                  \         /
///            recv FIN     send FIN
///                    v   v
///                   Closed  <---- RST_STREAM either way, transport lost: from every state
/// ```
///
/// FIN on SYN_STREAM or SYN_REPLY is that frame followed by FIN. A UNIDIRECTIONAL stream starts `HalfRemote` at
/// its creator and `HalfLocal` at its recipient. FIN is an event of the *wire*: what the application has
/// queued but not sent does not show here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Own stream whose SYN_STREAM waits to be sent.
    Idle,
    /// Own SYN_STREAM sent, no SYN_REPLY yet.
    Sent,
    /// As `Sent`, and our FIN is sent.
    SentFin,
    /// The peer's SYN_STREAM was received, no SYN_REPLY sent yet.
    Rcvd,
    /// As `Rcvd`, and the peer's FIN was received.
    RcvdFin,
    /// SYN_REPLY exchanged, no FIN.
    Open,
    /// Our FIN is sent.
    HalfLocal,
    /// The peer's FIN was received.
    HalfRemote,
    /// Over.
    Closed,
}

impl State {
    /// The state after sending SYN_STREAM.
    pub(crate) fn send_syn_stream(unidirectional: bool) -> Self {
        if unidirectional {
            Self::HalfRemote
        } else {
            Self::Sent
        }
    }

    /// The state after receiving SYN_STREAM.
    pub(crate) fn recv_syn_stream(unidirectional: bool) -> Self {
        if unidirectional {
            Self::HalfLocal
        } else {
            Self::Rcvd
        }
    }

    /// The state after sending SYN_REPLY, if one may be sent.
    pub(crate) fn send_reply(self) -> Option<Self> {
        match self {
            Self::Rcvd => Some(Self::Open),
            Self::RcvdFin => Some(Self::HalfRemote),
            _ => None,
        }
    }

    /// The state after receiving SYN_REPLY, or the status with which the stream has to be reset. `own` says
    /// whether this side created the stream.
    pub(crate) fn recv_reply(self, own: bool) -> Result<Self, ResetStatus> {
        match self {
            Self::Sent => Ok(Self::Open),
            Self::SentFin => Ok(Self::HalfLocal),
            // A SYN_REPLY for a stream that the sender of it created itself.
            _ if !own => Err(ResetStatus::PROTOCOL_ERROR),
            // Section 2.6.2: a second SYN_REPLY is STREAM_IN_USE; section 2.3.6: after FIN ALREADY_CLOSED.
            Self::Open | Self::HalfLocal => Err(ResetStatus::STREAM_IN_USE),
            Self::HalfRemote => Err(ResetStatus::STREAM_ALREADY_CLOSED),
            Self::Idle | Self::Rcvd | Self::RcvdFin | Self::Closed => {
                Err(ResetStatus::INVALID_STREAM)
            }
        }
    }

    /// Whether the peer may send HEADERS or DATA now; else the status for the reset.
    pub(crate) fn recv_payload(self) -> Result<(), ResetStatus> {
        match self {
            Self::Rcvd | Self::Open | Self::HalfLocal => Ok(()),
            // Section 2.2.2: DATA before SYN_REPLY is PROTOCOL_ERROR.
            Self::Sent | Self::SentFin => Err(ResetStatus::PROTOCOL_ERROR),
            // Section 2.3.6: after the peer's FIN.
            Self::HalfRemote | Self::RcvdFin => Err(ResetStatus::STREAM_ALREADY_CLOSED),
            Self::Idle | Self::Closed => Err(ResetStatus::INVALID_STREAM),
        }
    }

    /// The state after the peer's FIN.
    pub(crate) fn recv_fin(self) -> Self {
        match self {
            Self::Rcvd => Self::RcvdFin,
            Self::Open => Self::HalfRemote,
            Self::HalfLocal => Self::Closed,
            other => other,
        }
    }

    /// The state after our FIN.
    pub(crate) fn send_fin(self) -> Self {
        match self {
            Self::Sent => Self::SentFin,
            Self::Open => Self::HalfLocal,
            Self::HalfRemote => Self::Closed,
            other => other,
        }
    }

    /// Whether HEADERS and DATA may be sent now. A recipient has to reply first: peers drop or reject what
    /// comes before SYN_REPLY.
    pub(crate) fn can_send(self) -> bool {
        matches!(self, Self::Sent | Self::Open | Self::HalfRemote)
    }

    /// Whether our direction is, or can still become, open.
    pub(crate) fn is_send_open(self) -> bool {
        self.can_send() || matches!(self, Self::Idle | Self::Rcvd | Self::RcvdFin)
    }

    /// Whether more can arrive from the peer.
    pub(crate) fn is_recv_open(self) -> bool {
        matches!(
            self,
            Self::Idle | Self::Sent | Self::SentFin | Self::Rcvd | Self::Open | Self::HalfLocal
        )
    }

    /// Whether a WINDOW_UPDATE for the stream means anything to the peer.
    pub(crate) fn wants_credit(self) -> bool {
        self.is_recv_open() && self != Self::Idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 9] = [
        State::Idle,
        State::Sent,
        State::SentFin,
        State::Rcvd,
        State::RcvdFin,
        State::Open,
        State::HalfLocal,
        State::HalfRemote,
        State::Closed,
    ];

    #[test]
    fn both_fins_close_whatever_their_order() {
        let own = State::send_syn_stream(false).recv_reply(true).unwrap();
        assert_eq!(own.send_fin().recv_fin(), State::Closed);
        assert_eq!(own.recv_fin().send_fin(), State::Closed);
        let peer = State::recv_syn_stream(false)
            .recv_fin()
            .send_reply()
            .unwrap();
        assert_eq!(peer.send_fin(), State::Closed);
        let early = State::send_syn_stream(false)
            .send_fin()
            .recv_reply(true)
            .unwrap();
        assert_eq!(early.recv_fin(), State::Closed);
    }

    #[test]
    fn unidirectional_streams_start_half_closed() {
        assert!(!State::send_syn_stream(true).is_recv_open());
        assert!(!State::recv_syn_stream(true).is_send_open());
        assert_eq!(State::send_syn_stream(true).send_fin(), State::Closed);
        assert_eq!(State::recv_syn_stream(true).recv_fin(), State::Closed);
    }

    #[test]
    fn credit_is_wanted_where_the_peer_may_send_and_knows_the_stream() {
        let wants: Vec<_> = ALL.into_iter().filter(|s| s.wants_credit()).collect();
        let open = [
            State::Sent,
            State::SentFin,
            State::Rcvd,
            State::Open,
            State::HalfLocal,
        ];
        assert_eq!(wants, open);
    }

    #[test]
    fn payload_is_judged_as_section_10_demands() {
        let expected = [
            Err(ResetStatus::INVALID_STREAM),
            Err(ResetStatus::PROTOCOL_ERROR),
            Err(ResetStatus::PROTOCOL_ERROR),
            Ok(()),
            Err(ResetStatus::STREAM_ALREADY_CLOSED),
            Ok(()),
            Ok(()),
            Err(ResetStatus::STREAM_ALREADY_CLOSED),
            Err(ResetStatus::INVALID_STREAM),
        ];
        for (state, expected) in ALL.into_iter().zip(expected) {
            assert_eq!(state.recv_payload(), expected, "{state:?}");
        }
    }

    #[test]
    fn replies_are_judged_by_creator_and_state() {
        assert_eq!(
            State::Open.recv_reply(true),
            Err(ResetStatus::STREAM_IN_USE)
        );
        assert_eq!(
            State::HalfLocal.recv_reply(true),
            Err(ResetStatus::STREAM_IN_USE)
        );
        assert_eq!(
            State::HalfRemote.recv_reply(true),
            Err(ResetStatus::STREAM_ALREADY_CLOSED)
        );
        for state in [State::Rcvd, State::RcvdFin, State::Open, State::HalfLocal] {
            assert_eq!(
                state.recv_reply(false),
                Err(ResetStatus::PROTOCOL_ERROR),
                "{state:?}"
            );
        }
        for state in ALL {
            let may_reply = matches!(state, State::Rcvd | State::RcvdFin);
            assert_eq!(state.send_reply().is_some(), may_reply, "{state:?}");
        }
    }
}
