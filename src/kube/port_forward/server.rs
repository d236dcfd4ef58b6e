use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::forward::Forward;
use super::pairs::{Added, Half, Head, Kind, Pairs, RequestId};
use crate::error::Result;
use crate::frame::ResetStatus;
use crate::headers::HeaderBlock;
use crate::kube::complaints::Complaints;
use crate::kube::printable;
use crate::kube::time::before;
use crate::stream::{Incoming, Session};

/// The server's side of `port-forward`: pairs the streams of a session and hands out connections to forward.
///
/// ```no_run
/// # async fn example(session: spdy::stream::Session) -> spdy::Result<()> {
/// let mut server = spdy::kube::port_forward::Server::new(session);
/// while let Some(forward) = server.accept().await? {
///     tokio::spawn(async move {
///         match tokio::net::TcpStream::connect(("127.0.0.1", forward.port())).await {
///             Ok(mut target) => {
///                 if forward.copy(&mut target).await.is_err() {
///                     // It was cut short; an end would say that the target has got all.
///                     target.set_zero_linger().ok();
///                 }
///             }
///             Err(error) => forward.fail(error).await,
///         }
///     });
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    session: Session,
    pair_timeout: Duration,
    max_pending: usize,
    pairs: Pairs,
    complaints: Complaints,
}

impl Server {
    /// Serves the streams of this session.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self {
            session,
            pair_timeout: Duration::from_secs(30),
            max_pending: 256,
            pairs: Pairs::default(),
            complaints: Complaints::default(),
        }
    }

    /// How long a stream waits for the other one of its pair. Default: 30 s.
    #[must_use]
    pub fn pair_timeout(mut self, timeout: Duration) -> Self {
        self.pair_timeout = timeout;
        self
    }

    /// How many streams may wait for the other one of their pair; at least 1. One that would have to wait beyond that is
    /// reset with REFUSED_STREAM. Clients open both streams of a connection back to back, so that the number that waits is
    /// the number of connections that begin within one round trip. Default: 256.
    ///
    /// It bounds what a client costs that opens streams and makes no pairs of them, to a fraction of what
    /// [`max_concurrent_streams`](crate::Config::max_concurrent_streams) allows.
    #[must_use]
    pub fn max_pending(mut self, streams: usize) -> Self {
        self.max_pending = streams.max(1);
        self
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Waits for the next pair, whichever of the two streams comes first. `None` means that no more will come: the session
    /// has ended, or is draining.
    ///
    /// Call it again and again: in here streams are replied to and time-outs expire. A stream with a port or a type that is
    /// none is reset with CANCEL. A second one of a pair is reset, too, and the pair's error stream says so; one that takes
    /// the place of a stream that the client has reset is none. A stream whose other one does not come in time is ended, with
    /// a text if it is the error stream; [`max_pending`](Self::max_pending) bounds how many wait.
    ///
    /// # Errors
    ///
    /// The error that ended the session.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn accept(&mut self) -> Result<Option<Forward>> {
        loop {
            while let Some((request, half)) = self.pairs.expired(self.session.shared().now()) {
                self.give_up(&request, half);
            }
            let deadline = self.pairs.deadline();
            let Some(next) = before(&self.session, deadline, self.session.accept()).await else {
                continue;
            };
            let Some(incoming) = next? else {
                self.pairs = Pairs::default();
                return Ok(None);
            };
            if let Some(forward) = self.take(incoming) {
                return Ok(Some(forward));
            }
        }
    }

    fn take(&mut self, incoming: Incoming) -> Option<Forward> {
        let id = incoming.id();
        let head = match Head::read(id, incoming.headers()) {
            Ok(head) => head,
            Err(why) => {
                self.complaints
                    .note(format_args!("stream {id} is rejected: {why}"));
                incoming.reject(ResetStatus::CANCEL);
                return None;
            }
        };
        if self.pairs.is_full(&head.request, self.max_pending) {
            self.complaints.note(format_args!(
                "stream {id} is refused: {} wait for the other one of their pair",
                self.max_pending
            ));
            incoming.reject(ResetStatus::REFUSED_STREAM);
            return None;
        }
        let stream = match incoming.reply(HeaderBlock::empty()) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%id, %error, "a stream is gone before its reply");
                return None;
            }
        };
        let Head {
            kind,
            port,
            request,
        } = head;
        let half = Half::new(kind, port, stream);
        let deadline = self.session.shared().now().checked_add(self.pair_timeout);
        match self.pairs.add(request.clone(), half, deadline) {
            Added::Waiting => None,
            Added::Pair { error, data, port } => {
                let error = Arc::new(error);
                self.pairs.begin(request, &error);
                let session = self.session.clone();
                let complaints = self.complaints.clone();
                Some(Forward::new(session, complaints, port, data, error))
            }
            Added::Duplicate(half) => {
                self.refuse_duplicate(&request, half);
                None
            }
        }
    }

    /// There are two streams of the same pair and type: the pair goes on.
    fn refuse_duplicate(&mut self, request: &RequestId, half: Half) {
        let kind = match half.kind() {
            Kind::Error => "error",
            Kind::Data => "data",
        };
        let why = format!(
            "error processing stream for request {}: {kind} stream already assigned",
            shown(request)
        );
        self.complaints.note(&why);
        let text = Bytes::from(why);
        // As much as the client takes: it may send any number of them.
        let told = if let Some(error) = self.pairs.live(request) {
            error.try_send(text)
        } else if let Some(error) = self.pairs.pending_error(request) {
            error.try_send(text)
        } else {
            Ok(false)
        };
        if let Err(error) = told {
            tracing::debug!(%error, "the error stream of a pair is gone");
        }
        half.reset(ResetStatus::CANCEL);
    }

    /// The other stream has not come.
    fn give_up(&self, request: &RequestId, half: Half) {
        let why = format!(
            "error: timed out after {:?} waiting for the other stream of request {}",
            self.pair_timeout,
            shown(request)
        );
        self.complaints.note(&why);
        if let Half::Error(error) = half {
            // One that is gone tells nothing.
            drop(error.send_last(why.into()));
        }
        // A data stream without one to tell on is reset by being dropped.
    }
}

fn shown(request: &RequestId) -> String {
    match request {
        RequestId::Given(given) => printable(given, given.len()),
        RequestId::Stream(id) => format!("of stream {id}"),
    }
}
