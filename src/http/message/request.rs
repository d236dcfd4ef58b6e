//! Requests (SPDY/3.1 section 3.2.1).

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, StatusCode, Uri, Version};

use super::OutgoingHead;
use super::decode::{FieldFault, FieldReader, Length};
use super::encode;
use super::fields::Kind;
use crate::error::Error;
use crate::headers::HeaderBlock;
use crate::http::target::{connect_target, has_port, host_of, is_port, path_of};

/// The longest target that `http` can index.
const MAX_TARGET: usize = u16::MAX as usize - 1;

/// The block of a SYN_STREAM.
///
/// - `:host` is the URI's authority without user information, else the `Host` header.
/// - `:scheme` is the URI's, else `http`. CONNECT sends it only if the URI has one.
/// - `:version` is always HTTP/1.1, and `Expect: 100-continue` is left out: SPDY has no interim responses.
/// - `content_length` is the exact size of the body if it is known; 0 is announced only for methods that expect a
///   body (section 3.2.1 asks for it on POST, RFC 9110 section 8.6 generalises).
///
/// # Errors
///
/// A user error if there is no host, the target does not fit the method, the `content-length` header contradicts
/// `content_length`, or a header cannot be carried.
pub(crate) fn request_to_block(
    parts: &Parts,
    content_length: Option<u64>,
) -> Result<OutgoingHead, Error> {
    let connect = parts.method == Method::CONNECT;
    let host = host_of(&parts.uri, &parts.headers)?;
    let path = if connect {
        Cow::Borrowed(connect_target(host)?)
    } else {
        path_of(&parts.method, &parts.uri)?
    };

    let (fields, bytes) = encode::capacity(&parts.headers);
    let mut block = HeaderBlock::builder_with_capacity(fields, bytes + path.len() + host.len());
    encode::push(&mut block, ":method", parts.method.as_str().as_bytes())?;
    encode::push(&mut block, ":path", path.as_bytes())?;
    encode::push(&mut block, ":version", b"HTTP/1.1")?;
    encode::push(&mut block, ":host", host.as_bytes())?;
    match parts.uri.scheme_str() {
        Some(scheme) => encode::push(&mut block, ":scheme", scheme.as_bytes())?,
        None if connect => {}
        None => encode::push(&mut block, ":scheme", b"http")?,
    }
    if !connect {
        // A tunnel has no length.
        if let Some(length) = length_of(parts, content_length)? {
            encode::push_length(&mut block, length)?;
        }
    }
    let stripped = encode::write(&mut block, &parts.headers, Kind::Request)?;
    Ok(OutgoingHead {
        block: block.finish(),
        stripped,
    })
}

fn length_of(parts: &Parts, content_length: Option<u64>) -> Result<Option<u64>, Error> {
    let declared = encode::declared_length(&parts.headers)?;
    match (declared, content_length) {
        (Some(declared), Some(actual)) if declared != actual => {
            // The peer has to answer 400 (section 3.2.1).
            Err(Error::user(format!(
                "content-length is {declared} but the body has {actual} bytes"
            )))
        }
        (Some(declared), _) => Ok(Some(declared)),
        (None, Some(0)) => {
            let expects_body = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
            Ok(expects_body.then_some(0))
        }
        (None, actual) => Ok(actual),
    }
}

/// A request that is answered with an error without a service seeing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadRequest {
    /// What to answer.
    pub(crate) status: StatusCode,
    reason: &'static str,
}

impl BadRequest {
    const fn new(reason: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason,
        }
    }

    /// The header list passes the limit of this side.
    pub(crate) const fn too_large() -> Self {
        Self {
            status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            reason: "the header list is larger than the limit",
        }
    }
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for BadRequest {}

impl From<FieldFault> for BadRequest {
    fn from(fault: FieldFault) -> Self {
        let status = match fault {
            FieldFault::Name | FieldFault::Value => StatusCode::BAD_REQUEST,
            FieldFault::TooMany => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        };
        Self {
            status,
            reason: fault.reason(),
        }
    }
}

