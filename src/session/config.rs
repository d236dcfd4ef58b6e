//! The options of a session, once for both roles and for every way in.

use std::time::Duration;

use crate::codec::DecoderLimits;
use crate::frame::{MAX_WINDOW, Role, Version};
use crate::headers::{BlockLimits, HeaderCompression};

/// How long container runtimes let a streaming session be silent.
const FOUR_HOURS: Duration = Duration::from_secs(4 * 60 * 60);

/// Which flow-control windows count (SPDY/3.1 section 2.6.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlowControl {
    /// Both sides keep to the windows. A peer that overruns a stream window has the stream reset with
    /// FLOW_CONTROL_ERROR; one that overruns the connection window loses the session.
    #[default]
    Spec,
    /// The peer's windows are obeyed; its overrun of ours is tolerated up to the unread limits. For peers that
    /// ignore windows when they upload.
    Lenient,
    /// No windows in either direction, for peers that do not know WINDOW_UPDATE (Kubernetes). What the
    /// application has not read is bounded by the unread limits and [`Overflow`].
    Off,
}

/// What happens when the unread limits are reached, with [`FlowControl::Lenient`] or [`FlowControl::Off`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The transport is not read until the reader returns: nothing is lost, but all streams wait, and PINGs too. That the
    /// peer has gone is seen with [`pause_probe_interval`](Config::pause_probe_interval).
    #[default]
    Pause,
    /// As `Pause` for a tenth of the grace time, at most a second. A stream that nobody has read until then is stuck, not slow,
    /// and stops nobody: the others go on, and it too, until all streams together reach the limit of the connection. It is
    /// reset with CANCEL when nobody has read it for the grace time, a tenth later at most. A reader that reads keeps its
    /// stream, however slow it is. That is this application: whoever passes the bytes on to a socket waits for the buffers of the
    /// system, and reads in steps of a third of them, which may be megabytes. Make them small, or the grace time long.
    ///
    /// At the limit of the connection reading stops. After the grace time those that nobody has read in it are reset, the
    /// largest first, until half of the limit is free. If the limit is reached again within a grace time of that, the rest of
    /// them have had theirs.
    Reset {
        /// The grace time. At least a millisecond.
        after: Duration,
    },
}

/// All options of a session.
///
/// [`Config::client`] and [`Config::server`] have the defaults of each role; the setters are the same on the
/// builders of the HTTP layers.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) version: Version,
    pub(crate) stream_window: u32,
    pub(crate) connection_window: u32,
    pub(crate) flow_control: FlowControl,
    pub(crate) overflow: Overflow,
    pub(crate) unread_stream_limit: usize,
    pub(crate) unread_connection_limit: usize,
    pub(crate) max_concurrent_streams: u32,
    pub(crate) initial_max_open_streams: u32,
    pub(crate) max_header_list_size: usize,
    pub(crate) max_header_values: usize,
    pub(crate) max_send_header_list_size: usize,
    pub(crate) max_control_frame_size: u32,
    pub(crate) header_compression: HeaderCompression,
    pub(crate) keep_alive_interval: Option<Duration>,
    pub(crate) keep_alive_timeout: Duration,
    pub(crate) keep_alive_while_idle: bool,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) hold_until_peer_speaks: bool,
    pub(crate) announce_settings: bool,
    pub(crate) early_goaway: bool,
    pub(crate) open_timeout: Option<Duration>,
    pub(crate) silence_timeout: Option<Duration>,
    pub(crate) pause_probe_interval: Option<Duration>,
    pub(crate) peer_close_timeout: Option<Duration>,
    pub(crate) cancel_is_end: bool,
    pub(crate) lenient_streams: bool,
    pub(crate) fold_header_names: bool,
    /// Whether the peer may create streams; else its SYN_STREAMs are refused.
    pub(crate) accept_streams: bool,
    /// Whether one SYN_REPLY with a 1xx status is skipped (HTTP clients).
    pub(crate) skip_interim_replies: bool,
}

impl Config {
    /// The defaults of a client: stream windows of 1 MiB, a connection window of 16 MiB, no header compression.
    #[must_use]
    pub fn client() -> Self {
        Self {
            stream_window: 1 << 20,
            connection_window: 16 << 20,
            // Requests mix secrets with text that an attacker may choose: a shared deflate context leaks them
            // (CRIME, CVE-2012-4930).
            header_compression: HeaderCompression::Off,
            ..Self::server()
        }
    }

