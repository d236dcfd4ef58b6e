use http::Uri;
use http::uri::Scheme;

use crate::alpn::{NegotiatedAlpn, Protocol, names};
use crate::error::{Error, Result};
use crate::http::BoxError;

/// Where a connection goes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) https: bool,
    /// `host:port`, for messages.
    pub(super) peer: String,
}

impl Target {
    /// # Errors
    ///
    /// A user error for another scheme than `http` and `https`, and without a host.
    pub(super) fn of(uri: &Uri) -> Result<Self> {
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(other) => {
                return Err(Error::user(format!(
                    "cannot connect by the scheme {other}: http and https are known"
                )));
            }
            None => {
                return Err(Error::user(
                    "cannot connect to a URI without a scheme: http://HOST or https://HOST is needed",
                ));
            }
        };
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| Error::user("cannot connect to a URI without a host"))?;
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        Ok(Self {
            https,
            peer: format!("{host}:{port}"),
        })
    }

    pub(super) fn not_dialled(&self, error: impl Into<BoxError>) -> Error {
        Error::connect(format!("cannot connect to {}", self.peer), error)
    }

    /// The protocol that ALPN says. Where it says none, `otherwise` holds.
    ///
    /// # Errors
    ///
    /// A user error for `https` without TLS: whatever were spoken, it would be in clear text. A negotiation error for a
    /// protocol that is not in the `offer`, or none and nothing to hold otherwise.
    pub(super) fn agreed(
        &self,
        io: &impl NegotiatedAlpn,
        offer: &[&'static [u8]],
        otherwise: Option<Protocol>,
    ) -> Result<Protocol> {
        if self.https && !io.is_tls() {
            return Err(Error::user(format!(
                "https://{} needs TLS, and the connector was given none: `Connector::tls` takes a TLS configuration, \
                 `Connector::secure` any other library; a dialler that does TLS itself has to say so by \
                 `NegotiatedAlpn::is_tls` of its transports",
                self.peer
            )));
        }
        let chosen = io.negotiated_alpn();
        let wanted = || names(offer.iter().copied());
        match (chosen, otherwise) {
            (Some(name), _) => Protocol::from_alpn(name)
                .filter(|_| offer.contains(&name))
                .ok_or_else(|| {
                    Error::negotiation(format!(
                        "ALPN was to be one of [{}], {} chose {}",
                        wanted(),
                        self.peer,
                        names([name])
                    ))
                }),
            (None, Some(protocol)) => Ok(protocol),
            (None, None) => Err(Error::negotiation(format!(
                "ALPN was to be one of [{}], {} chose none: it may not know these protocols, or the dialler did not offer \
                 them",
                wanted(),
                self.peer
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alpn::{H2, HTTP_11, SPDY_31};

    #[test]
    fn a_target_needs_a_known_scheme_and_a_host() {
        for (uri, peer, https) in [
            ("http://a", "a:80", false),
            ("https://a/b?c", "a:443", true),
            ("https://u:p@a:1", "a:1", true),
            ("HTTPS://[::1]", "[::1]:443", true),
        ] {
            let target = Target::of(&uri.parse().unwrap()).unwrap();
            assert_eq!((target.peer.as_str(), target.https), (peer, https), "{uri}");
        }
        for (uri, text) in [
            ("/path", "without a scheme"),
            ("a:80", "without a scheme"),
            ("ftp://a", "scheme ftp"),
        ] {
            let error = Target::of(&uri.parse().unwrap()).unwrap_err();
            assert!(
                error.is_user() && error.to_string().contains(text),
                "{error}"
            );
        }
    }

    struct Transport {
        tls: bool,
        chosen: Option<&'static [u8]>,
    }

    impl NegotiatedAlpn for Transport {
        fn negotiated_alpn(&self) -> Option<&[u8]> {
            self.chosen
        }

        fn is_tls(&self) -> bool {
            self.tls
        }
    }

    #[test]
    fn https_without_tls_is_agreed_on_by_nobody() {
        let offer: &[&[u8]] = &[SPDY_31, HTTP_11];
        let agreed = |uri: &str, chosen| {
            let plain = Transport { tls: false, chosen };
            let target = Target::of(&uri.parse().unwrap()).unwrap();
            target.agreed(&plain, offer, Some(Protocol::Http11))
        };
        for chosen in [None, Some(HTTP_11)] {
            assert!(agreed("https://a", chosen).unwrap_err().is_user());
            assert_eq!(agreed("http://a", chosen).unwrap(), Protocol::Http11);
        }
    }

    #[test]
    fn what_is_agreed_on_is_in_the_offer() {
        let target = Target::of(&Uri::from_static("https://a")).unwrap();
        let both: &[&[u8]] = &[SPDY_31, HTTP_11];
        let tls = |chosen| Transport { tls: true, chosen };
        assert_eq!(
            target.agreed(&tls(Some(HTTP_11)), both, None).unwrap(),
            Protocol::Http11
        );
        assert_eq!(
            target
                .agreed(&tls(None), both, Some(Protocol::Http11))
                .unwrap(),
            Protocol::Http11
        );
        for chosen in [Some(H2), Some(&b"spdy/2\n"[..]), None] {
            let error = target.agreed(&tls(chosen), both, None).unwrap_err();
            assert!(error.is_negotiation());
            let text = error.to_string();
            assert!(text.contains("[spdy/3.1, http/1.1], a:443 chose "));
        }
    }
}
