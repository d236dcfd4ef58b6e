//! The message of the service, as `prost-build` would make it of
//!
//! ```proto
//! message Note { string text = 1; uint32 number = 2; bytes payload = 3; }
//! ```

use bytes::Bytes;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Note {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    #[prost(uint32, tag = "2")]
    pub(crate) number: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) payload: Bytes,
}

impl Note {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::new(text, 0)
    }

    pub(crate) fn new(text: impl Into<String>, number: u32) -> Self {
        Self {
            text: text.into(),
            number,
            payload: Bytes::new(),
        }
    }
}
