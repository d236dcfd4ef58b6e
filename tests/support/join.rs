//! Runs futures together and polls only those that were woken.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::PATIENCE;

#[derive(Default)]
struct Flag {
    woken: AtomicBool,
    parent: Mutex<Option<Waker>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        let parent = self.parent.lock().unwrap().clone();
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

/// A future that is polled only if it was woken: what completes by luck inside a `join!`, because a sibling was
/// woken, hangs here.
pub(crate) struct Watched<F: Future> {
    future: Pin<Box<F>>,
    flag: Arc<Flag>,
    polls: Arc<AtomicUsize>,
}

/// Wraps a future in [`Watched`].
pub(crate) fn watched<F: Future>(future: F) -> Watched<F> {
    let flag = Arc::new(Flag::default());
    flag.woken.store(true, Ordering::SeqCst);
    Watched {
        future: Box::pin(future),
        flag,
        polls: Arc::default(),
    }
}

impl<F: Future> Watched<F> {
    /// Counts how often the future is polled.
    pub(crate) fn counter(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.polls)
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        *self.flag.parent.lock().unwrap() = Some(cx.waker().clone());
        if !self.flag.woken.swap(false, Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.polls.fetch_add(1, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.flag));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

type Part<'a> = Watched<Pin<Box<dyn Future<Output = ()> + 'a>>>;

/// Futures that run together, each polled only when it was woken.
///
/// ```ignore
/// Joint::new()
///     .add("driver", async { connection.await.unwrap() })
///     .add("writer", async { stream.write_all(b"x").await.unwrap() })
///     .run()
///     .await;      // panics with "stuck: writer" if a wakeup of the writer was missed
/// ```
#[derive(Default)]
pub(crate) struct Joint<'a> {
    parts: Vec<(&'static str, Option<Part<'a>>)>,
}

impl<'a> Joint<'a> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(mut self, name: &'static str, future: impl Future<Output = ()> + 'a) -> Self {
        let future: Pin<Box<dyn Future<Output = ()> + 'a>> = Box::pin(future);
        self.parts.push((name, Some(watched(future))));
        self
    }

    /// Completes when all have; panics naming those that are stuck.
    pub(crate) async fn run(mut self) {
        let all = poll_fn(|cx| {
            for (_, part) in &mut self.parts {
                if let Some(future) = part {
                    if Pin::new(future).poll(cx).is_ready() {
                        *part = None;
                    }
                }
            }
            if self.parts.iter().all(|(_, part)| part.is_none()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            let stuck = self.parts.iter().filter(|(_, part)| part.is_some());
            let stuck: Vec<_> = stuck.map(|(name, _)| *name).collect();
            panic!("stuck: {}", stuck.join(", "));
        }
    }
}
