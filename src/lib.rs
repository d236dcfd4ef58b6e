//! placeholder docs

#![forbid(unsafe_code)]

pub mod codec;
pub mod error;
pub mod frame;
pub mod headers;
pub mod session;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "stream")]
pub mod conn;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod rt;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "stream")]
pub mod stream;

pub use self::error::{Error, Initiator, Result, Timeout};
pub use self::headers::HeaderCompression;
#[cfg(feature = "http")]
pub use self::http::Body;
#[cfg(feature = "server")]
pub use self::server::{serve, serve_with};
pub use self::session::{Config, FlowControl, Overflow};
