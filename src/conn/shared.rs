//! The session behind its lock, and everyone who waits for it. All locking on the path of a frame is here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::stats::Stats;
use super::waiters::{PingWaiter, SlotQueue, Wait, WakerList, WakerTable, Wakers, set_waker};
use crate::error::{Error, Initiator, Result};
use crate::session::{Event, Key, Reservation, Session};

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: Session,
    streams: WakerTable,
    /// The driver, while it has nothing to do.
    driver: Option<Waker>,
    /// The driver's registration was used up.
    driver_woken: Arc<AtomicBool>,
    /// Whether output wakes the driver: not while the transport takes none, which will wake it itself.
    wants_output: bool,
    acceptors: WakerList,
    slots: SlotQueue,
    pings: Vec<PingWaiter>,
    /// Those who wait for the end of the session.
    ending: WakerList,
    /// Wakers that were replaced, to be dropped outside of the lock.
    trash: Vec<Waker>,
    /// The counters as of the driver's last batch.
    pub(crate) stats: Stats,
    /// Handles through which streams can be opened or accepted.
    handles: usize,
}

/// One connection, shared by its driver and all handles.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// As in the state, to be seen without the lock.
    driver_woken: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
}

impl Shared {
    pub(crate) fn new(session: Session, clock: Arc<dyn Clock>) -> Arc<Self> {
        let driver_woken = Arc::new(AtomicBool::new(false));
        let state = State {
            session,
            streams: WakerTable::default(),
            driver: None,
            driver_woken: Arc::clone(&driver_woken),
            wants_output: false,
            acceptors: WakerList::default(),
            slots: SlotQueue::default(),
            pings: Vec::new(),
            ending: WakerList::default(),
            trash: Vec::new(),
            stats: Stats::default(),
            handles: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            driver_woken,
            clock,
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Whether the driver was woken by a section since this was last asked, so that it has to look what for.
    pub(crate) fn take_driver_woken(&self) -> bool {
        self.driver_woken.swap(false, Ordering::AcqRel)
    }

    /// Runs `f` under the lock, then wakes whom it concerns and drops what is dead, both outside of it. Nothing
    /// foreign may run in `f`: no IO, zlib, `wake`, user `Drop` (that of a `Waker` is one) or formatting.
    ///
    /// That the driver is woken when there is something to send, and waiters when something happened, is
    /// decided here, so that no caller can forget it.
    ///
    /// # Errors
    ///
    /// A panic under the lock has left the session in an unknown state: it has failed for all, without a second
    /// panic.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> Result<R> {
        self.enter(true, f)
    }

    /// As [`with`](Self::with), for the driver while it runs: it goes on until it finds nothing to do, and need not
    /// wake itself. It has to register again before it rests.
    pub(crate) fn with_driver<R>(&self, f: impl FnOnce(&mut State) -> R) -> Result<R> {
        self.enter(false, |state| {
            state.wants_output = false;
            f(state)
        })
    }

    fn enter<R>(&self, wakes_driver: bool, f: impl FnOnce(&mut State) -> R) -> Result<R> {
        let mut section = Section {
            guard: Some(self.state.lock().map_err(|_| poisoned())?),
            shared: self,
        };
        let Some(state) = section.guard.as_deref_mut() else {
            return Err(poisoned());
        };
        let was_idle = state.session.is_idle();
        let result = f(state);
        let mut wakers = Wakers::default();
        state.dispatch(&mut wakers);
        // The idle time-out starts with the end of the last stream, which may be the work of a handle.
        let became_idle = !was_idle && state.session.is_idle();
        let output = state.wants_output && state.session.has_output();
        let session = &state.session;
        if wakes_driver
            && (output || became_idle || session.may_resume_reading() || session.is_drain_untimed())
        {
            wakers.extend(state.take_driver());
        }
        let dead = (
            state.session.take_graveyard(),
            std::mem::take(&mut state.trash),
        );
        section.guard = None;
        wakers.wake();
        drop(dead);
        Ok(result)
    }

    /// After a panic under the lock: everyone who waits shall look again, and find the error.
    pub(crate) fn wake_everyone(&self) {
        let mut guard: MutexGuard<'_, State> =
            self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wakers = Wakers::default();
        wakers.extend(guard.streams.take_all());
        guard.acceptors.drain_into(&mut wakers);
        guard.ending.drain_into(&mut wakers);
        wakers.extend(guard.take_driver());
        guard.slots.wake_all(&mut wakers);
        wakers.extend(guard.pings.iter_mut().filter_map(|ping| ping.waker.take()));
        drop(guard);
        wakers.wake();
    }

    // Waiting for a stream. One lock each: the operation and the registration are one.

    /// Runs `f`; the task is woken for what `wait` says if there was nothing yet.
    pub(crate) fn poll_stream<R>(
        &self,
        cx: &Context<'_>,
        key: Key,
        wait: Wait,
        f: impl FnOnce(&mut Session) -> Result<Option<R>>,
    ) -> Poll<Result<R>> {
        self.poll(|state| {
            let found = f(&mut state.session)?;
            if found.is_none() {
                let wakers = state.streams.of(key, &mut state.trash);
                let old = set_waker(wakers.slot(wait), cx.waker());
                state.trash.extend(old);
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
            if found.is_none() {
                state.acceptors.register(cx.waker());
            }
            Ok(found)
        })
    }

    /// Waits until the session is over.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> Poll<Result<()>> {
        self.poll(|state| {
            let over = state.session.is_over();
            if !over {
                state.ending.register(cx.waker());
            }
            Ok(over.then_some(()))
        })
    }

    /// A wait for a stream of the peer, or for the end, was given up.
    pub(crate) fn forget_waiter(&self, waker: &Waker) {
        let removed =
            self.with(|state| [state.acceptors.remove(waker), state.ending.remove(waker)]);
        for waker in removed.into_iter().flatten().flatten() {
            waker.wake();
        }
    }

    fn poll<R>(&self, f: impl FnOnce(&mut State) -> Result<Option<R>>) -> Poll<Result<R>> {
        match self.with(f) {
            Ok(Ok(Some(found))) => Poll::Ready(Ok(found)),
            Ok(Ok(None)) => Poll::Pending,
            Ok(Err(error)) | Err(error) => Poll::Ready(Err(error)),
        }
    }

    // Handles.

    /// The sending handle of a stream is dropped.
    pub(crate) fn drop_send(&self, key: Key) {
        drop(self.with(|state| {
            state.session.drop_send(key);
            let wakers = state.streams.get(key).and_then(|s| s.write.take());
            state.trash.extend(wakers);
        }));
    }

    /// The receiving handle of a stream is dropped.
    pub(crate) fn drop_recv(&self, key: Key) {
        drop(self.with(|state| {
            state.session.drop_recv(key);
            if let Some(wakers) = state.streams.get(key) {
                let both = [wakers.read.take(), wakers.reply.take()];
                state.trash.extend(both.into_iter().flatten());
            }
        }));
    }

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

/// A section under the lock. If a panic leaves it, whoever waits is woken to find that the session has failed:
/// nobody else would do it.
struct Section<'a> {
    guard: Option<MutexGuard<'a, State>>,
    shared: &'a Shared,
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            drop(guard);
            self.shared.wake_everyone();
        }
    }
}

