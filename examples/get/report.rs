//! The table of `-n`.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use crate::repeat::{Sample, Tally};

/// The share of the samples that are not above the figure, in percent.
const PERCENTILES: [(&str, usize); 5] = [
    ("min", 0),
    ("p50", 50),
    ("p90", 90),
    ("p99", 99),
    ("max", 100),
];

pub(crate) fn table(tally: &Tally, parallel: usize, elapsed: Duration) -> String {
    let mut text = String::new();
    // A String takes everything.
    let _ = write_table(&mut text, tally, parallel, elapsed);
    text
}

fn write_table(
    out: &mut impl Write,
    tally: &Tally,
    parallel: usize,
    elapsed: Duration,
) -> fmt::Result {
    let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let done = tally.samples.len();
    let rate = f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / seconds;
    let bytes: u64 = tally.samples.iter().map(|sample| sample.bytes).sum();
    // For display: beyond 2^53 bytes it is rounded.
    #[allow(clippy::cast_precision_loss, reason = "for display")]
    let mib = bytes as f64 / f64::from(1 << 20);

    writeln!(
        out,
        "requests   {done} done, {} failed, {parallel} at a time, in {seconds:.3} s: {rate:.1} requests/s",
        tally.failed
    )?;
    writeln!(out, "bytes      {bytes} ({:.2} MiB/s)", mib / seconds)?;
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for sample in &tally.samples {
        *statuses.entry(sample.status).or_default() += 1;
    }
    for (status, count) in statuses {
        writeln!(out, "status     {status}: {count}")?;
    }
    if done == 0 {
        return Ok(());
    }
    writeln!(out)?;
    write!(out, "{:<12}", "ms")?;
    for (name, _) in PERCENTILES {
        write!(out, "{name:>10}")?;
    }
    writeln!(out)?;
    row(out, "first reply", tally, |sample| sample.first_reply)?;
    row(out, "whole", tally, |sample| sample.whole)
}

fn row(
    out: &mut impl Write,
    name: &str,
    tally: &Tally,
    time: impl Fn(&Sample) -> Duration,
) -> fmt::Result {
    let mut times: Vec<_> = tally.samples.iter().map(time).collect();
    times.sort_unstable();
    write!(out, "{name:<12}")?;
    for (_, percent) in PERCENTILES {
        // Nearest rank: a time that was measured, not one between two.
        let rank = (times.len() * percent).div_ceil(100).max(1) - 1;
        let time = times.get(rank).copied().unwrap_or_default();
        write!(out, "{:>10.3}", time.as_secs_f64() * 1000.0)?;
    }
    writeln!(out)
}
