//! hyper's runtime traits, adapted to what the lower layers take.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use hyper::rt::{Executor, Timer};

use crate::conn::{Clock, Sleep};

/// A [`Timer`] as a [`Clock`].
struct TimerClock<T>(T);

/// The clock behind a timer of the user's.
pub(crate) fn clock<T>(timer: T) -> Arc<dyn Clock>
where
    T: Timer + Send + Sync + 'static,
{
    Arc::new(TimerClock(timer))
}

impl<T: Timer + Send + Sync + 'static> Clock for TimerClock<T> {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep_until(&self, deadline: Instant) -> Option<Sleep> {
        Some(Box::pin(self.0.sleep_until(deadline)))
    }
}

impl<T> fmt::Debug for TimerClock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimerClock")
    }
}

/// A task of the client: what is left of an upload when its response has arrived.
pub type BoxTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An executor without its type, for tasks that are spawned seldom.
#[derive(Clone)]
pub(crate) struct Spawner(Arc<dyn Fn(BoxTask) + Send + Sync>);

impl Spawner {
    pub(crate) fn new<E>(exec: E) -> Self
    where
        E: Executor<BoxTask> + Send + Sync + 'static,
    {
        Self(Arc::new(move |task| exec.execute(task)))
    }

    pub(crate) fn spawn(&self, task: BoxTask) {
        (self.0)(task);
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}

/// Makes the setters of a builder with a `config`: `builder_setters!($ [impl Builder])`. Both builders have one; what
/// differs is the head of their `impl`. The `$` stands for itself, for the inner macro.
macro_rules! builder_setters {
    ($d:tt [$($head:tt)*]) => {
        macro_rules! setters {
            ($d( $d(#[$d doc:meta])* $d name:ident($d arg:ident : $d ty:ty) { $d field:ident = $d value:expr } )*) => {
                $($head)* {
                    $d(
                        $d(#[$d doc])*
                        pub fn $d name(&mut self, $d arg: $d ty) -> &mut Self {
                            self.config.$d field = $d value;
                            self
                        }
                    )*
                }
            };
        }
        crate::session::with_options!(setters);
    };
}

pub(crate) use builder_setters;
