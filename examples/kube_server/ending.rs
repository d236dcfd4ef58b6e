//! How the server ends: in steps, of which the last one comes in any case.

use std::time::Duration;

use spdy::server::GracefulShutdown;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long commands and connections have to end by themselves.
const BY_THEMSELVES: Duration = Duration::from_secs(8);

/// How long what is told to end then has for that.
const TOLD: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Serving,
    /// Nothing new begins; what is there goes on.
    Draining,
    /// Commands are killed, and their clients are told.
    Commands,
    /// What is left is dropped.
    Now,
}

/// Where the server stands.
#[derive(Clone)]
pub(crate) struct Ending(watch::Receiver<Step>);

impl Ending {
    /// Ctrl-C or SIGTERM begins it; the second one ends it at once.
    pub(crate) fn on_signals(graceful: GracefulShutdown) -> std::io::Result<Self> {
        let (step, ending) = watch::channel(Step::Serving);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            either(&mut interrupt, &mut terminate).await;
            graceful.start();
            step.send_replace(Step::Draining);
            tokio::select! {
                () = sleep(BY_THEMSELVES) => {
                    step.send_replace(Step::Commands);
                    tokio::select! {
                        () = sleep(TOLD) => {}
                        () = either(&mut interrupt, &mut terminate) => {}
                    }
                }
                () = either(&mut interrupt, &mut terminate) => {}
            }
            step.send_replace(Step::Now);
        });
        Ok(Self(ending))
    }

    pub(crate) async fn draining(mut self) {
        self.reached(Step::Draining).await;
    }

    pub(crate) async fn commands(mut self) {
        self.reached(Step::Commands).await;
    }

    pub(crate) async fn now(mut self) {
        self.reached(Step::Now).await;
    }

    async fn reached(&mut self, wanted: Step) {
        // The sender lives until the last step.
        let _ = self.0.wait_for(|step| *step >= wanted).await;
    }
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
