//! Numbers of the frame layout (SPDY/3.1 sections 2.2 and 2.6).

/// The sender is done with the stream.
pub(super) const FLAG_FIN: u8 = 0x01;
/// SYN_STREAM: the recipient sends nothing.
pub(super) const FLAG_UNIDIRECTIONAL: u8 = 0x02;
/// SETTINGS: the client drops what it has stored.
pub(super) const FLAG_CLEAR_SETTINGS: u8 = 0x01;
/// SETTINGS entry: the client is asked to store the value.
pub(super) const SETTING_PERSIST: u8 = 0x01;
/// SETTINGS entry: the client returns a stored value.
pub(super) const SETTING_PERSISTED: u8 = 0x02;

/// `flag` if `set`.
pub(super) const fn flag(flag: u8, set: bool) -> u8 {
    if set { flag } else { 0 }
}

/// The control frames that are understood. NOOP (5) ended with SPDY/2, CREDENTIAL (10) with SPDY/3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    SynStream = 1,
    SynReply = 2,
    RstStream = 3,
    Settings = 4,
    Ping = 6,
    GoAway = 7,
    Headers = 8,
    WindowUpdate = 9,
}

impl Type {
    pub(super) const fn from_wire(kind: u16) -> Option<Self> {
        Some(match kind {
            1 => Self::SynStream,
            2 => Self::SynReply,
            3 => Self::RstStream,
            4 => Self::Settings,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::Headers,
            9 => Self::WindowUpdate,
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SynStream => "SYN_STREAM",
            Self::SynReply => "SYN_REPLY",
            Self::RstStream => "RST_STREAM",
            Self::Settings => "SETTINGS",
            Self::Ping => "PING",
            Self::GoAway => "GOAWAY",
            Self::Headers => "HEADERS",
            Self::WindowUpdate => "WINDOW_UPDATE",
        }
    }

    /// The bytes in front of the part of variable length; for a frame without such a part, its whole Length.
    pub(super) const fn fixed_len(self) -> u32 {
        match self {
            Self::SynStream => 10,
            Self::SynReply | Self::Headers | Self::Settings | Self::Ping => 4,
            Self::RstStream | Self::GoAway | Self::WindowUpdate => 8,
        }
    }

    /// Whether there is a part of variable length.
    pub(super) const fn is_variable(self) -> bool {
        matches!(
            self,
            Self::SynStream | Self::SynReply | Self::Headers | Self::Settings
        )
    }
}
