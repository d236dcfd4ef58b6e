//! The error type of the crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::frame::{GoAwayStatus, ResetStatus, StreamId};

/// The result type of the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error is made with.
type Cause = Box<dyn StdError + Send + Sync>;

/// Who ended a stream or a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The application on this side.
    User,
    /// This crate, because the peer broke a rule or a limit.
    Library,
    /// The peer.
    Remote,
}

/// Which time-out expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timeout {
    /// No byte arrived within the keep-alive time-out after a PING was written.
    KeepAlive,
    /// Nothing could be written to the transport for `write_timeout`.
    Write,
    /// Streams were still open when the drain time-out of a graceful shutdown expired.
    Drain,
    /// The first bytes of a connection, which tell its protocol, did not arrive in time.
    Detect,
    /// A TLS handshake took too long.
    TlsHandshake,
    /// The head of an HTTP/1.1 request did not arrive in time, or the next one on a connection that is kept alive.
    RequestHead,
    /// No SYN_REPLY came within `open_timeout`.
    Open,
    /// No frame went in either direction for `silence_timeout`.
    Silence,
    /// Streams that belong together were not all there in time.
    Streams,
}

#[derive(Debug)]
enum Kind {
    Reset {
        id: Option<StreamId>,
        status: ResetStatus,
        by: Initiator,
    },
    Session {
        status: GoAwayStatus,
        by: Initiator,
    },
    Unprocessed {
        by: Initiator,
    },
    Io(io::ErrorKind),
    Timeout(Timeout),
    Closed {
        by: Initiator,
    },
    Canceled,
    User,
    Body,
    /// No connection came about.
    #[allow(dead_code, reason = "used by the layers above the core")]
    Connect,
    /// TLS failed; whether it was for the peer's certificate.
    #[allow(dead_code, reason = "used by the layers above the core")]
    Tls {
        certificate: bool,
    },
    /// The peer speaks another protocol than was expected.
    #[allow(dead_code, reason = "used by the layers above the core")]
    Negotiation,
    /// The peer does not want to switch to the protocol that was asked for.
    #[allow(dead_code, reason = "used by the layers above the core")]
    Refused,
    /// An exchange over HTTP/1.1 or HTTP/2 failed.
    #[allow(dead_code, reason = "used by the layers above the core")]
    Http,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    detail: Cow<'static, str>,
    /// Shared, so that an error can take the place of another one with the same cause.
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What went wrong, who caused it, and whether it is safe to try again.
///
/// Opaque and cheap to clone: one error ends many streams. `Display` prints its own level only; walk
/// [`source`](StdError::source) for the rest.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

impl Error {
    fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            detail: detail.into(),
            cause: None,
        }))
    }

    fn with_cause(
        kind: Kind,
        detail: impl Into<Cow<'static, str>>,
        cause: impl Into<Cause>,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            detail: detail.into(),
            cause: Some(Arc::from(cause.into())),
        }))
    }

    /// A stream was reset.
    pub(crate) fn reset(
        id: Option<StreamId>,
        status: ResetStatus,
        by: Initiator,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::Reset { id, status, by }, detail)
    }

    /// The session ended with a GOAWAY status.
    pub(crate) fn session(
        status: GoAwayStatus,
        by: Initiator,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::Session { status, by }, detail)
    }

    /// The peer has certainly not processed the stream, because `by` takes or opens no more.
    pub(crate) fn unprocessed(by: Initiator, detail: &'static str) -> Self {
        Self::new(Kind::Unprocessed { by }, detail)
    }

    /// As [`Error::unprocessed`], because of `cause`. Nothing is formatted here: this runs under the session's lock.
    pub(crate) fn unprocessed_because(detail: &'static str, cause: Self) -> Self {
        let by = cause.initiator().unwrap_or(Initiator::Library);
        Self::with_cause(Kind::Unprocessed { by }, detail, cause)
    }

    /// A time-out expired.
    pub(crate) fn timeout(which: Timeout) -> Self {
        let detail = match which {
            Timeout::KeepAlive => "the peer answered no PING within the keep-alive time-out",
            Timeout::Write => "nothing could be written to the transport within the write time-out",
            Timeout::Drain => "connections had not ended when the drain time-out expired",
            Timeout::Detect => {
                "the peer has not sent the bytes that tell SPDY, HTTP/1.1 and HTTP/2 apart"
            }
            Timeout::TlsHandshake => "the TLS handshake was not finished in time",
            Timeout::RequestHead => "the head of an HTTP/1.1 request did not arrive in time",
            Timeout::Open => "the peer has not replied to the stream within the open time-out",
            Timeout::Silence => "no frame went in either direction within the silence time-out",
            Timeout::Streams => "the streams that belong together were not all opened in time",
        };
        Self::new(Kind::Timeout(which), detail)
    }

    /// As [`Error::timeout`], in other words.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn timeout_because(which: Timeout, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Timeout(which), detail)
    }

    /// The connection is gone: the transport ended, or `by` ended it.
    pub(crate) fn closed(by: Initiator, detail: &'static str) -> Self {
        Self::new(Kind::Closed { by }, detail)
    }

    /// An IO error that came before the peer had sent anything: perhaps nobody there speaks SPDY. Another error stays as
    /// it is.
    pub(crate) fn unheard(error: Self) -> Self {
        let Kind::Io(kind) = error.0.kind else {
            return error;
        };
        let detail = format!(
            "{}: the peer had not sent a byte yet; SPDY frames were expected",
            error.0.detail
        );
        Self(Arc::new(Inner {
            kind: Kind::Io(kind),
            detail: detail.into(),
            cause: error.0.cause.clone(),
        }))
    }

    /// The application on this side gave up.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn canceled(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Canceled, detail)
    }

    /// The application asked for something that cannot be done.
    pub(crate) fn user(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::User, detail)
    }

    /// As [`Error::user`], with the error that shows why.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn user_cause(
        detail: impl Into<Cow<'static, str>>,
        cause: impl Into<Cause>,
    ) -> Self {
        Self::with_cause(Kind::User, detail, cause)
    }

    /// A body or a service of the application failed.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn body(detail: impl Into<Cow<'static, str>>, cause: impl Into<Cause>) -> Self {
        Self::with_cause(Kind::Body, detail, cause)
    }

    /// No connection came about: `detail` says to what.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn connect(detail: impl Into<Cow<'static, str>>, cause: impl Into<Cause>) -> Self {
        Self::with_cause(Kind::Connect, detail, cause)
    }

    /// TLS failed, because of the peer's `certificate` or for another reason.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn tls(
        certificate: bool,
        detail: impl Into<Cow<'static, str>>,
        cause: impl Into<Cause>,
    ) -> Self {
        Self::with_cause(Kind::Tls { certificate }, detail, cause)
    }

    /// The peer speaks another protocol than was expected: `detail` says what was expected and what came.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn negotiation(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Negotiation, detail)
    }

    /// As [`Error::negotiation`], with the error that shows it.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn negotiation_cause(
        detail: impl Into<Cow<'static, str>>,
        cause: impl Into<Cause>,
    ) -> Self {
        Self::with_cause(Kind::Negotiation, detail, cause)
    }

    /// The peer does not want to switch.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn refused(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Refused, detail)
    }

    /// As [`Error::refused`], with what the peer has said.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn refused_because(
        detail: impl Into<Cow<'static, str>>,
        cause: impl Into<Cause>,
    ) -> Self {
        Self::with_cause(Kind::Refused, detail, cause)
    }

    /// An exchange over HTTP/1.1 or HTTP/2 failed.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn http(detail: impl Into<Cow<'static, str>>, cause: impl Into<Cause>) -> Self {
        let cause = cause.into();
        let mut below = cause.source();
        while let Some(error) = below {
            if let Some(tls) = error.downcast_ref().and_then(Self::tls_within) {
                return tls;
            }
            below = error.source();
        }
        Self::with_cause(Kind::Http, detail, cause)
    }

    /// The transport failed, or the TLS in it, which has an error of this type.
    #[allow(dead_code, reason = "used by the layers above the core")]
    pub(crate) fn io(detail: &'static str, cause: io::Error) -> Self {
        if let Some(tls) = Self::tls_within(&cause) {
            return tls;
        }
        Self::with_cause(Kind::Io(cause.kind()), detail, cause)
    }

    /// What a transport of the module `tls` says. Of the other kinds none is taken for an error of the connection: a
    /// tunnel's transport is a stream, and what ends that tells nothing of the streams of the session in it.
    fn tls_within(error: &io::Error) -> Option<Self> {
        let inner: &Self = error.get_ref()?.downcast_ref()?;
        matches!(inner.0.kind, Kind::Tls { .. }).then(|| inner.clone())
    }

    /// Whether TLS failed, and if so, whether for a certificate.
    fn tls_failure(&self) -> Option<bool> {
        match self.0.kind {
            Kind::Tls { certificate } => Some(certificate),
            Kind::Unprocessed { .. } => {
                let cause = StdError::source(self)?.downcast_ref::<Self>()?;
                cause.tls_failure()
            }
            _ => None,
        }
    }

    /// The peer sent RST_STREAM, or this side did; [`Error::reset_status`] tells which status.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        matches!(self.0.kind, Kind::Reset { .. })
    }

    /// The session ended, or takes no more streams, because of a GOAWAY sent by either side.
    #[must_use]
    pub fn is_go_away(&self) -> bool {
        match self.0.kind {
            Kind::Session { .. } => true,
            // The library gives up by itself only for want of ids or of a transport.
            Kind::Unprocessed { by } => by != Initiator::Library || self.go_away_status().is_some(),
            _ => false,
        }
    }

    /// A time-out expired.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, Kind::Timeout(_))
    }

    /// Which time-out expired.
    #[must_use]
    pub fn timeout_kind(&self) -> Option<Timeout> {
        match self.0.kind {
            Kind::Timeout(which) => Some(which),
            _ => None,
        }
    }

    /// The connection was closed or lost: the transport ended or failed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.0.kind, Kind::Closed { .. } | Kind::Io(_))
    }

    /// The transport failed with an IO error, which is the [`source`](StdError::source).
    #[must_use]
    pub fn is_io(&self) -> bool {
        matches!(self.0.kind, Kind::Io(_))
    }

    /// The application on this side cancelled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        match self.0.kind {
            Kind::Canceled => true,
            Kind::Reset { status, by, .. } => {
                by == Initiator::User && status == ResetStatus::CANCEL
            }
            _ => false,
        }
    }

    /// The application asked for something that cannot be done; the message says what and why.
    #[must_use]
    pub fn is_user(&self) -> bool {
        matches!(self.0.kind, Kind::User)
    }

    /// A body or a service of the application failed; its error is the [`source`](StdError::source).
    #[must_use]
    pub fn is_body(&self) -> bool {
        matches!(self.0.kind, Kind::Body)
    }

    /// No connection came about: name resolution or dialling failed, for the reason in [`source`](StdError::source).
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.0.kind, Kind::Connect)
    }

    /// TLS failed, in its handshake or later, also when that is why a request was not sent. A peer that shares no ALPN
    /// protocol is [`is_negotiation`](Self::is_negotiation) instead.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls_failure().is_some()
    }

    /// TLS failed because of a certificate: the peer's was not accepted here (expired, for another name, of an unknown
    /// issuer), or the peer says that it does not accept ours. In TLS 1.3 a client learns the latter from its first
    /// request: its own handshake has ended before.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        self.tls_failure() == Some(true)
    }

    /// The peer speaks another protocol than was expected: it chose another one by ALPN, refused the HTTP Upgrade, or
    /// its first bytes are of no known protocol. The message says what was expected and what came.
    #[must_use]
    pub fn is_negotiation(&self) -> bool {
        matches!(self.0.kind, Kind::Negotiation | Kind::Refused)
    }

    /// An exchange over HTTP/1.1 or HTTP/2 failed, where the peer speaks no SPDY; hyper's error is the
    /// [`source`](StdError::source).
    #[must_use]
    pub fn is_http(&self) -> bool {
        matches!(self.0.kind, Kind::Http)
    }

    /// The peer ended the stream, the session or the connection.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.initiator() == Some(Initiator::Remote)
    }

    /// Who ended the stream, the session or the connection; `None` where that is no question (IO errors, time-outs,
    /// invalid use).
    #[must_use]
    pub fn initiator(&self) -> Option<Initiator> {
        match self.0.kind {
            Kind::Reset { by, .. }
            | Kind::Session { by, .. }
            | Kind::Unprocessed { by }
            | Kind::Closed { by } => Some(by),
            Kind::Canceled => Some(Initiator::User),
            Kind::Negotiation | Kind::Refused => Some(Initiator::Remote),
            Kind::Io(_)
            | Kind::Timeout(_)
            | Kind::User
            | Kind::Body
            | Kind::Connect
            | Kind::Tls { .. }
            | Kind::Http => None,
        }
    }

    /// The peer has certainly not processed the request (GOAWAY below its id, or REFUSED_STREAM): it is safe
    /// to send it again on another connection, even if it is not idempotent.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            Kind::Unprocessed { .. } => true,
            Kind::Reset { status, by, .. } => {
                by == Initiator::Remote && status == ResetStatus::REFUSED_STREAM
            }
            _ => false,
        }
    }

    /// The status of the RST_STREAM that ended the stream.
    #[must_use]
    pub fn reset_status(&self) -> Option<ResetStatus> {
        match self.0.kind {
            Kind::Reset { status, .. } => Some(status),
            _ => None,
        }
    }

    /// The status of the GOAWAY that ended the session, also when it is the cause of this error.
    #[must_use]
    pub fn go_away_status(&self) -> Option<GoAwayStatus> {
        match self.0.kind {
            Kind::Session { status, .. } => Some(status),
            Kind::Unprocessed { .. } => {
                let cause = StdError::source(self)?.downcast_ref::<Self>()?;
                cause.go_away_status()
            }
            _ => None,
        }
    }

    /// The number on the wire of the RST_STREAM or GOAWAY status, whichever there is.
    #[must_use]
    pub fn status(&self) -> Option<u32> {
        match self.0.kind {
            Kind::Reset { status, .. } => Some(status.code()),
            Kind::Session { status, .. } => Some(status.code()),
            _ => None,
        }
    }

    /// The stream concerned, if the error is one of a stream whose SYN_STREAM was sent.
    #[must_use]
    pub fn stream_id(&self) -> Option<StreamId> {
        match self.0.kind {
            Kind::Reset { id, .. } => id,
            _ => None,
        }
    }

    /// The error as an IO error of the fitting kind, for `AsyncRead` and `AsyncWrite`.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        let kind = match self.0.kind {
            Kind::Io(kind) => kind,
            Kind::Reset { .. } => io::ErrorKind::ConnectionReset,
            Kind::Timeout(_) => io::ErrorKind::TimedOut,
            Kind::Closed { .. } | Kind::Session { .. } | Kind::Unprocessed { .. } => {
                io::ErrorKind::ConnectionAborted
            }
            Kind::User => io::ErrorKind::InvalidInput,
            Kind::Tls { .. } | Kind::Negotiation => io::ErrorKind::InvalidData,
            Kind::Connect => io::ErrorKind::NotConnected,
            Kind::Canceled | Kind::Body | Kind::Http | Kind::Refused => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = |by| match by {
            Initiator::User => "this side",
            Initiator::Library => "this side, for a fault of the peer",
            Initiator::Remote => "the peer",
        };
        match &self.0.kind {
            Kind::Reset { id, status, by } => {
                f.write_str("stream ")?;
                if let Some(id) = id {
                    write!(f, "{id} ")?;
                }
                write!(f, "reset by {} ({status})", who(*by))?;
            }
            Kind::Session { status, by } => write!(f, "session ended by {} ({status})", who(*by))?,
            Kind::Unprocessed { .. } => f.write_str("request not processed")?,
            Kind::Io(kind) => write!(f, "transport error ({kind})")?,
            Kind::Timeout(_) => f.write_str("time-out")?,
            Kind::Closed { .. } => f.write_str("connection closed")?,
            Kind::Canceled => f.write_str("cancelled")?,
            Kind::User => f.write_str("invalid use")?,
            Kind::Body => f.write_str("application error")?,
            Kind::Connect => f.write_str("no connection")?,
            Kind::Tls { certificate: true } => f.write_str("certificate not accepted")?,
            Kind::Tls { certificate: false } => f.write_str("TLS failed")?,
            Kind::Negotiation => f.write_str("the peer speaks another protocol")?,
            Kind::Refused => f.write_str("the peer refused to switch protocols")?,
            Kind::Http => f.write_str("HTTP failed")?,
        }
        if self.0.detail.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind)
            .field("detail", &self.0.detail);
        if let Some(cause) = &self.0.cause {
            out.field("cause", cause);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_ref().map(|cause| {
            let cause: &(dyn StdError + 'static) = cause.as_ref();
            cause
        })
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        error.into_io()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicates_follow_the_kind() {
        let refused = Error::reset(
            StreamId::new(3),
            ResetStatus::REFUSED_STREAM,
            Initiator::Remote,
            "",
        );
        assert!(refused.is_reset() && refused.is_retryable() && refused.is_remote());
        assert_eq!(refused.status(), Some(3));
        assert_eq!(
            refused.to_string(),
            "stream 3 reset by the peer (REFUSED_STREAM)"
        );

        let ours = Error::reset(
            None,
            ResetStatus::REFUSED_STREAM,
            Initiator::Library,
            "too many streams",
        );
        assert!(!ours.is_retryable() && !ours.is_remote());

        let io = Error::io("reading", io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(io.is_closed() && io.is_io() && io.source().is_some());
        assert_eq!(io.into_io().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn the_source_of_an_io_error_is_the_io_error() {
        let reset = || io::Error::new(io::ErrorKind::ConnectionReset, "gone");
        let plain = Error::io("reading from the transport", reset());
        let unheard = Error::unheard(plain.clone());
        let said = "transport error (connection reset): reading from the transport: the peer had not sent a byte yet; \
                    SPDY frames were expected";
        assert_eq!(unheard.to_string(), said);
        for error in [plain, unheard] {
            assert!(error.is_io());
            let source = error.source().unwrap();
            let source: &io::Error = source.downcast_ref().unwrap();
            assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
            assert_eq!(source.to_string(), "gone");
            assert!(source.source().is_none());
        }
        let late = Error::unheard(Error::timeout(Timeout::Write));
        assert!(late.is_timeout());
    }

    #[test]
    fn a_tls_error_in_an_io_error_is_the_error() {
        let refused = || Error::tls(true, "a:443: no", "refused");
        let error = Error::io("reading from the transport", refused().into_io());
        assert!(error.is_certificate() && !error.is_io());
        assert_eq!(error.to_string(), "certificate not accepted: a:443: no");
        let unsent = Error::unprocessed_because("the session has failed", error);
        assert!(unsent.is_certificate() && unsent.is_tls());
        // The stream that a session runs on is another session's.
        let outer = Error::unprocessed(Initiator::Remote, "GOAWAY").into_io();
        let error = Error::io("reading from the transport", outer);
        assert!(error.is_io() && !error.is_retryable() && !error.is_tls());
    }

    #[test]
    fn is_one_pointer_wide_and_shareable() {
        fn assert_send_sync<T: Send + Sync + Clone + 'static>() {}
        assert_send_sync::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
