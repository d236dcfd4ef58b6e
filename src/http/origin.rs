//! The request target and `Host` of HTTP/1.1 (RFC 9112 section 3.2); hyper sends the URI as it is.

use http::header::{HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri, Version};

use super::target::{connect_target, host_of, path_of};
use crate::error::{Error, Result};

/// Makes a request one of HTTP/1.1, as [`set_host`] says.
pub(crate) fn for_http1(head: &mut Parts) -> Result<()> {
    head.version = Version::HTTP_11;
    head.uri = set_host(&head.method, &head.uri, &mut head.headers)?;
    Ok(())
}

/// Sets `Host` and returns the URI to send: in origin form, for CONNECT in authority form.
///
/// The URI's authority wins over a `Host` header, as it does on SPDY. A URI in origin form keeps its `Host`.
///
/// # Errors
///
/// A user error without a host, for a target that does not fit the method, and if there are too many headers.
fn set_host(method: &Method, uri: &Uri, headers: &mut HeaderMap) -> Result<Uri> {
    let unfit = |error| Error::user_cause("the URI of the request cannot be sent", error);
    let host = host_of(uri, headers)?;
    let (target, host) = if *method == Method::CONNECT {
        let target = connect_target(host)?;
        let authority = Authority::try_from(target).map_err(unfit)?;
        (Uri::from(authority), host)
    } else {
        let path = path_of(method, uri)?;
        let path = PathAndQuery::try_from(path.as_ref()).map_err(unfit)?;
        (Uri::from(path), without_default_port(uri, host))
    };
    if uri.authority().is_some() {
        let value = HeaderValue::try_from(host)
            .map_err(|error| Error::user_cause("the authority is no Host header", error))?;
        // `insert` panics at the limit of a map.
        headers
            .try_insert(HOST, value)
            .map_err(|error| Error::user_cause("the request has too many headers", error))?;
    }
    Ok(target)
}

/// RFC 9110 section 7.2: the port may be left out where it is the default one, and some servers compare texts.
fn without_default_port<'a>(uri: &Uri, host: &'a str) -> &'a str {
    let default = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
        _ => None,
    };
    match uri.port_u16() {
        Some(port) if Some(port) == default => host.rsplit_once(':').map_or(host, |(name, _)| name),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    /// The target and the `Host` lines.
    fn sent(method: &str, uri: &str, hosts: &[&str]) -> Result<(String, Vec<String>)> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        let uri = uri.parse().unwrap();
        let target = set_host(&method.parse().unwrap(), &uri, &mut headers)?;
        let lines = headers.get_all(HOST).iter();
        let lines = lines.map(|line| line.to_str().unwrap().to_owned());
        Ok((target.to_string(), lines.collect()))
    }

    #[test]
    fn a_request_gets_origin_form_and_one_host() {
        for (method, uri, hosts, target, host) in [
            ("GET", "http://a/b?c", &[][..], "/b?c", "a"),
            ("GET", "http://a:80/", &[], "/", "a"),
            ("GET", "https://a:80/", &[], "/", "a:80"),
            ("GET", "https://u:p@a:443", &["b", "c"], "/", "a"),
            ("GET", "http://a?c", &[], "/?c", "a"),
            ("GET", "http://[::1]:80/", &[], "/", "[::1]"),
            ("GET", "/b", &["a:80"], "/b", "a:80"),
            ("OPTIONS", "*", &["a"], "*", "a"),
            ("CONNECT", "a:443", &[], "a:443", "a:443"),
            ("CONNECT", "http://u@a:80/b", &["b"], "a:80", "a:80"),
        ] {
            let (sent, lines) = sent(method, uri, hosts).unwrap();
            assert_eq!(sent, target, "{uri}");
            assert_eq!(lines, [host], "{uri}");
        }
        for (method, uri, hosts) in [
            ("GET", "/", &[][..]),
            ("GET", "/", &["a", "b"]),
            ("GET", "/", &["a/b"]),
            ("GET", "*", &["a"]),
            ("CONNECT", "http://a/", &[]),
        ] {
            let error = sent(method, uri, hosts).unwrap_err();
            assert!(error.is_user(), "{method} {uri}: {error}");
        }
    }

    #[test]
    fn no_room_for_a_host_is_an_error_and_no_panic() {
        let mut headers = HeaderMap::new();
        let fits = |headers: &mut HeaderMap, n: u32| {
            let name = HeaderName::try_from(format!("x-{n}")).unwrap();
            headers
                .try_insert(name, HeaderValue::from_static(""))
                .is_ok()
        };
        assert!((0..).any(|n| !fits(&mut headers, n)));
        let uri = Uri::from_static("http://a/");
        let error = set_host(&Method::GET, &uri, &mut headers).unwrap_err();
        assert!(error.is_user(), "{error}");
    }
}
