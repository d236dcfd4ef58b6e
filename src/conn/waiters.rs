//! Who waits for what. Wakers live here, parallel to the session, which knows none.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;

use crate::error::Error;
use crate::session::{Key, Reservation};

/// The wakers of one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamWakers {
    key: Option<Key>,
    pub(crate) read: Option<Waker>,
    pub(crate) write: Option<Waker>,
    pub(crate) reply: Option<Waker>,
}

/// A table of stream wakers by the index of the key.
#[derive(Debug, Default)]
pub(crate) struct WakerTable(Vec<StreamWakers>);

impl WakerTable {
    /// The wakers of a stream; those of an earlier stream in the same slot are dropped.
    pub(crate) fn of(&mut self, key: Key) -> &mut StreamWakers {
        let index = key.index();
        if self.0.len() <= index {
            self.0.resize_with(index + 1, StreamWakers::default);
        }
        let wakers = &mut self.0[index];
        if wakers.key != Some(key) {
            *wakers = StreamWakers {
                key: Some(key),
                ..StreamWakers::default()
            };
        }
        wakers
    }

    /// Every waker there is, for a session that can no longer tell whom to wake.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Waker> + '_ {
        self.0
            .drain(..)
            .flat_map(|wakers| [wakers.read, wakers.write, wakers.reply])
            .flatten()
    }
}

/// Puts a waker in place, cloning it only when it would wake another task.
pub(crate) fn set_waker(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(old) if old.will_wake(waker) => {}
        _ => *slot = Some(waker.clone()),
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

    /// Takes what was granted, or renews the waker.
    pub(crate) fn check(&mut self, token: usize, waker: &Waker) -> Option<Reservation> {
        let state = self.waiters.get_mut(token)?;
        match state {
            SlotState::Waiting(old) => {
                old.clone_from(waker);
                None
            }
            SlotState::Granted(_) => match std::mem::replace(state, SlotState::Taken) {
                SlotState::Granted(slot) => Some(slot),
                _ => None,
            },
            SlotState::Taken => None,
        }
    }

    /// Leaves the queue; a granted slot comes back.
    pub(crate) fn leave(&mut self, token: usize) -> Option<Reservation> {
        let state = self.waiters.try_remove(token)?;
        self.order.retain(|waiting| *waiting != token);
        match state {
            SlotState::Granted(slot) => Some(slot),
            _ => None,
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
    pub(crate) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        for token in self.order.drain(..) {
            if let Some(SlotState::Waiting(waker)) = self.waiters.get(token) {
                wakers.push(waker.clone());
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
