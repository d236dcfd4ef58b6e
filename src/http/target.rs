//! Who a request is for and what it asks for: one rule for every protocol that it may be sent over.

use std::borrow::Cow;

use http::header::{HOST, HeaderMap};
use http::uri::PathAndQuery;
use http::{Method, Uri};

use crate::error::{Error, Result};

/// The URI's authority without user information (RFC 9110 section 7.2), else the `Host` header.
///
/// # Errors
///
/// A user error without any, and for what is no host.
pub(crate) fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str> {
    if let Some(authority) = uri.authority() {
        let authority = authority.as_str();
        return Ok(authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host));
    }
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return Err(Error::user(
            "the request has neither a URI with an authority nor a Host header",
        ));
    };
    if hosts.next().is_some() {
        return Err(Error::user(
            "the request has no URI with an authority and several Host headers",
        ));
    }
    // A full parse would copy; this finds what the peer would misread.
    let misread = |b: u8| !b.is_ascii_graphic() || b"/?#@\\,".contains(&b);
    match host.to_str() {
        Ok(host) if !host.is_empty() && !host.bytes().any(misread) => Ok(host),
        _ => Err(Error::user(
            "the Host header is not a host with an optional port",
        )),
    }
}

/// RFC 9110 section 9.3.6: CONNECT has no default port.
pub(crate) fn connect_target(host: &str) -> Result<&str> {
    if has_port(host) {
        Ok(host)
    } else {
        Err(Error::user("the target of CONNECT is not host:port"))
    }
}

pub(crate) fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && is_port(port))
}

pub(crate) fn is_port(port: &str) -> bool {
    // `parse` alone would take a sign.
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// Path and query, of any method but CONNECT.
pub(crate) fn path_of<'a>(method: &Method, uri: &'a Uri) -> Result<Cow<'a, str>> {
    // There is none in authority form.
    let Some(path) = uri.path_and_query().map(PathAndQuery::as_str) else {
        return Ok(Cow::Borrowed("/"));
    };
    if path == "*" && *method != Method::OPTIONS {
        return Err(Error::user("only OPTIONS may have the target *"));
    }
    if path.starts_with('/') || path == "*" {
        return Ok(Cow::Borrowed(path));
    }
    // `http://host?query` has an empty path.
    Ok(Cow::Owned(format!("/{path}")))
}
