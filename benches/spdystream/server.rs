//! Our server, by the public API alone. It does what the one in `go_bench.go` does.

use std::io::Read;

use bytes::Bytes;
use spdy::headers::HeaderBlock;
use spdy::stream::{Incoming, Session};
use spdy::{Config, Overflow};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What io.Copy of Go copies at once.
const COPY: usize = 32 << 10;

/// Serves until stdin ends.
pub(crate) fn run(overflow: Overflow, threads: Option<usize>) {
    let runtime = match threads {
        Some(1) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build(),
        // As many as there are cores, as Go has.
        None => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build(),
        Some(threads) => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build(),
    };
    let runtime = runtime.expect("a runtime");
    // A bench that dies leaves no server behind: its end of our stdin closes with it.
    std::thread::spawn(|| {
        let mut nothing = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut nothing);
        std::process::exit(0);
    });
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("LISTENING {}", listener.local_addr().expect("bound").port());
        loop {
            let (io, _) = listener.accept().await.expect("a connection");
            tokio::spawn(serve(io, overflow));
        }
    });
}

async fn serve(io: TcpStream, overflow: Overflow) {
    io.set_nodelay(true).expect("TCP_NODELAY");
    let config = Config::spdystream_server().overflow(overflow);
    let (session, connection) = Session::server(io, config);
    // The client just leaves.
    tokio::spawn(async { drop(connection.await) });
    while let Ok(Some(incoming)) = session.accept().await {
        tokio::spawn(async {
            let mode = incoming.headers().get("mode").map(<[u8]>::to_vec);
            // One that was given up by `Overflow::Reset` is part of what is measured.
            match answer(incoming).await {
                Err(error) if mode.as_deref() != Some(b"hold") => eprintln!("spdystream: {error}"),
                _ => {}
            }
        });
    }
}

async fn answer(incoming: Incoming) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let number = |name| -> usize {
        let text = incoming.headers().get(name).unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        text.parse().expect("a number in the headers")
    };
    let mode = incoming.headers().get("mode").unwrap_or_default().to_vec();
    let (mut bytes, chunk) = (number("bytes"), number("chunk"));
    let (mut send, mut recv) = incoming.reply(HeaderBlock::empty())?.split();
    match mode.as_slice() {
        b"hold" => std::future::pending().await,
        b"sink" => while recv.data().await?.is_some() {},
        b"source" => {
            // Not before the client reads all of its streams: one unread would stop that peer.
            while recv.data().await?.is_some() {}
            let buffer = Bytes::from(vec![0; chunk]);
            while bytes > 0 {
                let n = chunk.min(bytes);
                send.send(buffer.slice(..n)).await?;
                bytes -= n;
            }
        }
        b"echo" => {
            while let Some(chunk) = recv.data().await? {
                send.send(chunk).await?;
            }
        }
        b"copy" => {
            let mut recv = BufReader::with_capacity(COPY, recv);
            tokio::io::copy_buf(&mut recv, &mut send).await?;
        }
        other => panic!("no mode {}", String::from_utf8_lossy(other)),
    }
    send.shutdown().await?;
    Ok(())
}
