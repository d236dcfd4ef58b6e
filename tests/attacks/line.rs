//! One connection under attack: its peer, what the peer has seen, and the verdicts.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use spdy::Initiator;
use spdy::frame::{Frame, GoAwayStatus, ResetStatus, Role};
use spdy::stream::Session;
use tokio::task::JoinHandle;

use crate::http_support::get;
use crate::support::*;

/// What has come from the side under attack.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) replies: usize,
    /// RST_STREAM with REFUSED_STREAM.
    pub(crate) refused: usize,
    /// Other RST_STREAMs.
    pub(crate) resets: Vec<(u32, ResetStatus)>,
    pub(crate) pings: usize,
    /// Bytes of DATA.
    pub(crate) data: usize,
    /// WINDOW_UPDATE frames.
    pub(crate) updates: usize,
    pub(crate) statuses: Vec<String>,
    go_away: Option<(u32, GoAwayStatus)>,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) peer: Peer,
    /// None for an HTTP server, which keeps it to itself.
    pub(crate) session: Option<Session>,
    pub(crate) seen: Seen,
    driver: JoinHandle<spdy::Result<()>>,
    outcome: Option<spdy::Result<()>>,
    first_id: u32,
    next_id: u32,
    next_ping: u32,
}

/// How a flood ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// All of it was taken.
    Taken,
    /// The other side has closed after this many rounds.
    Closed(u32),
    /// The other side has stopped reading in this round.
    Stalled(u32),
}

impl Line {
    pub(crate) fn new(
        peer: Peer,
        role: Role,
        session: Option<Session>,
        driver: JoinHandle<spdy::Result<()>>,
    ) -> Self {
        let first_id = if role == Role::Client { 1 } else { 2 };
        Self {
            peer,
            session,
            seen: Seen::default(),
            driver,
            outcome: None,
            first_id,
            next_id: first_id,
            next_ping: first_id,
        }
    }

    /// The start of the other side is read.
    pub(crate) async fn start(&mut self) {
        settle().await;
        self.drain().await;
    }

    /// The id number `n` of the peer.
    pub(crate) fn id(&self, n: u32) -> u32 {
        self.first_id + 2 * n
    }

    /// Ids up to this one were used by hand.
    pub(crate) fn used(&mut self, id: u32) {
        self.next_id = self.next_id.max(id + 2);
    }

    /// The next id of the peer.
    pub(crate) fn fresh(&mut self) -> u32 {
        self.next_id += 2;
        self.next_id - 2
    }

    fn note(&mut self, frame: Frame) {
        let seen = &mut self.seen;
        match frame {
            Frame::SynReply(reply) => {
                seen.replies += 1;
                let status = crate::http_support::text(&reply.block, ":status");
                seen.statuses.extend(status.map(str::to_owned));
            }
            Frame::RstStream(reset) if reset.status == ResetStatus::REFUSED_STREAM => {
                seen.refused += 1;
            }
            Frame::RstStream(reset) => seen.resets.push((reset.id.get(), reset.status)),
            Frame::Ping(_) => seen.pings += 1,
            Frame::Data(data) => seen.data += data.payload.len(),
            Frame::WindowUpdate(_) => seen.updates += 1,
            Frame::GoAway(go_away) => {
                let last = go_away.last_good.map_or(0, spdy::frame::StreamId::get);
                seen.go_away = Some((last, go_away.status));
            }
            _ => {}
        }
    }

    /// Reads what there is now.
    pub(crate) async fn drain(&mut self) {
        while let Some(Some(frame)) = now(self.peer.recv()).await {
            self.note(frame);
        }
    }

