//! What the library says: to a test, by [`logged`], and on demand: `RUST_LOG=spdy=debug cargo test --test NAME TEST -- --nocapture`.

use std::future::Future;
use std::io::Write;
use std::str::FromStr;
use std::sync::{Arc, Mutex, Once};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Prints the spans and events that `RUST_LOG` asks for; without it there is no subscriber at all, as for most users.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        let Ok(wanted) = std::env::var("RUST_LOG") else {
            return;
        };
        let wanted = Targets::from_str(&wanted).expect("RUST_LOG is not a list of target=level");
        // Through print!, so that the harness shows it with the test that failed.
        let output = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_test_writer();
        tracing_subscriber::registry()
            .with(output)
            .with(wanted)
            .init();
    });
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the library logs, down to DEBUG, while this runs in paused time.
pub(crate) fn logged(script: impl Future<Output = ()>) -> String {
    // As long as there is only one subscriber, tracing asks that of the thread which reaches an event first, and keeps the
    // answer: tests beside this one have none, and would silence it.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(script));
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}
