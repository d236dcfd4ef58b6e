//! Every future of the public API, polled only when it was woken, over transports that give single bytes and stutter:
//! a wakeup that is missed shows as a time-out that names the future.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Frame as BodyFrame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::alpn::WithAlpn;
use spdy::client::{Connector, SendRequest};
use spdy::headers::HeaderBlock;
use spdy::server::{self, GracefulShutdown, Listener};
use spdy::stream::{OpenOptions, Session};
use spdy::{Body, Config, client, upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tower::Service;

use crate::http_support::*;
use crate::support::*;

pub(crate) const SEEDS: u64 = 25;

pub(crate) type Transport = Faulty<DuplexStream>;

pub(crate) fn transports(seed: u64) -> (Transport, Transport) {
    let (a, b) = tokio::io::duplex(if seed % 2 == 0 { 300 } else { 1 << 16 });
    let pace = Pace {
        piece: [1, 3, 40, 0][usize::try_from(seed % 4).unwrap()],
        stutters: true,
        ..Pace::default()
    };
    let faults = Faults {
        seed,
        pace,
        cut: None,
    };
    let (a, b, _) = link(a, b, faults);
    (a, b)
}

/// Windows that block every writer again and again.
fn narrow(config: Config) -> Config {
    config
        .initial_stream_window_size(300)
        .max_concurrent_streams(3)
}

async fn echo(request: Request<Body>) -> Result<Response<AnyBody>, BoxError> {
    let body = match request.uri().path() {
        "/trailers" => {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-sum", "1".parse()?);
            let frames = [chunk(pattern(0, 900)), Ok(BodyFrame::trailers(trailers))];
            http_body_util::StreamBody::new(tokio_stream::iter(frames)).boxed_unsync()
        }
        _ => request.into_body().map_err(Into::into).boxed_unsync(),
    };
    Ok(Response::new(body))
}

async fn get(mut send: SendRequest<AnyBody>, path: &str) -> http_body_util::Collected<Bytes> {
    send.ready().await.unwrap();
    let request = Request::get(format!("http://a{path}"))
        .body(empty())
        .unwrap();
    let mut response = send.send_request(request).await.unwrap().into_body();
    // Not all in one call: each frame is a future of its own.
    assert!(response.frame().await.unwrap().unwrap().is_data());
    response.collect().await.unwrap()
}

/// The parts of a client that uses all of [`SendRequest`].
fn client_parts(joint: Joint<'static>, send: &SendRequest<AnyBody>) -> Joint<'static> {
    let (feed, upload) = channel();
    let mut post = send.clone();
    let (a, b, c) = (send.clone(), send.clone(), send.clone());
    joint
        .add("upload", async move {
            for i in 0..20 {
                feed.send(chunk(pattern(i * 50, 50))).await.unwrap();
            }
        })
        .add("POST", async move {
            let request = Request::post("http://a/echo").body(upload).unwrap();
            let response = post.send_request(request).await.unwrap();
            let mut body = response.into_body();
            let mut bytes = Vec::new();
            while let Some(frame) = body.frame().await {
                bytes.extend_from_slice(frame.unwrap().data_ref().unwrap());
            }
            assert_eq!(bytes, pattern(0, 1000));
        })
        .add("GET with trailers", async move {
            let collected = get(a, "/trailers").await;
            assert_eq!(collected.trailers().unwrap()["x-sum"], "1");
        })
        .add("client PING", async move {
            for _ in 0..5 {
                b.ping().await.unwrap();
            }
        })
        .add("cancel", async move {
            for _ in 0..10 {
                let mut send = c.clone();
                let request = Request::get("http://a/trailers").body(empty()).unwrap();
                let body = send.send_request(request).await.unwrap().into_body();
                drop(body);
            }
        })
}

#[tokio::test(start_paused = true)]
async fn requests_bodies_and_both_connections_are_woken() {
    for seed in 0..SEEDS {
        let (a, b) = transports(seed);
        let serving = server::Builder::new(TokioExecutor::new())
            .config(narrow(Config::server()))
            .serve_connection(TokioIo::new(b), service_fn(echo));
        let (send, connection) = client::Builder::new(TokioExecutor::new())
            .config(narrow(Config::client()))
            .handshake(TokioIo::new(a))
            .await
            .unwrap();
        let mut joint = Joint::new()
            .add("server connection", async { serving.await.unwrap() })
            .add("client connection", async { connection.await.unwrap() });
        joint = client_parts(joint, &send);
        drop(send);
        joint.run().await;
    }
}

/// More requests than there are streams and places in the queue: the last ones wait in `ready` and in `send_request`.
#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_a_slot_are_woken() {
    let (a, b) = transports(3);
    let serving = server::Builder::new(TokioExecutor::new())
        .config(narrow(Config::server()))
        .serve_connection(TokioIo::new(b), service_fn(echo));
    let (send, connection) = client::Builder::new(TokioExecutor::new())
        .config(Config::client().initial_max_open_streams(3))
        .handshake(TokioIo::new(a))
        .await
        .unwrap();
    let mut joint = Joint::new()
        .add("server connection", async { serving.await.unwrap() })
        .add("client connection", async { connection.await.unwrap() });
    for i in 0..250 {
        let mut send = send.clone();
        joint = joint.add(if i % 2 == 0 { "ready" } else { "waiting" }, async move {
            if i % 2 == 0 {
                send.ready().await.unwrap();
            }
            let request = Request::get("http://a/trailers").body(empty()).unwrap();
            let response = send.send_request(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap();
            assert_eq!(body.to_bytes().len(), 900);
        });
    }
    drop(send);
    joint.run().await;
}

#[tokio::test(start_paused = true)]
async fn a_graceful_shutdown_and_all_it_waits_for_are_woken() {
    for seed in 0..SEEDS {
        let (a, b) = transports(seed);
        let graceful = GracefulShutdown::new();
        let serving = server::Builder::new(TokioExecutor::new())
            .config(narrow(Config::server()))
            .serve_connection(TokioIo::new(b), service_fn(echo));
        let serving = graceful.watch(serving);
        let (mut send, connection) = client::Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(a))
            .await
            .unwrap();
        let session = send.session().clone();
        let (feed, upload) = channel();
        let (begun, begin) = tokio::sync::oneshot::channel();
        Joint::new()
            .add("server connection", async { serving.await.unwrap() })
            .add("client connection", async { connection.await.unwrap() })
            .add("closed", async move { session.closed().await })
            .add("shutdown", async move {
                begin.await.unwrap();
                graceful.shutdown().await;
            })
            .add("POST across the shutdown", async move {
                let request = Request::post("http://a/echo").body(upload).unwrap();
                let response = send.send_request(request).await.unwrap();
                feed.send(chunk(pattern(0, 800))).await.unwrap();
                begun.send(()).unwrap();
                let read = response.into_body().collect();
                let write = async {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    feed.send(chunk(pattern(800, 200))).await.unwrap();
                    drop(feed);
                };
                let (body, ()) = tokio::join!(read, write);
                assert_eq!(body.unwrap().to_bytes(), pattern(0, 1000));
                let late = send.ready().await.unwrap_err();
                assert!(late.is_retryable());
            })
            .run()
            .await;
    }
}

/// The parts of one side of raw streams: opens, accepts, reads and writes in both halves, resets and asks.
fn raw_parts(mut joint: Joint<'static>, session: Session, ends: bool) -> Joint<'static> {
    let (accepting, pinging, closing) = (session.clone(), session.clone(), session.clone());
    let (halves, mut taken) = mpsc::unbounded_channel();
    joint = joint
        .add("accept", async move {
            let mut rejected = 0;
            while let Some(incoming) = accepting.accept().await.unwrap() {
                if incoming.headers().get("no").is_some() {
                    incoming.reject(spdy::frame::ResetStatus::REFUSED_STREAM);
                    rejected += 1;
                    continue;
                }
                let stream = incoming.reply(block(&[("a", "b")])).unwrap();
                drop(halves.send(stream.split()));
            }
            assert_eq!(rejected, 1);
        })
        .add("echo", async move {
            while let Some((mut send, mut recv)) = taken.recv().await {
                while let Some(data) = recv.data().await.unwrap() {
                    send.send(data).await.unwrap();
                }
                assert!(recv.headers().await.unwrap().is_some());
                send.flush().await.unwrap();
                send.shutdown().await.unwrap();
            }
        })
        .add("ping", async move {
            pinging.ping().await.unwrap();
        })
        .add("closed", async move { closing.closed().await });
    let (done, mut all_done) = mpsc::channel::<()>(1);
    for _ in 0..2 {
        let (session, done) = (session.clone(), done.clone());
        joint = joint.add("stream", async move {
            let opened = session.open(HeaderBlock::empty(), OpenOptions::new());
            let mut stream = opened.await.unwrap();
            stream.reply().await.unwrap();
            let (mut send, mut recv) = stream.split();
            Joint::new()
                .add("write", async move {
                    send.write_all(&pattern(0, 700)).await.unwrap();
                    send.flush().await.unwrap();
                    send.send(pattern(700, 300)).await.unwrap();
                    send.send_trailers(block(&[("c", "d")])).unwrap();
                    send.shutdown().await.unwrap();
                })
                .add("read", async move {
                    let mut bytes = Vec::new();
                    recv.read_to_end(&mut bytes).await.unwrap();
                    assert_eq!(bytes, pattern(0, 1000));
                })
                .run()
                .await;
            drop(done);
        });
    }
    joint.add("refused, then the end", async move {
        let refused = session.open(block(&[("no", "x")]), OpenOptions::new());
        let mut refused = refused.await.unwrap();
        assert!(refused.reply().await.unwrap_err().is_retryable());
        drop((done, refused));
        assert!(all_done.recv().await.is_none());
        if ends {
            session.shutdown();
        }
    })
}

#[tokio::test(start_paused = true)]
async fn sessions_streams_and_halves_are_woken() {
    for seed in 0..SEEDS {
        let (a, b) = transports(seed);
        let (client, dialled) = Session::client(a, narrow(Config::client()));
        let (server, taken) = Session::server(b, narrow(Config::server()));
        let mut joint = Joint::new()
            .add("client connection", async { dialled.await.unwrap() })
            .add("server connection", async { taken.await.unwrap() });
        joint = raw_parts(joint, client, false);
        joint = raw_parts(joint, server, true);
        joint.run().await;
    }
}

/// Gives what comes by a channel.
struct Dialled(mpsc::UnboundedReceiver<Transport>);

impl Listener for Dialled {
    type Io = Transport;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Transport, SocketAddr) {
        match self.0.recv().await {
            Some(io) => (io, SocketAddr::from(([127, 0, 0, 1], 1))),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 2)))
    }
}

