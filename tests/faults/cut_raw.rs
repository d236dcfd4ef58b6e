//! Raw streams in both roles, cut at every byte, and at any pace.

use std::io::ErrorKind;
use std::time::Duration;

use spdy::headers::HeaderBlock;
use spdy::stream::{Connection, OpenOptions, RecvStream, Session, Stream};
use spdy::{Config, Error};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::runtime::Handle;
use tokio::spawn;
use tokio::time::{Instant, timeout};

use crate::run::{ANSWER, DOWN, INTERVAL, UP};
use crate::support::*;
use crate::wire::Seen;

/// What was read from a stream, to its end or to an error.
#[derive(Debug)]
struct Taken {
    id: u32,
    bytes: Vec<u8>,
    trailers: Option<HeaderBlock>,
    error: Option<Error>,
}

/// What one side has seen.
#[derive(Debug, Default)]
struct Side {
    taken: Vec<Taken>,
    /// Accepting has ended well.
    accepted_all: bool,
    end: Option<spdy::Result<()>>,
}

async fn take(recv: &mut RecvStream) -> Taken {
    let (mut bytes, mut error) = (Vec::new(), None);
    loop {
        match recv.data().await {
            Ok(Some(data)) => bytes.extend_from_slice(&data),
            Ok(None) => break,
            Err(ended) => {
                error = Some(ended);
                break;
            }
        }
    }
    let trailers = match &error {
        None => recv.headers().await.expect("what is whole has no error"),
        Some(_) => None,
    };
    let id = recv.id().map_or(0, spdy::frame::StreamId::get);
    Taken {
        id,
        bytes,
        trailers,
        error,
    }
}

/// Writes these bytes in two parts, then trailers.
async fn give(stream: &mut Stream, bytes: &[u8]) -> std::io::Result<()> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    stream.write_all(first).await?;
    stream.flush().await?;
    stream.write_all(second).await?;
    let trailers = block(&[("x-end", "given")]);
    stream.send_half().send_trailers(trailers)?;
    stream.shutdown().await
}

/// Opens three streams, of which the last is given up, and takes what comes back.
async fn open_some(session: &Session) -> Vec<Taken> {
    let mut taken = Vec::new();
    for size in [0, 130, 9] {
        let late = session.is_closing();
        let headers = block(&[("size", "some")]);
        let mut stream = match session.open(headers, OpenOptions::new()).await {
            Ok(stream) => stream,
            Err(error) => {
                assert!(late && error.is_retryable(), "{error:?}");
                continue;
            }
        };
        let gave = give(&mut stream, &vec![7; size]).await;
        let replied = stream.reply().await;
        if size == 9 {
            drop(stream);
            continue;
        }
        let came = take(stream.recv_half()).await;
        if came.error.is_none() {
            gave.expect("what was answered was given");
            replied.expect("what was answered has a reply");
        }
        taken.push(came);
    }
    taken
}

/// Gives back what comes.
async fn accept_all(session: &Session) -> (Vec<Taken>, bool) {
    let mut taken = Vec::new();
    loop {
        let incoming = match session.accept().await {
            Ok(Some(incoming)) => incoming,
            Ok(None) => return (taken, true),
            Err(error) => {
                assert!(gone(&error), "{error:?}");
                return (taken, false);
            }
        };
        let Ok(mut stream) = incoming.reply(block(&[("b", "c")])) else {
            continue;
        };
        let came = take(stream.recv_half()).await;
        let _ = give(&mut stream, &came.bytes).await;
        taken.push(came);
    }
}

fn gone(error: &Error) -> bool {
    error.is_closed() || error.is_go_away() || error.is_timeout() || error.is_retryable()
}

async fn part<T>(session: Session, connection: Connection<T>, ends: bool) -> Side
where
    Connection<T>: Future<Output = spdy::Result<()>> + Send + 'static,
{
    let driver = spawn(connection);
    let opening = async {
        let taken = open_some(&session).await;
        let ping = session.ping().await;
        assert!(ping.is_ok() || taken.len() < 2 || gone(&ping.unwrap_err()));
        if ends {
            session.shutdown();
        }
        taken
    };
    let (mut taken, (accepted, accepted_all)) = tokio::join!(opening, accept_all(&session));
    taken.extend(accepted);
    session.closed().await;
    let end = driver.await.expect("the connection panicked");
    assert_eq!(session.stream_count(), 0, "streams are left: {session:?}");
    assert_eq!(session.unread_bytes(), 0, "bytes are left: {session:?}");
    Side {
        taken,
        accepted_all,
        end: Some(end),
    }
}

fn config(config: Config, faults: Faults) -> Config {
    let silent = matches!(faults.cut, Some((_, _, Cut::Silent | Cut::HalfSilent)));
    config
        .keep_alive_interval(silent.then_some(INTERVAL))
        .keep_alive_timeout(ANSWER)
        .keep_alive_while_idle(true)
}

