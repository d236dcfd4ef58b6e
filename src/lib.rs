//! A hyper- and tower-compatible SPDY/3.1 transport: an HTTP server that runs axum, tower and hyper services over
//! SPDY, an HTTP client in hyper's shape, and raw byte streams.
//!
//! | to do this | start here |
//! |---|---|
//! | serve an axum `Router`, or any tower service | [`serve`], [`serve_with`] |
//! | serve one connection, hyper style | [`server::Builder`] |
//! | send requests | [`client::handshake`], [`client::SendRequest`] |
//! | connect to a URI, with TLS, or fall back to HTTP | [`client::Connector`], [`tls`], `client::FallbackConnector` |
//! | serve over TLS with ALPN | [`tls::TlsListener`] |
//! | serve SPDY, HTTP/1.1 and HTTP/2 on one port | [`server::auto`] |
//! | add SPDY to an HTTP/1.1 server, or be the client of one | [`upgrade`] |
//! | put SPDY into a tower stack of connections | [`SpdyLayer`] |
//! | shut all of them down without losing a request | [`server::GracefulShutdown`] |
//! | open and accept raw byte streams | [`stream::Session`] |
//! | serve, or be the client of, `kubectl exec`, `attach`, `cp` and `port-forward` | [`kube`] |
//! | run all of that through a WebSocket | [`ws::Tunnel`] |
//! | build on the protocol without IO | [`session::Session`], [`codec`] |
//!
//! The version on the wire is SPDY/3.1. Section numbers in these pages are those of the SPDY/3.1 draft.
//!
//! # Layers
//!
//! Each layer imports only lower ones.
//!
//! ```text
//! L6  upgrade  layer  tls     HTTP Upgrade, tower layers, TLS with ALPN
//!     kube  ws                Kubernetes' protocols of streams, WebSockets as transports
//! L5  server  client          hyper-style builders, connections, serve(), one port for all, the connector
//! L4  http                    Request/Response <-> header block, Body, body pipe
//! L3  conn  stream            tokio driver; Session, Stream, SendStream, RecvStream
//! L2  session                 the protocol state machine: frames in, frames and events out; no IO, no clock
//! L1  codec                   bytes <-> frames, incremental; owns the two zlib contexts
//! L0  frame  headers  error   values, name/value blocks, (de)compression, errors
//! ```
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `server` | L5 `server`, [`serve`] | yes |
//! | `client` | L5 `client` | yes |
//! | `tls` | [`tls`]: TLS with ALPN by tokio-rustls, at both ends | |
//! | `upgrade` | [`upgrade`]: the HTTP/1.1 Upgrade to SPDY, at both ends | yes |
//! | `kube` | [`kube`]: the streams of Kubernetes' `exec`, `attach` and `port-forward`, at both ends | |
//! | `ws` | [`ws`]: a session in the messages of a WebSocket of any library | |
//! | `axum`, `tokio-tungstenite` | [`ws::Message`] for the messages of these libraries | |
//! | `auto` | [`server::auto`], `client::FallbackConnector`: HTTP/2 and HTTP/1.1 beside SPDY, by hyper | |
//! | `hyper-rustls` | `NegotiatedAlpn` for hyper-rustls's `MaybeHttpsStream` | |
//! | `stream` | L3, raw streams over tokio; both of the above enable it | |
//! | `http` | L4, which both of the above share; of no use alone | |
//!
//! Without any feature L0 to L2 remain: no tokio, no http.
//!
//! # Flow control and memory
//!
//! Every stream and the connection have a window each way (section 2.6.8). A byte is credited to the peer when the
//! application has consumed it, never before: a reader that stops stops its peer and nobody else, and at most the
//! windows are buffered. What this side queues is bounded by 64 KiB a stream (one chunk may overshoot) and 4 MiB a
//! connection beyond one 16 KiB frame a stream.
//!
//! # Logging
//!
//! By `tracing`. Each connection has a span `connection`, each request below it a span `stream`, with `method` and `path`; both are
//! at the level `debug`. That of a raw session ([`stream::Session::server`], `client`, and what is built on them) is below the span in
//! which it was made, and keeps it open; make it outside where that is to end before. Those of HTTP are below none: an accept loop or
//! a pool is no part of one connection. The target
//! `spdy::frames` has an event for each frame (`debug`); a subscriber without that target pays for one look a batch. What a
//! peer does wrong, and costs it a stream or the session, is `debug` (`kube` warns of it, ten times a connection); what the operator
//! should look at is `warn`.

#![forbid(unsafe_code)]

pub mod codec;
pub mod error;
pub mod frame;
pub mod headers;
pub mod session;

#[cfg(any(feature = "server", feature = "client"))]
pub mod alpn;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "stream")]
pub mod conn;
#[cfg(feature = "http")]
#[cfg_attr(
    not(all(feature = "server", feature = "client")),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "the mapping is whole; each side uses its half"
    )
)]
mod http;
#[cfg(feature = "hyper-rustls")]
mod hyper_rustls;
#[cfg(feature = "kube")]
pub mod kube;
#[cfg(feature = "server")]
mod layer;
#[cfg(any(feature = "server", feature = "client"))]
mod rt;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "stream")]
pub mod stream;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "upgrade")]
pub mod upgrade;
#[cfg(feature = "ws")]
pub mod ws;

#[cfg(any(feature = "server", feature = "client"))]
pub use self::alpn::{NegotiatedAlpn, Protocol};
#[cfg(feature = "stream")]
pub use self::conn::{FrameCounts, Stats};
pub use self::error::{Error, Initiator, Result, Timeout};
pub use self::headers::HeaderCompression;
#[cfg(feature = "http")]
pub use self::http::{Body, PendingTunnel, Tunnel};
#[cfg(feature = "server")]
pub use self::layer::{SpdyLayer, SpdyService};
#[cfg(feature = "server")]
pub use self::server::{serve, serve_with};
pub use self::session::{Config, FlowControl, Overflow};

/// The snippets of the README, compiled.
#[cfg(all(doctest, feature = "auto", feature = "kube", feature = "tls"))]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;

/// The snippet of SECURITY.md, compiled.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../SECURITY.md")]
pub struct SecurityDoctests;
