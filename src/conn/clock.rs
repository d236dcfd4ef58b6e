use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// A wait for a point in time.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a connection gets its time from.
///
/// Everything that takes time here asks this trait, never the system clock, so that tests with paused time see
/// no other. [`TokioClock`] is the default; the HTTP builders adapt `hyper::rt::Timer`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Instant;

    /// Completes at `deadline`, or at once if it has passed.
    fn sleep_until(&self, deadline: Instant) -> Sleep;
}

/// Tokio's time. Time-outs need a runtime with its time driver enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(tokio::time::sleep_until(deadline.into()))
    }
}

/// A timer that is armed for the earliest deadline it was asked for.
#[derive(Default)]
pub(super) struct Timer(Option<(Instant, Sleep)>);

impl Timer {
    /// Ready when `deadline` may have passed; never without one.
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
        if self.0.as_ref().is_none_or(|(armed, _)| *armed > deadline) {
            self.0 = Some((deadline, clock.sleep_until(deadline)));
        }
        let Some((_, sleep)) = &mut self.0 else {
            return Poll::Pending;
        };
        ready!(pin!(sleep).poll(cx));
        self.0 = None;
        Poll::Ready(())
    }
}