#[tokio::test(start_paused = true)]
async fn serve_and_the_connector_are_woken() {
    for seed in 0..SEEDS {
        let (dialled, listener) = mpsc::unbounded_channel();
        let dial = tower::service_fn(move |_: Uri| {
            let dialled = dialled.clone();
            async move {
                tokio::task::yield_now().await;
                let (a, b) = transports(seed);
                dialled.send(b).map_err(|_| "nobody listens")?;
                Ok::<_, BoxError>(WithAlpn::new(TokioIo::new(a), None::<&[u8]>))
            }
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = server::serve(Dialled(listener), tower::service_fn(echo))
            .config(narrow(Config::server()))
            .with_graceful_shutdown(async { drop(stopped.await) })
            .into_future();
        Joint::new()
            .add("serve", async { served.await.unwrap() })
            .add("connect", async move {
                let mut connector = Connector::<_, AnyBody>::new(dial);
                std::future::poll_fn(|cx| connector.poll_ready(cx))
                    .await
                    .unwrap();
                let send = connector.call(Uri::from_static("http://a")).await.unwrap();
                let parts = client_parts(Joint::new(), &send);
                drop(send);
                parts.run().await;
                drop(stop);
            })
            .run()
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_and_a_tunnel_are_woken() {
    for seed in 0..SEEDS {
        let (a, b) = transports(seed);
        let app = tower::service_fn(|request: Request<Body>| async {
            let (response, mut tunnel) = spdy::Tunnel::accept(request);
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(&mut tunnel);
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            });
            Ok::<_, BoxError>(response)
        });
        let service = upgrade::UpgradeLayer::new(app).config(narrow(Config::server()));
        let service = hyper_util::service::TowerToHyperService::new(service.wrap());
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(b), service)
            .with_upgrades();
        Joint::new()
            .add("HTTP/1.1 server", async { serving.await.unwrap() })
            .add("upgrade and tunnel", async move {
                let request = Request::get("http://a/").body(empty()).unwrap();
                let answer = upgrade::connect(TokioIo::new(a), request).await.unwrap();
                let switched = answer.switched().unwrap();
                let builder = client::Builder::new(TokioExecutor::new());
                let (mut send, connection) = switched.into_send_request(&builder).await.unwrap();
                Joint::new()
                    .add("client connection", async { connection.await.unwrap() })
                    .add("tunnel", async move {
                        let mut tunnel = send.tunnel("b:1".parse().unwrap()).await.unwrap();
                        let mut back = vec![0; 250];
                        for i in 0..8 {
                            let piece = pattern(250 * i, 250);
                            tunnel.write_all(&piece).await.unwrap();
                            tunnel.flush().await.unwrap();
                            tunnel.read_exact(&mut back).await.unwrap();
                            assert_eq!(back, piece);
                        }
                        tunnel.shutdown().await.unwrap();
                        assert_eq!(tunnel.read(&mut back).await.unwrap(), 0);
                    })
                    .run()
                    .await;
            })
            .run()
            .await;
    }
}
