//! Flow-control windows (SPDY/3.1 section 2.6.8).
//!
//! A window is signed: a lowered SETTINGS_INITIAL_WINDOW_SIZE makes the windows of open streams negative. Stream
//! and connection windows are different types, because mixing them up is how other stacks lost bytes.

use crate::frame::MAX_WINDOW;

/// The window would pass 2^31-1 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowOverflow;

macro_rules! window {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) struct $name(i64);

        impl $name {
            pub(crate) const fn new(size: u32) -> Self {
                Self(size as i64)
            }

            /// What is left, possibly negative.
            pub(crate) const fn left(self) -> i64 {
                self.0
            }

            /// What may be sent now: 0 when the window is negative.
            pub(crate) fn available(self) -> usize {
                usize::try_from(self.0.max(0)).unwrap_or(usize::MAX)
            }

            /// Takes `bytes` off; the result may be negative.
            pub(crate) fn debit(&mut self, bytes: u32) {
                self.0 -= i64::from(bytes);
                self.assert_invariants();
            }

            /// Adds `bytes`, unless the window would pass 2^31-1.
            pub(crate) fn credit(&mut self, bytes: u32) -> Result<(), WindowOverflow> {
                let sum = self.0 + i64::from(bytes);
                if sum > i64::from(MAX_WINDOW) {
                    return Err(WindowOverflow);
                }
                self.0 = sum;
                self.assert_invariants();
                Ok(())
            }

            /// A window is at most 2^31-1, and no sequence of frames takes it far below -2^31: a debit needs
            /// a positive window or is refused, and a SETTINGS shift moves it by less than 2^31.
            fn assert_invariants(self) {
                debug_assert!(self.0 <= i64::from(MAX_WINDOW), "window {} too large", self.0);
            }
        }
    };
}

window! {
    /// The window of one stream in one direction.
    StreamWindow
}

window! {
    /// The window of the connection in one direction.
    ConnectionWindow
}

impl StreamWindow {
    /// Shifts the window by new minus old SETTINGS_INITIAL_WINDOW_SIZE (section 2.6.8).
    pub(crate) fn shift(&mut self, delta: i64) -> Result<(), WindowOverflow> {
        let sum = self.0 + delta;
        if sum > i64::from(MAX_WINDOW) {
            return Err(WindowOverflow);
        }
        self.0 = sum;
        Ok(())
    }
}

/// Whether consumed bytes should be returned to the peer now: once they are at least what it has left.
///
/// With nothing stuck that is half of the window, so small reads do not cause a WINDOW_UPDATE each. A fixed
/// half-window rule was rejected: when a stuck stream holds more than half of the connection window, the rest
/// never adds up to half, and the connection deadlocks.
pub(crate) fn credit_is_due(pending: u64, left: i64) -> bool {
    pending > 0 && i64::try_from(pending).unwrap_or(i64::MAX) >= left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinks_below_zero_and_grows_back() {
        // The worked example of section 2.6.8: 60 KiB sent, then the initial window becomes 16 KiB.
        let mut window = StreamWindow::new(64 * 1024);
        window.debit(60 * 1024);
        window.shift(16 * 1024 - 64 * 1024).unwrap();
        assert_eq!(window.left(), -44 * 1024);
        assert_eq!(window.available(), 0);
        window.credit(45 * 1024).unwrap();
        assert_eq!(window.available(), 1024);
    }

    #[test]
    fn overflow_is_refused_and_changes_nothing() {
        let mut window = ConnectionWindow::new(MAX_WINDOW);
        assert_eq!(window.credit(1), Err(WindowOverflow));
        assert_eq!(window.left(), i64::from(MAX_WINDOW));
        let mut window = StreamWindow::new(MAX_WINDOW);
        assert_eq!(window.shift(1), Err(WindowOverflow));
        assert_eq!(window.left(), i64::from(MAX_WINDOW));
    }

    #[test]
    fn credit_is_due_at_half_and_never_waits_at_zero() {
        assert!(!credit_is_due(0, 0));
        assert!(!credit_is_due(32_767, 32_769));
        assert!(credit_is_due(32_768, 32_768));
        assert!(credit_is_due(1, 0));
        assert!(credit_is_due(1, -5));
    }
}