struct Run {
    client: Side,
    server: Side,
    tap: Tap,
    took: Duration,
}

async fn run(faults: Faults) -> Run {
    let (a, b): (DuplexStream, DuplexStream) = tokio::io::duplex(64 * 1024);
    let (a, b, tap) = link(a, b, faults);
    let (client, dialled) = Session::client(a, config(Config::client(), faults));
    let (server, taken) = Session::server(b, config(Config::server(), faults));
    let begin = Instant::now();
    let client = spawn(part(client, dialled, false));
    let server = spawn(part(server, taken, true));
    let both = async { (client.await.unwrap(), server.await.unwrap()) };
    let (client, server) = timeout(PATIENCE, both).await.expect("a hang");
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    Run {
        client,
        server,
        tap,
        took: begin.elapsed(),
    }
}

fn check(run: &Run, cut: Option<Cut>) {
    let silent = matches!(cut, Some(Cut::Silent | Cut::HalfSilent));
    let notice = if silent {
        INTERVAL + ANSWER
    } else {
        Duration::ZERO
    };
    // The first step of a shutdown, and lingering on both sides.
    let close = Duration::from_millis(3500);
    assert!(
        cut.is_none() || run.took <= notice + close,
        "{:?}",
        run.took
    );
    for (side, from) in [(&run.client, DOWN), (&run.server, UP)] {
        let arrived = Seen::new(&run.tap.arrived(from));
        for taken in &side.taken {
            let half = arrived.streams.get(&taken.id);
            let data = half.map_or(&[][..], |half| &half.data);
            let whole = half.is_some_and(|half| half.fin);
            assert_eq!(data, taken.bytes, "{taken:?}");
            match &taken.error {
                None => {
                    assert!(whole, "an end that has not come: {taken:?}");
                    let trailers = taken.trailers.as_ref().expect("trailers");
                    assert_eq!(trailers.get("x-end"), Some(&b"given"[..]));
                }
                Some(error) => {
                    assert!(!whole && gone(error), "{taken:?}");
                    assert!(run.tap.is_cut(), "{taken:?}");
                    let given_back = half.is_some_and(|half| half.replied);
                    assert!(!(given_back && error.is_retryable()), "{taken:?}");
                }
            }
        }
        let well = matches!(side.end, Some(Ok(())));
        let lost = |taken: &&Taken| {
            let error = taken.error.as_ref();
            error.is_some_and(|error| !error.is_retryable())
        };
        let lost = side.taken.iter().find(lost);
        assert!(
            !(well && lost.is_some()),
            "the connection is fine, not {lost:?}"
        );
        assert!(well || cut.is_some(), "{:?}", side.end);
        assert!(side.accepted_all || !well, "an error of accept without one");
        // Two answers, and what the other side has opened.
        assert!(cut.is_some() || side.taken.len() == 5, "{:?}", side.taken);
    }
}

async fn cut_everywhere(cut: Cut) {
    let calm = run(Faults::default()).await;
    check(&calm, None);
    for way in [UP, DOWN] {
        for at in 0..=calm.tap.arrived(way).len() {
            let faults = Faults {
                cut: Some((way, at, cut)),
                ..Faults::default()
            };
            let said = on_failure(move || eprintln!("with {faults:?}"));
            check(&run(faults).await, Some(cut));
            drop(said);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn raw_streams_closed_at_any_byte_are_right_on_both_sides() {
    cut_everywhere(Cut::Closed).await;
}

#[tokio::test(start_paused = true)]
async fn raw_streams_that_fail_at_any_byte_are_right_on_both_sides() {
    cut_everywhere(Cut::Failed(ErrorKind::TimedOut)).await;
}

#[tokio::test(start_paused = true)]
async fn raw_streams_half_closed_at_any_byte_are_right_on_both_sides() {
    cut_everywhere(Cut::HalfClosed).await;
}

#[tokio::test(start_paused = true)]
async fn raw_streams_silent_from_any_byte_are_noticed_by_keep_alive() {
    cut_everywhere(Cut::Silent).await;
    cut_everywhere(Cut::HalfSilent).await;
}

#[tokio::test(start_paused = true)]
async fn raw_streams_at_any_pace_are_the_same() {
    for seed in 0..60 {
        let pace = Pace {
            piece: 1 + seed % 7,
            stutters: seed % 2 == 0,
            delay: Duration::from_millis(seed % 5),
            rate: [0, 500][usize::try_from(seed % 2).unwrap()],
        };
        let faults = Faults {
            seed,
            pace,
            cut: None,
        };
        let said = on_failure(move || eprintln!("with {faults:?}"));
        check(&run(faults).await, None);
        drop(said);
    }
}
