//! hyper's runtime traits, adapted to what the lower layers take.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use hyper::rt::Timer;

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
