//! Two sessions, each on a tunnel, over a WebSocket whose messages are cut and joined on the way as no proxy would: every byte
//! arrives, and both come to their end, well or by an error where the socket is cut.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use spdy::headers::HeaderBlock;
use spdy::stream::{Incoming, OpenOptions, Session};
use spdy::ws::Tunnel;
use spdy::{Config, Result};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::socket::{Failure, Told, bytes};
use super::websocket::Plain;
use crate::fuzz_support::draw::Draw;
use crate::fuzz_support::server::block_on;
use crate::fuzz_support::support::Joint;

const MOST_STREAMS: usize = 5;

/// Below this many bytes in all, messages may be cut to single bytes.
const FEW: usize = 3000;

/// What happens to the messages of one direction.
#[derive(Clone, Debug)]
struct Fates {
    /// Sizes of the pieces that they are cut into, over and over: of 0 is an empty message. None at all leaves them whole.
    cuts: Vec<usize>,
    /// What is waiting is joined.
    joins: bool,
    /// Each piece is followed by a Ping of whoever is in between, who keeps the answer.
    pings: bool,
    /// How many messages wait before the sink has to.
    capacity: usize,
    /// Behind so many messages this one comes.
    spoilt: Option<(usize, Plain)>,
}

impl Fates {
    /// With Pings both ways two ends could wait for each other to read.
    fn draw(draw: &mut Draw<'_>, may_ping: bool) -> Self {
        let cuts = (0..draw.below(6)).map(|_| match draw.byte() {
            small @ 0..128 => usize::from(small % 40),
            large => usize::from(large) * 64,
        });
        let cuts: Vec<_> = cuts.collect();
        let flags = draw.byte();
        let spoilt = (draw.chance(20)).then(|| {
            let message = match draw.below(3) {
                0 => Plain::Text,
                1 => Plain::Close(Some(1000), String::new()),
                _ => Plain::Close(None, String::new()),
            };
            (draw.below(20), message)
        });
        Self {
            // Of nothing but empty ones there would be no end.
            cuts: if cuts.iter().any(|size| *size > 0) {
                cuts
            } else {
                Vec::new()
            },
            joins: flags & 1 != 0,
            pings: may_ping && flags & 2 != 0,
            capacity: [1000, 1, 2, 5][usize::from(flags >> 2 & 3)],
            spoilt,
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Way {
    fates: Fates,
    messages: VecDeque<Plain>,
    /// Cuts that were made, and messages that were sent.
    cuts: usize,
    sent: usize,
    /// The sender is gone, or the receiver is.
    over: bool,
    left: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Way {
    fn new(fates: Fates) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            fates,
            messages: VecDeque::new(),
            cuts: 0,
            sent: 0,
            over: false,
            left: false,
            reader: None,
            writer: None,
        }))
    }

    fn wake(&mut self) {
        let wakers = [self.reader.take(), self.writer.take()];
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn push(&mut self, message: Plain) {
        self.sent += 1;
        match message {
            Plain::Binary(bytes) => self.push_bytes(bytes),
            Plain::Pong => {}
            other => self.messages.push_back(other),
        }
        if let Some((_, message)) = self.fates.spoilt.take_if(|(behind, _)| *behind < self.sent) {
            self.messages.push_back(message);
        }
        self.wake();
    }

    fn push_bytes(&mut self, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let size = match self.fates.cuts[..] {
                [] => bytes.len(),
                ref cuts => cuts[self.cuts % cuts.len()].min(bytes.len()),
            };
            self.cuts += 1;
            let piece = bytes.split_to(size);
            match self.messages.back_mut() {
                Some(Plain::Binary(last)) if self.fates.joins => {
                    *last = [&last[..], &piece].concat().into();
                }
                _ => self.messages.push_back(Plain::Binary(piece)),
            }
            if self.fates.pings {
                self.messages.push_back(Plain::Ping);
            }
        }
    }
}

/// One end of a WebSocket, as a library has it.
#[derive(Debug)]
struct End {
    out: Arc<Mutex<Way>>,
    from: Arc<Mutex<Way>>,
    /// What was taken from the tunnel, and answers.
    buffered: VecDeque<Plain>,
    /// A Close was sent, or answered.
    closing: bool,
}

fn lock(way: &Arc<Mutex<Way>>) -> MutexGuard<'_, Way> {
    way.lock().unwrap()
}

/// Both ends, with what happens to the messages of the first, and of the second one.
fn join(fates: [Fates; 2]) -> (End, End) {
    let [there, back] = fates.map(Way::new);
    let end = |out: &Arc<Mutex<Way>>, from: &Arc<Mutex<Way>>| End {
        out: Arc::clone(out),
        from: Arc::clone(from),
        buffered: VecDeque::new(),
        closing: false,
    };
    (end(&there, &back), end(&back, &there))
}

impl Drop for End {
    fn drop(&mut self) {
        let mut out = lock(&self.out);
        out.over = true;
        out.wake();
        drop(out);
        let mut from = lock(&self.from);
        from.left = true;
        from.wake();
    }
}

