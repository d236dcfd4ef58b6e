//! A tungstenite client of an axum server, over TCP.

use std::future::ready;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use spdy::headers::HeaderBlock;
use spdy::kube::port_forward::{Client, WEBSOCKET_PROTOCOL};
use spdy::stream::OpenOptions;
use spdy::ws::{Content, Tunnel};
use spdy::{Config, FlowControl, Timeout};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;

type WebSocket = WebSocketStream<TcpStream>;
type Ended = mpsc::UnboundedReceiver<spdy::Result<()>>;

#[derive(Clone)]
struct App {
    ended: mpsc::UnboundedSender<spdy::Result<()>>,
    /// Instead of a session the server sends this, and nothing else.
    says: Option<axum::extract::ws::Message>,
}

async fn port_forward(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.protocols([WEBSOCKET_PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let upgrade = upgrade.max_message_size(256 << 10);
    upgrade.on_upgrade(|mut socket| async move {
        if let Some(message) = app.says {
            socket.send(message).await.unwrap();
            // Until the peer has closed.
            while let Some(Ok(_)) = socket.recv().await {}
            return;
        }
        let (session, connection) =
            Session::server(Tunnel::new(socket), Config::spdystream_server());
        spawn(serve_echo(session));
        drop(app.ended.send(connection.await));
    })
}

/// A server, and how its sessions end.
async fn serve(says: Option<axum::extract::ws::Message>) -> (SocketAddr, Ended) {
    let (ended, outcomes) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", any(port_forward));
    let app = app.with_state(App { ended, says });
    spawn(async move { axum::serve(listener, app).await });
    (address, outcomes)
}

async fn dial(address: SocketAddr, protocol: &str) -> Result<WebSocket, tungstenite::Error> {
    let io = TcpStream::connect(address).await.unwrap();
    io.set_nodelay(true).unwrap();
    let uri = format!("ws://{address}/").parse().unwrap();
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(protocol);
    let (socket, _) = within("the handshake", client_async(request, io)).await?;
    Ok(socket)
}

async fn connected() -> (WebSocket, Ended) {
    let (address, ended) = serve(None).await;
    (dial(address, WEBSOCKET_PROTOCOL).await.unwrap(), ended)
}

async fn outcome(ended: &mut Ended) -> spdy::Result<()> {
    within("the server's session", ended.recv()).await.unwrap()
}

/// What the server still sends: its bytes, and its Close.
async fn rest(socket: &mut WebSocket) -> (Vec<u8>, Option<CloseFrame>) {
    let mut bytes = Vec::new();
    loop {
        match within("a message", socket.next()).await {
            Some(Ok(Message::Binary(part))) => bytes.extend_from_slice(&part),
            Some(Ok(Message::Close(frame))) => return (bytes, frame),
            Some(Ok(_)) => {}
            other => panic!("expected a Close, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn another_subprotocol_is_refused() {
    let (address, _ended) = serve(None).await;
    let error = dial(address, "v4.channel.k8s.io").await.unwrap_err();
    let tungstenite::Error::Http(response) = error else {
        panic!("{error}");
    };
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_hundred_connections_go_through_one_websocket() {
    let (socket, mut ended) = connected().await;
    let (session, connection) = Session::client(Tunnel::new(socket), Config::spdystream_client());
    let running = spawn(connection);
    let client = Client::new(session);
    let bytes = pattern(0, 200_000);
    let connections = (0..100).map(|n| {
        let (client, bytes) = (&client, &bytes);
        async move {
            if n % 10 == 3 {
                let mut forwarded = client.connect(1).await.unwrap();
                let error = forwarded.read_u8().await.unwrap_err();
                assert!(error.to_string().contains("port 1"), "{error}");
            } else {
                echo(client, &bytes[n..n * 2000]).await;
            }
        }
    });
    within("all connections", join_all(connections)).await;
    assert_eq!(client.session().stream_count(), 0);
    drop(client);
    within("the client", running).await.unwrap().unwrap();
    outcome(&mut ended).await.unwrap();
}

/// Puts a client's session on a WebSocket by hand: each piece of its bytes in three frames with Pings between them.
fn fragmented(socket: WebSocket) -> (Client, JoinHandle<()>) {
    let (ours, theirs) = duplex(100_000);
    let (session, connection) = Session::client(ours, Config::spdystream_client());
    spawn(connection);
    let (mut read, mut write) = split(theirs);
    let (mut sink, mut stream) = socket.split();
    spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(bytes) = message {
                write.write_all(&bytes).await.unwrap();
            }
        }
    });
    let relay = spawn(async move {
        let mut buf = vec![0; 10_000];
        while let n @ 1.. = read.read(&mut buf).await.unwrap() {
            let bytes = Bytes::copy_from_slice(&buf[..n]);
            let (first, second) = (n / 3, n / 2);
            let frames = [
                (Data::Binary, bytes.slice(..first), false),
                (Data::Continue, bytes.slice(first..second), false),
                (Data::Continue, bytes.slice(second..), true),
            ];
            for (kind, part, is_final) in frames {
                let frame = Frame::message(part, OpCode::Data(kind), is_final);
                sink.send(Message::Frame(frame)).await.unwrap();
                sink.send(Message::Ping(Bytes::from_static(b"?")))
                    .await
                    .unwrap();
            }
            sink.send(Message::Pong(Bytes::new())).await.unwrap();
            sink.send(Message::Binary(Bytes::new())).await.unwrap();
        }
        let normal = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        sink.send(Message::Close(Some(normal))).await.unwrap();
    });
    (Client::new(session), relay)
}

#[tokio::test]
async fn fragments_with_pings_between_them_are_whole_messages() {
    let (socket, mut ended) = connected().await;
    let (client, relay) = fragmented(socket);
    let bytes = pattern(0, 300_000);
    tokio::join!(echo(&client, &bytes), echo(&client, b"x"));
    drop(client);
    within("the relay", relay).await.unwrap();
    outcome(&mut ended).await.unwrap();
}

#[tokio::test]
async fn the_servers_goaway_precedes_its_close() {
    let (mut socket, mut ended) = connected().await;
    // A frame that is none ends the session.
    let nonsense = Bytes::from_static(&[0x80, 3, 0, 1, 0, 0, 0, 0]);
    socket.send(Message::Binary(nonsense)).await.unwrap();
    let (bytes, close) = rest(&mut socket).await;
    assert!(bytes.len() >= 16 && bytes[bytes.len() - 16..].starts_with(&[0x80, 3, 0, 7]));
    let close = close.unwrap();
    assert_eq!((close.code, close.reason.as_str()), (CloseCode::Normal, ""));
    outcome(&mut ended).await.unwrap_err();
}

#[tokio::test]
async fn text_is_refused_with_1003_and_an_error_that_says_so() {
    let (mut socket, mut ended) = connected().await;
    socket.send(Message::text("hello")).await.unwrap();
    let (bytes, close) = rest(&mut socket).await;
    assert!(bytes.is_empty(), "{bytes:?}");
    assert_eq!(close.unwrap().code, CloseCode::Unsupported);
    let text = told(&outcome(&mut ended).await.unwrap_err());
    assert!(text.contains("a text message came"), "{text}");
}

#[tokio::test]
async fn the_code_of_a_clients_close_decides_how_the_session_has_ended() {
    for (code, expected) in [
        (Some(CloseCode::Normal), None),
        (Some(CloseCode::Away), Some("the code 1001: \"bye\"")),
        (Some(CloseCode::Error), Some("the code 1011: \"bye\"")),
        (None, Some("without a code")),
    ] {
        let (mut socket, mut ended) = connected().await;
        let frame = code.map(|code| CloseFrame {
            code,
            reason: "bye".into(),
        });
        socket.close(frame.clone()).await.unwrap();
        let (bytes, answer) = rest(&mut socket).await;
        assert!(bytes.is_empty(), "{bytes:?}");
        assert_eq!(
            answer.map(|answer| answer.code),
            code,
            "the library answers"
        );
        let outcome = outcome(&mut ended).await;
        match expected {
            None => outcome.unwrap(),
            Some(expected) => {
                let text = told(&outcome.unwrap_err());
                assert!(text.contains(expected), "{text}");
            }
        }
        // And the server closes the connection.
        assert!(within("the end", socket.next()).await.is_none());
    }
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_session_with_an_error() {
    let (socket, mut ended) = connected().await;
    drop(socket);
    let error = outcome(&mut ended).await.unwrap_err();
    assert!(error.is_io(), "{error}");
}

#[tokio::test]
async fn a_message_above_the_limit_ends_the_session_and_is_named() {
    let (mut socket, mut ended) = connected().await;
    socket
        .send(Message::binary(vec![0; 300 << 10]))
        .await
        .unwrap();
    let text = told(&outcome(&mut ended).await.unwrap_err());
    assert!(
        text.contains("too long") || text.contains("Too long"),
        "{text}"
    );
}

#[tokio::test]
async fn a_client_says_what_a_server_does_that_is_no_tunnel() {
    use axum::extract::ws;
    let closing = |code, reason: &'static str| {
        ws::Message::Close(Some(ws::CloseFrame {
            code,
            reason: ws::Utf8Bytes::from_static(reason),
        }))
    };
    for (says, expected) in [
        (ws::Message::Text("hello".into()), "a text message came"),
        (closing(1011, "no pod"), "the code 1011: \"no pod\""),
        (ws::Message::Close(None), "without a code"),
    ] {
        let (address, _ended) = serve(Some(says)).await;
        let socket = dial(address, WEBSOCKET_PROTOCOL).await.unwrap();
        let (_session, connection) =
            Session::client(Tunnel::new(socket), Config::spdystream_client());
        let error = within("the client", connection).await.unwrap_err();
        assert!(told(&error).contains(expected), "{}", told(&error));
    }
}

/// tungstenite holds 128 KiB for a peer that takes nothing, and takes more all the while.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_meets_the_write_timeout_whatever_the_library_holds() {
    let limit = Duration::from_secs(20);
    let (io, _peer) = duplex(1000);
    let socket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    let config = Config::client()
        .flow_control(FlowControl::Off)
        .write_timeout(limit);
    let (session, connection) = Session::client(Tunnel::new(socket), config);
    let running = spawn(connection);
    let opened = session.open(HeaderBlock::empty(), OpenOptions::new());
    let mut stream = within("open", opened).await.unwrap();
    let began = Instant::now();
    while stream.write_all(&[1; 500]).await.is_ok() {
        assert!(began.elapsed() < 2 * limit, "it goes on");
        sleep(Duration::from_millis(1900)).await;
    }
    let error = within("the end", running).await.unwrap().unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Write), "{error}");
    assert!(began.elapsed() >= limit, "{:?}", began.elapsed());
}

