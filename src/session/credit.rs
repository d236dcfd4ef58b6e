//! Credit: consumed bytes go back to the peer (SPDY/3.1 section 2.6.8).

use super::Session;
use super::store::Key;
use super::window::credit_is_due;
use crate::frame::{MAX_WINDOW, WindowUpdate};

impl Session {
    /// Bytes were consumed, or will never be: the connection gets them back. The one path for it.
    pub(crate) fn credit_connection(&mut self, n: usize) {
        if self.obeys_windows() {
            self.recv_pending += n as u64;
        }
    }

    /// The application has consumed bytes of a stream.
    pub(crate) fn consumed(&mut self, key: Key, n: usize) {
        self.unread -= n;
        self.credit_connection(n);
        if n > 0 {
            self.note_read(key);
            self.unread_less(key);
        }
        let obeys_windows = self.obeys_windows();
        let under_way = self.under_way_on(key);
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        if stream.recv.queue.is_empty() {
            stream.recv.waiting_since = None;
        }
        // In proportion: a reader that always lags a little behind a peer of small frames never empties the queue.
        let before = (stream.recv.queue.len() + n) as u64;
        if let Some(repaid) = (stream.recv.overhead * n as u64).checked_div(before) {
            stream.recv.overhead -= repaid;
            self.budgets.repay(repaid);
        }
        if !obeys_windows {
            return;
        }
        stream.recv.pending += n as u64;
        let left = stream.recv.window.left();
        if !stream.state.wants_credit() || !credit_is_due(stream.recv.pending, left + under_way) {
            return;
        }
        // No credit that the announced length makes needless: node answers one for a stream that it has finished
        // with RST_STREAM. But a length can be wrong: a peer that stands at a window of 0 without having ended gets its
        // credit, or its stream would hang for good.
        let rest = stream
            .recv
            .expected
            .map(|total| total.saturating_sub(stream.recv.received));
        if left > 0 && rest.is_some_and(|rest| i64::try_from(rest).unwrap_or(i64::MAX) <= left) {
            return;
        }
        self.credit.push_back(&mut self.store, key);
    }

    /// Bytes have arrived on a stream that has lost its reader.
    pub(crate) fn discarded(&mut self, key: Key, n: usize) {
        self.credit_connection(n);
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        stream.recv.pending += n as u64;
        self.budgets
            .repay(std::mem::take(&mut stream.recv.overhead));
        self.credit_abandoned(key);
    }

    /// Credits a stream of which no handle is left while our last bytes wait for the peer's window: a peer that reads
    /// only once it has written, or whose handles are gone as well, would wait for us as we for it. While our sending
    /// handle exists, its holder decides how long to wait.
    pub(crate) fn credit_abandoned(&mut self, key: Key) {
        if !self.obeys_windows() {
            return;
        }
        let Some(stream) = self.store.get(key) else {
            return;
        };
        let abandoned = !stream.is_held() && stream.request.is_none();
        if abandoned
            && stream.state.wants_credit()
            && credit_is_due(
                stream.recv.pending,
                stream.recv.window.left() + self.under_way_on(key),
            )
        {
            self.credit.push_back(&mut self.store, key);
        }
    }

    /// Whether the connection window is to be raised now.
    pub(crate) fn connection_credit_due(&self) -> bool {
        credit_is_due(
            self.recv_pending,
            self.recv_window.left() + self.under_way(),
        )
    }

    /// The bytes of a DATA frame that have not arrived. They count as left in the window: the peer is bound to send them
    /// before it can use any credit. A frame that fills the window would else be credited at every read.
    pub(crate) fn under_way(&self) -> i64 {
        self.incoming_data
            .map_or(0, |data| i64::from(data.remaining))
    }

    fn under_way_on(&self, key: Key) -> i64 {
        match self.incoming_data {
            Some(data) if data.key == Some(key) => i64::from(data.remaining),
            _ => 0,
        }
    }

    /// The WINDOW_UPDATE for the connection, if one is due.
    pub(crate) fn take_connection_credit(&mut self) -> Option<WindowUpdate> {
        if !self.connection_credit_due() {
            return None;
        }
        let delta = u32::try_from(self.recv_pending)
            .unwrap_or(MAX_WINDOW)
            .min(MAX_WINDOW);
        // Cannot overflow: window plus pending never exceeds what was granted.
        self.recv_window.credit(delta).ok()?;
        self.recv_pending -= u64::from(delta);
        Some(WindowUpdate { id: None, delta })
    }

    /// The next WINDOW_UPDATE for a stream.
    pub(crate) fn take_stream_credit(&mut self) -> Option<WindowUpdate> {
        loop {
            let key = self.credit.pop_front(&mut self.store)?;
            let Some(stream) = self.store.get_mut(key) else {
                continue;
            };
            let discards = !stream.recv.held && stream.send.held;
            if !stream.state.wants_credit() || discards {
                continue;
            }
            let delta = u32::try_from(stream.recv.pending).unwrap_or(MAX_WINDOW);
            if delta == 0 || stream.recv.window.credit(delta).is_err() {
                continue;
            }
            stream.recv.pending = 0;
            return Some(WindowUpdate {
                id: stream.id,
                delta,
            });
        }
    }
}
