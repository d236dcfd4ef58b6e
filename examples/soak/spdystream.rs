//! Streams with the options for Go's spdystream: there are no windows, and a stream that nobody reads is given up. Over TCP,
//! and in the messages of a WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spdy::frame::ResetStatus;
use spdy::stream::Session;
use spdy::ws::Tunnel;
use spdy::{Config, Overflow};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{accept_async_with_config, client_async_with_config};

use crate::BoxError;
use crate::args::Plant;
use crate::jobs::Throttle;
use crate::lanes::{Driver, within};
use crate::pattern::{Checker, Random, fill};
use crate::raw::{self, RawWorker};
use crate::world::{Kind, Trouble, World};

/// How long nobody has to read a stream until it is given up. All others wait meanwhile.
const GRACE: Duration = Duration::from_millis(100);

/// How many bytes of a stream may be unread.
const UNREAD: usize = 128 << 10;

/// No stream that is read, however late, has as many bytes: it could be given up on a machine that is busy.
const MAX_LENGTH: u64 = 96 << 10;

/// Of a stream that is not read so many bytes are on their way at most: beyond that it is.
const MAX_DEAF: u64 = 64 << 20;

/// At most one of them in this time, for each side of a connection.
const DEAF_INTERVAL: Duration = Duration::from_millis(500);

/// Eight messages of ours, as the documentation of the tunnel says.
const MAX_MESSAGE: usize = 256 << 10;

/// The buffers of the library keep the size of the most that they have held: small ones are full before the heap is measured.
const SOCKET_BUFFER: usize = 8 << 10;

/// What a session runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Tcp,
    WebSocket,
}

impl Way {
    pub(crate) const ALL: [Self; 2] = [Self::Tcp, Self::WebSocket];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "spdystream",
            Self::WebSocket => "WebSocket",
        }
    }

    /// The kinds: echo, half-close, reset, not read.
    fn kinds(self) -> [Kind; 4] {
        match self {
            Self::Tcp => [
                Kind::ToolEcho,
                Kind::ToolHalf,
                Kind::ToolReset,
                Kind::ToolDeaf,
            ],
            Self::WebSocket => [
                Kind::SocketEcho,
                Kind::SocketHalf,
                Kind::SocketReset,
                Kind::SocketDeaf,
            ],
        }
    }
}

fn options(config: Config) -> Config {
    config
        .overflow(Overflow::Reset { after: GRACE })
        .unread_stream_limit(UNREAD)
}

fn messages() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(SOCKET_BUFFER)
        .write_buffer_size(SOCKET_BUFFER)
}

pub(crate) async fn serve(listener: TcpListener, way: Way, world: Arc<World>) {
    loop {
        match listener.accept().await {
            Ok((io, peer)) => drop(tokio::spawn(connection(io, peer, way, Arc::clone(&world)))),
            Err(error) => {
                let name = way.name();
                return world.fail(format!("the server of {name} accepts no more: {error}"));
            }
        }
    }
}

/// The server's side of a connection.
async fn connection(io: TcpStream, peer: SocketAddr, way: Way, world: Arc<World>) {
    // A client that vanished early; so below.
    if io.set_nodelay(true).is_err() {
        return;
    }
    let config = options(Config::spdystream_server());
    match way {
        Way::Tcp => raw::serve_session(Session::server(io, config), peer, world).await,
        Way::WebSocket => {
            if let Ok(socket) = accept_async_with_config(io, Some(messages())).await {
                let session = Session::server(Tunnel::new(socket), config);
                raw::serve_session(session, peer, world).await;
            }
        }
    }
}

/// A client, which answers the streams that the server opens.
pub(crate) async fn connect(
    world: &Arc<World>,
    way: Way,
) -> Result<(Session, SocketAddr, Driver), BoxError> {
    let address = world.spdystream[way as usize];
    let io = TcpStream::connect(address).await?;
    io.set_nodelay(true)?;
    let local = io.local_addr()?;
    let config = options(Config::spdystream_client());
    let (session, driver) = match way {
        Way::Tcp => raw::run_client(Session::client(io, config)),
        Way::WebSocket => {
            let uri = format!("ws://{address}/");
            let (socket, _) = client_async_with_config(uri, io, Some(messages())).await?;
            raw::run_client(Session::client(Tunnel::new(socket), config))
        }
    };
    Ok((session, local, driver))
}

/// What the workers of one side of a connection share.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    resets: Arc<Throttle>,
    deaf: Arc<Throttle>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            resets: Arc::new(Throttle::resets()),
            deaf: Arc::new(Throttle::new(DEAF_INTERVAL)),
        }
    }
}