    /// The defaults of a server: stream windows of 256 KiB, a connection window of 4 MiB, header compression at
    /// level 1.
    #[must_use]
    pub fn server() -> Self {
        Self {
            version: Version::Spdy31,
            stream_window: 256 << 10,
            connection_window: 4 << 20,
            flow_control: FlowControl::Spec,
            overflow: Overflow::Pause,
            unread_stream_limit: 1 << 20,
            unread_connection_limit: 16 << 20,
            max_concurrent_streams: 200,
            initial_max_open_streams: 100,
            max_header_list_size: BlockLimits::default().max_list_size,
            max_header_values: BlockLimits::default().max_values,
            max_send_header_list_size: 64 << 10,
            max_control_frame_size: DecoderLimits::default().max_control_frame_size,
            header_compression: HeaderCompression::Level(1),
            keep_alive_interval: None,
            keep_alive_timeout: Duration::from_secs(20),
            keep_alive_while_idle: false,
            idle_timeout: None,
            write_timeout: None,
            hold_until_peer_speaks: false,
            announce_settings: true,
            early_goaway: true,
            open_timeout: None,
            silence_timeout: None,
            pause_probe_interval: None,
            peer_close_timeout: None,
            cancel_is_end: false,
            lenient_streams: false,
            fold_header_names: false,
            accept_streams: true,
            skip_interim_replies: false,
        }
    }

    /// A client of Go's spdystream, as Kubernetes' servers are built on it. See
    /// [`spdystream_server`](Self::spdystream_server).
    #[must_use]
    pub fn spdystream_client() -> Self {
        let mut config = Self::client().for_spdystream();
        config.cancel_is_end = true;
        config
    }

    /// A server for Go's spdystream, as kubectl, crictl, the API server and the kubelet are built on it. It speaks
    /// SPDY/3.1 with these deviations, each of which is an option that can be set back:
    ///
    /// | option | value | because that peer |
    /// |---|---|---|
    /// | [`flow_control`](Self::flow_control) | `Off` | sends without limit, and never sends WINDOW_UPDATE |
    /// | [`announce_settings`](Self::announce_settings) | no | ignores SETTINGS |
    /// | [`hold_until_peer_speaks`](Self::hold_until_peer_speaks) | yes, for servers | loses what comes right behind a 101 |
    /// | [`early_goaway`](Self::early_goaway) | no | reads nothing behind a GOAWAY |
    /// | [`cancel_is_end`](Self::cancel_is_end) | yes, for clients | ends streams with RST_STREAM(CANCEL) when it serves; a client gives up with it |
    /// | [`lenient_streams`](Self::lenient_streams) | yes | sends on streams that it has ended |
    /// | [`fold_header_names`](Self::fold_header_names) | yes | is sometimes another one, which does not fold them |
    /// | [`pause_probe_interval`](Self::pause_probe_interval) | 15 s | is killed by its user while its input is not read |
    /// | [`peer_close_timeout`](Self::peer_close_timeout) | 5 min, for servers | may have a user who reads late, and is often behind a proxy that ends both directions with the first of them |
    /// | [`silence_timeout`](Self::silence_timeout) | 4 h, for servers | may never say a word; container runtimes have the same |
    /// | [`write_timeout`](Self::write_timeout) | 4 h, for servers | has a user who looks at a page of output, and takes a cut for the end |
    /// | [`open_timeout`](Self::open_timeout) | 30 s | drops a SYN_STREAM without an answer when it closes |
    /// | [`max_concurrent_streams`](Self::max_concurrent_streams) | 4,096 | knows no limit |
    /// | [`initial_max_open_streams`](Self::initial_max_open_streams) | 4,096 | announces no limit |
    ///
    /// With no windows a stream that nobody reads stops all others, once it has
    /// [`unread_stream_limit`](Self::unread_stream_limit) bytes: the transport is not read any more, PINGs included.
    /// With [`Overflow::Reset`] it stops the others for a moment only, until all together have
    /// [`unread_connection_limit`](Self::unread_connection_limit), and is given up after a while. Memory is bounded either way,
    /// and a peer whose process dies meanwhile is seen within 30 s: the session ends,
    /// [`Session::closed`](crate::stream::Session::closed) completes.
    #[must_use]
    pub fn spdystream_server() -> Self {
        let mut config = Self::server().for_spdystream();
        config.hold_until_peer_speaks = true;
        config.peer_close_timeout = Some(Duration::from_secs(5 * 60));
        config.silence_timeout = Some(FOUR_HOURS);
        config.write_timeout = Some(FOUR_HOURS);
        config
    }

