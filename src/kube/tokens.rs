//! The tokens in the URLs of a container runtime.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::conn::{Clock, TokioClock};

/// Random bytes of a token: 144 bits, and whole groups of Base64.
const RANDOM: usize = 18;

/// The alphabet of Base64 that is safe in URLs (RFC 4648 section 5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// From how many entries on, those of tokens that were redeemed are looked for.
const TIDY: usize = 64;

/// What waits behind the URLs that a container runtime gives out: each is used once, and soon.
///
/// The runtime is asked over CRI to run a command, puts what it has to know into a [`Tokens`], and answers a URL such as
/// `http://127.0.0.1:PORT/exec/TOKEN`. Whoever calls that, by GET or POST, gets what was put in, and nobody else does: a token
/// is 144 random bits, [`redeem`](Self::redeem) takes it by `&mut self`, so that of two calls at once one comes too late.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use axum::{Router, extract::{Path, State}, http::StatusCode, routing::any};
/// use spdy::kube::Tokens;
///
/// /// What a runtime is asked for.
/// enum Call {
///     Exec(Vec<String>),
///     PortForward,
/// }
///
/// type Calls = Arc<Mutex<Tokens<Call>>>;
///
/// # fn ask(calls: &Calls) -> Result<String, Box<dyn std::error::Error>> {
/// // Answers the request over CRI; what is not there yet is told with ResourceExhausted.
/// let exec = Call::Exec(vec!["date".to_owned()]);
/// let token = calls.lock().map_err(|_| "poisoned")?.insert(exec)?;
/// let url = format!("http://127.0.0.1:10010/exec/{token}");
/// # Ok(url) }
///
/// async fn exec(State(calls): State<Calls>, Path(token): Path<String>) -> Result<String, StatusCode> {
///     // Unknown, used, expired, or for something else: all the same to a caller.
///     let call = calls.lock().ok().and_then(|mut calls| calls.redeem(&token));
///     let Some(Call::Exec(command)) = call else {
///         return Err(StatusCode::NOT_FOUND);
///     };
///     Ok(format!("upgrade, and run {command:?}"))
/// }
///
/// let calls = Calls::default();
/// let app: Router = Router::new().route("/exec/{token}", any(exec)).with_state(calls);
/// ```
pub struct Tokens<T> {
    lifetime: Duration,
    capacity: usize,
    clock: Arc<dyn Clock>,
    /// How long it takes to look a token up depends on the hash of all of it, with a key that is random for each map, and
    /// not on how much of it is right: no comparison in constant time is needed.
    values: HashMap<String, T>,
    /// The tokens with the ends of their lives, the oldest first; some are redeemed.
    order: VecDeque<(Option<Instant>, String)>,
}

impl<T> Tokens<T> {
    /// No tokens, with a lifetime of 60 s and a capacity of 1,000, as Kubernetes' own server has them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lifetime: Duration::from_secs(60),
            capacity: 1000,
            clock: Arc::new(TokioClock::new()),
            values: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// How long a token can be redeemed. Holds for those that are inserted from now on. Default: 60 s.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How many tokens may wait to be redeemed. Default: 1,000.
    #[must_use]
    pub fn capacity(mut self, tokens: usize) -> Self {
        self.capacity = tokens;
        self
    }

