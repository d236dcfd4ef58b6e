//! What both sides may say of a run, by the bytes that have arrived.

use std::time::Duration;

use spdy::frame::ResetStatus;
use spdy::{Error, Timeout};

use crate::exchange::{Outcome, PATHS, Report, Upload};
use crate::run::{ANSWER, DOWN, INTERVAL, Run, UP};
use crate::support::*;
use crate::wire::Half;

/// How long a close may take: the driver lingers for a second.
const CLOSE: Duration = Duration::from_millis(1100);

/// The answer of an undisturbed run. The server takes four requests at once; whether the fifth is too early is a
/// matter of time.
fn allowed(path: &str, outcome: &Outcome, calm: &Report) -> bool {
    let told = outcome.told();
    told == calm[path].told() || (path == "/extra" && told == calm["/plain"].told())
}

/// Whether nothing but the pace may differ from the undisturbed run.
pub(crate) fn same(run: &Run, calm: &Report) {
    let report = run.report.as_ref().unwrap();
    for path in PATHS {
        let outcome = &report[path];
        assert!(allowed(path, outcome, calm), "{path}: {}", outcome.told());
    }
    assert!(matches!(run.client, Some(Ok(()))), "{:?}", run.client);
    assert!(!matches!(run.server, Some(Err(_))), "{:?}", run.server);
}

/// Checks everything; panics with what is wrong.
pub(crate) fn check(run: &Run, cut: Cut, calm: &Run) {
    let calm = calm.report.as_ref().unwrap();
    bounded(run, cut);
    server_saw_what_arrived(run);
    let report = match &run.report {
        Ok(report) => report,
        Err(error) => {
            assert!(run.tap.is_cut());
            assert!(!error.is_retryable() && !error.is_user(), "{error:?}");
            return;
        }
    };
    let sent = run.seen(&run.tap.written(UP));
    let got = run.seen(&run.tap.arrived(DOWN));
    for path in PATHS {
        let outcome = &report[path];
        let say = || format!("{path}: {}", outcome.told());
        let id = sent.opened(":path", path).map(|(id, _)| id);
        let half = id.and_then(|id| got.streams.get(&id));
        let data = half.map_or(&[][..], |half| &half.data);
        let whole = half.is_some_and(|half| half.fin);
        match outcome {
            Outcome::Whole { body, .. } => {
                assert!(whole && data == body, "not what has arrived: {}", say());
                assert!(allowed(path, outcome, calm), "{}", say());
            }
            Outcome::Cancelled { body } => {
                assert!(data.starts_with(body), "not what has arrived: {}", say());
                assert!(allowed(path, outcome, calm), "{}", say());
            }
            Outcome::Broken { body, error } => {
                assert!(!whole, "the response was whole: {}", say());
                assert_eq!(data, body, "bytes are missing: {}", say());
                assert!(!error.is_retryable(), "{}", say());
            }
            Outcome::Failed { error, late } => {
                let replied = half.is_some_and(|half| half.replied);
                assert!(!replied, "the response has begun: {}", say());
                let refused = half.and_then(|half| half.reset);
                let refused = refused == Some(ResetStatus::REFUSED_STREAM);
                if refused || *late {
                    assert!(error.is_retryable(), "{error:?}: {}", say());
                }
                if error.is_retryable() {
                    let served = run.log.of(path).len();
                    assert_eq!(served, 0, "it was processed: {}", say());
                }
            }
        }
        if let Some(error) = outcome.error() {
            sensible(error, cut, run);
        }
    }
    if matches!(run.client, Some(Ok(()))) {
        ended_well(report);
    }
}

/// A connection that ended without an error, and be it that the server has taken leave for a fault that only it has
/// seen, has lost nothing.
fn ended_well(report: &Report) {
    for (path, outcome) in report {
        let lost = outcome.error().is_some_and(|error| !error.is_retryable());
        assert!(
            !lost,
            "the connection is fine, {path} not: {}",
            outcome.told()
        );
    }
}

fn server_saw_what_arrived(run: &Run) {
    let arrived = run.seen(&run.tap.arrived(UP));
    for path in PATHS {
        let uploads = run.log.of(path);
        assert!(
            uploads.len() <= 1,
            "{path} was served {} times",
            uploads.len()
        );
        let Some(upload) = uploads.first() else {
            continue;
        };
        let (_, half) = arrived
            .opened(":path", path)
            .expect("served without a SYN_STREAM");
        if let Upload::Whole(bytes) = upload {
            assert!(half.fin, "{path}: an upload without its end looks whole");
            assert_eq!(bytes, &half.data, "{path}");
        }
    }
    if matches!(run.server, Some(Ok(()))) {
        let written = run.seen(&run.tap.written(DOWN));
        for (id, half) in &arrived.streams {
            let answered = |half: &Half| half.fin || half.reset.is_some();
            let over = half.reset.is_some() || written.streams.get(id).is_some_and(answered);
            assert!(over, "the server's connection is fine, stream {id} not");
        }
    }
}

/// The error says that the connection is gone, or that the request was not processed.
fn sensible(error: &Error, cut: Cut, run: &Run) {
    if error.is_retryable() {
        return;
    }
    let gone = error.is_closed() || error.is_go_away();
    let fits = match cut {
        Cut::Closed | Cut::HalfClosed | Cut::Failed(_) => gone,
        Cut::Silent => error.timeout_kind() == Some(Timeout::KeepAlive),
        Cut::HalfSilent => gone || error.timeout_kind() == Some(Timeout::KeepAlive),
    };
    assert!(fits, "{error:?} for {cut:?}");
    assert!(!error.is_user() && !error.is_body() && !error.is_canceled());
    assert!(run.tap.is_cut(), "{error:?} without a cut");
}

fn bounded(run: &Run, cut: Cut) {
    let notice = match cut {
        Cut::Closed | Cut::HalfClosed | Cut::Failed(_) => Duration::ZERO,
        Cut::Silent | Cut::HalfSilent => INTERVAL + ANSWER,
    };
    // Where both directions matter, one side may only notice after the other has closed.
    let close = CLOSE * 2;
    assert!(run.asked <= notice + close, "requests took {:?}", run.asked);
    assert!(
        run.ended <= notice + close,
        "the close took {:?}",
        run.ended
    );
}
