//! Our client against our server: over the Upgrade, and over any transport.

use std::sync::Arc;

use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use spdy::Body;
use spdy::kube::remote_command::{self, Client, Exit, TerminalSize};
use spdy::kube::{self, port_forward};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::*;
use crate::http_support::{empty, pattern};

/// A command as `cat`: standard input comes back, then it ends with this code.
async fn cat(session: Session, version: Version, streams: Streams, code: u8) {
    let streams = Server::new(version, streams)
        .accept(&session)
        .await
        .unwrap();
    let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
    tokio::io::copy(&mut stdin, &mut stdout).await.unwrap();
    stdout.shutdown().await.unwrap();
    if let Some(mut stderr) = streams.stderr {
        stderr.write_all(b"that was all").await.unwrap();
        stderr.shutdown().await.unwrap();
    }
    streams.exit.finish(Exit::Code(code)).await.unwrap();
}

/// Runs the client of [`cat`], and gives what came back.
async fn through_cat(
    session: Session,
    version: Version,
    input: Vec<u8>,
) -> (Vec<u8>, String, Exit) {
    let streams = Client::new(version, EXEC_I).open(&session).await.unwrap();
    let mut stdin = streams.stdin.unwrap();
    let writing = spawn(async move {
        stdin.write_all(&input).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    let (mut stdout, mut stderr) = (streams.stdout.unwrap(), streams.stderr.unwrap());
    let (mut output, mut text) = (Vec::new(), String::new());
    let (out, err) = tokio::join!(
        stdout.read_to_end(&mut output),
        stderr.read_to_string(&mut text)
    );
    out.unwrap();
    err.unwrap();
    let exit = streams.exit.wait().await.unwrap();
    writing.await.unwrap();
    (output, text, exit)
}

#[tokio::test]
async fn a_command_runs_over_any_transport() {
    async fn over<T>(a: T, b: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (client, a) = Session::client(a, Config::spdystream_client());
        let (server, b) = Session::server(b, Config::spdystream_server());
        let (a, b) = (spawn(a), spawn(b));
        spawn(cat(server, Version::V4, EXEC_I, 3));
        let input = pattern(0, 5 << 20).to_vec();
        let running = through_cat(client, Version::V4, input.clone());
        let (output, text, exit) = within("the command", running).await;
        assert!(output == input, "5 MiB come back as they went");
        assert_eq!((text.as_str(), exit), ("that was all", Exit::Code(3)));
        // Neither end calls that an error.
        outcome(a).await.unwrap();
        outcome(b).await.unwrap();
    }
    let (a, b) = duplex(1000);
    over(a, b).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let a = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (b, _) = listener.accept().await.unwrap();
    over(a, b).await;
    // A session in a stream of a session.
    let ((outer, x), (inner, y)) = pair(Config::client(), Config::server());
    spawn(x);
    spawn(y);
    let opened = outer.open(block(&[]), spdy::stream::OpenOptions::new());
    let a = opened.await.unwrap();
    let incoming = inner.accept().await.unwrap().unwrap();
    let b = incoming.reply(block(&[])).unwrap();
    over(a, b).await;
}

#[tokio::test]
async fn twenty_megabytes_go_each_way_without_a_window() {
    let ((client, a), (server, b)) = pair(Config::spdystream_client(), Config::spdystream_server());
    spawn(a);
    spawn(b);
    spawn(cat(server, Version::V4, EXEC_I, 0));
    let input = pattern(7, 20 << 20).to_vec();
    let running = through_cat(client.clone(), Version::V4, input.clone());
    let (output, _, exit) = within("the command", running).await;
    assert!(output == input);
    assert_eq!(exit, Exit::Code(0));
    let stats = client.stats();
    assert_eq!(stats.received.window_update + stats.sent.window_update, 0);
    assert_eq!(stats.received.settings + stats.sent.settings, 0);
}

#[tokio::test]
async fn every_version_tells_the_outcome_in_its_way() {
    for (version, exit) in [
        (Version::V1, Exit::Failed(String::new())),
        (Version::V2, Exit::Failed(String::new())),
        (Version::V3, Exit::Failed(String::new())),
        (Version::V4, Exit::Code(255)),
        (Version::V5, Exit::Code(255)),
    ] {
        let ((client, a), (server, b)) =
            pair(Config::spdystream_client(), Config::spdystream_server());
        spawn(a);
        spawn(b);
        spawn(cat(server, version, EXEC_I, 255));
        let running = through_cat(client, version, b"x".to_vec());
        let (output, _, got) = within("the command", running).await;
        assert_eq!(output, b"x");
        match (got, exit) {
            (Exit::Failed(text), Exit::Failed(_)) => {
                assert!(text.contains("exit code 255"), "{text}");
            }
            (got, exit) => assert_eq!(got, exit, "{version:?}"),
        }
    }
}

#[tokio::test]
async fn a_terminal_tells_its_sizes() {
    let ((client, a), (server, b)) = pair(Config::spdystream_client(), Config::spdystream_server());
    spawn(a);
    spawn(b);
    let serving = spawn(async move {
        let mut streams = Server::new(Version::V4, EXEC_IT)
            .accept(&server)
            .await
            .unwrap();
        let mut resize = streams.resize.take().unwrap();
        let mut sizes = Vec::new();
        while sizes.len() < 3 {
            sizes.push(resize.next().await.unwrap().unwrap());
        }
        streams.finish(Exit::Code(0)).await.unwrap();
        sizes
    });
    let mut streams = Client::new(Version::V4, EXEC_IT)
        .open(&client)
        .await
        .unwrap();
    assert!(streams.stderr.is_none());
    let resize = streams.resize.as_mut().unwrap();
    let sizes = [(80, 24), (u16::MAX, 0), (100, 30)];
    let sizes = sizes.map(|(width, height)| TerminalSize { width, height });
    for size in sizes {
        resize.send(size).await.unwrap();
    }
    assert_eq!(within("the sizes", serving).await.unwrap(), sizes);
    assert_eq!(
        within("the outcome", streams.exit.wait()).await.unwrap(),
        Exit::Code(0)
    );
}

/// A server of both protocols behind the Upgrade.
async fn kubelet_on_http(mut request: Request<hyper::body::Incoming>) -> Response<Body> {
    let exec = request.uri().path() == "/exec";
    let query = Streams::from_query(request.uri().query().unwrap_or_default());
    let protocols = if exec {
        remote_command::PROTOCOLS
    } else {
        port_forward::PROTOCOLS
    };
    let upgrade = match kube::on(&mut request, protocols) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.response(),
    };
    let response = upgrade.response();
    spawn(async move {
        let protocol = upgrade.protocol();
        let config = Config::spdystream_server();
        let (session, connection) = upgrade.session(config).await.unwrap();
        spawn(connection);
        if exec {
            cat(session, Version::from_name(protocol).unwrap(), query, 7).await;
        } else {
            forward(session).await;
        }
    });
    response
}

/// Forwards to echoing targets; port 1 cannot be reached.
async fn forward(session: Session) {
    let mut server = port_forward::Server::new(session);
    while let Some(forward) = server.accept().await.unwrap() {
        spawn(async move {
            if forward.port() == 1 {
                return forward.fail("connection refused").await;
            }
            let (ours, target) = duplex(10_000);
            spawn(async move {
                let (mut read, mut write) = tokio::io::split(target);
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            });
            let _ = forward.copy(ours).await;
        });
    }
}

async fn upgraded(path: &str, protocols: &[&str]) -> (kube::Switched, tokio::net::TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async {
        let (io, _) = listener.accept().await.unwrap();
        let service =
            service_fn(
                |request| async move { Ok::<_, spdy::Error>(kubelet_on_http(request).await) },
            );
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades();
        spawn(connection);
    };
    let asking = async {
        let io = TcpStream::connect(address).await.unwrap();
        let request = Request::post(format!("http://{address}{path}"))
            .body(empty())
            .unwrap();
        kube::connect(TokioIo::new(io), request, protocols).await
    };
    let ((), answer) = tokio::join!(serving, asking);
    (answer.unwrap().switched().unwrap(), listener)
}

#[tokio::test]
async fn exec_works_from_the_request_to_the_exit_code() {
    let offered = [
        "v5.channel.k8s.io",
        "v4.channel.k8s.io",
        "v3.channel.k8s.io",
    ];
    let path = "/exec?command=cat&stdin=true&stdout=true&stderr=true";
    let (switched, _listener) = within("the upgrade", upgraded(path, &offered)).await;
    assert_eq!(switched.protocol(), Some("v4.channel.k8s.io"));
    let version = Version::negotiated(switched.protocol()).unwrap();
    let (session, connection) = switched.into_session(Config::spdystream_client());
    let running = spawn(connection);
    let input = pattern(3, 1 << 20).to_vec();
    let command = through_cat(session, version, input.clone());
    let (output, text, exit) = within("the command", command).await;
    assert!(output == input);
    assert_eq!((text.as_str(), exit), ("that was all", Exit::Code(7)));
    outcome(running).await.unwrap();
}

#[tokio::test]
async fn a_hundred_forwarded_connections_live_and_end_each_by_itself() {
    let (switched, _listener) = within(
        "the upgrade",
        upgraded("/portforward", port_forward::PROTOCOLS),
    )
    .await;
    port_forward::check(switched.protocol()).unwrap();
    let (session, connection) = switched.into_session(Config::spdystream_client());
    let running = spawn(connection);
    let client = Arc::new(port_forward::Client::new(session));
    let mut tasks = Vec::new();
    for n in 0..100 {
        let client = Arc::clone(&client);
        tasks.push(spawn(async move {
            let port = if n % 10 == 3 { 1 } else { 8080 };
            let mut forwarded = client.connect(port).await.unwrap();
            if port == 1 {
                let error = forwarded.read_u8().await.unwrap_err();
                assert!(
                    error.to_string().contains("port 1 was not forwarded"),
                    "{error}"
                );
                return;
            }
            let (ours, local) = duplex(1000);
            let copying = spawn(forwarded.copy(ours));
            let (mut read, mut write) = tokio::io::split(local);
            let sent = pattern(n, 100_000);
            let writing = spawn({
                let sent = sent.clone();
                async move {
                    write.write_all(&sent).await.unwrap();
                    write.shutdown().await.unwrap();
                }
            });
            let mut echo = Vec::new();
            read.read_to_end(&mut echo).await.unwrap();
            assert!(echo == sent, "connection {n}");
            writing.await.unwrap();
            copying.await.unwrap().unwrap();
        }));
    }
    for task in tasks {
        within("a connection", task).await.unwrap();
    }
    assert_eq!(client.session().stream_count(), 0);
    drop(client);
    outcome(running).await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_cut_off_in_the_middle_leaves_nothing_behind() {
    let ((client, a), (server, b)) = pair(Config::spdystream_client(), Config::spdystream_server());
    let (a, b) = (spawn(a), spawn(b));
    let serving = spawn({
        let server = server.clone();
        async move {
            let streams = Server::new(Version::V4, EXEC_I)
                .accept(&server)
                .await
                .unwrap();
            let mut stdin = streams.stdin.unwrap();
            let read = stdin.read_to_end(&mut Vec::new()).await;
            (read, streams.exit.finish(Exit::Code(0)).await)
        }
    });
    let mut streams = Client::new(Version::V4, EXEC_I)
        .open(&client)
        .await
        .unwrap();
    streams
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"x")
        .await
        .unwrap();
    a.abort();
    let (read, finished) = within("the server", serving).await.unwrap();
    read.unwrap_err();
    finished.unwrap_err();
    outcome(b).await.unwrap_err();
    assert_eq!(server.stream_count(), 0);
    drop(streams);
}

#[tokio::test]
async fn an_output_that_is_dropped_is_whole_and_an_input_that_is_dropped_is_not() {
    let ((client, a), (server, b)) = pair(Config::spdystream_client(), Config::spdystream_server());
    spawn(a);
    spawn(b);
    let serving = spawn(async move {
        let streams = Server::new(Version::V4, EXEC_I)
            .accept(&server)
            .await
            .unwrap();
        let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
        stdout.write_all(&[7; 50_000]).await.unwrap();
        drop((stdout, streams.stderr));
        let mut input = Vec::new();
        let read = stdin.read_to_end(&mut input).await;
        streams.exit.finish(Exit::Code(0)).await.unwrap();
        (input, read)
    });
    let streams = Client::new(Version::V4, EXEC_I)
        .open(&client)
        .await
        .unwrap();
    let mut stdin = streams.stdin.unwrap();
    stdin.write_all(b"half a fi").await.unwrap();
    stdin.flush().await.unwrap();
    drop(stdin);
    let mut output = Vec::new();
    let mut stdout = streams.stdout.unwrap();
    within("stdout", stdout.read_to_end(&mut output))
        .await
        .unwrap();
    assert_eq!(output, [7; 50_000]);
    assert_eq!(streams.exit.wait().await.unwrap(), Exit::Code(0));
    let (input, read) = within("the server", serving).await.unwrap();
    assert_eq!(input, b"half a fi");
    assert!(read.is_err(), "an input that was given up is not whole");
}

/// As the handlers of the README and of `kube` have it.
#[tokio::test(start_paused = true)]
async fn a_set_of_streams_that_is_finished_with_its_streams_ends_at_once() {
    for streams in [EXEC_I, EXEC_IT] {
        let ((client, a), (server, b)) =
            pair(Config::spdystream_client(), Config::spdystream_server());
        let connections = [spawn(a), spawn(b)];
        let serving = spawn(async move {
            let mut streams = Server::new(Version::V4, streams).accept(&server).await?;
            let stdout = streams.stdout.as_mut().unwrap();
            stdout.write_all(&[7; 100_000]).await.unwrap();
            streams.finish(Exit::Code(3)).await
        });
        let began = Instant::now();
        let opened = Client::new(Version::V4, streams).open(&client).await;
        let mut opened = opened.unwrap();
        let mut all = Vec::new();
        let stdout = opened.stdout.as_mut().unwrap();
        let read = within("stdout", stdout.read_to_end(&mut all));
        read.await.expect("it is whole");
        assert_eq!(all, [7; 100_000]);
        let exit = within("the outcome", opened.exit.wait()).await;
        assert_eq!(exit.unwrap(), Exit::Code(3));
        within("the server", serving).await.unwrap().unwrap();
        drop(client);
        for connection in connections {
            within("the end", connection).await.unwrap().unwrap();
        }
        let took = began.elapsed();
        assert!(took < 2 * SECOND, "{took:?}");
    }
}
