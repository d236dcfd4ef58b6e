//! What the library says, on demand: `RUST_LOG=spdy=debug cargo test --test NAME TEST -- --nocapture`.

use std::str::FromStr;
use std::sync::Once;

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
