use super::Stream;
use crate::error::Result;
use crate::frame::{Priority, ResetStatus, StreamId};
use crate::headers::HeaderBlock;

/// A stream that the peer has opened, to be [replied to](Incoming::reply) or [rejected](Incoming::reject).
///
/// Dropping it resets the stream with CANCEL.
#[derive(Debug)]
#[must_use = "a stream that is neither replied to nor rejected is cancelled"]
pub struct Incoming {
    pub(super) stream: Stream,
    pub(super) id: StreamId,
    pub(super) headers: HeaderBlock,
    pub(super) priority: Priority,
    pub(super) associated: Option<StreamId>,
    pub(super) unidirectional: bool,
}

impl Incoming {
    /// The headers of the SYN_STREAM.
    #[must_use]
    pub fn headers(&self) -> &HeaderBlock {
        &self.headers
    }

    /// The wire id.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The priority the peer asked for.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// The stream that this one belongs to, if the peer named one.
    #[must_use]
    pub fn associated(&self) -> Option<StreamId> {
        self.associated
    }

    /// Whether nothing may be sent on the stream: [`reply`](Self::reply) sends no SYN_REPLY then.
    #[must_use]
    pub fn is_unidirectional(&self) -> bool {
        self.unidirectional
    }

    /// Answers with a SYN_REPLY that carries these headers, often none.
    ///
    /// # Errors
    ///
    /// The stream's own error if the peer has reset it meanwhile.
    pub fn reply(self, headers: HeaderBlock) -> Result<Stream> {
        if !self.unidirectional {
            let key = self.stream.send.key();
            self.stream
                .send
                .shared()
                .with(|state| state.session.reply(key, headers, false))??;
        }
        Ok(self.stream)
    }

    /// Refuses the stream: RST_STREAM with this status, REFUSED_STREAM if nothing was processed.
    pub fn reject(self, status: ResetStatus) {
        self.stream.reset(status);
    }
}
