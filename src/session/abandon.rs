//! C. What the application asks: an end to streams before their own.

use super::Session;
use super::store::Key;
use super::stream::Finish;
use crate::error::Initiator;
use crate::frame::ResetStatus;

impl Session {
    /// Resets a stream; one whose SYN_STREAM was not sent is just withdrawn. Nothing happens if it is over.
    ///
    /// Status 0 is none (section 2.6.3), and peers end the session for it: PROTOCOL_ERROR, the generic one, is sent instead.
    pub fn reset(&mut self, key: Key, status: ResetStatus) {
        let status = if status.code() == 0 {
            ResetStatus::PROTOCOL_ERROR
        } else {
            status
        };
        self.reset_stream(key, status, Initiator::User, "reset by the application");
    }

    /// [Resets](Self::reset) every stream; says how many there were, with those that are over and still held.
    pub fn reset_all(&mut self, status: ResetStatus) -> usize {
        let keys = self.store.keys();
        self.reset_each(&keys, status)
    }

    /// [Resets](Self::reset) the streams whose direction to the peer the application has not ended; says how many there
    /// were. What is queued on the others still goes out.
    pub fn reset_unfinished(&mut self, status: ResetStatus) -> usize {
        let mut keys = self.store.keys();
        keys.retain(|key| !self.is_finished_sending(*key));
        self.reset_each(&keys, status)
    }

    fn reset_each(&mut self, keys: &[Key], status: ResetStatus) -> usize {
        for key in keys {
            self.reset(*key, status);
        }
        keys.len()
    }

    /// The application drops its sending handle. A direction that it has not ended is cut off: the stream is reset
    /// with CANCEL, because a clean end would pass a half-written body off as whole.
    pub fn drop_send(&mut self, key: Key) {
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        stream.send.held = false;
        stream.send.interest = false;
        if stream.send.finish == Finish::Open && !stream.is_closed() {
            self.reset(key, ResetStatus::CANCEL);
        }
        self.credit_abandoned(key);
        self.remove_if_over(key);
    }

    /// The application drops its receiving handle: what arrives from now on is discarded and credited to the
    /// connection; to the stream only once the sending handle is dropped too. If our direction has ended already, the stream is reset with CANCEL.
    pub fn drop_recv(&mut self, key: Key) {
        let Some(stream) = self.store.get_mut(key) else {
            return;
        };
        stream.recv.held = false;
        stream.recv.interest = false;
        stream.recv.reply_interest = false;
        let unwanted = stream.send.finish == Finish::Done && stream.state.is_recv_open();
        self.discard_unread(key);
        self.credit.remove(&mut self.store, key);
        if unwanted {
            self.reset(key, ResetStatus::CANCEL);
        }
        self.credit_abandoned(key);
        self.remove_if_over(key);
    }
}
