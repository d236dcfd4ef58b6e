//! Which streams belong together.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::{PORT, REQUEST_ID, STREAM_TYPE};
use crate::frame::{ResetStatus, StreamId};
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
pub(super) enum Half {
    /// Without its reading direction: what a client says on it is discarded as it comes. A kilobyte that nobody reads
    /// would keep a read buffer of 64 KiB for as long as the other stream is waited for.
    Error(SendStream),
    /// With its port, which counts, as for the kubelet.
    Data(Stream, u16),
}

impl Half {
    pub(super) fn new(kind: Kind, port: u16, stream: Stream) -> Self {
        match kind {
            Kind::Error => Self::Error(stream.split().0),
            Kind::Data => Self::Data(stream, port),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Error(_) => Kind::Error,
            Self::Data(..) => Kind::Data,
        }
    }

    pub(super) fn reset(&self, status: ResetStatus) {
        match self {
            Self::Error(error) => error.reset(status),
            Self::Data(data, _) => data.reset(status),
        }
    }

    /// Whether the client has taken it back.
    fn is_lost(&self) -> bool {
        match self {
            Self::Error(error) => error.is_lost(),
            Self::Data(data, _) => data.is_lost(),
        }
    }
}

#[derive(Debug)]
struct Pending {
    half: Half,
    ticket: u64,
    deadline: Option<Instant>,
}

/// What has become of a stream.
#[derive(Debug)]
pub(super) enum Added {
    /// It waits for the other one.
    Waiting,
    /// It was the second of the pair.
    Pair {
        error: SendStream,
        data: Stream,
        port: u16,
    },
    /// There is such a stream already; here is the one too many.
    Duplicate(Half),
}

/// Streams that wait for the other one, and the pairs that are in use. The former are bounded by
/// [`is_full`](Self::is_full), the latter by the streams of the session.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pending: HashMap<RequestId, Pending>,
    /// Those that wait, the oldest first, by their tickets; some may be paired by now.
    order: VecDeque<(u64, RequestId)>,
    next_ticket: u64,
    /// The error streams of the pairs in use.
    live: HashMap<RequestId, Weak<SendStream>>,
    prune_at: usize,
}

impl Pairs {
    /// Whether a stream of this request would have to wait while `most` do already. One that makes a pair, or is one too
    /// many, does not wait.
    pub(super) fn is_full(&mut self, request: &RequestId, most: usize) -> bool {
        if self.pending.len() < most || self.is_pending(request) || self.live(request).is_some() {
            return false;
        }
        // Those that the client has taken back wait for nothing.
        self.pending.retain(|_, pending| !pending.half.is_lost());
        self.pending.len() >= most
    }

    /// Adds a stream. One that the client has taken back counts as none: whoever asks again with the same number, after a
    /// time-out of its own, is no second one.
    pub(super) fn add(
        &mut self,
        request: RequestId,
        half: Half,
        deadline: Option<Instant>,
    ) -> Added {
        if self.live(&request).is_some() {
            return Added::Duplicate(half);
        }
        let earlier = self.pending.remove(&request);
        let Some(earlier) = earlier.filter(|pending| !pending.half.is_lost()) else {
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            self.order.push_back((ticket, request.clone()));
            let pending = Pending {
                half,
                ticket,
                deadline,
            };
            self.pending.insert(request, pending);
            self.tidy_order();
            return Added::Waiting;
        };
        match (earlier.half, half) {
            (Half::Error(error), Half::Data(data, port))
            | (Half::Data(data, port), Half::Error(error)) => Added::Pair { error, data, port },
            (first, second) => {
                let pending = Pending {
                    half: first,
                    ..earlier
                };
                self.pending.insert(request, pending);
                Added::Duplicate(second)
            }
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

    /// The error stream of a pair in use, unless the client has given it up.
    pub(super) fn live(&self, request: &RequestId) -> Option<Arc<SendStream>> {
        let error = self.live.get(request)?.upgrade()?;
        (!error.is_lost()).then_some(error)
    }

    /// The error stream that waits for its data stream.
    pub(super) fn pending_error(&self, request: &RequestId) -> Option<&SendStream> {
        match &self.pending.get(request)?.half {
            Half::Error(error) => Some(error),
            Half::Data(..) => None,
        }
    }

    /// When the oldest that waits has waited long enough.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        self.drop_stale();
        let (_, request) = self.order.front()?;
        self.pending.get(request)?.deadline
    }

    /// Takes one that has waited long enough.
    pub(super) fn expired(&mut self, now: Instant) -> Option<(RequestId, Half)> {
        if self.deadline()? > now {
            return None;
        }
        let (_, request) = self.order.pop_front()?;
        let half = self.pending.remove(&request)?.half;
        Some((request, half))
    }

    fn is_pending(&self, request: &RequestId) -> bool {
        let pending = self.pending.get(request);
        pending.is_some_and(|pending| !pending.half.is_lost())
    }

    fn drop_stale(&mut self) {
        while let Some((ticket, request)) = self.order.front() {
            if self.waits(*ticket, request) {
                return;
            }
            self.order.pop_front();
        }
    }

    fn waits(&self, ticket: u64, request: &RequestId) -> bool {
        let pending = self.pending.get(request);
        pending.is_some_and(|pending| pending.ticket == ticket)
    }

    /// What is stale behind the front goes too, before it is more than what waits.
    fn tidy_order(&mut self) {
        if self.order.len() > PRUNE && self.order.len() > 2 * self.pending.len() {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|(ticket, request)| self.waits(*ticket, request));
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
