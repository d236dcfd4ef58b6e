//! Our raw client against the Go package spdystream as the server: it mirrors every stream. See peers/go_peer.go.

use std::time::Duration;

use futures_util::future::join_all;
use spdy::frame::ResetStatus;
use spdy::headers::HeaderBlock;
use spdy::stream::{OpenOptions, Session, Stream};
use spdy::{Config, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::mirror::{LEAVE, block, exchange, kubernetes};
use crate::pattern::Noise;
use crate::peer::{LONG, Server, until, within};

async fn connect(server: &Server) -> (Session, JoinHandle<spdy::Result<()>>) {
    let io = TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap();
    io.set_nodelay(true).unwrap();
    let config = kubernetes(Config::client()).early_goaway(false);
    let (session, connection) = Session::client(io, config);
    (session, tokio::spawn(connection))
}

/// A test on one connection, which has to end well.
async fn on_connection(test: impl AsyncFnOnce(&Session)) {
    within(LONG, async {
        let server = Server::go().await;
        let (session, connection) = connect(&server).await;
        test(&session).await;
        assert_eq!(session.stream_count(), 0);
        session.shutdown();
        connection
            .await
            .unwrap()
            .expect("the end of the connection");
    })
    .await;
}

/// A stream that the server has replied to.
async fn open(session: &Session, headers: HeaderBlock) -> Result<Stream, Error> {
    let mut stream = session.open(headers, OpenOptions::new()).await?;
    let reply = stream.reply().await?;
    assert_eq!(reply.get("x-mirror"), Some(&b"yes"[..]));
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers() {
    on_connection(async |session| {
        let mut headers = HeaderBlock::builder();
        headers.push("streamtype", b"data").unwrap();
        headers.push_values("multi", [&b"one"[..], b"two"]).unwrap();
        headers.push("empty", b"").unwrap();
        let mut stream = session
            .open(headers.finish(), OpenOptions::new())
            .await
            .unwrap();
        let reply = stream.reply().await.unwrap();
        assert_eq!(reply.get("x-echo-streamtype"), Some(&b"data"[..]));
        let multi: Vec<_> = reply.values("x-echo-multi").collect();
        assert_eq!(multi, [&b"one"[..], b"two"]);
        assert_eq!(reply.get("x-echo-empty"), Some(&b""[..]));
        exchange(stream, 1, 0, 1).await;
    })
    .await;
}

/// 200 streams of 4 KiB each way, open at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_at_once() {
    const STREAMS: usize = 200;
    on_connection(async |session| {
        let opening = (0..STREAMS).map(async |i| {
            let number = i.to_string();
            let stream = open(session, block(&[("number", &number)])).await.unwrap();
            (i as u64, stream)
        });
        let streams = join_all(opening).await;
        assert_eq!(session.stream_count(), STREAMS);
        let exchanges = streams
            .into_iter()
            .map(|(seed, stream)| exchange(stream, seed, 4096, 512));
        join_all(exchanges).await;
    })
    .await;
}

/// 200 streams at once move 100 MiB each way, half-closed before their last bytes are back; 40 more are reset in the middle,
/// and PINGs are answered all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm() {
    const STREAMS: u64 = 200;
    const RESETS: u64 = 40;
    const CHUNK: usize = 32 << 10;
    let length = (100 << 20) / 200 / CHUNK * CHUNK;
    on_connection(async |session| {
        let opening = (0..STREAMS + RESETS).map(async |seed| {
            let stream = open(session, HeaderBlock::empty()).await.unwrap();
            (seed, stream)
        });
        let mut moving = JoinSet::new();
        for (seed, mut stream) in join_all(opening).await {
            if seed < STREAMS {
                moving.spawn(exchange(stream, seed, length, CHUNK));
                continue;
            }
            moving.spawn(async move {
                let mut noise = Noise::new(seed);
                for _ in 0..4 {
                    stream.write_all(&noise.take(CHUNK)).await.unwrap();
                    let mut back = vec![0; CHUNK / 2];
                    stream.read_exact(&mut back).await.unwrap();
                }
                stream.reset(ResetStatus::CANCEL);
            });
        }
        let mut pings = 0;
        while !moving.is_empty() {
            assert!(session.ping().await.unwrap() < LEAVE);
            pings += 1;
            let pause = Duration::from_millis(50);
            while let Ok(Some(done)) = timeout(pause, moving.join_next()).await {
                done.unwrap();
            }
        }
        assert!(pings > 1, "no PING was answered while bytes were moved");
        // What was reset has left nothing: the connection still takes new streams.
        exchange(
            open(session, HeaderBlock::empty()).await.unwrap(),
            999,
            4096,
            4096,
        )
        .await;
    })
    .await;
}

