//! What to send next: openers first come first served, then streams by priority.
//!
//! Every operation is O(1), however many streams are open: a stream is in a list only while it has something to
//! send and a window for it. DATA and what needs no window (HEADERS, an empty FIN) have rings of their own, so
//! that an exhausted connection window never makes the scheduler search.

use super::store::{Hook, Key, List, Store};
use super::stream::Place;

/// Every this-many-th stream is taken from the lowest ready priority, so that it is never starved.
const LOWEST_EVERY: u32 = 32;

#[derive(Debug)]
struct Rings {
    levels: [List; 8],
    ready: u8,
}

impl Rings {
    const fn new() -> Self {
        const EMPTY: List = List::new(Hook::Sched);
        Self {
            levels: [EMPTY; 8],
            ready: 0,
        }
    }

    fn push(&mut self, store: &mut Store, key: Key, level: usize) {
        self.levels[level].push_back(store, key);
        self.ready |= 1 << level;
    }

    fn remove(&mut self, store: &mut Store, key: Key, level: usize) {
        self.levels[level].remove(store, key);
        if self.levels[level].is_empty() {
            self.ready &= !(1 << level);
        }
    }

    fn pop(&mut self, store: &mut Store, lowest: bool) -> Option<Key> {
        if self.ready == 0 {
            return None;
        }
        let level = if lowest {
            7 - self.ready.leading_zeros()
        } else {
            self.ready.trailing_zeros()
        } as usize;
        let key = self.levels[level].pop_front(store);
        if self.levels[level].is_empty() {
            self.ready &= !(1 << level);
        }
        key
    }
}

/// The lists of streams that have something to send.
#[derive(Debug)]
pub(crate) struct Sched {
    waiting: List,
    openers: List,
    free: Rings,
    data: Rings,
    turns: u32,
}

impl Sched {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: List::new(Hook::Sched),
            openers: List::new(Hook::Sched),
            free: Rings::new(),
            data: Rings::new(),
            turns: 0,
        }
    }

    /// Moves a stream to where it belongs now.
    pub(crate) fn place(&mut self, store: &mut Store, key: Key, place: Place) {
        let Some(stream) = store.get_mut(key) else {
            return;
        };
        if stream.place == place {
            return;
        }
        let level = usize::from(stream.priority.get());
        let old = std::mem::replace(&mut stream.place, place);
        match old {
            Place::Nowhere => {}
            Place::Waiting => self.waiting.remove(store, key),
            Place::Opener => self.openers.remove(store, key),
            Place::Free => self.free.remove(store, key, level),
            Place::Data => self.data.remove(store, key, level),
        }
        match place {
            Place::Nowhere => {}
            Place::Waiting => self.waiting.push_back(store, key),
            Place::Opener => self.openers.push_back(store, key),
            Place::Free => self.free.push(store, key, level),
            Place::Data => self.data.push(store, key, level),
        }
    }

    /// The stream whose SYN_STREAM has waited longest for the peer's limit.
    pub(crate) fn first_waiting(&self, store: &Store) -> Option<Key> {
        self.waiting.front(store)
    }

    /// How many SYN_STREAMs wait for the peer's limit.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The SYN_STREAMs that are to be sent, in order.
    pub(crate) fn own_openers(&self, store: &Store) -> Vec<Key> {
        let mut keys = self.openers.keys(store);
        keys.retain(|key| store.get(*key).is_some_and(|stream| stream.own));
        keys
    }

    /// Takes a SYN_STREAM back that was about to be sent: it waits ahead of all others.
    pub(crate) fn put_back(&mut self, store: &mut Store, key: Key) {
        self.place(store, key, Place::Nowhere);
        self.waiting.push_front(store, key);
        if let Some(stream) = store.get_mut(key) {
            stream.place = Place::Waiting;
        }
    }

    /// Whether anything can be taken.
    pub(crate) fn has_work(&self, with_data: bool) -> bool {
        !self.openers.is_empty() || self.free.ready != 0 || (with_data && self.data.ready != 0)
    }

    /// Takes the next opener.
    pub(crate) fn pop_opener(&mut self, store: &mut Store) -> Option<Key> {
        let key = self.openers.pop_front(store)?;
        Self::taken(store, key);
        Some(key)
    }

    /// Takes the next stream to send from; `with_data` says whether the connection window lets DATA out.
    pub(crate) fn pop_stream(&mut self, store: &mut Store, with_data: bool) -> Option<Key> {
        let lowest = self.turns % LOWEST_EVERY == LOWEST_EVERY - 1;
        let mut key = self.free.pop(store, lowest);
        if key.is_none() && with_data {
            key = self.data.pop(store, lowest);
        }
        let key = key?;
        self.turns = self.turns.wrapping_add(1);
        Self::taken(store, key);
        Some(key)
    }

    fn taken(store: &mut Store, key: Key) {
        if let Some(stream) = store.get_mut(key) {
            stream.place = Place::Nowhere;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Priority, StreamId};
    use crate::session::stream::Stream;

    fn setup(priorities: &[u8]) -> (Sched, Store, Vec<Key>) {
        let mut store = Store::default();
        let keys = priorities.iter().enumerate().map(|(i, priority)| {
            let id = StreamId::new(u32::try_from(2 * i + 1).unwrap()).unwrap();
            store.insert(Stream::incoming(id, Priority::new(*priority), false))
        });
        let keys = keys.collect();
        (Sched::new(), store, keys)
    }

    #[test]
    fn strict_priority_and_round_robin_inside() {
        let (mut sched, mut store, keys) = setup(&[3, 0, 3, 7]);
        for key in &keys {
            sched.place(&mut store, *key, Place::Data);
        }
        let mut order = Vec::new();
        for _ in 0..4 {
            order.extend(sched.pop_stream(&mut store, true));
        }
        assert_eq!(order, [keys[1], keys[0], keys[2], keys[3]]);
        assert_eq!(sched.pop_stream(&mut store, true), None);
    }

    #[test]
    fn the_lowest_level_gets_every_32nd_turn() {
        let (mut sched, mut store, keys) = setup(&[0, 7]);
        let mut low = 0;
        for _ in 0..320 {
            sched.place(&mut store, keys[0], Place::Data);
            sched.place(&mut store, keys[1], Place::Data);
            low += usize::from(sched.pop_stream(&mut store, true) == Some(keys[1]));
        }
        assert_eq!(low, 10);
    }

    #[test]
    fn without_connection_window_only_free_streams_are_taken() {
        let (mut sched, mut store, keys) = setup(&[0, 5]);
        sched.place(&mut store, keys[0], Place::Data);
        sched.place(&mut store, keys[1], Place::Free);
        assert_eq!(sched.pop_stream(&mut store, false), Some(keys[1]));
        assert_eq!(sched.pop_stream(&mut store, false), None);
        assert_eq!(sched.pop_stream(&mut store, true), Some(keys[0]));
    }

    #[test]
    fn a_moved_stream_is_in_one_list_only() {
        let (mut sched, mut store, keys) = setup(&[2]);
        for place in [
            Place::Waiting,
            Place::Opener,
            Place::Free,
            Place::Data,
            Place::Nowhere,
        ] {
            sched.place(&mut store, keys[0], place);
            assert_eq!(sched.waiting(), usize::from(place == Place::Waiting));
        }
        assert_eq!(sched.pop_opener(&mut store), None);
        assert_eq!(sched.pop_stream(&mut store, true), None);
    }
}
