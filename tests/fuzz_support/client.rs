//! A hostile server against a whole client with requests under way: no panic, every request comes to an end in bounded
//! time, nothing is left, and nothing illegal is said.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use spdy::client::{Builder, SendRequest};
use spdy::frame::Role;
use spdy::{Body, Config};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::draw::Draw;
use super::legal::Legal;
use super::probe::Probe;
use super::script::Script;
use super::server::{Tasks, block_on, config, listen, soon};
use super::support::pipe;

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

/// What is under way when the server begins to speak.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Get,
    Head,
    /// Given up after a time.
    Cancelled(u64),
    /// The body is dropped behind its first piece.
    Glance,
    Upload,
    /// An upload that waits for the server to ask for it.
    Expecting,
    /// Begins when the server has said something.
    Late,
}

const ALL: [Wanted; 8] = [
    Wanted::Get,
    Wanted::Upload,
    Wanted::Cancelled(20),
    Wanted::Glance,
    Wanted::Head,
    Wanted::Expecting,
    Wanted::Late,
    Wanted::Cancelled(0),
];

/// Two bytes of options, two of configuration, then a script.
pub(crate) fn run(input: &[u8]) {
    let mut draw = Draw::new(input);
    let shutdown = draw.pick(&[None, None, Some(0), Some(20), Some(3000)]);
    // At least one request; by default the first three.
    let mask = draw.byte() ^ 0b111;
    let wanted = ALL.into_iter().enumerate();
    let wanted = wanted.filter(|(n, _)| mask & 1 << n != 0);
    let wanted: Vec<_> = wanted.map(|(_, wanted)| wanted).collect();
    let config = config(Role::Client, &mut draw);
    let script = Script::draw(&mut draw);
    let shutdown = shutdown.map(Duration::from_millis);
    block_on(converse(config, script, shutdown, wanted));
}

async fn converse(
    (config, window): (Config, u64),
    script: Script,
    shutdown: Option<Duration>,
    wanted: Vec<Wanted>,
) {
    let (io, wire) = pipe();
    let wire = Arc::new(wire);
    let legal = Legal::new(Role::Client, &config, window, script.bytes());
    let tasks = Tasks::default();
    let handshake = Builder::new(tasks.clone())
        .config(config)
        .handshake(TokioIo::new(io))
        .await;
    let (send, connection) = handshake.unwrap();
    let probe = tasks.probe.clone();
    let driver = async move {
        let mut connection = std::pin::pin!(connection);
        if let Some(after) = shutdown {
            if let Ok(result) = timeout(after, &mut connection).await {
                return result;
            }
            connection.as_mut().graceful_shutdown();
        }
        connection.await
    };
    let driver = tokio::spawn(probe.watch(driver));
    let listener = listen(Arc::clone(&wire), legal);
    let requests: Vec<_> = wanted
        .into_iter()
        .map(|wanted| start(send.clone(), wanted, &probe))
        .collect();
    let session = send.session().clone();
    drop(send);
    script.play(&wire).await;
    if script.rests {
        probe.check(&wire).await;
    }
    script.end(&wire);
    // An error is what most servers here deserve.
    let _ = soon("the connection", driver).await;
    for request in requests {
        soon("a request", request).await;
    }
    tasks.ended().await;
    assert_eq!(session.stream_count(), 0, "streams are left");
    let legal = soon("the output", listener).await;
    if !script.hinders_output() {
        legal.end();
    }
}

fn empty() -> AnyBody {
    Empty::new().boxed_unsync()
}

/// Pieces with pauses between them, more than a default window in all.
fn upload() -> AnyBody {
    let pieces = futures_util::stream::unfold(0, |n| async move {
        sleep(Duration::from_millis(5)).await;
        let piece = Frame::data(Bytes::from(vec![b'u'; 10_000]));
        (n < 8).then_some((Ok(piece), n + 1))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn start(mut send: SendRequest<AnyBody>, wanted: Wanted, probe: &Probe) -> JoinHandle<()> {
    let steps = probe.clone();
    let request = |method: Method, body: AnyBody| {
        let request = Request::builder().method(method).uri("http://a/");
        request.body(body).unwrap()
    };
    let exchange = async move {
        if matches!(wanted, Wanted::Late) {
            sleep(Duration::from_millis(25)).await;
        }
        if send.ready().await.is_err() {
            return;
        }
        let request = match wanted {
            Wanted::Get | Wanted::Cancelled(_) | Wanted::Glance | Wanted::Late => {
                request(Method::GET, empty())
            }
            Wanted::Head => request(Method::HEAD, empty()),
            Wanted::Upload => request(Method::POST, upload()),
            Wanted::Expecting => {
                let mut request = request(Method::PUT, upload());
                let value = http::HeaderValue::from_static("100-continue");
                request.headers_mut().insert("expect", value);
                request
            }
        };
        let response = send.send_request(request);
        drop(send);
        match wanted {
            Wanted::Cancelled(millis) => {
                let _ = timeout(Duration::from_millis(millis), response).await;
            }
            Wanted::Glance => {
                if let Ok(response) = response.await {
                    drop(response.into_body().frame().await);
                }
            }
            _ => read(response.await, &steps).await,
        }
    };
    tokio::spawn(probe.watch(exchange))
}

async fn read(response: spdy::Result<Response<Body>>, steps: &Probe) {
    steps.step();
    let Ok(response) = response else { return };
    let mut body = response.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        drop(frame);
        steps.step();
    }
}
