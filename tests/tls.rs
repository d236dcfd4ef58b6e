//! The TLS listener, and the client against it: ALPN, bounds, and what every failure is called.

#![cfg(feature = "tls")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod support;
mod tls_support;

use std::future::{IntoFuture, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use spdy::NegotiatedAlpn;
use spdy::client::Connector;
use spdy::server::Listener;
use spdy::tls::rustls::pki_types::ServerName;
use spdy::tls::rustls::{self, ClientConfig};
use spdy::tls::{ClientTls, TlsListener};
use support::within;
use tls_support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::spawn;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::{Service, ServiceExt};

/// A TLS client without SPDY.
async fn tls_client(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let io = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    TlsConnector::from(Arc::clone(config))
        .connect(name, io)
        .await
}

/// Accepts until it is aborted, and drops what comes.
fn accept_all<L: Listener>(mut listener: L) -> tokio::task::JoinHandle<()> {
    spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    })
}

async fn error_of(
    mut connector: impl Service<http::Uri, Error = spdy::Error, Response: std::fmt::Debug>,
    address: SocketAddr,
) -> spdy::Error {
    within("the connection", connector.call(https(address)))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn alpn_is_agreed_and_a_request_answered() {
    let authority = Authority::new();
    let (address, serving) = serve(authority.server()).await;
    for host in ["127.0.0.1", "localhost"] {
        let uri = format!("https://{host}:{}/", address.port());
        let mut connector = authority.connector();
        let connecting = connector.ready().await.unwrap().call(uri.parse().unwrap());
        let mut send = within("the connection", connecting).await.unwrap();
        let response = within("the response", send.send_request(request(&uri)))
            .await
            .unwrap();
        assert_eq!(text(response).await, "over TLS");
        // Several requests are on one connection.
        let response = within("the response", send.send_request(request(&uri)))
            .await
            .unwrap();
        assert_eq!(text(response).await, "over TLS");
    }
    serving.abort();
}

#[tokio::test]
async fn large_bodies_go_both_ways() {
    let authority = Authority::new();
    let (address, serving) = serve(authority.server()).await;
    let mut send = authority.connector().call(https(address)).await.unwrap();
    let mut exchanges = JoinSet::new();
    for n in 0..8_u8 {
        let body: Bytes = (0..1_500_000_u32)
            .map(|at| n ^ at.to_le_bytes()[1] ^ at.to_le_bytes()[0])
            .collect();
        let request = http::Request::post(format!("https://{address}/echo"))
            .body(Sent::new(body.clone()))
            .unwrap();
        send.ready().await.unwrap();
        let response = send.send_request(request);
        exchanges.spawn(async move {
            let echo = within("the response", response).await.unwrap().into_body();
            let echo = within("the body", echo.collect()).await.unwrap().to_bytes();
            assert!(echo == body);
        });
    }
    while let Some(exchange) = exchanges.join_next().await {
        exchange.unwrap();
    }
    serving.abort();
}

#[tokio::test]
async fn the_listener_offers_what_is_served() {
    static BOTH: &[&[u8]] = &[b"h2", b"spdy/3.1"];
    let authority = Authority::new();
    let every: &[&[u8]] = &[b"spdy/3.1", b"h2", b"own"];
    let client = Arc::new(authority.client_with(every));
    for (own, told, chosen) in [
        (&[][..], None, "spdy/3.1"),
        // The server's order counts.
        (&[], Some(BOTH), "h2"),
        (&[&b"own"[..]], Some(BOTH), "own"),
    ] {
        let (listener, address) = bind().await;
        let config = authority.server_with(Wrong::Nothing, own);
        let mut listener = TlsListener::new(listener, config);
        if let Some(told) = told {
            listener.set_protocols(told);
        }
        assert_eq!(listener.local_addr().unwrap(), address);
        assert_eq!(listener.get_ref().local_addr().unwrap(), address);
        let (client, (io, peer)) = tokio::join!(tls_client(address, &client), listener.accept());
        let client = client.unwrap();
        assert_eq!(io.negotiated_alpn(), Some(chosen.as_bytes()));
        assert_eq!(client.negotiated_alpn(), Some(chosen.as_bytes()));
        assert_eq!(peer, client.get_ref().0.local_addr().unwrap());
        let either = tokio_rustls::TlsStream::from(client);
        assert_eq!(either.negotiated_alpn(), Some(chosen.as_bytes()));
    }
}

#[tokio::test]
async fn an_offer_that_does_not_fit_what_is_served_is_warned_of() {
    let authority = Authority::new();
    let spdy = &b"spdy/3.1"[..];
    let served: &[&[u8]] = &[spdy, b"http/1.1"];
    let unserved =
        r#"not served: their clients get no answer unserved="h2, own" served="spdy/3.1, http/1.1""#;
    let without = r#"cannot speak SPDY offered="http/1.1""#;
    for (own, expected) in [
        (&[][..], &[][..]),
        (&[spdy], &[]),
        (&[b"http/1.1", spdy], &[]),
        (&[b"h2", spdy, b"own"], &[unserved]),
        (&[b"http/1.1"], &[without]),
        (&[b"h2", b"own"], &[unserved, r#"offered="h2, own""#]),
    ] {
        let (log, _guard) = Log::start();
        let (listener, _) = bind().await;
        let config = authority.server_with(Wrong::Nothing, own);
        let mut listener = TlsListener::new(listener, config);
        // Nobody has said yet what is served.
        assert_eq!(log.lines_with("WARN"), [""; 0]);
        listener.set_protocols(served);
        let lines = log.lines_with("WARN");
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (line, said) in lines.iter().zip(expected) {
            assert!(line.contains(said), "{line}");
        }
    }
}

#[tokio::test]
async fn a_client_without_alpn_gets_in() {
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let mut listener = TlsListener::new(listener, authority.server());
    let client = Arc::new(authority.client());
    let (client, (io, _)) = tokio::join!(tls_client(address, &client), listener.accept());
    assert_eq!(io.negotiated_alpn(), None);
    assert_eq!(client.unwrap().negotiated_alpn(), None);
}

#[tokio::test]
async fn a_client_of_other_protocols_is_told_so_and_logged() {
    let (log, _guard) = Log::start();
    let authority = Authority::new();
    let (address, serving) = serve(authority.server()).await;
    let client = Arc::new(authority.client_with(&[b"h2", b"http/1.1"]));
    let error = tls_client(address, &client).await.unwrap_err();
    let error = error.downcast::<rustls::Error>().unwrap();
    let alert = rustls::AlertDescription::NoApplicationProtocol;
    assert_eq!(error, rustls::Error::AlertReceived(alert));
    let said = "ALPN was to be one of [spdy/3.1], the client offered [h2, http/1.1]";
    let line = log.line_with(&["DEBUG", said]).await;
    assert!(line.contains("peer=127.0.0.1:"), "{line}");
    serving.abort();
}

#[tokio::test]
async fn a_server_of_other_protocols_is_a_negotiation_error() {
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let config = authority.server_with(Wrong::Nothing, &[b"h2"]);
    let accepting = accept_all(TlsListener::new(listener, config));
    let error = error_of(authority.connector(), address).await;
    assert!(error.is_negotiation() && !error.is_tls(), "{error:?}");
    let said =
        format!("{address} speaks none of the protocols offered by ALPN, which were spdy/3.1");
    assert!(error.to_string().contains(&said), "{error}");
    assert!(whole(&error).contains("NoApplicationProtocol"), "{error:?}");
    accepting.abort();
}

#[tokio::test]
async fn a_plain_text_client_is_named_in_the_log() {
    let authority = Authority::new();
    let (log, _guard) = Log::start();
    let (address, serving) = serve(authority.server()).await;
    // SPDY, HTTP/1.1, HTTP/2.
    let spdy = &b"\x80\x03\x00\x04\x00\x00\x00\x0c"[..];
    for hello in [spdy, b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"] {
        let mut io = TcpStream::connect(address).await.unwrap();
        let me = io.local_addr().unwrap().to_string();
        io.write_all(hello).await.unwrap();
        let said =
            "TLS was expected and something else came: the client speaks plain text on a TLS port";
        log.line_with(&["DEBUG", &me, said]).await;
        // The answer is an alert, then the end.
        let mut answer = Vec::new();
        drop(within("the end", io.read_to_end(&mut answer)).await);
        assert_eq!(answer.first(), Some(&21), "{answer:?}");
    }
    serving.abort();
}

#[tokio::test]
async fn a_plain_text_server_is_named() {
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let serving = spawn(spdy::serve(listener, app()).into_future());
    let error = error_of(authority.connector(), address).await;
    assert!(error.is_tls() && !error.is_certificate(), "{error:?}");
    let said = "TLS was expected and something else came: is this the plain-text port?";
    assert!(error.to_string().contains(said), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    serving.abort();
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_named_at_both_ends() {
    let (log, _guard) = Log::start();
    let authority = Authority::new();
    let stranger = Authority::new();
    for (of_server, wrong, said, alert) in [
        (
            &authority,
            Wrong::Expired,
            "a valid certificate was expected, that of the server has expired",
            "CertificateExpired",
        ),
        (
            &authority,
            Wrong::NotYet,
            "a valid certificate was expected, that of the server is not valid yet",
            "CertificateExpired",
        ),
        (
            &authority,
            Wrong::Name,
            "the certificate of the server is for another name",
            "BadCertificate",
        ),
        (
            &stranger,
            Wrong::Nothing,
            "a certificate of a trusted issuer was expected, that of the server has an issuer that is not trusted",
            "UnknownCA",
        ),
    ] {
        let (address, serving) = serve(of_server.server_with(wrong, &[])).await;
        let error = error_of(authority.connector(), address).await;
        assert!(error.is_certificate() && error.is_tls(), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
        if wrong == Wrong::Name {
            let text = error.to_string();
            assert!(
                text.contains("127.0.0.1") && text.contains("other.test"),
                "{text}"
            );
        }
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.is::<rustls::Error>(), "{source:?}");
        let line = log
            .line_with(&["does not accept the certificate", alert])
            .await;
        assert!(
            line.contains("the client does not accept the certificate of this side"),
            "{line}"
        );
        serving.abort();
    }
}

/// What a connector of no certificate comes to at a server that wants one.
async fn without_certificate(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> spdy::Error {
    let authority = Authority::new();
    let (address, serving) = serve(authority.server_for_certificates(versions)).await;
    let connecting = authority.connector().call(https(address));
    let error = match within("the connection", connecting).await {
        Ok(mut send) => within("the response", send.send_request(request(https(address))))
            .await
            .unwrap_err(),
        Err(error) => error,
    };
    serving.abort();
    let said = format!("{address}: the server wants a certificate of this side, and got none");
    assert!(whole(&error).contains(&said), "{error}");
    error
}

#[tokio::test]
async fn a_client_certificate_that_is_missing_is_named_at_both_ends() {
    let (log, _guard) = Log::start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let error = without_certificate(&[version]).await;
        assert!(error.is_certificate() && error.is_tls(), "{error:?}");
        assert!(!error.is_io() && !error.is_closed(), "{error:?}");
        assert!(whole(&error).contains("CertificateRequired"), "{error:?}");
    }
    let said = "a certificate was expected and the client presented none";
    log.line_with(&["DEBUG", said]).await;
}

pin_project_lite::pin_project! {
    /// A transport that takes nothing more when it is told so and the peer's last bytes are there, as after a reset.
    struct Broken {
        #[pin]
        io: TokioIo<TcpStream>,
        broken: Arc<AtomicBool>,
    }
}

impl NegotiatedAlpn for Broken {}

impl hyper::rt::Read for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.project().io.poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Broken {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.broken.load(Ordering::SeqCst) {
            let mut byte = [0];
            let mut byte = tokio::io::ReadBuf::new(&mut byte);
            let there = self.io.inner().poll_peek(cx, &mut byte);
            return there.map(|_| Err(std::io::ErrorKind::BrokenPipe.into()));
        }
        self.project().io.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.project().io.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.project().io.poll_shutdown(cx)
    }
}

#[tokio::test]
async fn what_ended_tls_counts_more_than_a_write_that_failed_for_it() {
    let authority = Authority::new();
    let versions = &[&rustls::version::TLS13];
    let (address, serving) = serve(authority.server_for_certificates(versions)).await;
    let broken = Arc::new(AtomicBool::new(false));
    let cutting = Arc::clone(&broken);
    let dial = tower::service_fn(move |_: http::Uri| {
        let broken = Arc::clone(&cutting);
        async move {
            let io = TokioIo::new(TcpStream::connect(address).await?);
            Ok::<_, std::io::Error>(Broken { io, broken })
        }
    });
    let mut connector: Connector<_, Sent, _> = Connector::new(dial).tls(authority.client());
    let mut send = within("the connection", connector.call(https(address)))
        .await
        .unwrap();
    broken.store(true, Ordering::SeqCst);
    let error = within("the response", send.send_request(request(https(address))))
        .await
        .unwrap_err();
    assert!(error.is_certificate(), "{error:?}");
    serving.abort();
}

#[tokio::test]
async fn a_slow_handshake_is_given_up_at_both_ends() {
    let (log, _guard) = Log::start();
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let listener =
        TlsListener::new(listener, authority.server()).handshake_timeout(Duration::from_millis(50));
    let accepting = accept_all(listener);
    let mut io = TcpStream::connect(address).await.unwrap();
    let me = io.local_addr().unwrap().to_string();
    drop(within("the end", io.read_u8()).await.unwrap_err());
    log.line_with(&[
        &me,
        "time-out",
        "the TLS handshake was not finished in time",
    ])
    .await;
    accepting.abort();

    // A server that accepts and says nothing.
    let (_listener, address) = bind().await;
    let tls = ClientTls::new(authority.client()).handshake_timeout(Duration::from_millis(50));
    let connector: Connector<_, Sent, _> = Connector::new(dialler()).secure(tls);
    let error = error_of(connector, address).await;
    assert_eq!(error.timeout_kind(), Some(spdy::Timeout::TlsHandshake));
    assert!(error.to_string().contains("TLS handshake"), "{error}");
}

#[tokio::test]
async fn a_peer_that_leaves_in_the_middle_is_named() {
    let (log, _guard) = Log::start();
    let authority = Authority::new();
    let (address, serving) = serve(authority.server()).await;
    let mut io = TcpStream::connect(address).await.unwrap();
    io.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
    drop(io);
    let said = "the peer closed the connection during the TLS handshake";
    log.line_with(&["DEBUG", said]).await;
    serving.abort();

    let (listener, address) = bind().await;
    let closing = spawn(async move {
        let (mut io, _) = listener.accept().await.unwrap();
        // Reading first keeps the kernel from resetting.
        drop(io.read(&mut [0; 4096]).await);
    });
    let error = error_of(authority.connector(), address).await;
    assert!(error.is_tls() && !error.is_certificate());
    assert!(error.to_string().contains(said), "{error}");
    closing.await.unwrap();
}

#[tokio::test]
async fn the_oldest_handshake_makes_room_for_a_new_one() {
    let (log, _guard) = Log::start();
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let listener = TlsListener::new(listener, authority.server())
        .max_handshakes(4)
        .handshake_timeout(Duration::from_secs(3600));
    let serving = spawn(spdy::serve(listener, app()).into_future());
    let mut stalled = Vec::new();
    for _ in 0..4 {
        stalled.push(TcpStream::connect(address).await.unwrap());
    }
    let oldest = stalled[0].local_addr().unwrap().to_string();
    let mut connector = authority.connector();
    for _ in 0..3 {
        let mut send = within("the connection", connector.call(https(address)))
            .await
            .unwrap();
        let response = send.send_request(request(https(address))).await.unwrap();
        assert_eq!(text(response).await, "over TLS");
    }
    log.line_with(&["DEBUG", &oldest, "the oldest TLS handshake is dropped"])
        .await;
    // The oldest alone: a handshake that ends makes room for the next.
    within("the end", stalled[0].read_u8()).await.unwrap_err();
    for io in &mut stalled[1..] {
        let still = tokio::time::timeout(Duration::from_millis(20), io.read_u8()).await;
        assert!(still.is_err(), "{still:?}");
    }
    serving.abort();
}

/// Hands out what comes on a channel.
struct Handed {
    accepted: UnboundedReceiver<(usize, DuplexStream)>,
    /// Taken from the operating system, and not handed out yet.
    held: Vec<(usize, DuplexStream)>,
}

impl Handed {
    fn new() -> (UnboundedSender<(usize, DuplexStream)>, Self) {
        let (hand, accepted) = unbounded_channel();
        let held = Vec::new();
        (hand, Self { accepted, held })
    }
}

impl Listener for Handed {
    type Io = DuplexStream;
    type Addr = usize;

    async fn accept(&mut self) -> (DuplexStream, usize) {
        match self.accepted.recv().await {
            Some((n, io)) => (io, n),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<usize> {
        Ok(0)
    }

    async fn drain(&mut self) -> Option<(DuplexStream, usize)> {
        self.held.pop().map(|(n, io)| (io, n))
    }
}

/// A transport whose far end answers everything `late`: a long way, or a slow client.
fn slow_way(late: Duration) -> (DuplexStream, DuplexStream) {
    let (near, mut to_far) = duplex(64 * 1024);
    let (mut to_near, far) = duplex(64 * 1024);
    spawn(async move {
        let mut from_near = [0; 16 * 1024];
        let mut from_far = [0; 16 * 1024];
        loop {
            tokio::select! {
                n = to_near.read(&mut from_far) => {
                    let n = n.unwrap_or(0);
                    if n == 0 || to_far.write_all(&from_far[..n]).await.is_err() {
                        return;
                    }
                }
                n = to_far.read(&mut from_near) => {
                    let n = n.unwrap_or(0);
                    tokio::time::sleep(late).await;
                    if n == 0 || to_near.write_all(&from_near[..n]).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    (near, far)
}

#[tokio::test(start_paused = true)]
async fn more_honest_clients_at_a_time_than_handshakes_all_get_in() {
    const CLIENTS: usize = 60;
    let authority = Authority::new();
    let client = Arc::new(authority.client());
    let (hand, below) = Handed::new();
    let mut listener = TlsListener::new(below, authority.server()).max_handshakes(4);
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let (near, far) = slow_way(Duration::from_millis(200));
        hand.send((n, near)).unwrap();
        let connecting = greet(far, &client);
        clients.spawn(async move { connecting.await.unwrap().unwrap() });
    }
    let mut seen = Vec::new();
    let everybody = async {
        while seen.len() < CLIENTS {
            let (_, n) = listener.accept().await;
            assert!(listener.handshakes() <= 4);
            seen.push(n);
        }
    };
    within("every client", everybody).await;
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..CLIENTS));
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_is_dropped_after_a_second_for_the_next() {
    let authority = Authority::new();
    let client = Arc::new(authority.client());
    let (hand, below) = Handed::new();
    let mut listener = TlsListener::new(below, authority.server())
        .max_handshakes(2)
        .handshake_timeout(Duration::from_secs(3600));
    let mut stalled = Vec::new();
    for n in 0..4 {
        let (near, far) = duplex(1024);
        hand.send((n, near)).unwrap();
        stalled.push(far);
    }
    let start = tokio::time::Instant::now();
    let (near, far) = duplex(64 * 1024);
    hand.send((4, near)).unwrap();
    let connecting = greet(far, &client);
    let (_, n) = within("the honest one", listener.accept()).await;
    assert_eq!(n, 4);
    connecting.await.unwrap().unwrap();
    // The first two make room for the next two, and one of these for the honest one.
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_secs(2) && waited < Duration::from_millis(2100),
        "{waited:?}"
    );
    for io in &mut stalled[..3] {
        within("the end", io.read_u8()).await.unwrap_err();
    }
    assert_eq!(listener.handshakes(), 1);
}

/// Shakes hands with what is at the far end, in a task.
fn greet(
    far: DuplexStream,
    client: &Arc<ClientConfig>,
) -> tokio::task::JoinHandle<std::io::Result<TlsStream<DuplexStream>>> {
    let client = Arc::clone(client);
    spawn(async move {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(client).connect(name, far).await
    })
}

#[tokio::test(start_paused = true)]
async fn handshakes_under_way_at_a_shutdown_get_a_second() {
    let (log, _guard) = Log::start();
    let authority = Authority::new();
    let client = Arc::new(authority.client());
    let (hand, mut below) = Handed::new();
    let (near, far) = slow_way(Duration::from_millis(400));
    below.held.push((7, near));
    let held = greet(far, &client);
    let mut listener = TlsListener::new(below, authority.server()).max_handshakes(4);
    // One ends in time, one too late, one never.
    let mut clients = Vec::new();
    for (n, late) in [(1, 300), (2, 1700)] {
        let (near, far) = slow_way(Duration::from_millis(late));
        hand.send((n, near)).unwrap();
        clients.push(greet(far, &client));
    }
    let (near, mut stalled) = duplex(1024);
    hand.send((3, near)).unwrap();
    let accepted = tokio::time::timeout(Duration::from_millis(10), listener.accept()).await;
    assert!(accepted.is_err());
    assert_eq!(listener.handshakes(), 3);
    // It comes too late: nobody accepts it.
    let (near, _late) = duplex(1024);
    hand.send((4, near)).unwrap();

    let start = tokio::time::Instant::now();
    let mut seen = Vec::new();
    loop {
        // Dropped and begun anew, it neither loses one nor starts the second again.
        let next = tokio::time::timeout(Duration::from_millis(70), listener.drain()).await;
        match next {
            Ok(Some((io, n))) => {
                assert!(io.is_tls());
                seen.push(n);
            }
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert_eq!(seen, [1, 7]);
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_secs(1) && waited < Duration::from_millis(1010),
        "{waited:?}"
    );
    assert_eq!(listener.handshakes(), 0);
    assert!(listener.drain().await.is_none());
    within("the end", stalled.read_u8()).await.unwrap_err();
    for peer in ["peer=2", "peer=3"] {
        log.line_with(&["DEBUG", peer, "no more connections are accepted"])
            .await;
    }
    within("the held one", held).await.unwrap().unwrap();
    let in_time = clients.remove(0);
    within("the one in time", in_time).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_of_nothing_ends_at_once() {
    let (_hand, below) = Handed::new();
    let mut listener = TlsListener::new(below, Authority::new().server());
    let start = tokio::time::Instant::now();
    assert!(listener.drain().await.is_none());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_dropped_accept_loses_no_connection() {
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let mut listener = TlsListener::new(listener, authority.server());
    let client = Arc::new(authority.client());
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let client = Arc::clone(&client);
        clients.spawn(async move { tls_client(address, &client).await.unwrap() });
    }
    let mut accepted = Vec::new();
    let everything = async {
        while accepted.len() < 20 {
            // One poll, then it is dropped.
            let polled = {
                let mut accept = pin!(listener.accept());
                poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx))).await
            };
            match polled {
                Poll::Ready(connection) => accepted.push(connection),
                Poll::Pending => tokio::time::sleep(Duration::from_micros(100)).await,
            }
        }
    };
    within("all connections", everything).await;
    let mut addresses: Vec<_> = accepted.iter().map(|(_, peer)| *peer).collect();
    let mut expected = Vec::new();
    while let Some(client) = clients.join_next().await {
        expected.push(client.unwrap().get_ref().0.local_addr().unwrap());
    }
    addresses.sort();
    expected.sort();
    assert_eq!(addresses, expected);
    assert_eq!(listener.handshakes(), 0);
}

#[tokio::test]
async fn a_dropped_listener_ends_its_handshakes() {
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let mut listener = TlsListener::new(listener, authority.server());
    let mut io = TcpStream::connect(address).await.unwrap();
    let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err());
    assert_eq!(listener.handshakes(), 1);
    drop(listener);
    within("the end", io.read_u8()).await.unwrap_err();
}

#[cfg(target_os = "linux")]
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[cfg(not(target_os = "linux"))]
fn open_files() -> usize {
    0
}

/// The `n`-th of many clients: most finish a handshake, some send garbage, some say nothing.
async fn visit(n: usize, address: SocketAddr, client: Arc<ClientConfig>) -> Option<TcpStream> {
    if n % 50 == 0 {
        return Some(TcpStream::connect(address).await.unwrap());
    }
    if n % 10 == 0 {
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(b"garbage of no protocol").await.unwrap();
        drop(io.read(&mut [0; 64]).await);
        return None;
    }
    let mut io = tls_client(address, &client).await.unwrap();
    io.shutdown().await.unwrap();
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_connections_leave_nothing_behind() {
    const CONNECTIONS: usize = 5_000;
    let authority = Authority::new();
    let (listener, address) = bind().await;
    // Fewer than stall, so that the bound is reached.
    let listener = TlsListener::new(listener, authority.server()).max_handshakes(64);
    let serving = spdy::serve(listener, app()).into_future();
    let metrics = tokio::runtime::Handle::current().metrics();
    let idle_tasks = metrics.num_alive_tasks();
    let idle_files = open_files();
    let serving = spawn(serving);

    let client = Arc::new(authority.client_with(&[b"spdy/3.1"]));
    let mut connector = authority.connector();
    let mut visits = JoinSet::new();
    let mut stalled = Vec::new();
    let mut keep = |visited: Result<Option<TcpStream>, tokio::task::JoinError>| {
        stalled.extend(visited.unwrap());
    };
    for n in 0..CONNECTIONS {
        if visits.len() >= 16 {
            keep(visits.join_next().await.unwrap());
        }
        visits.spawn(visit(n, address, Arc::clone(&client)));
        if n % 250 == 125 {
            let serve_one = async {
                let mut send = connector.call(https(address)).await.unwrap();
                let response = send.send_request(request(https(address))).await.unwrap();
                assert_eq!(text(response).await, "over TLS");
            };
            within("a normal client", serve_one).await;
        }
    }
    while let Some(visited) = visits.join_next().await {
        keep(visited);
    }
    assert_eq!(stalled.len(), CONNECTIONS / 50);
    drop(stalled);
    drop(connector);
    // What is left is the server itself, then nothing.
    let gone = |tasks: usize, files: usize| {
        let metrics = metrics.clone();
        async move {
            while metrics.num_alive_tasks() > tasks || open_files() > files {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let one_listener = usize::from(cfg!(target_os = "linux"));
    within(
        "the end of all connections",
        gone(idle_tasks + 1, idle_files),
    )
    .await;
    serving.abort();
    within(
        "the end of the server",
        gone(idle_tasks, idle_files - one_listener),
    )
    .await;
}

#[tokio::test]
async fn a_listener_of_another_kind_is_fine() {
    // Any listener goes below, here one of listeners in a row.
    struct Renamed(TcpListener);
    impl Listener for Renamed {
        type Io = TcpStream;
        type Addr = String;
        async fn accept(&mut self) -> (TcpStream, String) {
            let (io, _) = Listener::accept(&mut self.0).await;
            (io, "somebody".to_owned())
        }
        fn local_addr(&self) -> std::io::Result<String> {
            Ok("here".to_owned())
        }
    }
    let authority = Authority::new();
    let (listener, address) = bind().await;
    let mut listener = TlsListener::new(Renamed(listener), authority.server());
    assert_eq!(listener.local_addr().unwrap(), "here");
    let client = Arc::new(authority.client());
    let (_client, (_, peer)) = tokio::join!(tls_client(address, &client), listener.accept());
    assert_eq!(peer, "somebody");
}
