//! A SPDY/3.1 transport: frames, header blocks and the codec.

#![forbid(unsafe_code)]

pub mod codec;
pub mod error;
pub mod frame;
pub mod headers;
pub mod session;

#[cfg(feature = "stream")]
pub mod conn;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "stream")]
pub mod stream;

pub use self::error::{Error, Initiator, Result, Timeout};
pub use self::headers::HeaderCompression;
pub use self::session::{Config, FlowControl, Overflow};