    /// Writes what `round` makes, for each of `rounds` rounds, and reads what comes.
    pub(crate) async fn flood(
        &mut self,
        rounds: u32,
        mut round: impl FnMut(&mut Peer, u32, &mut Vec<u8>),
    ) -> Flood {
        const PIECE: usize = 32 << 10;
        let mut bytes = Vec::with_capacity(2 * PIECE);
        for n in 0..rounds {
            round(&mut self.peer, n, &mut bytes);
            if bytes.len() < PIECE && n + 1 < rounds {
                continue;
            }
            let end = self.write(&bytes).await;
            if end != Flood::Taken {
                return match end {
                    Flood::Closed(_) => Flood::Closed(n),
                    _ => Flood::Stalled(n),
                };
            }
            bytes.clear();
            self.drain().await;
        }
        Flood::Taken
    }

    /// Writes bytes, unless they are not taken for a second.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Flood {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(32 << 10));
            let write = self.peer.wire().write_all(now);
            match tokio::time::timeout(Duration::from_secs(1), write).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Flood::Closed(0),
                Err(_) => return Flood::Stalled(0),
            }
            rest = later;
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            // With our reading end closed by the test, nothing is to be read.
            self.drain().await;
        }
        Flood::Taken
    }

    /// The session goes on: it answers a PING, and a new stream.
    pub(crate) async fn goes_on(&mut self) {
        let id = self.fresh();
        self.next_ping += 2;
        let (pings, replies) = (self.seen.pings, self.seen.replies);
        self.peer.send(ping(self.next_ping)).await;
        self.peer.send(get(id)).await;
        while self.seen.pings == pings || self.seen.replies == replies {
            let frame = within("PING and SYN_REPLY", self.peer.recv()).await;
            let frame = frame.expect("the session goes on");
            self.note(frame);
            assert_eq!(self.seen.go_away, None, "the session goes on");
        }
        settle().await;
        self.drain().await;
    }

    /// The session ends by this rule: GOAWAY, which names the last stream that the application was given, tells the peer,
    /// and the error the application.
    #[track_caller]
    pub(crate) fn ends(&mut self, last_good: u32, says: &'static str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let last = self.ends_anywhere(says).await;
            assert_eq!(last, last_good, "at {caller}");
        }
    }

    /// As [`ends`](Self::ends), where the last stream depends on how far the application is.
    #[track_caller]
    pub(crate) fn ends_anywhere(&mut self, says: &'static str) -> impl Future<Output = u32> {
        let caller = std::panic::Location::caller();
        async move {
            while let Some(frame) = within("the end", self.peer.recv()).await {
                self.note(frame);
            }
            let Some((last, status)) = self.seen.go_away else {
                panic!("at {caller}: no GOAWAY");
            };
            assert_eq!(status, GoAwayStatus::PROTOCOL_ERROR, "at {caller}");
            let error = within("the connection", &mut self.driver).await.unwrap();
            let error = error.expect_err("the connection ended well");
            assert!(error.to_string().contains(says), "at {caller}: {error}");
            assert_eq!(error.initiator(), Some(Initiator::Library), "at {caller}");
            assert_eq!(error.go_away_status(), Some(status), "at {caller}");
            self.outcome = Some(Err(error));
            last
        }
    }

    /// The application gives the session up: while it reads nothing, nobody sees that the peer has left.
    pub(crate) fn give_up(&self) {
        if let Some(session) = &self.session {
            session.abort(GoAwayStatus::OK);
        }
    }

    /// Whether the connection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.driver.is_finished()
    }

    /// How the connection ends, once the peer has closed or the other side gives up.
    pub(crate) async fn outcome(&mut self) -> spdy::Result<()> {
        let result = within("the connection", &mut self.driver).await.unwrap();
        self.outcome = Some(result.clone());
        result
    }

    /// Leaves, if the connection has not ended: nothing of it stays.
    pub(crate) async fn leave(mut self) {
        self.peer.close();
        self.peer.wire().set_out_capacity(usize::MAX);
        if self.outcome.is_none() {
            while within("the end", self.peer.recv()).await.is_some() {}
            drop(within("the connection", &mut self.driver).await.unwrap());
        }
        settle().await;
        if let Some(session) = &self.session {
            assert_eq!(session.stream_count(), 0, "streams are left");
            assert_eq!(session.unread_bytes(), 0);
        }
    }
}

/// The output, if the future is ready.
async fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}
