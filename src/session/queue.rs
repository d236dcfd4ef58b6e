//! A queue of payload bytes with bounded waste.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::frame::FRAME_HEADER_LEN;

/// What the transport is read into. A slice of a read keeps all of it.
const READ_BUFFER: usize = 64 * 1024;

/// Received payloads of at least this many bytes are kept as slices of the read buffer, as long as that pays.
const SLICE_LARGE: usize = 8 * 1024;

/// Received payloads of at least this many bytes are kept as slices while nothing else waits.
const SLICE_SMALL: usize = 1024;

/// Chunks of the application below this size are gathered while others wait: a copy costs less than a DATA frame
/// of its own, here and at the peer.
const GATHERED: usize = 4 * 1024;

/// The tail buffer starts with room for four payloads like its first, up to this.
const TAIL_FIRST: usize = 8 * 1024;

/// The tail buffer is closed at this size, so that a half-read one retains little.
const TAIL_MAX: usize = 32 * 1024;

/// Bytes waiting to be read or sent, in order.
///
/// Small received payloads are gathered in one tail buffer: a megabyte of 1 KiB slices would pin 64 MiB of read
/// buffers. Large ones stay slices; those that lie one behind the other in memory are a *run*, which pins one read
/// buffer however many they are. The memory retained is at most twice the bytes queued plus 72 KiB (one read
/// buffer, and the start of a tail); when reading on would break that, because little is left of many runs, what is left is copied. No byte
/// is copied twice.
#[derive(Debug, Default)]
pub(crate) struct ByteQueue {
    chunks: VecDeque<Chunk>,
    tail: BytesMut,
    len: usize,
    /// The bytes of all slices of read buffers.
    sliced: usize,
    /// How many runs these slices make.
    runs: usize,
    /// The bytes of the newest run, if it is at the end of `chunks`.
    newest_run: usize,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Memory that holds nothing else.
    Owned,
    /// A slice of a read buffer, the first of its run.
    Run,
    /// A slice that goes on where the one before it ends.
    Continued,
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
        let kind = if self.continues_run(&payload) {
            Kind::Continued
        } else {
            Kind::Run
        };
        let runs = self.runs + usize::from(kind == Kind::Run);
        let slice = if self.is_empty() {
            n >= SLICE_SMALL
        } else {
            n >= SLICE_LARGE && pays(runs, self.sliced + n)
        };
        if !slice {
            return self.append(&payload);
        }
        self.close_tail();
        self.newest_run = if kind == Kind::Run {
            n
        } else {
            self.newest_run + n
        };
        self.runs = runs;
        self.sliced += n;
        self.len += n;
        self.chunks.push_back(Chunk {
            bytes: payload,
            kind,
        });
    }

    /// Whether `payload` lies right behind the last slice, a frame header between them at most. A run is never
    /// longer than a read buffer, so that buffers which happen to be neighbours make two runs.
    fn continues_run(&self, payload: &Bytes) -> bool {
        let Some(last) = self.chunks.back() else {
            return false;
        };
        let gap = (payload.as_ptr() as usize).wrapping_sub(last.bytes.as_ptr_range().end as usize);
        last.kind != Kind::Owned
            && self.tail.is_empty()
            && (gap == 0 || gap == FRAME_HEADER_LEN)
            && self.newest_run + payload.len() <= READ_BUFFER
    }

    /// Queues bytes of the application: as they are unless they are small and others wait. Gives back what it has copied,
    /// to be dropped where the application's `Drop` may run.
    pub(crate) fn push_owned(&mut self, payload: Bytes) -> Option<Bytes> {
        if self.is_empty() || payload.len() >= GATHERED {
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
            if self.tail.capacity() == 0 {
                self.tail
                    .reserve(now.len().max(TAIL_FIRST.min(4 * now.len())));
            }
            self.tail.extend_from_slice(now);
            self.len += now.len();
            payload = later;
        }
    }

    /// Takes at most `max` bytes off the front; empty only if the queue is, or `max` is 0.
    pub(crate) fn pop(&mut self, max: usize) -> Bytes {
        let popped = if let Some(front) = self.chunks.front_mut() {
            let sliced = front.kind != Kind::Owned;
            let popped = if front.bytes.len() > max {
                front.bytes.split_to(max)
            } else {
                self.pop_chunk()
            };
            if sliced {
                self.sliced -= popped.len();
                if !pays(self.runs, self.sliced) {
                    self.copy_slices();
                }
            }
            popped
        } else if self.tail.len() > max {
            self.tail.split_to(max).freeze()
        } else {
            // The whole buffer goes, so that a drained queue holds no memory.
            std::mem::take(&mut self.tail).freeze()
        };
        self.len -= popped.len();
        popped
    }

    fn pop_chunk(&mut self) -> Bytes {
        let Some(popped) = self.chunks.pop_front() else {
            return Bytes::new();
        };
        if popped.kind != Kind::Owned {
            match self.chunks.front_mut() {
                // The rest of the run still pins its buffer.
                Some(next) if next.kind == Kind::Continued => next.kind = Kind::Run,
                _ => self.runs -= 1,
            }
        }
        popped.bytes
    }

    /// Gives back the read buffers of which too little is still unread.
    fn copy_slices(&mut self) {
        for chunk in &mut self.chunks {
            if chunk.kind != Kind::Owned {
                chunk.bytes = Bytes::copy_from_slice(&chunk.bytes);
                chunk.kind = Kind::Owned;
            }
        }
        self.sliced = 0;
        self.runs = 0;
    }

    fn push_slice(&mut self, payload: Bytes) {
        if payload.is_empty() {
            return;
        }
        self.close_tail();
        self.len += payload.len();
        self.push_chunk(payload);
    }

    fn push_chunk(&mut self, bytes: Bytes) {
        self.chunks.push_back(Chunk {
            bytes,
            kind: Kind::Owned,
        });
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail).freeze();
            self.push_chunk(tail);
        }
    }
}

