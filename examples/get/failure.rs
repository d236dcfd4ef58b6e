//! What can go wrong: an exit code, and one line that says what happened and what to do.

use std::error::Error;
use std::fmt;

/// The exit codes; `help.txt` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Usage = 2,
    Url = 3,
    Resolve = 6,
    Connect = 7,
    NotSpdy = 8,
    Partial = 18,
    Status = 22,
    Write = 23,
    Read = 26,
    Timeout = 28,
    Resume = 33,
    Lost = 56,
    Interrupted = 130,
}

/// Why the tool ends without having done what it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Code::Usage, format!("{message} (try get --help)"))
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Code::Interrupted, "interrupted")
    }

    pub(crate) fn stdout(error: &std::io::Error) -> Self {
        Self::new(
            Code::Write,
            format!("cannot write the standard output: {error}"),
        )
    }

    /// A request that ended before its response.
    pub(crate) fn no_reply(peer: &str, error: &spdy::Error) -> Self {
        let why = chain(error);
        if error.is_body() {
            return Self::new(Code::Read, format!("cannot read the upload: {why}"));
        }
        if error.is_user() {
            return Self::new(Code::Usage, format!("cannot send the request: {why}"));
        }
        if error.is_timeout() {
            return Self::new(
                Code::Timeout,
                format!("{peer} does not answer: {why}; try again"),
            );
        }
        if error.is_retryable() {
            // Also when the peer has hung up before the request could be sent.
            let text = format!(
                "{peer} has not taken the request: {why}; try again, or check that it speaks SPDY/3.1"
            );
            return Self::new(Code::Lost, text);
        }
        if let Some(failure) = Self::not_spdy(peer, error) {
            return failure;
        }
        if error.is_closed() {
            let text =
                format!("{peer} hung up before it replied: {why}; check that it speaks SPDY/3.1");
            return Self::new(Code::Lost, text);
        }
        Self::new(Code::Lost, format!("no reply from {peer}: {why}"))
    }

    /// A session that this side had to end. A request that comes only then has an error of its own, which says no
    /// more than that it was not sent.
    pub(crate) fn not_spdy(peer: &str, error: &spdy::Error) -> Option<Self> {
        let text = || {
            let why = chain(error);
            format!("{peer} does not speak SPDY/3.1: {why}; check host and port")
        };
        let ours = error.go_away_status().is_some() && !error.is_remote();
        ours.then(|| Self::new(Code::NotSpdy, text()))
    }

    /// A body that ended early. What has arrived is the output's to say.
    pub(crate) fn cut_body(error: &spdy::Error) -> Self {
        let why = chain(error);
        if error.is_timeout() {
            return Self::new(Code::Timeout, format!("the body ended early: {why}"));
        }
        Self::new(Code::Partial, format!("the body ended early: {why}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever a peer or a file name put into it.
        for part in self.message.split(['\n', '\r']) {
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// An error and its causes: each prints its own level only.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