fn poisoned() -> Error {
    Error::closed(
        Initiator::Library,
        "internal error: a panic while the session was locked",
    )
}

impl State {
    /// Turns events into wakers.
    fn dispatch(&mut self, wakers: &mut Wakers) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Wake {
                    key,
                    read,
                    write,
                    reply,
                } => {
                    let Some(stream) = self.streams.get(key) else {
                        continue;
                    };
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
                Event::Accept => self.acceptors.drain_into(wakers),
                Event::Slot => self.grant_slots(wakers),
                Event::Pong { id, rtt } => self.finish_pings(|ping| ping == id, &Ok(rtt), wakers),
                Event::Ended => {
                    self.acceptors.drain_into(wakers);
                    self.ending.drain_into(wakers);
                    wakers.extend(self.take_driver());
                    // None will be free any more: those who wait get the error.
                    self.grant_slots(wakers);
                    let error = match self.session.outcome() {
                        Some(Err(error)) => error,
                        _ => Error::closed(Initiator::Remote, "the session has ended"),
                    };
                    self.finish_pings(|_| true, &Err(error), wakers);
                }
            }
        }
    }

    fn grant_slots(&mut self, wakers: &mut Wakers) {
        while self.slots.has_waiting() {
            match self.session.reserve_slot() {
                Ok(Some(slot)) => match self.slots.grant(slot) {
                    Ok(waker) => wakers.extend([waker]),
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
        wakers: &mut Wakers,
    ) {
        for ping in self.pings.iter_mut().filter(|ping| which(ping.id)) {
            ping.outcome = Some(outcome.clone());
            wakers.extend(ping.waker.take());
        }
    }

    fn take_driver(&mut self) -> Option<Waker> {
        self.wants_output = false;
        self.driver_woken.store(true, Ordering::Release);
        self.driver.take()
    }

    /// The driver has nothing to send until it is woken.
    pub(crate) fn park_sender(&mut self, waker: &Waker) {
        self.wants_output = true;
        self.park_reader(waker);
    }

    /// The driver does not read until it is woken; it may have output that the transport does not take.
    pub(crate) fn park_reader(&mut self, waker: &Waker) {
        let old = set_waker(&mut self.driver, waker);
        self.trash.extend(old);
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
            let old = set_waker(&mut ping.waker, waker);
            self.trash.extend(old);
        }
        ping.outcome.clone()
    }

    pub(crate) fn forget_ping(&mut self, id: u32) {
        if let Some(position) = self.pings.iter().position(|ping| ping.id == id) {
            self.trash.extend(self.pings.swap_remove(position).waker);
        }
    }

    /// Reserves an open slot, or joins the queue for one under `token`.
    pub(crate) fn poll_slot(
        &mut self,
        token: &mut Option<usize>,
        waker: &Waker,
    ) -> Result<Option<Reservation>> {
        if let Some(waiting) = *token {
            if let Some(slot) = self.slots.check(waiting, waker, &mut self.trash) {
                self.slots.leave(waiting, &mut self.trash);
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
        if let Some(slot) = token
            .take()
            .and_then(|token| self.slots.leave(token, &mut self.trash))
        {
            self.session.release_slot(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;
    use crate::Config;
    use crate::conn::TokioClock;
    use crate::frame::Role;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_panic_under_the_lock_wakes_everyone_to_its_error() {
        let clock = Arc::new(TokioClock::new());
        let session = Session::new(Role::Client, Config::client(), clock.now());
        let shared = Shared::new(session, clock);
        let tasks: Vec<_> = (0..5).map(|_| Arc::new(Count::default())).collect();
        let wakers: Vec<_> = tasks.iter().cloned().map(Waker::from).collect();
        let key = shared.with(|state| {
            let slot = state.session.reserve_slot().unwrap().unwrap();
            let headers = crate::headers::HeaderBlock::empty();
            state.session.open(slot, headers, Default::default())
        });
        let key = key.unwrap().unwrap();
        let cx = |i: usize| Context::from_waker(&wakers[i]);
        let read = |i| shared.poll_stream(&cx(i), key, Wait::Reply, |s| s.take_reply(key));
        assert!(read(0).is_pending());
        assert!(shared.poll_ended(&cx(1)).is_pending());
        assert!(shared.poll_accept(&cx(2), |_| None::<()>).is_pending());
        let id = shared.with(State::start_ping).unwrap().unwrap();
        let ping = shared.with(|state| state.poll_ping(id, &wakers[3]));
        assert!(ping.unwrap().is_none());
        shared.with(|state| state.park_sender(&wakers[4])).unwrap();

        let foreign = || shared.with(|_| panic!("a foreign destructor"));
        let unwound: std::thread::Result<Result<()>> = catch_unwind(AssertUnwindSafe(foreign));
        assert!(unwound.is_err());
        for (i, task) in tasks.iter().enumerate() {
            assert_eq!(task.0.load(Ordering::SeqCst), 1, "task {i}");
        }
        let Poll::Ready(Err(error)) = shared.poll_ended(&cx(1)) else {
            panic!("a wait goes on after a panic under the lock");
        };
        assert!(error.is_closed(), "{error}");
    }
}
