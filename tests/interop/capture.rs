//! What our client and our server send each other, as tshark's SPDY dissector reads it.

use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde_json::{Value, json};
use spdy::{Config, HeaderCompression};
use tokio::process::Command;

use crate::app;
use crate::client::{Client, check_pattern, empty, json, streamed, text};
use crate::peer::{LONG, peer_file, run, scratch, until, within};
use crate::recorder::{Recording, record};

/// Larger than the windows of both sides, so that WINDOW_UPDATE is among the frames.
const UPLOAD: usize = 700_000;

async fn dissect(recording: &Recording) -> Value {
    let (c2s, s2c) = (scratch("c2s.bin"), scratch("s2c.bin"));
    std::fs::write(&c2s, &recording.to_server).unwrap();
    std::fs::write(&s2c, &recording.to_client).unwrap();
    let mut command = Command::new("python3");
    command
        .arg(peer_file("check_capture.py"))
        .arg(&c2s)
        .arg(&s2c);
    // The files stay behind if this fails: they are the evidence.
    let seen = run(command, "check_capture.py").await;
    std::fs::remove_file(c2s).unwrap();
    std::fs::remove_file(s2c).unwrap();
    assert_eq!(seen["ok"], true, "{seen}");
    seen
}

/// The frames of a type, on one stream if one is given.
fn frames<'a>(direction: &'a Value, kind: &str, stream: Option<u32>) -> Vec<&'a Value> {
    let frames = direction.as_array().unwrap().iter();
    frames
        .filter(|frame| frame["type"] == kind)
        .filter(|frame| stream.is_none_or(|id| frame["stream"] == id))
        .collect()
}

/// The value of a header in the one frame of this type on a stream.
fn header<'a>(direction: &'a Value, kind: &str, stream: u32, name: &str) -> &'a str {
    let found = frames(direction, kind, Some(stream));
    assert_eq!(found.len(), 1, "{kind} of stream {stream}");
    let headers = found[0]["headers"].as_array().unwrap();
    let pair = headers.iter().find(|pair| pair[0] == name);
    let pair =
        pair.unwrap_or_else(|| panic!("{kind} of stream {stream} has no {name}: {headers:?}"));
    pair[1].as_str().unwrap()
}

/// The bytes of DATA on a stream, and whether the last one says FIN.
fn data(direction: &Value, stream: u32) -> (u64, bool) {
    let found = frames(direction, "DATA", Some(stream));
    let length = found.iter().map(|frame| frame["length"].as_u64().unwrap());
    let fin = found.last().is_some_and(|frame| frame["flags"] == 1);
    (length.sum(), fin)
}

/// One request of each kind, one after the other, so that the streams are 1, 3, 5 ..
async fn talk(client: &Client) {
    let request = |method: &str, path: &str, marker: &str| {
        client
            .request(method, path)
            .header("x-marker", marker)
            .header("x-long", "long".repeat(500))
    };
    let get = async |path: &str, marker: &str| {
        let request = request("GET", path, marker).body(empty()).unwrap();
        client.send(request).await.unwrap()
    };
    // 1
    assert_eq!(text(get("/hello", "first").await).await, "hello world");
    // 3
    let echo = request("POST", "/echo", "second").body(streamed(UPLOAD));
    let echo = client.send(echo.unwrap()).await.unwrap();
    assert_eq!(check_pattern(echo.into_body()).await, UPLOAD);
    // 5, 7, 9
    assert_eq!(text(get("/cookies", "third").await).await, "ok");
    assert_eq!(get("/no-such-path", "fourth").await.status(), 404);
    let head = request("HEAD", "/hello", "fifth").body(empty()).unwrap();
    assert!(client.send(head).await.unwrap().body().is_end_stream());
    // 11: reset by the server
    let body = get("/reset", "sixth").await.into_body();
    assert!(body.collect().await.unwrap_err().is_reset());
    // 13: reset by us
    let mut body = get("/hang", "seventh").await.into_body();
    let started = body.frame().await.unwrap().unwrap();
    assert_eq!(started.into_data().unwrap(), "started");
    drop(body);
    // 15, 17, 19
    let trailers = get("/trailers", "eighth").await.into_body().collect().await;
    assert_eq!(trailers.unwrap().trailers().unwrap()["x-trailer"], "done");
    let headers = request("GET", "/headers?a=b", "ninth")
        .header("cookie", "c=1")
        .header("cookie", "d=2")
        .header("x-twice", "one")
        .header("x-twice", "two")
        .header("x-empty", "");
    let seen = client.send(headers.body(empty()).unwrap()).await.unwrap();
    assert_eq!(json(seen).await["headers"]["x-marker"], "ninth");
    assert_eq!(get("/status/204", "tenth").await.status(), 204);
    client.send.ping().await.unwrap();
    // 21, 23: the server shuts down while a response is under way, so that every step of its drain is seen
    let slow = get("/slow/2000", "eleventh").await;
    assert_eq!(text(get("/goaway", "last").await).await, "going away");
    until(async || client.send.is_closed()).await;
    assert_eq!(check_pattern(slow.into_body()).await, 2000);
}

