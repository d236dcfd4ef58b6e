//! A client that seeks in a film: it asks for a range and cancels it, a thousand times a minute, all day long.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use spdy::frame::{Frame, Priority, Received, Role, SynStream};
use spdy::headers::HeaderBlock;
use spdy::session::{Key, OpenOptions, Read, Session};
use spdy::{Body, Config};

use crate::http_support::{AnyBody, both_with, empty, full};
use crate::*;

const EVERY: Duration = Duration::from_millis(60);
const HOUR: u32 = 60 * 1000;
const DAY: u32 = 24 * HOUR;

/// What may grow: a hash table or a vector may find a larger size for what comes and goes.
const GROWN: i64 = 8 << 10;

/// When a request is cancelled.
#[derive(Clone, Copy, Debug)]
enum Cancel {
    BeforeReply,
    BehindReply,
    InTheBody,
}

impl Cancel {
    fn of(n: u32) -> Self {
        [Self::BeforeReply, Self::BehindReply, Self::InTheBody][n as usize % 3]
    }
}

fn range() -> HeaderBlock {
    block(&[
        (":method", "GET"),
        (":path", "/film"),
        ("range", "bytes=1000-"),
    ])
}

/// Carries all frames from one session to the other.
fn carry(from: &mut Session, to: &mut Session, now: Instant) {
    while let Some(frame) = from.poll_frame(now) {
        let received = match frame {
            Frame::SynStream(syn) => Received::SynStream(SynStream {
                id: syn.id,
                associated: syn.associated,
                priority: Priority::HIGHEST,
                fin: syn.fin,
                unidirectional: syn.unidirectional,
                block: Ok(syn.block),
            }),
            Frame::SynReply(reply) => Received::SynReply(spdy::frame::HeaderFrame {
                id: reply.id,
                fin: reply.fin,
                block: Ok(reply.block),
            }),
            Frame::Data(data) => Received::Data(spdy::frame::DataPiece {
                id: Some(data.id),
                frame_len: Some(u32::try_from(data.payload.len()).unwrap()),
                last: true,
                fin: data.fin,
                payload: data.payload,
            }),
            Frame::RstStream(reset) => Received::RstStream(reset),
            Frame::WindowUpdate(update) => Received::WindowUpdate(update),
            Frame::Settings(settings) => Received::Settings(settings),
            other => panic!("{other:?} in honest traffic"),
        };
        to.handle_frame(received, now);
    }
    drop(from.take_graveyard());
    while from.poll_event().is_some() {}
    while to.poll_event().is_some() {}
    drop(to.take_graveyard());
}

/// A film that costs no memory.
static FILM: [u8; 12 * KIB] = [7; 12 * KIB];

fn one(client: &mut Session, server: &mut Session, cancel: Cancel, now: Instant) {
    let slot = client.reserve_slot().unwrap().unwrap();
    let key: Key = client
        .open(slot, range(), OpenOptions::new().fin(true))
        .unwrap();
    carry(client, server, now);
    if !matches!(cancel, Cancel::BeforeReply) {
        let theirs = server.accept().expect("the request").key;
        let reply = block(&[(":status", "206"), (":version", "HTTP/1.1")]);
        server.reply(theirs, reply, false).unwrap();
        if matches!(cancel, Cancel::InTheBody) {
            server.write(theirs, Bytes::from_static(&FILM)).unwrap();
        }
        carry(server, client, now);
        assert!(client.take_reply(key).unwrap().is_some());
        if matches!(cancel, Cancel::InTheBody) {
            assert!(matches!(client.read(key, 10_000), Ok(Read::Data(_))));
            // More is on its way when it is cancelled.
            server.write(theirs, Bytes::from_static(&FILM)).unwrap();
        }
        client.drop_send(key);
        client.drop_recv(key);
        client.reset(key, ResetStatus::CANCEL);
        carry(server, client, now);
        carry(client, server, now);
        server.drop_send(theirs);
        server.drop_recv(theirs);
    } else {
        client.reset(key, ResetStatus::CANCEL);
        client.drop_send(key);
        client.drop_recv(key);
        carry(client, server, now);
        assert!(server.accept().is_none(), "nobody sees it");
    }
    carry(server, client, now);
}

