//! What a failed handshake means, in one place for both sides.

use std::io;

use tokio_rustls::rustls::{
    self, AlertDescription as Alert, CertificateError, InvalidMessage, PeerIncompatible,
};

use crate::alpn::names;
use crate::error::Error;

/// What went wrong, before it is known on which side.
enum Fault {
    /// Ours or the peer's, with what is wrong with it.
    Certificate(String),
    /// No ALPN protocol in common.
    NoProtocol,
    /// What came is not TLS.
    NotTls,
    /// The peer has closed the connection.
    Closed,
    Other(String),
}

/// The error of a client that has dialled `peer`.
pub(super) fn of_client(peer: &str, offer: &[&[u8]], error: io::Error) -> Error {
    let fault = fault(&error, "the server");
    let cause = cause(error);
    match fault {
        Fault::Certificate(what) => Error::tls(true, format!("{peer}: {what}"), cause),
        Fault::NoProtocol => Error::negotiation_cause(
            format!(
                "{peer} speaks none of the protocols offered by ALPN, which were {}",
                names(offer.iter().copied())
            ),
            cause,
        ),
        Fault::NotTls => Error::tls(
            false,
            format!(
                "{peer}: TLS was expected and something else came: is this the plain-text port?"
            ),
            cause,
        ),
        Fault::Closed => Error::tls(
            false,
            format!("{peer}: the peer closed the connection during the TLS handshake"),
            cause,
        ),
        Fault::Other(what) => Error::tls(false, format!("{peer}: {what}"), cause),
    }
}

/// The error of a client's transport to `peer`, behind the handshake. In TLS 1.3 that is where the server's verdict on
/// the client's certificate arrives: the client's handshake ends with what it sends (RFC 8446 section 2).
pub(super) fn of_client_later(peer: &str, error: io::Error) -> io::Error {
    let Some(tls) = rustls_error(&error) else {
        return error;
    };
    let (certificate, what) = match (fault(&error, "the server"), tls) {
        (Fault::Certificate(what), _) => (true, what),
        (_, rustls::Error::AlertReceived(alert)) => {
            (false, format!("the server has ended TLS ({alert:?})"))
        }
        (_, other) => (
            false,
            format!("records of TLS were expected, the server did not keep to it: {other}"),
        ),
    };
    Error::tls(certificate, format!("{peer}: {what}"), cause(error)).into_io()
}

/// The error of a server that takes the protocols `ours`, where the client offered `theirs`.
pub(super) fn of_server(ours: &[Vec<u8>], theirs: Option<&str>, error: io::Error) -> Error {
    let fault = fault(&error, "the client");
    let cause = cause(error);
    match fault {
        Fault::Certificate(what) => Error::tls(true, what, cause),
        Fault::NoProtocol => Error::negotiation_cause(
            format!(
                "ALPN was to be one of [{}], the client offered [{}]",
                names(ours.iter().map(Vec::as_slice)),
                theirs.unwrap_or("nothing")
            ),
            cause,
        ),
        Fault::NotTls => Error::tls(
            false,
            "TLS was expected and something else came: the client speaks plain text on a TLS port",
            cause,
        ),
        Fault::Closed => Error::tls(
            false,
            "the peer closed the connection during the TLS handshake",
            cause,
        ),
        Fault::Other(what) => Error::tls(false, what, cause),
    }
}

/// rustls's error itself where there is one, so that a program can look at it.
fn cause(error: io::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error.downcast::<rustls::Error>() {
        Ok(error) => Box::new(error),
        Err(error) => Box::new(error),
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// `who` is the peer, for the message.
fn fault(error: &io::Error, who: &str) -> Fault {
    let Some(error) = rustls_error(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Fault::Closed,
            _ => Fault::Other("the transport failed during the TLS handshake".into()),
        };
    };
    match error {
        rustls::Error::InvalidCertificate(error) => Fault::Certificate(of_certificate(error, who)),
        rustls::Error::NoCertificatesPresented => Fault::Certificate(format!(
            "a certificate was expected and {who} presented none"
        )),
        rustls::Error::AlertReceived(Alert::NoApplicationProtocol)
        | rustls::Error::NoApplicationProtocol => Fault::NoProtocol,
        rustls::Error::AlertReceived(alert) if of_our_certificate(*alert) => {
            Fault::Certificate(match alert {
                Alert::CertificateRequired => {
                    format!("{who} wants a certificate of this side, and got none")
                }
                _ => format!("{who} does not accept the certificate of this side ({alert:?})"),
            })
        }
        rustls::Error::AlertReceived(alert) => {
            Fault::Other(format!("{who} refused the TLS handshake ({alert:?})"))
        }
        // What the first five bytes of anything but TLS are taken for.
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge,
        ) => Fault::NotTls,
        rustls::Error::PeerIncompatible(what) => Fault::Other(incompatible(what, who)),
        other => Fault::Other(format!(
            "a TLS handshake was expected, {who} did not keep to it: {other}"
        )),
    }
}

