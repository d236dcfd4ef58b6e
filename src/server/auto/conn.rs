use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;
use tokio::sync::mpsc;

use super::detect::{self, Detect, Detected};
use super::http::HttpService;
use super::{Builder, ResponseBody, Rewind, ServiceFuture};
use crate::alpn::{NegotiatedAlpn, Protocol};
use crate::error::{Error, Initiator, Result, Timeout};
use crate::http::{Body, BoxError};
use crate::server::upgraded::UpgradedConnection;
use crate::server::{self, GracefulConnection, StreamTask};

pin_project! {
    /// The future of one server connection that speaks whichever protocol its client does.
    ///
    /// Resolves when the transport is closed, also after an Upgrade to SPDY: that is part of it, no task of its own.
    /// Dropping it ends everything that is under way.
    #[must_use = "nothing is served unless the connection is polled"]
    pub struct Connection<I, S, B, E>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body,
    {
        builder: Builder<E>,
        service: S,
        peer: Option<String>,
        // A shutdown has begun.
        draining: bool,
        // The protocol that goes on was not told of it.
        untold: bool,
        #[pin]
        state: State<I, S, B, E>,
    }
}

type Http1<I, S> = http1::UpgradeableConnection<Rewind<I>, HttpService<S>>;
type Http2<I, S, E> = http2::Connection<Rewind<I>, HttpService<S>, E>;

pin_project! {
    #[project = StateProjection]
    enum State<I, S, B, E>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body,
    {
        Detecting { detect: Detect<I> },
        Known { protocol: Detected, io: Option<I> },
        Misled { error: Option<Error> },
        Spdy { #[pin] connection: server::Connection<Rewind<I>, S, E> },
        Http1 { #[pin] connection: Http1<I, S>, upgrades: mpsc::Receiver<OnUpgrade>, misled: Option<Error> },
        Http2 { #[pin] connection: Http2<I, S, E> },
        Upgraded { #[pin] connection: UpgradedConnection<S, E> },
    }
}

impl<I, S, B, E> Connection<I, S, B, E>
where
    I: Read + Write + NegotiatedAlpn + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone,
    S::Future: 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Executor<StreamTask<S::Future, B>>
        + Http2ServerConnExec<ServiceFuture<S::Future, B>, ResponseBody<B>>
        + Clone,
{
    pub(super) fn new(builder: Builder<E>, io: I, service: S) -> Self {
        let state = match detect::by_alpn(&io) {
            Ok(Some(protocol @ (Detected::Spdy | Detected::Http1))) => State::Known {
                protocol,
                io: Some(io),
            },
            Ok(known) => {
                let http2 = known == Some(Detected::Http2);
                let clock = Arc::clone(&builder.spdy.clock);
                State::Detecting {
                    detect: Detect::new(io, http2, builder.detect_timeout, clock),
                }
            }
            Err(error) => State::Misled { error: Some(error) },
        };
        Self {
            builder,
            service,
            peer: None,
            draining: false,
            untold: false,
            state,
        }
    }

    /// Names the peer in the tracing span of a SPDY connection. To be called before the first poll.
    pub fn set_peer(&mut self, peer: impl fmt::Display) {
        self.peer = Some(peer.to_string());
    }

    /// What is spoken: `None` as long as that is not known, SPDY again behind an Upgrade.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        match &self.state {
            State::Spdy { .. } | State::Upgraded { .. } => Some(Protocol::Spdy31),
            State::Http1 { .. } => Some(Protocol::Http11),
            State::Http2 { .. } => Some(Protocol::Http2),
            State::Known { .. } | State::Detecting { .. } | State::Misled { .. } => None,
        }
    }

    /// Starts a graceful shutdown and returns at once; go on polling the connection.
    ///
    /// Over SPDY and HTTP/2 the client is told with GOAWAY, and requests under way, as well as those that it had sent
    /// before it knew, are served to the end. HTTP/1.1 ends with the request under way. A connection whose protocol is
    /// not known yet has a second to tell, because a request may be on its way.
    ///
    /// hyper waits without end for an HTTP/2 client that does not answer the PING behind its GOAWAY. A deadline bounds
    /// that, as [`GracefulShutdown::shutdown_within`](crate::server::GracefulShutdown::shutdown_within) has one, or
    /// the keep-alive of [`Builder::http2`].
    pub fn graceful_shutdown(self: Pin<&mut Self>) {
        let this = self.project();
        *this.draining = true;
        this.state.graceful_shutdown();
    }

    /// Goes on in this protocol.
    fn begin(
        builder: &Builder<E>,
        service: &S,
        peer: Option<&str>,
        protocol: Detected,
        io: Rewind<I>,
    ) -> State<I, S, B, E> {
        let http = |upgrades| HttpService::new(service.clone(), upgrades);
        tracing::debug!(peer, ?protocol, "protocol of a connection");
        match protocol {
            Detected::Spdy => {
                let connection = builder.spdy.serve_connection(io, service.clone());
                if let Some(peer) = peer {
                    connection.set_peer(peer);
                }
                State::Spdy { connection }
            }
            Detected::Http1 | Detected::Other => {
                // hyper answers 400 to whatever is no HTTP: a TLS client takes that for the plain text it is.
                let misled = (protocol == Detected::Other).then(|| detect::other(io.start()));
                let (sender, upgrades) = mpsc::channel(1);
                let service = http(builder.upgrade.then_some(sender));
                let connection = builder.http1.serve_connection(io, service);
                State::Http1 {
                    connection: connection.with_upgrades(),
                    upgrades,
                    misled,
                }
            }
            Detected::Http2 => State::Http2 {
                connection: builder.http2.serve_connection(io, http(None)),
            },
        }
    }

    /// Drives the protocol, and goes over to the next one.
    fn poll_protocol(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut this = self.project();
        loop {
            let begin = |protocol, io| {
                let peer = this.peer.as_deref();
                Self::begin(this.builder, this.service, peer, protocol, io)
            };
            let next = match this.state.as_mut().project() {
                StateProjection::Misled { error } => {
                    return Poll::Ready(error.take().map_or(Ok(()), Err));
                }
                StateProjection::Detecting { detect } => match ready!(detect.poll(cx))? {
                    Some((protocol, io)) => begin(protocol, io),
                    None => return Poll::Ready(Ok(())),
                },
                StateProjection::Known { protocol, io } => match io.take() {
                    Some(io) => begin(*protocol, Rewind::new(Bytes::new(), io)),
                    None => return Poll::Ready(Ok(())),
                },
                StateProjection::Spdy { connection } => return connection.poll(cx),
                StateProjection::Upgraded { connection } => return connection.poll(cx),
                StateProjection::Http2 { connection } => {
                    let ended = ready!(connection.poll(cx));
                    return Poll::Ready(ended.map_err(|error| failed("serving HTTP/2", error)));
                }
                StateProjection::Http1 {
                    connection,
                    upgrades,
                    misled,
                } => {
                    let ended = ready!(connection.poll(cx));
                    if let Some(misled) = misled.take() {
                        return Poll::Ready(Err(misled));
                    }
                    ended.map_err(|error| failed("serving HTTP/1.1", error))?;
                    let Ok(upgrade) = upgrades.try_recv() else {
                        return Poll::Ready(Ok(()));
                    };
                    let spdy = &this.builder.spdy;
                    let service = this.service.clone();
                    let connection = spdy.serve_upgrade(upgrade, service, this.peer.take());
                    State::Upgraded { connection }
                }
            };
            this.state.set(next);
            *this.untold = *this.draining;
        }
    }
}

impl<I, S, B, E> State<I, S, B, E>
where
    I: Read + Write + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone,
    S::Future: 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Http2ServerConnExec<ServiceFuture<S::Future, B>, ResponseBody<B>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        match self.project() {
            StateProjection::Detecting { detect } => detect.drain(),
            StateProjection::Spdy { connection } => connection.graceful_shutdown(),
            StateProjection::Http1 { connection, .. } => connection.graceful_shutdown(),
            StateProjection::Http2 { connection } => connection.graceful_shutdown(),
            StateProjection::Upgraded { connection } => connection.graceful_shutdown(),
            // Told when the protocol has begun.
            StateProjection::Known { .. } | StateProjection::Misled { .. } => {}
        }
    }
}

