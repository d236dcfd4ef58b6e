//! A hostile peer against Kubernetes' streams of ours, in each of their four roles: no panic, every future comes to an end in
//! bounded time, nothing is left, and nothing illegal is said.

use std::sync::Arc;
use std::time::Duration;

use spdy::frame::{DEFAULT_WINDOW, Role};
use spdy::kube::port_forward::{self, Forward, Forwarded};
use spdy::kube::remote_command::{
    Client, ClientStreams, Exit, Server, ServerStreams, Streams, TerminalSize, Version,
};
use spdy::stream::Session;
use spdy::{Config, FlowControl, Overflow};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::draw::Draw;
use super::frames;
use super::legal::Legal;
use super::probe::Probe;
use super::script::Script;
use super::server::{SOON, block_on, listen, soon};
use super::support::pipe;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than nothing, and done before it is looked for missed wakeups.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Which part is ours.
#[derive(Clone, Copy, Debug)]
enum Side {
    CommandServer,
    PortServer,
    CommandClient,
    PortClient,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    side: Side,
    /// What the application does.
    way: u8,
    streams: Streams,
    version: Version,
    /// The window that the connection begins with.
    window: u64,
}

/// Three bytes of what our side is and does, one of configuration, then a script.
pub(crate) fn run(input: &[u8]) {
    let mut draw = Draw::new(input);
    let side = draw.pick(&[
        Side::CommandServer,
        Side::PortServer,
        Side::CommandClient,
        Side::PortClient,
    ]);
    let way = draw.byte();
    let flags = draw.byte();
    // By default a terminal of the fourth version.
    let streams = Streams {
        stdin: flags & 1 == 0,
        stdout: flags & 2 == 0,
        stderr: flags & 4 != 0,
        tty: flags & 8 == 0,
    };
    let version = match flags >> 4 & 3 {
        0 => Version::V4,
        1 => Version::V1,
        2 => Version::V2,
        _ => Version::V3,
    };
    let (config, window) = config(side, draw.byte());
    let plan = Plan {
        side,
        way,
        streams,
        version,
        window,
    };
    let script = Script::of(frames::kubernetes, &mut draw);
    block_on(play(plan, config, script));
}

impl Side {
    fn role(self) -> Role {
        match self {
            Self::CommandServer | Self::PortServer => Role::Server,
            Self::CommandClient | Self::PortClient => Role::Client,
        }
    }
}

fn config(side: Side, flags: u8) -> (Config, u64) {
    let (config, window) = match side.role() {
        Role::Server => (Config::spdystream_server(), 4 << 20),
        Role::Client => (Config::spdystream_client(), 16 << 20),
    };
    let mut config = config.open_timeout(TIMEOUT);
    if flags & 1 != 0 {
        config = config
            .unread_stream_limit(1000)
            .unread_connection_limit(1500);
    }
    if flags & 2 != 0 {
        config = config.overflow(Overflow::Reset { after: SECOND });
    }
    if flags & 4 != 0 {
        config = config.silence_timeout(3 * SECOND);
    }
    if flags & 8 != 0 {
        config = config
            .keep_alive_interval(SECOND)
            .keep_alive_timeout(SECOND);
    }
    if flags & 16 == 0 {
        return (config, u64::from(DEFAULT_WINDOW));
    }
    (config.flow_control(FlowControl::Spec), window)
}

async fn play(plan: Plan, config: Config, script: Script) {
    let (io, wire) = pipe();
    let wire = Arc::new(wire);
    let role = plan.side.role();
    let legal = Legal::new(role, &config, plan.window, script.bytes()).raw();
    let probe = Probe::default();
    let (session, connection) = match role {
        Role::Client => Session::client(io, config),
        Role::Server => Session::server(io, config),
    };
    let mut driver = tokio::spawn(probe.watch(connection));
    let listener = listen(Arc::clone(&wire), legal);
    let app = run_app(plan, session.clone(), probe.clone());
    let app = tokio::spawn(probe.watch(app));
    script.play(&wire).await;
    if script.rests {
        probe.check(&wire).await;
    }
    script.end(&wire);
    // Where reading is paused the end of the transport is not seen, but that nothing can be written to a peer that is gone.
    let unseen = timeout(SOON, &mut driver).await.is_err();
    if unseen {
        wire.fail_writes(std::io::ErrorKind::BrokenPipe);
        // An error is what most peers here deserve.
        let _ = soon("the connection", driver).await;
    }
    soon("the application", app).await;
    assert_eq!(session.stream_count(), 0, "streams are left");
    assert_eq!(session.unread_bytes(), 0, "bytes are left");
    let legal = soon("the output", listener).await;
    if !unseen && !script.hinders_output() {
        legal.end();
    }
}

async fn run_app(plan: Plan, session: Session, probe: Probe) {
    match plan.side {
        Side::CommandServer => {
            let server = Server::new(plan.version, plan.streams)
                .stream_timeout(TIMEOUT)
                .finish_timeout(TIMEOUT);
            if let Ok(streams) = server.accept(&session).await {
                probe.step();
                run_command(streams, plan.way, &probe).await;
            }
        }
        Side::PortServer => forward(session, plan.way, &probe).await,
        Side::CommandClient => {
            let client = Client::new(plan.version, plan.streams).stream_timeout(TIMEOUT);
            if let Ok(streams) = client.open(&session).await {
                probe.step();
                use_command(streams, plan.way, &probe).await;
            }
        }
        Side::PortClient => use_ports(session, plan.way, &probe).await,
    }
}

