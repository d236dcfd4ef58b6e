//! A SPDY/3.1 transport: frames, header blocks and the codec.

#![forbid(unsafe_code)]

pub mod codec;
pub mod error;
pub mod frame;
pub mod headers;

pub use self::error::Error;
