//! The server's side of the Upgrade.

use std::fmt;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::{ACCEPTED_PROTOCOL_VERSIONS, PROTOCOL_VERSION, printable};
use crate::error::Result;
use crate::session::Config;
use crate::stream::{Connection, Session};
use crate::upgrade;

/// How many characters of what the client offers are repeated to it.
const SHOWN: usize = 200;

/// Takes the Upgrade to SPDY/3.1 out of a request and chooses the protocol of streams: the first of the client's that is
/// among `supported`, such as [`remote_command::PROTOCOLS`](super::remote_command::PROTOCOLS) or
/// [`port_forward::PROTOCOLS`](super::port_forward::PROTOCOLS).
///
/// Serve it for POST; any method is taken. See the [module](super) for a handler.
///
/// # Errors
///
/// The answer that a server of Kubernetes gives: 403 if no protocol is shared, 400 if the client names none or asks for no
/// Upgrade to SPDY/3.1, 500 if the HTTP server does not do upgrades.
pub fn on<B: Body>(
    request: &mut Request<B>,
    supported: &[&'static str],
) -> Result<PendingUpgrade, Refusal> {
    let protocol = negotiate(request.headers(), supported)?;
    match upgrade::on(request) {
        Ok(upgrade) => Ok(PendingUpgrade { protocol, upgrade }),
        Err(error) => Err(Refusal {
            status: if error.is_negotiation() {
                StatusCode::BAD_REQUEST
            } else {
                StatusCode::INTERNAL_SERVER_ERROR
            },
            reason: format!("unable to upgrade: {error}"),
            accepted: Vec::new(),
        }),
    }
}

/// Chooses the protocol of streams by the headers of a request, for other ways to a session than [`on`]: the first of the
/// client's that is among `supported`. The client's may be in several lines and in comma-separated lists.
///
/// # Errors
///
/// The answer to give: 403 if no protocol is shared, 400 if the client names none.
pub fn negotiate<'a>(headers: &HeaderMap, supported: &[&'a str]) -> Result<&'a str, Refusal> {
    let offered = || {
        let lines = headers.get_all(PROTOCOL_VERSION).into_iter();
        lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty())
    };
    let known = |name: &[u8]| {
        let same = |own: &&&'a str| own.as_bytes() == name;
        supported.iter().find(same).copied()
    };
    if let Some(protocol) = offered().find_map(known) {
        return Ok(protocol);
    }
    if offered().next().is_none() {
        return Err(Refusal {
            status: StatusCode::BAD_REQUEST,
            reason: "unable to upgrade: the header X-Stream-Protocol-Version is required"
                .to_owned(),
            accepted: Vec::new(),
        });
    }
    let names: Vec<_> = offered().map(String::from_utf8_lossy).collect();
    Err(Refusal {
        status: StatusCode::FORBIDDEN,
        reason: format!(
            "unable to upgrade: no protocol is shared: the client offers {}, the server accepts {}",
            printable(&names.join(", "), SHOWN),
            supported.join(", ")
        ),
        accepted: supported.iter().map(|&name| name.to_owned()).collect(),
    })
}

/// An Upgrade to come, and its protocol of streams, from [`on`]. Dropping it closes the connection once the response is sent.
#[derive(Debug)]
#[must_use = "without it the connection is closed"]
pub struct PendingUpgrade {
    protocol: &'static str,
    upgrade: upgrade::PendingUpgrade,
}

impl PendingUpgrade {
    /// The protocol that was chosen.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The answer: 101 with `Connection: Upgrade`, `Upgrade: SPDY/3.1` and `X-Stream-Protocol-Version`. It has to reach the
    /// client as it is; the connection is upgraded when the handler has returned it.
    #[must_use]
    pub fn response<B: Default>(&self) -> Response<B> {
        let mut response = self.upgrade.response();
        // A name that no header can carry cannot have been offered in one.
        if let Ok(protocol) = HeaderValue::from_bytes(self.protocol.as_bytes()) {
            response.headers_mut().insert(PROTOCOL_VERSION, protocol);
        }
        response
    }

    /// Waits for the Upgrade, and puts the server side of a session on its transport; see
    /// [`upgrade::PendingUpgrade::session`]. The options are meant to be those of
    /// [`Config::spdystream_server`].
    ///
    /// # Errors
    ///
    /// [`is_http`](crate::Error::is_http) if the connection was lost before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the Upgrade up and closes the connection.
    pub async fn session(self, config: Config) -> Result<(Session, Connection<TokioIo<Upgraded>>)> {
        self.upgrade.session(config).await
    }

    /// Waits for the Upgrade, and gives the transport; what speaks on it must wait for the client's first byte.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    ///
    /// # Cancel safety
    ///
    /// As [`session`](Self::session).
    pub async fn io(self) -> Result<Upgraded> {
        self.upgrade.io().await
    }
}

/// Why a request is not upgraded, as the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    reason: String,
    accepted: Vec<String>,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer: the reason as plain text, which kubectl shows to its user, and with 403 a line
    /// `X-Accepted-Stream-Protocol-Versions` for each protocol of the server.
    #[must_use]
    pub fn response<B: From<String>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(self.reason.clone()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        for name in &self.accepted {
            // A name that no header can carry could not have been offered either.
            if let Ok(name) = HeaderValue::from_str(name) {
                headers.append(ACCEPTED_PROTOCOL_VERSIONS, name);
            }
        }
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}
