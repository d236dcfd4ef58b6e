//! The raw server that the Go client talks to, and what both directions share.

use std::time::Duration;

use spdy::frame::ResetStatus;
use spdy::headers::HeaderBlock;
use spdy::stream::{Incoming, Session, Stream};
use spdy::{Config, FlowControl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::pattern::Noise;

/// How Kubernetes peers have to be treated: no windows, no SETTINGS, many streams.
pub(crate) fn kubernetes(config: Config) -> Config {
    config
        .flow_control(FlowControl::Off)
        .announce_settings(false)
        .max_concurrent_streams(4096)
        .initial_max_open_streams(4096)
}

/// A header block of these pairs.
pub(crate) fn block(fields: &[(&str, &str)]) -> HeaderBlock {
    let mut block = HeaderBlock::builder();
    for (name, value) in fields {
        block.push(name, value.as_bytes()).unwrap();
    }
    block.finish()
}

/// Waits for one connection and mirrors its streams until it ends; how it ended.
pub(crate) async fn serve_one(listener: TcpListener, config: Config) -> spdy::Result<()> {
    let (io, _) = listener.accept().await.unwrap();
    io.set_nodelay(true).unwrap();
    let (session, connection) = Session::server(io, config);
    let connection = tokio::spawn(connection);
    let mut streams = JoinSet::new();
    while let Some(incoming) = session.accept().await? {
        streams.spawn(mirror(session.clone(), incoming));
    }
    for end in streams.join_all().await {
        // A reset by the client is part of a scenario.
        if let Err(error) = end {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
    connection.await.unwrap()
}

async fn mirror(session: Session, incoming: Incoming) -> std::io::Result<()> {
    if incoming.headers().get("reject").is_some() {
        incoming.reject(ResetStatus::REFUSED_STREAM);
        return Ok(());
    }
    let goaway = incoming.headers().get("goaway").is_some();
    let mut reply = HeaderBlock::builder();
    reply.push("x-mirror", b"yes").unwrap();
    for (name, _) in incoming.headers().iter() {
        let values = incoming.headers().values(name);
        reply
            .push_values(&format!("x-echo-{name}"), values)
            .unwrap();
    }
    let (mut send, mut recv) = incoming.reply(reply.finish())?.split();
    tokio::io::copy(&mut recv, &mut send).await?;
    send.shutdown().await?;
    if goaway {
        session.shutdown();
    }
    Ok(())
}

/// Sends `length` bytes of noise in writes of `chunk` bytes while the mirrored bytes are read and compared; half-closes,
/// and expects the same of the peer.
pub(crate) async fn exchange(stream: Stream, seed: u64, length: usize, chunk: usize) {
    let (mut send, mut recv) = stream.split();
    let writing = async {
        let mut noise = Noise::new(seed);
        for _ in 0..length / chunk {
            send.write_all(&noise.take(chunk)).await.unwrap();
        }
        send.shutdown().await.unwrap();
    };
    let reading = async {
        let mut noise = Noise::new(seed);
        let mut buffer = vec![0; chunk];
        for number in 0..length / chunk {
            recv.read_exact(&mut buffer).await.unwrap();
            assert!(
                buffer == noise.take(chunk),
                "chunk {number} came back changed"
            );
        }
        assert_eq!(
            recv.read(&mut buffer).await.unwrap(),
            0,
            "more than was sent"
        );
    };
    tokio::join!(writing, reading);
}

/// How long a peer that has seen GOAWAY may take to leave.
pub(crate) const LEAVE: Duration = Duration::from_secs(10);
