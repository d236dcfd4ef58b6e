//! `exec` and `attach`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use spdy::kube::remote_command::{
    self, Exit, Server, ServerStreams, Streams, TerminalSize, Version,
};
use spdy::kube::{self, PendingUpgrade};
use spdy::server::Watcher;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::copy::Ended;
use crate::ending::Ending;
use crate::process::{Process, start};
use crate::{BoxError, Pod, api, config, copy};

/// How long the first size of a terminal is waited for: programs ask for it when they start.
const FIRST_SIZE: Duration = Duration::from_millis(250);

const GONE: &str = "the client has gone; its command was killed";

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
    // From here on a shutdown waits for it.
    let (watcher, ending) = (pod.graceful.watcher(), pod.ending.clone());
    tokio::spawn(async move {
        let what = argv.join(" ");
        match serve(upgrade, watcher, ending, streams, &argv).await {
            Ok(exit) => eprintln!("kube_server: {what:?}: {exit:?}"),
            Err(error) => eprintln!("kube_server: {what:?}: {error}"),
        }
    });
    response
}

async fn serve(
    upgrade: PendingUpgrade,
    watcher: Watcher,
    ending: Ending,
    streams: Streams,
    argv: &[String],
) -> Result<Exit, BoxError> {
    let version = Version::negotiated(Some(upgrade.protocol()))?;
    let (session, connection) = upgrade.session(config()).await?;
    tokio::spawn(watcher.watch(connection));
    let mut set = Server::new(version, streams).accept(&session).await?;

    let size = first_size(&mut set).await;
    let (process, pipes) = match start(argv, streams, size) {
        Ok(started) => started,
        Err(error) => {
            let exit = Exit::Failed(format!("cannot run {:?}: {error}", argv[0]));
            set.finish(exit.clone()).await?;
            return Ok(exit);
        }
    };

    let (ended, end) = watch::channel(false);
    let mut inputs = JoinSet::new();
    let mut outputs = JoinSet::new();
    let (broken, mut breaks) = oneshot::channel();
    if let (Some(from), Some(to)) = (set.stdin, pipes.stdin) {
        inputs.spawn(copy::input(from, to, streams.tty, broken));
    }
    if let (Some(from), Some(terminal)) = (set.resize, pipes.terminal) {
        inputs.spawn(copy::sizes(from, terminal));
    }
    for (from, to) in [(pipes.stdout, set.stdout), (pipes.stderr, set.stderr)] {
        match (from, to) {
            (Some(from), Some(to)) => outputs.spawn(copy::output(from, to, end.clone())),
            (Some(from), None) => inputs.spawn(copy::discard(from)),
            (None, _) => continue,
        };
    }
    let exit = tokio::select! {
        biased;
        // First: a client that has gone ends the outputs, and with them many a command.
        () = session.closed() => return Err(GONE.into()),
        exit = exit_of(process, &ended, &mut outputs) => exit?,
        Ok(error) = &mut breaks => {
            // It breaks off with the session, too.
            if timeout(Duration::from_secs(1), session.closed()).await.is_ok() {
                return Err(GONE.into());
            }
            Exit::Failed(format!("the input has broken off ({error}); the command was killed"))
        }
        // A client takes a connection that ends without an outcome for a success.
        () = ending.commands() => {
            Exit::Failed("the server is shutting down; the command was killed".to_owned())
        }
    };
    outputs.shutdown().await;
    // A command that has ended reads no more, whoever else has its input open.
    inputs.shutdown().await;
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

/// Waits for the command and for what it has written. Dropping the future kills it.
async fn exit_of(
    process: Process,
    ended: &watch::Sender<bool>,
    outputs: &mut JoinSet<io::Result<Ended>>,
) -> io::Result<Exit> {
    process.exited().await?;
    ended.send_replace(true);
    // Each comes to its end, but as slowly as the client takes it: a user may look at the last page.
    let mut cut_off = false;
    while let Some(how) = outputs.join_next().await {
        cut_off |= matches!(how, Ok(Ok(Ended::CutOff)));
    }
    let status = process.end().await?;
    if cut_off {
        let why = "what the command has started goes on writing; it was cut off";
        return Ok(Exit::Failed(why.to_owned()));
    }
    Ok(status.into())
}
