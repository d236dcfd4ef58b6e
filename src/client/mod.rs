//! An HTTP client over SPDY, in the shape of hyper's `client::conn`.
//!
//! [`handshake`] puts a session on a transport and gives a [`SendRequest`], which can be cloned and is a tower
//! service, and a [`Connection`] to spawn. A [`Connector`] does all of it from a URI: it dials, negotiates, and gives
//! the [`SendRequest`].
//!
//! ```no_run
//! use http_body_util::{BodyExt, Empty};
//! use hyper::{Request, body::Bytes};
//! use hyper_util::rt::{TokioExecutor, TokioIo};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let io = tokio::net::TcpStream::connect("127.0.0.1:6121").await?;
//! io.set_nodelay(true)?;
//! let (mut client, connection) = spdy::client::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
//! tokio::spawn(connection);
//!
//! let request = Request::get("http://localhost:6121/").body(Empty::<Bytes>::new())?;
//! client.ready().await?;
//! let response = client.send_request(request).await?;
//! println!("{}", response.status());
//! let body = response.into_body().collect().await?.to_bytes();
//! println!("{} bytes", body.len());
//! # Ok(())
//! # }
//! ```

mod conn;
mod connect;
#[cfg(feature = "upgrade")]
pub(crate) mod hyper_body;
mod request;
mod response;
mod spawn;

pub use self::conn::{Builder, Connection, handshake};
pub use self::connect::{Connecting, Connector, NoTls, Secure};
#[cfg(feature = "auto")]
pub use self::connect::{Fallback, FallbackConnector, Sender, SenderFuture};
pub use self::request::{SendRequest, TrySendError};
pub use self::response::{ResponseFuture, TryResponseFuture};
pub use self::spawn::BoxTask;