impl Stream for End {
    type Item = std::result::Result<Plain, Told>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut from = lock(&self.from);
        let Some(message) = from.messages.pop_front() else {
            if from.over {
                return Poll::Ready(None);
            }
            from.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        from.wake();
        drop(from);
        match &message {
            Plain::Ping if !self.closing => self.buffered.push_back(Plain::Pong),
            Plain::Close(..) if !self.closing => {
                self.closing = true;
                self.buffered.push_back(message.clone());
            }
            _ => {}
        }
        Poll::Ready(Some(Ok(message)))
    }
}

impl Sink<Plain> for End {
    type Error = Told;

    /// Not before the last one is on its way, as nothing else shows that there is room again.
    fn poll_ready(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<std::result::Result<(), Told>> {
        self.poll_flush(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Plain) -> std::result::Result<(), Told> {
        self.closing |= matches!(message, Plain::Close(..));
        self.buffered.push_back(message);
        Ok(())
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<std::result::Result<(), Told>> {
        let this = &mut *self;
        let mut out = lock(&this.out);
        while !this.buffered.is_empty() {
            if out.left {
                return Poll::Ready(Err(Failure::Other.into()));
            }
            if out.messages.len() >= out.fates.capacity {
                out.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            this.buffered
                .pop_front()
                .into_iter()
                .for_each(|message| out.push(message));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<std::result::Result<(), Told>> {
        self.poll_flush(cx)
    }
}

#[derive(Debug)]
struct Plan {
    spdystream: bool,
    /// The sizes of what is echoed.
    streams: Vec<usize>,
    /// Both sides open streams.
    mutual: bool,
}

pub(super) fn run(draw: &mut Draw<'_>) {
    let fates = [Fates::draw(draw, true), Fates::draw(draw, false)];
    let flags = draw.byte();
    let small = fates
        .iter()
        .flat_map(|fates| &fates.cuts)
        .any(|size| *size < 40);
    let most = if small { FEW } else { 100_000 } / MOST_STREAMS;
    let streams = (0..1 + draw.below(MOST_STREAMS)).map(|_| draw.below(most));
    let plan = Plan {
        spdystream: flags & 1 == 0,
        streams: streams.collect(),
        mutual: flags & 2 != 0,
    };
    block_on(play(plan, fates));
}

async fn play(plan: Plan, fates: [Fates; 2]) {
    let whole = fates.iter().all(|fates| fates.spoilt.is_none());
    let (client, server) = match plan.spdystream {
        true => (Config::spdystream_client(), Config::spdystream_server()),
        false => (Config::client(), Config::server()),
    };
    let (here, there) = join(fates);
    let (client, calling) = Session::client(Tunnel::new(here), client);
    let (server, serving) = Session::server(Tunnel::new(there), server);
    let mut sides = vec![("client", client.clone(), plan.streams.clone())];
    if plan.mutual {
        sides.push(("server", server.clone(), plan.streams));
    }
    let mut joint = Joint::new()
        .add("the client's connection", end(calling, whole))
        .add("the server's connection", end(serving, whole))
        .add("the client's streams", answer_all(client.clone()))
        .add("the server's streams", answer_all(server.clone()));
    let (done, mut rest) = tokio::sync::mpsc::channel::<()>(1);
    for (name, session, sizes) in sides {
        for size in sizes {
            let (session, done) = (session.clone(), done.clone());
            joint = joint.add(name, async move {
                let echoed = echo(session, size).await;
                assert!(!whole || echoed.is_ok(), "{size} bytes: {echoed:?}");
                drop(done);
            });
        }
    }
    drop(done);
    let leaving = client.clone();
    joint = joint.add("the end", async move {
        while rest.recv().await.is_some() {}
        leaving.shutdown();
    });
    joint.run().await;
    for session in [client, server] {
        assert_eq!(session.stream_count(), 0, "streams are left");
        assert_eq!(session.unread_bytes(), 0, "bytes are left");
    }
}

async fn end(connection: impl Future<Output = Result<()>>, whole: bool) {
    let ended = connection.await;
    assert!(!whole || ended.is_ok(), "{ended:?}");
}

/// Every stream comes back.
async fn answer_all(session: Session) {
    let mut tasks = JoinSet::new();
    while let Ok(Some(incoming)) = session.accept().await {
        tasks.spawn(answer(incoming));
    }
    while let Some(task) = tasks.join_next().await {
        // An error is its opener's to notice.
        drop(task.unwrap());
    }
}

async fn answer(incoming: Incoming) -> Result<()> {
    let (mut send, mut recv) = incoming.reply(HeaderBlock::empty())?.split();
    while let Some(bytes) = recv.data().await? {
        send.send(bytes).await?;
    }
    send.finish()
}

/// So many bytes, there and back.
async fn echo(
    session: Session,
    size: usize,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let stream = session
        .open(HeaderBlock::empty(), OpenOptions::new())
        .await?;
    let (mut send, mut recv) = stream.split();
    let content = bytes(size, size);
    let mut back = Vec::new();
    let (written, read) = tokio::join!(
        async {
            send.write_all(&content).await?;
            send.finish()?;
            Ok::<_, Box<dyn std::error::Error>>(())
        },
        async {
            while let Some(bytes) = recv.data().await? {
                back.extend_from_slice(&bytes);
                assert!(content.starts_with(&back), "wrong bytes come back");
            }
            Ok::<_, Box<dyn std::error::Error>>(())
        },
    );
    written?;
    read?;
    assert_eq!(back.len(), size, "bytes are lost without an error");
    Ok(())
}
