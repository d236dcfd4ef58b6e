use std::fmt;
use std::future::Future;
use std::pin::Pin;
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
