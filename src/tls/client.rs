use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{ClientStream, error};
use crate::client::{Connector, NoTls, Secure};
use crate::error::{Error, Result, Timeout};

/// TLS by rustls below a [`Connector`], for `https` URIs.
///
/// The host of the URI is the name that the certificate has to be for, and goes into SNI. The ALPN offer is the
/// connector's; `alpn_protocols` of the configuration are not looked at, because a protocol that is not spoken must not
/// be offered, and one that is spoken must not be forgotten.
///
/// ```no_run
/// use std::time::Duration;
/// use hyper_util::client::legacy::connect::HttpConnector;
/// use spdy::client::Connector;
/// use spdy::tls::{ClientTls, rustls::ClientConfig};
///
/// # fn example(http: HttpConnector, config: ClientConfig) {
/// let tls = ClientTls::new(config).handshake_timeout(Duration::from_secs(3));
/// let connector: Connector<_, spdy::Body, _> = Connector::new(http).secure(tls);
/// # }
/// ```
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    handshake_timeout: Duration,
}

impl ClientTls {
    /// TLS with this configuration: roots, client certificates, versions.
    pub fn new(config: impl Into<Arc<ClientConfig>>) -> Self {
        Self {
            config: config.into(),
            handshake_timeout: Duration::from_secs(10),
        }
    }

    /// How long a handshake may take; then it fails with a time-out error. Default: 10 s.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }
}

impl<C, B> Connector<C, B, NoTls> {
    /// Does TLS for `https` URIs, with 10 s for a handshake; [`secure`](Connector::secure) with a [`ClientTls`] takes
    /// another time-out.
    ///
    /// hyper-util's `HttpConnector` refuses `https` URIs until it is told that somebody else does the TLS:
    ///
    /// ```no_run
    /// use hyper_util::client::legacy::connect::HttpConnector;
    /// use spdy::client::Connector;
    ///
    /// # fn example(config: spdy::tls::rustls::ClientConfig) {
    /// let mut http = HttpConnector::new();
    /// http.enforce_http(false);
    /// http.set_nodelay(true);
    /// let connector: Connector<_, spdy::Body, _> = Connector::new(http).tls(config);
    /// # }
    /// ```
    pub fn tls(self, config: impl Into<Arc<ClientConfig>>) -> Connector<C, B, ClientTls> {
        self.secure(ClientTls::new(config))
    }
}

impl<Io> Secure<Io> for ClientTls
where
    Io: Read + Write + Unpin + Send + 'static,
{
    type Io = ClientStream<Io>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Io>> + Send>>;

    fn secure(&self, uri: &Uri, io: Io, offer: &'static [&'static [u8]]) -> Self::Future {
        let host = uri.host().unwrap_or_default();
        let name = match server_name(host) {
            Ok(name) => name,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let peer: Arc<str> = format!("{host}:{}", uri.port_u16().unwrap_or(443)).into();
        // Some counters and a list: small beside the handshake. What is behind them, such as the store for resumption,
        // stays shared.
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = offer.iter().map(|name| name.to_vec()).collect();
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, TokioIo::new(io));
        let limit = self.handshake_timeout;
        Box::pin(async move {
            match tokio::time::timeout(limit, handshake).await {
                Ok(Ok(io)) => Ok(ClientStream::new(io, peer)),
                Ok(Err(error)) => Err(error::of_client(&peer, offer, error)),
                Err(_) => Err(Error::timeout(Timeout::TlsHandshake)),
            }
        })
    }
}

/// The name to check the certificate against: a DNS name or an address, which a URI has in brackets if it is IPv6.
fn server_name(host: &str) -> Result<ServerName<'static>> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|error| {
        let text =
            format!("no certificate can be for {host:?}: a DNS name or an IP address is needed");
        Error::user_cause(text, error)
    })
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_name_is_a_dns_name_or_an_address() {
        let address = |host| matches!(server_name(host), Ok(ServerName::IpAddress(_)));
        assert!(address("[::1]") && address("127.0.0.1"));
        assert!(matches!(
            server_name("example.com"),
            Ok(ServerName::DnsName(_))
        ));
        for host in ["", "a b", "[::1"] {
            assert!(server_name(host).unwrap_err().is_user(), "{host}");
        }
    }
}
