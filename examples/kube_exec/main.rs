//! `kubectl exec` and `attach`, from the request to the exit code: runs a command in a container with the standard input,
//! output and error of this process.
//!
//! `cargo run --features kube --example kube_exec -- [-i] [-t] [--attach] [--container C] [--namespace N] [--token T] SERVER
//! POD -- COMMAND..`, where SERVER is `http://HOST:PORT`, such as one of `kubectl proxy --disable-filter`.

#[path = "../kube_api/mod.rs"]
mod kube_api;
mod terminal;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use http::Request;
use http::header::AUTHORIZATION;
use hyper_util::rt::TokioIo;
use spdy::kube::remote_command::{self, Client, Exit, ResizeWriter, StdinWriter, Streams, Version};
use spdy::kube::{self, Answer};
use spdy::stream::Session;
use spdy::{Body, Config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;

use kube_api::{BoxError, Server, chain, escaped, in_time};

const USAGE: &str = "usage: kube_exec [-i] [-t] [--attach] [--container C] [--namespace N] [--token T] \
                     SERVER POD [-- COMMAND..]";

struct Args {
    streams: Streams,
    attach: bool,
    container: Option<String>,
    namespace: String,
    server: Server,
    pod: String,
    command: Vec<String>,
}

impl Args {
    fn parse() -> Result<Self, BoxError> {
        use lexopt::prelude::{Long, Short, Value, ValueExt};
        let (mut stdin, mut tty, mut attach) = (false, false, false);
        let (mut container, mut namespace, mut token) = (None, None, None);
        let mut values = Vec::new();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('i') => stdin = true,
                Short('t') => tty = true,
                Long("attach") => attach = true,
                Long("container") => container = Some(parser.value()?.string()?),
                Long("namespace") => namespace = Some(parser.value()?.string()?),
                Long("token") => token = Some(parser.value()?.string()?),
                Value(value) => values.push(value.string()?),
                other => return Err(format!("{}; {USAGE}", other.unexpected()).into()),
            }
        }
        let mut values = values.into_iter();
        let (Some(server), Some(pod)) = (values.next(), values.next()) else {
            return Err(USAGE.into());
        };
        let command: Vec<_> = values.collect();
        if command.is_empty() != attach {
            return Err(format!("a COMMAND, or --attach without one; {USAGE}").into());
        }
        let server = Server::parse(&server, token).map_err(|error| format!("{error}; {USAGE}"))?;
        Ok(Self {
            // The output of a terminal is one stream.
            streams: Streams {
                stdin,
                stdout: true,
                stderr: !tty,
                tty,
            },
            attach,
            container,
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            server,
            pod,
            command,
        })
    }

    fn request(&self) -> Result<Request<Body>, BoxError> {
        let what = if self.attach { "attach" } else { "exec" };
        let mut url = self.server.url("http", &self.namespace, &self.pod, what);
        let streams = [
            ("stdin", self.streams.stdin),
            ("stdout", self.streams.stdout),
            ("stderr", self.streams.stderr),
            ("tty", self.streams.tty),
        ];
        let streams = streams.iter().filter(|(_, wanted)| *wanted);
        let mut query: Vec<_> = streams.map(|(name, _)| format!("{name}=true")).collect();
        query.extend(
            self.container
                .iter()
                .map(|name| format!("container={}", escaped(name))),
        );
        query.extend(
            self.command
                .iter()
                .map(|word| format!("command={}", escaped(word))),
        );
        url = format!("{url}?{}", query.join("&"));
        let mut request = Request::post(url).body(Body::empty())?;
        if let Some(token) = self.server.authorization() {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        Ok(request)
    }
}

