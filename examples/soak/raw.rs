//! Raw streams: every side opens some and answers those of the other.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use spdy::frame::{Priority, ResetStatus};
use spdy::headers::HeaderBlock;
use spdy::stream::{Connection, Incoming, OpenOptions, RecvStream, SendStream, Session, Stream};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::BoxError;
use crate::jobs::Throttle;
use crate::lanes::{Driver, client_config, within};
use crate::pattern::{Checker, Random, fill};
use crate::server::config;
use crate::world::{Kind, Trouble, World};

const MAX_CHUNK: u64 = 16 << 10;

const MAX_LENGTH: u64 = 256 << 10;

/// How often it is looked whether a stream that is not read was given up.
const LOOK: Duration = Duration::from_millis(20);

/// The servers' sessions, by the address of their client.
#[derive(Debug, Default)]
pub(crate) struct Servers(Mutex<HashMap<SocketAddr, Session>>);

impl Servers {
    pub(crate) fn get(&self, peer: SocketAddr) -> Option<Session> {
        self.with(|all| all.get(&peer).cloned())
    }

    fn with<R>(&self, f: impl FnOnce(&mut HashMap<SocketAddr, Session>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Resets before a reply are counted by the peer: each side has a rate of its own.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) client: Arc<Throttle>,
    pub(crate) server: Arc<Throttle>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            client: Arc::new(Throttle::resets()),
            server: Arc::new(Throttle::resets()),
        }
    }
}

pub(crate) async fn serve(listener: TcpListener, world: Arc<World>) {
    loop {
        match listener.accept().await {
            Ok((io, peer)) => drop(tokio::spawn(connection(io, peer, Arc::clone(&world)))),
            Err(error) => return world.fail(format!("the raw server accepts no more: {error}")),
        }
    }
}

/// The server's side of a connection.
async fn connection(io: TcpStream, peer: SocketAddr, world: Arc<World>) {
    // A client that vanished early.
    if io.set_nodelay(true).is_err() {
        return;
    }
    serve_session(Session::server(io, config()), peer, world).await;
}

/// Answers all streams of a session, and tells where it stands when it is asked.
pub(crate) async fn serve_session<T>(
    (session, connection): (Session, Connection<T>),
    peer: SocketAddr,
    world: Arc<World>,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // Before the connection answers anything: its client counts on finding it here.
    world
        .raw_servers
        .with(|all| all.insert(peer, session.clone()));
    let mut rounds = world.census.rounds();
    let present = world.census.enter(peer);
    let driver = tokio::spawn(connection);
    loop {
        tokio::select! {
            incoming = session.accept() => match incoming {
                Ok(Some(incoming)) => drop(tokio::spawn(answer(incoming))),
                Ok(None) | Err(_) => break,
            },
            _ = rounds.changed() => world.census.answer(peer, session.stats()),
        }
    }
    world.raw_servers.with(|all| all.remove(&peer));
    drop(session);
    // How it ended is the client's to judge, which knows what it did.
    drop(driver.await);
    drop(present);
}

/// A client, which answers the streams that the server opens.
pub(crate) async fn connect(
    world: &Arc<World>,
    number: u64,
) -> Result<(Session, SocketAddr, u32, Driver), BoxError> {
    let io = TcpStream::connect(world.raw).await?;
    io.set_nodelay(true)?;
    let local = io.local_addr()?;
    let (config, window) = client_config(number);
    let (session, driver) = run_client(Session::client(io, config));
    Ok((session, local, window, driver))
}

/// Runs a client's session, and answers its streams.
pub(crate) fn run_client<T>((session, connection): (Session, Connection<T>)) -> (Session, Driver)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let driver = tokio::spawn(connection);
    let acceptor = session.clone();
    tokio::spawn(async move {
        while let Ok(Some(incoming)) = acceptor.accept().await {
            tokio::spawn(answer(incoming));
        }
    });
    (session, driver)
}

/// Does what the opener asks for. Errors are its to notice: it may have reset the stream, or be gone.
async fn answer(incoming: Incoming) {
    let job = incoming.headers().get("job").unwrap_or_default().to_vec();
    if job == b"refuse" {
        return incoming.reject(ResetStatus::REFUSED_STREAM);
    }
    let Ok(stream) = incoming.reply(HeaderBlock::empty()) else {
        return;
    };
    let (mut send, mut recv) = stream.split();
    match &*job {
        b"reset" => {
            drop(recv.data().await);
            send.reset(ResetStatus::CANCEL);
        }
        b"fail" => {
            drop(recv.data().await);
            send.reset(ResetStatus::INTERNAL_ERROR);
        }
        b"source" => {
            let random = Random::new(0, 0);
            drop(write(&mut send, 0, u64::MAX, random).await);
        }
        b"half" | b"spoil" => {
            drop(answer_behind_the_end(&mut send, &mut recv, job == b"spoil").await);
        }
        b"sink" => while let Ok(Some(_)) = recv.data().await {},
        b"deaf" => {
            // Nothing is read until nothing more can be written either.
            while poll_fn(|cx| send.poll_capacity(cx)).await.is_ok() {
                tokio::time::sleep(LOOK).await;
            }
        }
        _ => drop(mirror(&mut send, &mut recv).await),
    }
}

async fn mirror(send: &mut SendStream, recv: &mut RecvStream) -> Result<(), spdy::Error> {
    while let Some(bytes) = recv.data().await? {
        send.send(bytes).await?;
    }
    send.finish()
}

