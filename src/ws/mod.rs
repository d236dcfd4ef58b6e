//! SPDY through a WebSocket: the binary messages carry the bytes of a session, in any split.
//!
//! [`Tunnel`] makes a transport of a WebSocket, and a [`Session`](crate::stream::Session) runs on that as on
//! any other, in either role. It is how `kubectl port-forward` speaks SPDY/3.1 since Kubernetes 1.31, where proxies that know
//! no Upgrade but this one are in between.
//!
//! The handshake is the library's, and so is everything about the WebSocket itself: frames, masks, the answers to Ping and
//! Close. The tunnel wants a [stream](futures_core::Stream) and [sink](futures_sink::Sink) of [`Message`]s, which those of
//! axum and tungstenite are with the features `axum` and `tokio-tungstenite`. For those of others [`Message`] shows what
//! it takes: a type around theirs, and the socket mapped to it.
//!
//! At the end of a session its GOAWAY goes first, then Close with the code 1000.
//!
//! # Origin
//!
//! A page in a browser may open a WebSocket to any host, with the cookies and the network of its user: the same-origin policy
//! does not hold here. A server that browsers can reach has to check the header `Origin`, or to demand a credential that no
//! browser sends by itself. kubectl sends no `Origin`; refusing every request that has one is right where only such tools are
//! served.
//!
//! # Memory
//!
//! The tunnel holds one received message. How large that may be is the library's to limit, and its default is far too much
//! for this: 64 MiB in both, and 16 MiB for a frame, for which tungstenite allocates as soon as it has seen the header. Go's
//! tools and proxies send messages of up to 32 KiB, this crate too. 256 KiB for both leaves room:
//!
//! | library | set |
//! |---|---|
//! | axum | `WebSocketUpgrade::max_message_size` and `max_frame_size` |
//! | tungstenite | `WebSocketConfig::max_message_size` and `max_frame_size` |
//!
//! Beside that, tungstenite keeps a buffer of 128 KiB for reading, and lets as much pile up for writing unless it is told to
//! flush, as a session tells it after each batch. It answers each Ping, and keeps the answers that the socket does not take:
//! behind 64 of them a tunnel reads no more until they are written.
//!
//! # A server
//!
//! With the features `axum` and `kube`:
//!
//! ```no_run
//! # #[cfg(all(feature = "axum", feature = "kube"))]
//! # mod example {
//! use std::time::Duration;
//!
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use axum::http::{HeaderMap, StatusCode, header::ORIGIN};
//! use axum::response::{IntoResponse, Response};
//! use spdy::kube::port_forward::{Server, WEBSOCKET_PROTOCOL};
//! use spdy::{Config, Overflow, stream::Session, ws::Tunnel};
//! use tokio::{net::TcpStream, time::timeout};
//!
//! async fn port_forward(headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
//!     if headers.contains_key(ORIGIN) {
//!         return (StatusCode::FORBIDDEN, "not for browsers").into_response();
//!     }
//!     let upgrade = upgrade.protocols([WEBSOCKET_PROTOCOL]);
//!     if upgrade.selected_protocol().is_none() {
//!         let why = format!("the only subprotocol here is {WEBSOCKET_PROTOCOL}");
//!         return (StatusCode::BAD_REQUEST, why).into_response();
//!     }
//!     let upgrade = upgrade.max_message_size(256 << 10).max_frame_size(256 << 10);
//!     upgrade.on_upgrade(|socket| async {
//!         // A target that takes nothing for so long is given up, or it would hold all others up.
//!         let stuck = Overflow::Reset { after: Duration::from_secs(30) };
//!         let config = Config::spdystream_server().overflow(stuck);
//!         let (session, connection) = Session::server(Tunnel::new(socket), config);
//!         tokio::spawn(connection);
//!         let mut server = Server::new(session);
//!         while let Ok(Some(forward)) = server.accept().await {
//!             tokio::spawn(async move {
//!                 let dial = TcpStream::connect(("127.0.0.1", forward.port()));
//!                 match timeout(Duration::from_secs(10), dial).await {
//!                     Ok(Ok(target)) => drop(forward.copy(target).await),
//!                     Ok(Err(error)) => forward.fail(error).await,
//!                     Err(late) => forward.fail(late).await,
//!                 }
//!             });
//!         }
//!     })
//! }
//!
//! pub fn app() -> Router {
//!     Router::new().route("/api/v1/namespaces/{namespace}/pods/{pod}/portforward", any(port_forward))
//! }
//! # }
//! ```
//!
//! # A client
//!
//! With the features `tokio-tungstenite` and `kube`. kubectl falls back to [`kube::connect`](crate::kube::connect) when the
//! server answers with anything but 101, or chooses another subprotocol.
//!
//! ```no_run
//! # #[cfg(all(feature = "tokio-tungstenite", feature = "kube"))]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use spdy::kube::port_forward::{Client, WEBSOCKET_PROTOCOL};
//! use spdy::{Config, stream::Session, ws::Tunnel};
//! use tokio_tungstenite::client_async_with_config;
//! use tokio_tungstenite::tungstenite::{ClientRequestBuilder, protocol::WebSocketConfig};
//!
//! let io = tokio::net::TcpStream::connect("127.0.0.1:8001").await?;
//! io.set_nodelay(true)?;
//! let uri = "ws://127.0.0.1:8001/api/v1/namespaces/default/pods/p/portforward".parse()?;
//! let request = ClientRequestBuilder::new(uri).with_sub_protocol(WEBSOCKET_PROTOCOL);
//! let config = WebSocketConfig::default()
//!     .max_message_size(Some(256 << 10))
//!     .max_frame_size(Some(256 << 10));
//! // Fails also if the server names no subprotocol, or one that was not asked for.
//! let (socket, _response) = client_async_with_config(request, io, Some(config)).await?;
//!
//! let (session, connection) = Session::client(Tunnel::new(socket), Config::spdystream_client());
//! tokio::spawn(connection);
//! let client = Client::new(session);
//! let forwarded = client.connect(80).await?;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "axum")]
mod axum;
mod message;
#[cfg(feature = "tokio-tungstenite")]
mod tungstenite;
mod tunnel;

pub use self::message::{Content, Message};
pub use self::tunnel::Tunnel;
