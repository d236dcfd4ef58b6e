//! The connector: from a URI to SPDY over plain text and TLS, the fallback to HTTP, and what every failure is called.

#![cfg(all(feature = "tls", feature = "auto", feature = "hyper-rustls"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod support;
mod tls_support;

use std::convert::Infallible;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use spdy::alpn::WithAlpn;
use spdy::client::{self, Connector, Fallback, Sender};
use spdy::tls::rustls::{ClientConfig, ServerConfig};
use spdy::{NegotiatedAlpn, Protocol};
use support::within;
use tls_support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufStream, BufWriter};
use tokio::net::TcpStream;
use tokio::spawn;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tower::Service;

/// What a server of hyper's has seen, with the body back.
async fn mirror(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let host = head.uri.authority().map_or_else(
        || {
            head.headers[http::header::HOST]
                .to_str()
                .unwrap()
                .to_owned()
        },
        ToString::to_string,
    );
    let seen = format!(
        "{:?} {} {} {host} {}",
        head.version,
        head.method,
        head.uri.path_and_query().unwrap(),
        String::from_utf8_lossy(&body),
    );
    Ok(Response::new(Full::from(seen)))
}

/// A server of hyper's for HTTP/1.1 and HTTP/2, behind TLS if there is a configuration.
async fn hyper_server(config: Option<ServerConfig>) -> (SocketAddr, JoinHandle<()>) {
    let (listener, address) = bind().await;
    let acceptor = config.map(|config| TlsAcceptor::from(Arc::new(config)));
    let serving = spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let service = service_fn(mirror);
                match acceptor {
                    Some(acceptor) => {
                        if let Ok(io) = acceptor.accept(io).await {
                            drop(builder.serve_connection(TokioIo::new(io), service).await);
                        }
                    }
                    None => drop(builder.serve_connection(TokioIo::new(io), service).await),
                }
            });
        }
    });
    (address, serving)
}

fn post(uri: &Uri, body: &str) -> Request<Sent> {
    let uri = format!("{}path?query", uri);
    let body = Full::from(body.to_owned());
    Request::post(uri).body(body).unwrap()
}

async fn ask(sender: &mut Sender<Sent>, uri: &Uri) -> String {
    within("readiness", sender.ready()).await.unwrap();
    let response = within("the response", sender.call(post(uri, "body")))
        .await
        .unwrap();
    text(response).await
}

fn http(address: SocketAddr) -> Uri {
    format!("http://{address}/").parse().unwrap()
}

