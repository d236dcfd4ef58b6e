//! Name/value blocks and their compression (SPDY/3.1 section 2.6.10).
//!
//! A block has two forms: the *plain* form, which [`HeaderBlock`] holds, and the compressed form on the wire,
//! which the codec produces and consumes. All blocks of one direction of a connection share one compression
//! context, so that each block has to be inflated exactly once, in order, whatever becomes of its frame.

mod block;
mod builder;
mod compression;
mod deflate;
mod dictionary;
mod inflate;
mod names;

pub use self::block::{BlockError, BlockLimits, HeaderBlock, MAX_BLOCK_LEN};
pub use self::builder::{HeaderBlockBuilder, InvalidHeader};
pub use self::compression::HeaderCompression;

pub(crate) use self::deflate::Deflater;
pub(crate) use self::inflate::{InflateError, Inflater};
