//! What is known of the machine and of this thread.

/// The CPU time that this thread has used, in ns. Up to date when the thread was off the CPU a moment ago: the
/// kernel brings the number up to date at every switch and tick.
pub(crate) fn thread_cpu() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

pub(crate) fn has_cpu_times() -> bool {
    thread_cpu().is_some()
}

/// The model of the CPU, and how many there are.
pub(crate) fn cpu() -> (String, usize) {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split(':').nth(1))
        .map_or("unknown", str::trim);
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    (model.to_owned(), count)
}
