//! Finds missed wakeups. At rest a future that is polled although nothing has woken it stays as it is; if it goes on, it
//! has slept on something that had happened. At the end of the transport everything is woken, so that nothing would hang.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use super::support::Wire;

/// Behind this nothing moves but what asks for time again and again: longer than any handler.
const REST: Duration = Duration::from_secs(12);

#[derive(Clone, Debug, Default)]
pub(crate) struct Probe(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched {
    /// How to poll each future.
    wakers: Mutex<Vec<Option<Waker>>>,
    /// Steps of all futures, and ends of them.
    steps: AtomicUsize,
}

impl Probe {
    /// Something has happened.
    pub(crate) fn step(&self) {
        self.0.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// The future, polled by [`check`](Self::check) too.
    pub(crate) fn watch<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let probe = self.clone();
        async move {
            let at = {
                let mut wakers = probe.0.wakers.lock().unwrap();
                wakers.push(None);
                wakers.len() - 1
            };
            let mut future = pin!(future);
            let output = poll_fn(|cx| {
                let polled = future.as_mut().poll(cx);
                let waker = polled.is_pending().then(|| cx.waker().clone());
                probe.0.wakers.lock().unwrap()[at] = waker;
                polled
            });
            let output = output.await;
            probe.step();
            output
        }
    }

    /// Waits until all is at rest, and panics if something goes on by being polled.
    pub(crate) async fn check(&self, wire: &Wire) {
        tokio::time::sleep(REST).await;
        let state = || (self.0.steps.load(Ordering::Relaxed), wire.written());
        let before = state();
        let wakers: Vec<_> = self
            .0
            .wakers
            .lock()
            .unwrap()
            .iter()
            .flatten()
            .cloned()
            .collect();
        wakers.into_iter().for_each(Waker::wake);
        // No time passes meanwhile.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(state(), before, "something went on without a wakeup");
    }
}