/// 100 MiB each way on one stream, far beyond the windows that neither side keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk() {
    on_connection(async |session| {
        for chunk in [1000, 64 << 10, 1 << 20] {
            let stream = open(session, HeaderBlock::empty()).await.unwrap();
            let length = (100 << 20) / chunk * chunk;
            exchange(stream, 7, length, chunk).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_close() {
    on_connection(async |session| {
        // Nothing at all, either way; once with the end in the SYN_STREAM.
        let empty = open(session, HeaderBlock::empty()).await.unwrap();
        exchange(empty, 1, 0, 1).await;
        let ended = session.open(HeaderBlock::empty(), OpenOptions::new().fin(true));
        let mut ended = ended.await.unwrap();
        ended.reply().await.unwrap();
        let mut rest = Vec::new();
        assert_eq!(ended.read_to_end(&mut rest).await.unwrap(), 0);
        drop(ended);

        // The other direction goes on behind our end.
        let mut stream = open(session, HeaderBlock::empty()).await.unwrap();
        stream.write_all(b"first").await.unwrap();
        let mut first = [0; 5];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"first");
        stream.write_all(b"last").await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(!stream.recv_half().is_end());
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last");
        assert!(stream.recv_half().is_end());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ping() {
    on_connection(async |session| {
        for _ in 0..10 {
            assert!(session.ping().await.unwrap() < LEAVE);
        }
    })
    .await;
}

/// Half of the streams are reset while the others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset() {
    on_connection(async |session| {
        let streams = (0..20).map(async |i| {
            let mut stream = open(session, HeaderBlock::empty()).await.unwrap();
            if i % 2 == 0 {
                stream.write_all(&Noise::new(i).take(4096)).await.unwrap();
                stream.reset(ResetStatus::CANCEL);
                let error = stream.write_all(b"more").await.unwrap_err();
                let error = error.downcast::<Error>().unwrap();
                assert!(error.is_canceled() && !error.is_remote(), "{error}");
            } else {
                exchange(stream, i, 65536, 4096).await;
            }
        });
        join_all(streams).await;
        let after = open(session, HeaderBlock::empty()).await.unwrap();
        exchange(after, 99, 4096, 4096).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuse() {
    on_connection(async |session| {
        let live = open(session, HeaderBlock::empty()).await.unwrap();
        let error = open(session, block(&[("reject", "1")])).await.unwrap_err();
        assert_eq!(error.reset_status(), Some(ResetStatus::REFUSED_STREAM));
        assert!(error.is_retryable() && error.is_remote(), "{error}");
        exchange(live, 1, 4096, 4096).await;
    })
    .await;
}

/// The server says GOAWAY behind the last stream and closes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goaway() {
    within(LONG, async {
        let server = Server::go().await;
        let (session, connection) = connect(&server).await;
        let stream = open(&session, block(&[("goaway", "1")])).await.unwrap();
        exchange(stream, 1, 4096, 4096).await;
        until(async || session.is_closing()).await;
        let error = session
            .open(HeaderBlock::empty(), OpenOptions::new())
            .await
            .unwrap_err();
        assert!(error.is_retryable(), "{error}");
        within(LEAVE, connection).await.unwrap().unwrap();
        session.closed().await;
    })
    .await;
}

/// We say GOAWAY while a stream is open: it is finished first, because this peer stops at GOAWAY.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_goaway_waits_for_open_streams() {
    within(LONG, async {
        let server = Server::go().await;
        let (session, connection) = connect(&server).await;
        let stream = open(&session, HeaderBlock::empty()).await.unwrap();
        session.shutdown();
        let error = session
            .open(HeaderBlock::empty(), OpenOptions::new())
            .await
            .unwrap_err();
        assert!(error.is_retryable(), "{error}");
        exchange(stream, 1, 1 << 20, 4096).await;
        within(LEAVE, connection).await.unwrap().unwrap();
        session.closed().await;
    })
    .await;
}
