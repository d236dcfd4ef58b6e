use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;

use http::{Request, Response, StatusCode};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use crate::client::hyper_body::{Driver, HyperBody, poll_driver};
use crate::client::{self, SendRequest};
use crate::error::{Error, Result};
use crate::http::{Body, origin, switching};
use crate::session::Config;
use crate::stream::{self, Session};

/// Sends an HTTP/1.1 request on a transport and asks for SPDY/3.1 on it.
///
/// Method, path and headers are the caller's; `Connection: Upgrade` and `Upgrade: SPDY/3.1` are added unless they are
/// there. `Host` is the URI's authority, if it has one, else that of the request. The request must have no body.
///
/// ```no_run
/// use http_body_util::Empty;
/// use hyper::{Request, body::Bytes};
/// use hyper_util::rt::TokioIo;
/// use spdy::{Config, upgrade::{self, Answer}};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let io = tokio::net::TcpStream::connect("127.0.0.1:10250").await?;
/// let request = Request::post("http://127.0.0.1:10250/exec/default/pod/container?command=date&output=1")
///     .header("x-stream-protocol-version", "v4.channel.k8s.io")
///     .body(Empty::<Bytes>::new())?;
/// match upgrade::connect(TokioIo::new(io), request).await? {
///     Answer::Switched(switched) => {
///         println!("{:?}", switched.response().headers());
///         let (session, connection) = switched.into_session(Config::client());
///         tokio::spawn(connection);
///         // session.open(..)
/// #       drop(session);
///     }
///     Answer::Refused(response) => println!("no: {}", response.status()),
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// - [`is_http`](Error::is_http) if the exchange fails: the connection is lost, or what comes is no HTTP.
/// - [`is_negotiation`](Error::is_negotiation) if the server switches to another protocol.
/// - A user error for a request with a body, or without a host.
///
/// A server that refuses is not an error here, but [`Answer::Refused`]; see [`Answer::switched`].
///
/// There is no time-out in here, nor one for the body of a refusal: a server that says nothing, or 1xx without end, is
/// waited for. `tokio::time::timeout` around it is enough. The head of the answer is bounded, by hyper.
///
/// # Cancel safety
///
/// Dropping the future closes the transport. There is no time-out in here: put one around it.
pub async fn connect<I, B>(io: I, request: Request<B>) -> Result<Answer>
where
    I: Read + Write + Unpin + Send + 'static,
    B: http_body::Body,
{
    let request = prepared(request)?;
    let (mut sender, connection) = http1::handshake(io)
        .await
        .map_err(|error| failed("the HTTP/1.1 handshake", error))?;
    let mut driver: Option<Driver> = Some(Box::pin(connection.with_upgrades()));
    let mut response = {
        let mut response = pin!(sender.send_request(request));
        poll_fn(|cx| {
            // Its error shows at the response, too.
            poll_driver(&mut driver, cx);
            response.as_mut().poll(cx)
        })
        .await
        .map_err(|error| failed("the request to upgrade to SPDY/3.1", error))?
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Answer::Refused(response.map(|body| {
            // The body comes only while the connection is driven: the two go together.
            let doing = "the body of the server's refusal";
            Body::new(HyperBody::new(body, doing, driver))
        })));
    }
    switching::check_response(response.status(), response.headers())?;
    let mut upgrade = pin!(hyper::upgrade::on(&mut response));
    let io = poll_fn(|cx| {
        poll_driver(&mut driver, cx);
        upgrade.as_mut().poll(cx)
    })
    .await
    .map_err(|error| failed("the Upgrade to SPDY/3.1 behind 101", error))?;
    Ok(Answer::Switched(Switched {
        response: response.map(drop),
        io,
    }))
}

fn failed(doing: &'static str, error: hyper::Error) -> Error {
    Error::http(doing, error)
}

/// The request with what an Upgrade needs.
fn prepared<B: http_body::Body>(request: Request<B>) -> Result<Request<Body>> {
    if !request.body().is_end_stream() {
        return Err(Error::user(
            "a request to upgrade must have no body: the frames follow its head",
        ));
    }
    let (mut head, _) = request.into_parts();
    switching::prepare_request(&mut head.headers)?;
    origin::for_http1(&mut head)?;
    Ok(Request::from_parts(head, Body::empty()))
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
    /// Anything else: the whole response. Its body streams, and drives what is left of the HTTP/1.1 connection, which
    /// is closed with it.
    Refused(Response<Body>),
}

impl Answer {
    /// The switched connection.
    ///
    /// # Errors
    ///
    /// [`is_negotiation`](Error::is_negotiation) with the status of a server that refused.
    pub fn switched(self) -> Result<Switched> {
        match self {
            Self::Switched(switched) => Ok(switched),
            Self::Refused(response) => Err(switching::refusal(response.status())),
        }
    }
}

/// A transport that speaks SPDY/3.1 from here on, with what the server has sent behind its 101.
pub struct Switched {
    response: Response<()>,
    io: Upgraded,
}

impl Switched {
    /// The 101 response, for its headers.
    #[must_use]
    pub fn response(&self) -> &Response<()> {
        &self.response
    }

    /// The client side of a raw session. Nothing moves before the connection is polled; spawn it.
    pub fn into_session(self, config: Config) -> (Session, stream::Connection<TokioIo<Upgraded>>) {
        Session::client(TokioIo::new(self.io), config)
    }

    /// An HTTP client. Nothing moves before the connection is polled; spawn it.
    ///
    /// # Errors
    ///
    /// As [`client::Builder::handshake`].
    pub async fn into_send_request<B>(
        self,
        builder: &client::Builder,
    ) -> Result<(SendRequest<B>, client::Connection<Upgraded>)> {
        builder.handshake(self.io).await
    }

    /// The transport.
    #[must_use]
    pub fn into_io(self) -> Upgraded {
        self.io
    }
}

impl fmt::Debug for Switched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switched")
            .field("response", &self.response)
            .finish_non_exhaustive()
    }
}
