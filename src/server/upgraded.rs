//! SPDY behind an HTTP Upgrade: from the promise of a transport to its connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use hyper::rt::Executor;
use hyper::service::Service;
use hyper::upgrade::{OnUpgrade, Upgraded};
use pin_project_lite::pin_project;

use super::{Builder, Connection, GracefulConnection, StreamTask};
use crate::error::{Error, Result};
use crate::http::{Body, BoxError};

impl<E> Builder<E> {
    /// The executor.
    pub(crate) fn exec(&self) -> &E {
        &self.exec
    }

    /// Serves a connection that an HTTP server has promised. Nothing is said before the client has spoken: one that reads
    /// the 101 through a buffer of its own loses what comes right behind it; Kubernetes' do. `peer` names the client in the
    /// span of the connection.
    pub(crate) fn serve_upgrade<S, B>(
        &self,
        upgrade: OnUpgrade,
        service: S,
        peer: Option<String>,
    ) -> UpgradedConnection<S, E>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body + 'static,
        B::Error: Into<BoxError>,
        E: Executor<StreamTask<S::Future, B>> + Clone,
    {
        let mut builder = self.clone();
        builder.hold_until_peer_speaks(true);
        UpgradedConnection {
            builder,
            service: Some(service),
            peer,
            draining: false,
            state: State::Waiting { upgrade },
        }
    }
}

pin_project! {
    /// The future of a connection behind an Upgrade, from the 101 on.
    pub(crate) struct UpgradedConnection<S, E> {
        builder: Builder<E>,
        service: Option<S>,
        peer: Option<String>,
        draining: bool,
        #[pin]
        state: State<S, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, E> {
        Waiting { #[pin] upgrade: OnUpgrade },
        Serving { #[pin] connection: Connection<Upgraded, S, E> },
        // The HTTP server gave no transport.
        Failed,
    }
}

impl<S, E> UpgradedConnection<S, E> {
    /// Starts a graceful shutdown; if the Upgrade is still to come, as soon as it has.
    pub(crate) fn graceful_shutdown(self: Pin<&mut Self>) {
        let this = self.project();
        *this.draining = true;
        this.state.graceful_shutdown();
    }
}

impl<S, E, B> Future for UpgradedConnection<S, E>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Executor<StreamTask<S::Future, B>> + Clone,
{
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut this = self.project();
        loop {
            let io = match this.state.as_mut().project() {
                StateProjection::Serving { connection } => return connection.poll(cx),
                StateProjection::Failed => return Poll::Ready(Ok(())),
                StateProjection::Waiting { upgrade } => ready!(upgrade.poll(cx)),
            };
            let (io, service) = match (io, this.service.take()) {
                (Ok(io), Some(service)) => (io, service),
                (Err(error), _) => {
                    this.state.set(State::Failed);
                    return Poll::Ready(Err(Error::http("the Upgrade to SPDY/3.1", error)));
                }
                (Ok(_), None) => return Poll::Ready(Ok(())),
            };
            let connection = this.builder.serve_connection(io, service);
            if let Some(peer) = this.peer.take() {
                connection.set_peer(peer);
            }
            this.state.set(State::Serving { connection });
            if *this.draining {
                this.state.as_mut().graceful_shutdown();
            }
        }
    }
}

impl<S, E> State<S, E> {
    fn graceful_shutdown(self: Pin<&mut Self>) {
        if let StateProjection::Serving { connection } = self.project() {
            connection.graceful_shutdown();
        }
    }
}

impl<S, E, B> GracefulConnection for UpgradedConnection<S, E>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Executor<StreamTask<S::Future, B>> + Clone,
{
    type Error = Error;

    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}
