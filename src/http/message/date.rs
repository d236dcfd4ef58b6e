use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::HeaderValue;
use httpdate::HttpDate;

/// The last second that `httpdate` can print, 9999-12-31T23:59:59Z; it panics past it.
const LAST_SECOND: u64 = 253_402_300_799;

/// A `date` header that is rendered at most once a second.
///
/// Owned by whoever uses it, so that there is neither a global nor a lock; the time is an argument.
#[derive(Clone, Debug)]
pub(crate) struct DateCache {
    second: u64,
    value: HeaderValue,
}

impl DateCache {
    /// A cache that holds the date of `now`.
    pub(crate) fn new(now: SystemTime) -> Self {
        let second = seconds(now);
        Self {
            second,
            value: render(second).unwrap_or_else(|| HeaderValue::from_static(EPOCH)),
        }
    }

    /// The date of `now`.
    pub(crate) fn get(&mut self, now: SystemTime) -> &HeaderValue {
        let second = seconds(now);
        // Not `>`: a clock that was set back is followed.
        if second != self.second {
            if let Some(value) = render(second) {
                self.value = value;
                self.second = second;
            }
        }
        &self.value
    }
}

const EPOCH: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

/// Seconds since 1970, held within what can be printed.
fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().min(LAST_SECOND))
}

fn render(second: u64) -> Option<HeaderValue> {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(second))?;
    HeaderValue::try_from(HttpDate::from(time).to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn renders_once_a_second() {
        let mut cache = DateCache::new(at(784_111_777_000));
        let first = cache.get(at(784_111_777_000)).clone();
        assert_eq!(first, "Sun, 06 Nov 1994 08:49:37 GMT");
        // Within the second the very same buffer is handed out.
        assert_eq!(
            cache.get(at(784_111_777_999)).as_bytes().as_ptr(),
            first.as_bytes().as_ptr()
        );
        assert_eq!(
            cache.get(at(784_111_778_000)),
            "Sun, 06 Nov 1994 08:49:38 GMT"
        );
        assert_eq!(
            cache.get(at(784_111_777_000)),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }

    #[test]
    fn clocks_outside_the_format_do_not_panic() {
        let before = UNIX_EPOCH - Duration::from_secs(5);
        let mut cache = DateCache::new(before);
        assert_eq!(cache.get(before), EPOCH);
        let far = UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 10);
        assert_eq!(cache.get(far), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
