//! The `Status` object of Kubernetes, as far as streaming needs it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::printable;

/// How many characters of a text a message shows.
const SHOWN: usize = 500;

/// What went wrong, or that nothing did, in Kubernetes' own words: the body of a refused request, and the outcome of a
/// command. What a field of another peer holds beyond these is dropped.
///
/// Its fields are texts of the peer as they came, escape sequences and all. Its `Display` is for people, and safe to print:
/// reason and message, each cut at 500 characters, without what would take a terminal or a log apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// `Success` or `Failure`.
    pub status: String,
    /// What happened, for people.
    pub message: String,
    /// What happened, for programs, such as `NotFound` or `NonZeroExitCode`. Empty if the peer did not say.
    pub reason: String,
    /// The HTTP status that fits, if there is one.
    pub code: Option<u16>,
    /// Details, such as the exit code of a command.
    pub causes: Vec<Cause>,
}

/// A detail of a [`Status`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Cause {
    /// What the message is, such as `ExitCode`.
    pub reason: String,
    /// The value, as text.
    pub message: String,
}

/// The object as it is on the wire.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Wire {
    #[serde(skip_deserializing)]
    metadata: Metadata,
    #[serde(skip_serializing)]
    kind: Option<String>,
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
}

/// Always there, always empty.
#[derive(Default, Serialize)]
struct Metadata {}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Details {
    causes: Option<Vec<Cause>>,
}

impl Status {
    /// A success.
    pub(super) fn success() -> Self {
        Self {
            status: "Success".to_owned(),
            ..Self::default()
        }
    }

    /// A failure.
    pub(super) fn failure(reason: &str, message: String) -> Self {
        Self {
            status: "Failure".to_owned(),
            reason: reason.to_owned(),
            message,
            ..Self::default()
        }
    }

    /// Reads one JSON object; `None` if it is none, or not of the kind `Status`.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        // serde takes an array for a struct as well.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        let wire: Wire = serde_json::from_slice(json).ok()?;
        if wire.kind.is_some_and(|kind| kind != "Status") {
            return None;
        }
        Some(Self {
            status: wire.status?,
            message: wire.message.unwrap_or_default(),
            reason: wire.reason.unwrap_or_default(),
            code: wire.code.and_then(|code| u16::try_from(code).ok()),
            causes: wire
                .details
                .and_then(|details| details.causes)
                .unwrap_or_default(),
        })
    }

    /// Writes the JSON object, without `kind` and `apiVersion`, as a container runtime does.
    #[must_use]
    pub fn to_json(&self) -> String {
        let said = |text: &String| (!text.is_empty()).then(|| text.clone());
        let wire = Wire {
            metadata: Metadata {},
            kind: None,
            status: Some(self.status.clone()),
            message: said(&self.message),
            reason: said(&self.reason),
            details: (!self.causes.is_empty()).then(|| Details {
                causes: Some(self.causes.clone()),
            }),
            code: self.code.map(i64::from),
        };
        // Strings and numbers are always JSON.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Whether it says that all went well.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == "Success"
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_success() {
            return f.write_str("Success");
        }
        let reason = match self.reason.as_str() {
            "" => "Unknown",
            reason => reason,
        };
        let (reason, message) = (printable(reason, SHOWN), printable(&self.message, SHOWN));
        write!(f, "{reason} from server: {message}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_written_as_servers_write_it() {
        assert_eq!(
            Status::success().to_json(),
            r#"{"metadata":{},"status":"Success"}"#
        );
        let mut failure = Status::failure("NonZeroExitCode", "it ended with 3".to_owned());
        failure.causes.push(Cause {
            reason: "ExitCode".to_owned(),
            message: "3".to_owned(),
        });
        assert_eq!(
            failure.to_json(),
            r#"{"metadata":{},"status":"Failure","message":"it ended with 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#
        );
        assert_eq!(
            Status::from_json(failure.to_json().as_bytes()),
            Some(failure)
        );
    }

    #[test]
    fn a_status_is_shown_without_what_would_take_a_terminal_apart() {
        assert_eq!(Status::success().to_string(), "Success");
        let failure = Status::failure("Not\u{7}Found", "no\u{1b}[2Jpod\r\nhere\u{9b}".to_owned());
        assert_eq!(
            failure.to_string(),
            "Not\\u{7}Found from server: no\\u{1b}[2Jpod\\r\\nhere\\u{9b}"
        );
        let long = Status::failure("", "a".repeat(1000));
        assert_eq!(
            long.to_string(),
            format!("Unknown from server: {}", "a".repeat(500))
        );
    }

    #[test]
    fn what_other_servers_leave_out_or_add_is_no_fault() {
        let text = r#"{"kind":"Status","apiVersion":"v1","metadata":{"x":[1]},"status":"Failure",
            "message":"pods \"p\" not found","reason":"NotFound","details":{"name":"p","kind":"pods"},"code":404}"#;
        let status = Status::from_json(text.as_bytes()).unwrap();
        assert_eq!(status.message, "pods \"p\" not found");
        assert_eq!((status.code, status.causes.len()), (Some(404), 0));
        assert!(!status.is_success());
        let sparse = br#"{"status":"Success","message":null,"details":null}"#;
        assert!(Status::from_json(sparse).unwrap().is_success());
        for other in [
            &b""[..],
            b"nope",
            b"{}",
            b"[1]",
            br#"["Status","Success","","",null,0]"#,
            br#"{"kind":"Pod","status":"x"}"#,
            br#"{"status":{}}"#,
            br#"{"status":"Success"} trailing"#,
        ] {
            assert_eq!(Status::from_json(other), None, "{}", other.escape_ascii());
        }
    }
}
