//! The session behind its lock, and everyone who waits for it. All locking on the path of a frame is here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::waiters::{PingWaiter, SlotQueue, WakerTable, set_waker};
use crate::error::{Error, Result};
use crate::session::{Event, Key, Reservation, Session};

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: Session,
    streams: WakerTable,
    /// The driver, while it has nothing to do.
    driver: Option<Waker>,
    acceptors: Vec<Waker>,
    slots: SlotQueue,
    pings: Vec<PingWaiter>,
    /// Those who wait for the end of the session.
    ending: Vec<Waker>,
    /// Handles through which streams can be opened or accepted.
    handles: usize,
}

/// One connection, shared by its driver and all handles.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

impl Shared {
    pub(crate) fn new(session: Session, clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = State {
            session,
            streams: WakerTable::default(),
            driver: None,
            acceptors: Vec::new(),
            slots: SlotQueue::default(),
            pings: Vec::new(),
            ending: Vec::new(),
            handles: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            clock,
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Runs `f` under the lock, then wakes whom it concerns and drops what is dead, both outside of it. Nothing
    /// foreign may run in `f`: no IO, zlib, `wake`, user `Drop` or formatting.
    ///
    /// That the driver is woken when there is something to send, and waiters when something happened, is
    /// decided here, so that no caller can forget it.
    ///
    /// # Errors
    ///
    /// A panic under the lock has left the session in an unknown state: it has failed for all, without a second
    /// panic.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> Result<R> {
        let mut guard = self.state.lock().map_err(|_| poisoned())?;
        let result = f(&mut guard);
        let mut wakers = Vec::new();
        let state = &mut *guard;
        state.dispatch(&mut wakers);
        if state.session.has_output() || state.session.may_resume_reading() {
            wakers.extend(state.driver.take());
        }
        let dead = state.session.take_graveyard();
        drop(guard);
        for waker in wakers {
            waker.wake();
        }
        drop(dead);
        Ok(result)
    }

    /// After a panic under the lock: everyone who waits shall look again, and find the error.
    pub(crate) fn wake_everyone(&self) {
        let mut guard: MutexGuard<'_, State> =
            self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wakers: Vec<_> = guard.streams.take_all().collect();
        wakers.append(&mut guard.acceptors);
        wakers.append(&mut guard.ending);
        wakers.extend(guard.driver.take());
        guard.slots.wake_all(&mut wakers);
        wakers.extend(guard.pings.iter_mut().filter_map(|ping| ping.waker.take()));
        drop(guard);
        for waker in wakers {
            waker.wake();
        }
    }

    // Waiting for a stream. One lock each: the operation and the registration are one.

    pub(crate) fn poll_read<R>(
        &self,
        cx: &Context<'_>,
        key: Key,
        f: impl FnOnce(&mut Session) -> Result<Option<R>>,
    ) -> Poll<Result<R>> {
        self.poll(|state| {
            let found = f(&mut state.session)?;
            if found.is_none() {
                set_waker(&mut state.streams.of(key).read, cx.waker());
            }
            Ok(found)
        })
    }

    pub(crate) fn poll_write<R>(
        &self,
        cx: &Context<'_>,
        key: Key,
        f: impl FnOnce(&mut Session) -> Result<Option<R>>,
    ) -> Poll<Result<R>> {
        self.poll(|state| {
            let found = f(&mut state.session)?;
            if found.is_none() {
                set_waker(&mut state.streams.of(key).write, cx.waker());
            }
            Ok(found)
        })
    }

    pub(crate) fn poll_reply<R>(
        &self,
        cx: &Context<'_>,
        key: Key,
        f: impl FnOnce(&mut Session) -> Result<Option<R>>,
    ) -> Poll<Result<R>> {
        self.poll(|state| {
            let found = f(&mut state.session)?;
            if found.is_none() {
                set_waker(&mut state.streams.of(key).reply, cx.waker());
            }
            Ok(found)
        })
    }

    /// Waits for a stream of the peer, or for the end of the session.
    pub(crate) fn poll_accept<R>(
        &self,
        cx: &Context<'_>,
        f: impl FnOnce(&mut Session) -> Option<R>,
    ) -> Poll<Result<R>> {
        self.poll(|state| {
            let found = f(&mut state.session);
            if found.is_none()
                && !state
                    .acceptors
                    .iter()
                    .any(|waker| waker.will_wake(cx.waker()))
            {
                state.acceptors.push(cx.waker().clone());
            }
            Ok(found)
        })
    }

    /// Waits until the session is over.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> Poll<Result<()>> {
        self.poll(|state| {
            let over = state.session.is_over();
            if !over && !state.ending.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.ending.push(cx.waker().clone());
            }
            Ok(over.then_some(()))
        })
    }

    fn poll<R>(&self, f: impl FnOnce(&mut State) -> Result<Option<R>>) -> Poll<Result<R>> {
        match self.with(f) {
            Ok(Ok(Some(found))) => Poll::Ready(Ok(found)),
            Ok(Ok(None)) => Poll::Pending,
            Ok(Err(error)) | Err(error) => Poll::Ready(Err(error)),
        }
    }

    // Handles.

    pub(crate) fn add_handle(&self) {
        // A poisoned lock has failed the session already: there is nothing to count.
        drop(self.with(|state| state.handles += 1));
    }

    /// The last one gone, nobody can open or accept streams: those there are finish, then the session ends.
    pub(crate) fn drop_handle(&self) {
        drop(self.with(|state| {
            state.handles = state.handles.saturating_sub(1);
            if state.handles == 0 {
                state.session.stop_accepting();
                state.session.close_when_idle();
            }
        }));
    }
}

