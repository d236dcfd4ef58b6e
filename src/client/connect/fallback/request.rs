//! One request, as each protocol wants it. The URI's authority wins over a `Host` header everywhere, as it does on SPDY.

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri, Version};

use crate::error::{Error, Result};
use crate::http::target::{connect_target, host_of};

/// Absolute form without `Host`, from which `:scheme` and `:authority` are made (RFC 9113 section 8.3.1).
pub(super) fn for_http2(head: &mut Parts, scheme: &Scheme) -> Result<()> {
    head.version = Version::HTTP_2;
    let host = host_of(&head.uri, &head.headers)?;
    if head.method == Method::CONNECT {
        connect_target(host)?;
    }
    let authority = Authority::try_from(host)
        .map_err(|error| Error::user_cause("the Host header is not a host", error))?;
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
        for (method, host) in [("GET", None), ("GET", Some("a/b")), ("CONNECT", Some("a"))] {
            let error = for_http2(&mut head(method, "/", host), &Scheme::HTTP).unwrap_err();
            assert!(error.is_user());
        }
    }
}
