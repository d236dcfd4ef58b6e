use std::fmt;

use http::{Request, Response};
use http_body::Body;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use crate::error::{Error, Result};
use crate::http::switching;
use crate::session::Config;
use crate::stream::{Connection, Session};

/// Takes the Upgrade to SPDY/3.1 out of a request, for a handler that wants the raw [`Session`].
///
/// The handler returns [`PendingUpgrade::response`], to which it may add headers of its own, such as Kubernetes'
/// `X-Stream-Protocol-Version`, and in a task of its own waits for the [session](PendingUpgrade::session):
///
/// ```no_run
/// use axum::{body::Body, extract::Request, http::StatusCode, response::{IntoResponse, Response}};
/// use spdy::{Config, headers::HeaderBlock};
/// use tokio::io::AsyncWriteExt;
///
/// async fn exec(mut request: Request) -> Response {
///     let upgrade = match spdy::upgrade::on(&mut request) {
///         Ok(upgrade) => upgrade,
///         Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
///     };
///     let response = upgrade.response::<Body>();
///     tokio::spawn(async move {
///         let (session, connection) = upgrade.session(Config::server()).await?;
///         tokio::spawn(connection);
///         while let Some(incoming) = session.accept().await? {
///             let mut stream = incoming.reply(HeaderBlock::empty())?;
///             tokio::spawn(async move {
///                 stream.write_all(b"hello").await?;
///                 stream.shutdown().await
///             });
///         }
///         Ok::<_, spdy::Error>(())
///     });
///     response
/// }
/// ```
///
/// # Errors
///
/// [`is_negotiation`](Error::is_negotiation) if the request asks for no Upgrade to SPDY: the message says what is missing
/// and fits a 400. A user error if the HTTP server does not do upgrades.
pub fn on<B: Body>(request: &mut Request<B>) -> Result<PendingUpgrade> {
    switching::check_request(request)?;
    check_server(request)?;
    Ok(PendingUpgrade {
        upgrade: hyper::upgrade::on(request),
    })
}

/// Whether hyper serves this request and has left its upgrade in it: anything else could not be switched.
pub(super) fn check_server<B>(request: &Request<B>) -> Result<()> {
    if request.extensions().get::<OnUpgrade>().is_none() {
        return Err(Error::user(
            "the request cannot be upgraded: it was not served by hyper, or its upgrade was taken out before",
        ));
    }
    Ok(())
}

/// An Upgrade to SPDY/3.1 to come, from [`on`]. Dropping it closes the connection once the response is sent.
#[must_use = "without it the connection is closed"]
pub struct PendingUpgrade {
    upgrade: OnUpgrade,
}

impl PendingUpgrade {
    /// The answer, which has to reach the client as it is: a layer in front that turns it into another status denies nothing,
    /// because hyper upgrades the connection all the same when it ends. 101 with `Connection: Upgrade` and `Upgrade: SPDY/3.1`, and no body. The connection is upgraded
    /// when the handler has returned it.
    #[must_use]
    pub fn response<B: Default>(&self) -> Response<B> {
        switching::response()
    }

    /// Waits for the Upgrade, and puts the server side of a session on its transport.
    ///
    /// [`hold_until_peer_speaks`](Config::hold_until_peer_speaks) is set, whatever the options say: see the
    /// [module](super). Nothing moves before the [`Connection`] is polled; spawn it, or give it to a
    /// [`GracefulShutdown`](crate::server::GracefulShutdown), because the HTTP server does not track it any more.
    ///
    /// # Errors
    ///
    /// [`is_http`](Error::is_http) if the connection was lost before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the Upgrade up and closes the connection.
    pub async fn session(self, config: Config) -> Result<(Session, Connection<TokioIo<Upgraded>>)> {
        let io = self.io().await?;
        let config = config.hold_until_peer_speaks(true);
        Ok(Session::server(TokioIo::new(io), config))
    }

    /// Waits for the Upgrade, and gives the transport, with what was read behind the head of the request. What speaks
    /// on it must wait for the client's first byte.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    ///
    /// # Cancel safety
    ///
    /// As [`session`](Self::session).
    pub async fn io(self) -> Result<Upgraded> {
        let upgraded = self.upgrade.await;
        upgraded.map_err(|error| Error::http("the Upgrade to SPDY/3.1 did not come about", error))
    }
}

impl fmt::Debug for PendingUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingUpgrade").finish_non_exhaustive()
    }
}