/// A received request.
#[derive(Debug)]
pub(crate) struct RequestHead {
    /// Its URI is absolute, or for CONNECT in authority form; `Host` is `:host`.
    pub(crate) request: Request<()>,
    /// How long the body has to be (section 3.2.1: else 400). `None` for CONNECT.
    pub(crate) content_length: Option<u64>,
    /// Whether the peer sent a header that concerns one hop, which was dropped.
    pub(crate) stripped: bool,
}

/// The names with a colon.
#[derive(Debug, Default)]
struct Target {
    method: Option<Bytes>,
    path: Option<Bytes>,
    version: Option<Bytes>,
    host: Option<Bytes>,
    scheme: Option<Bytes>,
}

/// The request in the block of a SYN_STREAM.
///
/// Values are not copied: one that is kept keeps the whole block.
///
/// # Errors
///
/// [`BadRequest`], by section 3.2.1 when one of the five names is missing; also for an unknown name with a colon.
/// Peers ignore those. We do not: whoever sends one means it to change what the request says (`:authority`,
/// `:protocol`), and a front that understood it would have judged another request than the service gets.
pub(crate) fn request_from_block(block: &HeaderBlock) -> Result<RequestHead, BadRequest> {
    let mut target = Target::default();
    // All but method, path, version and scheme: a slot of a header map takes a hundred bytes, used or not.
    let mut fields = FieldReader::new(Kind::Request, block.len().saturating_sub(4))?;
    for (name, value) in block.iter_bytes() {
        if !name.starts_with(':') {
            fields.add(name, value)?;
            continue;
        }
        let slot = match name {
            ":method" => &mut target.method,
            ":path" => &mut target.path,
            ":version" => &mut target.version,
            ":host" => &mut target.host,
            ":scheme" => &mut target.scheme,
            _ => return Err(BadRequest::new("an unknown name starts with a colon")),
        };
        *slot = Some(value);
    }

    let method = target
        .method
        .as_ref()
        .ok_or(BadRequest::new("no :method"))?;
    let method =
        Method::from_bytes(method).map_err(|_| BadRequest::new(":method is not a token"))?;
    let version = match target.version.as_deref() {
        Some(b"HTTP/1.1") => Version::HTTP_11,
        Some(b"HTTP/1.0") => Version::HTTP_10,
        Some(_) => return Err(BadRequest::new(":version is neither HTTP/1.1 nor HTTP/1.0")),
        None => return Err(BadRequest::new("no :version")),
    };
    let connect = method == Method::CONNECT;
    let (uri, host) = if connect {
        target.into_connect_uri()?
    } else {
        target.into_uri(&method)?
    };

    let mut fields = fields.finish();
    let content_length = match fields.length {
        _ if connect => {
            fields.headers.remove(header::CONTENT_LENGTH);
            None
        }
        Length::Absent => None,
        Length::Known(length) => Some(length),
        Length::Invalid => {
            return Err(BadRequest::new(
                "content-length is not a number, or its values differ",
            ));
        }
    };
    let host = HeaderValue::from_maybe_shared(host).map_err(|_| FieldFault::Value)?;
    fields
        .headers
        .try_insert(header::HOST, host)
        .map_err(|_| FieldFault::TooMany)?;

    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    *request.headers_mut() = fields.headers;
    Ok(RequestHead {
        request,
        content_length,
        stripped: fields.stripped,
    })
}

impl Target {
    /// The absolute URI, and `Host`.
    fn into_uri(self, method: &Method) -> Result<(Uri, Bytes), BadRequest> {
        let path = self.path.ok_or(BadRequest::new("no :path"))?;
        let host = self.host.ok_or(BadRequest::new("no :host"))?;
        let scheme = self.scheme.ok_or(BadRequest::new("no :scheme"))?;

        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(path_and_query(path, method)?);
        uri.authority = Some(authority(
            host.clone(),
            ":host is not a host with an optional port",
        )?);
        uri.scheme = Some(scheme_of(&scheme)?);
        let uri = Uri::from_parts(uri).map_err(|_| BadRequest::new("the target is not a URI"))?;
        Ok((uri, host))
    }

