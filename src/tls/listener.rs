use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;

use super::error;
use crate::alpn::{SPDY_31, names};
use crate::conn::{Clock, Sleep, TokioClock};
use crate::error::{Error, Result, Timeout};
use crate::server::Listener;

/// How long a handshake is safe from being dropped for a new one: many round trips for an honest client.
const GRACE: Duration = Duration::from_secs(1);

/// How long handshakes may go on when no more connections are to be accepted, all together.
const DRAIN: Duration = Duration::from_secs(1);

/// TLS on the connections of another listener.
///
/// Handshakes run as tasks of their own, so that no client waits for another one's. They are bounded in number and in
/// time. One that fails is logged at debug level with the address of the peer, and its connection closed.
///
/// The ALPN protocols are those that are served, `spdy/3.1` alone where nobody says which, unless the configuration
/// has some of its own. A client that does not use ALPN gets in, one that offers other protocols only does not
/// (RFC 7301 section 3.2).
///
/// ```no_run
/// use std::time::Duration;
/// use spdy::tls::{TlsListener, rustls::ServerConfig};
///
/// # async fn example(app: axum::Router, config: ServerConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:6443").await?;
/// let listener = TlsListener::new(listener, config)
///     .max_handshakes(1000)
///     .handshake_timeout(Duration::from_secs(5));
/// spdy::serve(listener, app).await?;
/// # Ok(())
/// # }
/// ```
///
/// It is for [`serve`](crate::serve); `axum::serve` has a trait of its own. An app that speaks HTTP as well, or the Upgrade of
/// Kubernetes' clients, is served with `serve(listener, app).auto()` (feature `auto`).
///
/// Handlers see the address of the peer. For its certificate wrap this in a [`Listener`] of your own, whose `Addr` takes it from
/// the stream that `accept` and `drain` give; pass [`set_protocols`](Listener::set_protocols) on.
///
/// [`accept`](Listener::accept) needs a tokio runtime with time enabled. It is cancel-safe: handshakes go on between
/// two calls, and what they come to is kept. Dropping the listener ends them. When a shutdown begins, those under way
/// get one more second together ([`drain`](Listener::drain)): the client of one may have sent a request behind it.
pub struct TlsListener<L: Listener> {
    listener: L,
    config: Arc<ServerConfig>,
    /// The configuration came with protocols.
    own_protocols: bool,
    max_handshakes: usize,
    handshake_timeout: Duration,
    clock: TokioClock,
    tasks: JoinSet<Result<TlsStream<L::Io>>>,
    /// The handshakes that have not been taken out of `tasks`, the oldest first.
    handshakes: VecDeque<Handshake<L::Addr>>,
    drain: Option<Drain>,
}

/// No more connections are to be accepted.
struct Drain {
    deadline: Instant,
    /// The listener below holds no more connections.
    below: bool,
}

/// The end of a task, as the set of tasks tells it.
type Ended<T> = Result<(Id, Result<T>), JoinError>;

struct Handshake<A> {
    task: AbortHandle,
    peer: A,
    started: Instant,
}

impl<L: Listener> TlsListener<L> {
    /// Does TLS with this configuration on the connections of `listener`.
    ///
    /// Leave `alpn_protocols` of it empty, and the listener offers what is served. A list of its own is kept as it is:
    /// an offer of less, or in another order, is yours to make. When it comes to what is served
    /// ([`set_protocols`](Listener::set_protocols)), a warning is logged for what is offered and not served, because a
    /// client that chooses it gets no answer, and if `spdy/3.1` is not offered.
    pub fn new(listener: L, config: impl Into<Arc<ServerConfig>>) -> Self {
        let config = config.into();
        let mut this = Self {
            listener,
            own_protocols: !config.alpn_protocols.is_empty(),
            config,
            max_handshakes: 256,
            handshake_timeout: Duration::from_secs(10),
            clock: TokioClock::new(),
            tasks: JoinSet::new(),
            handshakes: VecDeque::new(),
            drain: None,
        };
        if !this.own_protocols {
            this.offer(&[SPDY_31]);
        }
        this
    }

    /// How many handshakes may be under way at once, at least 1. Default: 256.
    ///
    /// With as many under way, the next connection waits in the listener below, which for TCP is the backlog of the
    /// kernel, until one has ended, or the oldest has lasted a second and is dropped for it. An honest client takes a
    /// round trip or two: one that needs longer is the likeliest never to end. Waiting for it would let stalled clients
    /// lock all others out, and dropping it at once would let many honest ones at a time drop each other. So clients
    /// that stall can keep this listener at `max` handshakes a second, and no lower.
    #[must_use]
    pub fn max_handshakes(mut self, max: usize) -> Self {
        self.max_handshakes = max.max(1);
        self
    }

    /// How long a handshake may take; then it is dropped. Default: 10 s.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// The listener below.
    #[must_use]
    pub fn get_ref(&self) -> &L {
        &self.listener
    }

    /// How many handshakes are under way, or have ended since the last [`accept`](Listener::accept).
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    fn offer(&mut self, protocols: &[&[u8]]) {
        if self.own_protocols {
            return self.check_own(protocols);
        }
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        self.config = Arc::new(config);
    }

    /// Warns of protocols of the configuration that do not fit those that are served.
    fn check_own(&self, served: &[&[u8]]) {
        let own = || self.config.alpn_protocols.iter().map(Vec::as_slice);
        let mut unserved = own().filter(|name| !served.contains(name)).peekable();
        if unserved.peek().is_some() {
            tracing::warn!(
                unserved = names(unserved),
                served = names(served.iter().copied()),
                "the TLS configuration offers protocols by ALPN that are not served: their clients get no answer"
            );
        }
        if !own().any(|name| name == SPDY_31) {
            tracing::warn!(
                offered = names(own()),
                "the TLS configuration does not offer spdy/3.1 by ALPN: clients that use ALPN cannot speak SPDY"
            );
        }
    }
}