/// The error of a connector, when it has none for readiness.
async fn error_of<S>(connector: &mut S, uri: impl ToString) -> spdy::Error
where
    S: Service<Uri, Error = spdy::Error>,
    S::Response: std::fmt::Debug,
{
    let uri = uri.to_string().parse().unwrap();
    within("the connection", connector.call(uri))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn plain_uris_are_spdy_by_prior_knowledge() {
    let (listener, address) = bind().await;
    let serving = spawn(spdy::serve(listener, app()).into_future());
    let connector = Connector::new(HttpConnector::new());
    let mut copy = connector.clone();
    let mut send = copy.call(http(address)).await.unwrap();
    let response = send.send_request(request(http(address))).await.unwrap();
    assert_eq!(text(response).await, "over TLS");
    // One that is to do TLS leaves these alone.
    let mut send = Authority::new()
        .connector()
        .call(http(address))
        .await
        .unwrap();
    let response = send.send_request(request(http(address))).await.unwrap();
    assert_eq!(text(response).await, "over TLS");
    serving.abort();
}

#[tokio::test]
async fn uris_that_lead_nowhere_are_user_errors() {
    let mut connector: Connector<_, Sent> = Connector::new(dialler());
    for (uri, said) in [
        ("ftp://localhost/", "scheme ftp"),
        ("/path", "without a scheme"),
        ("localhost:80", "without a scheme"),
    ] {
        let error = error_of(&mut connector, uri).await;
        assert!(
            error.is_user() && error.to_string().contains(said),
            "{error}"
        );
    }
    let mut fallback = connector.fallback(Fallback::http1());
    let error = error_of(&mut fallback, "ftp://localhost/").await;
    assert!(error.is_user());
}

#[tokio::test]
async fn a_failed_dial_says_where_to_and_why() {
    let (listener, address) = bind().await;
    drop(listener);
    let mut connector: Connector<_, Sent> = Connector::new(dialler());
    let error = error_of(&mut connector, http(address)).await;
    assert!(error.is_connect() && !error.is_retryable());
    let said = format!("no connection: cannot connect to {address}");
    assert_eq!(error.to_string(), said);
    assert!(whole(&error).contains("refused"), "{}", whole(&error));
    let mut fallback = connector.fallback(Fallback::http2());
    let error = error_of(&mut fallback, https(address)).await;
    assert_eq!(error.to_string(), said);
}

#[tokio::test]
async fn hyper_rustls_fits_below() {
    let authority = Authority::new();
    let (address, serving) = serve(authority.server()).await;
    let config = authority.client_with(&[b"spdy/3.1"]);
    let mut connector = Connector::new(HttpsConnector::from((dialler(), config)));
    let mut send = within("the connection", connector.call(https(address)))
        .await
        .unwrap();
    let response = send.send_request(request(https(address))).await.unwrap();
    assert_eq!(text(response).await, "over TLS");
    serving.abort();

    // It passes plain text through, and says that nothing was negotiated.
    let (listener, address) = bind().await;
    let serving = spawn(spdy::serve(listener, app()).into_future());
    let mut send = connector.call(http(address)).await.unwrap();
    let response = send.send_request(request(http(address))).await.unwrap();
    assert_eq!(text(response).await, "over TLS");
    serving.abort();
}

#[tokio::test]
async fn what_hyper_rustls_negotiated_is_checked() {
    let authority = Authority::new();
    let config = authority.server_with(Wrong::Nothing, &[b"h2"]);
    let (address, serving) = hyper_server(Some(config)).await;
    for (offer, chose) in [(&[&b"h2"[..]][..], "h2"), (&[], "none")] {
        let config = authority.client_with(offer);
        let mut connector: Connector<_, Sent> =
            Connector::new(HttpsConnector::from((dialler(), config)));
        let error = error_of(&mut connector, https(address)).await;
        assert!(error.is_negotiation(), "{error:?}");
        let said = format!("ALPN was to be one of [spdy/3.1], {address} chose {chose}");
        assert!(error.to_string().contains(&said), "{error}");
    }
    // TLS is the dialler's there, and so are its errors.
    let config = authority.client_with(&[b"spdy/3.1"]);
    let mut connector: Connector<_, Sent> =
        Connector::new(HttpsConnector::from((dialler(), config)));
    let error = error_of(&mut connector, https(address)).await;
    assert!(error.is_connect(), "{error:?}");
    assert!(whole(&error).contains("NoApplicationProtocol"));
    serving.abort();
}

#[tokio::test]
async fn without_tls_an_https_uri_is_not_spoken_to() {
    let (listener, address) = bind().await;
    let check = |error: spdy::Error| {
        assert!(error.is_user() && !error.is_retryable(), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("the connector was given none: `Connector::tls` takes")
                && text.contains(&address.to_string()),
            "{text}"
        );
    };
    let mut connector: Connector<_, Sent> = Connector::new(dialler());
    check(error_of(&mut connector, https(address)).await);
    for protocol in [Protocol::Http11, Protocol::Http2, Protocol::Spdy31] {
        let fallback = Fallback::http2().plain_http(protocol);
        let mut connector = connector.clone().fallback(fallback);
        check(error_of(&mut connector, https(address)).await);
    }
    for _ in 0..4 {
        let (mut io, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        within("the end", io.read_to_end(&mut seen)).await.unwrap();
        assert!(seen.is_empty(), "in clear text: {seen:?}");
    }
}

#[test]
fn what_is_tls_says_so_through_every_wrapper() {
    fn says(io: &impl NegotiatedAlpn) -> (bool, bool) {
        (io.is_tls(), io.negotiated_alpn().is_some())
    }
    /// TLS of another library, whose peer has not used ALPN.
    struct Tls;
    impl NegotiatedAlpn for Tls {
        fn is_tls(&self) -> bool {
            true
        }
    }
    assert_eq!(says(&TokioIo::new(Box::new(Tls))), (true, false));
    assert_eq!(says(&Box::pin(&mut Tls)), (true, false));
    let boxed: Box<dyn NegotiatedAlpn> = Box::new(Tls);
    assert_eq!(says(&boxed), (true, false));
    let nothing = tokio::io::empty();
    let buffered = BufReader::new(BufWriter::new(
        WithAlpn::new(nothing, None::<&str>).over_tls(),
    ));
    assert_eq!(says(&BufStream::new(buffered)), (true, false));
    let named = WithAlpn::new(tokio::io::empty(), Some("h2"));
    assert_eq!(named.negotiated_alpn(), Some(&b"h2"[..]));
    assert_eq!(says(&named), (true, true));
    let unnamed = WithAlpn::new(tokio::io::empty(), None::<&str>);
    assert_eq!(says(&unnamed), (false, false));
    let plain = tokio::io::duplex(1).0;
    assert_eq!(says(&TokioIo::new(Box::new(plain))), (false, false));
    let plain = TokioIo::new(tokio::io::duplex(1).0);
    assert_eq!(
        says(&hyper_rustls::MaybeHttpsStream::Http(plain)),
        (false, false)
    );
}

#[tokio::test]
async fn a_plain_transport_that_negotiated_something_is_believed() {
    let (address, serving) = hyper_server(None).await;
    let dial = tower::service_fn(move |_: Uri| async move {
        let io = TcpStream::connect(address).await?;
        Ok::<_, std::io::Error>(WithAlpn::new(TokioIo::new(io), Some("h2")))
    });
    let mut strict: Connector<_, Sent> = Connector::new(dial);
    let error = error_of(&mut strict, http(address)).await;
    assert!(error.is_negotiation());
    let said = format!("ALPN was to be one of [spdy/3.1], {address} chose h2");
    assert!(error.to_string().contains(&said), "{error}");
    let mut fallback = strict.fallback(Fallback::http2());
    let mut sender = fallback.call(http(address)).await.unwrap();
    assert_eq!(sender.protocol(), Protocol::Http2);
    assert!(
        ask(&mut sender, &http(address))
            .await
            .starts_with("HTTP/2.0 POST")
    );
    serving.abort();
}

/// TLS that no crate here knows: by hand, at both ends, in the types that a library would give.
#[tokio::test]
async fn tls_of_another_library_goes_into_with_alpn() {
    let authority = Authority::new();
    let both: &[&[u8]] = &[b"spdy/3.1", b"http/1.1"];
    for (alpn, protocol) in [(both, Protocol::Spdy31), (&[], Protocol::Http11)] {
        let config = authority.server_with(Wrong::Nothing, alpn);
        let (address, serving) = if alpn.is_empty() {
            hyper_server(Some(config)).await
        } else {
            let (address, serving) = serve(config).await;
            let serving = spawn(async move { drop(serving.await) });
            (address, serving)
        };
        let client = Arc::new(authority.client_with(alpn));
        let dial = tower::service_fn(move |_: Uri| {
            let client = tokio_rustls::TlsConnector::from(Arc::clone(&client));
            async move {
                let io = TcpStream::connect(address).await?;
                let io = client.connect(address.ip().into(), io).await?;
                let chosen = io.negotiated_alpn().map(<[u8]>::to_vec);
                let (read, write) = tokio::io::split(io);
                let foreign = tokio::io::join(read, write);
                let io = WithAlpn::new(foreign, chosen).over_tls();
                Ok::<_, std::io::Error>(TokioIo::new(io))
            }
        });
        let mut connector = Connector::<_, Sent>::new(dial).fallback(Fallback::http1());
        let mut sender = within("the connection", connector.call(https(address)))
            .await
            .unwrap();
        assert_eq!(sender.protocol(), protocol);
        sender.ready().await.unwrap();
        let response = within("the response", sender.send_request(request(https(address))))
            .await
            .unwrap();
        assert!(response.status().is_success());
        serving.abort();
    }
}

#[tokio::test]
async fn the_fallback_speaks_what_the_server_does() {
    let authority = Authority::new();
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    for (alpn, fallback, protocol, seen) in [
        (
            both,
            Fallback::http2(),
            Protocol::Http2,
            "HTTP/2.0 POST /path?query",
        ),
        (
            both,
            Fallback::http1(),
            Protocol::Http11,
            "HTTP/1.1 POST /path?query",
        ),
        (
            &both[1..],
            Fallback::http2(),
            Protocol::Http11,
            "HTTP/1.1 POST /path?query",
        ),
        // No ALPN at the server.
        (
            &[],
            Fallback::http2(),
            Protocol::Http11,
            "HTTP/1.1 POST /path?query",
        ),
    ] {
        let config = authority.server_with(Wrong::Nothing, alpn);
        let (address, serving) = hyper_server(Some(config)).await;
        let uri = https(address);
        let mut connector = authority.connector().fallback(fallback).clone();
        let mut sender = within("the connection", connector.call(uri.clone()))
            .await
            .unwrap();
        assert_eq!(sender.protocol(), protocol);
        assert!(sender.as_spdy().is_none() && !sender.is_closed());
        for _ in 0..3 {
            let said = ask(&mut sender, &uri).await;
            assert_eq!(said, format!("{seen} {address} body"));
        }

        // The strict one says what is wrong.
        let error = error_of(&mut authority.connector(), &uri).await;
        assert!(error.is_negotiation(), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("spdy/3.1") && text.contains(&address.to_string()),
            "{text}"
        );
        let said = if alpn.is_empty() {
            "chose none"
        } else {
            "speaks none of the protocols offered by ALPN"
        };
        assert!(text.contains(said), "{text}");
        serving.abort();
    }
}

#[tokio::test]
async fn the_fallback_prefers_spdy() {
    let authority = Authority::new();
    let (address, serving) = serve(authority.server()).await;
    let mut connector = authority.connector().fallback(Fallback::http2());
    let mut sender = connector.call(https(address)).await.unwrap();
    assert_eq!(sender.protocol(), Protocol::Spdy31);
    assert_eq!(sender.protocol().to_string(), "SPDY/3.1");
    assert!(!sender.as_spdy().unwrap().is_closed());
    sender.ready().await.unwrap();
    let response = sender.send_request(request(https(address))).await.unwrap();
    assert_eq!(text(response).await, "over TLS");
    serving.abort();
}

#[tokio::test]
async fn a_client_certificate_that_is_missing_is_named_over_http_too() {
    let authority = Authority::new();
    let versions = &[&spdy::tls::rustls::version::TLS13];
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let mut config = authority.server_for_certificates(versions);
        config.alpn_protocols = vec![alpn.to_vec()];
        let (address, serving) = hyper_server(Some(config)).await;
        let mut connector = authority.connector().fallback(Fallback::http2());
        let exchange = async {
            let mut sender = connector.call(https(address)).await?;
            sender.ready().await?;
            sender.send_request(request(https(address))).await
        };
        let error = within("the exchange", exchange).await.unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("wants a certificate of this side"), "{text}");
        // h2 keeps the text of an IO error alone.
        assert_eq!(error.is_certificate(), alpn == b"http/1.1", "{text}");
        serving.abort();
    }
}