    fn for_spdystream(self) -> Self {
        Self {
            flow_control: FlowControl::Off,
            announce_settings: false,
            early_goaway: false,
            lenient_streams: true,
            fold_header_names: true,
            open_timeout: Some(Duration::from_secs(30)),
            pause_probe_interval: Some(Duration::from_secs(15)),
            max_concurrent_streams: 4096,
            initial_max_open_streams: 4096,
            ..self
        }
    }

    /// The defaults of a role.
    #[must_use]
    pub fn for_role(role: Role) -> Self {
        match role {
            Role::Client => Self::client(),
            Role::Server => Self::server(),
        }
    }

    /// The protocol version; SPDY/3.1 is the only one yet.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// How header blocks are compressed.
    #[must_use]
    pub fn compression(&self) -> HeaderCompression {
        self.header_compression
    }

    /// The limits for the decoder that feeds the session.
    #[must_use]
    pub fn decoder_limits(&self) -> DecoderLimits {
        let mut limits = DecoderLimits::default();
        limits.block.max_list_size = self.max_header_list_size;
        limits.block.max_values = self.max_header_values;
        limits.block.fold_names = self.fold_header_names;
        limits.max_control_frame_size = self.max_control_frame_size;
        limits
    }

    /// Which windows count.
    #[doc(hidden)]
    #[must_use]
    pub fn flow_control_mode(&self) -> FlowControl {
        self.flow_control
    }

    /// Whether one SYN_REPLY with a 1xx status is skipped. Set by the HTTP client.
    #[doc(hidden)]
    #[must_use]
    pub fn skip_interim_replies(mut self, skip: bool) -> Self {
        self.skip_interim_replies = skip;
        self
    }

    /// The connection window in use: at least twice the stream window, so that one unread stream cannot stop
    /// the others.
    pub(crate) fn effective_connection_window(&self) -> u32 {
        self.connection_window
            .max(self.stream_window.saturating_mul(2))
            .clamp(crate::frame::DEFAULT_WINDOW, MAX_WINDOW)
    }
}

