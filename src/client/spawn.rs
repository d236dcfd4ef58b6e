use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::rt::Executor;

/// A task that is spawned seldom: what is left of an upload when its response has arrived, or a connection, of a
/// [`Connector`](super::Connector) or behind an HTTP Upgrade.
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

/// For hyper's connections, whose tasks have types of their own.
impl<F> Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.spawn(Box::pin(task));
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}
