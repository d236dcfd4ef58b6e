//! The fields of a received block into a header map.

use bytes::{Buf, Bytes};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::fields::{
    Kind, Rule, accepts_trailers, agreed_length, connection_names, joined, rule_of,
};

/// Why a received field cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldFault {
    Name,
    Value,
    TooMany,
}

impl FieldFault {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Name => "a header name is not a token",
            Self::Value => "a header value has a control character",
            Self::TooMany => "too many headers",
        }
    }
}

/// The `content-length` of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Absent,
    Known(u64),
    /// Not a number, or two that differ. It is not in the header map.
    Invalid,
}

/// What a [`FieldReader`] has collected.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) headers: HeaderMap,
    pub(super) length: Length,
    /// Whether something was dropped that a peer must not send.
    pub(super) stripped: bool,
}

/// Turns the fields of a received block into a header map, in one pass and without copying values.
#[derive(Debug)]
pub(super) struct FieldReader {
    kind: Kind,
    fields: Fields,
    connection: Option<Bytes>,
}

impl FieldReader {
    /// `fields` is the number of fields in the block.
    pub(super) fn new(kind: Kind, fields: usize) -> Result<Self, FieldFault> {
        let headers = HeaderMap::try_with_capacity(fields).map_err(|_| FieldFault::TooMany)?;
        let fields = Fields {
            headers,
            length: Length::Absent,
            stripped: false,
        };
        Ok(Self {
            kind,
            fields,
            connection: None,
        })
    }

    /// Takes a field whose name does not start with a colon.
    pub(super) fn add(&mut self, name: &str, value: Bytes) -> Result<(), FieldFault> {
        let request = self.kind == Kind::Request;
        match rule_of(name) {
            Rule::Connection => {
                self.fields.stripped = true;
                self.connection = Some(value);
                Ok(())
            }
            Rule::Te if request && accepts_trailers(&value) => {
                self.append(header::TE, HeaderValue::from_static("trailers"))
            }
            Rule::Host if self.kind == Kind::Response => self.add_members(name, value),
            Rule::HopByHop | Rule::Te | Rule::Host => {
                self.fields.stripped = true;
                Ok(())
            }
            Rule::ContentLength => self.add_length(value),
            Rule::Cookie if request && value.contains(&0) => {
                let all = Bytes::from(joined(
                    value.split(|&b| b == 0).filter(|cookie| !cookie.is_empty()),
                ));
                self.append_bytes(header::COOKIE, all)
            }
            Rule::Pass | Rule::Cookie | Rule::Expect => self.add_members(name, value),
        }
    }

    fn add_length(&mut self, mut value: Bytes) -> Result<(), FieldFault> {
        if self.kind == Kind::Trailers {
            self.fields.stripped = true;
            return Ok(());
        }
        let Some(length) = agreed_length(value.split(|&b| b == 0)) else {
            self.fields.length = Length::Invalid;
            return Ok(());
        };
        self.fields.length = Length::Known(length);
        // Members that agree are passed on as one.
        let first = value.iter().position(|&b| b == 0).unwrap_or(value.len());
        value.truncate(first);
        self.append_bytes(header::CONTENT_LENGTH, value)
    }

    /// One line per member (section 2.6.10): this keeps `set-cookie` apart.
    fn add_members(&mut self, name: &str, mut value: Bytes) -> Result<(), FieldFault> {
        // Not `from_lowercase`: it lets a quotation mark pass, which is not a token (RFC 9110 section 5.6.2). Upper
        // case does not get here, the block is checked.
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldFault::Name)?;
        while let Some(end) = value.iter().position(|&b| b == 0) {
            let member = value.split_to(end);
            value.advance(1);
            self.append_bytes(name.clone(), member)?;
        }
        self.append_bytes(name, value)
    }

    fn append_bytes(&mut self, name: HeaderName, value: Bytes) -> Result<(), FieldFault> {
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| FieldFault::Value)?;
        self.append(name, value)
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), FieldFault> {
        // `append` panics when the map is full.
        self.fields
            .headers
            .try_append(name, value)
            .map_err(|_| FieldFault::TooMany)?;
        Ok(())
    }

    /// Drops what `Connection` names and gives the rest.
    pub(super) fn finish(mut self) -> Fields {
        if let Some(connection) = self.connection {
            for name in connection_names(&connection) {
                self.fields.headers.remove(name);
            }
        }
        self.fields
    }
}
