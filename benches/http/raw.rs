//! Byte streams without HTTP services: ours against `h2`.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use spdy::headers::HeaderBlock;
use spdy::stream::{Incoming, OpenOptions, Session};
use tokio::sync::Mutex;

use crate::http::{CONNECTION_WINDOW, FRAME, STREAM_WINDOW, STREAMS};
use crate::net::Io;

/// What is written to a stream.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) chunk: Bytes,
    pub(crate) chunks: usize,
}

/// An implementation of streams.
pub(crate) trait Raw: Sized + 'static {
    /// A connection at the sending end.
    type Sender: Send + Sync + 'static;

    /// Reads every stream to its end, then ends its own direction.
    fn sink(io: Io) -> impl Future<Output = ()> + Send + 'static;

    fn connect(io: Io) -> impl Future<Output = Self::Sender> + Send;

    /// Writes one stream and waits until the peer has read all of it.
    fn push(sender: &Self::Sender, load: Load) -> impl Future<Output = ()> + Send;

    /// A round trip of PING.
    fn ping(sender: &Self::Sender) -> impl Future<Output = Duration> + Send;
}

pub(crate) struct Spdy;

fn config(config: spdy::Config) -> spdy::Config {
    config
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        .initial_max_open_streams(STREAMS)
}

impl Raw for Spdy {
    type Sender = Session;

    async fn sink(io: Io) {
        async fn read(incoming: Incoming) -> spdy::Result<()> {
            let (mut send, mut recv) = incoming.reply(HeaderBlock::empty())?.split();
            while recv.data().await?.is_some() {}
            send.finish()
        }
        let (session, connection) = Session::server(io, config(spdy::Config::server()));
        tokio::spawn(async { drop(connection.await) });
        // The client just leaves.
        while let Ok(Some(incoming)) = session.accept().await {
            tokio::spawn(async { drop(read(incoming).await) });
        }
    }

    async fn connect(io: Io) -> Session {
        let (session, connection) = Session::client(io, config(spdy::Config::client()));
        tokio::spawn(async { drop(connection.await) });
        session
    }

    async fn push(session: &Session, load: Load) {
        let mut headers = HeaderBlock::builder();
        headers.push("kind", b"bench").expect("a header");
        let options = OpenOptions::new();
        let stream = session.open(headers.finish(), options).await;
        let (mut send, mut recv) = stream.expect("a stream").split();
        for _ in 0..load.chunks {
            send.send(load.chunk.clone()).await.expect("a write");
        }
        send.finish().expect("an end");
        recv.reply().await.expect("a reply");
        assert!(recv.data().await.expect("the end").is_none());
    }

    async fn ping(session: &Session) -> Duration {
        session.ping().await.expect("an echo")
    }
}

pub(crate) struct H2;

/// A connection of `h2`, and what is needed to measure a PING on it.
pub(crate) struct H2Sender {
    sender: h2::client::SendRequest<Bytes>,
    ping: Mutex<h2::PingPong>,
}

impl Raw for H2 {
    type Sender = H2Sender;

    async fn sink(io: Io) {
        async fn read(
            request: http::Request<h2::RecvStream>,
            mut respond: h2::server::SendResponse<Bytes>,
        ) -> Result<(), h2::Error> {
            let mut send = respond.send_response(http::Response::new(()), false)?;
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                let len = data?.len();
                body.flow_control().release_capacity(len)?;
            }
            send.send_data(Bytes::new(), true)
        }
        let mut connection = h2::server::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_concurrent_streams(STREAMS)
            .handshake(io)
            .await
            .expect("a handshake");
        // The client just leaves.
        while let Some(Ok((request, respond))) = connection.accept().await {
            tokio::spawn(async { drop(read(request, respond).await) });
        }
    }

    async fn connect(io: Io) -> H2Sender {
        let (sender, mut connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .initial_max_send_streams(STREAMS as usize)
            .handshake(io)
            .await
            .expect("a handshake");
        let ping = connection.ping_pong().expect("the only one");
        tokio::spawn(async { drop(connection.await) });
        H2Sender {
            sender,
            ping: Mutex::new(ping),
        }
    }

    async fn push(sender: &H2Sender, load: Load) {
        let request = http::Request::post("http://bench.example/").body(());
        let sender = sender.sender.clone().ready().await;
        let (response, mut send) = sender
            .expect("a connection")
            .send_request(request.expect("a request"), false)
            .expect("a stream");
        for _ in 0..load.chunks {
            send.reserve_capacity(load.chunk.len());
            while send.capacity() < load.chunk.len() {
                let capacity = poll_fn(|cx| send.poll_capacity(cx)).await;
                capacity.expect("an open stream").expect("capacity");
            }
            send.send_data(load.chunk.clone(), false).expect("a write");
        }
        send.send_data(Bytes::new(), true).expect("an end");
        let mut body = response.await.expect("a reply").into_body();
        assert!(
            body.data()
                .await
                .is_none_or(|end| end.expect("the end").is_empty())
        );
    }

    async fn ping(sender: &H2Sender) -> Duration {
        let mut ping = sender.ping.lock().await;
        let start = tokio::time::Instant::now();
        ping.ping(h2::Ping::opaque()).await.expect("an echo");
        start.elapsed()
    }
}

/// Writes `streams` streams at once.
pub(crate) async fn push_all<R: Raw>(
    sender: std::sync::Arc<R::Sender>,
    streams: usize,
    load: Load,
) {
    let mut tasks = Vec::new();
    for _ in 0..streams {
        let (sender, load) = (std::sync::Arc::clone(&sender), load.clone());
        tasks.push(tokio::spawn(async move {
            R::push(&sender, load).await;
        }));
    }
    for task in tasks {
        task.await.expect("a stream");
    }
}
