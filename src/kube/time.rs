//! Waits with a limit, by the clock of the connection.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::stream::Session;

/// Awaits `future` until `deadline`; `None` if it has passed. Where there are no timers, it never does.
pub(super) async fn before<F: Future>(
    session: &Session,
    deadline: Option<Instant>,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep = deadline.and_then(|at| session.shared().clock().sleep_until(at));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        match &mut sleep {
            Some(sleep) => sleep.as_mut().poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// Awaits `future` for at most `limit`.
pub(super) async fn within<F: Future>(
    session: &Session,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    // A limit beyond the end of time is none.
    let deadline = session.shared().now().checked_add(limit);
    before(session, deadline, future).await
}
