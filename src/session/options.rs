use crate::frame::{Priority, StreamId};

/// How a stream is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Default: 0, the highest.
    pub priority: Priority,
    /// End our direction with the SYN_STREAM. Default: no.
    pub fin: bool,
    /// The peer sends nothing on the stream, not even a SYN_REPLY. Default: no.
    pub unidirectional: bool,
    /// The stream that this one belongs to. Default: none.
    pub associated: Option<StreamId>,
}

impl OpenOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the priority.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Ends our direction with the SYN_STREAM: the stream carries no bytes from us.
    #[must_use]
    pub fn fin(mut self, fin: bool) -> Self {
        self.fin = fin;
        self
    }

    /// Opens a stream on which the peer sends nothing.
    #[must_use]
    pub fn unidirectional(mut self, unidirectional: bool) -> Self {
        self.unidirectional = unidirectional;
        self
    }

    /// Names the stream that this one belongs to.
    #[must_use]
    pub fn associated(mut self, id: StreamId) -> Self {
        self.associated = Some(id);
        self
    }
}
