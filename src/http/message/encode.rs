//! The application's headers into a block.

use std::collections::HashSet;
use std::io::Write as _;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::fields::{
    Kind, Rule, accepts_trailers, agreed_length, connection_names, joined, rule_of,
};
use crate::error::Error;
use crate::headers::HeaderBlockBuilder;

/// The `content-length` that the application has set.
pub(super) fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut values = headers
        .get_all(header::CONTENT_LENGTH)
        .iter()
        .map(HeaderValue::as_bytes)
        .peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    match agreed_length(values) {
        Some(length) => Ok(Some(length)),
        None => Err(Error::user(
            "content-length is not a number, or its values differ",
        )),
    }
}

/// Room for a head with these headers: the number of fields and their bytes.
pub(super) fn capacity(headers: &HeaderMap) -> (usize, usize) {
    /// Up to five names with a colon, `content-length` and `date`.
    const EXTRA_FIELDS: usize = 7;
    const EXTRA_BYTES: usize = 192;
    let length_prefixes = 8;
    let bytes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + length_prefixes)
        .sum::<usize>();
    (headers.keys_len() + EXTRA_FIELDS, bytes + EXTRA_BYTES)
}

/// Appends one field.
pub(super) fn push(out: &mut HeaderBlockBuilder, name: &str, value: &[u8]) -> Result<(), Error> {
    match out.push(name, value) {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(name, error)),
    }
}

/// Appends a `content-length`.
pub(super) fn push_length(out: &mut HeaderBlockBuilder, length: u64) -> Result<(), Error> {
    // The digits of u64::MAX.
    let mut digits = [0; 20];
    let mut free = digits.as_mut_slice();
    let fits = write!(free, "{length}").is_ok();
    debug_assert!(fits, "20 digits hold every u64");
    let used = 20 - free.len();
    push(
        out,
        "content-length",
        digits.get(..used).unwrap_or_default(),
    )
}

fn refused(name: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::user_cause(
        format!("the header {name} cannot be carried in a SPDY header block"),
        error,
    )
}

/// What becomes of a header of the application.
enum Fate {
    Send,
    /// Several lines become one (RFC 6265 section 5.4 has one `Cookie` line).
    SendAsOneCookie,
    SendTeTrailers,
    /// It is expressed otherwise.
    LeaveOut,
    /// It may not cross.
    Strip,
}

fn fate(name: &HeaderName, headers: &HeaderMap, kind: Kind, named: &HashSet<HeaderName>) -> Fate {
    let request = kind == Kind::Request;
    match rule_of(name.as_str()) {
        Rule::HopByHop | Rule::Connection => Fate::Strip,
        Rule::Te
            if request
                && headers
                    .get_all(name)
                    .iter()
                    .any(|value| accepts_trailers(value.as_bytes())) =>
        {
            Fate::SendTeTrailers
        }
        Rule::Te => Fate::Strip,
        // It is `:host`.
        Rule::Host if request => Fate::LeaveOut,
        Rule::Host | Rule::ContentLength if kind == Kind::Trailers => Fate::Strip,
        // Pushed by whoever knows the length.
        Rule::ContentLength => Fate::LeaveOut,
        // SPDY has no interim response: the wait would never end.
        Rule::Expect
            if request
                && headers.get(name).is_some_and(|value| {
                    value.as_bytes().eq_ignore_ascii_case(b"100-continue")
                }) =>
        {
            Fate::LeaveOut
        }
        _ if named.contains(name) => Fate::Strip,
        Rule::Cookie if request => Fate::SendAsOneCookie,
        Rule::Pass | Rule::Host | Rule::Cookie | Rule::Expect => Fate::Send,
    }
}

/// Appends what may cross of `headers`, without `content-length` and, in requests, `host`. Tells whether
/// something was left out because it concerns one hop.
pub(super) fn write(
    out: &mut HeaderBlockBuilder,
    headers: &HeaderMap,
    kind: Kind,
) -> Result<bool, Error> {
    // Only headers that are there are put into the set, so it seldom allocates: `close` and `keep-alive` name none.
    let mut named = HashSet::new();
    for value in headers.get_all(header::CONNECTION) {
        let present = connection_names(value.as_bytes()).filter(|name| headers.contains_key(*name));
        named.extend(present.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()));
    }
    let mut stripped = false;
    let mut send = |name: &HeaderName, single: Option<&HeaderValue>| {
        match (fate(name, headers, kind, &named), single) {
            (Fate::LeaveOut, _) => {}
            (Fate::Strip, _) => stripped = true,
            (Fate::SendTeTrailers, _) => push(out, name.as_str(), b"trailers")?,
            (Fate::Send | Fate::SendAsOneCookie, Some(value)) => {
                push(out, name.as_str(), value.as_bytes())?;
            }
            (Fate::SendAsOneCookie, None) => {
                push(out, name.as_str(), &joined(members(headers, name)))?;
            }
            (Fate::Send, None) => push_members(out, headers, name)?,
        }
        Ok::<_, Error>(())
    };
    if headers.keys_len() == headers.len() {
        // No name repeats: spare a lookup by hash for each.
        headers
            .iter()
            .try_for_each(|(name, value)| send(name, Some(value)))?;
    } else {
        headers.keys().try_for_each(|name| send(name, None))?;
    }
    Ok(stripped)
}

/// The values of a header but the empty ones: a NUL-joined list may not have empty members (section 2.6.10).
fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers
        .get_all(name)
        .into_iter()
        .map(HeaderValue::as_bytes)
        .filter(|value| !value.is_empty())
}

fn push_members(
    out: &mut HeaderBlockBuilder,
    headers: &HeaderMap,
    name: &HeaderName,
) -> Result<(), Error> {
    let mut values = members(headers, name).peekable();
    if values.peek().is_none() {
        return push(out, name.as_str(), b"");
    }
    match out.push_values(name.as_str(), values) {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(name.as_str(), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::HeaderBlock;

    #[test]
    fn lengths_are_printed_in_full() {
        for length in [0, 9, 1234, u64::MAX] {
            let mut out = HeaderBlock::builder();
            push_length(&mut out, length).unwrap();
            assert_eq!(
                out.finish().get("content-length"),
                Some(length.to_string().as_bytes())
            );
        }
    }
}
