//! Raw byte streams without HTTP: a server that mirrors every stream, and a client that uses a few at once.
//!
//! `cargo run --example echo_raw`

use spdy::Config;
use spdy::headers::HeaderBlock;
use spdy::stream::{Incoming, OpenOptions, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Answers one stream with its own bytes until its peer half-closes.
async fn mirror(incoming: Incoming) -> Result<(), BoxError> {
    let name = incoming.headers().get("name").unwrap_or(b"?").to_vec();
    let stream = incoming.reply(HeaderBlock::empty())?;
    let (mut send, mut recv) = stream.split();
    let bytes = tokio::io::copy(&mut recv, &mut send).await?;
    send.shutdown().await?;
    println!(
        "server: mirrored {bytes} bytes of stream {}",
        String::from_utf8_lossy(&name)
    );
    Ok(())
}

async fn serve(listener: TcpListener) -> Result<(), BoxError> {
    let (io, _) = listener.accept().await?;
    io.set_nodelay(true)?;
    let (session, connection) = Session::server(io, Config::server());
    let driver = tokio::spawn(connection);
    while let Some(incoming) = session.accept().await? {
        tokio::spawn(async move {
            if let Err(error) = mirror(incoming).await {
                eprintln!("server: {error}");
            }
        });
    }
    driver.await??;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if let Some(argument) = std::env::args().nth(1) {
        return Err(format!("echo_raw takes no arguments, but got {argument:?}").into());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(serve(listener));

    let io = TcpStream::connect(address).await?;
    io.set_nodelay(true)?;
    let (session, connection) = Session::client(io, Config::client());
    let driver = tokio::spawn(connection);

    let mut tasks = Vec::new();
    for i in 0..5 {
        let session = session.clone();
        tasks.push(tokio::spawn(async move {
            let mut headers = HeaderBlock::builder();
            headers.push("name", format!("no-{i}").as_bytes())?;
            let stream = session.open(headers.finish(), OpenOptions::new()).await?;
            let sent: Vec<u8> = (0..=255).cycle().take(100_000 * (i + 1)).collect();
            let (mut send, mut recv) = stream.split();
            let mut received = Vec::new();
            let (written, read) = tokio::join!(
                async {
                    send.write_all(&sent).await?;
                    send.shutdown().await
                },
                recv.read_to_end(&mut received),
            );
            written?;
            read?;
            assert!(received == sent, "the mirror changed the bytes");
            Ok::<_, BoxError>(received.len())
        }));
    }
    for task in tasks {
        println!("client: got {} bytes back", task.await??);
    }
    println!("client: round trip {:?}", session.ping().await?);
    session.shutdown();
    driver.await??;
    server.await??;
    Ok(())
}
