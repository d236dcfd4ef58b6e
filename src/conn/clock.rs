use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// A wait for a point in time. `Sync` because hyper's are.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// Where a connection gets its time from.
///
/// Everything that takes time here asks this trait, never the system clock, so that tests with paused time see
/// no other. [`TokioClock`] is the default; the HTTP builders adapt `hyper::rt::Timer`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Instant;

    /// Completes at `deadline`, or at once if it has passed. `None`: there are no timers here. Then no time-out
    /// expires, and a connection closes without waiting for its peer.
    fn sleep_until(&self, deadline: Instant) -> Option<Sleep>;
}

/// Tokio's time.
///
/// Time-outs need a runtime with its time driver enabled. Without one there are no timers: a warning is logged, once,
/// and tokio's panic at the first attempt, which is caught here because tokio cannot be asked, shows on standard
/// error. Where panics abort, give the builders another timer for such a runtime.
#[derive(Debug, Default)]
pub struct TokioClock {
    /// The runtime has turned out to have no time driver.
    disabled: AtomicBool,
}

impl TokioClock {
    /// The time of the runtime that a connection is polled on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn disable(&self, why: &'static str) {
        if !self.disabled.swap(true, Ordering::Relaxed) {
            tracing::warn!("{why}: time-outs do not work, and connections close without lingering");
        }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, deadline: Instant) -> Option<Sleep> {
        if self.disabled.load(Ordering::Relaxed) {
            return None;
        }
        if tokio::runtime::Handle::try_current().is_err() {
            self.disable("there is no tokio runtime here");
            return None;
        }
        // Nothing is left half-done by the panic: it comes before anything is registered.
        let sleep = std::panic::catch_unwind(|| tokio::time::sleep_until(deadline.into()));
        match sleep {
            Ok(sleep) => Some(Box::pin(sleep)),
            Err(_) => {
                self.disable("the tokio runtime has no time driver");
                None
            }
        }
    }
}

/// A timer that is armed for the earliest deadline it was asked for.
#[derive(Default)]
pub(super) struct Timer {
    armed: Option<(Instant, Sleep)>,
    /// The clock has none.
    missing: bool,
}

impl Timer {
    /// Ready when `deadline` may have passed; never without one, nor where there are no timers.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        clock: &dyn Clock,
    ) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        // A timer that fires too early costs one look; moving it on every byte received would cost more.
        if self
            .armed
            .as_ref()
            .is_none_or(|(armed, _)| *armed > deadline)
        {
            self.armed = clock.sleep_until(deadline).map(|sleep| (deadline, sleep));
            self.missing = self.armed.is_none();
        }
        let Some((_, sleep)) = &mut self.armed else {
            return Poll::Pending;
        };
        ready!(pin!(sleep).poll(cx));
        self.armed = None;
        Poll::Ready(())
    }

    /// Whether the last wait found no timers, so that it will not end.
    pub(super) fn is_missing(&self) -> bool {
        self.missing
    }
}