fn incompatible(what: &PeerIncompatible, who: &str) -> String {
    match what {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => {
            format!("{who} speaks no version of TLS that is enabled here ({what:?})")
        }
        _ => format!("{who} and this side have no TLS parameters in common ({what:?})"),
    }
}

fn of_certificate(error: &CertificateError, who: &str) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("a valid certificate was expected, that of {who} has expired ({error})")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("a valid certificate was expected, that of {who} is not valid yet ({error})")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate of {who} is for another name ({error})")
        }
        CertificateError::UnknownIssuer => format!(
            "a certificate of a trusted issuer was expected, that of {who} has an issuer that is not trusted here \
             (UnknownIssuer)"
        ),
        // Above all CaUsedAsEndEntity: what `openssl req -x509` makes unless it is told otherwise.
        CertificateError::Other(other) => {
            format!("the certificate of {who} is not acceptable ({})", other.0)
        }
        other => format!("the certificate of {who} is not acceptable ({other})"),
    }
}

/// Whether an alert says that the peer does not accept our certificate (RFC 8446 section 6.2).
fn of_our_certificate(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::CertificateUnobtainable
            | Alert::BadCertificateStatusResponse
            | Alert::BadCertificateHashValue
            | Alert::CertificateRequired
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(error: rustls::Error) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    #[test]
    fn behind_the_handshake_only_the_errors_of_tls_change() {
        use rustls::Error as Tls;
        let later = |error| {
            let error = of_client_later("a:443", handshake(error));
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            error.downcast::<Error>().unwrap()
        };
        let error = later(Tls::AlertReceived(Alert::CertificateRequired));
        assert!(error.is_certificate());
        assert!(error.to_string().contains("wants a certificate"), "{error}");
        for (error, said) in [
            (
                Tls::AlertReceived(Alert::InternalError),
                "has ended TLS (InternalError)",
            ),
            (Tls::DecryptError, "did not keep to it"),
        ] {
            let error = later(error);
            assert!(error.is_tls() && !error.is_certificate());
            assert!(error.to_string().contains(said), "{error}");
        }
        let reset = of_client_later("a:443", io::ErrorKind::ConnectionReset.into());
        assert!(reset.get_ref().is_none());
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn every_fault_has_its_kind() {
        use rustls::Error as Tls;
        let client = |error| of_client("a:443", &[b"spdy/3.1"], error);
        for error in [
            Tls::InvalidCertificate(CertificateError::Revoked),
            Tls::NoCertificatesPresented,
            Tls::AlertReceived(Alert::UnknownCA),
            Tls::AlertReceived(Alert::CertificateRequired),
        ] {
            assert!(client(handshake(error.clone())).is_certificate(), "{error}");
            let ours = of_server(&[], None, handshake(error));
            assert!(ours.is_certificate() && ours.is_tls());
            let source = std::error::Error::source(&ours).unwrap();
            assert!(source.is::<rustls::Error>());
        }
        for error in [
            Tls::AlertReceived(Alert::NoApplicationProtocol),
            Tls::NoApplicationProtocol,
        ] {
            let error = client(handshake(error));
            assert!(error.is_negotiation() && !error.is_tls());
            assert!(error.to_string().contains("spdy/3.1"), "{error}");
        }
        for error in [
            handshake(Tls::InvalidMessage(InvalidMessage::InvalidContentType)),
            handshake(Tls::AlertReceived(Alert::HandshakeFailure)),
            handshake(Tls::PeerIncompatible(
                PeerIncompatible::NoCipherSuitesInCommon,
            )),
            handshake(Tls::DecryptError),
            io::ErrorKind::UnexpectedEof.into(),
            io::ErrorKind::TimedOut.into(),
        ] {
            let error = client(error);
            assert!(error.is_tls() && !error.is_certificate(), "{error}");
        }
    }
}