/// Copies a stream to an end of ours. What fails here ends the program; a stream that fails, for which the inner error is,
/// does not: the others may have something left.
async fn pass(
    from: Option<impl AsyncRead + Unpin>,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<io::Result<()>> {
    let Some(mut from) = from else {
        return Ok(Ok(()));
    };
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => return Ok(Ok(())),
            Ok(n) => to.write_all(&buffer[..n]).await?,
            Err(error) => return Ok(Err(error)),
        }
        // Somebody may wait for half a line.
        to.flush().await?;
    }
}

/// The streams of the command, until it has ended.
async fn run_command(
    session: &Session,
    version: Version,
    wanted: Streams,
) -> Result<Exit, BoxError> {
    let streams = Client::new(version, wanted).open(session).await?;
    let _raw = terminal::Raw::enter(wanted);
    let (broken, breaks) = oneshot::channel();
    if let Some(stdin) = streams.stdin {
        tokio::spawn(give_input(stdin, broken));
    }
    if let Some(resize) = streams.resize {
        tokio::spawn(tell_sizes(resize));
    }
    // All at once: one that nobody reads would hold up the others.
    let outputs = async {
        tokio::try_join!(
            pass(streams.stdout, tokio::io::stdout()),
            pass(streams.stderr, tokio::io::stderr()),
            async { Ok(streams.exit.wait().await) },
        )
    };
    let (stdout, stderr, exit) = tokio::select! {
        all = outputs => all?,
        // The command is not to take what there was of it for the whole.
        Ok(error) = breaks => return Err(format!("reading standard input: {error}").into()),
    };
    let exit = exit?;
    // An outcome of output that is not whole is none.
    stdout?;
    stderr?;
    Ok(exit)
}

/// Copies standard input to the command, which may want no more of it. One that cannot be read to its end is not ended.
async fn give_input(mut to: StdinWriter, broken: oneshot::Sender<io::Error>) -> io::Result<()> {
    let mut from = tokio::io::stdin();
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => break,
            Ok(n) => to.write_all(&buffer[..n]).await?,
            Err(error) => {
                // Nobody listens any more: the command has ended.
                drop(broken.send(error));
                return Ok(());
            }
        }
    }
    to.shutdown().await?;
    to.closed().await;
    Ok(())
}

async fn tell_sizes(mut resize: ResizeWriter) -> spdy::Result<()> {
    let mut changes = terminal::Changes::new();
    loop {
        if let Some(size) = terminal::size() {
            resize.send(size).await?;
        }
        changes.next().await;
    }
}

async fn run() -> Result<ExitCode, BoxError> {
    let args = Args::parse()?;
    let io = in_time(args.server.connect()).await??;
    let request = args.request()?;
    let answer = kube::connect(TokioIo::new(io), request, remote_command::PROTOCOLS);
    let switched = match in_time(answer).await?? {
        Answer::Switched(switched) => switched,
        Answer::Refused(refused) => return Err(refused.into()),
    };
    let version = Version::negotiated(switched.protocol())?;
    let (session, connection) = switched.into_session(Config::spdystream_client());
    let connection = tokio::spawn(connection);

    let mut ends = terminal::Ends::new()?;
    let exit = tokio::select! {
        exit = run_command(&session, version, args.streams) => Ok(exit?),
        // In a raw terminal Ctrl-C is a byte for the command instead. The terminal is as before by the end of this.
        signal = ends.next() => Err(signal),
    };
    // The last handle: GOAWAY, and the end of the connection, which the server may be slow to see.
    drop(session);
    drop(tokio::time::timeout(Duration::from_secs(1), connection).await);
    match exit {
        Ok(Exit::Code(code)) => Ok(ExitCode::from(code)),
        // Displayed, because the words are the server's: nothing in them is to take the terminal apart.
        Ok(failed) => Err(failed.to_string().into()),
        // As a shell tells that a process was ended by a signal.
        Err(signal) => Ok(ExitCode::from(128 + signal)),
    }
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kube_exec: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run());
    // The thread that reads standard input cannot be interrupted: it is left behind.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| {
        eprintln!("kube_exec: {}", chain(&*error));
        ExitCode::FAILURE
    })
}
