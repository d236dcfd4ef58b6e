//! Bytes to frames and frames to bytes (SPDY/3.1 section 2.2).
//!
//! [`Decoder`] and [`Encoder`] do no IO and own the two compression contexts of a connection. Their memory is
//! bounded by [`DecoderLimits`], never by a number from the wire.

mod decode;
mod encode;
mod error;
mod outbuf;
mod parts;
mod preface;
mod wire;

pub use self::decode::{Decoder, DecoderLimits};
pub use self::encode::Encoder;
pub use self::error::DecodeError;
pub use self::outbuf::OutBuf;
