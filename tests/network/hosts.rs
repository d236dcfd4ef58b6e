//! What runs on the hosts: servers, the proxy, and the clients that check what they get.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use spdy::{Body, Config, server};
use tokio::time::{Instant, sleep, timeout};
use turmoil::net::{TcpListener, TcpStream};

use crate::pool::{ANSWER, DIAL, INTERVAL, Lost, Pool, watchful};

/// Every request is over by then: each of the connections on its way may have to be noticed as gone, and dialled again.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2 * (2 + 1 + 1) + 4);

/// Which requests were processed, by whom; and what has happened, to compare runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    /// By the id of the request.
    served: BTreeMap<String, Vec<&'static str>>,
    story: Vec<String>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap()
    }

    fn enter(&self, id: &str, host: &'static str) {
        self.lock().served.entry(id.into()).or_default().push(host);
    }

    pub(crate) fn served(&self, id: &str) -> usize {
        self.lock().served.get(id).map_or(0, Vec::len)
    }

    pub(crate) fn note(&self, what: &str) {
        let now = turmoil::sim_elapsed().unwrap_or_default();
        self.lock().story.push(format!("{now:?} {what}"));
    }

    pub(crate) fn story(&self) -> Vec<String> {
        self.lock().story.clone()
    }

    /// No request was processed twice.
    pub(crate) fn check(&self) {
        for (id, hosts) in &self.lock().served {
            assert_eq!(hosts.len(), 1, "{id} was processed by {hosts:?}");
        }
    }
}

/// A body that no other request has: some are longer than the windows.
pub(crate) fn body_of(id: &str) -> Bytes {
    let hash = |sum, byte| (sum * 31 + usize::from(byte)) % 9000;
    let len = 1 + id.bytes().fold(0, hash);
    id.bytes().cycle().take(len).collect()
}

/// Answers with what it was sent, and says who it is.
async fn work(
    request: Request<Body>,
    ledger: Ledger,
    host: &'static str,
) -> Result<Response<Body>, spdy::Error> {
    let id = request.headers()["x-id"].to_str().unwrap().to_owned();
    ledger.enter(&id, host);
    let body = request.into_body().collect().await?.to_bytes();
    assert_eq!(body, body_of(&id), "an upload is not its own, or not whole");
    sleep(Duration::from_millis(body.len() as u64 % 40)).await;
    let chunks = body.chunks(3000).map(Bytes::copy_from_slice);
    let chunks: Vec<_> = chunks
        .map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)))
        .collect();
    let body = Body::new(StreamBody::new(tokio_stream::iter(chunks)));
    Ok(Response::builder().header("x-id", id).body(body).unwrap())
}

/// Serves the connections of a port with this service, until the host crashes.
pub(crate) async fn listen<F, R, E>(port: u16, service: F) -> turmoil::Result
where
    F: Fn(Request<Body>) -> R + Clone + 'static,
    R: Future<Output = Result<Response<Body>, E>> + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)).await?;
    loop {
        let (stream, address) = listener.accept().await?;
        tokio::task::spawn_local(serve_on(stream, address, service.clone()));
    }
}

/// Serves one connection, whoever has dialled it.
pub(crate) async fn serve_on<F, R, E>(stream: TcpStream, address: SocketAddr, service: F)
where
    F: Fn(Request<Body>) -> R + 'static,
    R: Future<Output = Result<Response<Body>, E>> + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    let connection = server::Builder::new(Local)
        .config(watchful(Config::server()))
        .serve_connection(TokioIo::new(stream), hyper::service::service_fn(service));
    connection.set_peer(address);
    // How it ends is the network's doing.
    drop(connection.await);
}

/// Each simulated host is one thread.
#[derive(Clone, Copy, Debug)]
struct Local;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

pub(crate) async fn server_host(name: &'static str, ledger: Ledger) -> turmoil::Result {
    listen(80, move |request| work(request, ledger.clone(), name)).await
}

