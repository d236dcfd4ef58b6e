use std::fmt;

/// Makes a status newtype from one table: the constants, `Debug` and `Display` cannot drift apart.
macro_rules! statuses {
    (
        $(#[$outer:meta])*
        $name:ident { $( $(#[$doc:meta])* $konst:ident = $code:literal, $text:literal; )* }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(u32);

        impl $name {
            $( $(#[$doc])* pub const $konst: Self = Self($code); )*

            /// The status with this number; unknown numbers are kept as they are.
            #[must_use]
            pub const fn new(code: u32) -> Self {
                Self(code)
            }

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u32 {
                self.0
            }

            /// What the status means, in a few words.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self.0 {
                    $( $code => $text, )*
                    _ => "unknown status",
                }
            }

            const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $code => Some(stringify!($konst)), )*
                    _ => None,
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "status {}", self.0),
                }
            }
        }
    };
}

statuses! {
    /// Why a stream was reset: the status of a RST_STREAM frame (SPDY/3.1 section 2.6.3).
    ResetStatus {
        /// A generic error, for what no more specific status covers.
        PROTOCOL_ERROR = 1, "protocol error";
        /// A frame for a stream that is not active.
        INVALID_STREAM = 2, "frame for a stream that is not active";
        /// Refused before any processing: safe to send again.
        REFUSED_STREAM = 3, "stream refused before it was processed";
        /// The version of the SYN_STREAM is not supported.
        UNSUPPORTED_VERSION = 4, "unsupported SPDY version";
        /// The creator no longer wants the stream.
        CANCEL = 5, "stream cancelled";
        /// The sender failed.
        INTERNAL_ERROR = 6, "internal error of the peer's implementation";
        /// The flow-control rules were violated.
        FLOW_CONTROL_ERROR = 7, "flow-control error";
        /// A second SYN_REPLY for one stream.
        STREAM_IN_USE = 8, "second SYN_REPLY for one stream";
        /// DATA or SYN_REPLY on a half-closed stream.
        STREAM_ALREADY_CLOSED = 9, "frame for a half-closed stream";
        /// Unused in SPDY/3.1.
        INVALID_CREDENTIALS = 10, "invalid credentials";
        /// A control frame larger than the receiver supports.
        FRAME_TOO_LARGE = 11, "frame too large";
    }
}

statuses! {
    /// Why a session ends: the status of a GOAWAY frame (SPDY/3.1 section 2.6.6).
    ///
    /// The text demands GOAWAY with FLOW_CONTROL_ERROR for an overrun connection window but lists no number
    /// for it; every peer sends [`GoAwayStatus::PROTOCOL_ERROR`], and so do we.
    GoAwayStatus {
        /// No error.
        OK = 0, "session ended without error";
        /// The peer violated the protocol.
        PROTOCOL_ERROR = 1, "protocol error";
        /// The sender failed. (An early draft numbered this 11; as any unknown status, that is an error of the peer too.)
        INTERNAL_ERROR = 2, "internal error";
    }
}