fn poisoned() -> Error {
    Error::closed("internal error: a panic while the session was locked")
}

impl State {
    /// Turns events into wakers.
    fn dispatch(&mut self, wakers: &mut Vec<Waker>) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Wake {
                    key,
                    read,
                    write,
                    reply,
                } => {
                    let stream = self.streams.of(key);
                    if read {
                        wakers.extend(stream.read.take());
                    }
                    if write {
                        wakers.extend(stream.write.take());
                    }
                    if reply {
                        wakers.extend(stream.reply.take());
                    }
                }
                Event::Accept => wakers.append(&mut self.acceptors),
                Event::Slot => self.grant_slots(wakers),
                Event::Pong { id, rtt } => self.finish_pings(|ping| ping == id, &Ok(rtt), wakers),
                Event::Ended => {
                    wakers.append(&mut self.acceptors);
                    wakers.append(&mut self.ending);
                    wakers.extend(self.driver.take());
                    let error = match self.session.outcome() {
                        Some(Err(error)) => error,
                        _ => Error::closed("the session has ended"),
                    };
                    self.finish_pings(|_| true, &Err(error), wakers);
                }
            }
        }
    }

    fn grant_slots(&mut self, wakers: &mut Vec<Waker>) {
        while self.slots.has_waiting() {
            match self.session.reserve_slot() {
                Ok(Some(slot)) => match self.slots.grant(slot) {
                    Ok(waker) => wakers.push(waker),
                    Err(slot) => return self.session.release_slot(slot),
                },
                Ok(None) => return,
                Err(_) => return self.slots.wake_all(wakers),
            }
        }
    }

    fn finish_pings(
        &mut self,
        which: impl Fn(u32) -> bool,
        outcome: &Result<Duration>,
        wakers: &mut Vec<Waker>,
    ) {
        for ping in self.pings.iter_mut().filter(|ping| which(ping.id)) {
            ping.outcome = Some(outcome.clone());
            wakers.extend(ping.waker.take());
        }
    }

    /// The driver has nothing to do until it is woken.
    pub(crate) fn park_driver(&mut self, waker: &Waker) {
        set_waker(&mut self.driver, waker);
    }

    pub(crate) fn start_ping(&mut self) -> Result<u32> {
        let id = self.session.ping()?;
        self.pings.push(PingWaiter {
            id,
            outcome: None,
            waker: None,
        });
        Ok(id)
    }

    pub(crate) fn poll_ping(&mut self, id: u32, waker: &Waker) -> Option<Result<Duration>> {
        let ping = self.pings.iter_mut().find(|ping| ping.id == id)?;
        if ping.outcome.is_none() {
            set_waker(&mut ping.waker, waker);
        }
        ping.outcome.clone()
    }

    pub(crate) fn forget_ping(&mut self, id: u32) {
        self.pings.retain(|ping| ping.id != id);
    }

    /// Reserves an open slot, or joins the queue for one under `token`.
    pub(crate) fn poll_slot(
        &mut self,
        token: &mut Option<usize>,
        waker: &Waker,
    ) -> Result<Option<Reservation>> {
        if let Some(waiting) = *token {
            if let Some(slot) = self.slots.check(waiting, waker) {
                self.slots.leave(waiting);
                *token = None;
                return Ok(Some(slot));
            }
            // Woken without a slot only when none will ever be free.
            return if self.session.is_closing() {
                self.leave_slots(token);
                self.session.reserve_slot()
            } else {
                Ok(None)
            };
        }
        let slot = self.session.reserve_slot()?;
        if slot.is_none() {
            *token = Some(self.slots.join(waker.clone()));
        }
        Ok(slot)
    }

    pub(crate) fn leave_slots(&mut self, token: &mut Option<usize>) {
        if let Some(slot) = token.take().and_then(|token| self.slots.leave(token)) {
            self.session.release_slot(slot);
        }
    }
}
