//! One request, as each protocol wants it. The URI's authority wins over a `Host` header everywhere, as it does on SPDY.

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri, Version};

use crate::error::{Error, Result};

/// Origin form and a `Host` header (RFC 9112 section 3.2); hyper sends the URI as it is.
pub(super) fn for_http1(head: &mut Parts) -> Result<()> {
    head.version = Version::HTTP_11;
    if head.method == Method::CONNECT {
        return for_connect(head);
    }
    let Some(authority) = head.uri.authority() else {
        if head.headers.contains_key(HOST) {
            return Ok(());
        }
        return Err(no_host());
    };
    let host = without_user(authority);
    let default_port = match head.uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
        _ => None,
    };
    // RFC 9110 section 7.2: the port may be left out where it is the default one, and some servers compare texts.
    let host = match head.uri.port_u16() {
        Some(port) if Some(port) == default_port => {
            host.rsplit_once(':').map_or(host, |(name, _)| name)
        }
        _ => host,
    };
    let value =
        HeaderValue::try_from(host).map_err(|error| Error::user_cause("no Host header", error))?;
    let uri = origin_form(&head.uri)?;
    head.headers.insert(HOST, value);
    head.uri = uri;
    Ok(())
}

/// The target alone, host:port, whatever form the URI has (RFC 9112 section 3.2.3).
fn for_connect(head: &mut Parts) -> Result<()> {
    let target = target(head)?;
    let value = HeaderValue::try_from(target.as_str())
        .map_err(|error| Error::user_cause("no Host header", error))?;
    head.headers.insert(HOST, value);
    head.uri = Uri::from(target);
    Ok(())
}

/// Who the request is for, without user information.
fn target(head: &Parts) -> Result<Authority> {
    match head.uri.authority() {
        Some(authority) => parse(without_user(authority).as_bytes()),
        None => parse(head.headers.get(HOST).ok_or_else(no_host)?.as_bytes()),
    }
}

/// Absolute form without `Host`, from which `:scheme` and `:authority` are made (RFC 9113 section 8.3.1).
pub(super) fn for_http2(head: &mut Parts, scheme: &Scheme) -> Result<()> {
    head.version = Version::HTTP_2;
    let authority = target(head)?;
    head.headers.remove(HOST);
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.authority = Some(authority);
    if head.method == Method::CONNECT {
        // RFC 9113 section 8.5: neither `:scheme` nor `:path`.
        parts.scheme = None;
        parts.path_and_query = None;
    } else {
        parts.scheme.get_or_insert_with(|| scheme.clone());
        parts
            .path_and_query
            .get_or_insert_with(|| PathAndQuery::from_static("/"));
    }
    head.uri = Uri::from_parts(parts)
        .map_err(|error| Error::user_cause("the URI of the request cannot be sent", error))?;
    Ok(())
}

fn origin_form(uri: &Uri) -> Result<Uri> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = if path.starts_with('/') {
        path.parse()
    } else {
        // `http://host?query` has an empty path.
        format!("/{path}").parse()
    };
    path.map_err(|error| Error::user_cause("the URI of the request cannot be sent", error))
}

fn without_user(authority: &Authority) -> &str {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

fn parse(authority: &[u8]) -> Result<Authority> {
    Authority::try_from(authority)
        .map_err(|error| Error::user_cause("the Host header is not a host", error))
}

fn no_host() -> Error {
    Error::user("the request has neither a URI with an authority nor a Host header")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(method: &str, uri: &str, host: Option<&str>) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn http1_gets_origin_form_and_a_host() {
        for (method, uri, host, expected_uri, expected_host) in [
            ("GET", "http://a/b?c", None, "/b?c", "a"),
            ("GET", "http://a:80/", None, "/", "a"),
            ("GET", "https://a:80/", None, "/", "a:80"),
            ("GET", "https://u:p@a:443", Some("b"), "/", "a"),
            ("GET", "http://a?c", None, "/?c", "a"),
            ("GET", "http://[::1]:80/", None, "/", "[::1]"),
            ("GET", "/b", Some("a"), "/b", "a"),
            ("CONNECT", "a:443", None, "a:443", "a:443"),
            ("CONNECT", "http://u@a:80/b", Some("x"), "a:80", "a:80"),
            ("CONNECT", "/b", Some("a:443"), "a:443", "a:443"),
        ] {
            let mut head = head(method, uri, host);
            for_http1(&mut head).unwrap();
            assert_eq!(head.uri.to_string(), expected_uri, "{uri}");
            assert_eq!(head.headers[HOST], expected_host, "{uri}");
        }
        for method in ["GET", "CONNECT"] {
            let error = for_http1(&mut head(method, "/", None)).unwrap_err();
            assert!(error.is_user());
        }
    }

    #[test]
    fn http2_gets_absolute_form_and_no_host() {
        for (method, uri, host, expected) in [
            ("GET", "http://a/b?c", Some("x"), "http://a/b?c"),
            ("GET", "https://u@a:1", None, "https://a:1/"),
            ("GET", "/b", Some("a:2"), "https://a:2/b"),
            ("CONNECT", "a:443", None, "a:443"),
        ] {
            let mut head = head(method, uri, host);
            for_http2(&mut head, &Scheme::HTTPS).unwrap();
            assert_eq!(head.uri.to_string(), expected, "{uri}");
            assert!(!head.headers.contains_key(HOST));
        }
        for host in [None, Some("a/b")] {
            let error = for_http2(&mut head("GET", "/", host), &Scheme::HTTP).unwrap_err();
            assert!(error.is_user());
        }
    }
}
