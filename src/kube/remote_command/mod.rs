//! `exec` and `attach`: the streams of a command.
//!
//! A set of streams belongs to one connection: `error`, and of `stdin`, `stdout`, `stderr` and `resize` those that were
//! asked for. The client opens them; the server runs the command when all are there, writes its outcome to `error`, and ends
//! the connection.

mod client;
mod exit;
mod resize;
mod server;

use super::printable;
use crate::error::{Error, Result};

pub use self::client::{Client, ClientStreams, ExitReceiver, OutputReader, StdinWriter};
pub use self::exit::Exit;
pub use self::resize::{ResizeReader, ResizeWriter, TerminalSize};
pub use self::server::{ExitSender, OutputWriter, Server, ServerStreams, StdinReader};

/// The protocols that work over SPDY, the newest first. `v5.channel.k8s.io` is not among them: what it adds exists in
/// WebSocket only, and Kubernetes' own servers never choose it over SPDY.
pub const PROTOCOLS: &[&str] = &[
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
];

/// The largest text that is read from an error stream, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Version {
    /// The first. What goes wrong is plain text. Served as [`V2`](Self::V2): servers of its time reset the error stream
    /// before the command had started, so that nothing could be told.
    V1,
    /// Every direction can be ended by itself.
    V2,
    /// With a `resize` stream, for terminals.
    V3,
    /// The outcome is JSON with an exit code.
    V4,
    /// The same as [`V4`](Self::V4) over SPDY.
    V5,
}

impl Version {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "channel.k8s.io",
            Self::V2 => "v2.channel.k8s.io",
            Self::V3 => "v3.channel.k8s.io",
            Self::V4 => "v4.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }

    /// The version of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::V1, Self::V2, Self::V3, Self::V4, Self::V5]
            .into_iter()
            .find(|version| version.name() == name)
    }

    /// The version that was negotiated; a server that did not name one speaks the first.
    ///
    /// # Errors
    ///
    /// [`is_negotiation`](Error::is_negotiation) if it is none of `exec` and `attach`.
    pub fn negotiated(protocol: Option<&str>) -> Result<Self> {
        let Some(name) = protocol else {
            return Ok(Self::V1);
        };
        Self::from_name(name).ok_or_else(|| {
            let name = printable(name, 100);
            Error::negotiation(format!(
                "expected a protocol of exec and attach; got {name}"
            ))
        })
    }

    fn has_resize(self) -> bool {
        self >= Self::V3
    }

    fn has_json(self) -> bool {
        self >= Self::V4
    }
}

/// Which streams a command has. Both sides have to know it, from the query of the request or otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Standard input, from the client.
    pub stdin: bool,
    /// Standard output, to the client.
    pub stdout: bool,
    /// Standard error, to the client. Left out with a terminal, whose output is one stream.
    pub stderr: bool,
    /// A terminal, with a `resize` stream since [`Version::V3`].
    pub tty: bool,
}

impl Streams {
    /// Reads the query of a request: `stdin`, `stdout`, `stderr` and `tty` as the API server has them, `input`, `output`
    /// and `error` as the kubelet has them, each `true` or `1`. Whatever else is in it does not matter.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let mut streams = Self::default();
        for pair in query.split('&') {
            let Some((name, "true" | "1")) = pair.split_once('=') else {
                continue;
            };
            match name {
                "stdin" | "input" => streams.stdin = true,
                "stdout" | "output" => streams.stdout = true,
                "stderr" | "error" => streams.stderr = true,
                "tty" => streams.tty = true,
                _ => {}
            }
        }
        streams
    }

    /// Whether none of the three is asked for, which Kubernetes' servers answer with 400.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !(self.stdin || self.stdout || self.stderr)
    }

    /// The types of the streams, in the order in which a client opens them.
    fn kinds(self, version: Version) -> impl Iterator<Item = Kind> + Clone {
        [
            (Kind::Error, true),
            (Kind::Stdin, self.stdin),
            (Kind::Stdout, self.stdout),
            (Kind::Stderr, self.stderr && !self.tty),
            (Kind::Resize, self.tty && version.has_resize()),
        ]
        .into_iter()
        .filter_map(|(kind, wanted)| wanted.then_some(kind))
    }
}

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Error,
    Stdin,
    Stdout,
    Stderr,
    Resize,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Resize => "resize",
        }
    }
}

/// The header of a stream's type.
const STREAM_TYPE: &str = "streamtype";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_either_server_says_which_streams_there_are() {
        let all = Streams {
            stdin: true,
            stdout: true,
            stderr: true,
            tty: true,
        };
        let api = "command=sh&container=c&stdin=true&stdout=true&stderr=true&tty=true";
        assert_eq!(Streams::from_query(api), all);
        assert_eq!(Streams::from_query("input=1&output=1&error=1&tty=1"), all);
        let none = Streams::from_query("stdin=false&stdout=0&tty&stdout&=true&command=stdin=true");
        assert_eq!(none, Streams::default());
        assert!(none.is_empty() && !all.is_empty());
    }

    #[test]
    fn a_terminal_has_no_stderr_and_its_resize_stream_since_v3() {
        let all = Streams::from_query("stdin=1&stdout=1&stderr=1&tty=1");
        let names = |streams: Streams, version| {
            let kinds = streams.kinds(version).map(Kind::name);
            kinds.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(all, Version::V4), "error stdin stdout resize");
        assert_eq!(names(all, Version::V2), "error stdin stdout");
        let plain = Streams { tty: false, ..all };
        assert_eq!(names(plain, Version::V3), "error stdin stdout stderr");
        assert_eq!(names(Streams::default(), Version::V1), "error");
    }

    #[test]
    fn names_and_versions_belong_together() {
        for name in PROTOCOLS {
            let version = Version::negotiated(Some(name)).unwrap();
            assert_eq!(version.name(), *name);
        }
        assert!(!PROTOCOLS.contains(&Version::V5.name()));
        assert_eq!(Version::negotiated(None).unwrap(), Version::V1);
        let error = Version::negotiated(Some("portforward.k8s.io")).unwrap_err();
        assert!(error.is_negotiation(), "{error}");
    }
}
