//! The bound on memory that SECURITY.md documents, from the options of a connection.

use spdy::frame::Role;
use spdy::{Config, FlowControl, HeaderCompression, Overflow};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The options that memory depends on. Those of a `Config` cannot be read back, so that both are made of this.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "not every test program reads all of them")]
pub(crate) struct Limits {
    pub(crate) role: Role,
    pub(crate) stream_window: u32,
    pub(crate) connection_window: u32,
    pub(crate) flow_control: FlowControl,
    pub(crate) overflow: Overflow,
    pub(crate) unread_stream_limit: usize,
    pub(crate) unread_connection_limit: usize,
    pub(crate) max_concurrent_streams: u32,
    pub(crate) max_header_list_size: u32,
    pub(crate) max_header_values: usize,
    pub(crate) compression: HeaderCompression,
}

impl Limits {
    /// The defaults of a role, as SECURITY.md prints them.
    pub(crate) fn of(role: Role) -> Self {
        let client = role == Role::Client;
        Self {
            role,
            stream_window: if client { 1 << 20 } else { 256 << 10 },
            connection_window: if client { 16 << 20 } else { 4 << 20 },
            flow_control: FlowControl::Spec,
            overflow: Overflow::Pause,
            unread_stream_limit: MIB,
            unread_connection_limit: 16 * MIB,
            max_concurrent_streams: 200,
            max_header_list_size: 16 << 10,
            max_header_values: 100,
            compression: if client {
                HeaderCompression::Off
            } else {
                HeaderCompression::Level(1)
            },
        }
    }

    #[allow(dead_code, reason = "not every test program uses it")]
    pub(crate) fn config(&self) -> Config {
        Config::for_role(self.role)
            .initial_stream_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window)
            .flow_control(self.flow_control)
            .overflow(self.overflow)
            .unread_stream_limit(self.unread_stream_limit)
            .unread_connection_limit(self.unread_connection_limit)
            .max_concurrent_streams(self.max_concurrent_streams)
            .max_header_list_size(self.max_header_list_size)
            .max_header_values(self.max_header_values)
            .header_compression(self.compression)
    }

    /// What may wait to be read, on one stream and on all.
    fn unread(&self) -> (usize, usize) {
        let stream = self.stream_window as usize;
        let connection = (self.connection_window as usize).max(2 * stream);
        let (stream, connection) = match self.flow_control {
            FlowControl::Off => (self.unread_stream_limit, self.unread_connection_limit),
            FlowControl::Lenient => (
                self.unread_stream_limit.max(stream),
                self.unread_connection_limit.max(connection),
            ),
            _ => return (stream, connection),
        };
        match self.overflow {
            Overflow::Reset { .. } => (connection, connection),
            _ => (stream, connection),
        }
    }

    /// The bound on the heap of one connection with `streams` streams: those that are open, and those that have ended
    /// and that the application still holds. A peer brings about twice `max_concurrent_streams` of them at most.
    pub(crate) fn bound(&self, streams: usize) -> usize {
        let list = self.max_header_list_size as usize;
        let (unread_stream, unread_connection) = self.unread();

        // Two read buffers, what is kept of batches, a batch of header blocks, and what reads them.
        let reading = (2 * (64 + 8) + 64 + 256) * KIB + 4 * list;
        let writing = 2 * (256 + 64) * KIB;
        let compressor = match self.compression {
            HeaderCompression::Off => 0,
            _ => 384 * KIB,
        };
        let queues = 128 * KIB;
        let fixed = reading + writing + compressor + queues;

        let record = 4 * KIB;
        let lists = 5 * list + 256 * self.max_header_values;
        let to_send = 16 * KIB;
        let pinned = 72 * KIB;
        let each = record + lists + to_send + pinned;

        let unread = (streams * unread_stream).min(unread_connection);
        let pool = (streams * 48 * KIB).min(4 * MIB);
        fixed + streams * each + 2 * unread + pool
    }
}