impl<L: Listener> TlsListener<L>
where
    L::Addr: fmt::Debug,
{
    fn start(&mut self, io: L::Io, peer: L::Addr) {
        if self.is_full() {
            self.drop_oldest();
        }
        let handshake = handshake(Arc::clone(&self.config), io);
        let limit = self.handshake_timeout;
        let task = self.tasks.spawn(async move {
            match tokio::time::timeout(limit, handshake).await {
                Ok(result) => result,
                Err(_) => Err(Error::timeout(Timeout::TlsHandshake)),
            }
        });
        let started = self.clock.now();
        self.handshakes.push_back(Handshake {
            task,
            peer,
            started,
        });
    }

    fn is_full(&self) -> bool {
        self.handshakes.len() >= self.max_handshakes
    }

    /// Those that have ended are left for `accept`, which is about to take them.
    fn oldest(&self) -> Option<usize> {
        self.handshakes
            .iter()
            .position(|handshake| !handshake.task.is_finished())
    }

    /// Waits until the oldest may be dropped for a new one, if there is no room. One that ends makes room as well, which
    /// is not waited for here.
    fn room(&self) -> Sleep {
        if !self.is_full() {
            return Box::pin(std::future::ready(()));
        }
        // If all have ended there is one to take.
        let oldest = self.oldest().and_then(|at| self.handshakes.get(at));
        let stale = oldest.and_then(|oldest| self.clock.sleep_until(oldest.started + GRACE));
        stale.unwrap_or_else(|| Box::pin(std::future::pending()))
    }

    /// Drops what has not ended in time.
    fn drop_all(&mut self) {
        for Handshake { peer, .. } in self.handshakes.drain(..) {
            tracing::debug!(
                ?peer,
                "a TLS handshake is dropped: no more connections are accepted"
            );
        }
        self.tasks = JoinSet::new();
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.oldest().and_then(|at| self.handshakes.remove(at)) {
            oldest.task.abort();
            tracing::debug!(
                peer = ?oldest.peer,
                max = self.max_handshakes,
                "the oldest TLS handshake is dropped in favour of a new one: as many as allowed are under way"
            );
        }
    }

    /// The connection that a handshake has come to.
    fn finish(&mut self, ended: Ended<TlsStream<L::Io>>) -> Option<(TlsStream<L::Io>, L::Addr)> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        // Near the front, because honest ones end about in order. One that was dropped is not there.
        let at = self
            .handshakes
            .iter()
            .position(|handshake| handshake.task.id() == id)?;
        let peer = self.handshakes.remove(at)?.peer;
        match ended {
            Ok((_, Ok(io))) => Some((io, peer)),
            Ok((_, Err(error))) => {
                tracing::debug!(?peer, %error, "no TLS handshake");
                None
            }
            // What can panic is the application's: its certificate resolver, the transport.
            Err(error) => {
                tracing::error!(?peer, %error, "a TLS handshake has panicked; its connection is lost");
                None
            }
        }
    }
}

/// The hello is looked at apart, for the sake of an error that tells what the client has offered.
async fn handshake<Io>(config: Arc<ServerConfig>, io: Io) -> Result<TlsStream<Io>>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let ours = Arc::clone(&config);
    let hello = LazyConfigAcceptor::new(Acceptor::default(), io)
        .await
        .map_err(|error| error::of_server(&ours.alpn_protocols, None, error))?;
    let theirs = hello.client_hello().alpn().map(names);
    hello
        .into_stream(config)
        .await
        .map_err(|error| error::of_server(&ours.alpn_protocols, theirs.as_deref(), error))
}

impl<L> Listener for TlsListener<L>
where
    L: Listener,
    L::Addr: fmt::Debug,
{
    type Io = TlsStream<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let room = self.room();
            let listener = &mut self.listener;
            let next = async {
                room.await;
                listener.accept().await
            };
            tokio::select! {
                // Those that have ended make room first.
                biased;
                Some(ended) = self.tasks.join_next_with_id() => {
                    if let Some(accepted) = self.finish(ended) {
                        return accepted;
                    }
                }
                (io, peer) = next => self.start(io, peer),
            }
        }
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }

    fn set_protocols(&mut self, alpn: &[&[u8]]) {
        self.offer(alpn);
    }

    async fn drain(&mut self) -> Option<(Self::Io, Self::Addr)> {
        loop {
            let now = self.clock.now();
            let drain = self.drain.get_or_insert(Drain {
                deadline: now + DRAIN,
                below: false,
            });
            let (deadline, below) = (drain.deadline, drain.below);
            if below && self.handshakes.is_empty() {
                return None;
            }
            let late = self.clock.sleep_until(deadline);
            let late = async {
                match late {
                    Some(late) => late.await,
                    None => std::future::pending().await,
                }
            };
            let take = !below && !self.is_full();
            tokio::select! {
                // Those that have ended are not late.
                biased;
                Some(ended) = self.tasks.join_next_with_id() => {
                    if let Some(accepted) = self.finish(ended) {
                        return Some(accepted);
                    }
                }
                () = late => {
                    self.drop_all();
                    return None;
                }
                more = self.listener.drain(), if take => match more {
                    Some((io, peer)) => self.start(io, peer),
                    None => {
                        if let Some(drain) = &mut self.drain {
                            drain.below = true;
                        }
                    }
                },
            }
        }
    }
}

impl<L: Listener> fmt::Debug for TlsListener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsListener")
            .field("max_handshakes", &self.max_handshakes)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("handshakes", &self.handshakes.len())
            .finish_non_exhaustive()
    }
}
