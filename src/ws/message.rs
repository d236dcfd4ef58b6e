use bytes::Bytes;

/// A message of a WebSocket library.
///
/// Implemented for [`axum`](https://docs.rs/axum)'s (feature `axum`) and tungstenite's (feature `tokio-tungstenite`). For
/// others it takes a few lines:
///
/// ```
/// use bytes::Bytes;
/// use spdy::ws::{Content, Message};
///
/// enum Mine {
///     Binary(Vec<u8>),
///     Text(String),
///     Close(u16, String),
/// }
///
/// impl Message for Mine {
///     fn binary(bytes: Bytes) -> Self {
///         Self::Binary(bytes.into())
///     }
///
///     fn close(code: u16, reason: &'static str) -> Self {
///         Self::Close(code, reason.into())
///     }
///
///     fn into_content(self) -> Content {
///         match self {
///             Self::Binary(bytes) => Content::Binary(bytes.into()),
///             Self::Text(_) => Content::Text,
///             Self::Close(code, reason) => Content::Close { code: Some(code), reason },
///         }
///     }
/// }
/// ```
pub trait Message: Sized {
    /// A binary message, whole. The tunnel makes none that is empty or larger than 32 KiB.
    fn binary(bytes: Bytes) -> Self;

    /// A Close with this code (RFC 6455, section 7.4) and reason, which may be empty.
    fn close(code: u16, reason: &'static str) -> Self;

    /// What it is.
    fn into_content(self) -> Content;
}

/// What a [`Message`] is, as far as the tunnel wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Bytes of the session, any number of them, from all frames of the message.
    Binary(Bytes),
    /// Text, which has no place in a tunnel.
    Text,
    /// Ping or Pong, which are the library's to answer.
    Control,
    /// The peer sends no more.
    Close {
        /// Its code, if it has one.
        code: Option<u16>,
        /// Its reason, or nothing.
        reason: String,
    },
}
