//! A SPDY/3.1 transport: frames, header blocks and the codec.

#![forbid(unsafe_code)]

pub mod codec;
pub mod error;
pub mod frame;
pub mod headers;
pub mod session;

pub use self::error::{Error, Initiator, Result, Timeout};
pub use self::headers::HeaderCompression;
pub use self::session::{Config, FlowControl, Overflow};
