//! What a transport of hyper-rustls has negotiated.

use hyper_rustls::MaybeHttpsStream;

use crate::alpn::NegotiatedAlpn;

/// Makes hyper-rustls's `HttpsConnector` fit below [`client::Connector`](crate::client::Connector).
///
/// ALPN goes into its configuration, and the connector is made with `from`: the builder of hyper-rustls refuses a
/// configuration that has protocols already. A TLS handshake that fails there is a failed dial here:
/// [`is_connect`](crate::Error::is_connect), with hyper-rustls's error as the source.
///
/// ```no_run
/// use hyper_rustls::HttpsConnector;
/// use hyper_util::client::legacy::connect::HttpConnector;
/// use spdy::client::Connector;
///
/// # fn example(mut config: rustls::ClientConfig) {
/// config.alpn_protocols = vec![spdy::alpn::SPDY_31.to_vec()];
/// let mut http = HttpConnector::new();
/// http.enforce_http(false);
/// let connector: Connector<_> = Connector::new(HttpsConnector::from((http, config)));
/// # }
/// # use tokio_rustls::rustls;
/// ```
impl<T: NegotiatedAlpn> NegotiatedAlpn for MaybeHttpsStream<T> {
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Http(io) => io.negotiated_alpn(),
            Self::Https(io) => io.inner().get_ref().1.alpn_protocol(),
        }
    }

    fn is_tls(&self) -> bool {
        match self {
            Self::Http(io) => io.is_tls(),
            Self::Https(_) => true,
        }
    }
}
