use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Payloads up to this size are copied behind their frame header: cheaper than one more slice in a write.
const COPIED: usize = 1 << 10;

/// A staging buffer above this size is released once a batch needed less than a quarter of it: a busy connection
/// keeps its buffer, one that has become quiet does not.
const KEPT: usize = 64 << 10;

/// Encoded frames on their way to the transport.
///
/// Frame headers, control frames and small payloads are copied into one contiguous buffer, which is reused;
/// larger payloads stay the slices they are. [`Buf::chunks_vectored`] gives both in order, for one vectored
/// write.
#[derive(Default)]
pub struct OutBuf {
    /// Copied bytes not yet written.
    staged: BytesMut,
    /// Slices, each with the number of staged bytes in front of it and behind the slice before.
    slices: VecDeque<Slice>,
    /// The sum of `Slice::staged`.
    staged_before: usize,
    /// The bytes of all slices.
    sliced: usize,
    /// The most bytes that were staged since the staging buffer was last empty.
    peak: usize,
    flat: bool,
}

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

    /// Gives the memory back if everything is written: for a connection that has nothing to send for a while.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.staged = BytesMut::new();
            self.slices = VecDeque::new();
        }
    }

    fn advance_staged(&mut self, n: usize) {
        self.peak = self.peak.max(self.staged.len());
        self.staged.advance(n);
        if self.staged.is_empty() {
            // The memory in front of the start is reused when it is needed; `capacity` does not count it.
            if self.peak < KEPT / 4 && self.staged.try_reclaim(KEPT + 1) {
                self.staged = BytesMut::new();
            }
            self.peak = 0;
        }
    }
}

/// Shows sizes only: the content may be secret, and is large.
impl fmt::Debug for OutBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutBuf")
            .field("len", &self.len())
            .field("slices", &self.slices())
            .field("flat", &self.flat)
            .finish_non_exhaustive()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn write_all(out: &mut OutBuf) {
        out.advance(out.remaining());
        assert!(out.is_empty());
    }

    #[test]
    fn small_payloads_are_copied_and_large_ones_are_not() {
        let mut out = OutBuf::new();
        let large = Bytes::from(vec![7; COPIED + 1]);
        out.staged().extend_from_slice(b"head");
        out.put_payload(&Bytes::from(vec![6; COPIED]));
        out.put_payload(&large);
        out.put_payload(&large);
        assert_eq!(out.slices(), 3, "nothing staged behind the last");
        out.staged().extend_from_slice(b"tail");

        assert_eq!(out.slices(), 4);
        assert_eq!(out.len(), 4 + COPIED + 2 * large.len() + 4);
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(out.chunks_vectored(&mut slices), 4);
        assert_eq!(slices[0].len(), 4 + COPIED);
        assert_eq!(slices[1].as_ptr(), large.as_ptr());
        assert_eq!(slices[2].as_ptr(), large.as_ptr());
        assert_eq!(&slices[3][..], b"tail");
        assert_eq!(out.chunks_vectored(&mut []), 0);

        out.advance(4 + COPIED + large.len() + 1);
        assert_eq!(out.chunk(), &large[1..]);
        assert_eq!(out.slices(), 2);
        write_all(&mut out);
        assert_eq!(out.chunk(), b"");
    }

    #[test]
    fn staging_memory_is_reused() {
        let mut out = OutBuf::new();
        let payload = Bytes::from(vec![0; 1000]);
        // Never quite empty: what is written in front is reclaimed all the same.
        out.put_payload(&payload);
        for _ in 0..10_000 {
            out.put_payload(&payload);
            out.advance(1000);
        }
        write_all(&mut out);
        out.staged.reserve(1);
        assert!(out.staged.capacity() < 8_000, "{}", out.staged.capacity());
    }

    #[test]
    fn a_busy_buffer_is_kept_and_a_quiet_one_released() {
        let mut out = OutBuf::new();
        let payload = Bytes::from(vec![0; 1000]);
        let batch = |out: &mut OutBuf, n: usize| {
            for _ in 0..n {
                out.put_payload(&payload);
            }
            let start = out.staged.as_ptr();
            while !out.is_empty() {
                out.advance(out.remaining().min(7_777));
            }
            start
        };
        batch(&mut out, 256);
        let first = batch(&mut out, 256);
        assert_eq!(first, batch(&mut out, 250));
        assert!(out.staged.try_reclaim(KEPT + 1), "kept");
        batch(&mut out, 1);
        assert!(!out.staged.try_reclaim(1), "released");
        batch(&mut out, 100);
        out.release();
        assert_eq!(out.staged.capacity(), 0);
    }
    #[test]
    fn only_a_buffer_above_what_is_kept_is_ever_released() {
        let quiet = |capacity: usize, staged: usize| {
            let mut out = OutBuf::new();
            out.staged = BytesMut::with_capacity(capacity);
            out.staged.extend_from_slice(&vec![0; staged]);
            write_all(&mut out);
            out.staged.try_reclaim(capacity)
        };
        assert!(quiet(1000, 1000), "a small buffer is kept");
        assert!(quiet(KEPT, 1), "one of the limit's size too");
        assert!(!quiet(KEPT + 1, 1));
        assert!(!quiet(KEPT + 1, KEPT / 4 - 1));
        assert!(quiet(KEPT + 1, KEPT / 4), "a quarter is busy");
    }

    #[test]
    fn a_flat_buffer_copies_all_into_one_chunk() {
        let mut out = OutBuf::new();
        out.set_flat(true);
        for _ in 0..2 {
            out.staged().extend_from_slice(b"head");
            out.put_payload(&Bytes::from(vec![7; 10 * COPIED]));
        }
        assert_eq!((out.slices(), out.chunk().len()), (1, out.len()));
        let shown = format!("{out:?}");
        assert!(
            shown.contains("len: 20488, slices: 1, flat: true"),
            "{shown}"
        );
    }
    #[test]
    fn what_is_added_behind_a_partial_write_keeps_its_place() {
        let mut out = OutBuf::new();
        let mut expected = Vec::new();
        let mut written = Vec::new();
        for (i, cut) in [1, 3, 2000, 5000, 7, 1_000_000].into_iter().enumerate() {
            let head = vec![u8::try_from(i).unwrap(); 6];
            let payload = Bytes::from(vec![u8::try_from(100 + i).unwrap(); COPIED + 500]);
            expected.extend_from_slice(&head);
            expected.extend_from_slice(&payload);
            out.staged().extend_from_slice(&head);
            out.put_payload(&payload);
            let mut left = cut.min(out.remaining());
            while left > 0 {
                let chunk = out.chunk();
                let n = chunk.len().min(left);
                written.extend_from_slice(&chunk[..n]);
                out.advance(n);
                left -= n;
            }
            assert_eq!(out.len(), expected.len() - written.len());
        }
        assert!(out.is_empty() && written == expected);
    }
}
