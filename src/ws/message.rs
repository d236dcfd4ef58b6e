use bytes::Bytes;

/// A message of a WebSocket library.
///
/// Implemented for [`axum`](https://docs.rs/axum)'s (feature `axum`) and tungstenite's (feature `tokio-tungstenite`).
///
/// # Other libraries
///
/// Rust allows no implementation of this trait for a type of another crate: put the library's message into a type of your own,
/// and let the socket take and give that, by `StreamExt::map` and `SinkExt::with` of `futures-util` (feature `sink`). A
/// socket that is no [stream](futures_core::Stream) and [sink](futures_sink::Sink) has to be made one first.
///
/// ```
/// # mod library {
/// #     pub enum Message { Binary(Vec<u8>), Text(String), Ping(Vec<u8>), Close(u16, String) }
/// # }
/// use std::future::ready;
///
/// use bytes::Bytes;
/// use futures_util::{Sink, SinkExt, Stream, StreamExt};
/// use spdy::ws::{Content, Message, Tunnel};
///
/// struct Mine(library::Message);
///
/// impl Message for Mine {
///     fn binary(bytes: Bytes) -> Self {
///         Self(library::Message::Binary(bytes.into()))
///     }
///
///     fn close(code: u16, reason: &'static str) -> Self {
///         Self(library::Message::Close(code, reason.into()))
///     }
///
///     fn into_content(self) -> Content {
///         match self.0 {
///             library::Message::Binary(bytes) => Content::Binary(bytes.into()),
///             library::Message::Text(_) => Content::Text,
///             library::Message::Ping(_) => Content::Control,
///             library::Message::Close(code, reason) => Content::Close { code: Some(code), reason },
///         }
///     }
/// }
///
/// fn tunnel<S, E>(socket: S) -> Tunnel<impl Stream<Item = Result<Mine, E>> + Sink<Mine, Error = E> + Unpin>
/// where
///     S: Stream<Item = Result<library::Message, E>> + Sink<library::Message, Error = E> + Unpin,
/// {
///     let socket = socket
///         .map(|message| message.map(Mine))
///         .with(|Mine(message)| ready(Ok(message)));
///     Tunnel::new(socket)
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
