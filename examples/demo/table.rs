//! The report.

use crate::load::Report;

pub(crate) fn print(report: &Report) {
    println!();
    println!(
        "{:<24} {:>8} {:>12} {:>14}",
        "what", "requests", "body bytes", "slowest"
    );
    for row in &report.rows {
        let slowest = format!("{:.1} ms", row.slowest.as_secs_f64() * 1000.0);
        println!(
            "{:<24} {:>8} {:>12} {:>14}",
            row.kind, row.requests, row.bytes, slowest
        );
    }
    let requests: usize = report.rows.iter().map(|row| row.requests).sum();
    let bytes: u64 = report.rows.iter().map(|row| row.bytes).sum();
    println!();
    println!(
        "{requests} requests at once on one connection, {bytes} body bytes, all as expected, in {:.1} ms; round trip {:.0} us",
        report.elapsed.as_secs_f64() * 1000.0,
        report.round_trip.as_secs_f64() * 1_000_000.0,
    );
}
