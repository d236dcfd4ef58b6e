//! The example `get`, run as a program against servers in this process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking, and its module is no API"
)]

mod get_support;

use std::path::Path;
use std::time::Duration;

use get_support::{Peer, Scratch, app, finish, pattern, run, start, stub, within};
use spdy::frame::{Received, ResetStatus};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_to_the_standard_output() {
    let address = app(Path::new(".")).await;
    let hello = format!("spdy://{address}/hello");
    assert_eq!(run(&[&hello]).await.success(), b"hello\n");
    let bytes = run(&[&format!("spdy://{address}/bytes/1000000")]).await;
    assert!(bytes.success() == pattern(1_000_000));

    let head = run(&["-i", &hello]).await;
    let head = text(head.success());
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-length: 6\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\nhello\n"), "{head}");

    let head = run(&["-i", "-X", "HEAD", &hello]).await;
    assert!(text(head.success()).ends_with("\r\n\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_headers_and_uploads() {
    let scratch = Scratch::new("uploads");
    let address = app(scratch.dir()).await;
    let echo = format!("spdy://{address}/echo");
    assert_eq!(run(&["-d", "a text", &echo]).await.success(), b"a text");

    let file = scratch.put("up", &pattern(3_000_000));
    let echoed = run(&["--data-file", &file, &echo]).await;
    assert!(echoed.success() == pattern(3_000_000));

    // A pipe has no length to announce.
    let length = format!("spdy://{address}/length");
    let mut child = start(&["--data-file", "-", &length]);
    let mut stdin = child.stdin.take().unwrap();
    within(stdin.write_all(&pattern(200_000))).await.unwrap();
    drop(stdin);
    assert_eq!(finish(child).await.success(), b"200000");

    let headers = format!("spdy://{address}/headers");
    let args = [
        "-H",
        "X-One: 1",
        "-H",
        "x-two:2",
        "-H",
        "x-two: 3",
        "-H",
        "Host: other.test",
        "-X",
        "PUT",
        "-d",
        "",
        &headers,
    ];
    let seen = run(&args).await;
    let seen = text(seen.success());
    for line in [
        "x-one: 1\n",
        "x-two: 2\n",
        "x-two: 3\n",
        "host: other.test\n",
    ] {
        assert!(seen.contains(line), "{seen}");
    }
    assert!(seen.contains("content-type: application/x-www-form-urlencoded\n"));
    let args = [
        "--compress-headers",
        "-H",
        "content-type: text/x",
        "-d",
        "x",
        &headers,
    ];
    let seen = run(&args).await;
    let seen = text(seen.success());
    assert!(seen.contains("content-type: text/x\n"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_files_and_ranges() {
    let scratch = Scratch::new("files");
    scratch.put("big", &pattern(700_000));
    let address = app(scratch.dir()).await;
    let big = format!("spdy://{address}/files/big");

    // What the file held before is gone, however long it was.
    let out = scratch.put("out", &[1; 900_000]);
    assert!(run(&["-o", &out, &big]).await.success().is_empty());
    assert!(scratch.get("out") == pattern(700_000));

    let part = run(&["-r", "10-19", &big]).await;
    assert_eq!(part.success(), &pattern(20)[10..]);
    let part = run(&["-r", "-5", &big]).await;
    assert_eq!(part.success(), &pattern(700_000)[699_995..]);

    let ignored = run(&["-r", "0-1", &format!("spdy://{address}/hello")]).await;
    assert_eq!((ignored.code, &*ignored.out), (Some(0), &b"hello\n"[..]));
    assert!(ignored.err.contains("ignores the range"), "{}", ignored.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn resumes_only_what_fits() {
    let scratch = Scratch::new("resume");
    scratch.put("big", &pattern(500_000));
    let address = app(scratch.dir()).await;
    let big = format!("spdy://{address}/files/big");

    // Nothing there yet; then a part; then all of it.
    let out = scratch.path("out");
    let resume = ["-C", "-o", &out, &big];
    assert!(run(&resume).await.success().is_empty());
    assert!(scratch.get("out") == pattern(500_000));
    scratch.put("out", &pattern(123_456));
    assert!(run(&resume).await.success().is_empty());
    assert!(scratch.get("out") == pattern(500_000));
    let complete = run(&resume).await;
    assert_eq!(complete.code, Some(0));
    assert!(complete.err.contains("complete already (500000 bytes)"));
    assert!(scratch.get("out") == pattern(500_000));

    // Longer than the server's.
    scratch.put("out", &[7; 500_001]);
    let longer = run(&resume).await;
    assert!(longer.failure(33).contains("not the same file"));
    assert_eq!(scratch.get("out"), [7; 500_001]);

    // No ranges, and no file.
    scratch.put("out", b"part");
    let no_ranges = run(&["-C", "-o", &out, &format!("spdy://{address}/bytes/1000")]).await;
    assert!(no_ranges.failure(33).contains("run without -C"));
    let missing = run(&["-C", "-o", &out, &format!("spdy://{address}/files/none")]).await;
    assert!(missing.failure(22).contains("404"));
    assert_eq!(scratch.get("out"), b"part");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_to_resume_with_other_bytes() {
    let scratch = Scratch::new("other-bytes");
    let out = scratch.put("out", b"0123");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("spdy://{}/x", listener.local_addr().unwrap());
    let child = start(&["-C", "-o", &out, &url]);
    let mut peer = Peer::accept(&listener).await;
    let (id, request) = peer.request().await;
    assert_eq!(request.get("range"), Some(&b"bytes=4-"[..]));
    let headers = [
        (":status", "206"),
        (":version", "HTTP/1.1"),
        ("content-range", "bytes 2-5/6"),
    ];
    peer.reply(id, &headers).await;
    let cancelled = peer.expect(reset).await;
    assert_eq!(cancelled, ResetStatus::CANCEL);
    drop(peer);
    assert!(finish(child).await.failure(33).contains("bytes 2-5/6"));
    assert_eq!(scratch.get("out"), b"0123");
}

fn reset(frame: &Received) -> Option<ResetStatus> {
    match frame {
        Received::RstStream(reset) => Some(reset.status),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_and_measures() {
    let address = app(Path::new(".")).await;
    let url = format!("spdy://{address}/bytes/1000");
    let done = run(&["-n", "200", "-m", "10", &url]).await;
    let table = text(done.success());
    assert!(
        table.contains("200 done, 0 failed, 10 at a time"),
        "{table}"
    );
    assert!(table.contains("bytes      200000 ("), "{table}");
    assert!(table.contains("status     200: 200"), "{table}");
    let row = |name: &str| -> Vec<f64> {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        let figures = line[12..].split_whitespace();
        figures.map(|figure| figure.parse().unwrap()).collect()
    };
    for (first_reply, whole) in row("first reply").iter().zip(row("whole")) {
        assert!(*first_reply > 0.0 && *first_reply <= whole, "{table}");
    }
    assert_eq!(row("whole").len(), 5);
    assert!(row("whole").is_sorted(), "{table}");

    let failing = run(&["-f", "-n", "3", &format!("spdy://{address}/none")]).await;
    assert!(failing.failure(22).contains("3 of 3 requests failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_times_and_frames() {
    let address = app(Path::new(".")).await;
    let url = format!("spdy://{address}/echo");
    let secret = "authorization: Basic c2VjcmV0";
    let done = run(&["--time", "--trace", "-H", secret, "-d", "ping", &url]).await;
    assert_eq!((done.code, &*done.out), (Some(0), &b"ping"[..]));
    let has = |start: &str, rest: &str| {
        let mut lines = done.err.lines();
        let found = lines.any(|line| line.contains(start) && line.contains(rest));
        assert!(found, "no {start:?} .. {rest:?} in\n{}", done.err);
    };
    has("ms > SETTINGS", "InitialWindowSize=1048576");
    has(
        "ms > SYN_STREAM id=1 prio=3 :method=\"POST\"",
        ":path=\"/echo\"",
    );
    has("ms > DATA id=1 len=4", "");
    has("ms < SYN_REPLY id=1 :status=\"200\"", "");
    has("ms < DATA id=1 len=4", "");
    has("ms > GOAWAY last=0 OK", "");
    has("resolve ", "connect ");
    has("first reply ", "total ");
    assert!(!done.err.contains("c2VjcmV0"), "{}", done.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_fail_only_if_asked() {
    let scratch = Scratch::new("statuses");
    let address = app(scratch.dir()).await;
    let missing = format!("spdy://{address}/missing");
    assert!(run(&[&missing]).await.success().is_empty());
    let out = scratch.path("out");
    let failing = run(&["--fail", "-o", &out, &missing]).await;
    assert!(failing.failure(22).contains("404 Not Found"));
    assert!(!Path::new(&out).exists(), "an empty file was left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_what_is_wrong_with_the_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let done = run(&[&format!("spdy://{closed}/")]).await;
    assert!(done.failure(7).contains(&closed.to_string()));

    let http1 = stub(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let done = run(&[&format!("spdy://{http1}/")]).await;
    assert!(done.failure(8).contains("HTTP/1 response"), "{}", done.err);

    let tls = stub(&[0x15, 3, 3, 0, 2, 2, 70]).await;
    let done = run(&[&format!("spdy://{tls}/")]).await;
    assert!(done.failure(8).contains("TLS alert"), "{}", done.err);

    let silent = stub(b"").await;
    let done = run(&[&format!("spdy://{silent}/")]).await;
    assert!(done.failure(56).contains("check that it speaks SPDY/3.1"));

    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("spdy://{}/", mute.local_addr().unwrap());
    let done = run(&["--max-time", "0.3", &url]).await;
    assert!(done.failure(28).contains("--max-time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_what_is_wrong_with_the_command() {
    let address = app(Path::new(".")).await;
    let hello = format!("spdy://{address}/hello");
    for url in [
        "host/path",
        "spdy://",
        "spdy:///path",
        "spdys://h/",
        "ftp://h/",
        "spdy://h:99999/",
        "spdy://h:0/",
        "spdy://u@h/",
        "spdy://h h/",
        "",
    ] {
        let done = run(&[url]).await;
        assert!(done.failure(3).contains("spdy://HOST:PORT/PATH"), "{url}");
    }
    let usage: [&[&str]; 12] = [
        &[],
        &["-z", &hello],
        &["--nonsense", &hello],
        &[&hello, &hello],
        &["-n", "0", &hello],
        &["-m", "2", &hello],
        &["-C", &hello],
        &["-r", "9", &hello],
        &["-H", "nonsense", &hello],
        &["-n", "2", "-o", "x", &hello],
        &["-d", "x", "-d", "y", &hello],
        &["-X", "CONNECT ", &hello],
    ];
    for args in usage {
        assert!(run(args).await.failure(2).contains("--help"), "{args:?}");
    }
    let scratch = Scratch::new("command");
    for out in [scratch.path("none/out"), scratch.path("")] {
        let done = run(&["-o", &out, &hello]).await;
        assert!(done.failure(23).contains("give another -o FILE"), "{out}");
    }
    let done = run(&["--data-file", &scratch.path("none"), &hello]).await;
    assert!(done.failure(26).contains("none"));
    let help = run(&["--help"]).await;
    assert!(text(help.success()).contains("exit codes"));
}

/// Serves the start of a file and dies.
async fn die_midway(scratch: &Scratch, out: &str, whole: &[u8], sent: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("spdy://{}/files/big", listener.local_addr().unwrap());
    let child = start(&["-o", out, &url]);
    let mut peer = Peer::accept(&listener).await;
    let (id, _) = peer.request().await;
    let length = whole.len().to_string();
    let headers = [
        (":status", "200"),
        (":version", "HTTP/1.1"),
        ("content-length", &length),
    ];
    peer.reply(id, &headers).await;
    peer.data(id, &whole[..sent], false).await;
    drop(peer);
    let done = finish(child).await;
    let line = done.failure(18);
    assert!(line.contains("is partial ("), "{line}");
    assert!(line.contains("of 60000 bytes); resume with -C"), "{line}");
    let kept = scratch.get("out");
    assert!(kept.len() <= sent && whole.starts_with(&kept));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_leaves_a_part_that_can_be_resumed() {
    let scratch = Scratch::new("dies");
    let whole = pattern(60_000);
    scratch.put("big", &whole);
    let out = scratch.path("out");
    die_midway(&scratch, &out, &whole, 32_000).await;
    let kept = scratch.get("out");
    assert_eq!(kept.len(), 32_000, "what had arrived is lost");

    let address = app(scratch.dir()).await;
    let url = format!("spdy://{address}/files/big");
    let traced = run(&["--trace", "-C", "-o", &out, &url]).await;
    assert_eq!(traced.code, Some(0), "{}", traced.err);
    assert!(
        traced.err.contains("range=\"bytes=32000-\""),
        "{}",
        traced.err
    );
    assert!(scratch.get("out") == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_shorter_than_announced_is_partial() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("spdy://{}/x", listener.local_addr().unwrap());
    let child = start(&[&url]);
    let mut peer = Peer::accept(&listener).await;
    let (id, _) = peer.request().await;
    let headers = [
        (":status", "200"),
        (":version", "HTTP/1.1"),
        ("content-length", "100"),
    ];
    peer.reply(id, &headers).await;
    peer.data(id, &pattern(40), true).await;
    while peer.next().await.is_some() {}
    drop(peer);
    let done = finish(child).await;
    assert!(done.failure(18).contains("40 of 100 bytes"), "{}", done.err);
    assert_eq!(done.out, pattern(40));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_cancels_and_keeps_the_part() {
    let scratch = Scratch::new("interrupt");
    let out = scratch.path("out");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("spdy://{}/x", listener.local_addr().unwrap());
    let child = start(&["-o", &out, &url]);
    let mut peer = Peer::accept(&listener).await;
    let (id, _) = peer.request().await;
    let headers = [
        (":status", "200"),
        (":version", "HTTP/1.1"),
        ("content-length", "90000"),
    ];
    peer.reply(id, &headers).await;
    peer.data(id, &pattern(30_000), false).await;
    let written = async {
        while scratch.get("out").len() < 30_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(written).await;
    get_support::interrupt(&child);

    assert_eq!(farewell(&mut peer).await, [ResetStatus::CANCEL]);
    drop(peer);
    let done = finish(child).await;
    let line = done.failure(130);
    assert!(
        line.contains("(30000 of 90000 bytes); resume with -C"),
        "{line}"
    );
    assert!(scratch.get("out") == pattern(30_000));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_cancels_every_repeated_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("spdy://{}/x", listener.local_addr().unwrap());
    let child = start(&["-n", "100", "-m", "5", &url]);
    let mut peer = Peer::accept(&listener).await;
    for _ in 0..5 {
        peer.request().await;
    }
    get_support::interrupt(&child);
    assert_eq!(farewell(&mut peer).await, [ResetStatus::CANCEL; 5]);
    drop(peer);
    let done = finish(child).await;
    assert_eq!(done.failure(130), "get: interrupted");
    assert!(text(&done.out).contains("0 done, 0 failed, 5 at a time"));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_cancels_an_upload() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("spdy://{}/x", listener.local_addr().unwrap());
    let mut child = start(&["--data-file", "-", &url]);
    // Kept open: the upload has no end.
    let mut stdin = child.stdin.take().unwrap();
    within(stdin.write_all(b"some")).await.unwrap();
    let mut peer = Peer::accept(&listener).await;
    peer.request().await;
    peer.expect(|frame| matches!(frame, Received::Data(_)).then_some(()))
        .await;
    get_support::interrupt(&child);
    assert_eq!(farewell(&mut peer).await, [ResetStatus::CANCEL]);
    drop(peer);
    assert_eq!(finish(child).await.failure(130), "get: interrupted");
    drop(stdin);
}

/// Everything up to the end of the connection: the resets, and a GOAWAY.
#[cfg(unix)]
async fn farewell(peer: &mut Peer) -> Vec<ResetStatus> {
    let mut resets = Vec::new();
    let mut goodbye = false;
    while let Some(frame) = peer.next().await {
        resets.extend(reset(&frame));
        goodbye |= matches!(frame, Received::GoAway(_));
    }
    assert!(goodbye, "no GOAWAY");
    resets
}