#[test]
fn a_thousand_cancels_a_minute_for_a_day_are_never_cut_off_and_leave_nothing() {
    let mut now = Instant::now();
    let mut client = Session::new(Role::Client, Config::client(), now);
    let mut server = Session::new(Role::Server, Config::server(), now);
    carry(&mut client, &mut server, now);
    carry(&mut server, &mut client, now);
    let mut n = 0;
    let mut run = |until: u32| {
        while n < until {
            one(&mut client, &mut server, Cancel::of(n), now);
            now += EVERY;
            n += 1;
            assert!(!client.is_over(), "after {n}: {:?}", client.outcome());
            assert!(!server.is_over(), "after {n}: {:?}", server.outcome());
        }
        assert_eq!((client.stream_count(), server.stream_count()), (0, 0));
    };
    run(HOUR / 10);
    let day = allocation_counter::measure(|| run(DAY));
    println!(
        "{DAY} cancels: {} bytes grown, {} at most",
        day.bytes_current, day.bytes_max
    );
    assert!(day.bytes_current <= GROWN, "{} bytes", day.bytes_current);
    assert!(day.bytes_max < 512 << 10, "{} bytes", day.bytes_max);
}

type Client = spdy::client::SendRequest<AnyBody>;

/// Our HTTP client and server, with all between them.
async fn hour(client: &mut Client, from: u32, until: u32) {
    for n in from..until {
        let request = Request::get("http://example.com/film")
            .header("range", "bytes=1000-")
            .body(empty())
            .unwrap();
        within("a place", client.ready()).await.unwrap();
        let response = client.send_request(request);
        match Cancel::of(n) {
            Cancel::BeforeReply => {
                // Sent, but not answered yet.
                let pause = EVERY / 12;
                assert!(tokio::time::timeout(pause, response).await.is_err());
            }
            Cancel::BehindReply => drop(within("the head", response).await.unwrap()),
            Cancel::InTheBody => {
                let mut body = within("the head", response).await.unwrap().into_body();
                let frame = http_body_util::BodyExt::frame(&mut body);
                within("some bytes", frame).await.unwrap().unwrap();
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[test]
fn an_hour_of_it_over_http_is_never_cut_off_and_leaves_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (mut client, ends) = runtime.block_on(async {
        // Longer than its window, so that there is something to cancel.
        let film = |_: Request<Body>| async {
            tokio::time::sleep(EVERY / 6).await;
            Ok::<_, spdy::Error>(http::Response::new(full(Bytes::from_static(&FILM))))
        };
        let config = Config::client().initial_stream_window_size(4096);
        let (client, ours, theirs) = both_with(config, Config::server(), film).await;
        (client, [ours, theirs])
    });
    runtime.block_on(hour(&mut client, 0, 3000));
    let counted = allocation_counter::measure(|| runtime.block_on(hour(&mut client, 3000, HOUR)));
    println!(
        "{HOUR} cancels: {} bytes grown, {} at most",
        counted.bytes_current, counted.bytes_max
    );
    assert!(counted.bytes_current <= GROWN, "{}", counted.bytes_current);
    assert!(!ends.iter().any(tokio::task::JoinHandle::is_finished));
    runtime.block_on(async {
        settle().await;
        assert_eq!(client.session().stream_count(), 0);
        let stats = client.stats();
        assert!(
            stats.sent.rst_stream >= u64::from(HOUR) * 9 / 10,
            "{stats:?}"
        );
        assert_eq!(stats.received.go_away, 0);
        drop(client);
        for end in ends {
            within("the connection", end).await.unwrap().unwrap();
        }
    });
}
