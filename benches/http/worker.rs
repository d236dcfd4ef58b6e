//! A thread with a runtime of its own: all that one end of a connection does, and what it costs.

use std::future::Future;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::machine;

/// What a worker has used since its last mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// CPU time in ns; NaN where it cannot be told.
    pub(crate) cpu: f64,
    pub(crate) allocations: f64,
    /// Heap bytes allocated less those freed.
    pub(crate) heap: f64,
}

enum Command {
    Do(Box<dyn FnOnce() + Send>),
    Mark(mpsc::Sender<Usage>),
}

/// A thread that runs a `current_thread` runtime until it is dropped. Its tasks go with it.
pub(crate) struct Worker {
    commands: Option<UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn new(name: &str) -> Self {
        let (commands, mut received) = unbounded_channel();
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let mut last = machine::thread_cpu();
            loop {
                let mut mark = None;
                // Counts per thread and without atomic operations, so that both ends do not meet in one cache line.
                let info = allocation_counter::measure(|| {
                    mark = runtime.block_on(async {
                        loop {
                            match received.recv().await {
                                Some(Command::Do(job)) => job(),
                                Some(Command::Mark(reply)) => break Some(reply),
                                None => break None,
                            }
                        }
                    });
                });
                let Some(reply) = mark else {
                    return;
                };
                let now = machine::thread_cpu();
                let cpu = match (last, now) {
                    (Some(last), Some(now)) => (now - last) as f64,
                    _ => f64::NAN,
                };
                last = now;
                // Whoever asked may have given up.
                let _ = reply.send(Usage {
                    cpu,
                    allocations: info.count_total as f64,
                    heap: info.bytes_current as f64,
                });
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned());
        Self {
            commands: Some(commands),
            thread: Some(thread.spawn(body).expect("a thread")),
        }
    }

    fn send(&self, command: Command) {
        let commands = self.commands.as_ref().expect("the worker runs");
        assert!(commands.send(command).is_ok(), "the worker runs");
    }

    /// Starts a task.
    pub(crate) fn spawn<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.send(Command::Do(Box::new(move || {
            tokio::spawn(future);
        })));
    }

    /// Runs a task and waits for its result.
    pub(crate) fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (done, result) = mpsc::channel();
        self.spawn(async move {
            drop(done.send(future.await));
        });
        result.recv().expect("a task of the bench has panicked")
    }

    /// What was used since the last mark.
    pub(crate) fn mark(&self) -> Usage {
        let (reply, usage) = mpsc::channel();
        self.send(Command::Mark(reply));
        usage.recv().expect("the worker runs")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was seen by whoever waited for it.
            drop(thread.join());
        }
    }
}