/// As [`server_host`], over connections that this host dials itself.
pub(crate) async fn dialling_server_host(
    name: &'static str,
    relay: &'static str,
    ledger: Ledger,
) -> turmoil::Result {
    loop {
        let dialled = timeout(DIAL, TcpStream::connect((relay, 7000))).await;
        if let Ok(Ok(stream)) = dialled {
            let address = stream.peer_addr()?;
            let ledger = ledger.clone();
            serve_on(stream, address, move |request| {
                work(request, ledger.clone(), name)
            })
            .await;
        }
        sleep(Duration::from_millis(300)).await;
    }
}

/// What a proxy says where it has no response.
pub(crate) fn forwarded(result: Result<Response<Body>, Lost>) -> Response<Body> {
    let (status, why) = match result {
        Ok(response) => return response,
        // The caller may send it again.
        Err(Lost::Unprocessed) => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
        Err(Lost::Unknown(why)) => (StatusCode::BAD_GATEWAY, why),
    };
    let response = Response::builder().status(status);
    response.body(Body::from(why)).unwrap()
}

/// Forwards to the servers in turn; bodies stream both ways.
pub(crate) async fn proxy_host(servers: &'static [&'static str]) -> turmoil::Result {
    let pools: Rc<Vec<_>> = Rc::new(servers.iter().map(|server| Pool::new(server)).collect());
    let turn = Rc::new(RefCell::new(0));
    listen(80, move |request| {
        let at = turn.replace_with(|at| *at + 1) % pools.len();
        let pools = Rc::clone(&pools);
        async move { Ok::<_, Infallible>(forwarded(pools[at].send(request).await)) }
    })
    .await
}

/// What came of a request in the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Answered,
    /// It may have been processed or not.
    Unknown,
    /// It was never processed, and the time is up.
    GivenUp,
}

/// Sends a request until it was answered or may have been processed.
pub(crate) async fn ask(pool: &Pool, id: &str, ledger: &Ledger) -> Came {
    let begin = Instant::now();
    loop {
        let request = Request::post("/work")
            .header("x-id", id)
            .body(Body::from(body_of(id)))
            .unwrap();
        let Ok(sent) = timeout(DEADLINE, pool.send(request)).await else {
            panic!("{id} hangs");
        };
        let came = match sent {
            Ok(response) => match timeout(DEADLINE, judge(response, id, ledger)).await {
                Ok(came) => came,
                Err(_) => panic!("the response to {id} hangs"),
            },
            Err(Lost::Unprocessed) => None,
            Err(Lost::Unknown(why)) => {
                ledger.note(&format!("{id} may be lost: {why}"));
                Some(Came::Unknown)
            }
        };
        if let Some(came) = came {
            return came;
        }
        if begin.elapsed() > DEADLINE {
            ledger.note(&format!("{id} is given up"));
            return Came::GivenUp;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// `None`: it was not processed.
async fn judge(response: Response<Body>, id: &str, ledger: &Ledger) -> Option<Came> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::SERVICE_UNAVAILABLE => return None,
        StatusCode::BAD_GATEWAY => {
            ledger.note(&format!("{id}: the proxy does not know"));
            return Some(Came::Unknown);
        }
        other => panic!("{id}: {other}"),
    }
    assert_eq!(response.headers()["x-id"], id, "another's response");
    match response.into_body().collect().await {
        Ok(body) => {
            assert!(body.to_bytes() == body_of(id), "{id}: another's body");
            assert_eq!(ledger.served(id), 1, "how often {id} was processed");
            ledger.note(&format!("{id} was answered"));
            Some(Came::Answered)
        }
        Err(error) => {
            ledger.note(&format!("{id} was cut: {error}"));
            Some(Came::Unknown)
        }
    }
}

/// For the deadline to be true.
const _: () =
    assert!(DEADLINE.as_secs() == 2 * (INTERVAL.as_secs() + ANSWER.as_secs() + DIAL.as_secs()) + 4);
