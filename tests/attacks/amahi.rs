//! A peer like Go's amahi/spdy, as found in media servers and their proxies: no SETTINGS, no regard for windows when it
//! uploads, no credit for what is uploaded to it, six DATA frames of patience, and a crash at HEADERS.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use spdy::frame::{Frame, Role};
use spdy::{Body, Config, FlowControl};
use tokio::spawn;

use crate::http_support::{
    AnyBody, Driver, client_of, empty, expect_request, full, reply, request, server_with,
};
use crate::*;

/// How many DATA frames of a stream it takes before the reader comes; the next one kills the stream without a word.
const PATIENCE_IN_FRAMES: usize = 6;

/// Plays the peer, and dies of what it dies of.
struct Amahi {
    peer: Peer,
    /// DATA frames that its application has not read yet, by stream.
    undrained: HashMap<u32, Vec<Bytes>>,
    received: usize,
    ended: bool,
    status: Option<String>,
    reset: Option<ResetStatus>,
}

impl Amahi {
    fn new(peer: Peer) -> Self {
        Self {
            peer,
            undrained: HashMap::new(),
            received: 0,
            ended: false,
            status: None,
            reset: None,
        }
    }

    fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Headers(_) => panic!("it crashes at HEADERS"),
            Frame::SynStream(_) => panic!("it knows no push"),
            Frame::Data(data) => {
                let queue = self.undrained.entry(data.id.get()).or_default();
                self.received += data.payload.len();
                self.ended |= data.fin;
                if !data.payload.is_empty() {
                    queue.push(data.payload);
                }
                let waiting = queue.len();
                assert!(waiting <= PATIENCE_IN_FRAMES, "{waiting} frames wait");
            }
            Frame::SynReply(reply) => {
                self.status = crate::http_support::text(&reply.block, ":status").map(Into::into);
                self.ended |= reply.fin;
            }
            Frame::RstStream(reset) => self.reset = Some(reset.status),
            _ => {}
        }
    }

    /// Takes what comes, and reads a DATA frame every 40 ms, until the answer is whole or the stream was reset.
    async fn finish(&mut self, stream: u32) {
        let pause = Duration::from_millis(40);
        for _ in 0..10_000 {
            while let Ok(Some(frame)) =
                tokio::time::timeout(Duration::from_millis(1), self.peer.recv()).await
            {
                self.take(frame);
            }
            let waiting = self.undrained.entry(stream).or_default();
            if self.reset.is_some() || (self.ended && waiting.is_empty()) {
                return;
            }
            tokio::time::sleep(pause).await;
            if !waiting.is_empty() {
                let len = u32::try_from(waiting.remove(0).len()).unwrap();
                self.peer.send(window_update(stream, len)).await;
                self.peer.send(window_update(0, len)).await;
            }
        }
        panic!("the answer never ends");
    }
}

/// Reads the body a second late, and answers with its length.
async fn late_reader(request: Request<Body>) -> spdy::Result<http::Response<AnyBody>> {
    assert_eq!(request.headers()["host"], "example.com:80");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let body = http_body_util::BodyExt::collect(request.into_body()).await?;
    let len = body.to_bytes().len().to_string();
    Ok(http::Response::new(full(len)))
}

fn amahi_request(stream: u32, method: &str) -> Draft {
    syn_stream(stream)
        .header(":method", method)
        // It leaves the fragment in the path, and the port of the scheme in the host.
        .header(":path", "/there#fragment")
        .header(":version", "HTTP/1.1")
        .header(":host", "example.com:80")
        .header(":scheme", "http")
}

async fn upload(config: Config, size: usize) -> (Amahi, Driver) {
    let (driver, peer) = server_with(config, late_reader);
    let mut amahi = Amahi::new(peer);
    // Its first frame: no SETTINGS.
    amahi.peer.send(amahi_request(1, "POST")).await;
    amahi.peer.wire().set_in_capacity(64 * KIB);
    let frame = amahi.peer.encode(data(1, vec![7; 16 * KIB]));
    for _ in 0..size / (16 * KIB) {
        if amahi.peer.wire().write_all(&frame).await.is_err() {
            break;
        }
    }
    amahi.peer.send(data(1, "").fin()).await;
    amahi.finish(1).await;
    (amahi, driver)
}

#[tokio::test(start_paused = true)]
async fn its_uploads_need_lenient_windows() {
    // As the draft has it, an upload beyond the window is an error, of its stream.
    let (amahi, driver) = upload(Config::server(), MIB).await;
    assert_eq!(amahi.reset, Some(ResetStatus::FLOW_CONTROL_ERROR));
    assert!(!driver.is_finished());
    // Lenient reads on up to the unread limit, and waits there for the reader: 4 MiB come through 1 MiB.
    let lenient = Config::server().flow_control(FlowControl::Lenient);
    for size in [MIB, 4 * MIB] {
        let (amahi, driver) = upload(lenient.clone(), size).await;
        assert_eq!((amahi.status.as_deref(), amahi.reset), (Some("200"), None));
        assert_eq!(amahi.received, size.to_string().len());
        assert!(!driver.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn it_takes_a_large_answer_because_our_frames_are_large_enough() {
    let (_driver, peer) = server_with(Config::server(), |_request| async {
        Ok::<_, spdy::Error>(http::Response::new(full(vec![7; MIB])))
    });
    let mut amahi = Amahi::new(peer);
    amahi.peer.send(request(1, "GET", "/").fin()).await;
    amahi.finish(1).await;
    assert_eq!(amahi.received, MIB);
}

fn post(size: usize) -> Request<AnyBody> {
    Request::post("http://example.com/")
        .body(full(vec![7; size]))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_upload_to_it_stops_at_64_kib_and_hurts_nothing_else() {
    let (mut send, _driver, mut peer) = client_of(Config::client()).await;
    let upload = spawn(send.send_request(post(100 * KIB)));
    expect_request(&mut peer, 1).await;
    peer.expect_data(1, 64 * KIB).await;
    // It never gives credit.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    peer.expect_quiet().await;
    let get = Request::get("http://example.com/").body(empty()).unwrap();
    let other = spawn(send.send_request(get));
    expect_request(&mut peer, 3).await;
    peer.send(reply(3, "200 OK").fin()).await;
    within("the response", other).await.unwrap().unwrap();
    // The application has to give up by itself.
    assert!(!upload.is_finished());
    upload.abort();
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_to_it_without_windows_arrives() {
    let config = Config::client().flow_control(FlowControl::Off);
    let (io, wire) = pipe();
    let (mut send, connection) = spdy::client::Builder::new(hyper_util::rt::TokioExecutor::new())
        .config(config)
        .handshake(hyper_util::rt::TokioIo::new(io))
        .await
        .unwrap();
    let _driver = spawn(connection);
    let mut peer = Peer::new(wire, Role::Server);
    let _upload = spawn(send.send_request(post(MIB)));
    expect_request_past_settings(&mut peer).await;
    peer.expect_all(1, MIB).await;
}

async fn expect_request_past_settings(peer: &mut Peer) {
    while !matches!(
        within("SYN_STREAM", peer.recv()).await,
        Some(Frame::SynStream(_))
    ) {}
}
