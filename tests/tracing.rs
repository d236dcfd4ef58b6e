//! Spans of connections and streams, and one event per frame.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::Body;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What the library told its subscriber.
#[derive(Default)]
struct Log {
    /// Name and fields of each span.
    spans: HashMap<u64, (String, HashMap<String, String>)>,
    entered: HashMap<u64, usize>,
    /// The frame events: direction and text, with the name of the span they were in.
    frames: Vec<(String, String, Option<String>)>,
    stack: Vec<u64>,
}

struct Recorder(Arc<Mutex<Log>>);

struct Fields<'a>(&'a mut HashMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").unwrap();
        self.0
            .insert(field.name().into(), text.trim_matches('"').into());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("spdy")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut log = self.0.lock().unwrap();
        let id = log.spans.len() as u64 + 1;
        let mut fields = HashMap::new();
        span.record(&mut Fields(&mut fields));
        log.spans
            .insert(id, (span.metadata().name().into(), fields));
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut log = self.0.lock().unwrap();
        values.record(&mut Fields(
            &mut log.spans.get_mut(&span.into_u64()).unwrap().1,
        ));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = HashMap::new();
        event.record(&mut Fields(&mut fields));
        let mut log = self.0.lock().unwrap();
        if let Some(frame) = fields.remove("frame") {
            let direction = fields.remove("message").unwrap_or_default();
            let span = log.stack.last().map(|id| log.spans[id].0.clone());
            log.frames.push((direction, frame, span));
        }
    }

    fn enter(&self, span: &Id) {
        let mut log = self.0.lock().unwrap();
        *log.entered.entry(span.into_u64()).or_default() += 1;
        log.stack.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut log = self.0.lock().unwrap();
        assert_eq!(log.stack.pop(), Some(span.into_u64()), "spans nest");
    }
}

#[test]
fn connections_and_streams_have_spans_and_frames_have_events() {
    let log = Arc::new(Mutex::new(Log::default()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tracing::subscriber::with_default(Recorder(Arc::clone(&log)), || runtime.block_on(exchange()));

    let log = log.lock().unwrap();
    let spans = |name: &str, key: &str, value: &str| {
        let wanted = |(_, (n, fields)): &(&u64, &(String, HashMap<String, String>))| {
            n == name && fields.get(key).is_some_and(|v| v == value)
        };
        log.spans
            .iter()
            .filter(wanted)
            .map(|(id, (_, fields))| (*id, fields.clone()))
            .collect::<Vec<_>>()
    };
    for role in ["Client", "Server"] {
        let connections = spans("connection", "role", role);
        assert_eq!(connections.len(), 1, "{role}: {:?}", log.spans);
        assert!(
            log.entered[&connections[0].0] > 0,
            "{role} connection span entered"
        );
    }
    assert_eq!(spans("connection", "peer", "a test").len(), 1);
    let streams = spans("stream", "path", "/there");
    assert_eq!(streams.len(), 2, "one at each side: {:?}", log.spans);
    for (id, fields) in &streams {
        assert_eq!(fields["method"], "GET");
        assert_eq!(fields["status"], "203");
        assert_eq!(
            fields["id"].trim_matches(|c: char| !c.is_ascii_digit()),
            "1"
        );
        assert!(log.entered[id] > 0, "stream span entered");
    }

    let seen = |direction: &str, frame: &str| {
        log.frames.iter().any(|(d, f, span)| {
            d == direction && f.starts_with(frame) && span.as_deref() == Some("connection")
        })
    };
    for direction in ["sent", "received"] {
        for frame in [
            "SETTINGS MaxConcurrentStreams=",
            "WINDOW_UPDATE id=0 delta=",
            "SYN_STREAM id=1 priority=3 headers=",
            "SYN_REPLY id=1 headers=",
            "DATA id=1 len=5",
        ] {
            assert!(
                seen(direction, frame),
                "{direction} {frame}: {:?}",
                log.frames
            );
        }
    }
}

async fn exchange() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let service = service_fn(|_: Request<Body>| async {
        tokio::task::yield_now().await;
        Response::builder().status(203).body(Body::from("hello"))
    });
    let server = spdy::server::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(far), service);
    server.set_peer("a test");
    let server = tokio::spawn(server);
    let (mut client, connection) =
        spdy::client::handshake(TokioExecutor::new(), TokioIo::new(near))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://localhost/there?x=1")
        .body(Body::empty())
        .unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "hello"
    );

    let stats = client.stats();
    assert_eq!((stats.sent.syn_stream, stats.received.syn_reply), (1, 1));
    assert_eq!((stats.received.data, stats.data_received), (1, 5));
    assert!(stats.writes > 0 && stats.reads > 0 && stats.bytes_written > 0 && stats.bytes_read > 0);
    assert!(stats.largest_batch_sent >= 1 && stats.batches_sent <= stats.sent.total());

    drop(client);
    connection.await.unwrap().unwrap();
    server.await.unwrap().unwrap();
}