#[tokio::test]
async fn h2_is_not_offered_where_it_is_not_allowed() {
    let authority = Authority::new();
    let config = authority.server_with(Wrong::Nothing, &[b"h2"]);
    let (address, serving) = hyper_server(Some(config)).await;
    let mut connector = authority.connector().fallback(Fallback::http1());
    let error = error_of(&mut connector, https(address)).await;
    assert!(error.is_negotiation());
    assert!(error.to_string().contains("spdy/3.1, http/1.1"), "{error}");
    serving.abort();
}

#[tokio::test]
async fn plain_uris_are_spoken_to_as_told() {
    let (address, serving) = hyper_server(None).await;
    let connector = Connector::<_, Sent>::new(dialler());
    for (protocol, version) in [
        (Protocol::Http11, "HTTP/1.1"),
        (Protocol::Http2, "HTTP/2.0"),
    ] {
        let fallback = Fallback::http1().plain_http(protocol);
        let mut connector = connector.clone().fallback(fallback);
        let mut sender = connector.call(http(address)).await.unwrap();
        assert_eq!(sender.protocol(), protocol);
        let said = ask(&mut sender, &http(address)).await;
        assert_eq!(said, format!("{version} POST /path?query {address} body"));
    }
    serving.abort();
    let (listener, address) = bind().await;
    let serving = spawn(spdy::serve(listener, app()).into_future());
    let mut connector = connector.fallback(Fallback::http1());
    let sender = connector.call(http(address)).await.unwrap();
    assert_eq!(sender.protocol(), Protocol::Spdy31);
    serving.abort();
}

