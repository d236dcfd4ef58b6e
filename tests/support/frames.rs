//! Constructors of frames.

use bytes::Bytes;
use spdy::frame::{
    Data, Frame, GoAway, GoAwayStatus, HeaderFrame, Priority, ResetStatus, RstStream, SettingId,
    Settings, StreamId, SynStream, WindowUpdate,
};
use spdy::headers::{HeaderBlock, HeaderBlockBuilder};

/// A stream id from a number; panics on 0.
pub(crate) fn id(id: u32) -> StreamId {
    StreamId::new(id).expect("a stream id is 1 to 2^31-1")
}

/// A frame under construction. Options that a frame does not have panic.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    frame: Frame,
    headers: Vec<(String, String)>,
}

impl Draft {
    fn new(frame: Frame) -> Self {
        Self {
            frame,
            headers: Vec::new(),
        }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets FLAG_FIN.
    pub(crate) fn fin(mut self) -> Self {
        match &mut self.frame {
            Frame::SynStream(syn) => syn.fin = true,
            Frame::SynReply(headers) | Frame::Headers(headers) => headers.fin = true,
            Frame::Data(data) => data.fin = true,
            other => panic!("{other:?} has no FIN"),
        }
        self
    }

    fn syn_stream(&mut self) -> &mut SynStream {
        match &mut self.frame {
            Frame::SynStream(syn) => syn,
            other => panic!("{other:?} is no SYN_STREAM"),
        }
    }

    /// Sets FLAG_UNIDIRECTIONAL.
    pub(crate) fn unidirectional(mut self) -> Self {
        self.syn_stream().unidirectional = true;
        self
    }

    /// Sets the priority.
    pub(crate) fn priority(mut self, priority: u8) -> Self {
        self.syn_stream().priority = Priority::new(priority);
        self
    }

    /// Sets the associated stream.
    pub(crate) fn associated(mut self, stream: u32) -> Self {
        self.syn_stream().associated = Some(id(stream));
        self
    }

    /// Adds a setting.
    pub(crate) fn set(mut self, setting: SettingId, value: u32) -> Self {
        match &mut self.frame {
            Frame::Settings(settings) => settings.set(setting, value),
            other => panic!("{other:?} is no SETTINGS"),
        }
        self
    }
}

impl From<Draft> for Frame {
    fn from(draft: Draft) -> Self {
        let mut frame = draft.frame;
        if !draft.headers.is_empty() {
            let mut block = HeaderBlockBuilder::default();
            for (name, value) in &draft.headers {
                block.push(name, value.as_bytes()).expect("a valid header");
            }
            match &mut frame {
                Self::SynStream(syn) => syn.block = block.finish(),
                Self::SynReply(headers) | Self::Headers(headers) => headers.block = block.finish(),
                other => panic!("{other:?} has no headers"),
            }
        }
        frame
    }
}

pub(crate) fn syn_stream(stream: u32) -> Draft {
    Draft::new(Frame::SynStream(SynStream {
        id: id(stream),
        associated: None,
        priority: Priority::HIGHEST,
        fin: false,
        unidirectional: false,
        block: HeaderBlock::empty(),
    }))
}

fn header_frame(stream: u32) -> HeaderFrame {
    HeaderFrame {
        id: id(stream),
        fin: false,
        block: HeaderBlock::empty(),
    }
}

pub(crate) fn syn_reply(stream: u32) -> Draft {
    Draft::new(Frame::SynReply(header_frame(stream)))
}

pub(crate) fn headers(stream: u32) -> Draft {
    Draft::new(Frame::Headers(header_frame(stream)))
}

pub(crate) fn data(stream: u32, payload: impl AsRef<[u8]>) -> Draft {
    Draft::new(Frame::Data(Data {
        id: id(stream),
        fin: false,
        payload: Bytes::copy_from_slice(payload.as_ref()),
    }))
}

pub(crate) fn rst(stream: u32, status: ResetStatus) -> Draft {
    Draft::new(Frame::RstStream(RstStream {
        id: id(stream),
        status,
    }))
}

/// WINDOW_UPDATE; stream 0 is the connection.
pub(crate) fn window_update(stream: u32, delta: u32) -> Draft {
    Draft::new(Frame::WindowUpdate(WindowUpdate {
        id: StreamId::new(stream),
        delta,
    }))
}

pub(crate) fn settings() -> Draft {
    Draft::new(Frame::Settings(Settings::new()))
}

pub(crate) fn ping(id: u32) -> Draft {
    Draft::new(Frame::Ping(id))
}

/// GOAWAY; stream 0 says that none was taken on.
pub(crate) fn go_away(last_good: u32, status: GoAwayStatus) -> Draft {
    Draft::new(Frame::GoAway(GoAway {
        last_good: StreamId::new(last_good),
        status,
    }))
}
