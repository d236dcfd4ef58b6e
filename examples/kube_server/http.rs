//! HTTP/1.1 with time-outs, below the app.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use spdy::server::{GracefulShutdown, Listener};
use tokio::net::TcpListener;

/// How long a client may take for the head of a request, from the moment it has connected, or has got the answer before.
/// Less than a shutdown waits, so that half a request does not hold it up.
const HEAD: Duration = Duration::from_secs(5);

/// Serves until `draining` completes; the connections that are there then are left to the shutdown.
///
/// `axum::serve` has no time-outs, and hyper-util's `auto` waits for the first bytes before those of HTTP/1.1 begin: there, a
/// client that says nothing holds its connection for as long as it likes.
pub(crate) async fn serve(
    mut listener: TcpListener,
    app: Router,
    graceful: &GracefulShutdown,
    draining: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut draining = pin!(draining);
    loop {
        let (io, address) = tokio::select! {
            // Errors, such as too many open files, are waited out in there.
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut draining => return,
        };
        let service = TowerToHyperService::new(app.clone());
        let connection = http
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades();
        let served = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%address, %error, "a connection has ended");
            }
        });
    }
}
