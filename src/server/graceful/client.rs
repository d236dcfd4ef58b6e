//! The client's connections.

use std::pin::Pin;

use hyper::rt::{Read, Write};

use super::GracefulConnection;
use crate::client::Connection;
use crate::error::Error;

impl<T> GracefulConnection for Connection<T>
where
    T: Read + Write + Unpin,
{
    type Error = Error;

    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}