    /// The URI in authority form, and `Host`, both from `:path`.
    ///
    /// Chromium leaves the default port out of `:host` but not out of `:path`, and sends no `:scheme`.
    fn into_connect_uri(self) -> Result<(Uri, Bytes), BadRequest> {
        const NOT_A_TARGET: &str = ":path of CONNECT is not host:port";
        let path = self.path.ok_or(BadRequest::new("no :path"))?;
        let host = self.host.ok_or(BadRequest::new("no :host"))?;
        let target = authority(path.clone(), NOT_A_TARGET)?;
        if !has_port(target.as_str()) {
            return Err(BadRequest::new(NOT_A_TARGET));
        }
        if !host.eq_ignore_ascii_case(&path) && !host.eq_ignore_ascii_case(target.host().as_bytes())
        {
            return Err(BadRequest::new(":path and :host of CONNECT differ"));
        }
        Ok((Uri::from(target), path))
    }
}

/// A host with an optional port. `http` takes more: user information is refused because it is not part of a host
/// (RFC 9110 section 4.2.4) and can make one host look like another; an empty host and a port that is no number,
/// because the next hop would read them in its own way.
fn authority(bytes: Bytes, fault: &'static str) -> Result<Authority, BadRequest> {
    if bytes.contains(&b'@') {
        return Err(BadRequest::new(fault));
    }
    let authority = Authority::from_maybe_shared(bytes).map_err(|_| BadRequest::new(fault))?;
    let odd_port = match authority.as_str().rsplit_once(':') {
        // The colon is inside an IPv6 address.
        Some((_, rest)) if rest.ends_with(']') => false,
        // RFC 3986 section 3.2.3 lets a port be empty.
        Some((_, port)) => !port.is_empty() && !is_port(port),
        None => false,
    };
    if odd_port || authority.host().is_empty() {
        return Err(BadRequest::new(fault));
    }
    Ok(authority)
}

/// `http` takes an empty scheme, and does not count `HTTP` as [`Scheme::HTTP`].
fn scheme_of(scheme: &[u8]) -> Result<Scheme, BadRequest> {
    const NOT_A_SCHEME: BadRequest = BadRequest::new(":scheme is not a scheme");
    if scheme.eq_ignore_ascii_case(b"http") {
        return Ok(Scheme::HTTP);
    }
    if scheme.eq_ignore_ascii_case(b"https") {
        return Ok(Scheme::HTTPS);
    }
    if !is_scheme(scheme) {
        return Err(NOT_A_SCHEME);
    }
    Scheme::try_from(scheme).map_err(|_| NOT_A_SCHEME)
}

/// RFC 3986 section 3.1.
fn is_scheme(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
}

/// The target without its fragment, which some peers send and `http` cuts off.
fn path_and_query(path: Bytes, method: &Method) -> Result<PathAndQuery, BadRequest> {
    if path.len() > MAX_TARGET {
        return Err(BadRequest {
            status: StatusCode::URI_TOO_LONG,
            reason: ":path is too long",
        });
    }
    let path = match path.first() {
        Some(b'/') => path,
        Some(b'*') if path.len() == 1 && *method == Method::OPTIONS => path,
        _ => origin_form(&path).ok_or(BadRequest::new(":path does not start with a slash"))?,
    };
    PathAndQuery::from_maybe_shared(path)
        .map_err(|_| BadRequest::new(":path has a forbidden character"))
}

/// Path and query of an absolute URI. Its authority is passed over: `:host` names the host, in one place.
fn origin_form(uri: &Bytes) -> Option<Bytes> {
    let scheme_len = uri.iter().position(|&b| b == b':')?;
    let (scheme, rest) = uri.split_at(scheme_len);
    let after = rest.strip_prefix(b"://")?;
    let authority_len = after
        .iter()
        .position(|b| b"/?#".contains(b))
        .unwrap_or(after.len());
    if !is_scheme(scheme) || authority_len == 0 {
        return None;
    }
    match after.get(authority_len) {
        Some(b'/') => Some(uri.slice(uri.len() - after.len() + authority_len..)),
        Some(b'?') => Some([b"/", &after[authority_len..]].concat().into()),
        _ => Some(Bytes::from_static(b"/")),
    }
}