/// What was asked comes back when its end was seen; if so planted, with a wrong byte.
async fn answer_behind_the_end(
    send: &mut SendStream,
    recv: &mut RecvStream,
    spoils: bool,
) -> Result<(), spdy::Error> {
    let mut all = Vec::new();
    while let Some(bytes) = recv.data().await? {
        all.extend_from_slice(&bytes);
    }
    if let (true, Some(byte)) = (spoils, all.last_mut()) {
        *byte ^= 1;
    }
    send.send(all.into()).await?;
    send.finish()
}

/// Writes a body, in pieces of all sizes by both ways of writing.
pub(crate) async fn write(
    send: &mut SendStream,
    key: u64,
    length: u64,
    mut random: Random,
) -> Result<(), Trouble> {
    let mut position = 0;
    while position < length {
        let len = (1 + random.below(MAX_CHUNK)).min(length - position);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        fill(key, position, &mut bytes);
        position += len;
        if random.one_in(2) {
            send.write_all(&bytes).await?;
        } else {
            send.send(Bytes::from(bytes)).await?;
        }
    }
    send.finish()?;
    Ok(())
}

/// One side of a raw connection, at work.
#[derive(Debug)]
pub(crate) struct RawWorker {
    pub(crate) session: Session,
    pub(crate) random: Random,
    pub(crate) resets: Arc<Throttle>,
}

/// One job after the other on a connection on which nothing may go wrong.
pub(crate) async fn work(world: Arc<World>, mut worker: RawWorker, name: String) {
    while world.is_running() {
        let kind = worker.draw();
        if let Err(trouble) = within(worker.job(kind), &world, kind).await {
            world.fail(format!("{name}, {}: {trouble}", kind.name()));
            if worker.session.is_closing() {
                return;
            }
        }
    }
}

impl RawWorker {
    pub(crate) fn draw(&mut self) -> Kind {
        match self.random.below(8) {
            0 => Kind::RawUnread,
            1 if self.resets.take() => Kind::RawReset,
            2 => Kind::RawRefused,
            _ => Kind::RawEcho,
        }
    }

    /// Does one job; how many bytes were checked.
    ///
    /// # Errors
    ///
    /// What should not have happened on a connection that lives.
    pub(crate) async fn job(&mut self, kind: Kind) -> Result<u64, Trouble> {
        let key = self.random.next();
        match kind {
            Kind::RawUnread => self.unread().await,
            Kind::RawReset => self.reset(key).await,
            Kind::RawRefused => self.refused(key).await,
            _ => self.echo(key, MAX_LENGTH).await,
        }
    }

    pub(crate) async fn open(&mut self, job: &str) -> Result<Stream, Trouble> {
        let mut headers = HeaderBlock::builder();
        let pushed = headers.push("job", job.as_bytes());
        pushed.map_err(|error| Trouble::Wrong(error.to_string()))?;
        let priority = Priority::new(u8::try_from(self.random.below(8)).unwrap_or(0));
        let options = OpenOptions::new().priority(priority);
        Ok(self.session.open(headers.finish(), options).await?)
    }

    pub(crate) async fn echo(&mut self, key: u64, most: u64) -> Result<u64, Trouble> {
        let length = self.random.below(most);
        let (mut send, mut recv) = self.open("echo").await?.split();
        let mut checker = Checker::new(key, 0);
        let (written, was_read) =
            tokio::join!(write(&mut send, key, length, self.random.clone()), async {
                while let Some(bytes) = recv.data().await? {
                    checker.check(&bytes).map_err(Trouble::Wrong)?;
                }
                Ok::<_, Trouble>(())
            },);
        was_read?;
        written?;
        if checker.checked() != length {
            let got = checker.checked();
            return Err(Trouble::Wrong(format!("{got} bytes instead of {length}")));
        }
        Ok(2 * length)
    }

    /// Reads a little of what does not end, and drops the stream with the rest unread.
    async fn unread(&mut self) -> Result<u64, Trouble> {
        let (_send, mut recv) = self.open("source").await?.split();
        let enough = self.random.below(128 << 10);
        let mut checker = Checker::new(0, 0);
        while checker.checked() <= enough {
            let Some(bytes) = recv.data().await? else {
                return Err(Trouble::Wrong("an endless stream has ended".to_owned()));
            };
            checker.check(&bytes).map_err(Trouble::Wrong)?;
        }
        Ok(checker.checked())
    }

    /// Resets what it has begun.
    pub(crate) async fn reset(&mut self, key: u64) -> Result<u64, Trouble> {
        let (mut send, _recv) = self.open("echo").await?.split();
        let length = self.random.below(64 << 10);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        fill(key, 0, &mut bytes);
        send.send(bytes.into()).await?;
        if self.random.one_in(2) {
            tokio::task::yield_now().await;
        }
        send.reset(ResetStatus::CANCEL);
        Ok(0)
    }

    /// Is refused at once, or reset after its first bytes, and has to be told so.
    async fn refused(&mut self, key: u64) -> Result<u64, Trouble> {
        let (job, status) = if self.random.one_in(2) {
            ("refuse", ResetStatus::REFUSED_STREAM)
        } else {
            ("reset", ResetStatus::CANCEL)
        };
        let (mut send, mut recv) = self.open(job).await?.split();
        let written = write(&mut send, key, u64::MAX, self.random.clone()).await;
        for outcome in [written, recv.data().await.map(drop).map_err(Trouble::from)] {
            match outcome {
                Err(Trouble::Spdy(error)) if error.reset_status() == Some(status) => {}
                Err(trouble) => return Err(trouble),
                Ok(()) => return Err(Trouble::Wrong("a reset was not noticed".to_owned())),
            }
        }
        Ok(0)
    }
}
