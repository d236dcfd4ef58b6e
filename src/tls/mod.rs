//! TLS with ALPN for both ends, by tokio-rustls.
//!
//! [`TlsListener`] goes between any [`Listener`](crate::server::Listener) and [`serve`](crate::serve);
//! [`Connector::tls`](crate::client::Connector::tls) makes the client connector do TLS. Both offer the protocols that
//! are spoken behind them, so that nobody has to spell an ALPN name.
//!
//! ```no_run
//! use spdy::tls::{TlsListener, rustls};
//!
//! # async fn example(
//! #     app: axum::Router, certificates: Vec<rustls::pki_types::CertificateDer<'static>>,
//! #     key: rustls::pki_types::PrivateKeyDer<'static>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let config = rustls::ServerConfig::builder()
//!     .with_no_client_auth()
//!     .with_single_cert(certificates, key)?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:6443").await?;
//! spdy::serve(TlsListener::new(listener, config), app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! No crypto provider is chosen here: that is a feature of your own `rustls` or `tokio-rustls` dependency (`ring`,
//! `aws-lc-rs`), or a `CryptoProvider` installed by hand. Without one rustls panics when a configuration is built.
//!
//! Errors say what was expected and what came: a certificate that is not accepted is
//! [`is_certificate`](crate::Error::is_certificate), a peer that shares no ALPN protocol
//! [`is_negotiation`](crate::Error::is_negotiation), all else, such as a peer that speaks plain text,
//! [`is_tls`](crate::Error::is_tls); rustls's error is the source.

mod client;
mod error;
mod listener;
mod stream;

use tokio_rustls::{TlsStream, client as tls_client, server as tls_server};

pub use tokio_rustls::rustls;

pub use self::client::ClientTls;
pub use self::listener::TlsListener;
pub use self::stream::ClientStream;
use crate::alpn::NegotiatedAlpn;

impl<T> NegotiatedAlpn for tls_server::TlsStream<T> {
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        self.get_ref().1.alpn_protocol()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<T> NegotiatedAlpn for tls_client::TlsStream<T> {
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        self.get_ref().1.alpn_protocol()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<T> NegotiatedAlpn for TlsStream<T> {
    fn negotiated_alpn(&self) -> Option<&[u8]> {
        self.get_ref().1.alpn_protocol()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