/// The one table of options. `$callback!` gets each as `doc, name(argument: type), field = value` and makes its
/// setter, so that `Config` and the builders cannot drift apart.
macro_rules! with_options {
    ($callback:ident) => {
        $callback! {
            /// The window of each stream towards us, in bytes: how much the peer may send before we have
            /// consumed it. Announced by SETTINGS_INITIAL_WINDOW_SIZE; 1 to 2^31-1.
            /// Default: 256 KiB for servers, 1 MiB for clients.
            initial_stream_window_size(bytes: u32) { stream_window = bytes.clamp(1, $crate::frame::MAX_WINDOW) }
            /// The window of the whole connection towards us, in bytes. A value below twice the stream window is
            /// raised to that, so that a single unread stream cannot stop all others; it is at least 65,536,
            /// because a connection window can only grow. Default: 4 MiB for servers, 16 MiB for clients.
            initial_connection_window_size(bytes: u32) {
                connection_window = bytes.clamp($crate::frame::DEFAULT_WINDOW, $crate::frame::MAX_WINDOW)
            }
            /// Which windows count. Default: [`FlowControl::Spec`](crate::FlowControl::Spec).
            flow_control(mode: $crate::session::FlowControl) { flow_control = mode }
            /// What happens when the unread limits are reached, with `Lenient` or `Off` flow control.
            /// Default: [`Overflow::Pause`](crate::Overflow::Pause).
            overflow(overflow: $crate::session::Overflow) { overflow = overflow }
            /// How many received bytes of one stream may wait to be read, with `Lenient` or `Off` flow control. With
            /// [`Overflow::Reset`](crate::Overflow::Reset) a stream that was not read for a while can have as many as all
            /// together, until it was read or is given up. Default: 1 MiB.
            unread_stream_limit(bytes: usize) { unread_stream_limit = bytes.max(1) }
            /// How many received bytes of all streams may wait to be read, with `Lenient` or `Off` flow control.
            /// Default: 16 MiB.
            unread_connection_limit(bytes: usize) { unread_connection_limit = bytes.max(1) }
            /// How many streams the peer may have open at once. Announced by SETTINGS_MAX_CONCURRENT_STREAMS;
            /// more are refused with REFUSED_STREAM. Default: 200.
            max_concurrent_streams(streams: u32) { max_concurrent_streams = streams }
            /// How many streams this side has open at once towards a peer that has announced no limit; more
            /// wait. Default: 100.
            initial_max_open_streams(streams: u32) { initial_max_open_streams = streams }
            /// The largest header list accepted, decompressed, each value charged with 32 bytes beside its
            /// name and its own length. Larger ones are answered with 431 (HTTP server) or reset with
            /// FRAME_TOO_LARGE; beyond four times the limit the session ends. Default: 16 KiB.
            max_header_list_size(bytes: u32) { max_header_list_size = bytes as usize }
            /// The largest header list sent, charged as above. A larger one is a user error of its own stream: peers end
            /// the whole session for header blocks far beyond their limit. Default: 64 KiB.
            max_send_header_list_size(bytes: u32) { max_send_header_list_size = bytes as usize }
            /// How many header values one block may carry; a value that repeats counts each time. Default: 100.
            max_header_values(values: usize) { max_header_values = values }
            /// The largest control frame accepted, in bytes; at least 8,192 (section 2.2.1). Default: 64 KiB.
            max_control_frame_size(bytes: u32) { max_control_frame_size = bytes.max(8192) }
            /// How header blocks are compressed. Default: `Level(1)` for servers, `Off` for clients, whose
            /// requests a shared compression context could betray (CRIME).
            header_compression(compression: $crate::headers::HeaderCompression) { header_compression = compression }
            /// Sends a PING when nothing was received for this long; `None` never does. A PING cannot pass output
            /// that the transport does not take: without a [`write_timeout`](Self::write_timeout) of its own, a
            /// session with keep-alive has one of this interval plus the keep-alive time-out. Default: `None`.
            keep_alive_interval(interval: impl Into<Option<std::time::Duration>>) {
                keep_alive_interval = interval.into()
            }
            /// Ends the session when nothing at all is received for this long after a keep-alive PING was
            /// written. Default: 20 s.
            keep_alive_timeout(timeout: std::time::Duration) { keep_alive_timeout = timeout }
            /// Whether keep-alive PINGs are also sent while no stream is open. Behind
            /// [`hold_until_peer_speaks`](Self::hold_until_peer_speaks) nothing can be asked: a peer that has not said a
            /// word is given up after the interval and the time-out. Default: no.
            keep_alive_while_idle(enabled: bool) { keep_alive_while_idle = enabled }
            /// Shuts the session down gracefully when no stream was open for this long; `None` never does.
            /// Default: `None`.
            idle_timeout(timeout: impl Into<Option<std::time::Duration>>) { idle_timeout = timeout.into() }
            /// Ends the session when there is something to write and the transport takes nothing for this long;
            /// `None` waits for ever, or with keep-alive for its interval plus its time-out, or else for
            /// [`silence_timeout`](Self::silence_timeout). A transport with a buffer of its own, such as TLS or a WebSocket,
            /// has to empty it within this time, or to take from a full one, or 256 KiB more: that it takes a little proves
            /// nothing. Default: `None`.
            write_timeout(timeout: impl Into<Option<std::time::Duration>>) { write_timeout = timeout.into() }
            /// Sends nothing before the first byte of the peer has arrived: Kubernetes clients lose what is sent
            /// right behind a 101 response. Default: no.
            hold_until_peer_speaks(hold: bool) { hold_until_peer_speaks = hold }
            /// Whether a SETTINGS frame is sent at the start. Without it the peer assumes stream windows of
            /// 65,536 bytes, and so do we. Default: yes.
            announce_settings(announce: bool) { announce_settings = announce }
            /// Whether a graceful shutdown begins with GOAWAY. Without it, new streams are refused one by one
            /// and GOAWAY is the last frame, for peers that stop at any GOAWAY. Default: yes.
            early_goaway(early: bool) { early_goaway = early }
            /// Resets a stream of ours, with CANCEL, whose SYN_REPLY has not come this long after its SYN_STREAM was
            /// sent, and forgets it; whoever waits for it gets [`Timeout::Open`](crate::Timeout::Open). The clock stands
            /// still while reading is paused. `None` waits for ever. Default: `None`.
            open_timeout(timeout: impl Into<Option<std::time::Duration>>) { open_timeout = timeout.into() }
            /// Ends the session when no frame at all went in either direction for this long, whatever streams are open:
            /// they are reset with CANCEL, their users get [`Timeout::Silence`](crate::Timeout::Silence), and GOAWAY
            /// follows. A PING and its echo are frames. Kubernetes' container runtimes use four hours. `None` never
            /// does. Default: `None`.
            silence_timeout(timeout: impl Into<Option<std::time::Duration>>) { silence_timeout = timeout.into() }
            /// Sends a frame that changes nothing and is not answered (SETTINGS without an entry) this often while
            /// [`Overflow`](crate::Overflow) has paused reading, so that the death of the peer is seen: not reading, we
            /// would not see the transport end. A host whose process is gone rejects the first of these frames, and the
            /// second one fails: the session ends at most two intervals after the peer. What the peer had sent, and was
            /// still in the transport, is lost then.
            ///
            /// A host that is gone altogether rejects nothing; the system's own time-out for data that is not acknowledged,
            /// often a quarter of an hour, or TCP_USER_TIMEOUT on the socket, ends that. `None` sends nothing: then a peer
            /// that dies in a pause is seen by the next write only. At least 1 s: peers that count SETTINGS, as this crate
            /// does, would take more of them for a flood. Default: `None`.
            pause_probe_interval(interval: impl Into<Option<std::time::Duration>>) {
                pause_probe_interval = interval.into().map(|interval| interval.max(std::time::Duration::from_secs(1)))
            }
            /// How long a session that has ended without an error leaves it to the peer to close the transport, before it does so
            /// itself: counted behind the last frame, GOAWAY, from the last byte that the peer sends. What the peer sends is
            /// discarded. `None` closes at once, and then discards for a second, and 256 KiB at most.
            ///
            /// For peers that close when they have read GOAWAY. A proxy may take the end of one direction for that of both, as
            /// those of Kubernetes do, and TCP resets a connection that is closed while its peer sends: what that peer has not
            /// read by then is lost, such as the end of an output and the exit code, be it that all it sends are PINGs. A peer that
            /// goes on sending and never closes has as long as for a write that it does not take
            /// ([`write_timeout`](Self::write_timeout), four hours without one), and from a graceful shutdown of the connection on
            /// this time once more, 30 s at most. Nothing is left to a peer whose session an idle or silence time-out has ended. Default: `None`.
            peer_close_timeout(timeout: impl Into<Option<std::time::Duration>>) { peer_close_timeout = timeout.into() }
            /// Takes RST_STREAM with CANCEL, on a stream that was replied to, for the end of the peer's direction: a
            /// reader gets what has arrived and then the end, no error. Writers get the error. Default: no.
            cancel_is_end(end: bool) { cancel_is_end = end }
            /// Treats streams as Go's spdystream does: a second SYN_REPLY is ignored; ids of SYN_STREAMs may have either
            /// parity; frames for streams that are unknown or over, and DATA behind FIN, are dropped without an answer;
            /// a stream whose own direction has ended is given up without RST_STREAM; FIN is set on SYN_STREAM and
            /// SYN_REPLY only where that was asked for; a transport that ends behind GOAWAY has ended well, and a client does not
            /// wait for that when all of the server's directions have ended. Default: no.
            lenient_streams(lenient: bool) { lenient_streams = lenient }
            /// Folds upper-case letters in received header names, which are an error of the stream otherwise
            /// (section 2.6.10). Default: no.
            fold_header_names(fold: bool) { fold_header_names = fold }
        }
    };
}

macro_rules! config_setters {
    ($( $(#[$doc:meta])* $name:ident($arg:ident : $ty:ty) { $field:ident = $value:expr } )*) => {
        impl Config {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(mut self, $arg: $ty) -> Self {
                    self.$field = $value;
                    self
                }
            )*
        }
    };
}

with_options!(config_setters);

#[cfg(any(feature = "server", feature = "client"))]
pub(crate) use with_options;
