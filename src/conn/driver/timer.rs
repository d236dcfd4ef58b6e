use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use crate::conn::clock::Sleep;
use crate::conn::shared::Shared;

/// A timer that is armed for the earliest deadline it was asked for.
#[derive(Default)]
pub(super) struct Timer(Option<(Instant, Sleep)>);

impl Timer {
    /// Ready when `deadline` may have passed; never without one.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        shared: &Shared,
    ) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        // A timer that fires too early costs one look; moving it on every byte received would cost more.
        if self.0.as_ref().is_none_or(|(armed, _)| *armed > deadline) {
            self.0 = Some((deadline, shared.clock().sleep_until(deadline)));
        }
        let Some((_, sleep)) = &mut self.0 else {
            return Poll::Pending;
        };
        ready!(pin!(sleep).poll(cx));
        self.0 = None;
        Poll::Ready(())
    }
}
