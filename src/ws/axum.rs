use axum::extract::ws;
use bytes::Bytes;

use super::{Content, Message};

impl Message for ws::Message {
    fn binary(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }

    fn close(code: u16, reason: &'static str) -> Self {
        Self::Close(Some(ws::CloseFrame {
            code,
            reason: ws::Utf8Bytes::from_static(reason),
        }))
    }

    fn into_content(self) -> Content {
        match self {
            Self::Binary(bytes) => Content::Binary(bytes),
            Self::Text(_) => Content::Text,
            Self::Ping(_) | Self::Pong(_) => Content::Control,
            Self::Close(frame) => Content::Close {
                code: frame.as_ref().map(|frame| frame.code),
                reason: frame.map_or_else(String::new, |frame| frame.reason.to_string()),
            },
        }
    }
}