    /// Where the time comes from. Default: [`TokioClock`].
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps a value, and gives the token that it is redeemed by: 24 characters that need no escape in a URL.
    ///
    /// # Errors
    ///
    /// [`Full`] if too many wait, or the system has no random bytes; the value is dropped.
    pub fn insert(&mut self, value: T) -> Result<String, Full> {
        let now = self.clock.now();
        self.drop_expired(now);
        if self.values.len() >= self.capacity {
            let oldest = self.order.front().and_then(|(end, _)| *end);
            let wait = oldest.map(|end| end.saturating_duration_since(now));
            return Err(Full {
                retry_after: wait.unwrap_or(self.lifetime),
                cause: None,
            });
        }
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random).map_err(|error| Full {
            retry_after: self.lifetime,
            cause: Some(error),
        })?;
        let token = encode(random);
        // A lifetime beyond the end of time has none.
        let end = now.checked_add(self.lifetime);
        self.order.push_back((end, token.clone()));
        self.values.insert(token.clone(), value);
        self.tidy_order();
        Ok(token)
    }

    /// Takes the value of a token, once. `None`: it is unknown, was redeemed before, or has expired.
    pub fn redeem(&mut self, token: &str) -> Option<T> {
        self.drop_expired(self.clock.now());
        let value = self.values.remove(token);
        self.tidy_order();
        value
    }

    /// How many tokens wait to be redeemed. Those that have expired since the last call of another method are among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// At every call, and not by a task of its own: nothing is kept for longer than the next one, or beyond the capacity.
    fn drop_expired(&mut self, now: Instant) {
        while let Some((end, token)) = self.order.front() {
            let expired = end.is_some_and(|end| end <= now);
            if !expired && self.values.contains_key(token) {
                return;
            }
            self.values.remove(token);
            self.order.pop_front();
        }
    }

    /// What was redeemed behind the front goes before it is more than what waits.
    fn tidy_order(&mut self) {
        if self.order.len() > TIDY && self.order.len() > 2 * self.values.len() {
            let values = &self.values;
            self.order.retain(|(_, token)| values.contains_key(token));
        }
    }
}

impl<T> Default for Tokens<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the tokens, which are secrets.
impl<T> fmt::Debug for Tokens<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("lifetime", &self.lifetime)
            .field("capacity", &self.capacity)
            .field("len", &self.values.len())
            .finish_non_exhaustive()
    }
}

/// Why [`Tokens::insert`] gives no token now: as many wait to be redeemed as there may, or the system has no random bytes,
/// which is its [`source`](std::error::Error::source) then.
///
/// The caller is to be told to come again: with ResourceExhausted over CRI, with 429 Too Many Requests and Retry-After over
/// HTTP.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Full {
    retry_after: Duration,
    cause: Option<getrandom::Error>,
}

impl Full {
    /// How long it takes until the oldest token expires, if none is redeemed before. For Retry-After, round it up to
    /// seconds.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.retry_after
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.cause {
            None => "too many requests for streaming wait to be redeemed",
            Some(_) => "no token for streaming can be made: the system has no random bytes",
        };
        let part = u64::from(self.retry_after.subsec_nanos() > 0);
        let whole = self.retry_after.as_secs().saturating_add(part);
        write!(f, "{why}; try again in {whole} s")
    }
}

impl std::error::Error for Full {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let cause = self.cause.as_ref()?;
        Some(cause)
    }
}

fn encode(random: [u8; RANDOM]) -> String {
    let mut token = String::with_capacity(RANDOM / 3 * 4);
    for group in random.chunks_exact(3) {
        let bits = group
            .iter()
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            token.push(char::from(ALPHABET[bits >> shift & 63]));
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_all_of_its_random_bytes_in_the_base64_of_urls() {
        assert_eq!(encode([0; RANDOM]), "A".repeat(24));
        assert_eq!(encode([255; RANDOM]), "_".repeat(24));
        assert_eq!(encode(*b"Many hands make li"), "TWFueSBoYW5kcyBtYWtlIGxp");
        let tokens: std::collections::HashSet<_> = (0..RANDOM * 8)
            .map(|bit| {
                let mut random = [0; RANDOM];
                random[bit / 8] = 1 << (bit % 8);
                encode(random)
            })
            .collect();
        assert_eq!(tokens.len(), RANDOM * 8);
    }

    #[test]
    fn what_was_redeemed_does_not_pile_up_behind_one_that_waits() {
        let mut tokens = Tokens::new();
        let waits = tokens.insert(0).unwrap();
        for n in 1..10_000 {
            let token = tokens.insert(n).unwrap();
            assert_eq!(tokens.redeem(&token), Some(n));
            assert!(tokens.order.len() <= TIDY + 1, "{}", tokens.order.len());
        }
        assert_eq!(tokens.redeem(&waits), Some(0));
        assert_eq!(tokens.len(), 0);
    }

    #[test]
    fn a_system_without_random_bytes_is_said() {
        let full = Full {
            retry_after: Duration::from_secs(60),
            cause: Some(getrandom::Error::UNSUPPORTED),
        };
        assert!(full.to_string().contains("no random bytes"), "{full}");
        assert!(std::error::Error::source(&full).is_some());
    }
}
