use http::{Request, Response};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::{Builder, Connection, GracefulConnection, StreamTask};
use crate::alpn;
use crate::http::{Body, BoxError};

/// What [`serve`](crate::serve) makes connections with: one protocol, or several.
///
/// The [`Builder`] of this module is one, and so is the one of `auto`. Another crate may add its own.
pub trait MakeConnection<I, S>: Send + 'static {
    /// A connection that is being served.
    type Connection: GracefulConnection + Send + 'static;

    /// The ALPN names of what is spoken, the preferred one first.
    fn alpn(&self) -> &[&[u8]];

    /// Serves one transport. `peer` names the other end in logs.
    fn connection(&self, io: I, service: S, peer: Option<&str>) -> Self::Connection;
}

impl<E, I, S, B> MakeConnection<I, S> for Builder<E>
where
    E: Executor<StreamTask<TowerToHyperServiceFuture<S, Request<Body>>, B>>
        + Clone
        + Send
        + 'static,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Connection = Connection<TokioIo<I>, TowerToHyperService<S>, E>;

    fn alpn(&self) -> &[&[u8]] {
        &[alpn::SPDY_31]
    }

    fn connection(&self, io: I, service: S, peer: Option<&str>) -> Self::Connection {
        let connection = self.serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
        if let Some(peer) = peer {
            connection.set_peer(peer);
        }
        connection
    }
}
