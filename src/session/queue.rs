//! A queue of payload bytes with bounded waste.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Received payloads of at least this many bytes are kept as slices of the read buffer.
const SLICE_ALWAYS: usize = 32 * 1024;

/// Payloads of at least this many bytes are kept as slices where copying would buy nothing.
const SLICE_SMALL: usize = 1024;

/// The tail buffer is closed at this size, so that a half-read one retains little.
const TAIL_MAX: usize = 32 * 1024;

/// Bytes waiting to be read or sent, in order.
///
/// Small payloads are gathered in one tail buffer: a megabyte of 1 KiB slices would pin 64 MiB of read
/// buffers. The memory retained is at most twice the bytes queued plus 64 KiB (one read buffer).
#[derive(Debug, Default)]
pub(crate) struct ByteQueue {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl ByteQueue {
    /// The bytes queued.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Queues a slice of a read buffer: as it is while the reader keeps up or when it is large, else copied.
    pub(crate) fn push_received(&mut self, payload: Bytes) {
        let n = payload.len();
        if n >= SLICE_ALWAYS || (self.is_empty() && n >= SLICE_SMALL) {
            self.push_slice(payload);
        } else {
            self.append(&payload);
        }
    }

    /// Queues bytes of the application: as they are unless they are small. Gives back what it has copied, to be dropped
    /// where the application's `Drop` may run.
    pub(crate) fn push_owned(&mut self, payload: Bytes) -> Option<Bytes> {
        if payload.len() >= SLICE_SMALL {
            self.push_slice(payload);
            return None;
        }
        self.append(&payload);
        Some(payload)
    }

    /// Copies bytes to the end.
    pub(crate) fn append(&mut self, mut payload: &[u8]) {
        while !payload.is_empty() {
            if self.tail.len() >= TAIL_MAX {
                self.close_tail();
            }
            let (now, later) = payload.split_at(payload.len().min(TAIL_MAX - self.tail.len()));
            self.tail.extend_from_slice(now);
            self.len += now.len();
            payload = later;
        }
    }

    /// Takes at most `max` bytes off the front; empty only if the queue is, or `max` is 0.
    pub(crate) fn pop(&mut self, max: usize) -> Bytes {
        let popped = if let Some(front) = self.chunks.front_mut() {
            if front.len() > max {
                front.split_to(max)
            } else {
                self.chunks.pop_front().unwrap_or_default()
            }
        } else if self.tail.len() > max {
            self.tail.split_to(max).freeze()
        } else {
            // The whole buffer goes, so that a drained queue holds no memory.
            std::mem::take(&mut self.tail).freeze()
        };
        self.len -= popped.len();
        popped
    }

    fn push_slice(&mut self, payload: Bytes) {
        if payload.is_empty() {
            return;
        }
        self.close_tail();
        self.len += payload.len();
        self.chunks.push_back(payload);
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks
                .push_back(std::mem::take(&mut self.tail).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut ByteQueue, max: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !queue.is_empty() {
            let piece = queue.pop(max);
            assert!(!piece.is_empty() && piece.len() <= max);
            all.extend_from_slice(&piece);
        }
        all
    }

    #[test]
    fn keeps_the_order_of_copied_and_sliced_payloads() {
        let mut queue = ByteQueue::default();
        let mut expected = Vec::new();
        for (i, len) in [10, 2000, 5, 40_000, 1, 0, 33_000, 900, 70_000]
            .into_iter()
            .enumerate()
        {
            let payload = vec![u8::try_from(i).unwrap(); len];
            expected.extend_from_slice(&payload);
            if i % 2 == 0 {
                queue.push_received(payload.into());
            } else {
                queue.push_owned(payload.into());
            }
            assert_eq!(queue.len(), expected.len());
        }
        assert_eq!(drain(&mut queue, 999), expected);
    }

    #[test]
    fn small_received_payloads_are_gathered_while_nobody_reads() {
        let mut queue = ByteQueue::default();
        for _ in 0..1024 {
            queue.push_received(Bytes::from(vec![7; 1024]));
        }
        // One slice for the payload that found the queue empty, 32 KiB buffers for the rest.
        assert!(
            queue.chunks.len() <= 1 + 32,
            "{} chunks",
            queue.chunks.len()
        );
        assert_eq!(drain(&mut queue, usize::MAX).len(), 1024 * 1024);
    }

    #[test]
    fn a_drained_queue_holds_no_buffer() {
        let mut queue = ByteQueue::default();
        queue.append(&[1; 5000]);
        assert_eq!(queue.pop(usize::MAX).len(), 5000);
        assert_eq!(queue.tail.capacity(), 0);
        assert_eq!(queue.pop(10), Bytes::new());
    }
}
