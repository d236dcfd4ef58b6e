//! A peer like Go's spdystream, which Kubernetes uses: no windows, no SETTINGS, and silent death at what it does not expect.

use std::time::Duration;

use spdy::frame::{Frame, GoAwayStatus};
use spdy::headers::HeaderBlock;
use spdy::stream::{OpenOptions, Session, Stream};
use spdy::{Config, FlowControl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::spawn;

use crate::*;

const STREAMS: [&str; 4] = ["error", "stdin", "stdout", "stderr"];

/// The options for such a peer.
fn kubernetes(config: Config) -> Config {
    config
        .flow_control(FlowControl::Off)
        .announce_settings(false)
        .hold_until_peer_speaks(true)
        .early_goaway(false)
}

/// Plays the peer, and asserts that it is sent nothing it cannot take.
struct Spdystream {
    peer: Peer,
    /// Streams of its own that were not replied to: DATA for them would be lost.
    unanswered: Vec<u32>,
    gone_away: bool,
}

impl Spdystream {
    fn new(peer: Peer) -> Self {
        Self {
            peer,
            unanswered: Vec::new(),
            gone_away: false,
        }
    }

    async fn open(&mut self, stream: u32, kind: &str) {
        // It always writes priority 0.
        let syn = syn_stream(stream).header("streamtype", kind);
        self.unanswered.push(stream);
        self.peer.send(syn).await;
    }

    /// The next frame, unless the transport has ended.
    async fn recv(&mut self) -> Option<Frame> {
        let frame = within("a frame", self.peer.recv()).await?;
        assert!(!self.gone_away, "it stops reading at GOAWAY: {frame:?}");
        match &frame {
            Frame::Headers(_) => panic!("its worker hangs at HEADERS"),
            Frame::Settings(_) | Frame::WindowUpdate(_) => panic!("useless: {frame:?}"),
            Frame::SynReply(reply) => {
                let at = self.unanswered.iter().position(|id| *id == reply.id.get());
                self.unanswered
                    .remove(at.expect("one reply for each of its streams"));
            }
            Frame::Data(data) => assert!(
                !self.unanswered.contains(&data.id.get()),
                "DATA in front of SYN_REPLY is dropped"
            ),
            Frame::RstStream(reset) => assert_ne!(reset.status.code(), 0, "it dies of status 0"),
            Frame::GoAway(_) => self.gone_away = true,
            _ => {}
        }
        Some(frame)
    }

    async fn answered(&mut self) {
        while !self.unanswered.is_empty() {
            self.recv().await.expect("a reply");
        }
    }

    /// Bytes of DATA of a stream, up to its FIN.
    async fn read_all(&mut self, stream: u32) -> usize {
        let mut bytes = 0;
        loop {
            match self.recv().await.expect("more data") {
                Frame::Data(data) if data.id == id(stream) => {
                    bytes += data.payload.len();
                    if data.fin {
                        return bytes;
                    }
                }
                Frame::Ping(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

/// The four streams of an exec, our end and its.
async fn exec(config: Config) -> (Session, Driver, Spdystream, Vec<Stream>) {
    let (session, connection, peer) = server(kubernetes(config));
    let driver = spawn(connection);
    let mut go = Spdystream::new(peer);
    // It loses what comes right behind the 101.
    go.peer.expect_quiet().await;
    let mut streams = Vec::new();
    for (n, kind) in (0..).zip(STREAMS) {
        go.open(2 * n + 1, kind).await;
        let incoming = within("accept", session.accept()).await.unwrap().unwrap();
        assert_eq!(incoming.headers().get("streamtype"), Some(kind.as_bytes()));
        streams.push(incoming.reply(HeaderBlock::empty()).unwrap());
    }
    go.answered().await;
    (session, driver, go, streams)
}

type Driver = tokio::task::JoinHandle<spdy::Result<()>>;

#[tokio::test(start_paused = true)]
async fn an_exec_moves_megabytes_both_ways_without_a_window() {
    let (session, driver, mut go, mut streams) = exec(Config::server()).await;
    go.peer.wire().set_in_capacity(64 * KIB);
    go.peer.wire().set_out_capacity(64 * KIB);
    let mut stdin = streams.remove(1);
    let mut stdout = streams.remove(1);
    let reader = spawn(async move {
        let mut all = Vec::new();
        stdin.read_to_end(&mut all).await.unwrap();
        stdin.shutdown().await.unwrap();
        all.len()
    });
    let frame = go.peer.encode(data(3, vec![7; 32 * KIB]));
    for _ in 0..160 {
        go.peer.send_raw(&frame).await;
    }
    go.peer.send(data(3, "").fin()).await;
    assert_eq!(within("stdin", reader).await.unwrap(), 160 * 32 * KIB);
    go.read_all(3).await;

    let writer = spawn(async move {
        stdout.write_all(&vec![7; 20 * MIB]).await.unwrap();
        stdout.shutdown().await.unwrap();
        stdout
    });
    assert_eq!(go.read_all(5).await, 20 * MIB);
    drop(within("stdout", writer).await.unwrap());

    // GOAWAY is the very last frame, for it stops reading there.
    session.shutdown();
    for mut stream in streams {
        stream.shutdown().await.unwrap();
        drop(stream);
    }
    for stream in [1, 7] {
        go.peer.send(data(stream, "").fin()).await;
    }
    go.peer.send(data(5, "").fin()).await;
    while go.recv().await.is_some() {}
    assert!(go.gone_away);
    go.peer.close();
    within("the connection", driver).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unread_stdin_stops_everything_and_loses_nothing() {
    let (session, _driver, mut go, mut streams) = exec(Config::server()).await;
    go.peer.wire().set_in_capacity(64 * KIB);
    let frame = go.peer.encode(data(3, vec![7; 32 * KIB]));
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_secs(1), go.peer.wire().write_all(&frame))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 1000, "nothing stops it");
    }
    let unread = session.unread_bytes();
    assert!((MIB..MIB + 128 * KIB).contains(&unread), "{unread}");
    // Our direction goes on all the same.
    streams[2].write_all(b"still here").await.unwrap();
    assert!(matches!(go.recv().await, Some(Frame::Data(_))));
    // What could be written of the frame that stuck is read as well.
    let mut all = vec![0; sent * 32 * KIB];
    let read = streams[1].read_exact(&mut all);
    assert_eq!(within("stdin", read).await.unwrap(), all.len());
}

#[tokio::test(start_paused = true)]
async fn data_behind_its_own_fin_or_reset_ends_no_session() {
    let (session, _driver, mut go, mut streams) = exec(Config::server()).await;
    go.peer.send(data(3, "").fin()).await;
    go.peer.send(data(3, "late")).await;
    go.peer.send(rst(5, ResetStatus::CANCEL)).await;
    go.peer.send(data(5, "late")).await;
    go.peer.send(data(7, "all is well").fin()).await;
    let mut text = String::new();
    streams[3].read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "all is well");
    assert_eq!(session.stream_count(), 4);
    assert!(!session.is_closing());
}

#[tokio::test(start_paused = true)]
async fn our_client_uploads_to_it_without_a_window_and_starts_with_its_request() {
    let config = kubernetes(Config::client()).hold_until_peer_speaks(false);
    let (session, connection, peer) = client(config);
    let driver = spawn(connection);
    let mut go = Spdystream::new(peer);
    let mut headers = HeaderBlock::builder();
    headers.push("streamtype", b"stdin").unwrap();
    let open = session.open(headers.finish(), OpenOptions::new());
    let mut stream = within("open", open).await.unwrap();
    assert!(matches!(go.recv().await, Some(Frame::SynStream(syn)) if syn.id == id(1)));
    go.peer.send(syn_reply(1)).await;
    within("reply", stream.reply()).await.unwrap();
    let writer = spawn(async move {
        stream.write_all(&vec![7; 5 * MIB]).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    });
    assert_eq!(go.read_all(1).await, 5 * MIB);
    let stream = within("the writer", writer).await.unwrap();
    // Its PINGs are echoed, whatever its id.
    go.peer.send(ping(2)).await;
    assert!(matches!(go.recv().await, Some(Frame::Ping(2))));
    // It goes away, and says that it has taken on nothing.
    go.peer.send(go_away(0, GoAwayStatus::OK)).await;
    go.peer.close();
    let mut stream = stream;
    let error = within("the end", stream.recv_half().data())
        .await
        .unwrap_err();
    assert!(error.is_go_away(), "{error}");
    drop((stream, session));
    within("the connection", driver).await.unwrap().unwrap();
}
