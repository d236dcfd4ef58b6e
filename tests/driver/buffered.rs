//! Transports with a buffer of their own, as TLS and WebSockets have: they take writes that get nowhere, and only their
//! flush says so.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// Takes up to `capacity` bytes that the transport below does not.
struct Buffered {
    io: Io,
    buffer: BytesMut,
    capacity: usize,
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // As rustls does: whatever is below comes first.
        let emptied = self.as_mut().poll_flush(cx)?;
        let n = buf.len().min(self.capacity - self.buffer.len());
        if n == 0 {
            assert!(emptied.is_pending(), "nobody would wake the writer");
            return Poll::Pending;
        }
        self.buffer.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.buffer.is_empty() {
            let n = ready!(Pin::new(&mut this.io).poll_write(cx, &this.buffer))?;
            this.buffer.advance(n);
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A server, one stream of it, and its client, behind a buffer of this size.
async fn buffered(config: Config, capacity: usize) -> (Stream, Driver, Peer) {
    let (io, wire) = pipe();
    let io = Buffered {
        io,
        buffer: BytesMut::new(),
        capacity,
    };
    let (session, connection) = Session::server(io, config.write_timeout(LIMIT));
    let driver = spawn(connection);
    let mut peer = Peer::new(wire, Role::Client);
    peer.send(syn_stream(1)).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    let stream = incoming.reply(HeaderBlock::empty()).unwrap();
    while !matches!(
        within("the reply", peer.recv()).await,
        Some(Frame::SynReply(_))
    ) {}
    (stream, driver, peer)
}

async fn is_given_up_in_time(driver: Driver, start: Instant) {
    let error = outcome(driver).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Write));
    // The transport cannot be shut down either, which it gets a second for.
    assert_eq!(start.elapsed(), LIMIT + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_meets_the_write_timeout() {
    let (mut stream, driver, peer) = buffered(Config::server(), 64 << 10).await;
    peer.wire().set_out_capacity(0);
    let start = Instant::now();
    stream.write_all(b"x").await.unwrap();
    is_given_up_in_time(driver, start).await;
}

#[tokio::test(start_paused = true)]
async fn writes_that_the_buffer_takes_do_not_put_the_write_timeout_off() {
    let (mut stream, driver, peer) = buffered(Config::server(), 64 << 10).await;
    peer.wire().set_out_capacity(0);
    let start = Instant::now();
    // More than enough for an hour.
    while stream.write_all(b"a line of output\n").await.is_ok() {
        sleep(Duration::from_millis(1900)).await;
        assert!(start.elapsed() < 2 * LIMIT, "it goes on");
    }
    is_given_up_in_time(driver, start).await;
}

#[tokio::test(start_paused = true)]
async fn probes_of_a_pause_do_not_put_the_write_timeout_off() {
    let config = Config::spdystream_server()
        .unread_stream_limit(1000)
        .pause_probe_interval(Duration::from_secs(15));
    let (mut stream, driver, mut peer) = buffered(config, 64 << 10).await;
    peer.send(data(1, vec![1; 2000])).await;
    settle().await;
    peer.wire().set_out_capacity(0);
    let start = Instant::now();
    stream.write_all(b"x").await.unwrap();
    is_given_up_in_time(driver, start).await;
}

#[tokio::test(start_paused = true)]
async fn a_buffer_that_is_filled_again_and_again_is_progress() {
    let (mut stream, driver, peer) = buffered(Config::server(), 15_000).await;
    peer.wire().set_out_capacity(1000);
    // So that a flush is pending before there is more than fits.
    stream.write_all(&[1; 5000]).await.unwrap();
    settle().await;
    stream.write_all(&[1; 60_000]).await.unwrap();
    let start = Instant::now();
    let mut read = 0;
    while read < 65_000 {
        sleep(Duration::from_millis(1000)).await;
        let mut taken = BytesMut::new();
        read += peer.wire().read(&mut taken).await.unwrap();
        assert!(!driver.is_finished(), "after {:?}", start.elapsed());
    }
    assert!(start.elapsed() > 3 * LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_that_is_never_empty_nor_full_is_progress() {
    const STEP: usize = 16 << 10;
    let (mut stream, driver, mut peer) = buffered(Config::server(), 128 << 10).await;
    for id in [0, 1] {
        peer.send(window_update(id, 1 << 30)).await;
    }
    peer.wire().set_out_capacity(STEP);
    stream.write_all(&[1; 64 << 10]).await.unwrap();
    let start = Instant::now();
    while start.elapsed() < 5 * LIMIT {
        sleep(Duration::from_secs(1)).await;
        let mut taken = BytesMut::new();
        let read = peer.wire().read(&mut taken).await.unwrap();
        assert_eq!(read, STEP, "the buffer is empty");
        assert!(!driver.is_finished(), "after {:?}", start.elapsed());
        let written = stream.write_all(&[1; STEP - 8]);
        within("room in the buffer", written).await.unwrap();
        settle().await;
        assert!(peer.wire().unread_out() > 0, "the buffer is empty");
    }
}
