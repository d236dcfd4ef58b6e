//! What the clients of Kubernetes' API have in common, and what is not SPDY: where a server is, and what a pod's URL is.

#![allow(dead_code, reason = "each example uses its part")]

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::time::Duration;

use http::{HeaderValue, Uri};
use tokio::net::TcpStream;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// No server takes longer than this to be reached and to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// An API server, or whatever has its paths, without TLS.
pub(crate) struct Server {
    authority: String,
    address: String,
    token: Option<HeaderValue>,
}

impl Server {
    pub(crate) fn parse(url: &str, token: Option<String>) -> Result<Self, BoxError> {
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("SERVER {url:?} is no URL: {error}"))?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("SERVER has to be http://HOST:PORT, not {url:?}").into());
        };
        if uri.path().len() > 1 || uri.query().is_some() {
            return Err(format!("SERVER has no path: {url:?}").into());
        }
        let port = authority.port_u16().unwrap_or(80);
        let token = token.map(|token| HeaderValue::try_from(format!("Bearer {token}")));
        Ok(Self {
            authority: authority.to_string(),
            address: format!("{}:{port}", authority.host()),
            token: token
                .transpose()
                .map_err(|_| "--token is no header value")?,
        })
    }

    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let failed = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot connect to {}: {error}", self.address),
            )
        };
        let io = TcpStream::connect(&self.address).await.map_err(failed)?;
        io.set_nodelay(true)?;
        Ok(io)
    }

    /// The URL of a subresource of a pod.
    pub(crate) fn url(
        &self,
        scheme: &str,
        namespace: &str,
        pod: &str,
        subresource: &str,
    ) -> String {
        let (authority, namespace, pod) = (&self.authority, escaped(namespace), escaped(pod));
        format!("{scheme}://{authority}/api/v1/namespaces/{namespace}/pods/{pod}/{subresource}")
    }

    /// The value of the header `Authorization`.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.token.as_ref()
    }
}

/// For a path or a query.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Waits for the server's answer, but not for ever.
pub(crate) async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, BoxError> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.map_err(|_| format!("the server has not answered within {PATIENCE:?}").into())
}

/// An error with what is behind it: it prints its own level only.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some print their cause, too.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
