//! The client's side of the Upgrade.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::header::HeaderValue;
use http::{Request, Response};
use http_body::Body as _;
use hyper::rt::{Read, Write};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::{PROTOCOL_VERSION, Status, printable};
use crate::error::{Error, Result};
use crate::http::{Body, switching};
use crate::session::Config;
use crate::stream::{self, Session};
use crate::upgrade;

/// How many bytes of the body of a refusal are read.
const MAX_BODY: usize = 64 << 10;

/// How many characters of it a message shows.
const SHOWN: usize = 500;

/// Sends an HTTP/1.1 request and asks for SPDY/3.1 with one of these protocols of streams, the most wanted first; each is
/// sent in a line of its own. Method (POST, for Kubernetes' servers), path and other headers are the caller's; see
/// [`upgrade::connect`].
///
/// # Errors
///
/// As [`upgrade::connect`], and [`is_negotiation`](Error::is_negotiation) if the server chooses a protocol that was not
/// offered. A server that refuses is not an error here, but [`Answer::Refused`]; see [`Answer::switched`].
///
/// # Cancel safety
///
/// Dropping the future closes the transport. There is no time-out in here: put one around it.
pub async fn connect<I, B>(io: I, mut request: Request<B>, protocols: &[&str]) -> Result<Answer>
where
    I: Read + Write + Unpin + Send + 'static,
    B: http_body::Body,
{
    for name in protocols {
        let name = HeaderValue::from_str(name).map_err(|error| {
            Error::user_cause("a protocol of streams is no header value", error)
        })?;
        request
            .headers_mut()
            .try_append(PROTOCOL_VERSION, name)
            .map_err(|error| Error::user_cause("the request has too many headers", error))?;
    }
    let switched = match upgrade::connect(io, request).await? {
        upgrade::Answer::Switched(switched) => switched,
        upgrade::Answer::Refused(response) => return Ok(Answer::Refused(read(response).await)),
    };
    let chosen = switched.response().headers().get(PROTOCOL_VERSION);
    let chosen = chosen.map(|name| String::from_utf8_lossy(name.as_bytes()).trim().to_owned());
    let chosen = chosen.filter(|name| !name.is_empty());
    if let Some(chosen) = &chosen {
        if !protocols.contains(&chosen.as_str()) {
            return Err(Error::negotiation(format!(
                "expected one of the protocols {}; the server chose {}",
                protocols.join(", "),
                printable(chosen, 100)
            )));
        }
    }
    Ok(Answer::Switched(Switched { chosen, switched }))
}

/// Reads what a refusal says. A body that breaks off still says something.
async fn read(response: Response<Body>) -> Refused {
    let (head, mut body) = response.into_parts();
    let mut text = BytesMut::new();
    while text.len() < MAX_BODY {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        let Some(Ok(frame)) = frame else {
            break;
        };
        if let Ok(data) = frame.into_data() {
            let room = MAX_BODY - text.len();
            text.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    let body = text.freeze();
    Refused {
        status: Status::from_json(&body),
        response: Response::from_parts(head, body),
    }
}

/// What the server has said to [`connect`].
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one per connection, and taken apart at once"
)]
pub enum Answer {
    /// 101: SPDY/3.1 from here on.
    Switched(Switched),
    /// Anything else.
    Refused(Refused),
}

impl Answer {
    /// The switched connection.
    ///
    /// # Errors
    ///
    /// [`is_negotiation`](Error::is_negotiation) with the status of a server that refused; the [`Refused`] itself is its
    /// [`source`](std::error::Error::source).
    pub fn switched(self) -> Result<Switched> {
        match self {
            Self::Switched(switched) => Ok(switched),
            Self::Refused(refused) => {
                let status = refused.response.status();
                Err(switching::refusal_because(status, refused))
            }
        }
    }
}

/// A transport that speaks SPDY/3.1 from here on, and its protocol of streams.
#[derive(Debug)]
pub struct Switched {
    chosen: Option<String>,
    switched: upgrade::Switched,
}

impl Switched {
    /// The protocol that the server has chosen, one of those that were offered. `None` if it did not say:
    /// [`remote_command::Version::negotiated`](super::remote_command::Version::negotiated) and
    /// [`port_forward::check`](super::port_forward::check) know what that means.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// The 101 response, for its headers.
    #[must_use]
    pub fn response(&self) -> &Response<()> {
        self.switched.response()
    }

    /// The client side of a session. The options are meant to be those of [`Config::spdystream_client`]. Nothing moves
    /// before the connection is polled; spawn it.
    pub fn into_session(self, config: Config) -> (Session, stream::Connection<TokioIo<Upgraded>>) {
        self.switched.into_session(config)
    }

    /// The transport.
    #[must_use]
    pub fn into_io(self) -> Upgraded {
        self.switched.into_io()
    }
}

/// The answer of a server that does not switch: status, headers, and up to 64 KiB of its body.
#[derive(Debug)]
pub struct Refused {
    response: Response<Bytes>,
    status: Option<Status>,
}

impl Refused {
    /// The response.
    #[must_use]
    pub fn response(&self) -> &Response<Bytes> {
        &self.response
    }

    /// The body as Kubernetes' `Status`, if it is one.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    /// The response, to be kept or passed on.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        self.response
    }
}

/// Its [`Status`]; without one, the body, cut at 500 characters and without control characters, or that there is none.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = &self.status {
            return status.fmt(f);
        }
        let body = printable(&String::from_utf8_lossy(self.response.body()), SHOWN);
        // In the words of Go's clients; servers use them, too.
        if body.starts_with("unable to upgrade") {
            f.write_str(&body)
        } else if body.is_empty() {
            f.write_str("unable to upgrade connection; the server does not say why")
        } else {
            write!(f, "unable to upgrade connection: {body}")
        }
    }
}

impl std::error::Error for Refused {}
