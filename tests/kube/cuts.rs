//! Connections that are cut at every byte, futures that are dropped at every poll, streams that are dropped in every order:
//! success that was none.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use http::Request;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use spdy::Body;
use spdy::kube::remote_command::{Client, Exit};
use spdy::kube::{self, remote_command};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::*;

/// A server of `exec` over HTTP/1.1; what has become of each upgrade goes to the channel.
fn serve(io: DuplexStream) -> mpsc::UnboundedReceiver<spdy::Result<()>> {
    let (tell, told) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        let tell = tell.clone();
        async move {
            let upgrade = match kube::on(&mut request, remote_command::PROTOCOLS) {
                Ok(upgrade) => upgrade,
                Err(refusal) => return Ok::<_, spdy::Error>(refusal.response::<Body>()),
            };
            let response = upgrade.response();
            spawn(async move {
                let run = async {
                    let (session, connection) =
                        upgrade.session(Config::spdystream_server()).await?;
                    spawn(connection);
                    let server = Server::new(Version::V4, EXEC_I);
                    let streams = server.accept(&session).await?;
                    let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
                    drop(streams.stderr);
                    drop(tokio::io::copy(&mut stdin, &mut stdout).await);
                    drop(stdout.shutdown().await);
                    streams.exit.finish(Exit::Code(7)).await
                };
                let result = run.await;
                drop(tell.send(result));
            });
            Ok(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    spawn(connection);
    told
}

/// A whole command; the exit code, if there was one.
async fn command(io: DuplexStream) -> spdy::Result<Exit> {
    let request = Request::post("http://a/exec").body(Body::empty()).unwrap();
    let answer = kube::connect(TokioIo::new(io), request, &["v4.channel.k8s.io"]).await?;
    let switched = answer.switched()?;
    let (session, connection) = switched.into_session(Config::spdystream_client());
    spawn(connection);
    let streams = Client::new(Version::V4, EXEC_I).open(&session).await?;
    let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
    let mut stderr = streams.stderr.unwrap();
    let mut output = Vec::new();
    drop(stdin.write_all(b"question").await);
    drop(stdin.shutdown().await);
    drop(stdout.read_to_end(&mut output).await);
    drop(stderr.read_to_end(&mut output).await);
    streams.exit.wait().await
}

/// Passes bytes on until a number of them has gone in one direction, then closes both.
async fn relay(a: DuplexStream, b: DuplexStream, limits: (usize, usize)) -> (usize, usize) {
    async fn one(
        mut from: tokio::io::ReadHalf<DuplexStream>,
        mut to: tokio::io::WriteHalf<DuplexStream>,
        limit: usize,
        count: &std::cell::Cell<usize>,
    ) -> bool {
        let mut byte = [0];
        while count.get() < limit {
            match from.read(&mut byte).await {
                Ok(1) if to.write_all(&byte).await.is_ok() => count.set(count.get() + 1),
                _ => {
                    drop(to.shutdown().await);
                    return false;
                }
            }
        }
        true
    }
    let ((ar, aw), (br, bw)) = (tokio::io::split(a), tokio::io::split(b));
    let counts = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    {
        let (mut there, mut back) = (
            pin!(one(ar, bw, limits.0, &counts.0)),
            pin!(one(br, aw, limits.1, &counts.1)),
        );
        let (mut first, mut second) = (false, false);
        std::future::poll_fn(|cx| {
            if !first {
                if let Poll::Ready(cut) = there.as_mut().poll(cx) {
                    first = true;
                    if cut {
                        return Poll::Ready(());
                    }
                }
            }
            if !second {
                if let Poll::Ready(cut) = back.as_mut().poll(cx) {
                    second = true;
                    if cut {
                        return Poll::Ready(());
                    }
                }
            }
            if first && second {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
    (counts.0.get(), counts.1.get())
}

/// Runs a command over a relay; how it has ended at both ends.
async fn cut(
    limits: (usize, usize),
) -> (spdy::Result<Exit>, Option<spdy::Result<()>>, (usize, usize)) {
    let (client, a) = duplex(100);
    let (b, server) = duplex(100);
    let mut told = serve(server);
    let asking = spawn(command(client));
    let counts = within("the relay", relay(a, b, limits)).await;
    let exit = within("the client", asking).await.unwrap();
    let served = within("the server", told.recv()).await;
    (exit, served, counts)
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_cut_at_any_byte_ends_at_both_ends_and_is_no_success() {
    let (exit, served, (there, back)) = cut((usize::MAX, usize::MAX)).await;
    assert_eq!(exit.unwrap(), Exit::Code(7));
    served.unwrap().unwrap();
    let mut whole = 0;
    for n in 0..there.max(back) {
        for limits in [(n, usize::MAX), (usize::MAX, n)] {
            let (exit, _, _) = cut(limits).await;
            match exit {
                Ok(Exit::Code(7)) => whole += 1,
                Ok(other) => panic!("{limits:?}: {other:?}"),
                Err(_) => {}
            }
        }
    }
    assert!(whole > 0 && whole < there + back);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_its_client_drops_at_any_poll_ends_at_the_server() {
    for polls in 0..200 {
        let (client, server) = duplex(64);
        let mut told = serve(server);
        let mut over = false;
        {
            let mut running = pin!(command(client));
            let mut left = polls;
            std::future::poll_fn(|cx| {
                if left == 0 {
                    return Poll::Ready(());
                }
                left -= 1;
                over = running.as_mut().poll(cx).is_ready();
                if over { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        // Where the request never came whole, there is nobody to tell.
        if let Some(result) = within("the server", told.recv()).await {
            assert!(!over || result.is_ok(), "after {polls} polls: {result:?}");
        }
        if over {
            return;
        }
    }
    panic!("200 polls are not enough");
}

#[tokio::test(start_paused = true)]
async fn a_server_of_ports_and_its_client_may_be_dropped_at_any_poll() {
    for polls in 0..12 {
        let ((client, a), (server, b)) =
            pair(Config::spdystream_client(), Config::spdystream_server());
        spawn(a);
        spawn(b);
        let ports = kube::port_forward::Client::new(client.clone());
        let mut serving = kube::port_forward::Server::new(server.clone());
        let accepting = spawn(async move {
            let mut copies = tokio::task::JoinSet::new();
            loop {
                // Given up again and again.
                let next = tokio::time::timeout(SECOND / 1000, serving.accept()).await;
                match next {
                    Ok(Ok(Some(forward))) => {
                        let (ours, mut target) = duplex(100);
                        copies.spawn(async move { drop(forward.copy(ours).await) });
                        copies.spawn(async move { drop(target.write_all(b"hello").await) });
                    }
                    Ok(_) => break,
                    Err(_) => {}
                }
            }
            while let Some(copy) = copies.join_next().await {
                copy.unwrap();
            }
        });
        for _ in 0..3 {
            let mut connecting = pin!(ports.connect(80));
            let mut left = polls;
            std::future::poll_fn(|cx| {
                if left == 0 {
                    return Poll::Ready(());
                }
                left -= 1;
                connecting.as_mut().poll(cx).map(drop)
            })
            .await;
        }
        let mut forwarded = within("connect", ports.connect(80)).await.unwrap();
        let mut text = String::new();
        within("the answer", forwarded.read_to_string(&mut text))
            .await
            .unwrap();
        assert_eq!(text, "hello");
        drop(forwarded);
        tokio::time::sleep(40 * SECOND).await;
        assert_eq!(
            (client.stream_count(), server.stream_count()),
            (0, 0),
            "{polls} polls"
        );
        drop((ports, client));
        server.shutdown();
        within("the server", accepting).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_dropped_at_once_ends_behind_its_reply() {
    let (session, _running, mut peer) = kubelet();
    let server = Server::new(Version::V4, EXEC_I);
    spawn(async move {
        let streams = server.accept(&session).await.unwrap();
        streams.finish(Exit::Code(1)).await
    });
    open_all(&mut peer, &["error", "stdin", "stdout", "stderr"]).await;
    let frames = rest(&mut peer).await;
    for stream in [5, 7] {
        assert!(ends(&frames, stream), "{frames:?}");
    }
}

/// All orders of four things.
fn orders() -> Vec<[usize; 4]> {
    let mut orders = Vec::new();
    for n in 0..256_usize {
        let order = [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6];
        if (0..4).all(|thing| order.contains(&thing)) {
            orders.push(order);
        }
    }
    orders
}

#[tokio::test(start_paused = true)]
async fn the_streams_of_a_command_may_be_dropped_in_any_order() {
    for order in orders() {
        for stuck in [false, true] {
            let (session, running, mut peer) = kubelet();
            let accepting = accepting(&session, Version::V4, EXEC_I);
            open_all(&mut peer, &["error", "stdin", "stdout", "stderr"]).await;
            let streams = within("accept", accepting).await.unwrap().unwrap();
            peer.send(data(3, [1; 1000])).await;
            if stuck {
                peer.wire().set_out_capacity(0);
            }
            let mut parts: Vec<Option<Box<dyn std::any::Any>>> = vec![
                Some(Box::new(streams.stdin)),
                Some(Box::new(streams.stdout)),
                Some(Box::new(streams.stderr)),
                Some(Box::new(streams.exit)),
            ];
            for part in order {
                parts[part] = None;
                settle().await;
            }
            peer.wire().set_out_capacity(usize::MAX);
            let mut text = Vec::new();
            for frame in rest(&mut peer).await {
                if let Frame::Data(data) = frame {
                    if data.id.get() == 1 {
                        text.extend_from_slice(&data.payload);
                    }
                }
            }
            let status = kube::Status::from_json(&text).unwrap();
            assert!(!status.is_success(), "{order:?}");
            drop(peer);
            outcome(running).await.unwrap();
            assert_eq!(session.stream_count(), 0, "{order:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_a_command_may_drop_its_streams_in_any_order() {
    for order in orders() {
        let ((client, a), (server, b)) =
            pair(Config::spdystream_client(), Config::spdystream_server());
        spawn(a);
        spawn(b);
        let serving = spawn(async move {
            let streams = Server::new(Version::V4, EXEC_I).accept(&server).await?;
            let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
            let mut stderr = streams.stderr.unwrap();
            drop(stderr.write_all(&[1; 100_000]).await);
            drop(tokio::io::copy(&mut stdin, &mut stdout).await);
            drop((stdout.shutdown().await, stderr.shutdown().await));
            streams.exit.finish(Exit::Code(0)).await
        });
        let opened = Client::new(Version::V4, EXEC_I).open(&client).await;
        let streams = opened.unwrap();
        let mut parts: Vec<Option<Box<dyn std::any::Any>>> = vec![
            Some(Box::new(streams.stdin)),
            Some(Box::new(streams.stdout)),
            Some(Box::new(streams.stderr)),
            Some(Box::new(streams.exit)),
        ];
        for part in order {
            parts[part] = None;
            settle().await;
        }
        drop(client);
        drop(within("the server", serving).await.unwrap());
    }
}
