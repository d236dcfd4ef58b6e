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
//! # What an Upgrade opens
//!
//! Behind the 101 the client reaches the *whole* app, on every path, past whatever looks at HTTP/1.1 requests one by one: a
//! proxy in front that checks paths or adds headers such as `X-Forwarded-For` sees the first request only. Let such a proxy
//! drop `Upgrade`, as most do unless told otherwise, or put the layer on one route, where its checks are done:
//! `Router::new().route_service("/spdy", UpgradeLayer::new(app).wrap())`. Layers in front of the Upgrade must leave a 101 as
//! it is; access is to be denied before it, not by changing it.
//!
//! The extensions of the request to upgrade, such as axum's `ConnectInfo`, are those of every request behind it.
//!
//! # Example
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
