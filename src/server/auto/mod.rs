//! SPDY/3.1, HTTP/1.1 (with its Upgrade to SPDY) and HTTP/2 on one port, all served by the same service.
//!
//! Where there is TLS, ALPN tells the protocol; without it, or where the client has not used ALPN, the first bytes do:
//! `80 03` begins SPDY, `PRI ` HTTP/2, other text HTTP/1.1. HTTP is spoken by hyper, whose builders are within reach.
//!
//! [`Serve::auto`] is the short way:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let app = Router::new().route("/", get(|| async { "hello over anything" }));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:6121").await?;
//! spdy::serve(listener, app).auto().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Builder`] is the same with options, and for one connection:
//!
//! ```no_run
//! use std::time::Duration;
//! use hyper::{Request, Response, service::service_fn};
//! use hyper_util::rt::{TokioExecutor, TokioIo};
//! use spdy::server::auto;
//!
//! # async fn example(io: tokio::net::TcpStream) -> spdy::Result<()> {
//! let service = service_fn(|request: Request<spdy::Body>| async move {
//!     Ok::<_, std::convert::Infallible>(Response::new(request.into_body()))
//! });
//! let mut builder = auto::Builder::new(TokioExecutor::new());
//! builder.detect_timeout(Duration::from_secs(5));
//! builder.spdy().max_concurrent_streams(500);
//! builder.http1().keep_alive(true);
//! builder.http2().max_concurrent_streams(500);
//! builder.serve_connection(TokioIo::new(io), service).await
//! # }
//! ```

mod conn;
mod detect;
mod http;
mod rewind;
mod serve;
mod timer;

use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Executor, Read, Timer, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;

pub use self::conn::Connection;
pub use self::http::{ResponseBody, ServiceFuture};
pub use self::rewind::Rewind;
use self::timer::ClockTimer;
#[allow(unused_imports, reason = "for the documentation")]
use super::Serve;
use super::StreamTask;
use crate::alpn::NegotiatedAlpn;
use crate::http::{Body, BoxError};

/// How long the first bytes of a connection are waited for.
const DETECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Builds server connections that speak whichever protocol the client does.
#[derive(Clone, Debug)]
pub struct Builder<E> {
    spdy: super::Builder<E>,
    http1: http1::Builder,
    http2: http2::Builder<E>,
    detect_timeout: Option<Duration>,
    upgrade: bool,
}

impl<E: Clone> Builder<E> {
    /// The defaults of each protocol; requests run as tasks on `exec`, those of HTTP/1.1 on the connection's own.
    ///
    /// Time is tokio's, see [`timer`](Self::timer); a runtime without its time driver has no time-outs.
    pub fn new(exec: E) -> Self {
        super::Builder::new(exec).into()
    }
}

/// The options of SPDY and its source of time as they are, with the defaults for HTTP.
impl<E: Clone> From<super::Builder<E>> for Builder<E> {
    fn from(spdy: super::Builder<E>) -> Self {
        let http2 = http2::Builder::new(spdy.exec.clone());
        let mut this = Self {
            spdy,
            http1: http1::Builder::new(),
            http2,
            detect_timeout: Some(DETECT_TIMEOUT),
            upgrade: true,
        };
        this.share_clock();
        this
    }
}

impl<E> Builder<E> {
    /// The options of SPDY.
    pub fn spdy(&mut self) -> &mut super::Builder<E> {
        &mut self.spdy
    }

    /// hyper's options of HTTP/1.1.
    pub fn http1(&mut self) -> &mut http1::Builder {
        &mut self.http1
    }

    /// hyper's options of HTTP/2.
    pub fn http2(&mut self) -> &mut http2::Builder<E> {
        &mut self.http2
    }

    /// Where the time of all protocols comes from. Default: tokio's.
    pub fn timer<T>(&mut self, timer: T) -> &mut Self
    where
        T: Timer + Send + Sync + 'static,
    {
        self.spdy.timer(timer);
        self.share_clock();
        self
    }

    fn share_clock(&mut self) {
        let timer = ClockTimer(Arc::clone(&self.spdy.clock));
        // Without one, a head that never ends is waited for without end.
        self.http1.timer(timer.clone());
        self.http2.timer(timer);
    }

    /// How long the first bytes of a connection, which tell its protocol, are waited for; `None` waits for ever.
    /// Default: 10 s. Afterwards the time-outs of the protocol count: hyper gives an HTTP/1.1 head 30 s, for SPDY see
    /// [`idle_timeout`](crate::Config::idle_timeout).
    pub fn detect_timeout(&mut self, timeout: impl Into<Option<Duration>>) -> &mut Self {
        self.detect_timeout = timeout.into();
        self
    }

    /// Whether an HTTP/1.1 request with `Upgrade: SPDY/3.1` turns its connection into one of SPDY. If not, such
    /// requests reach the service, which may answer them with `upgrade::on`; those of Kubernetes' clients always do, which
    /// have `X-Stream-Protocol-Version`. Default: yes.
    pub fn upgrade(&mut self, enabled: bool) -> &mut Self {
        self.upgrade = enabled;
        self
    }

    /// Serves requests that arrive on a transport, in whichever protocol, until the peer leaves or
    /// [`graceful_shutdown`](Connection::graceful_shutdown).
    ///
    /// The service gets `Request<spdy::Body>` from every protocol. Requests over HTTP have the
    /// [`Protocol`](crate::Protocol) in their extensions; those over SPDY, whose `version()` is HTTP/1.1, do without, which
    /// saves two allocations each. After an Upgrade a clone of the service goes on serving.
    pub fn serve_connection<I, S, B>(&self, io: I, service: S) -> Connection<I, S, B, E>
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
        Connection::new(self.clone(), io, service)
    }
}
