use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::rt::{Executor, Read, Timer, Write};
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tracing::field::Empty;

use super::respond::{Responder, StreamTask};
use crate::conn::{Clock, Driver, Stats, TokioClock, handshake, own_span};
use crate::error::Result;
use crate::frame::{ResetStatus, Role};
use crate::http::body::{Body, Side, StreamBody, Verdict};
use crate::http::message::{BadRequest, request_from_block};
use crate::http::{BoxError, StripWarning};
use crate::session::{Accepted, Config};
use crate::stream::{RecvStream, SendStream, Session};

/// How many requests are taken from the session under one lock.
const ACCEPT_BATCH: usize = 64;

/// Builds server connections: all options, and the executor that runs the requests.
#[derive(Clone, Debug)]
pub struct Builder<E> {
    pub(super) exec: E,
    config: Config,
    pub(super) clock: Arc<dyn Clock>,
}

crate::rt::builder_setters!($ [impl<E> Builder<E>]);

impl<E> Builder<E> {
    /// The defaults of [`Config::server`]; each request runs as one task on `exec`.
    pub fn new(exec: E) -> Self {
        Self {
            exec,
            config: Config::server(),
            clock: Arc::new(TokioClock::new()),
        }
    }

    /// Replaces the executor.
    pub fn executor<E2>(self, exec: E2) -> Builder<E2> {
        Builder {
            exec,
            config: self.config,
            clock: self.clock,
        }
    }

    /// Replaces all options.
    pub fn config(&mut self, config: Config) -> &mut Self {
        self.config = config;
        self
    }

    /// Where time comes from. Default: tokio's; a runtime without its time driver has no time-outs.
    pub fn timer<T>(&mut self, timer: T) -> &mut Self
    where
        T: Timer + Send + Sync + 'static,
    {
        self.clock = crate::rt::clock(timer);
        self
    }

    /// Serves requests that arrive on a transport, until the peer leaves or
    /// [`graceful_shutdown`](Connection::graceful_shutdown).
    ///
    /// The service gets `Request<spdy::Body>`; a hyper `service_fn` typed to hyper's `Incoming` changes that one
    /// type. A service error, or a panic, resets its stream with INTERNAL_ERROR; a dropped service future, because
    /// the client has cancelled, is dropped where it stands.
    pub fn serve_connection<I, S, B>(&self, io: I, service: S) -> Connection<I, S, E>
    where
        I: Read + Write + Unpin,
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body + 'static,
        B::Error: Into<BoxError>,
        E: Executor<StreamTask<S::Future, B>> + Clone,
    {
        let (shared, driver) = handshake(
            TokioIo::new(io),
            Role::Server,
            self.config.clone(),
            Arc::clone(&self.clock),
            own_span(Role::Server),
        );
        Connection {
            driver,
            session: Session::from_shared(shared),
            service,
            exec: self.exec.clone(),
            warning: Arc::new(StripWarning::default()),
            accepted: Vec::new(),
        }
    }
}

/// The future of one server connection: drives the transport and starts a task for each request.
///
/// Resolves when the transport is closed: `Ok` if the session ended without an error. Dropping it fails every
/// stream at once, so that its tasks end too.
#[must_use = "nothing is served unless the connection is polled"]
pub struct Connection<I, S, E> {
    driver: Driver<TokioIo<I>>,
    session: Session,
    service: S,
    exec: E,
    warning: Arc<StripWarning>,
    /// Reused between batches.
    accepted: Vec<Accepted>,
}

// No field is pinned in place.
impl<I, S, E> Unpin for Connection<I, S, E> {}

impl<I, S, E> Connection<I, S, E> {
    /// Names the peer in the tracing span of the connection.
    pub fn set_peer(&self, peer: impl fmt::Display) {
        self.driver
            .span()
            .record("peer", tracing::field::display(peer));
    }

