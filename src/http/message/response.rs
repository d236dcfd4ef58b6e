//! Responses (SPDY/3.1 section 3.2.2).

use http::header::{self, HeaderValue};
use http::response::Parts;
use http::{Response, StatusCode, Version};

use super::decode::{FieldReader, Length};
use super::encode;
use super::fields::Kind;
use super::{Malformed, OutgoingHead};
use crate::error::Error;
use crate::headers::HeaderBlock;

/// The block of a SYN_REPLY.
///
/// `:status` is the number alone: section 3.2.2 allows "200" and "200 OK", all known peers read both, and in HTTP
/// the reason phrase means nothing.
///
/// `content_length` is the exact size of the body if it is known, and `None` where there is none by rule
/// ([`ResponseBody`](super::ResponseBody)); a `content-length` header wins over it, and 204 and 304 never get one
/// from it. `date` is added unless there is one.
///
/// # Errors
///
/// A user error for a 1xx status, for which SPDY has no frame; for a `content-length` header that is not a number
/// or has values that differ; and if a header cannot be carried.
pub(crate) fn response_to_block(
    parts: &Parts,
    content_length: Option<u64>,
    date: &HeaderValue,
) -> Result<OutgoingHead, Error> {
    if parts.status.is_informational() {
        return Err(Error::user(format!(
            "SPDY cannot carry the interim response {}",
            parts.status
        )));
    }
    let (fields, bytes) = encode::capacity(&parts.headers);
    let mut block = HeaderBlock::builder_with_capacity(fields, bytes);
    encode::push(&mut block, ":status", parts.status.as_str().as_bytes())?;
    encode::push(&mut block, ":version", b"HTTP/1.1")?;

    let bodiless =
        parts.status == StatusCode::NO_CONTENT || parts.status == StatusCode::NOT_MODIFIED;
    let known = content_length.filter(|_| !bodiless);
    if let Some(length) = encode::declared_length(&parts.headers)?.or(known) {
        encode::push_length(&mut block, length)?;
    }
    if !parts.headers.contains_key(header::DATE) {
        encode::push(&mut block, "date", date.as_bytes())?;
    }
    let stripped = encode::write(&mut block, &parts.headers, Kind::Response)?;
    Ok(OutgoingHead {
        block: block.finish(),
        stripped,
    })
}

/// What a SYN_REPLY is.
#[derive(Debug)]
pub(crate) enum ReceivedResponse {
    /// A 1xx, which no draft knows and node sends nevertheless: skipped, another SYN_REPLY may follow.
    Interim(StatusCode),
    /// The response.
    Final(ResponseHead),
}

/// A received response.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    /// The head.
    pub(crate) response: Response<()>,
    /// What `content-length` says. Advisory: if the body differs, the header is to be ignored (section 3.2.2).
    pub(crate) content_length: Option<u64>,
    /// Whether the peer sent a header that concerns one hop, which was dropped.
    pub(crate) stripped: bool,
}

/// The response in the block of a SYN_REPLY.
///
/// Values are not copied: one that is kept keeps the whole block. Unknown names with a colon are passed over, as
/// by other peers: spdy-transport puts request names into the heads of its pushes. A `content-length` that is not
/// a number, or has values that differ, is dropped: it is advisory, and passed on to HTTP/1.1 it would cut the
/// message in the wrong place.
///
/// # Errors
///
/// [`Malformed`] without `:status` or `:version` (section 3.2.2), if the first word of `:status` is not three
/// digits, and for names or values that are not HTTP.
pub(crate) fn response_from_block(block: &HeaderBlock) -> Result<ReceivedResponse, Malformed> {
    let status = block
        .get(":status")
        .ok_or(Malformed::new("the response has no :status"))?;
    let status = status_of(status).ok_or(Malformed::new(
        ":status does not start with a three-digit number",
    ))?;
    let version = match block.get(":version") {
        None => return Err(Malformed::new("the response has no :version")),
        Some(b"HTTP/1.0") => Version::HTTP_10,
        // The value changes nothing in how the response is read, so an odd one is no reason to lose it.
        Some(_) => Version::HTTP_11,
    };
    if status.is_informational() {
        return Ok(ReceivedResponse::Interim(status));
    }

    // All but status and version.
    let mut fields = FieldReader::new(Kind::Response, block.len().saturating_sub(2))?;
    for (name, value) in block.iter_bytes() {
        if !name.starts_with(':') {
            fields.add(name, value)?;
        }
    }
    let fields = fields.finish();
    let content_length = match fields.length {
        Length::Known(length) => Some(length),
        Length::Absent | Length::Invalid => None,
    };
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = fields.headers;
    Ok(ReceivedResponse::Final(ResponseHead {
        response,
        content_length,
        stripped: fields.stripped,
    }))
}

fn status_of(value: &[u8]) -> Option<StatusCode> {
    let number = value.split(|&b| b == b' ').next()?;
    StatusCode::from_bytes(number).ok()
}
