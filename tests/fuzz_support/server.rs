//! A hostile client against a whole server that runs an axum `Router`: no panic, an end in bounded time, nothing left, and
//! nothing illegal said.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use spdy::frame::{DEFAULT_WINDOW, Role};
use spdy::{Config, FlowControl, HeaderCompression, Overflow, server};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::draw::Draw;
use super::legal::Legal;
use super::probe::Probe;
use super::script::Script;
use super::support::{Wire, pipe};

/// In virtual time: longer than any handler and any pause behind the end of the input.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// One byte of options, two of configuration, then a script.
pub(crate) fn run(input: &[u8]) {
    let mut draw = Draw::new(input);
    let shutdown = draw.pick(&[None, None, Some(0), Some(20), Some(3000)]);
    let config = config(Role::Server, &mut draw);
    let script = Script::draw(&mut draw);
    block_on(serve(config, script, shutdown.map(Duration::from_millis)));
}

/// Runs to the end in virtual time, and on one thread.
pub(crate) fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(future);
    assert_eq!(runtime.metrics().num_alive_tasks(), 0, "tasks are left");
}

/// Options that reach different parts of the session, and the connection window that they ask for.
pub(crate) fn config(role: Role, draw: &mut Draw<'_>) -> (Config, u64) {
    let second = Duration::from_secs(1);
    let config = Config::for_role(role);
    let which = draw.below(6);
    let window = match (which, role) {
        (1, _) => u64::from(DEFAULT_WINDOW),
        (_, Role::Server) => 4 << 20,
        (_, Role::Client) => 16 << 20,
    };
    let config = match which {
        0 => config,
        1 => config
            .initial_stream_window_size(3000)
            .initial_connection_window_size(DEFAULT_WINDOW)
            .max_concurrent_streams(2),
        2 => config
            .flow_control(FlowControl::Lenient)
            .unread_stream_limit(5000),
        3 => config
            .flow_control(FlowControl::Off)
            .unread_stream_limit(5000)
            .unread_connection_limit(8000)
            .overflow(Overflow::Reset { after: second }),
        4 => config.max_header_list_size(300).max_header_values(6),
        _ => config
            .keep_alive_interval(second)
            .keep_alive_timeout(second)
            .keep_alive_while_idle(true)
            .idle_timeout(3 * second)
            .write_timeout(2 * second),
    };
    let flags = draw.byte();
    let config = config
        .hold_until_peer_speaks(flags & 1 != 0)
        .early_goaway(flags & 2 == 0)
        .announce_settings(flags & 4 == 0)
        .header_compression(if flags & 8 == 0 {
            HeaderCompression::Level(1)
        } else {
            HeaderCompression::Off
        });
    (config, window)
}

/// The tasks that the library starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    set: Arc<Mutex<JoinSet<()>>>,
    pub(crate) probe: Probe,
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let future = self.probe.watch(future);
        let task = async move { drop(future.await) };
        self.set.lock().unwrap().spawn(task);
    }
}

impl Tasks {
    /// All of them end soon, and none by a panic.
    pub(crate) async fn ended(&self) {
        loop {
            let mut tasks = std::mem::take(&mut *self.set.lock().unwrap());
            if tasks.is_empty() {
                return;
            }
            let all = async {
                while let Some(ended) = tasks.join_next().await {
                    ended.unwrap();
                }
            };
            timeout(SOON, all).await.expect("a task has no end");
        }
    }
}

/// Reads what our side writes and judges it; gives the judge back behind the end.
pub(crate) fn listen(wire: Arc<Wire>, mut legal: Legal) -> JoinHandle<Legal> {
    tokio::spawn(async move {
        let mut bytes = BytesMut::new();
        while wire.read(&mut bytes).await.unwrap() > 0 {
            legal.wrote(&bytes.split());
        }
        legal
    })
}

/// Ends soon and without a panic.
pub(crate) async fn soon<T>(what: &str, task: JoinHandle<T>) -> T {
    match timeout(SOON, task).await {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        Err(_) => panic!("{what} has no end"),
    }
}

async fn serve((config, window): (Config, u64), script: Script, shutdown: Option<Duration>) {
    let (io, wire) = pipe();
    let wire = Arc::new(wire);
    let legal = Legal::new(Role::Server, &config, window, script.bytes());
    let tasks = Tasks::default();
    let probe = tasks.probe.clone();
    let service = TowerToHyperService::new(router(&probe));
    let connection = server::Builder::new(tasks.clone())
        .config(config)
        .serve_connection(TokioIo::new(io), service);
    let driver = async move {
        let mut connection = std::pin::pin!(connection);
        if let Some(after) = shutdown {
            if let Ok(result) = timeout(after, &mut connection).await {
                return result;
            }
            connection.as_mut().graceful_shutdown();
        }
        connection.await
    };
    let driver = tokio::spawn(probe.watch(driver));
    let listener = listen(Arc::clone(&wire), legal);
    script.play(&wire).await;
    if script.rests {
        probe.check(&wire).await;
    }
    script.end(&wire);
    // An error is what most peers here deserve.
    let _ = soon("the connection", driver).await;
    tasks.ended().await;
    let legal = soon("the output", listener).await;
    if !script.hinders_output() {
        legal.end();
    }
}

fn router(probe: &Probe) -> Router {
    let probe = probe.clone();
    Router::new()
        .route("/", any(|| async { "hello" }))
        .route("/stream", any(stream))
        .route("/upload", any(upload))
        .route("/slow", any(move |request| slow(request, probe.clone())))
        .route("/trailers", any(trailers))
        .route("/ignore", any(ignore))
}

/// Chunks with pauses between them.
async fn stream() -> AxumBody {
    let chunks = futures_util::stream::unfold(0, |n| async move {
        sleep(Duration::from_millis(10)).await;
        let chunk = Bytes::from(vec![b's'; 9000]);
        (n < 20).then_some((Ok::<_, Infallible>(chunk), n + 1))
    });
    AxumBody::from_stream(chunks)
}

/// The body comes back as it arrives.
async fn upload(request: Request) -> Response {
    let mut response = Response::new(request.into_body());
    let headers = response.headers_mut();
    headers.insert("x-echo", HeaderValue::from_static("yes"));
    response
}

/// Reads all, then thinks.
async fn slow(request: Request, probe: Probe) -> String {
    let read = request.into_body().collect().await;
    probe.step();
    sleep(Duration::from_secs(5)).await;
    read.map_or(0, |body| body.to_bytes().len()).to_string()
}

async fn trailers() -> Response {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    let frames = [
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"data"))),
        Ok(Frame::trailers(trailers)),
    ];
    Response::new(AxumBody::new(StreamBody::new(tokio_stream::iter(frames))))
}

/// Holds the body and does not read it.
async fn ignore(request: Request) -> &'static str {
    sleep(Duration::from_secs(8)).await;
    drop(request);
    "ignored"
}
