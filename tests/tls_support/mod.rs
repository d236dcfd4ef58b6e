//! What the TLS tests share: an authority made on the spot, configurations, an app, clients, and the log as text.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use spdy::client::Connector;
use spdy::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spdy::tls::rustls::server::WebPkiClientVerifier;
use spdy::tls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use spdy::tls::{ClientTls, TlsListener};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) type Sent = Full<Bytes>;

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// How a certificate is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    Expired,
    NotYet,
    Name,
}

impl Authority {
    /// One of its own name: of two with the same name a client would say that the signature is wrong.
    pub(crate) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {}", MADE.fetch_add(1, Ordering::Relaxed));
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for this machine.
    pub(crate) fn issue(&self, wrong: Wrong) -> Identity {
        let names = match wrong {
            Wrong::Name => vec!["other.test".to_owned()],
            _ => ["localhost", "127.0.0.1", "::1"]
                .map(str::to_owned)
                .to_vec(),
        };
        let mut params = CertificateParams::new(names).unwrap();
        match wrong {
            Wrong::Expired => params.not_after = date_time_ymd(2001, 1, 1),
            Wrong::NotYet => params.not_before = date_time_ymd(3001, 1, 1),
            _ => {}
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }

    /// The certificate of the authority itself, as text.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this machine and its key, as text.
    pub(crate) fn issue_pem(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned)).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A server of this authority that offers these protocols.
    pub(crate) fn server_with(&self, wrong: Wrong, alpn: &[&[u8]]) -> ServerConfig {
        let Identity { certificate, key } = self.issue(wrong);
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// A server of this authority that leaves ALPN to the listener.
    pub(crate) fn server(&self) -> ServerConfig {
        self.server_with(Wrong::Nothing, &[])
    }

    /// A server of this authority that wants a certificate of its clients.
    pub(crate) fn server_for_certificates(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let verifier = WebPkiClientVerifier::builder(Arc::new(self.roots()))
            .build()
            .unwrap();
        ServerConfig::builder_with_protocol_versions(versions)
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&self.server().cert_resolver))
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// A client that trusts this authority and offers these protocols.
    pub(crate) fn client_with(&self, alpn: &[&[u8]]) -> ClientConfig {
        let mut config = ClientConfig::builder()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// A client that trusts this authority and leaves ALPN to the connector.
    pub(crate) fn client(&self) -> ClientConfig {
        self.client_with(&[])
    }

    /// A connector that trusts this authority.
    pub(crate) fn connector(&self) -> Connector<HttpConnector, Sent, ClientTls> {
        Connector::new(dialler()).tls(self.client())
    }
}

/// TCP for `https`, too.
pub(crate) fn dialler() -> HttpConnector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http
}

pub(crate) async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "over TLS" }))
        .route("/echo", post(|body: Bytes| async { body }))
}

/// `app` behind TLS, until the task is aborted.
pub(crate) async fn serve(config: ServerConfig) -> (SocketAddr, JoinHandle<spdy::Result<()>>) {
    let (listener, address) = bind().await;
    let serving = spdy::serve(TlsListener::new(listener, config), app());
    (address, tokio::spawn(serving.into_future()))
}

pub(crate) fn https(address: SocketAddr) -> Uri {
    format!("https://{address}/").parse().unwrap()
}

pub(crate) fn request(uri: impl ToString) -> Request<Sent> {
    Request::get(uri.to_string()).body(Sent::default()).unwrap()
}

pub(crate) async fn text(response: Response<spdy::Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// All levels of an error.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

/// The log of this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins to record, until the guard is dropped.
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines so far with `word`.
    pub(crate) fn lines_with(&self, word: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains(word));
        lines.map(str::to_owned).collect()
    }

    /// Waits for a line with all of `words`.
    pub(crate) async fn line_with(&self, words: &[&str]) -> String {
        for _ in 0..10_000 {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let line = text
                .lines()
                .find(|line| words.iter().all(|word| line.contains(word)));
            if let Some(line) = line {
                return line.to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        panic!("no line with {words:?} in\n{text}");
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
