//! The progress bar of `-o`.

use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on the standard error, or nothing.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Nothing is drawn unless the standard error is a terminal and nobody else writes to it.
    pub(crate) fn new(path: &Path, have: u64, total: Option<u64>, alone: bool) -> Self {
        if !alone || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = if total.is_some() {
            "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} eta {eta}"
        } else {
            "{msg} {spinner} {bytes} {bytes_per_sec}"
        };
        // The templates are constants; the default style would do as well.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        let name = path.file_name().unwrap_or(path.as_os_str());
        bar.set_message(name.to_string_lossy().into_owned());
        bar.set_position(have);
        // What was there before does not count for the speed.
        bar.reset_eta();
        Self(bar)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // It stays on the screen as it is: the line that may follow needs its own.
        self.0.abandon();
    }
}
