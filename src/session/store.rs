//! Where streams live: a slab, a map from wire ids, and the lists that run through the slab.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use slab::Slab;

use super::stream::Stream;
use crate::frame::StreamId;

/// Names a stream of a session; never names another one later, because a reused slot gets a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The slot, for tables parallel to the store: small numbers, reused.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// Spreads ids by one multiplication. The default hasher resists chosen keys at ten times the cost; here the number
/// of keys is bounded by the stream limits, and so is the harm that chosen ids could do.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        let product = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }
}

/// The lists a stream can be in, one of each kind at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// One of the lists of the scheduler.
    Sched = 0,
    /// Streams with credit to return.
    Credit = 1,
    /// Streams that wait to be accepted.
    Accept = 2,
}

const NONE: u32 = u32::MAX;

/// The neighbours of a stream in one list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    previous: u32,
    next: u32,
    linked: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            previous: NONE,
            next: NONE,
            linked: false,
        }
    }
}

/// A doubly linked list through the store: removal of a stream that ends is O(1), and nothing stale stays behind
/// (queues of keys would grow with every stream that ends while they cannot be drained).
#[derive(Debug)]
pub(crate) struct List {
    hook: Hook,
    head: u32,
    tail: u32,
    len: usize,
}

impl List {
    pub(crate) const fn new(hook: Hook) -> Self {
        Self {
            hook,
            head: NONE,
            tail: NONE,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head == NONE
    }

    pub(crate) fn front(&self, store: &Store) -> Option<Key> {
        store.key_at(self.head)
    }

    /// Appends a stream; one that is in a list of this kind already stays where it is.
    pub(crate) fn push_back(&mut self, store: &mut Store, key: Key) {
        let (hook, tail) = (self.hook as usize, self.tail);
        let Some(stream) = store.get_mut(key) else {
            return;
        };
        let link = &mut stream.links[hook];
        if link.linked {
            return;
        }
        *link = Link {
            previous: tail,
            next: NONE,
            linked: true,
        };
        match store.slab.get_mut(tail as usize) {
            Some(last) => last.links[hook].next = key.index,
            None => self.head = key.index,
        }
        self.tail = key.index;
        self.len += 1;
    }

    /// As [`push_back`](Self::push_back), at the other end.
    pub(crate) fn push_front(&mut self, store: &mut Store, key: Key) {
        let (hook, head) = (self.hook as usize, self.head);
        let Some(stream) = store.get_mut(key) else {
            return;
        };
        let link = &mut stream.links[hook];
        if link.linked {
            return;
        }
        *link = Link {
            previous: NONE,
            next: head,
            linked: true,
        };
        match store.slab.get_mut(head as usize) {
            Some(first) => first.links[hook].previous = key.index,
            None => self.tail = key.index,
        }
        self.head = key.index;
        self.len += 1;
    }

    /// All members in order.
    pub(crate) fn keys(&self, store: &Store) -> Vec<Key> {
        let hook = self.hook as usize;
        let next = |key: &Key| store.key_at(store.get(*key)?.links[hook].next);
        std::iter::successors(self.front(store), next).collect()
    }

    pub(crate) fn pop_front(&mut self, store: &mut Store) -> Option<Key> {
        let key = self.front(store)?;
        self.remove(store, key);
        Some(key)
    }

    /// Takes a stream out; it must be in this list or in none of the kind.
    pub(crate) fn remove(&mut self, store: &mut Store, key: Key) {
        let hook = self.hook as usize;
        let Some(stream) = store.get_mut(key) else {
            return;
        };
        let Link {
            previous,
            next,
            linked,
        } = std::mem::take(&mut stream.links[hook]);
        if !linked {
            return;
        }
        match store.slab.get_mut(previous as usize) {
            Some(before) => before.links[hook].next = next,
            None => self.head = next,
        }
        match store.slab.get_mut(next as usize) {
            Some(after) => after.links[hook].previous = previous,
            None => self.tail = previous,
        }
        self.len -= 1;
    }
}

/// All streams of a session.
#[derive(Debug, Default)]
pub(crate) struct Store {
    slab: Slab<Stream>,
    ids: HashMap<u32, u32, BuildHasherDefault<IdHasher>>,
    generations: u32,
    /// The stream looked up last: runs of DATA frames for one stream are long.
    last: Option<(StreamId, Key)>,
}

impl Store {
    pub(crate) fn insert(&mut self, mut stream: Stream) -> Key {
        self.generations = self.generations.wrapping_add(1);
        stream.generation = self.generations;
        let id = stream.id;
        // The stream limits keep the index far below 2^32.
        let index = u32::try_from(self.slab.insert(stream)).unwrap_or(NONE);
        let key = Key {
            index,
            generation: self.generations,
        };
        if let Some(id) = id {
            self.ids.insert(id.get(), index);
        }
        key
    }

