use std::fmt;
use std::process::ExitStatus;

use bytes::Bytes;

use super::{MAX_TEXT, Version};
use crate::kube::printable;
use crate::kube::status::{Cause, Status};

/// How a command has ended.
///
/// Its `Display` is for people, and safe to print: what a server has said is shown without what would take a terminal or a
/// log apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// It ran, and ended with this code; 0 is success.
    Code(u8),
    /// It could not be run, or not to its end: why, for people. At a client this is the text of the server as it came, up to
    /// 64 KiB, escape sequences and all; show the [`Exit`] instead of it.
    Failed(String),
}

/// The code; of a command that was killed, 128 and the number of the signal, as shells have it.
impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        #[cfg(unix)]
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        #[cfg(not(unix))]
        let signal: Option<i32> = None;
        let code = status.code().or(signal.map(|signal| 128 + signal));
        // What is no code is no success either.
        let code = code.and_then(|code| u8::try_from(code).ok());
        Self::Code(code.unwrap_or(u8::MAX))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "the command ended with exit code {code}"),
            Self::Failed(why) => {
                write!(f, "the command has failed: {}", printable(why, MAX_TEXT))
            }
        }
    }
}

/// The reason of a [`Status`] that carries an exit code.
const NON_ZERO: &str = "NonZeroExitCode";
const EXIT_CODE: &str = "ExitCode";

impl Exit {
    /// What is written to the error stream. A success needs no words before [`Version::V4`].
    pub(super) fn encode(&self, version: Version) -> Bytes {
        let text = match self {
            Self::Code(0) => String::new(),
            Self::Code(code) => {
                format!("command terminated with non-zero exit code: exit code {code}")
            }
            Self::Failed(message) if message.is_empty() => "unknown failure".to_owned(),
            Self::Failed(message) => message.clone(),
        };
        if !version.has_json() {
            return text.into();
        }
        let status = match self {
            Self::Code(0) => Status::success(),
            Self::Code(code) => {
                let mut status = Status::failure(NON_ZERO, text);
                status.causes.push(Cause {
                    reason: EXIT_CODE.to_owned(),
                    message: code.to_string(),
                });
                status
            }
            Self::Failed(_) => {
                let mut status = Status::failure("InternalError", text);
                status.code = Some(500);
                status
            }
        };
        status.to_json().into()
    }

    /// What an error stream says that has come to its end. No words are a success in every version.
    pub(super) fn decode(version: Version, text: &[u8]) -> Self {
        if text.is_empty() {
            return Self::Code(0);
        }
        let shown = || String::from_utf8_lossy(text).trim_end().to_owned();
        if !version.has_json() {
            return Self::Failed(shown());
        }
        let wrong = |what: &str| Self::Failed(format!("{what} on the error stream: {}", shown()));
        let Some(status) = Status::from_json(text) else {
            return wrong("no status");
        };
        match status.status.as_str() {
            "Success" => Self::Code(0),
            "Failure" if status.reason == NON_ZERO => {
                let code = status.causes.iter().find(|cause| cause.reason == EXIT_CODE);
                match code.map(|cause| exit_code(&cause.message)) {
                    Some(Some(code)) => Self::Code(code),
                    Some(None) => wrong("an exit code that is none"),
                    None => wrong("no exit code"),
                }
            }
            "Failure" if status.message.is_empty() => wrong("a failure without a message"),
            "Failure" => Self::Failed(status.message),
            _ => wrong("an unknown status"),
        }
    }
}

/// The exit code of a failure: 0 would make a success of it.
fn exit_code(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|code| digits && *code > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_status_of_a_process_is_a_code_as_in_a_shell() {
        use std::os::unix::process::ExitStatusExt;
        // As `wait` has it: the code in the upper byte, a signal in the lower one.
        for (raw, code) in [(0, 0), (3 << 8, 3), (255 << 8, 255), (9, 137), (15, 143)] {
            let exit = Exit::from(ExitStatus::from_raw(raw));
            assert_eq!(exit, Exit::Code(code), "{raw}");
        }
    }

    const ALL: [Version; 5] = [
        Version::V1,
        Version::V2,
        Version::V3,
        Version::V4,
        Version::V5,
    ];

    #[test]
    fn codes_survive_since_v4_and_words_always() {
        for version in ALL {
            let round = |exit: &Exit| Exit::decode(version, &exit.encode(version));
            assert_eq!(round(&Exit::Code(0)), Exit::Code(0));
            let failed = Exit::Failed("no such container".to_owned());
            assert_eq!(round(&failed), failed);
            for code in [1, 3, 255] {
                match round(&Exit::Code(code)) {
                    Exit::Code(got) => {
                        assert!(version >= Version::V4);
                        assert_eq!(got, code);
                    }
                    Exit::Failed(text) => {
                        assert!(version < Version::V4);
                        assert!(text.ends_with(&format!("exit code {code}")), "{text}");
                    }
                }
            }
            assert_ne!(round(&Exit::Failed(String::new())), Exit::Code(0));
        }
    }

    #[test]
    fn what_go_servers_write_is_understood() {
        let decode = |text: &str| Exit::decode(Version::V4, text.as_bytes());
        assert_eq!(
            decode(r#"{"metadata":{},"status":"Success"}"#),
            Exit::Code(0)
        );
        let three = r#"{"status":"Failure","message":"m","reason":"NonZeroExitCode","details":{"causes":[{"reason":"Other","message":"x"},{"reason":"ExitCode","message":"3"}]}}"#;
        assert_eq!(decode(three), Exit::Code(3));
        assert_eq!(decode(&format!("{three}\n")), Exit::Code(3));
        let internal = r#"{"metadata":{},"status":"Failure","message":"it broke","reason":"InternalError","code":500}"#;
        assert_eq!(decode(internal), Exit::Failed("it broke".to_owned()));
    }

    #[test]
    fn what_a_server_says_is_shown_without_what_would_take_a_terminal_apart() {
        let failed = Exit::decode(Version::V3, b" no\x1b]0;title\x07\nsuch\xff container\n");
        assert_eq!(
            failed,
            Exit::Failed(" no\u{1b}]0;title\u{7}\nsuch\u{fffd} container".to_owned())
        );
        assert_eq!(
            failed.to_string(),
            "the command has failed: no\\u{1b}]0;title\\u{7}\\nsuch\u{fffd} container"
        );
        assert_eq!(
            Exit::Code(3).to_string(),
            "the command ended with exit code 3"
        );
    }

    #[test]
    fn what_makes_no_sense_is_a_failure_that_says_so() {
        let says = |text: &str| match Exit::decode(Version::V4, text.as_bytes()) {
            Exit::Failed(why) => why,
            Exit::Code(code) => panic!("{text}: {code}"),
        };
        for code in ["0", "256", "-1", "+3", "x", ""] {
            let text = format!(
                r#"{{"status":"Failure","reason":"NonZeroExitCode","details":{{"causes":[{{"reason":"ExitCode","message":"{code}"}}]}}}}"#
            );
            assert!(says(&text).contains("an exit code that is none"), "{code}");
        }
        let none = r#"{"status":"Failure","reason":"NonZeroExitCode"}"#;
        assert!(says(none).contains("no exit code"));
        assert!(says("panic: oops").contains("no status on the error stream: panic: oops"));
        assert!(says(r#"{"status":"Perhaps"}"#).contains("an unknown status"));
        assert!(says(r#"{"status":"Failure"}"#).contains("without a message"));
    }
}
