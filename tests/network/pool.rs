//! A pool of one connection that dials again when the old one takes no more requests.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::alpn::WithAlpn;
use spdy::client::{Connector, SendRequest};
use spdy::{Body, Config, client};
use tokio::time::timeout;
use tower::{Service, ServiceExt};
use turmoil::net::TcpStream;

/// How soon a peer that is gone is noticed.
pub(crate) const INTERVAL: Duration = Duration::from_secs(2);
pub(crate) const ANSWER: Duration = Duration::from_secs(1);

/// How long dialling may take.
pub(crate) const DIAL: Duration = Duration::from_secs(1);

/// Notices a peer that is gone, also between requests.
pub(crate) fn watchful(config: Config) -> Config {
    config
        .keep_alive_interval(INTERVAL)
        .keep_alive_timeout(ANSWER)
        .keep_alive_while_idle(true)
        // Bodies are longer.
        .initial_stream_window_size(4000)
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Lost {
    /// It was certainly not processed.
    Unprocessed,
    /// It may have been.
    Unknown(String),
}

/// Sends requests to one host.
pub(crate) struct Pool {
    uri: Uri,
    current: RefCell<Option<SendRequest<Body>>>,
}

impl Pool {
    pub(crate) fn new(host: &str) -> Self {
        Self {
            uri: format!("http://{host}:80").parse().unwrap(),
            current: RefCell::default(),
        }
    }

    async fn connection(&self) -> Result<SendRequest<Body>, Lost> {
        let current = self.current.borrow().clone();
        if let Some(current) = current.filter(|current| !current.is_closed()) {
            return Ok(current);
        }
        let dial = tower::service_fn(|uri: Uri| async move {
            let stream = TcpStream::connect((uri.host().unwrap_or_default(), 80)).await?;
            Ok::<_, io::Error>(WithAlpn::new(TokioIo::new(stream), None::<&[u8]>))
        });
        let mut builder = client::Builder::new(TokioExecutor::new());
        builder.config(watchful(Config::client()));
        let connector = Connector::new(dial).builder(builder);
        let dialled = timeout(DIAL, connector.oneshot(self.uri.clone())).await;
        match dialled {
            Ok(Ok(send)) => {
                *self.current.borrow_mut() = Some(send.clone());
                Ok(send)
            }
            Ok(Err(error)) => {
                assert!(error.is_connect(), "{error:?}");
                Err(Lost::Unprocessed)
            }
            Err(_) => Err(Lost::Unprocessed),
        }
    }

    /// Sends a request, and sends it again on another connection if it comes back.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Lost> {
        let (mut head, body) = request.into_parts();
        head.uri = format!("{}{}", self.uri, head.uri.path().trim_start_matches('/'))
            .parse()
            .unwrap();
        let mut request = Request::from_parts(head, body);
        for _ in 0..3 {
            let mut send = self.connection().await?;
            if send.ready().await.is_err() {
                continue;
            }
            let mut failed = match send.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            match failed.take_request() {
                Some(back) => request = back,
                None if failed.error().is_retryable() => return Err(Lost::Unprocessed),
                None => return Err(Lost::Unknown(failed.error().to_string())),
            }
        }
        Err(Lost::Unprocessed)
    }
}

/// Sends on a connection that somebody else keeps up.
pub(crate) async fn send_on(
    mut send: SendRequest<Body>,
    request: Request<Body>,
) -> Result<Response<Body>, Lost> {
    match send.call(request).await {
        Ok(response) => Ok(response),
        Err(error) if error.is_retryable() => Err(Lost::Unprocessed),
        Err(error) => Err(Lost::Unknown(error.to_string())),
    }
}