    /// Gives an own stream its wire id.
    pub(crate) fn assign_id(&mut self, key: Key, id: StreamId) {
        if let Some(stream) = self.get_mut(key) {
            stream.id = Some(id);
            self.ids.insert(id.get(), key.index);
        }
    }

    /// Forgets the wire id: frames for it are frames for a closed stream from now on.
    pub(crate) fn forget_id(&mut self, key: Key) {
        let Some(id) = self.get(key).and_then(|stream| stream.id) else {
            return;
        };
        self.ids.remove(&id.get());
        self.last = None;
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Stream> {
        self.get(key)?;
        self.forget_id(key);
        Some(self.slab.remove(key.index()))
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Stream> {
        self.slab
            .get(key.index())
            .filter(|stream| stream.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Stream> {
        self.slab
            .get_mut(key.index())
            .filter(|stream| stream.generation == key.generation)
    }

    /// The stream that is active under this wire id.
    pub(crate) fn find(&mut self, id: StreamId) -> Option<Key> {
        if let Some((last, key)) = self.last {
            if last == id {
                return Some(key);
            }
        }
        let index = *self.ids.get(&id.get())?;
        let key = self.key_at(index)?;
        self.last = Some((id, key));
        Some(key)
    }

    fn key_at(&self, index: u32) -> Option<Key> {
        let stream = self.slab.get(index as usize)?;
        Some(Key {
            index,
            generation: stream.generation,
        })
    }

    /// The keys of all streams, also of those that ended but are still held.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let key = |(index, stream): (usize, &Stream)| Key {
            index: u32::try_from(index).unwrap_or(NONE),
            generation: stream.generation,
        };
        self.slab.iter().map(key).collect()
    }

    /// How many streams there are, also counting those that ended but are still held.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// How many streams are active on the wire under an id.
    pub(crate) fn active(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Priority;

    fn stream(id: u32) -> Stream {
        Stream::incoming(StreamId::new(id).unwrap(), Priority::HIGHEST, false)
    }

    #[test]
    fn keys_of_removed_streams_name_nothing() {
        let mut store = Store::default();
        let old = store.insert(stream(1));
        assert_eq!(store.find(StreamId::new(1).unwrap()), Some(old));
        assert!(store.remove(old).is_some());
        assert_eq!(store.find(StreamId::new(1).unwrap()), None);
        let new = store.insert(stream(3));
        assert_eq!(old.index(), new.index());
        assert!(store.get(old).is_none() && store.get(new).is_some());
        assert!(store.remove(old).is_none());
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn lists_keep_order_through_removals() {
        let mut store = Store::default();
        let keys: Vec<_> = (0..5).map(|i| store.insert(stream(2 * i + 1))).collect();
        let mut list = List::new(Hook::Accept);
        for key in &keys {
            list.push_back(&mut store, *key);
            list.push_back(&mut store, *key);
        }
        assert_eq!(list.len(), 5);
        for i in [0, 4, 2] {
            list.remove(&mut store, keys[i]);
            list.remove(&mut store, keys[i]);
        }
        list.push_front(&mut store, keys[4]);
        list.push_front(&mut store, keys[1]);
        assert_eq!(list.keys(&store), [keys[4], keys[1], keys[3]]);
        assert_eq!(list.pop_front(&mut store), Some(keys[4]));
        assert_eq!(list.pop_front(&mut store), Some(keys[1]));
        assert_eq!(list.pop_front(&mut store), Some(keys[3]));
        assert_eq!(list.pop_front(&mut store), None);
        assert!(list.is_empty());
    }
    #[test]
    fn ids_are_spread_over_buckets_and_tags() {
        use std::collections::HashSet;
        use std::hash::BuildHasher;

        let hasher = BuildHasherDefault::<IdHasher>::default();
        let hashes: Vec<u64> = (0..10_000_u32)
            .map(|i| hasher.hash_one(2 * i + 1))
            .collect();
        // The map takes the low bits for the place and the upper seven for the tag; 7,500 is chance.
        let places: HashSet<_> = hashes.iter().map(|hash| hash & 0x3fff).collect();
        let tags: HashSet<_> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(places.len() > 6000, "{} places", places.len());
        assert_eq!(tags.len(), 128);
        // Other keys work as well, if none uses them yet.
        assert_ne!(hasher.hash_one([1_u8, 2]), hasher.hash_one([2_u8, 1]));
    }
}
