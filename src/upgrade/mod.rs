//! SPDY/3.1 behind an HTTP/1.1 Upgrade (RFC 9110 section 7.8), at both ends.
//!
//! | to do this | use |
//! |---|---|
//! | let an HTTP/1.1 service, such as an axum app under `axum::serve`, speak SPDY too | [`wrap`] |
//! | the same with another app behind the Upgrade, an executor, options, a shutdown | [`UpgradeLayer`] |
//! | accept raw streams in one handler, as Kubernetes' servers do | [`on`] |
//! | be the client | [`connect`] |
//!
//! A request is an Upgrade to SPDY if it is HTTP/1.1, has no body, and `Connection` lists `Upgrade` and `Upgrade` lists
//! `SPDY/3.1`, whatever the case and in any number of lines. The side that sent it is the client of the session, with odd
//! stream ids. The server says nothing before the client has: clients that read the 101 through a buffer of their own
//! lose what comes right behind it.
//!
//! An axum app, its HTTP server left as it is:
//!
//! ```no_run
//! use axum::{Router, ServiceExt, extract::Request, routing::get};
//!
//! # async fn example() -> std::io::Result<()> {
//! let app = Router::new().route("/", get(|| async { "hello over either" }));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! axum::serve(listener, ServiceExt::<Request>::into_make_service(spdy::upgrade::wrap(app))).await
//! # }
//! ```
//!
//! Where the same port is to take SPDY without an Upgrade and HTTP/2 as well, see `server::auto`.

mod client;
mod layer;
mod map_body;
mod pending;

pub use self::client::{Answer, Switched, connect};
pub use self::layer::{Upgrade, UpgradeFuture, UpgradeLayer, wrap};
pub use self::map_body::MapBody;
pub use self::pending::{PendingUpgrade, on};
