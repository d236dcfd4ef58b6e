use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};

use super::{Content, Message};

impl Message for tungstenite::Message {
    fn binary(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }

    fn close(code: u16, reason: &'static str) -> Self {
        Self::Close(Some(CloseFrame {
            code: code.into(),
            reason: Utf8Bytes::from_static(reason),
        }))
    }

    fn into_content(self) -> Content {
        match self {
            Self::Binary(bytes) => Content::Binary(bytes),
            Self::Text(_) => Content::Text,
            // A bare frame is for sending only: none is ever received.
            Self::Ping(_) | Self::Pong(_) | Self::Frame(_) => Content::Control,
            Self::Close(frame) => Content::Close {
                code: frame.as_ref().map(|frame| frame.code.into()),
                reason: frame.map_or_else(String::new, |frame| frame.reason.to_string()),
            },
        }
    }
}
