//! Which streams belong together.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::{PORT, REQUEST_ID, STREAM_TYPE};
use crate::frame::StreamId;
use crate::headers::HeaderBlock;
use crate::stream::{SendStream, Stream};

/// How long a number may be that a client gives to a pair.
const MAX_REQUEST_ID: usize = 64;

/// From how many entries on the pairs that have ended are looked for.
const PRUNE: usize = 64;

/// What makes two streams a pair.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RequestId {
    /// What the client has given.
    Given(Box<str>),
    /// The id of the error stream, for clients from before there were numbers.
    Stream(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Data,
}

/// What the headers of a stream say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) port: u16,
    pub(super) request: RequestId,
}

impl Head {
    /// Reads the headers of the stream `id`; an error says what is wrong with them.
    pub(super) fn read(id: StreamId, headers: &HeaderBlock) -> Result<Self, &'static str> {
        let kind = match headers.get(STREAM_TYPE) {
            Some(b"error") => Kind::Error,
            Some(b"data") => Kind::Data,
            Some(_) => return Err("streamtype is neither error nor data"),
            None => return Err("no streamtype"),
        };
        let port = headers.get(PORT).ok_or("no port")?;
        let port = std::str::from_utf8(port).ok().and_then(|port| {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            port.parse().ok().filter(|port| digits && *port > 0)
        });
        let port = port.ok_or("port is no number from 1 to 65535")?;
        let request = match headers.get(REQUEST_ID) {
            Some(given) if !given.is_empty() => match std::str::from_utf8(given) {
                Ok(given) if given.len() <= MAX_REQUEST_ID => RequestId::Given(given.into()),
                _ => return Err("requestid is no short text"),
            },
            // The data stream is opened right behind its error stream.
            _ => RequestId::Stream(match kind {
                Kind::Error => id.get(),
                Kind::Data => id.get().saturating_sub(2),
            }),
        };
        Ok(Self {
            kind,
            port,
            request,
        })
    }
}

/// One stream of a pair.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) stream: Stream,
    pub(super) kind: Kind,
    pub(super) port: u16,
}

#[derive(Debug)]
struct Pending {
    half: Half,
    deadline: Option<Instant>,
}

/// What has become of a stream.
#[derive(Debug)]
pub(super) enum Added {
    /// It waits for the other one.
    Waiting,
    /// It was the second of the pair.
    Pair {
        error: Stream,
        data: Stream,
        port: u16,
    },
    /// There is such a stream already; here is its pair's error stream, if there is one, and the one too many.
    Duplicate(Half),
}

/// Streams that wait for the other one, and the pairs that are in use. Bounded by the streams of the session.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pending: HashMap<RequestId, Pending>,
    /// Those that wait, the oldest first; some may be paired by now.
    order: VecDeque<(Option<Instant>, RequestId)>,
    /// The error streams of the pairs in use.
    live: HashMap<RequestId, Weak<SendStream>>,
    prune_at: usize,
}

impl Pairs {
    pub(super) fn add(
        &mut self,
        request: RequestId,
        half: Half,
        deadline: Option<Instant>,
    ) -> Added {
        if self.live(&request).is_some() {
            return Added::Duplicate(half);
        }
        let Some(earlier) = self.pending.remove(&request) else {
            self.order.push_back((deadline, request.clone()));
            let pending = Pending { half, deadline };
            self.pending.insert(request, pending);
            self.tidy_order();
            return Added::Waiting;
        };
        if earlier.half.kind == half.kind {
            self.pending.insert(request, earlier);
            return Added::Duplicate(half);
        }
        let (error, data) = match half.kind {
            Kind::Error => (half, earlier.half),
            Kind::Data => (earlier.half, half),
        };
        Added::Pair {
            error: error.stream,
            // The port of the data stream counts, as for the kubelet.
            port: data.port,
            data: data.stream,
        }
    }