/// tungstenite's message, as one of a library that the crate does not know.
struct Mine(Message);

impl spdy::ws::Message for Mine {
    fn binary(bytes: Bytes) -> Self {
        Self(Message::Binary(bytes))
    }

    fn close(code: u16, reason: &'static str) -> Self {
        let (code, reason) = (code.into(), reason.into());
        Self(Message::Close(Some(CloseFrame { code, reason })))
    }

    fn into_content(self) -> Content {
        match self.0 {
            Message::Binary(bytes) => Content::Binary(bytes),
            Message::Text(_) => Content::Text,
            Message::Close(frame) => Content::Close {
                code: frame.as_ref().map(|frame| frame.code.into()),
                reason: String::new(),
            },
            _ => Content::Control,
        }
    }
}

#[tokio::test]
async fn the_messages_of_any_library_go_through_in_a_type_of_ones_own() {
    let (socket, mut ended) = connected().await;
    let socket = socket
        .map(|message| message.map(Mine))
        .with(|Mine(message)| ready(Ok::<_, tungstenite::Error>(message)));
    let (session, connection) = Session::client(Tunnel::new(socket), Config::spdystream_client());
    let running = spawn(connection);
    let client = Client::new(session.clone());
    let sizes = [1, 1000, 300_000].map(|size| pattern(size, size));
    join_all(sizes.iter().map(|bytes| echo(&client, bytes))).await;
    session.shutdown();
    within("the end", running).await.unwrap().unwrap();
    outcome(&mut ended).await.unwrap();
}

/// tungstenite keeps what the socket does not take, without a limit.
#[tokio::test]
async fn a_flood_of_pings_whose_answers_nobody_reads_is_not_taken() {
    let (socket, _ended) = connected().await;
    let mut io = socket.into_inner();
    // Masked with zeroes: a Ping of 125 bytes.
    let mut ping = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
    ping.extend_from_slice(&[7; 125]);
    let flood = ping.repeat(1000);
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), io.write_all(&flood)).await
    {
        written.unwrap();
        sent += flood.len();
        // What the system keeps on the way is a few megabytes.
        assert!(sent < 100 << 20, "it takes all");
    }
}