#[tokio::test]
async fn a_connection_that_is_gone_gives_a_retryable_error() {
    for protocol in [Protocol::Http11, Protocol::Http2] {
        let (listener, address) = bind().await;
        let fallback = Fallback::http2().plain_http(protocol);
        let mut connector = Connector::<_, Sent>::new(dialler()).fallback(fallback);
        let mut sender = connector.call(http(address)).await.unwrap();
        drop(listener.accept().await.unwrap());
        while !sender.is_closed() {
            tokio::task::yield_now().await;
        }
        let error = within("readiness", sender.ready()).await.unwrap_err();
        assert!(error.is_retryable() && !error.is_go_away(), "{error:?}");
        let error = within("the response", sender.send_request(request(http(address))))
            .await
            .unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        let source = std::error::Error::source(&error).unwrap();
        let source = source.downcast_ref::<spdy::Error>().unwrap();
        assert!(source.is_http());
        assert!(source.to_string().contains(&protocol.to_string()));
        assert!(
            std::error::Error::source(source)
                .unwrap()
                .is::<hyper::Error>()
        );
    }
}

#[tokio::test]
async fn a_broken_exchange_is_an_http_error() {
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    for (answer, in_body) in [("nonsense\r\n\r\n", false), (broken, true)] {
        let (listener, address) = bind().await;
        let answering = spawn(async move {
            let (mut io, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(io.read(&mut request).await.unwrap() > 0);
            tokio::io::AsyncWriteExt::write_all(&mut io, answer.as_bytes())
                .await
                .unwrap();
        });
        let fallback = Fallback::http1().plain_http(Protocol::Http11);
        let mut connector = Connector::<_, Sent>::new(dialler()).fallback(fallback);
        let mut sender = connector.call(http(address)).await.unwrap();
        let result = within("the response", sender.send_request(request(http(address)))).await;
        let error = if in_body {
            let body = result.unwrap().into_body();
            within("the body", body.collect()).await.unwrap_err()
        } else {
            result.unwrap_err()
        };
        assert!(error.is_http() && !error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains("HTTP/1.1"), "{error}");
        answering.await.unwrap();
    }
}

#[tokio::test]
async fn a_request_without_a_host_is_a_user_error() {
    let (address, serving) = hyper_server(None).await;
    for protocol in [Protocol::Http11, Protocol::Http2] {
        let fallback = Fallback::http1().plain_http(protocol);
        let mut connector = Connector::<_, Sent>::new(dialler()).fallback(fallback);
        let mut sender = connector.call(http(address)).await.unwrap();
        sender.ready().await.unwrap();
        let error = sender.send_request(request("/")).await.unwrap_err();
        assert!(error.is_user(), "{error:?}");
        // Which leaves the connection as it was.
        assert!(ask(&mut sender, &http(address)).await.contains("body"));
    }
    serving.abort();
}

#[tokio::test]
async fn a_request_that_does_not_wait_for_its_turn_is_a_user_error() {
    let (listener, address) = bind().await;
    let fallback = Fallback::http1().plain_http(Protocol::Http11);
    let mut connector = Connector::<_, Sent>::new(dialler()).fallback(fallback);
    let mut sender = connector.call(http(address)).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    // The first need not wait.
    let first = spawn(sender.send_request(request(http(address))));
    for _ in 0..2 {
        let error = within("the refusal", sender.send_request(request(http(address))))
            .await
            .unwrap_err();
        assert!(error.is_user() && !error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains("wait for `ready`"), "{error}");
    }
    assert!(!sender.is_closed());

    // The one under way is as before, and so is the next.
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    let serving = spawn(async move {
        for _ in 0..2 {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(server.read_u8().await.unwrap());
            }
            server.write_all(answer).await.unwrap();
        }
        server
    });
    let response = within("the response", first).await.unwrap().unwrap();
    assert_eq!(text(response).await, "hi");
    within("readiness", sender.ready()).await.unwrap();
    let response = within("the next", sender.send_request(request(http(address)))).await;
    assert_eq!(text(response.unwrap()).await, "hi");

    // A connection that is gone is another matter.
    drop(serving.await.unwrap());
    while !sender.is_closed() {
        tokio::task::yield_now().await;
    }
    let error = sender.send_request(request(http(address))).await;
    assert!(error.unwrap_err().is_retryable());
}

