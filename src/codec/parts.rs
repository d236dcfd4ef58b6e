//! Parts of received frames.

use super::DecodeError;
use super::wire::{self, Type};
use crate::frame::{
    HeaderFrame, Priority, Received, ReceivedBlock, Setting, SettingId, Settings, StreamId,
    SynStream,
};

/// The frames with a header block, as far as it is known before the block.
#[derive(Clone, Copy, Debug)]
pub(super) enum BlockHead {
    SynStream {
        id: StreamId,
        associated: Option<StreamId>,
        priority: Priority,
        fin: bool,
        unidirectional: bool,
    },
    SynReply {
        id: StreamId,
        fin: bool,
    },
    Headers {
        id: StreamId,
        fin: bool,
    },
}

impl BlockHead {
    /// The name of the frame and its stream.
    #[allow(dead_code, reason = "used by the driver above the core")]
    pub(super) fn name(&self) -> (&'static str, StreamId) {
        let (kind, id) = match self {
            Self::SynStream { id, .. } => (Type::SynStream, id),
            Self::SynReply { id, .. } => (Type::SynReply, id),
            Self::Headers { id, .. } => (Type::Headers, id),
        };
        (kind.name(), *id)
    }

    /// The frame, once its block is there.
    pub(super) fn with(self, block: ReceivedBlock) -> Received {
        match self {
            Self::SynStream {
                id,
                associated,
                priority,
                fin,
                unidirectional,
            } => Received::SynStream(SynStream {
                id,
                associated,
                priority,
                fin,
                unidirectional,
                block,
            }),
            Self::SynReply { id, fin } => Received::SynReply(HeaderFrame { id, fin, block }),
            Self::Headers { id, fin } => Received::Headers(HeaderFrame { id, fin, block }),
        }
    }
}

/// Stream 0 exists in no frame that names a stream (U-01).
pub(super) fn stream_id(kind: Type, word: u32) -> Result<StreamId, DecodeError> {
    StreamId::new(word)
        .ok_or_else(|| DecodeError::protocol(format!("{} for stream 0", kind.name())))
}

/// Section 2.6.4: unknown ids are ignored (U-34), the first of duplicates wins.
pub(super) fn put_setting(settings: &mut Settings, entry: [u8; 8]) {
    let [flags, a, b, c, value @ ..] = entry;
    if let Some(id) = SettingId::from_wire(u32::from_be_bytes([0, a, b, c])) {
        let setting = Setting {
            value: u32::from_be_bytes(value),
            persist: flags & wire::SETTING_PERSIST != 0,
            persisted: flags & wire::SETTING_PERSISTED != 0,
        };
        settings.insert_first(id, setting);
    }
}