impl<I, S, B, E> Future for Connection<I, S, B, E>
where
    I: Read + Write + NegotiatedAlpn + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone,
    S::Future: 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Executor<StreamTask<S::Future, B>>
        + Http2ServerConnExec<ServiceFuture<S::Future, B>, ResponseBody<B>>
        + Clone,
{
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let ended = self.as_mut().poll_protocol(cx);
            let this = self.as_mut().project();
            if ended.is_ready() || !std::mem::take(this.untold) {
                return ended;
            }
            // Not before it has seen what was read already: hyper closes an HTTP/1.1 connection that has read nothing.
            this.state.graceful_shutdown();
        }
    }
}

/// hyper's error, by the kinds that ours have.
fn failed(doing: &'static str, error: hyper::Error) -> Error {
    if error.is_timeout() {
        // An idle connection ends so, and one whose client never finishes a head.
        return Error::timeout(Timeout::RequestHead);
    }
    if error.is_incomplete_message() {
        return Error::closed(
            Initiator::Remote,
            "the client left in the middle of a message",
        );
    }
    Error::http(doing, error)
}

impl<I, S, B, E> GracefulConnection for Connection<I, S, B, E>
where
    I: Read + Write + NegotiatedAlpn + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone,
    S::Future: 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Executor<StreamTask<S::Future, B>>
        + Http2ServerConnExec<ServiceFuture<S::Future, B>, ResponseBody<B>>
        + Clone,
{
    type Error = Error;

    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

impl<I, S, B, E> fmt::Debug for Connection<I, S, B, E>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("draining", &self.draining)
            .finish_non_exhaustive()
    }
}
