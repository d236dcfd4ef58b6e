//! An HTTP server over SPDY.
//!
//! [`serve`](crate::serve) takes a listener and a tower service, an axum `Router` as it is.
//! [`Builder::serve_connection`] is the same for one connection, in hyper's shape: hyper's IO, executor, timer and
//! service traits.
//!
//! ```no_run
//! use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
//! use hyper::{Request, Response};
//! use spdy::server;
//!
//! # async fn example(io: tokio::net::TcpStream) -> spdy::Result<()> {
//! let service = hyper::service::service_fn(|_request: Request<spdy::Body>| async {
//!     Ok::<_, std::convert::Infallible>(Response::new(spdy::Body::from("hello")))
//! });
//! server::Builder::new(TokioExecutor::new())
//!     .timer(TokioTimer::new())
//!     .max_concurrent_streams(500)
//!     .serve_connection(TokioIo::new(io), service)
//!     .await
//! # }
//! ```

#[cfg(feature = "auto")]
pub mod auto;
mod conn;
mod graceful;
mod listener;
mod make_connection;
mod respond;
mod serve;
#[cfg(feature = "upgrade")]
mod upgraded;

pub use self::conn::{Builder, Connection};
pub(crate) use self::graceful::outcome;
pub use self::graceful::{GracefulConnection, GracefulShutdown, Watcher};
pub use self::listener::Listener;
pub use self::make_connection::MakeConnection;
pub use self::respond::StreamTask;
pub use self::serve::{Same, Serve, serve, serve_with};
