//! The Upgrade, and the negotiation of the protocol of streams.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use spdy::frame::Role;
use spdy::kube::remote_command::{Client, Exit};
use spdy::kube::{self, Answer, negotiate, port_forward, remote_command};
use spdy::{Body, HeaderCompression};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::http_support::*;

/// Serves one connection as a server of `exec`; every stream of its session is replied to.
fn serve(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(|mut request: Request<hyper::body::Incoming>| async move {
        let upgrade = match kube::on(&mut request, remote_command::PROTOCOLS) {
            Ok(upgrade) => upgrade,
            Err(refusal) => return Ok::<Response<Body>, spdy::Error>(refusal.response()),
        };
        let response = upgrade.response();
        spawn(async move {
            let config = Config::spdystream_server();
            let (session, connection) = upgrade.session(config).await.unwrap();
            spawn(connection);
            // There is something to say at once.
            let pinging = session.clone();
            spawn(async move { pinging.ping().await });
            let mut kept = Vec::new();
            while let Ok(Some(incoming)) = session.accept().await {
                kept.push(incoming.reply(spdy::headers::HeaderBlock::empty()));
            }
        });
        Ok(response)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    spawn(connection);
}

fn served() -> DuplexStream {
    let (client, server) = duplex(64 << 10);
    serve(server);
    client
}

/// The head of the answer to a request with these lines.
async fn head_of(io: &mut DuplexStream, lines: &[&str]) -> Vec<String> {
    let request = format!(
        "POST /exec HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{}\r\n\r\n",
        lines.join("\r\n")
    );
    io.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the head", io.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    head.trim_end().lines().map(str::to_owned).collect()
}

const UPGRADE: [&str; 2] = ["Connection: Upgrade", "Upgrade: SPDY/3.1"];

#[tokio::test(start_paused = true)]
async fn the_answer_switches_and_names_the_protocol() {
    for upgrade in [
        UPGRADE,
        ["connection: upgrade", "upgrade: spdy/3.1"],
        [
            "CONNECTION: keep-alive, UPGRADE",
            "Upgrade: websocket, Spdy/3.1",
        ],
    ] {
        let lines = [
            &upgrade[..],
            &[
                "X-Stream-Protocol-Version: v5.channel.k8s.io",
                "X-Stream-Protocol-Version: v4.channel.k8s.io",
                "X-Stream-Protocol-Version: v3.channel.k8s.io",
            ],
        ]
        .concat();
        let mut head = head_of(&mut served(), &lines).await;
        assert_eq!(head.remove(0), "HTTP/1.1 101 Switching Protocols");
        let mut head: Vec<_> = head.iter().map(|line| line.to_ascii_lowercase()).collect();
        head.retain(|line| !line.starts_with("date:"));
        head.sort();
        let expected = [
            "connection: upgrade",
            "upgrade: spdy/3.1",
            "x-stream-protocol-version: v4.channel.k8s.io",
        ];
        assert_eq!(head, expected);
    }
}

fn offered(lines: &[&'static str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(kube::PROTOCOL_VERSION, HeaderValue::from_static(line));
    }
    headers
}

#[test]
fn the_first_protocol_of_the_client_that_the_server_knows_is_chosen() {
    let known = ["a", "b", "c"];
    for (lines, chosen) in [
        (&["c"][..], "c"),
        (&["c", "a"], "c"),
        (&["x", "b", "a"], "b"),
        (&["x, c,a"], "c"),
        (&["x ,y", "", " b , a"], "b"),
        (&[",,a,"], "a"),
    ] {
        assert_eq!(
            negotiate(&offered(lines), &known).unwrap(),
            chosen,
            "{lines:?}"
        );
    }
    // Not by case, and not by a part of the name.
    for lines in [&["A"][..], &["aa"], &["a b"]] {
        let refusal = negotiate(&offered(lines), &known).unwrap_err();
        assert_eq!(refusal.status(), StatusCode::FORBIDDEN, "{lines:?}");
    }
    // What only WebSocket has is offered in vain.
    let kubectl = offered(&["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"]);
    let chosen = negotiate(&kubectl, remote_command::PROTOCOLS).unwrap();
    assert_eq!(chosen, "v4.channel.k8s.io");
    let known = negotiate(&offered(&["portforward.k8s.io"]), port_forward::PROTOCOLS);
    assert_eq!(known.unwrap(), "portforward.k8s.io");
}

async fn refused(lines: &[&str]) -> (String, Vec<String>, String) {
    let mut io = served();
    let head = head_of(&mut io, lines).await;
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    within("the body", io.read_exact(&mut body)).await.unwrap();
    let accepted = head
        .iter()
        .filter_map(|line| line.strip_prefix("x-accepted-stream-protocol-versions: "));
    let accepted = accepted.map(str::to_owned).collect();
    assert!(
        head.iter()
            .any(|line| line.starts_with("content-type: text/plain")),
        "{head:?}"
    );
    (head[0].clone(), accepted, String::from_utf8(body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_upgraded_is_told_why() {
    let foreign = [&UPGRADE[..], &["X-Stream-Protocol-Version: x\u{7f}y, z"]].concat();
    let foreign: Vec<_> = foreign
        .iter()
        .map(|line| line.replace('\u{7f}', ""))
        .collect();
    let foreign: Vec<_> = foreign.iter().map(String::as_str).collect();
    let (status, accepted, body) = refused(&foreign).await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    assert_eq!(accepted, remote_command::PROTOCOLS);
    assert!(body.contains("the client offers xy, z"), "{body}");
    assert!(
        body.contains("v4.channel.k8s.io, v3.channel.k8s.io"),
        "{body}"
    );

    for lines in [
        &UPGRADE[..],
        &[UPGRADE[0], UPGRADE[1], "X-Stream-Protocol-Version: "],
        &[UPGRADE[0], UPGRADE[1], "X-Stream-Protocol-Version: , ,"],
    ] {
        let (status, accepted, body) = refused(lines).await;
        assert_eq!(status, "HTTP/1.1 400 Bad Request", "{lines:?}");
        assert!(accepted.is_empty());
        assert!(
            body.contains("X-Stream-Protocol-Version is required"),
            "{body}"
        );
    }
    let v4 = "X-Stream-Protocol-Version: v4.channel.k8s.io";
    for (lines, says) in [
        (&[v4][..], "got no upgrade header"),
        (&[v4, "Upgrade: SPDY/3.1"], "got no connection header"),
        (
            &[v4, "Connection: Upgrade", "Upgrade: websocket"],
            "got upgrade: websocket",
        ),
    ] {
        let (status, _, body) = refused(lines).await;
        assert_eq!(status, "HTTP/1.1 400 Bad Request", "{lines:?}");
        assert!(body.contains(says), "{body}");
    }
}

#[test]
fn a_request_that_no_server_can_upgrade_is_answered_with_500() {
    let mut request = Request::post("/")
        .header("connection", "upgrade")
        .header("upgrade", "spdy/3.1")
        .header("x-stream-protocol-version", "v4.channel.k8s.io")
        .body(Body::empty())
        .unwrap();
    let refusal = kube::on(&mut request, remote_command::PROTOCOLS).unwrap_err();
    assert_eq!(refusal.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let response = refusal.response::<String>();
    assert!(
        response.body().contains("not served by hyper"),
        "{}",
        response.body()
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_behind_the_101_before_the_client_has_spoken() {
    let mut io = served();
    let v4 = "X-Stream-Protocol-Version: v4.channel.k8s.io";
    head_of(&mut io, &[UPGRADE[0], UPGRADE[1], v4]).await;
    settle().await;
    assert!(tokio::time::timeout(SECOND, io.read_u8()).await.is_err());
    // The PING of the server was waiting.
    io.write_all(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1])
        .await
        .unwrap();
    let mut pings = [0; 24];
    within("the PINGs", io.read_exact(&mut pings))
        .await
        .unwrap();
    assert_eq!((pings[11], pings[23]), (1, 2), "echo first, then ours");
}

/// The head of a request and the first frames in one piece, and an answer whose session has spoken at once.
#[tokio::test(start_paused = true)]
async fn frames_that_come_with_a_head_are_kept_in_both_roles() {
    let (io, wire) = pipe();
    serve(io);
    let mut peer = Peer::new(wire, Role::Client);
    let mut bytes =
        b"POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
        X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
            .to_vec();
    bytes.extend_from_slice(&peer.encode(typed(1, "error")));
    bytes.extend_from_slice(&peer.encode(typed(3, "stdin")));
    peer.send_raw(bytes).await;
    peer.skip_http_head().await;
    let mut replies = Vec::new();
    while replies.len() < 2 {
        match within("a reply", peer.recv()).await.unwrap() {
            Frame::Ping(2) => {}
            frame => replies.push(frame),
        }
    }
    assert_eq!(replies, [syn_reply(1).into(), syn_reply(3).into()]);

    let (io, wire) = pipe();
    let asking = spawn(kube::connect(
        TokioIo::new(io),
        request(),
        &["v4.channel.k8s.io"],
    ));
    let mut peer = Peer::new(wire, Role::Server);
    peer.skip_http_head().await;
    let mut bytes = answer("X-Stream-Protocol-Version: v4.channel.k8s.io\r\n");
    bytes.extend_from_slice(&peer.encode(ping(2)));
    peer.send_raw(bytes).await;
    let answer = within("the answer", asking).await.unwrap().unwrap();
    let config = Config::spdystream_client();
    let (_session, connection) = answer.switched().unwrap().into_session(config);
    spawn(connection);
    peer.expect(ping(2)).await;
}

/// Runs a command that ends with 9.
async fn nine(mut request: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
    let streams = Streams::from_query(request.uri().query().unwrap_or_default());
    let upgrade = match kube::on(&mut request, remote_command::PROTOCOLS) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return Ok(refusal.response()),
    };
    let response = upgrade.response();
    spawn(async move {
        let version = Version::negotiated(Some(upgrade.protocol())).unwrap();
        let (session, connection) = upgrade.session(Config::spdystream_server()).await.unwrap();
        spawn(connection);
        let streams = Server::new(version, streams)
            .accept(&session)
            .await
            .unwrap();
        streams.finish(Exit::Code(9)).await.unwrap();
    });
    Ok(response)
}

/// What becomes of a command that is run by whoever serves the transport.
async fn exit_of(io: DuplexStream) -> spdy::Result<Exit> {
    let asking = kube::connect(TokioIo::new(io), request(), remote_command::PROTOCOLS);
    let switched = within("the answer", asking).await?.switched()?;
    let version = Version::negotiated(switched.protocol())?;
    let (session, connection) = switched.into_session(Config::spdystream_client());
    spawn(connection);
    let streams = Streams {
        stdout: true,
        ..Streams::default()
    };
    let streams = Client::new(version, streams).open(&session).await?;
    within("the outcome", streams.exit.wait()).await
}

/// They take every other Upgrade to SPDY for HTTP over it.
#[tokio::test(start_paused = true)]
async fn servers_of_http_over_spdy_leave_the_upgrade_to_the_handler() {
    let (io, server) = duplex(64 << 10);
    let service = service_fn(nine);
    let auto = spdy::server::auto::Builder::new(TokioExecutor::new());
    spawn(auto.serve_connection(TokioIo::new(server), service));
    assert_eq!(exit_of(io).await.unwrap(), Exit::Code(9), "auto");

    let (io, server) = duplex(64 << 10);
    let service = spdy::upgrade::wrap(tower::service_fn(nine));
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(server), TowerToHyperService::new(service))
        .with_upgrades();
    spawn(connection);
    assert_eq!(exit_of(io).await.unwrap(), Exit::Code(9), "wrap");
}

/// Each stream is a request to it, and gets its answer: the error stream would end without a word.
#[tokio::test(start_paused = true)]
async fn a_server_that_takes_the_streams_for_http_is_no_success() {
    let (session, _running, mut peer) = kubectl();
    let opening = spawn(async move {
        let client = Client::new(Version::V1, EXEC_IT);
        client.open(&session).await
    });
    peer.expect(typed(1, "error")).await;
    let reply = syn_reply(1).header(":status", "400 Bad Request");
    peer.send(reply.header(":version", "HTTP/1.1").fin()).await;
    let error = within("open", opening).await.unwrap().unwrap_err();
    assert!(error.is_negotiation(), "{error}");
    let says = error.to_string();
    assert!(says.contains("with status 400 Bad Request"), "{says}");
}

fn request() -> Request<AnyBody> {
    Request::post("http://a/exec?command=date&stdout=true")
        .body(empty())
        .unwrap()
}

fn answer(lines: &str) -> Vec<u8> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: spdy/3.1\r\n";
    format!("{head}{lines}\r\n").into_bytes()
}

/// What [`kube::connect`] makes of this answer, and the head that it has sent.
async fn answered(protocols: &[&'static str], bytes: Vec<u8>) -> (spdy::Result<Answer>, String) {
    let (io, mut server) = duplex(1 << 20);
    let protocols = protocols.to_vec();
    let asking = spawn(async move { kube::connect(TokioIo::new(io), request(), &protocols).await });
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the head", server.read_u8()).await.unwrap());
    }
    server.write_all(&bytes).await.unwrap();
    drop(server);
    let answer = within("the outcome", asking).await.unwrap();
    (answer, String::from_utf8(head).unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_protocol_is_offered_in_a_line_of_its_own() {
    let chosen = answer("X-Stream-Protocol-Version: v3.channel.k8s.io\r\n");
    let (answer, head) = answered(remote_command::PROTOCOLS, chosen).await;
    assert!(
        head.starts_with("POST /exec?command=date&stdout=true HTTP/1.1\r\n"),
        "{head}"
    );
    let offered: Vec<_> = head
        .lines()
        .filter_map(|line| line.strip_prefix("x-stream-protocol-version: "))
        .collect();
    assert_eq!(offered, remote_command::PROTOCOLS);
    let switched = answer.unwrap().switched().unwrap();
    assert_eq!(switched.protocol(), Some("v3.channel.k8s.io"));
    assert_eq!(switched.response().status(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_names_no_protocol_or_a_foreign_one() {
    for lines in ["", "X-Stream-Protocol-Version: \r\n"] {
        let (answer, _) = answered(remote_command::PROTOCOLS, answer(lines)).await;
        let switched = answer.unwrap().switched().unwrap();
        assert_eq!(switched.protocol(), None);
        let version = Version::negotiated(switched.protocol()).unwrap();
        assert_eq!(version, Version::V1);
        assert!(port_forward::check(switched.protocol()).is_err());
    }
    let foreign = answer("X-Stream-Protocol-Version: v9.channel.k8s.io\r\n");
    let (answer, _) = answered(remote_command::PROTOCOLS, foreign).await;
    let error = answer.unwrap_err();
    assert!(error.is_negotiation(), "{error}");
    assert!(
        error
            .to_string()
            .contains("the server chose v9.channel.k8s.io"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_comes_with_its_status_headers_and_body() {
    let body = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"p\" not found","reason":"NotFound","code":404}"#;
    let response = format!(
        "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\naudit-id: 7\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (answer, _) = answered(remote_command::PROTOCOLS, response.into_bytes()).await;
    let Answer::Refused(refused) = answer.unwrap() else {
        panic!("404 does not switch");
    };
    assert_eq!(
        refused.to_string(),
        "NotFound from server: pods \"p\" not found"
    );
    let status = refused.status().unwrap();
    assert_eq!(
        (status.code, status.reason.as_str()),
        (Some(404), "NotFound")
    );
    let response: Response<Bytes> = refused.into_response();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["audit-id"], "7");
    assert_eq!(response.body(), body, "left as it is");

    let text =
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 100\r\n\r\nno protocol is shared\n".to_vec();
    let (answer, _) = answered(remote_command::PROTOCOLS, text).await;
    let error = answer.unwrap().switched().unwrap_err();
    assert!(
        error.is_negotiation() && error.to_string().contains("403 Forbidden"),
        "{error}"
    );
    let said = std::error::Error::source(&error).unwrap().to_string();
    // Its body breaks off, and says something all the same.
    assert_eq!(said, "unable to upgrade connection: no protocol is shared");
    assert!(error.to_string().starts_with("the peer refused to switch"));

    for (body, says) in [
        (
            "",
            "unable to upgrade connection; the server does not say why",
        ),
        ("unable to upgrade: no\n", "unable to upgrade: no"),
    ] {
        let text = format!(
            "HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let (answer, _) = answered(remote_command::PROTOCOLS, text.into_bytes()).await;
        let error = answer.unwrap().switched().unwrap_err();
        let said = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(said, says);
    }
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_refusal_is_bounded() {
    let mut response = b"HTTP/1.1 500 Oops\r\ncontent-length: 300000\r\n\r\n".to_vec();
    response.extend(vec![b'x'; 300_000]);
    let (answer, _) = answered(remote_command::PROTOCOLS, response).await;
    let Answer::Refused(refused) = answer.unwrap() else {
        panic!("500 does not switch");
    };
    assert_eq!(refused.response().body().len(), 64 << 10);
    assert!(refused.to_string().len() < 600);
}

#[test]
fn a_client_of_spdystream_compresses_nothing_and_a_server_does() {
    let off = Config::spdystream_client().compression();
    assert!(matches!(off, HeaderCompression::Off));
    let level = Config::spdystream_server().compression();
    assert!(matches!(level, HeaderCompression::Level(_)));
}
