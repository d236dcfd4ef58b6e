//! Who waits for what. Wakers live here, parallel to the session, which knows none.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;

use crate::error::Error;
use crate::session::{Key, Reservation};

/// Wakers to be called once the lock is released. The first few take no allocation: most sections wake one or two.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    first: [Option<Waker>; 4],
    len: usize,
    rest: Vec<Waker>,
}

impl Wakers {
    pub(crate) fn wake(self) {
        let first = self.first.into_iter().flatten();
        for waker in first.chain(self.rest) {
            waker.wake();
        }
    }
}

impl Extend<Waker> for Wakers {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        for waker in wakers {
            match self.first.get_mut(self.len) {
                Some(place) => {
                    *place = Some(waker);
                    self.len += 1;
                }
                None => self.rest.push(waker),
            }
        }
    }
}

/// The wakers of one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamWakers {
    key: Option<Key>,
    pub(crate) read: Option<Waker>,
    pub(crate) write: Option<Waker>,
    pub(crate) reply: Option<Waker>,
}

/// What a task waits for at a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Bytes, headers, or the end.
    Read,
    /// Room, or that everything was sent.
    Write,
    /// The SYN_REPLY.
    Reply,
}

/// A table of stream wakers by the index of the key.
#[derive(Debug, Default)]
pub(crate) struct WakerTable(Vec<StreamWakers>);

impl WakerTable {
    /// The wakers of a stream; those of an earlier stream in the same slot go to `trash`.
    pub(crate) fn of(&mut self, key: Key, trash: &mut Vec<Waker>) -> &mut StreamWakers {
        let index = key.index();
        if self.0.len() <= index {
            self.0.resize_with(index + 1, StreamWakers::default);
        }
        let wakers = &mut self.0[index];
        if wakers.key != Some(key) {
            trash.extend(wakers.take_all());
            wakers.key = Some(key);
        }
        wakers
    }

    /// The wakers of a stream, if it has any.
    pub(crate) fn get(&mut self, key: Key) -> Option<&mut StreamWakers> {
        self.0
            .get_mut(key.index())
            .filter(|wakers| wakers.key == Some(key))
    }

    /// Every waker there is, for a session that can no longer tell whom to wake.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Waker> + '_ {
        self.0.iter_mut().flat_map(StreamWakers::take_all)
    }
}

impl StreamWakers {
    /// Where the waker for a kind of wait goes.
    pub(crate) fn slot(&mut self, wait: Wait) -> &mut Option<Waker> {
        match wait {
            Wait::Read => &mut self.read,
            Wait::Write => &mut self.write,
            Wait::Reply => &mut self.reply,
        }
    }

    fn take_all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        [self.read.take(), self.write.take(), self.reply.take()]
            .into_iter()
            .flatten()
    }
}

/// Puts a waker in place, cloning it only when it would wake another task. Gives the old one back, which the
/// caller must not drop under the lock: the last waker of a task may own its future, and with it streams.
#[must_use = "drop it outside of the lock"]
pub(crate) fn set_waker(slot: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match slot {
        Some(old) if old.will_wake(waker) => None,
        _ => slot.replace(waker.clone()),
    }
}

/// Tasks that wait for the same thing.
#[derive(Debug, Default)]
pub(crate) struct WakerList(Vec<Waker>);

impl WakerList {
    /// Registers a task, once.
    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.0.iter().any(|other| other.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    /// Takes a task out, so that waits that are given up leave nothing behind. To be woken: the task may have
    /// another wait of the same kind, which has to register again.
    pub(crate) fn remove(&mut self, waker: &Waker) -> Option<Waker> {
        let position = self.0.iter().position(|other| other.will_wake(waker))?;
        Some(self.0.swap_remove(position))
    }

    /// Hands all over to be woken.
    pub(crate) fn drain_into(&mut self, wakers: &mut Wakers) {
        wakers.extend(self.0.drain(..));
    }
}

/// A caller that waits for an open slot.
#[derive(Debug)]
enum SlotState {
    Waiting(Waker),
    /// The slot is theirs, so that a wake is never lost on a caller that has gone.
    Granted(Reservation),
    Taken,
}

/// The callers that wait for an open slot, first come first served.
#[derive(Debug, Default)]
pub(crate) struct SlotQueue {
    waiters: Slab<SlotState>,
    order: VecDeque<usize>,
}

impl SlotQueue {
    pub(crate) fn join(&mut self, waker: Waker) -> usize {
        let token = self.waiters.insert(SlotState::Waiting(waker));
        self.order.push_back(token);
        token
    }

    /// Takes what was granted, or renews the waker; the old one goes to `trash`.
    pub(crate) fn check(
        &mut self,
        token: usize,
        waker: &Waker,
        trash: &mut Vec<Waker>,
    ) -> Option<Reservation> {
        let state = self.waiters.get_mut(token)?;
        match state {
            SlotState::Waiting(old) => {
                if !old.will_wake(waker) {
                    trash.push(std::mem::replace(old, waker.clone()));
                }
                None
            }
            SlotState::Granted(_) => match std::mem::replace(state, SlotState::Taken) {
                SlotState::Granted(slot) => Some(slot),
                _ => None,
            },
            SlotState::Taken => None,
        }
    }

    /// Leaves the queue; a granted slot comes back, a waker goes to `trash`.
    pub(crate) fn leave(&mut self, token: usize, trash: &mut Vec<Waker>) -> Option<Reservation> {
        let state = self.waiters.try_remove(token)?;
        match state {
            SlotState::Waiting(waker) => {
                self.order.retain(|waiting| *waiting != token);
                trash.push(waker);
                None
            }
            SlotState::Granted(slot) => Some(slot),
            SlotState::Taken => None,
        }
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.order.is_empty()
    }

    /// Gives a slot to the first in the queue.
    pub(crate) fn grant(&mut self, slot: Reservation) -> Result<Waker, Reservation> {
        while let Some(token) = self.order.pop_front() {
            let Some(state) = self.waiters.get_mut(token) else {
                continue;
            };
            if let SlotState::Waiting(waker) = state {
                let waker = waker.clone();
                *state = SlotState::Granted(slot);
                return Ok(waker);
            }
        }
        Err(slot)
    }

    /// Wakes all: no slot will ever be free.
    pub(crate) fn wake_all(&mut self, wakers: &mut Wakers) {
        for token in self.order.drain(..) {
            if let Some(SlotState::Waiting(waker)) = self.waiters.get(token) {
                wakers.extend([waker.clone()]);
            }
        }
    }
}

/// A PING of the application.
#[derive(Debug)]
pub(crate) struct PingWaiter {
    pub(crate) id: u32,
    pub(crate) outcome: Option<Result<Duration, Error>>,
    pub(crate) waker: Option<Waker>,
}