/// A body that cannot be moved.
struct Pinned(std::marker::PhantomPinned);

impl http_body::Body for Pinned {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(None)
    }
}

#[tokio::test]
async fn a_body_need_not_be_unpin() {
    let (address, serving) = hyper_server(None).await;
    let fallback = Fallback::http2().plain_http(Protocol::Http2);
    let mut connector = Connector::new(dialler()).fallback(fallback);
    let mut sender = connector.call(http(address)).await.unwrap();
    let pinned = Pinned(std::marker::PhantomPinned);
    let request = Request::post(http(address)).body(pinned).unwrap();
    let response = within("the response", sender.send_request(request))
        .await
        .unwrap();
    assert!(text(response).await.starts_with("HTTP/2.0 POST / "));
    serving.abort();
}

/// Counts what it is given to run.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl<F> hyper::rt::Executor<F> for Counting
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.fetch_add(1, Ordering::SeqCst);
        spawn(task);
    }
}

#[tokio::test]
async fn connections_run_on_the_executor_of_the_builder() {
    let authority = Authority::new();
    let config = authority.server_with(Wrong::Nothing, &[b"spdy/3.1", b"h2", b"http/1.1"]);
    let (address, serving) = serve(config).await;
    let exec = Counting::default();
    let connector = authority
        .connector()
        .builder(client::Builder::new(exec.clone()));
    let mut strict = connector.clone();
    let _send = strict.call(https(address)).await.unwrap();
    assert_eq!(exec.0.load(Ordering::SeqCst), 1);
    let mut fallback = connector.fallback(Fallback::http2());
    let _sender = fallback.call(https(address)).await.unwrap();
    assert_eq!(exec.0.load(Ordering::SeqCst), 2);
    let (address, plain) = hyper_server(None).await;
    for protocol in [Protocol::Http11, Protocol::Http2] {
        let before = exec.0.load(Ordering::SeqCst);
        let connector = Connector::<_, Sent>::new(dialler());
        let mut connector = connector
            .builder(client::Builder::new(exec.clone()))
            .fallback(Fallback::http2().plain_http(protocol));
        let _sender = connector.call(http(address)).await.unwrap();
        assert!(exec.0.load(Ordering::SeqCst) > before, "{protocol}");
    }
    plain.abort();
    serving.abort();
}

