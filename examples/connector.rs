//! Fetches a URL: over SPDY, or with `--fallback` over whatever the server speaks.
//!
//! `cargo run --features tls,auto --example connector -- [--fallback] [--ca FILE | --insecure] URL`

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::HttpConnector;
use spdy::client::{Connector, Fallback};
use spdy::tls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use spdy::tls::rustls::crypto::{CryptoProvider, ring};
use spdy::tls::rustls::pki_types::pem::PemObject;
use spdy::tls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use spdy::tls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};
use spdy::{Body, Protocol};
use tower::ServiceExt;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: connector [--fallback] [--ca FILE | --insecure] URL";

#[derive(Default)]
struct Args {
    fallback: bool,
    insecure: bool,
    ca: Option<String>,
    uri: Uri,
}

impl Args {
    fn parse() -> Result<Self, BoxError> {
        use lexopt::prelude::{Long, Value, ValueExt};
        let mut args = Self::default();
        let mut url = None;
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("fallback") => args.fallback = true,
                Long("insecure") => args.insecure = true,
                Long("ca") => args.ca = Some(parser.value()?.string()?),
                Value(value) if url.is_none() => url = Some(value.string()?),
                other => return Err(format!("{}; {USAGE}", other.unexpected()).into()),
            }
        }
        let url = url.ok_or(USAGE)?;
        args.uri = url
            .parse()
            .map_err(|error| format!("{url:?} is not a URL: {error}; {USAGE}"))?;
        if args.uri.scheme_str() == Some("https") && args.ca.is_none() && !args.insecure {
            return Err("https needs --ca FILE, PEM with the roots to trust, or --insecure".into());
        }
        Ok(args)
    }

    fn tls(&self) -> Result<ClientConfig, BoxError> {
        if self.insecure {
            let verifier = Arc::new(Anyone(ring::default_provider()));
            return Ok(ClientConfig::builder()
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth());
        }
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.ca {
            let unreadable = |error| format!("cannot read the roots in {file}: {error}");
            for root in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
                roots.add(root.map_err(unreadable)?)?;
            }
        }
        Ok(ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth())
    }
}

/// Accepts any certificate; that the server has its key is checked all the same.
#[derive(Debug)]
struct Anyone(CryptoProvider);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        spdy::tls::rustls::crypto::verify_tls12_signature(message, cert, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        spdy::tls::rustls::crypto::verify_tls13_signature(message, cert, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

async fn fetch(args: &Args) -> Result<(Protocol, Response<Body>), BoxError> {
    let mut http = HttpConnector::new();
    // TLS is the connector's, not HttpConnector's.
    http.enforce_http(false);
    http.set_nodelay(true);
    let connector = Connector::new(http).tls(args.tls()?);
    let request = Request::get(&args.uri).body(Body::empty())?;
    if args.fallback {
        let connector = connector.fallback(Fallback::http2());
        let mut sender = connector.oneshot(args.uri.clone()).await?;
        let response = sender.send_request(request).await?;
        return Ok((sender.protocol(), response));
    }
    let mut sender = connector.oneshot(args.uri.clone()).await?;
    Ok((Protocol::Spdy31, sender.send_request(request).await?))
}

async fn run() -> Result<(), BoxError> {
    let args = Args::parse()?;
    let (protocol, response) = fetch(&args).await?;
    eprintln!("{protocol} {}", response.status());
    let mut body = response.into_body();
    let mut out = std::io::stdout();
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            out.write_all(&bytes)?;
        }
    }
    out.flush()?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else {
        return ExitCode::SUCCESS;
    };
    // An error prints its own level only.
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    eprintln!("connector: {text}");
    ExitCode::FAILURE
}