    /// What the connection has done so far, and where it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.session.stats()
    }

    /// Starts a graceful shutdown and returns at once; go on polling the connection.
    ///
    /// The peer is told with GOAWAY, requests under way, and those that it had sent before it knew, are served
    /// to the end; then the connection resolves. There is no deadline in here: drop the connection to enforce
    /// one.
    pub fn graceful_shutdown(mut self: Pin<&mut Self>) {
        self.driver.graceful_shutdown();
    }
}

impl<I, S, E, B> Connection<I, S, E>
where
    I: Read + Write + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Executor<StreamTask<S::Future, B>>,
{
    /// Starts a task for each request that has arrived; whether there was any.
    fn start_requests(&mut self) -> Result<bool> {
        let mut any = false;
        loop {
            let accepted = &mut self.accepted;
            // No waker is registered: streams arrive only while this task polls its driver.
            self.session.shared().with(|state| {
                while accepted.len() < ACCEPT_BATCH {
                    let Some(stream) = state.session.accept() else {
                        break;
                    };
                    accepted.push(stream);
                }
            })?;
            if self.accepted.is_empty() {
                return Ok(any);
            }
            any = true;
            let mut batch = std::mem::take(&mut self.accepted);
            for accepted in batch.drain(..) {
                self.start_request(accepted);
            }
            self.accepted = batch;
        }
    }

    fn start_request(&self, accepted: Accepted) {
        let shared = self.session.shared();
        let send = SendStream::new(Arc::clone(shared), accepted.key);
        let recv = RecvStream::new(Arc::clone(shared), accepted.key);
        if accepted.unidirectional || accepted.associated.is_some() {
            // U-31: no draft has clients push; nothing could be answered.
            send.reset(ResetStatus::PROTOCOL_ERROR);
            return;
        }
        let span = tracing::debug_span!(
            parent: self.driver.span(), "stream",
            id = accepted.id.get(), method = Empty, path = Empty, status = Empty,
        );
        let mut responder = Responder::new(send, Arc::clone(&self.warning), span.clone());
        let head = match &accepted.headers {
            Ok(block) => request_from_block(block),
            // U-24: a request whose headers pass the limit.
            Err(_) => Err(BadRequest::too_large()),
        };
        let head = match head {
            Ok(head) => head,
            Err(bad) => {
                // Section 3.2.1: a request that lacks what it needs is answered with 400.
                tracing::debug!(stream = %accepted.id, error = %bad, "bad request");
                return responder.refuse(bad.status);
            }
        };
        if head.stripped {
            tracing::debug!(stream = %accepted.id, "headers that concern one hop were left out of the request");
        }
        span.record("method", head.request.method().as_str());
        span.record("path", head.request.uri().path());
        responder.set_method(head.request.method());
        // FIN alone says little: DATA may have arrived in front of it, in the same batch.
        let body = if accepted.fin && recv.is_end() {
            if head.content_length.is_some_and(|length| length > 0) {
                // Section 3.2.1: the body is not as long as content-length says.
                tracing::debug!(stream = %accepted.id, "the request has a content-length and no body");
                return responder.refuse(http::StatusCode::BAD_REQUEST);
            }
            Body::empty()
        } else {
            let verdict = head.content_length.map(|_| Arc::new(Verdict::default()));
            responder.set_verdict(verdict.clone());
            Body::stream(StreamBody::new(
                recv,
                Side::Request(verdict),
                head.content_length,
            ))
        };
        let request = head.request.map(|()| body);
        // A panic in a service is the end of its stream, not of the connection. What it leaves behind in the service is
        // what a panic in one of its futures would leave.
        let call = AssertUnwindSafe(|| span.in_scope(|| self.service.call(request)));
        match std::panic::catch_unwind(call) {
            Ok(future) => self.exec.execute(StreamTask::new(future, responder, span)),
            Err(_) => responder.fail(&"it has panicked"),
        }
    }
}

impl<I, S, E, B> Future for Connection<I, S, E>
where
    I: Read + Write + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Executor<StreamTask<S::Future, B>>,
{
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.driver.poll(cx);
        self.start_requests()?;
        polled
    }
}

impl<I, S, E> fmt::Debug for Connection<I, S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}
