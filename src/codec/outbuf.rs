use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Payloads up to this size are copied behind their frame header: cheaper than one more slice in a write.
const COPIED: usize = 1 << 10;

/// What the staging buffer keeps once everything is written.
const KEPT: usize = 64 << 10;

/// Encoded frames on their way to the transport.
///
/// Frame headers, control frames and small payloads are copied into one contiguous buffer, which is reused;
/// larger payloads stay the slices they are. [`Buf::chunks_vectored`] gives both in order, for one vectored
/// write.
#[derive(Debug, Default)]
pub struct OutBuf {
    /// Copied bytes not yet written.
    staged: BytesMut,
    /// Slices, each with the number of staged bytes in front of it and behind the slice before.
    slices: VecDeque<Slice>,
    /// The sum of `Slice::staged`.
    staged_before: usize,
    /// The bytes of all slices.
    sliced: usize,
    flat: bool,
}

#[derive(Debug)]
struct Slice {
    staged: usize,
    payload: Bytes,
}

impl OutBuf {
    /// An empty buffer. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.staged.len() + self.sliced
    }

    /// Whether everything is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many slices a vectored write of everything would have.
    #[must_use]
    pub fn slices(&self) -> usize {
        let staged = self.slices.iter().filter(|slice| slice.staged > 0).count();
        let tail = usize::from(self.staged.len() > self.staged_before);
        self.slices.len() + staged + tail
    }

    /// With `true`, payloads added from now on are all copied, so that everything is one contiguous chunk: for
    /// transports whose vectored write is none. Default `false`.
    pub fn set_flat(&mut self, flat: bool) {
        self.flat = flat;
    }

    /// The buffer to which frames are appended.
    pub(super) fn staged(&mut self) -> &mut BytesMut {
        &mut self.staged
    }

    /// Appends a payload. Small ones and, if flat, all are copied.
    pub(super) fn put_payload(&mut self, payload: &Bytes) {
        if self.flat || payload.len() <= COPIED {
            self.staged.extend_from_slice(payload);
            return;
        }
        let staged = self.staged.len() - self.staged_before;
        self.staged_before += staged;
        self.sliced += payload.len();
        self.slices.push_back(Slice {
            staged,
            payload: payload.clone(),
        });
    }

    fn advance_staged(&mut self, n: usize) {
        self.staged.advance(n);
        if self.staged.is_empty() {
            if self.staged.capacity() > KEPT {
                self.staged = BytesMut::new();
            } else {
                // Moves the start back, so that the whole capacity is free again.
                self.staged.clear();
            }
        }
    }
}

impl Buf for OutBuf {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.slices.front() {
            None => &self.staged,
            Some(slice) if slice.staged > 0 => &self.staged[..slice.staged],
            Some(slice) => &slice.payload,
        }
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut push = |chunk: &'a [u8]| {
            if chunk.is_empty() {
                return true;
            }
            let Some(place) = dst.get_mut(filled) else {
                return false;
            };
            *place = IoSlice::new(chunk);
            filled += 1;
            true
        };
        let mut staged = &self.staged[..];
        for slice in &self.slices {
            let (before, behind) = staged.split_at(slice.staged);
            staged = behind;
            if !push(before) || !push(&slice.payload) {
                return filled;
            }
        }
        push(staged);
        filled
    }

    /// Removes written bytes. More than there are empties the buffer.
    fn advance(&mut self, n: usize) {
        debug_assert!(n <= self.len(), "advanced past the end");
        let mut n = n.min(self.len());
        while n > 0 {
            let Some(front) = self.slices.front_mut() else {
                self.advance_staged(n);
                return;
            };
            if front.staged > 0 {
                let step = front.staged.min(n);
                front.staged -= step;
                self.staged_before -= step;
                self.advance_staged(step);
                n -= step;
            } else {
                let step = front.payload.len().min(n);
                front.payload.advance(step);
                self.sliced -= step;
                n -= step;
                if front.payload.is_empty() {
                    self.slices.pop_front();
                }
            }
        }
    }
}