/// Whether `runs` pin at most twice the bytes that are in them, and one read buffer.
fn pays(runs: usize, sliced: usize) -> bool {
    runs * READ_BUFFER <= 2 * sliced + READ_BUFFER
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

    /// Frames of `size` in read buffers, every `share`-th of this queue and the others of streams that were read.
    fn receive(queue: &mut ByteQueue, buffers: usize, size: usize, share: usize) {
        let mut frame = 0;
        for _ in 0..buffers {
            let mut buffer = Bytes::from(vec![3; READ_BUFFER]);
            while buffer.len() >= FRAME_HEADER_LEN + size {
                drop(buffer.split_to(FRAME_HEADER_LEN));
                let payload = buffer.split_to(size);
                if frame % share == 0 {
                    queue.push_received(payload);
                }
                frame += 1;
            }
        }
    }

    /// The bound of the type, with the buffers told apart by what the slices say of themselves.
    fn assert_bounded(queue: &ByteQueue) {
        let runs = queue.chunks.iter().filter(|c| c.kind == Kind::Run).count();
        let slices = queue.chunks.iter().filter(|c| c.kind != Kind::Owned);
        assert_eq!(queue.runs, runs);
        assert_eq!(queue.sliced, slices.map(|c| c.bytes.len()).sum::<usize>());
        let owned = queue.len - queue.sliced;
        let retained = runs * READ_BUFFER + owned.max(queue.tail.capacity());
        assert!(
            retained <= 2 * queue.len + READ_BUFFER + TAIL_FIRST,
            "{retained} retained for {} unread",
            queue.len
        );
    }

    #[test]
    fn large_payloads_of_one_stream_are_not_copied() {
        let mut queue = ByteQueue::default();
        receive(&mut queue, 4, 16_000, 1);
        assert_eq!((queue.sliced, queue.runs), (4 * 4 * 16_000, 4));
        while !queue.is_empty() {
            assert_bounded(&queue);
            assert_eq!(queue.pop(usize::MAX).len(), 16_000);
        }
        assert_eq!((queue.sliced, queue.runs), (0, 0));
    }

    #[test]
    fn what_is_retained_is_bounded_for_every_mix() {
        for size in [900, 1024, 5000, 8192, 16_000, 30_000, 65_000] {
            for share in [1, 2, 3, 7] {
                for max in [999, 8192, usize::MAX] {
                    let mut queue = ByteQueue::default();
                    receive(&mut queue, 40, size, share);
                    let mut left = queue.len();
                    while left > 0 {
                        assert_bounded(&queue);
                        let popped = queue.pop(max);
                        assert!(popped.iter().all(|byte| *byte == 3) && !popped.is_empty());
                        left -= popped.len();
                        assert_eq!(queue.len(), left);
                    }
                    assert_bounded(&queue);
                }
            }
        }
    }

    #[test]
    fn little_of_much_is_copied_when_the_rest_was_read() {
        let mut queue = ByteQueue::default();
        receive(&mut queue, 1, 60_000, 1);
        receive(&mut queue, 2, 16_000, 4);
        assert_eq!((queue.runs, queue.sliced), (3, 60_000 + 2 * 16_000));
        // The rest of the first pays for all.
        queue.pop(20_000);
        assert_eq!((queue.runs, queue.sliced), (3, 72_000));
        queue.pop(usize::MAX);
        assert_eq!((queue.runs, queue.sliced, queue.len()), (0, 0, 32_000));
    }

    #[test]
    fn a_drained_queue_holds_no_buffer() {
        let mut queue = ByteQueue::default();
        queue.append(&[1; 5000]);
        assert_eq!(queue.pop(usize::MAX).len(), 5000);
        assert_eq!(queue.tail.capacity(), 0);
        assert_eq!(queue.pop(10), Bytes::new());
    }
    #[test]
    fn received_payloads_are_sliced_from_8_kib_on_while_others_wait() {
        let sliced = |first: usize, second: usize| {
            let mut queue = ByteQueue::default();
            queue.push_received(vec![1; first].into());
            let before = queue.sliced;
            queue.push_received(vec![2; second].into());
            (before, queue.sliced - before)
        };
        assert_eq!(sliced(1023, 8191), (0, 0));
        assert_eq!(sliced(1024, 8191), (1024, 0));
        assert_eq!(sliced(40_000, 8192), (40_000, 8192));
    }

    #[test]
    fn payloads_of_the_application_are_kept_when_large_or_alone() {
        let mut queue = ByteQueue::default();
        assert!(queue.push_owned(vec![1; 10].into()).is_none(), "alone");
        assert!(queue.push_owned(vec![2; 4096].into()).is_none(), "large");
        let copied = queue.push_owned(vec![3; 4095].into());
        assert_eq!(copied.map(|bytes| bytes.len()), Some(4095));
    }

    #[test]
    fn neighbours_make_a_run_no_longer_than_a_read_buffer() {
        let mut queue = ByteQueue::default();
        let mut memory = Bytes::from(vec![3; 5 * 16 * 1024]);
        for runs in [1, 1, 1, 1, 2] {
            queue.push_received(memory.split_to(16 * 1024));
            assert_eq!(queue.runs, runs);
        }
    }

    #[test]
    fn a_tail_starts_with_room_for_four_and_ends_at_32_kib() {
        let tail = |first: usize| {
            let mut queue = ByteQueue::default();
            queue.append(&vec![1; first]);
            queue.tail.capacity()
        };
        assert_eq!((tail(100), tail(5000), tail(20_000)), (400, 8192, 20_000));

        let mut queue = ByteQueue::default();
        queue.append(&[1; 10]);
        queue.append(&[2; 40_000]);
        let closed: Vec<_> = queue.chunks.iter().map(|c| c.bytes.len()).collect();
        assert_eq!((closed, queue.tail.len()), (vec![32_768], 40_010 - 32_768));
    }

    #[test]
    fn a_tail_is_popped_in_parts_and_given_up_with_its_last_byte() {
        let mut queue = ByteQueue::default();
        queue.append(&[1; 5000]);
        assert_eq!(queue.pop(999).len(), 999);
        assert_eq!(queue.pop(4001).len(), 4001);
        assert_eq!(queue.tail.capacity(), 0);
    }
}
