//! What a connection has done so far.

use crate::frame::{Frame, Received};
use crate::session::Session;

/// How many frames of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameCounts {
    /// SYN_STREAM.
    pub syn_stream: u64,
    /// SYN_REPLY.
    pub syn_reply: u64,
    /// RST_STREAM.
    pub rst_stream: u64,
    /// SETTINGS.
    pub settings: u64,
    /// PING, requests and echoes.
    pub ping: u64,
    /// GOAWAY.
    pub go_away: u64,
    /// HEADERS.
    pub headers: u64,
    /// WINDOW_UPDATE.
    pub window_update: u64,
    /// DATA.
    pub data: u64,
    /// Control frames of unknown types, which were skipped; received only.
    pub ignored: u64,
}

impl FrameCounts {
    /// All frames.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.syn_stream
            + self.syn_reply
            + self.rst_stream
            + self.settings
            + self.ping
            + self.go_away
            + self.headers
            + self.window_update
            + self.data
            + self.ignored
    }
}

/// What one connection has done since its start, as of the last batch of frames, and where it stands now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Frames handed to the encoder.
    pub sent: FrameCounts,
    /// Frames received; a DATA frame counts once, however many pieces it came in.
    pub received: FrameCounts,
    /// Payload bytes of DATA frames handed to the encoder.
    pub data_sent: u64,
    /// Payload bytes of DATA frames received.
    pub data_received: u64,
    /// Writes to the transport that took something.
    pub writes: u64,
    /// Bytes the transport took.
    pub bytes_written: u64,
    /// Reads from the transport that gave something.
    pub reads: u64,
    /// Bytes the transport gave.
    pub bytes_read: u64,
    /// Batches of frames taken from the session to be sent: `sent.total() / batches_sent` is their mean size.
    pub batches_sent: u64,
    /// The largest of them, in frames.
    pub largest_batch_sent: u64,
    /// Batches of frames handed to the session.
    pub batches_received: u64,
    /// The largest of them, in frames and pieces of DATA.
    pub largest_batch_received: u64,
    /// Streams that exist now: open, queued, or ended but still held.
    pub streams: usize,
    /// What is left now of the connection window towards the peer, in bytes. Means nothing with
    /// [`FlowControl::Off`](crate::FlowControl::Off).
    pub send_window: i64,
    /// What is left now of the connection window that the peer was granted, in bytes; negative after an overrun that
    /// [`FlowControl::Lenient`](crate::FlowControl::Lenient) has let pass.
    ///
    /// Together with `unread` and `uncredited` this is the window that was configured, but for the rest of a DATA frame
    /// that is just arriving. With nothing under way it equals the peer's `send_window`.
    pub receive_window: i64,
    /// Received bytes that wait now to be read, over all streams.
    pub unread: usize,
    /// Bytes that were consumed, and go back to the peer with the next WINDOW_UPDATE: once they are as many as
    /// `receive_window`.
    pub uncredited: u64,
}

impl Stats {
    /// These counters, with where the session stands now.
    pub(crate) fn at(mut self, session: &Session) -> Self {
        let [receive_window, _, _, uncredited] = session.receive_ledger();
        self.streams = session.stream_count();
        self.send_window = session.send_ledger().0;
        self.receive_window = receive_window;
        self.unread = session.unread_bytes();
        self.uncredited = u64::try_from(uncredited).unwrap_or(0);
        self
    }

    pub(crate) fn note_sent(&mut self, batch: &[Frame]) {
        if batch.is_empty() {
            return;
        }
        self.batches_sent += 1;
        self.largest_batch_sent = self.largest_batch_sent.max(batch.len() as u64);
        for frame in batch {
            let count = match frame {
                Frame::SynStream(_) => &mut self.sent.syn_stream,
                Frame::SynReply(_) => &mut self.sent.syn_reply,
                Frame::RstStream(_) => &mut self.sent.rst_stream,
                Frame::Settings(_) => &mut self.sent.settings,
                Frame::Ping(_) => &mut self.sent.ping,
                Frame::GoAway(_) => &mut self.sent.go_away,
                Frame::Headers(_) => &mut self.sent.headers,
                Frame::WindowUpdate(_) => &mut self.sent.window_update,
                Frame::Data(data) => {
                    self.data_sent += data.payload.len() as u64;
                    &mut self.sent.data
                }
            };
            *count += 1;
        }
    }

    pub(crate) fn note_received(&mut self, batch: &[Received]) {
        if batch.is_empty() {
            return;
        }
        self.batches_received += 1;
        self.largest_batch_received = self.largest_batch_received.max(batch.len() as u64);
        for frame in batch {
            let count = match frame {
                Received::SynStream(_) => &mut self.received.syn_stream,
                Received::SynReply(_) => &mut self.received.syn_reply,
                Received::RstStream(_) => &mut self.received.rst_stream,
                Received::Settings(_) => &mut self.received.settings,
                Received::Ping(_) => &mut self.received.ping,
                Received::GoAway(_) => &mut self.received.go_away,
                Received::Headers(_) => &mut self.received.headers,
                Received::WindowUpdate(_) => &mut self.received.window_update,
                Received::Ignored { .. } => &mut self.received.ignored,
                Received::Data(piece) => {
                    self.data_received += piece.payload.len() as u64;
                    if piece.frame_len.is_none() {
                        continue;
                    }
                    &mut self.received.data
                }
            };
            *count += 1;
        }
    }
}
