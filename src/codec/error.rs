use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Initiator};
use crate::frame::GoAwayStatus;
use crate::headers::InflateError;

/// The peer's bytes are not SPDY, or can no longer be followed: an error of the session (SPDY/3.1 section 2.4.1),
/// to be answered by GOAWAY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    status: GoAwayStatus,
    message: Cow<'static, str>,
}

impl DecodeError {
    pub(super) fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: GoAwayStatus::PROTOCOL_ERROR,
            message: message.into(),
        }
    }

    /// The status of the GOAWAY.
    #[must_use]
    pub fn status(&self) -> GoAwayStatus {
        self.status
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl From<InflateError> for DecodeError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Corrupt => Self::protocol("compressed header block is corrupt"),
            InflateError::Ended => {
                Self::protocol("peer ended the compression stream of its header blocks")
            }
            InflateError::NoDictionary => {
                Self::protocol("header block compressed without the SPDY dictionary")
            }
            InflateError::ForeignDictionary(id) => Self::protocol(format!(
                "header block compressed with an unknown dictionary ({id:08x})"
            )),
            InflateError::Abuse => {
                Self::protocol("header block more than four times as large as the limit")
            }
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::session(error.status, Initiator::Library, error.message)
    }
}
