//! The HTTP mapping: requests and responses to and from header blocks and streams.

pub(crate) mod message;
