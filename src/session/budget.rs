//! Decaying budgets against a peer that costs more work than it pays for (rapid resets, error floods, PING and SETTINGS
//! floods, empty DATA frames).
//!
//! Lifetime counters were rejected: they end honest connections that live long enough.

use std::time::Instant;

/// What an empty DATA frame costs.
const EMPTY_DATA_COST: u64 = 256;

/// How much overhead of empty DATA frames may be unread.
const DATA_OVERHEAD: u64 = 4 << 20;

/// How much of it is forgiven a second: 64 empty frames.
const FORGIVEN: u64 = 16 << 10;

/// A token bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    burst: u64,
    per_second: u64,
    left: u64,
    /// Up to when the refill has been counted.
    counted: Option<Instant>,
}

impl Bucket {
    pub(crate) const fn new(burst: u64, per_second: u64) -> Self {
        Self {
            burst,
            per_second,
            left: burst,
            counted: None,
        }
    }

    /// Takes one token; `false` when there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let since = *self.counted.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        let gained = u64::try_from(elapsed.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_mul(self.per_second)
            / 1000;
        // Below one token the time goes on counting.
        if gained > 0 {
            self.left = self.left.saturating_add(gained).min(self.burst);
            self.counted = Some(now);
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

/// All budgets of a session. A method that returns an error says that one is used up: the session ends.
#[derive(Debug)]
pub(crate) struct Budgets {
    cancelled: Bucket,
    errors: Bucket,
    control: Bucket,
    late: Bucket,
    overhead: u64,
    /// Up to when overhead was forgiven.
    forgiven: Option<Instant>,
}

impl Budgets {
    pub(crate) const fn new() -> Self {
        Self {
            cancelled: Bucket::new(1000, 100),
            errors: Bucket::new(100, 1),
            control: Bucket::new(100, 10),
            late: Bucket::new(100, 1),
            overhead: 0,
            forgiven: None,
        }
    }

    /// The peer has reset a stream of its own that was not replied to.
    pub(crate) fn early_reset(&mut self, now: Instant) -> Result<(), &'static str> {
        let why = "budget of streams reset by the peer before a reply is used up";
        self.cancelled.take(now).then_some(()).ok_or(why)
    }

    /// A protocol error of the peer made us reset a stream.
    pub(crate) fn forced_reset(&mut self, now: Instant) -> Result<(), &'static str> {
        let why = "budget of stream errors is used up";
        self.errors.take(now).then_some(()).ok_or(why)
    }

    /// A PING, a SETTINGS or an unknown frame.
    pub(crate) fn control_frame(&mut self, now: Instant) -> Result<(), &'static str> {
        let why = "budget of PING, SETTINGS and unknown frames is used up";
        self.control.take(now).then_some(()).ok_or(why)
    }

    /// A frame for a stream that was closed; whether it is worth an answer. It may be honest, and so ends nothing.
    pub(crate) fn late_frame(&mut self, now: Instant) -> bool {
        self.late.take(now)
    }

    /// A DATA frame without FIN. Gives its overhead, to be repaid when what it came with was consumed.
    ///
    /// Only an empty frame has any: the bytes of small ones are joined in one buffer, so that their number is bounded by
    /// the window, and a reader that pauses in a stream of single bytes must not end the session for all.
    pub(crate) fn data_frame(&mut self, len: u32, now: Instant) -> Result<u64, &'static str> {
        let since = *self.forgiven.get_or_insert(now);
        let seconds = now.saturating_duration_since(since).as_secs();
        if seconds > 0 {
            self.repay(seconds.saturating_mul(FORGIVEN));
            self.forgiven = Some(now);
        }
        if len > 0 {
            return Ok(0);
        }
        self.overhead += EMPTY_DATA_COST;
        if self.overhead > DATA_OVERHEAD {
            return Err("budget of empty DATA frames is used up");
        }
        Ok(EMPTY_DATA_COST)
    }

    pub(crate) fn repay(&mut self, overhead: u64) {
        self.overhead = self.overhead.saturating_sub(overhead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_allows_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, 10);
        let taken = |bucket: &mut Bucket, now| (0..1000).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(&mut bucket, start), 100);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(1)), 0);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(2)), 20);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(3600)), 100);
    }

    #[test]
    fn steps_shorter_than_a_token_add_up() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1, 1);
        assert!(bucket.take(start));
        let taken =
            (1..=100).filter(|step| bucket.take(start + Duration::from_millis(100) * *step));
        assert_eq!(taken.count(), 10);
    }

    #[test]
    fn consumption_repays_small_frames() {
        let now = Instant::now();
        let mut budgets = Budgets::new();
        for _ in 0..1_000_000 {
            let overhead = budgets.data_frame(0, now).unwrap();
            budgets.repay(overhead);
        }
        let unread = (0..1_000_000).take_while(|_| budgets.data_frame(0, now).is_ok());
        assert_eq!(unread.count(), (4 << 20) / 256);
        // A second forgives 64 of them.
        let later = now + Duration::from_secs(1);
        let unread = (0..1_000_000).take_while(|_| budgets.data_frame(0, later).is_ok());
        assert_eq!(unread.count(), 64 - 1);
        assert_eq!(Budgets::new().data_frame(1, now), Ok(0));
    }
}
