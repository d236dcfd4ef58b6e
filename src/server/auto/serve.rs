use http::{Request, Response};
use hyper::rt::Executor;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper_util::rt::TokioIo;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::{Builder, Connection, ResponseBody, ServiceFuture};
use crate::alpn::{self, NegotiatedAlpn};
use crate::http::{Body, BoxError};
use crate::server::{self, MakeConnection, Serve, StreamTask};
use crate::session::Config;

/// What a tower service answers with, as hyper sees it.
type AppFuture<S> = TowerToHyperServiceFuture<S, Request<Body>>;

impl<E, I, S, B> MakeConnection<I, S> for Builder<E>
where
    E: Executor<StreamTask<AppFuture<S>, B>>
        + Http2ServerConnExec<ServiceFuture<AppFuture<S>, B>, ResponseBody<B>>
        + Clone
        + Send
        + 'static,
    I: AsyncRead + AsyncWrite + NegotiatedAlpn + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Connection = Connection<TokioIo<I>, TowerToHyperService<S>, B, E>;

    fn alpn(&self) -> &[&[u8]] {
        &[alpn::SPDY_31, alpn::H2, alpn::HTTP_11]
    }

    fn connection(&self, io: I, service: S, peer: Option<&str>) -> Self::Connection {
        let service = TowerToHyperService::new(service);
        let mut connection = self.serve_connection(TokioIo::new(io), service);
        if let Some(peer) = peer {
            connection.set_peer(peer);
        }
        connection
    }
}

impl<L, M, E: Clone> Serve<L, M, server::Builder<E>> {
    /// Serves HTTP/1.1, with its Upgrade to SPDY, and HTTP/2 as well, on the same port: see [`auto`](super). For more
    /// options give a [`Builder`] to [`builder`](Self::builder).
    pub fn auto(self) -> Serve<L, M, Builder<E>> {
        self.map_builder(Builder::from)
    }
}

impl<L, M, E> Serve<L, M, Builder<E>> {
    /// The options of every SPDY connection. Default: [`Config::server`].
    pub fn config(self, config: Config) -> Self {
        self.map_builder(|mut builder| {
            builder.spdy().config(config);
            builder
        })
    }
}