/// What tshark has to have seen of [`talk`].
fn check(seen: &Value, port: u16) {
    let (c2s, s2c) = (&seen["c2s"], &seen["s2c"]);
    let expected = [
        ("GET", "/hello", "first", "200"),
        ("POST", "/echo", "second", "200"),
        ("GET", "/cookies", "third", "200"),
        ("GET", "/no-such-path", "fourth", "404"),
        ("HEAD", "/hello", "fifth", "200"),
        ("GET", "/reset", "sixth", "200"),
        ("GET", "/hang", "seventh", "200"),
        ("GET", "/trailers", "eighth", "200"),
        ("GET", "/headers?a=b", "ninth", "200"),
        ("GET", "/status/204", "tenth", "204"),
        ("GET", "/slow/2000", "eleventh", "200"),
        ("GET", "/goaway", "last", "200"),
    ];
    let long = "long".repeat(500);
    for ((method, path, marker, status), id) in expected.into_iter().zip((1..).step_by(2)) {
        let sent = |name| header(c2s, "SYN_STREAM", id, name);
        assert_eq!(sent(":method"), method);
        assert_eq!(sent(":path"), path);
        assert_eq!(sent(":version"), "HTTP/1.1");
        assert_eq!(sent(":scheme"), "http");
        assert_eq!(sent(":host"), format!("127.0.0.1:{port}"));
        assert_eq!(sent("x-marker"), marker);
        assert_eq!(sent("x-long"), long);
        let syn = frames(c2s, "SYN_STREAM", Some(id))[0];
        assert_eq!(syn["flags"], u8::from(method != "POST"), "FIN of {marker}");
        assert_eq!(syn["priority"], 3);
        let got = |name| header(s2c, "SYN_REPLY", id, name);
        assert!(got(":status").starts_with(status), "{marker}");
        assert_eq!(got(":version"), "HTTP/1.1");
        assert!(got("date").ends_with(" GMT"));
    }
    assert_eq!(header(c2s, "SYN_STREAM", 17, "cookie"), "c=1; d=2");
    assert_eq!(header(c2s, "SYN_STREAM", 17, "x-twice"), "one\0two");
    assert_eq!(header(c2s, "SYN_STREAM", 17, "x-empty"), "");
    let cookies = header(s2c, "SYN_REPLY", 5, "set-cookie");
    assert_eq!(cookies, "a=1; Path=/\0b=2; HttpOnly");
    assert_eq!(header(s2c, "HEADERS", 15, "x-trailer"), "done");

    assert_eq!(data(c2s, 3), (UPLOAD as u64, true));
    assert_eq!(data(s2c, 3), (UPLOAD as u64, true));
    assert_eq!(data(s2c, 1), (11, true));
    // HEAD ends with its SYN_REPLY.
    assert_eq!(data(s2c, 9), (0, false));
    assert_eq!(frames(s2c, "SYN_REPLY", Some(9))[0]["flags"], 1);
    // A reset is the end of its stream, instead of FIN.
    assert_eq!(data(s2c, 11), ("partial".len() as u64, false));

    // INTERNAL_ERROR is 6 on a stream, CANCEL is 5.
    let resets = |direction| frames(direction, "RST_STREAM", None);
    let reset = |frame: &Value| json!([frame["stream"], frame["rst_status"]]);
    let by_server: Vec<_> = resets(s2c).into_iter().map(reset).collect();
    assert_eq!(by_server, [json!([11, 6])]);
    let by_client: Vec<_> = resets(c2s).into_iter().map(reset).collect();
    assert_eq!(by_client, [json!([13, 5])]);

    // One PING of each side, and its echo.
    for direction in [c2s, s2c] {
        let ids = frames(direction, "PING", None);
        let ids: Vec<_> = ids.iter().map(|ping| ping["ping_id"].clone()).collect();
        assert_eq!(ids, [1, 2]);
        assert_eq!(frames(direction, "SETTINGS", None).len(), 1);
        assert!(!frames(direction, "WINDOW_UPDATE", Some(3)).is_empty());
    }
    let goaway = |frame: &Value| json!([frame["last_good"], frame["goaway_status"]]);
    let goaways: Vec<_> = frames(s2c, "GOAWAY", None)
        .into_iter()
        .map(goaway)
        .collect();
    assert_eq!(goaways, [json!([0x7fff_ffff, 0]), json!([23, 0])]);
}

async fn capture(client: HeaderCompression, server: HeaderCompression) {
    within(LONG, async {
        let config = Config::server().header_compression(server);
        let mut server = app::Server::start(config).await;
        let (port, recording) = record(server.port).await;
        // Windows as small as they get, for the sake of many WINDOW_UPDATEs.
        let config = Config::client()
            .header_compression(client)
            .initial_stream_window_size(64 << 10)
            .initial_connection_window_size(1);
        let client = Client::connect_with(port, config).await;
        talk(&client).await;
        client.finish().await;
        server.outcome().await.expect("the end of the connection");
        let recording = recording.await.unwrap();
        check(&dissect(&recording).await, port);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_requests_and_compressed_responses() {
    capture(HeaderCompression::Off, HeaderCompression::Level(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_requests_and_stored_responses() {
    capture(HeaderCompression::Level(1), HeaderCompression::Off).await;
}
