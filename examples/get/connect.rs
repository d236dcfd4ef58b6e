//! The connection.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::HeaderCompression;
use spdy::client::{Builder, SendRequest};
use spdy::frame::GoAwayStatus;
use spdy::stream::Session;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::args::Args;
use crate::failure::{Code, Failure};
use crate::trace::Traced;
use crate::upload::Upload;

/// How long the goodbye may take: what is left of an upload, GOAWAY, and the server's closing.
const GOODBYE: Duration = Duration::from_secs(2);

/// What `--time` shows.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) resolve: Duration,
    pub(crate) connect: Duration,
    pub(crate) first_reply: Option<Duration>,
    pub(crate) body: Option<Duration>,
}

/// A connection and the task that drives it.
pub(crate) struct Link {
    pub(crate) client: SendRequest<Upload>,
    session: Session,
    task: JoinHandle<spdy::Result<()>>,
}

impl Link {
    pub(crate) async fn open(args: &Args, times: &mut Times) -> Result<Self, Failure> {
        let peer = args.target.peer();
        let started = Instant::now();
        let stream = timeout(args.connect_timeout, async {
            let addresses = resolve(args).await?;
            times.resolve = started.elapsed();
            let stream = TcpStream::connect(&addresses[..]).await.map_err(|error| {
                let text =
                    format!("cannot connect to {peer}: {error}; check that the server runs there");
                Failure::new(Code::Connect, text)
            })?;
            Ok(stream)
        });
        let stream = stream.await.map_err(|_| {
            let text = format!(
                "no connection to {peer} within {:?}; check host and port",
                args.connect_timeout
            );
            Failure::new(Code::Timeout, text)
        })??;
        times.connect = started.elapsed().saturating_sub(times.resolve);
        // Frames are small and belong on the wire at once; a socket that cannot do it works all the same.
        drop(stream.set_nodelay(true));

        let mut builder = Builder::new(TokioExecutor::new());
        if args.compress_headers {
            builder.header_compression(HeaderCompression::Level(1));
        }
        let io = TokioIo::new(Traced::new(stream, args.trace));
        let handshake = builder.handshake(io).await;
        let (client, connection) = handshake.map_err(|error| Failure::no_reply(&peer, &error))?;
        Ok(Self {
            session: client.session().clone(),
            client,
            task: tokio::spawn(connection),
        })
    }

    /// Says GOAWAY and waits a little for the end. A second Ctrl-C does not wait. Returns what the connection ended
    /// with, if that was an error.
    pub(crate) async fn close(self) -> Option<spdy::Error> {
        let Self {
            client,
            session,
            mut task,
        } = self;
        session.shutdown();
        drop(client);
        let ended = tokio::select! {
            ended = timeout(GOODBYE, &mut task) => ended,
            _ = tokio::signal::ctrl_c() => return None,
        };
        match ended {
            Ok(Ok(ended)) => ended.err(),
            // The task cannot panic, and nobody aborts it.
            Ok(Err(_)) => None,
            Err(_) => {
                // An upload that the server did not want, or a server that does not read.
                session.abort(GoAwayStatus::OK);
                drop(timeout(GOODBYE / 4, &mut task).await);
                None
            }
        }
    }
}

async fn resolve(args: &Args) -> Result<Vec<SocketAddr>, Failure> {
    let host = &args.target.host;
    let cannot = |why: &dyn fmt::Display| {
        let text = format!("cannot find the address of {host}: {why}; check its name");
        Failure::new(Code::Resolve, text)
    };
    let addresses = tokio::net::lookup_host((host.as_str(), args.target.port)).await;
    let addresses: Vec<_> = addresses.map_err(|error| cannot(&error))?.collect();
    if addresses.is_empty() {
        return Err(cannot(&"it has none"));
    }
    Ok(addresses)
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let reply = self.first_reply.unwrap_or_default();
        let body = self.body.unwrap_or_default();
        write!(f, "resolve {:.3} ms  ", ms(self.resolve))?;
        write!(f, "connect {:.3} ms  ", ms(self.connect))?;
        match self.first_reply {
            Some(time) => write!(f, "first reply {:.3} ms  ", ms(time))?,
            None => write!(f, "first reply never  ")?,
        }
        match self.body {
            Some(time) => write!(f, "body {:.3} ms  ", ms(time))?,
            None => write!(f, "body not whole  ")?,
        }
        let total = self.resolve + self.connect + reply + body;
        write!(f, "total {:.3} ms", ms(total))
    }
}