async fn run_command(streams: ServerStreams, way: u8, probe: &Probe) {
    let ServerStreams {
        mut stdin,
        mut stdout,
        mut stderr,
        resize,
        exit,
        ..
    } = streams;
    let sizes = async {
        if let Some(mut resize) = resize {
            while let Ok(Some(_)) = resize.next().await {
                probe.step();
            }
        }
    };
    let outcome = match way & 3 {
        0 => Exit::Code(0),
        1 => Exit::Code(3),
        2 => Exit::Failed("no such container".to_owned()),
        // Nothing is told.
        _ => return,
    };
    let command = async {
        match way >> 2 & 3 {
            0 => {
                if let (Some(stdin), Some(stdout)) = (&mut stdin, &mut stdout) {
                    let _ = tokio::io::copy(stdin, stdout).await;
                }
            }
            1 => drop(stdin.take()),
            // Nothing of the input is read.
            2 => sleep(3 * SECOND).await,
            _ => {
                for output in [&mut stdout, &mut stderr].into_iter().flatten() {
                    let _ = output.write_all(&[b'o'; 100_000]).await;
                }
            }
        }
        probe.step();
        if way & 16 == 0 {
            drop((stdout.take(), stderr.take()));
        }
        let _ = exit.finish(outcome).await;
        probe.step();
    };
    tokio::join!(sizes, command);
}

/// What is connected to: it sends all back.
async fn echo(target: DuplexStream) {
    let (mut read, mut write) = tokio::io::split(target);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

async fn forward(session: Session, way: u8, probe: &Probe) {
    let mut server = port_forward::Server::new(session).pair_timeout(TIMEOUT);
    if way & 1 != 0 {
        server = server.max_pending(1);
    }
    let mut tasks = JoinSet::new();
    while let Ok(Some(forward)) = server.accept().await {
        probe.step();
        tasks.spawn(probe.watch(connect(forward)));
        while tasks.try_join_next().is_some_and(|task| task.is_ok()) {}
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

/// What becomes of a connection depends on its port.
async fn connect(forward: Forward) {
    let (ours, target) = duplex(500);
    match forward.port() {
        80 => drop(tokio::join!(forward.copy(ours), echo(target))),
        81 => forward.fail("connection refused").await,
        82 => drop(forward),
        // A target that takes nothing.
        _ => {
            let _ = forward.copy(ours).await;
            drop(target);
        }
    }
}

async fn use_command(streams: ClientStreams, way: u8, probe: &Probe) {
    let ClientStreams {
        stdin,
        stdout,
        stderr,
        resize,
        exit,
        ..
    } = streams;
    let input = async {
        if let Some(mut stdin) = stdin {
            for _ in 0..way & 7 {
                if stdin.write_all(&[b'i'; 30_000]).await.is_err() {
                    break;
                }
            }
            if way & 8 == 0 {
                let _ = stdin.shutdown().await;
                stdin.closed().await;
            }
            probe.step();
        }
    };
    let sizes = async {
        if let Some(mut resize) = resize {
            for _ in 0..5 {
                if resize.send(TerminalSize::default()).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
            probe.step();
        }
    };
    let output = async {
        for mut output in [stdout, stderr].into_iter().flatten() {
            let mut bytes = Vec::new();
            let _ = output.read_to_end(&mut bytes).await;
            probe.step();
        }
    };
    let outcome = async {
        let exit = exit.wait();
        // Impatient, or not.
        if way & 16 != 0 {
            let _ = timeout(SECOND, exit).await;
        } else if let Ok(exit) = exit.await {
            assert!(!exit.to_string().contains(char::is_control));
        }
        probe.step();
    };
    tokio::join!(input, sizes, output, outcome);
}

async fn use_ports(session: Session, way: u8, probe: &Probe) {
    let client = port_forward::Client::new(session).stream_timeout(TIMEOUT);
    let copied = async {
        if let Ok(forwarded) = client.connect(80).await {
            probe.step();
            let (ours, local) = duplex(500);
            let _ = tokio::join!(forwarded.copy(ours), talk(local));
            probe.step();
        }
    };
    let by_hand = async {
        let Ok(mut forwarded) = client.connect(81).await else {
            return;
        };
        probe.step();
        read(&mut forwarded, way).await;
        if let Some(failure) = forwarded.failure().await {
            assert!(!failure.to_string().contains(char::is_control));
        }
        probe.step();
    };
    tokio::join!(copied, by_hand);
}

async fn talk(mut local: DuplexStream) {
    let _ = local.write_all(&[b'q'; 2000]).await;
    let _ = local.shutdown().await;
    let mut answer = Vec::new();
    let _ = local.read_to_end(&mut answer).await;
}

async fn read(forwarded: &mut Forwarded, way: u8) {
    if way & 1 == 0 {
        let _ = forwarded.write_all(b"question").await;
        let _ = forwarded.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = forwarded.read_to_end(&mut answer).await;
}
