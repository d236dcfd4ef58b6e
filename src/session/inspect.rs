//! What tests, fuzz targets and the statistics of a connection look at. Not part of the public API.

use super::Session;
use super::limits::beyond_guaranteed;
use super::store::Key;
use super::stream::{Place, Stream};
use crate::frame::{DEFAULT_WINDOW, StreamId};

/// The inner state of a stream.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    pub send_window: i64,
    pub recv_window: i64,
    pub queued: usize,
    pub unread: usize,
    /// The SYN_STREAM waits for the peer's limit.
    pub waiting: bool,
    /// FIN waits behind what is queued.
    pub finishing: bool,
    pub closed: bool,
    pub read_interest: bool,
    pub write_interest: bool,
    pub reply_interest: bool,
}

impl Session {
    #[doc(hidden)]
    #[must_use]
    pub fn inspect(&self, key: Key) -> Option<Inspection> {
        let stream = self.store.get(key)?;
        Some(Inspection {
            send_window: stream.send.window.left(),
            recv_window: stream.recv.window.left(),
            queued: stream.send.queue.len(),
            unread: stream.recv.queue.len(),
            waiting: stream.place == Place::Waiting,
            finishing: stream.fin_queued(),
            closed: stream.is_closed(),
            read_interest: stream.recv.interest,
            write_interest: stream.send.interest,
            reply_interest: stream.recv.reply_interest,
        })
    }

    /// The ledger of the connection window: what the peer was granted, by where it is now.
    #[doc(hidden)]
    #[must_use]
    pub fn receive_ledger(&self) -> [i64; 4] {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        [
            self.recv_window.left(),
            self.under_way(),
            signed(self.unread as u64),
            signed(self.recv_pending),
        ]
    }

    /// The connection window towards the peer, and what is queued of the shared pool.
    #[doc(hidden)]
    #[must_use]
    pub fn send_ledger(&self) -> (i64, usize) {
        (self.send_window.left(), self.pool_used)
    }

    /// The connection window that the peer is granted in all.
    #[doc(hidden)]
    #[must_use]
    pub fn granted(&self) -> i64 {
        if self.obeys_windows() {
            i64::from(self.config.effective_connection_window())
        } else {
            i64::from(DEFAULT_WINDOW)
        }
    }

    /// Lets the next stream of this side have this id.
    #[doc(hidden)]
    pub fn skip_ids_to(&mut self, id: StreamId) {
        self.next_id = Some(id);
    }

    /// Panics if the records contradict each other. O(n).
    #[doc(hidden)]
    pub fn assert_invariants(&self) {
        if self.obeys_windows() && !self.lifecycle.is_over() {
            assert_eq!(
                self.receive_ledger().iter().sum::<i64>(),
                self.granted(),
                "the receive ledger {:?} has a leak",
                self.receive_ledger()
            );
        }
        let keys = self.store.keys();
        let streams = || keys.iter().filter_map(|key| self.store.get(*key));
        let count = |test: &dyn Fn(&Stream) -> bool| streams().filter(|s| test(s)).count();
        let unread: usize = streams().map(|s| s.recv.queue.len()).sum();
        assert_eq!(self.unread, unread, "unread");
        let pool: usize = streams()
            .map(|s| beyond_guaranteed(s.send.queue.len()))
            .sum();
        assert_eq!(self.pool_used, pool, "pool");
        let own =
            count(&|s| s.own && !s.is_closed() && (s.id.is_some() || s.place == Place::Opener));
        assert_eq!(self.own_active, own, "own streams");
        let peers = count(&|s| !s.own && !s.is_closed());
        assert_eq!(self.peer_active, peers, "streams of the peer");
        assert_eq!(self.peer_held, count(&|s| !s.own), "held streams");
        let active = count(&|s| s.id.is_some() && !s.is_closed());
        assert_eq!(self.store.active(), active, "ids");
        assert_eq!(self.sched.waiting(), count(&|s| s.place == Place::Waiting));
        assert_eq!(self.backlog.len(), count(&|s| s.request.is_some()));
        self.assert_excess();
        for stream in streams() {
            self.assert_stream(stream);
        }
    }

    fn assert_stream(&self, stream: &Stream) {
        if stream.is_closed() {
            let waits = stream.recv.interest || stream.send.interest || stream.recv.reply_interest;
            assert!(!waits, "a waiter outlives its stream: {stream:?}");
            assert!(stream.send.queue.is_empty() && stream.send.marks.is_empty());
            assert!(stream.opener.is_none());
            assert!(
                stream.is_held() || stream.request.is_some(),
                "an ended stream stays in the store: {stream:?}"
            );
        }
        if stream.recv.interest {
            assert!(stream.recv.queue.is_empty(), "a reader sleeps on bytes");
            // On HEADERS it may: who reads bytes only never takes them.
            let more = !stream.recv.ended && stream.state.is_recv_open();
            assert!(more, "a reader sleeps on the end: {stream:?}");
        }
        if stream.recv.reply_interest {
            let to_come = stream.recv.reply.is_none() && stream.awaits_reply();
            assert!(to_come, "a client sleeps on its reply: {stream:?}");
        }
        if stream.opener.is_none() {
            assert_eq!(stream.place, self.due_place(stream), "{stream:?}");
        } else if stream.own {
            assert!(matches!(stream.place, Place::Opener | Place::Waiting));
        } else {
            assert_eq!(stream.place, Place::Opener);
        }
    }
}