    /// A pair is in use as long as its error stream is held.
    pub(super) fn begin(&mut self, request: RequestId, error: &Arc<SendStream>) {
        if self.live.len() >= self.prune_at.max(PRUNE) {
            self.live.retain(|_, error| error.strong_count() > 0);
            self.prune_at = self.live.len().saturating_mul(2);
        }
        self.live.insert(request, Arc::downgrade(error));
    }

    /// The error stream of a pair in use.
    pub(super) fn live(&self, request: &RequestId) -> Option<Arc<SendStream>> {
        self.live.get(request)?.upgrade()
    }

    /// The error stream that waits for its data stream.
    pub(super) fn pending_error(&mut self, request: &RequestId) -> Option<&mut SendStream> {
        let half = &mut self.pending.get_mut(request)?.half;
        (half.kind == Kind::Error).then(|| half.stream.send_half())
    }

    /// When the oldest that waits has waited long enough.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        self.drop_stale();
        self.order.front()?.0
    }

    /// Takes one that has waited long enough.
    pub(super) fn expired(&mut self, now: Instant) -> Option<(RequestId, Half)> {
        self.drop_stale();
        let (deadline, _) = self.order.front()?;
        if deadline.is_none_or(|deadline| deadline > now) {
            return None;
        }
        let (_, request) = self.order.pop_front()?;
        let half = self.pending.remove(&request)?.half;
        Some((request, half))
    }

    fn drop_stale(&mut self) {
        while let Some((deadline, request)) = self.order.front() {
            if self.waits(*deadline, request) {
                return;
            }
            self.order.pop_front();
        }
    }

    fn waits(&self, deadline: Option<Instant>, request: &RequestId) -> bool {
        let pending = self.pending.get(request);
        pending.is_some_and(|pending| pending.deadline == deadline)
    }

    /// What is stale behind the front goes too, before it is more than what waits.
    fn tidy_order(&mut self) {
        if self.order.len() > PRUNE && self.order.len() > 2 * self.pending.len() {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|(deadline, request)| self.waits(*deadline, request));
            self.order = order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(id: u32, headers: &[(&str, &str)]) -> Result<Head, &'static str> {
        let mut block = HeaderBlock::builder();
        for (name, value) in headers {
            block.push(name, value.as_bytes()).unwrap();
        }
        Head::read(StreamId::new(id).unwrap(), &block.finish())
    }

    #[test]
    fn headers_say_what_a_stream_is() {
        let given = |kind, port, id: &str| {
            Ok(Head {
                kind,
                port,
                request: RequestId::Given(id.into()),
            })
        };
        let error = [("streamtype", "error"), ("port", "80"), ("requestid", "0")];
        assert_eq!(head(1, &error), given(Kind::Error, 80, "0"));
        let data = [
            ("requestid", "17"),
            ("port", "65535"),
            ("streamtype", "data"),
        ];
        assert_eq!(head(3, &data), given(Kind::Data, 65535, "17"));
        for (id, kind) in [(5, "error"), (7, "data")] {
            let head = head(id, &[("streamtype", kind), ("port", "1")]).unwrap();
            assert_eq!(head.request, RequestId::Stream(5), "{kind}");
        }
        // The first stream of all has none before it.
        assert!(head(1, &[("streamtype", "data"), ("port", "1")]).is_ok());
    }

    #[test]
    fn headers_that_make_no_sense_say_why() {
        for port in ["", "0", "65536", "-1", "+80", " 80", "http", "8\u{0661}"] {
            let headers = [("streamtype", "data"), ("port", port), ("requestid", "0")];
            assert_eq!(
                head(1, &headers),
                Err("port is no number from 1 to 65535"),
                "{port:?}"
            );
        }
        assert_eq!(head(1, &[("streamtype", "data")]), Err("no port"));
        assert_eq!(head(1, &[("port", "1")]), Err("no streamtype"));
        let other = [("streamtype", "stdin"), ("port", "1")];
        assert_eq!(head(1, &other), Err("streamtype is neither error nor data"));
        let long = "1".repeat(65);
        let long = [("streamtype", "data"), ("port", "1"), ("requestid", &long)];
        assert_eq!(head(1, &long), Err("requestid is no short text"));
    }
}
