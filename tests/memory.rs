//! What a connection holds: bounds on memory, measured by a counting allocator. A binary of its own with one test
//! at a time, because the counter is global.

#![cfg(feature = "stream")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test panics"
)]

mod support;

use std::alloc::System;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use cap::Cap;
use spdy::frame::{Frame, ResetStatus, SettingId};
use spdy::headers::HeaderBlock;
use spdy::stream::{OpenOptions, Session, Stream};
use spdy::{Config, HeaderCompression};
use support::*;
use tokio::spawn;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The allocator counts for all threads: tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn measured(test: impl Future<Output = ()>) {
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test);
}

/// The bytes allocated now, beyond those at the start.
struct Baseline(usize);

impl Baseline {
    fn new() -> Self {
        Self(ALLOCATOR.allocated())
    }

    fn grown(&self) -> usize {
        ALLOCATOR.allocated().saturating_sub(self.0)
    }
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Beside what streams hold: buffers of the driver and the codec, task and test harness.
const FIXED: usize = 192 * KIB;

async fn accepted(session: &Session, peer: &mut Peer, id: u32) -> Stream {
    peer.send(syn_stream(id)).await;
    let incoming = within("accept", session.accept()).await.unwrap().unwrap();
    let stream = incoming.reply(HeaderBlock::empty()).unwrap();
    peer.expect_past_updates(syn_reply(id)).await;
    stream
}

/// A peer that keeps to our windows sends a body of `total` bytes in frames of `frame` bytes to a receiver that does
/// not read; then the receiver reads it to the end.
async fn unread_body(frame: usize, total: usize) {
    let window = 256 * KIB;
    let total = total / frame * frame;
    let (session, connection, mut peer) = server(Config::server());
    let driver = spawn(connection);
    peer.expect_preface().await;
    let mut stream = accepted(&session, &mut peer, 1).await;
    let wire = peer.encode(data(1, vec![7; frame]));
    let baseline = Baseline::new();
    let mut sent = 0;
    // The peer is allowed no more than this.
    while sent + frame <= window {
        peer.send_raw(&wire).await;
        sent += frame;
    }
    settle().await;
    peer.expect_quiet().await;
    assert_eq!(session.unread_bytes(), sent);
    let held = baseline.grown();
    let bound = 2 * sent + 64 * KIB + FIXED;
    println!("{frame}-byte frames: {held} bytes held for {sent} unread");
    assert!(held <= bound, "{held} bytes held, {bound} allowed");

    // The rest streams through in constant memory.
    let mut credit = 0;
    let mut read = 0;
    let mut most = 0;
    while read < total {
        let chunk = within("read", stream.recv_half().data()).await.unwrap();
        read += chunk.expect("more data").len();
        settle_briefly().await;
        while let Some(received) = now(peer.recv()).await {
            match received {
                Some(Frame::WindowUpdate(update)) if update.id.is_some() => {
                    credit += update.delta as usize;
                }
                Some(Frame::WindowUpdate(_)) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
        while credit >= frame && sent + frame <= total {
            peer.send_raw(&wire).await;
            sent += frame;
            credit -= frame;
        }
        most = most.max(baseline.grown());
    }
    println!("{frame}-byte frames: at most {most} bytes held while {read} were read");
    // The queue of the stream, and the read buffer of the connection that fills it.
    let bound = 2 * window + 72 * KIB + 64 * KIB + FIXED;
    assert!(most <= bound, "{most} bytes held, {bound} allowed");
    assert_eq!(session.unread_bytes(), sent - read);
    drop(stream);
    drop(session);
    peer.close();
    drop(within("the connection", driver).await);
}

async fn settle_briefly() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// The output if the future is ready.
async fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn an_unread_body_in_large_frames_holds_no_more_than_its_window() {
    measured(unread_body(16 * KIB, 1 << 30));
}

#[test]
fn an_unread_body_in_small_frames_holds_no_more_than_twice_its_window() {
    measured(unread_body(KIB, 64 * MIB));
}

#[test]
fn an_unread_body_in_tiny_frames_holds_no_more_than_twice_its_window() {
    measured(unread_body(100, 4 * MIB));
}

/// Many streams with a few unread bytes each, which arrive together: one kept slice must not pin a read buffer each.
#[test]
fn a_few_unread_bytes_on_many_streams_stay_small() {
    measured(async {
        for frame in [100, 1024, 4000] {
            let config = Config::server().max_concurrent_streams(2000);
            let (session, connection, mut peer) = server(config);
            let driver = spawn(connection);
            peer.expect_preface().await;
            let mut streams = Vec::new();
            for i in 0..500 {
                streams.push(accepted(&session, &mut peer, 2 * i + 1).await);
            }
            let baseline = Baseline::new();
            for i in 0..500 {
                peer.send(data(2 * i + 1, vec![1; frame])).await;
                settle_briefly().await;
            }
            settle().await;
            let held = baseline.grown();
            println!(
                "{frame} unread bytes on each of 500 streams: {} bytes held per stream",
                held / 500
            );
            assert!(held <= 2 * session.unread_bytes() + 500 * 64 * KIB + FIXED);
            // Far less, because small reads use small buffers.
            assert!(held <= 500 * 16 * KIB, "{} bytes per stream", held / 500);
            drop(streams);
            drop(session);
            peer.close();
            drop(within("the connection", driver).await);
        }
    });
}

#[test]
fn ten_thousand_idle_streams_stay_small() {
    const STREAMS: u32 = 10_000;
    measured(async {
        let config = Config::server().max_concurrent_streams(STREAMS);
        let (session, connection, mut peer) = server(config);
        let driver = spawn(connection);
        peer.expect_preface().await;
        let mut streams = Vec::with_capacity(STREAMS as usize);
        let baseline = Baseline::new();
        for i in 0..STREAMS {
            streams.push(accepted(&session, &mut peer, 2 * i + 1).await);
        }
        settle().await;
        let each = baseline.grown() / STREAMS as usize;
        println!("an idle stream takes {each} bytes at the server");
        assert!(each <= 1200, "{each} bytes per idle stream");
        drop(streams);
        settle().await;
        assert_eq!(session.stream_count(), 0);
        drop(session);
        peer.close();
        drop(within("the connection", driver).await);
    });
}

#[test]
fn an_idle_connection_is_small() {
    measured(async {
        let mut held = Vec::with_capacity(100);
        let config = || Config::server().header_compression(HeaderCompression::Off);
        for _ in 0..5 {
            // Whatever is created once is not counted.
            let (_session, connection, mut peer) = server(config());
            let driver = spawn(connection);
            peer.expect_preface().await;
            driver.abort();
        }
        settle().await;
        let baseline = Baseline::new();
        for _ in 0..100 {
            let (io, wire) = pipe();
            let (session, connection) = Session::server(io, config());
            let driver = spawn(connection);
            held.push((session, wire, driver));
        }
        settle().await;
        let each = baseline.grown() / 100;
        println!("an idle connection takes {each} bytes");
        assert!(each <= 8 * KIB, "{each} bytes per idle connection");
    });
}

/// Its contexts of compression have taken 430 KiB by then.
#[test]
fn a_session_that_has_ended_and_leaves_the_close_to_its_peer_holds_little() {
    measured(async {
        let config = Config::server()
            .early_goaway(false)
            .peer_close_timeout(Duration::from_secs(300));
        let (session, connection, mut peer) = server(config);
        let driver = spawn(connection);
        peer.expect_preface().await;
        let before = Baseline::new();
        let stream = accepted(&session, &mut peer, 1).await;
        let busy = before.grown();
        drop(stream);
        peer.recv().await;
        session.shutdown();
        drop(session);
        peer.drain().await;
        settle_briefly().await;
        assert!(!driver.is_finished());
        // The rest is the contexts of the peer.
        let held = before.grown();
        assert!(busy - held > 400 * KIB, "{held} of {busy} bytes");
        peer.close();
        driver.await.unwrap().unwrap();
    });
}

#[test]
fn ten_thousand_streams_opened_and_reset_leave_nothing() {
    measured(async {
        let (session, connection, mut peer) = client(Config::client());
        let driver = spawn(connection);
        peer.expect_preface().await;
        peer.send(settings().set(SettingId::MaxConcurrentStreams, 10))
            .await;
        let mut after_warm_up = None;
        for i in 0..10_000_u32 {
            let id = 2 * i + 1;
            let mut stream = session
                .open(block(&[("name", "value")]), OpenOptions::new())
                .await
                .unwrap();
            peer.expect(syn_stream(id).header("name", "value")).await;
            if i % 2 == 0 {
                drop(stream);
                peer.expect(rst(id, ResetStatus::CANCEL)).await;
            } else {
                peer.send(rst(id, ResetStatus::REFUSED_STREAM)).await;
                assert!(within("reply", stream.reply()).await.is_err());
            }
            if i == 1000 {
                after_warm_up = Some(Baseline::new());
            }
        }
        let grown = after_warm_up.unwrap().grown();
        println!("9,000 streams opened and reset by either side left {grown} bytes");
        // The read buffer, of 8 KiB, may be there or not.
        assert!(grown <= 12 * KIB, "{grown} bytes grown");
        assert_eq!(session.stream_count(), 0);
        drop(session);
        peer.close();
        drop(within("the connection", driver).await);
    });
}

/// A frame header and what follows.
fn raw(first: u32, len: u32, payload: &[u8]) -> Vec<u8> {
    [&first.to_be_bytes()[..], &len.to_be_bytes(), payload].concat()
}

/// A SYN_STREAM whose block, which is stored, has `word` at `at`: 0 is the count, 4 the length of the name, 9 that of the value.
fn lying_block(at: usize, word: u32) -> Vec<u8> {
    use bytes::Buf;
    let mut encoder =
        spdy::codec::Encoder::new(spdy::frame::Version::Spdy31, HeaderCompression::Off);
    let mut out = spdy::codec::OutBuf::new();
    encoder.encode(&syn_stream(1).header("n", "value").into(), &mut out);
    let mut bytes = out.copy_to_bytes(out.remaining()).to_vec();
    // Frame header, fixed part, zlib header with dictionary id, header of the stored block.
    let plain = 8 + 10 + 6 + 5;
    assert_eq!(bytes[plain..plain + 8], [0, 0, 0, 1, 0, 0, 0, 1]);
    bytes[plain + at..plain + at + 4].copy_from_slice(&word.to_be_bytes());
    bytes
}

#[test]
fn counts_and_lengths_that_lie_are_given_no_memory() {
    const MOST: u32 = 0x00ff_ffff;
    let settings = 0x8003_0004;
    let mut lies = vec![
        raw(settings, 4, &u32::MAX.to_be_bytes()),
        raw(settings, 4 + 8 * 8000, &8000_u32.to_be_bytes()),
        raw(settings, MOST, &(MOST / 8).to_be_bytes()),
        // DATA, an unknown frame, header blocks of the largest Length, and one at our limit.
        raw(1, MOST, b"data"),
        raw(0x8003_0063, MOST, b"skipped"),
        raw(0x8003_0001, MOST, &[0, 0, 0, 1]),
        raw(0x8003_0001, 64 << 10, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        raw(0x8003_0007, MOST, &[]),
    ];
    for word in [u32::MAX, 0x7fff_ffff, 0x1000_0000] {
        lies.extend([0, 4, 9].map(|at| lying_block(at, word)));
    }
    for lie in lies {
        measured(async move {
            let (session, connection, mut peer) = server(Config::server());
            let driver = spawn(connection);
            peer.expect_preface().await;
            // Beyond this the process is aborted.
            ALLOCATOR
                .set_limit(ALLOCATOR.allocated() + MIB)
                .expect("a limit above what is allocated");
            peer.send_raw(&lie).await;
            settle().await;
            ALLOCATOR.set_limit(usize::MAX).unwrap();
            drop(session);
            peer.close();
            drop(within("the connection", driver).await);
        });
    }
}

#[test]
fn waits_that_are_given_up_leave_nothing() {
    measured(async {
        let (session, connection, mut peer) = server(Config::server());
        let driver = spawn(connection);
        peer.expect_preface().await;
        let mut after_warm_up = None;
        for i in 0..5000 {
            // Each in a task of its own, so that each has its own waker.
            for wait in [true, false] {
                let session = session.clone();
                let task = spawn(async move {
                    if wait {
                        drop(session.accept().await);
                    } else {
                        session.closed().await;
                    }
                });
                tokio::task::yield_now().await;
                task.abort();
                drop(task.await);
            }
            if i == 500 {
                after_warm_up = Some(Baseline::new());
            }
        }
        let grown = after_warm_up.unwrap().grown();
        assert!(grown <= 4 * KIB, "{grown} bytes grown");
        peer.close();
        drop(within("the connection", driver).await);
        // Time that is never waited for: nothing is left running.
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
}
