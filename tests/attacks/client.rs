//! Servers that attack our HTTP client.

use bytes::Bytes;
use http::{Request, Response};
use spdy::frame::SettingId;
use spdy::{Body, Config, Error, Initiator};
use tokio::spawn;
use tokio::task::JoinHandle;

use crate::http_support::{AnyBody, client_of, empty, reply};
use crate::line::Flood;
use crate::victim::watch;
use crate::*;

type Client = spdy::client::SendRequest<AnyBody>;

async fn dial() -> (Client, Line) {
    let (client, driver, peer) = client_of::<AnyBody>(Config::client()).await;
    peer.wire().set_in_capacity(64 * KIB);
    let session = client.session().clone();
    (client, Line::new(peer, Role::Server, Some(session), driver))
}

/// Sends a request, which reaches the peer.
async fn ask(client: &mut Client, line: &mut Line) -> JoinHandle<Result<Response<Body>, Error>> {
    let request = Request::get("http://example.com/").body(empty()).unwrap();
    let response = spawn(client.send_request(request));
    settle().await;
    line.drain().await;
    response
}

/// A request is answered: the session goes on. `stream` is its id.
async fn works(client: &mut Client, line: &mut Line, stream: u32) {
    let response = ask(client, line).await;
    line.peer.send(reply(stream, "200 OK").fin()).await;
    let response = within("the response", response).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
}

/// As [`attack`], with a client that asks: the script gets it, and what its first request has become.
fn attack_client(name: &str, streams: usize, script: impl AsyncFn(&mut Client, &mut Line)) {
    let name = format!("{name}, an HTTP client");
    let bound = Limits::of(Role::Client).bound(streams);
    let fine = async || {
        let (mut client, mut line) = dial().await;
        works(&mut client, &mut line, 1).await;
        drop(client);
        line.leave().await;
    };
    watch(&name, bound, 0, fine, async || {
        let (mut client, mut line) = dial().await;
        script(&mut client, &mut line).await;
        drop(client);
        line.leave().await;
    });
}

/// The error of a request that the peer has spoilt.
async fn spoilt(response: JoinHandle<Result<Response<Body>, Error>>) -> Error {
    let error = within("the response", response).await.unwrap().unwrap_err();
    assert_eq!(error.initiator(), Some(Initiator::Library), "{error}");
    error
}

#[test]
fn answers_with_too_many_headers_lose_their_request_only() {
    for size in [17 * KIB, 48 * KIB] {
        attack_client("bombs in SYN_REPLY", 1, async |client, line| {
            for n in 0..50 {
                let response = ask(client, line).await;
                let bomb = reply(2 * n + 1, "200 OK").header("x", &"x".repeat(size));
                line.peer.send(bomb).await;
                let error = spoilt(response).await;
                assert_eq!(error.reset_status(), Some(ResetStatus::FRAME_TOO_LARGE));
            }
            works(client, line, 101).await;
        });
    }
}

#[test]
fn an_answer_with_a_bomb_ends_the_session() {
    attack_client("a bomb in SYN_REPLY", 1, async |client, line| {
        let response = ask(client, line).await;
        let bomb = reply(1, "200 OK").header("x", &"x".repeat(70 * KIB));
        line.peer.send(bomb).await;
        let says = "header block more than four times as large as the limit";
        let error = spoilt(response).await;
        assert!(error.to_string().contains(says), "{error}");
        line.ends(0, says).await;
    });
}

#[test]
fn a_body_beyond_its_window_loses_its_request_only() {
    attack_client("a body beyond the window", 1, async |client, line| {
        let response = ask(client, line).await;
        line.peer.send(reply(1, "200 OK")).await;
        let body = within("the head", response).await.unwrap().unwrap();
        let frame = line.peer.encode(data(1, vec![7; 16 * KIB]));
        let flood = line
            .flood(70, |_, _, out| out.extend_from_slice(&frame))
            .await;
        assert_eq!(flood, Flood::Taken);
        settle().await;
        line.drain().await;
        assert_eq!(line.seen.resets, [(1, ResetStatus::FLOW_CONTROL_ERROR)]);
        let read = http_body_util::BodyExt::collect(body.into_body()).await;
        let error = read.unwrap_err();
        assert_eq!(error.initiator(), Some(Initiator::Library), "{error}");
        works(client, line, 3).await;
    });
}

#[test]
fn pushes_are_refused_without_end() {
    attack_client("50,000 pushes", 1, async |client, line| {
        let flood = line
            .flood(50_000, |peer, n, out| {
                let push = syn_stream(2 * n + 2).unidirectional().associated(1);
                out.extend(peer.encode(push.header(":status", "200 OK")));
            })
            .await;
        assert_eq!(flood, Flood::Taken);
        settle().await;
        line.drain().await;
        assert_eq!(line.seen.refused, 50_000);
        works(client, line, 1).await;
    });
}

#[test]
fn trailers_without_end_lose_their_request_only() {
    attack_client("HEADERS behind a reply", 1, async |client, line| {
        let response = ask(client, line).await;
        line.peer.send(reply(1, "200 OK")).await;
        let _held = within("the head", response).await.unwrap().unwrap();
        let flood = line
            .flood(600, |peer, n, out| {
                out.extend(peer.encode(headers(1).header("x", &n.to_string())));
            })
            .await;
        assert_eq!(flood, Flood::Taken);
        settle().await;
        line.drain().await;
        assert_eq!(line.seen.resets, [(1, ResetStatus::FRAME_TOO_LARGE)]);
        works(client, line, 3).await;
    });
}

#[test]
fn a_server_that_allows_no_stream_stops_callers_at_a_bound() {
    attack_client("no stream allowed", 100, async |client, line| {
        let limit = settings().set(SettingId::MaxConcurrentStreams, 0);
        line.peer.send(limit).await;
        settle().await;
        let mut waiting = Vec::new();
        let mut ready = 0;
        for _ in 0..1000 {
            let mut client = client.clone();
            let is_ready = tokio::time::timeout(std::time::Duration::ZERO, client.ready());
            if is_ready.await.is_err() {
                continue;
            }
            ready += 1;
            let request = Request::post("http://example.com/")
                .body(http_support::full(Bytes::from_static(b"a body")))
                .unwrap();
            waiting.push(spawn(client.send_request(request)));
        }
        settle().await;
        line.drain().await;
        assert!((1..=101).contains(&ready), "{ready} callers were let in");
        assert!(waiting.iter().all(|waits| !waits.is_finished()));
        let limit = settings().set(SettingId::MaxConcurrentStreams, 1000);
        line.peer.send(limit).await;
        for n in 0..ready {
            let stream = 2 * n + 1;
            line.peer.send(window_update(0, 100)).await;
            settle().await;
            line.drain().await;
            line.peer.send(reply(stream, "200 OK").fin()).await;
        }
        for response in waiting {
            within("a response", response).await.unwrap().unwrap();
        }
    });
}
