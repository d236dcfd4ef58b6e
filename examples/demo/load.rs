//! The client: 100 requests at once on one connection, each answer checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_RANGE, RANGE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::client::SendRequest;
use tokio::task::JoinSet;

use crate::BoxError;
use crate::app::{CHUNK, CHUNKS};

/// Requests at once.
const CONCURRENT: usize = 100;
/// Files larger than this are asked for in parts only.
const WHOLE_FILE_MAX: u64 = 4 << 20;

/// A file of the directory, with its bytes to compare.
#[derive(Clone)]
pub(crate) struct File {
    url_path: String,
    bytes: Bytes,
}

/// What was done of one kind.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    pub(crate) requests: usize,
    pub(crate) bytes: u64,
    pub(crate) slowest: Duration,
}

pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) elapsed: Duration,
    pub(crate) round_trip: Duration,
}

/// Up to ten readable files of a directory.
pub(crate) fn pick_files(directory: &Path) -> Result<Vec<File>, BoxError> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let readable = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let size = path.metadata().ok()?.len();
        if !plain || !path.is_file() || size == 0 || size > WHOLE_FILE_MAX {
            return None;
        }
        let bytes = std::fs::read(path).ok()?;
        Some(File {
            url_path: format!("/files/{name}"),
            bytes: bytes.into(),
        })
    };
    Ok(paths.iter().filter_map(readable).take(10).collect())
}

/// One kind of request and what its answer must be.
#[derive(Clone)]
enum Job {
    Json(u64),
    Echo(Bytes),
    Stream,
    File(File),
    Range(File, u64, u64),
    Missing,
}

impl Job {
    fn kind(&self) -> &'static str {
        match self {
            Self::Json(_) => "GET /json/{n}",
            Self::Echo(_) => "POST /echo",
            Self::Stream => "GET /stream",
            Self::File(_) => "GET /files/..",
            Self::Range(..) => "GET /files/.. (Range)",
            Self::Missing => "GET (404)",
        }
    }

    fn request(&self, host: SocketAddr) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let uri = |path: &str| format!("http://{host}{path}");
        let empty = Full::default();
        match self {
            Self::Json(number) => Request::get(uri(&format!("/json/{number}"))).body(empty),
            Self::Echo(body) => Request::post(uri("/echo")).body(Full::new(body.clone())),
            Self::Stream => Request::get(uri("/stream")).body(empty),
            Self::File(file) => Request::get(uri(&file.url_path)).body(empty),
            Self::Range(file, first, last) => Request::get(uri(&file.url_path))
                .header(RANGE, format!("bytes={first}-{last}"))
                .body(empty),
            Self::Missing => Request::get(uri("/nowhere")).body(empty),
        }
    }

    fn check(&self, head: &Response<()>, body: &Bytes) -> Result<(), BoxError> {
        let (status, expected) = match self {
            Self::Json(number) => {
                let value: serde_json::Value = serde_json::from_slice(body)?;
                if value != serde_json::json!({ "number": number, "square": number * number }) {
                    return Err(format!("wrong JSON: {value}").into());
                }
                (StatusCode::OK, body.clone())
            }
            Self::Echo(sent) => (StatusCode::OK, sent.clone()),
            Self::Stream => {
                let chunks = (0..CHUNKS).flat_map(|number| std::iter::repeat_n(number, CHUNK));
                (StatusCode::OK, chunks.collect::<Vec<u8>>().into())
            }
            Self::File(file) => (StatusCode::OK, file.bytes.clone()),
            Self::Range(file, first, last) => {
                let total = file.bytes.len();
                let range = format!("bytes {first}-{last}/{total}");
                if head
                    .headers()
                    .get(CONTENT_RANGE)
                    .is_none_or(|value| value != range.as_str())
                {
                    return Err(format!(
                        "wrong content-range: {:?}",
                        head.headers().get(CONTENT_RANGE)
                    )
                    .into());
                }
                let (first, last) = (usize::try_from(*first)?, usize::try_from(*last)?);
                (StatusCode::PARTIAL_CONTENT, file.bytes.slice(first..=last))
            }
            Self::Missing => (StatusCode::NOT_FOUND, Bytes::new()),
        };
        if head.status() != status {
            return Err(format!(
                "{}: status {} instead of {status}",
                self.kind(),
                head.status()
            )
            .into());
        }
        if *body != expected {
            return Err(format!(
                "{}: {} bytes that differ from the {} expected",
                self.kind(),
                body.len(),
                expected.len()
            )
            .into());
        }
        Ok(())
    }
}

/// The jobs, in turn over all kinds.
fn jobs(files: &[File]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for i in 0..CONCURRENT {
        let file = files.get(i % files.len().max(1)).cloned();
        let length = file.as_ref().map_or(0, |file| file.bytes.len() as u64);
        jobs.push(match (i % 6, file) {
            (0, _) => Job::Json(i as u64),
            (1, _) => Job::Echo(vec![u8::try_from(i % 251).unwrap_or(0); 10_000 * i].into()),
            (2, _) => Job::Stream,
            (3, Some(file)) => Job::File(file),
            (4, Some(file)) => Job::Range(
                file,
                length / 3,
                length / 3 + (length - length / 3) / 2 - u64::from(length > 3),
            ),
            _ => Job::Missing,
        });
    }
    jobs
}

async fn fetch(
    mut client: SendRequest<Full<Bytes>>,
    host: SocketAddr,
    job: Job,
) -> Result<Row, BoxError> {
    let started = Instant::now();
    client.ready().await?;
    let response = client.send_request(job.request(host)?).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    job.check(&Response::from_parts(head, ()), &body)?;
    Ok(Row {
        kind: job.kind(),
        requests: 1,
        bytes: body.len() as u64,
        slowest: started.elapsed(),
    })
}

pub(crate) async fn run(address: SocketAddr, files: Vec<File>) -> Result<Report, BoxError> {
    let io = tokio::net::TcpStream::connect(address).await?;
    io.set_nodelay(true)?;
    let (client, connection) =
        spdy::client::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
    let connection = tokio::spawn(connection);

    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for job in jobs(&files) {
        tasks.spawn(fetch(client.clone(), address, job));
    }
    let mut rows: Vec<Row> = Vec::new();
    while let Some(row) = tasks.join_next().await {
        let row = row??;
        match rows.iter_mut().find(|known| known.kind == row.kind) {
            Some(known) => {
                known.requests += 1;
                known.bytes += row.bytes;
                known.slowest = known.slowest.max(row.slowest);
            }
            None => rows.push(row),
        }
    }
    let elapsed = started.elapsed();
    let round_trip = client.ping().await?;
    drop(client);
    connection.await??;
    rows.sort_by_key(|row| row.kind);
    Ok(Report {
        rows,
        elapsed,
        round_trip,
    })
}
