//! SPDY over TLS, both ends in one process: an axum app behind a `TlsListener`, and a connector that asks it.
//!
//! `cargo run --features tls --example tls -- [CERTIFICATE.pem KEY.pem [NAME]]`
//!
//! Without files a certificate is made at start. With files, NAME is the name that it is for, by default `localhost`;
//! the client trusts what is in the file.

use std::future::IntoFuture;
use std::process::ExitCode;
use std::time::Duration;

use axum::{Router, routing::get};
use http::{Request, Uri};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use spdy::client::Connector;
use spdy::tls::TlsListener;
use spdy::tls::rustls::pki_types::pem::PemObject;
use spdy::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spdy::tls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: tls [CERTIFICATE.pem KEY.pem [NAME]]";

/// A certificate with what it was signed by, its key, and the name it is for.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    name: String,
}

impl Identity {
    fn made() -> Result<Self, BoxError> {
        let name = "localhost".to_owned();
        let made = rcgen::generate_simple_self_signed([name.clone()])?;
        Ok(Self {
            chain: vec![made.cert.der().clone()],
            key: PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
            name,
        })
    }

    fn read(certificate: &str, key: &str, name: String) -> Result<Self, BoxError> {
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| format!("cannot read the certificate {certificate}: {error}"))?;
        if chain.is_empty() {
            return Err(format!("no certificate in {certificate}; is it PEM?").into());
        }
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("cannot read the key {key}: {error}"))?;
        Ok(Self { chain, key, name })
    }
}

async fn run() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let identity = match &arguments[..] {
        [] => Identity::made()?,
        [certificate, key] => Identity::read(certificate, key, "localhost".to_owned())?,
        [certificate, key, name] => Identity::read(certificate, key, name.clone())?,
        _ => return Err(USAGE.into()),
    };
    let mut roots = RootCertStore::empty();
    for certificate in &identity.chain {
        roots.add(certificate.clone())?;
    }

    // The server: ALPN is the listener's to set.
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .map_err(|error| format!("the certificate and the key do not go together: {error}"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/", get(|| async { "hello over SPDY and TLS" }));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = spdy::serve(TlsListener::new(listener, config), app)
        .with_graceful_shutdown(async { drop(stopped.await) })
        .drain_timeout(Duration::from_secs(5));
    let server = tokio::spawn(server.into_future());

    // The client. It dials the loopback port whatever the name, which is checked against the certificate.
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let dial = tower::service_fn(move |_: Uri| async move {
        let io = TcpStream::connect(address).await?;
        io.set_nodelay(true)?;
        Ok::<_, std::io::Error>(TokioIo::new(io))
    });
    let connector = Connector::new(dial).tls(config);
    let uri = format!("https://{}:{}/", identity.name, address.port());
    let mut client = connector.oneshot(uri.parse()?).await?;
    let response = client
        .send_request(Request::get(&uri).body(spdy::Body::empty())?)
        .await?;
    println!("{uri}: {}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));

    drop(client);
    drop(stop);
    server.await??;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else {
        return ExitCode::SUCCESS;
    };
    eprintln!("tls: {error}");
    ExitCode::FAILURE
}
