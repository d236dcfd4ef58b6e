//! What the bytes of one direction say: the measure for what both sides may believe.

use std::collections::BTreeMap;

use bytes::BytesMut;
use spdy::codec::{Decoder, DecoderLimits};
use spdy::frame::{GoAway, Received, ResetStatus, Version};
use spdy::headers::HeaderBlock;

/// How long the head of an HTTP/1.1 message is, if it is whole.
pub(crate) fn head_len(bytes: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let end = bytes.windows(END.len()).position(|at| at == END)?;
    Some(end + END.len())
}

/// One direction of a stream, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Half {
    pub(crate) opener: Option<HeaderBlock>,
    pub(crate) replied: bool,
    pub(crate) data: Vec<u8>,
    pub(crate) fin: bool,
    pub(crate) reset: Option<ResetStatus>,
}

/// One direction of a session.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) streams: BTreeMap<u32, Half>,
    pub(crate) go_aways: Vec<GoAway>,
}

impl Seen {
    /// Reads frames as far as they are whole; DATA also of one that is not.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut decoder = Decoder::new(Version::Spdy31, DecoderLimits::default());
        let mut input = BytesMut::from(bytes);
        let mut seen = Self::default();
        while let Some(frame) = decoder.decode(&mut input).expect("valid frames") {
            seen.take(frame);
        }
        seen
    }

    /// As [`Seen::new`], behind the head of an HTTP/1.1 message; nothing if the head is not whole.
    pub(crate) fn behind_head(bytes: &[u8]) -> Self {
        head_len(bytes).map_or_else(Self::default, |len| Self::new(&bytes[len..]))
    }

    fn half(&mut self, id: spdy::frame::StreamId) -> &mut Half {
        self.streams.entry(id.get()).or_default()
    }

    fn take(&mut self, frame: Received) {
        match frame {
            Received::SynStream(syn) => {
                let half = self.half(syn.id);
                half.opener = Some(syn.block.expect("a valid block"));
                half.fin |= syn.fin;
            }
            Received::SynReply(reply) => {
                let half = self.half(reply.id);
                half.replied = true;
                half.fin |= reply.fin;
            }
            Received::Headers(headers) => self.half(headers.id).fin |= headers.fin,
            Received::Data(data) => {
                let half = self.half(data.id.expect("DATA on stream 0"));
                half.data.extend_from_slice(&data.payload);
                half.fin |= data.last && data.fin;
            }
            Received::RstStream(reset) => self.half(reset.id).reset = Some(reset.status),
            Received::GoAway(go_away) => self.go_aways.push(go_away),
            Received::Settings(_)
            | Received::Ping(_)
            | Received::WindowUpdate(_)
            | Received::Ignored { .. } => {}
        }
    }

    /// The stream whose opener has this header.
    pub(crate) fn opened(&self, name: &str, value: &str) -> Option<(u32, &Half)> {
        let has = |half: &Half| {
            let opener = half.opener.as_ref();
            opener.and_then(|opener| opener.get(name)) == Some(value.as_bytes())
        };
        let found = self.streams.iter().find(|(_, half)| has(half));
        found.map(|(id, half)| (*id, half))
    }
}