#[tokio::test]
async fn a_dropped_call_closes_what_was_dialled() {
    let (listener, address) = bind().await;
    let mut connector = Authority::new().connector();
    // The server never answers the hello.
    let connecting = spawn(connector.call(https(address)));
    let (mut io, _) = listener.accept().await.unwrap();
    assert_eq!(within("the hello", io.read_u8()).await.unwrap(), 22);
    connecting.abort();
    let mut rest = Vec::new();
    within("the end", io.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_last_sender_ends_the_connection() {
    let authority = Authority::new();
    let (address, serving) = serve(authority.server()).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let send = authority.connector().call(https(address)).await.unwrap();
    assert!(metrics.num_alive_tasks() > before);
    drop(send);
    let gone = async {
        while metrics.num_alive_tasks() > before {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    within("the end of both tasks", gone).await;
    serving.abort();
}

#[tokio::test]
async fn an_ipv6_literal_is_a_server_name() {
    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else {
        // A machine without IPv6.
        return;
    };
    let authority = Authority::new();
    let address = listener.local_addr().unwrap();
    let listener = spdy::tls::TlsListener::new(listener, authority.server());
    let serving = spawn(spdy::serve(listener, app()).into_future());
    let mut send = authority.connector().call(https(address)).await.unwrap();
    let response = send.send_request(request(https(address))).await.unwrap();
    assert_eq!(text(response).await, "over TLS");
    serving.abort();
}

#[test]
fn the_futures_and_handles_can_be_sent() {
    fn assert_send<T: Send>() {}
    type Tls = Connector<HttpConnector, Sent, spdy::tls::ClientTls>;
    assert_send::<Tls>();
    assert_send::<Sender<Sent>>();
    assert_send::<spdy::client::SenderFuture<Sent>>();
    assert_send::<<Tls as Service<Uri>>::Future>();
    let config: Arc<ClientConfig> = Arc::new(Authority::new().client());
    let _: Tls = Connector::new(dialler()).tls(config);
}
