//! Requests, responses and trailers to and from header blocks (SPDY/3.1 section 3.2). No IO.
//!
//! | direction | function | on failure |
//! |---|---|---|
//! | client sends | [`request_to_block`] | user error |
//! | server receives | [`request_from_block`] | [`BadRequest`]: answer with its status |
//! | server sends | [`response_to_block`] | user error |
//! | client receives | [`response_from_block`] | [`Malformed`]: RST_STREAM(PROTOCOL_ERROR) |
//! | both | [`trailers_to_block`], [`trailers_from_block`] | user error, [`Malformed`] |
//!
//! What does not cross, in either direction: headers that concern one hop ([`fields`]), which sections 3.2.1 and
//! 3.2.2 forbid to send. Received ones are dropped and the message goes on: section 3.2 names no reaction, and
//! ending the stream would punish peers that merely forward what they got.

mod date;
mod decode;
mod encode;
mod fields;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::fmt;

use http::header::HeaderMap;
use http::{Method, StatusCode};

use self::decode::{FieldFault, FieldReader};
use self::fields::Kind;
use crate::error::{Error, Initiator};
use crate::frame::{ResetStatus, StreamId};
use crate::headers::HeaderBlock;

pub(crate) use self::date::DateCache;
pub(crate) use self::request::{BadRequest, request_from_block, request_to_block};
pub(crate) use self::response::{ReceivedResponse, response_from_block, response_to_block};

/// A header block ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingHead {
    /// The block.
    pub(crate) block: HeaderBlock,
    /// Whether a header of the application was left out because it concerns one hop: worth one warning per
    /// connection.
    pub(crate) stripped: bool,
}

/// A received response head or trailer block that cannot be used: the stream ends with
/// RST_STREAM(PROTOCOL_ERROR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    reason: &'static str,
}

impl Malformed {
    const fn new(reason: &'static str) -> Self {
        Self { reason }
    }

    /// The error that the application sees.
    pub(crate) fn into_error(self, id: Option<StreamId>) -> Error {
        Error::reset(
            id,
            ResetStatus::PROTOCOL_ERROR,
            Initiator::Library,
            self.reason,
        )
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for Malformed {}

impl From<FieldFault> for Malformed {
    fn from(fault: FieldFault) -> Self {
        Self::new(fault.reason())
    }
}

/// What the DATA frames of a response are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseBody {
    /// There must be none.
    Forbidden,
    /// A body.
    Payload,
    /// The bytes of a tunnel, without a length.
    Tunnel,
}

impl ResponseBody {
    /// What follows a response with this final `status` to a request with this `method` (RFC 9110 section 6.4.1).
    pub(crate) fn of(method: &Method, status: StatusCode) -> Self {
        if *method == Method::CONNECT && status.is_success() {
            // Before the status is looked at: a 204 to CONNECT opens a tunnel like any other 2xx.
            return Self::Tunnel;
        }
        let none = *method == Method::HEAD
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        if none { Self::Forbidden } else { Self::Payload }
    }
}

/// The block of a HEADERS frame that ends a body.
///
/// `content-length` and `host` are left out as well: they would speak of a message that has already been
/// delivered.
///
/// # Errors
///
/// A user error if a name or value cannot be carried.
pub(crate) fn trailers_to_block(trailers: &HeaderMap) -> Result<OutgoingHead, Error> {
    let (fields, bytes) = encode::capacity(trailers);
    let mut block = HeaderBlock::builder_with_capacity(fields, bytes);
    let stripped = encode::write(&mut block, trailers, Kind::Trailers)?;
    Ok(OutgoingHead {
        block: block.finish(),
        stripped,
    })
}

/// The trailers in a received HEADERS frame.
///
/// # Errors
///
/// [`Malformed`] if there is a name that starts with a colon: the drafts do not say so, but such a name could
/// only rewrite the head of a message that was already acted upon.
pub(crate) fn trailers_from_block(block: &HeaderBlock) -> Result<HeaderMap, Malformed> {
    let mut fields = FieldReader::new(Kind::Trailers, block.len())?;
    for (name, value) in block.iter_bytes() {
        if name.starts_with(':') {
            return Err(Malformed::new("a name in the trailers starts with a colon"));
        }
        fields.add(name, value)?;
    }
    Ok(fields.finish().headers)
}
