//! `exec` and `attach`.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use spdy::Config;
use spdy::kube::remote_command::{
    self, Exit, Server, ServerStreams, Streams, TerminalSize, Version,
};
use spdy::kube::{self, PendingUpgrade};
use spdy::stream::Session;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::process::{Process, start};
use crate::{BoxError, Pod, api, copy};

/// How long the first size of a terminal is waited for: programs ask for it when they start.
const FIRST_SIZE: Duration = Duration::from_millis(250);

/// As container runtimes have it: nothing at all for this long, not even a PING.
const SILENCE: Duration = Duration::from_secs(4 * 60 * 60);

type Pairs = Query<Vec<(String, String)>>;

pub(crate) async fn exec(
    State(pod): State<Arc<Pod>>,
    Path(name): Path<String>,
    Query(query): Pairs,
    request: Request,
) -> Response {
    let words = query.iter().filter(|(name, _)| name == "command");
    let argv: Vec<String> = words.map(|(_, word)| word.clone()).collect();
    if argv.is_empty() {
        let what = "you must specify at least one command for the container";
        return api::refuse(StatusCode::BAD_REQUEST, "BadRequest", what);
    }
    upgrade(&pod, &name, &query, argv, request)
}

pub(crate) async fn attach(
    State(pod): State<Arc<Pod>>,
    Path(name): Path<String>,
    Query(query): Pairs,
    request: Request,
) -> Response {
    let argv = pod.command.clone();
    upgrade(&pod, &name, &query, argv, request)
}

/// Answers the Upgrade, and runs the command behind it.
fn upgrade(
    pod: &Arc<Pod>,
    name: &str,
    query: &[(String, String)],
    argv: Vec<String>,
    mut request: Request,
) -> Response {
    let container = query.iter().find(|(name, _)| name == "container");
    let container = container.map_or(api::PLAIN, |(_, name)| name);
    let streams = Streams::from_query(request.uri().query().unwrap_or_default());
    let bad = |what: &str| api::refuse(StatusCode::BAD_REQUEST, "BadRequest", what);
    if let Some(refusal) = api::check(pod, name) {
        return refusal;
    }
    if ![api::PLAIN, api::TERMINAL].contains(&container) {
        return bad(&format!(
            "container {container} is not valid for pod {name}"
        ));
    }
    if streams.is_empty() {
        return bad("you must specify at least 1 of stdin, stdout, stderr");
    }
    let upgrade = match kube::on(&mut request, remote_command::PROTOCOLS) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.response(),
    };
    let response = upgrade.response::<Body>();
    let pod = Arc::clone(pod);
    tokio::spawn(async move {
        let what = argv.join(" ");
        match serve(upgrade, &pod, streams, &argv).await {
            Ok(exit) => eprintln!("kube_server: {what:?}: {exit:?}"),
            Err(error) => eprintln!("kube_server: {what:?}: {error}"),
        }
    });
    response
}

async fn serve(
    upgrade: PendingUpgrade,
    pod: &Pod,
    streams: Streams,
    argv: &[String],
) -> Result<Exit, BoxError> {
    let version = Version::negotiated(Some(upgrade.protocol()))?;
    let config = Config::spdystream_server().silence_timeout(SILENCE);
    let (session, connection) = upgrade.session(config).await?;
    tokio::spawn(pod.graceful.watch(connection));
    let mut set = Server::new(version, streams).accept(&session).await?;

    let size = first_size(&mut set).await;
    let (process, pipes) = match start(argv, streams, size) {
        Ok(started) => started,
        Err(error) => {
            let exit = Exit::Failed(format!("cannot run {:?}: {error}", argv[0]));
            drop((set.stdin, set.stdout, set.stderr));
            set.exit.finish(exit.clone()).await?;
            return Ok(exit);
        }
    };

    let (ended, end) = watch::channel(false);
    let mut inputs = JoinSet::new();
    let mut outputs = JoinSet::new();
    if let (Some(from), Some(to)) = (set.stdin, pipes.stdin) {
        inputs.spawn(copy::input(from, to, streams.tty));
    }
    if let (Some(from), Some(terminal)) = (set.resize, pipes.terminal) {
        inputs.spawn(copy::sizes(from, terminal));
    }
    for (from, to) in [(pipes.stdout, set.stdout), (pipes.stderr, set.stderr)] {
        if let (Some(from), Some(to)) = (from, to) {
            outputs.spawn(copy::output(from, to, end.clone()));
        }
    }
    let Some(status) = until_end(process, &session, &ended, &mut outputs).await? else {
        return Err("the client has gone; the command was killed".into());
    };
    // A command that has ended reads no more, whoever else has its input open.
    inputs.shutdown().await;
    let exit = Exit::Code(code(status));
    set.exit.finish(exit.clone()).await?;
    Ok(exit)
}

/// The size that the client tells first.
async fn first_size(set: &mut ServerStreams) -> TerminalSize {
    let Some(resize) = &mut set.resize else {
        return TerminalSize::default();
    };
    let first = timeout(FIRST_SIZE, resize.next()).await;
    first
        .ok()
        .and_then(Result::ok)
        .flatten()
        .unwrap_or_default()
}

/// Waits for the command and for what it has written; `None` if the client has gone before. Nothing of it is left then.
async fn until_end(
    mut process: Process,
    session: &Session,
    ended: &watch::Sender<bool>,
    outputs: &mut JoinSet<std::io::Result<()>>,
) -> std::io::Result<Option<ExitStatus>> {
    let status = tokio::select! {
        status = process.ended() => status?,
        () = session.closed() => {
            process.kill();
            process.ended().await?;
            return Ok(None);
        }
    };
    ended.send_replace(true);
    // Each ends by itself, and so does a client that takes nothing: by the time-outs of the session.
    while outputs.join_next().await.is_some() {}
    Ok(Some(status))
}

/// The code as a shell would have it.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}
