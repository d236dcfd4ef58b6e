//! Our HTTP client, ready to use.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body as _, Frame};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::SendRequest;
use spdy::{Body, Config};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::pattern;
use crate::process::wait;

pub(crate) type Payload = UnsyncBoxBody<Bytes, Infallible>;

pub(crate) fn empty() -> Payload {
    Empty::new().boxed_unsync()
}

/// A body whose length is known beforehand.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Payload {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body of the pattern whose length is not.
pub(crate) fn streamed(length: usize) -> Payload {
    let pieces = pattern::pieces(length, 10_000, std::time::Duration::ZERO);
    StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync()
}

/// One connection.
pub(crate) struct Client {
    pub(crate) send: SendRequest<Payload>,
    pub(crate) connection: JoinHandle<spdy::Result<()>>,
    port: u16,
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Self {
        Self::connect_with(port, Config::client()).await
    }

    pub(crate) async fn connect_with(port: u16, config: Config) -> Self {
        let io = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        io.set_nodelay(true).unwrap();
        let mut builder = spdy::client::Builder::new(TokioExecutor::new());
        builder.config(config);
        let (send, connection) = builder.handshake(TokioIo::new(io)).await.unwrap();
        Self {
            send,
            connection: tokio::spawn(connection),
            port,
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let uri = format!("http://127.0.0.1:{}{path}", self.port);
        Request::builder().method(method).uri(uri)
    }

    pub(crate) async fn send(&self, request: Request<Payload>) -> spdy::Result<Response<Body>> {
        let mut send = self.send.clone();
        send.ready().await?;
        send.send_request(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> spdy::Result<Response<Body>> {
        self.send(self.request("GET", path).body(empty()).unwrap())
            .await
    }

    /// GET, which has to be answered with 200; the whole body as text.
    pub(crate) async fn get_text(&self, path: &str) -> String {
        let response = self.get(path).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        text(response).await
    }

    /// GET, whose body has to be that much of the pattern.
    pub(crate) async fn get_pattern(&self, path: &str, length: usize) {
        let response = self.get(path).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(check_pattern(response.into_body()).await, length, "{path}");
    }

    /// Lets the connection end by itself, which has to go well.
    pub(crate) async fn finish(self) {
        drop(self.send);
        self.connection
            .await
            .unwrap()
            .expect("the end of the connection");
    }
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) async fn json(response: Response<Body>) -> serde_json::Value {
    serde_json::from_str(&text(response).await).unwrap()
}

/// Reads a body of the pattern to its end; its length.
pub(crate) async fn check_pattern(mut body: Body) -> usize {
    let mut check = pattern::Check::default();
    while let Some(frame) = body.frame().await {
        check.push(&frame.unwrap().into_data().expect("no trailers"));
    }
    assert!(body.is_end_stream());
    check.length()
}

/// What every way to an app has to carry: a small answer, many at once, a download, an upload with its length and one
/// without. `origin` ends in `/`; the app has the routes of app.rs, and those of ports.rs or node_server.js.
pub(crate) async fn exchanges(send: SendRequest<Payload>, origin: &str) {
    const MIB: usize = 1 << 20;
    let exchange = async |method: &str, path: &str, body| {
        let uri = format!("{origin}{path}");
        let request = Request::builder().method(method).uri(uri).body(body);
        let mut send = send.clone();
        wait("room for a request", send.ready()).await.unwrap();
        let response = send.send_request(request.unwrap());
        let response = wait("a response", response).await.unwrap();
        assert_eq!(response.status(), 200, "{method} {path}");
        response.into_body()
    };
    let hello = exchange("GET", "hello", empty()).await;
    let hello = wait("a body", hello.collect()).await.unwrap().to_bytes();
    assert_eq!(hello, "hello world");
    let lengths = (0..50).map(|n| 1000 + 37 * n);
    let many = lengths.map(async |length| {
        let body = exchange("GET", &format!("bytes/{length}"), empty()).await;
        assert_eq!(wait("a body", check_pattern(body)).await, length);
    });
    join_all(many).await;
    let download = exchange("GET", &format!("bytes/{MIB}"), empty()).await;
    let length = wait("the download", check_pattern(download)).await;
    assert_eq!(length, MIB);
    for upload in [full(pattern::whole(MIB)), streamed(MIB)] {
        let echo = exchange("POST", "echo", upload).await;
        assert_eq!(wait("the echo", check_pattern(echo)).await, MIB);
    }
}