/// One side of a connection, at work.
#[derive(Debug)]
pub(crate) struct Worker {
    raw: RawWorker,
    way: Way,
    limits: Limits,
    /// Where something may be planted: on a connection that lasts.
    planted: Option<Arc<World>>,
}

/// One job after the other on a connection on which nothing may go wrong.
pub(crate) async fn work(world: Arc<World>, mut worker: Worker, name: String) {
    while world.is_running() {
        let kind = worker.draw();
        if let Err(trouble) = within(worker.job(kind), &world, kind).await {
            world.fail(format!("{name}, {}: {trouble}", kind.name()));
            if worker.is_closing() {
                return;
            }
        }
    }
}

impl Worker {
    pub(crate) fn new(
        session: Session,
        random: Random,
        way: Way,
        limits: Limits,
        planted: Option<Arc<World>>,
    ) -> Self {
        let resets = Arc::clone(&limits.resets);
        let raw = RawWorker {
            session,
            random,
            resets,
        };
        Self {
            raw,
            way,
            limits,
            planted,
        }
    }

    fn plants_once(&self, plant: Plant) -> bool {
        let world = self.planted.as_ref();
        world.is_some_and(|world| world.plants_once(plant))
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.raw.session.is_closing()
    }

    pub(crate) fn draw(&mut self) -> Kind {
        let [echo, half, reset, deaf] = self.way.kinds();
        match self.raw.random.below(8) {
            0 if self.limits.deaf.take() => deaf,
            1 if self.limits.resets.take() => reset,
            2 | 3 => half,
            _ => echo,
        }
    }

    /// Does one job; how many bytes were checked.
    ///
    /// # Errors
    ///
    /// What should not have happened on a connection that lives.
    pub(crate) async fn job(&mut self, kind: Kind) -> Result<u64, Trouble> {
        let key = self.raw.random.next();
        match kind {
            Kind::ToolHalf | Kind::SocketHalf => self.half_close(key).await,
            Kind::ToolReset | Kind::SocketReset => self.reset(key).await,
            Kind::ToolDeaf | Kind::SocketDeaf => self.deaf(key).await,
            _ => self.raw.echo(key, MAX_LENGTH).await,
        }
    }

    /// All of the answer comes behind the end of the question.
    async fn half_close(&mut self, key: u64) -> Result<u64, Trouble> {
        let length = 1 + self.raw.random.below(MAX_LENGTH);
        let spoils = self.way == Way::WebSocket && self.plants_once(Plant::Message);
        let job = if spoils { "spoil" } else { "half" };
        let (mut send, mut recv) = self.raw.open(job).await?.split();
        raw::write(&mut send, key, length, self.raw.random.clone()).await?;
        let mut checker = Checker::new(key, 0);
        while let Some(bytes) = recv.data().await? {
            checker.check(&bytes).map_err(Trouble::Wrong)?;
        }
        if checker.checked() != length {
            let got = checker.checked();
            return Err(Trouble::Wrong(format!("{got} bytes instead of {length}")));
        }
        Ok(2 * length)
    }

    /// Resets what it has begun, or is reset. A client takes CANCEL for the end: the peer uses another status.
    async fn reset(&mut self, key: u64) -> Result<u64, Trouble> {
        if self.raw.random.one_in(2) {
            return self.raw.reset(key).await;
        }
        let (mut send, mut recv) = self.raw.open("fail").await?.split();
        send.send(Bytes::from_static(b"?")).await?;
        match recv.data().await {
            Err(error) if error.reset_status() == Some(ResetStatus::INTERNAL_ERROR) => Ok(0),
            Err(error) => Err(error.into()),
            Ok(_) => Err(Trouble::Wrong("a reset was not noticed".to_owned())),
        }
    }

    /// Writes to one who does not read, until that is given up; then all others go on.
    async fn deaf(&mut self, key: u64) -> Result<u64, Trouble> {
        let job = if self.plants_once(Plant::Reader) {
            "sink"
        } else {
            "deaf"
        };
        let (mut send, _recv) = self.raw.open(job).await?.split();
        let mut bytes = vec![0; 16 << 10];
        fill(key, 0, &mut bytes);
        let bytes = Bytes::from(bytes);
        let mut sent = 0;
        loop {
            match send.send(bytes.clone()).await {
                Ok(()) if sent > MAX_DEAF => {
                    let why = "a stream that nobody reads is not given up";
                    return Err(Trouble::Wrong(why.to_owned()));
                }
                Ok(()) => sent += bytes.len() as u64,
                Err(error) if error.reset_status() == Some(ResetStatus::CANCEL) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.raw.echo(key, MAX_LENGTH).await
    }
}
