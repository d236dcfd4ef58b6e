//! The messages of a WebSocket of nobody's library.

use bytes::Bytes;
use spdy::ws::{Content, Message};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    Binary(Bytes),
    Text,
    Ping,
    #[allow(dead_code, reason = "not every test program answers a Ping")]
    Pong,
    Close(Option<u16>, String),
}

impl Message for Plain {
    fn binary(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }

    fn close(code: u16, reason: &'static str) -> Self {
        Self::Close(Some(code), reason.to_owned())
    }

    fn into_content(self) -> Content {
        match self {
            Self::Binary(bytes) => Content::Binary(bytes),
            Self::Text => Content::Text,
            Self::Ping | Self::Pong => Content::Control,
            Self::Close(code, reason) => Content::Close { code, reason },
        }
    }
}
