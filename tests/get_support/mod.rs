//! Runs the example `get`, and servers for it: an axum app, and a peer that is scripted frame by frame.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path as Segment;
use axum::http::HeaderMap;
use axum::routing::{any, get, post};
use bytes::{Buf, BytesMut};
use spdy::HeaderCompression;
use spdy::codec::{Decoder, DecoderLimits, Encoder, OutBuf};
use spdy::frame::{Data, Frame, HeaderFrame, Received, StreamId, Version};
use spdy::headers::HeaderBlock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tower_http::services::ServeDir;

/// No step takes longer than this.
const LIMIT: Duration = Duration::from_secs(30);

/// What a run of the tool left behind.
pub struct Done {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Done {
    /// The one line that says what went wrong.
    pub fn failure(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}", self.err);
        let line = self.err.strip_suffix('\n').unwrap();
        assert!(
            !line.contains('\n') && line.starts_with("get: "),
            "{}",
            self.err
        );
        line
    }

    /// What was printed, by a run that had nothing to complain about.
    pub fn success(&self) -> &[u8] {
        assert_eq!((self.code, &*self.err), (Some(0), ""));
        &self.out
    }
}

/// The tool. `cargo test` has built it; `cargo test --test get_tool` has not, or has left an older one.
fn tool() -> &'static Path {
    static TOOL: OnceLock<PathBuf> = OnceLock::new();
    TOOL.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().unwrap().parent().unwrap();
        let tool = profile
            .join("examples")
            .join(format!("get{}", std::env::consts::EXE_SUFFIX));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources = [root.join("examples/get"), root.join("src")];
        let newest = sources.iter().map(|path| newest(path)).max();
        let built = tool.metadata().and_then(|data| data.modified()).ok();
        if built < newest {
            let mut cargo = Blocking::new(env!("CARGO"));
            cargo.current_dir(root).args(["build", "--example", "get"]);
            cargo.arg("--target-dir").arg(profile.parent().unwrap());
            if profile.ends_with("release") {
                cargo.arg("--release");
            }
            assert!(cargo.status().unwrap().success(), "get does not build");
        }
        tool
    })
}

fn newest(path: &Path) -> SystemTime {
    let metadata = path.metadata().unwrap();
    if metadata.is_file() {
        return metadata.modified().unwrap();
    }
    let entries = path.read_dir().unwrap();
    let times = entries.map(|entry| newest(&entry.unwrap().path()));
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

pub fn start(args: &[&str]) -> Child {
    let mut command = Command::new(tool());
    command.args(args).kill_on_drop(true);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

pub async fn finish(child: Child) -> Done {
    let output = within(child.wait_with_output()).await.unwrap();
    Done {
        code: output.status.code(),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub async fn run(args: &[&str]) -> Done {
    finish(start(args)).await
}

/// As a terminal does for Ctrl-C.
#[cfg(unix)]
pub fn interrupt(child: &Child) {
    let id = child.id().unwrap().to_string();
    let kill = Blocking::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(kill.success());
}

pub async fn within<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future).await.expect("took too long")
}

/// A directory of the test's own, removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("get-{name}"));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Bytes that differ from place to place.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| u8::try_from((i * 7 + i / 251) % 256).unwrap())
        .collect()
}

/// An axum app over SPDY; `files` are below `/files`.
pub async fn app(files: &Path) -> SocketAddr {
    async fn headers(headers: HeaderMap) -> String {
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect();
        lines.sort_unstable();
        lines.concat()
    }
    let app = Router::new()
        .route("/hello", get(|| async { "hello\n" }))
        .route(
            "/bytes/{len}",
            get(|Segment(len): Segment<usize>| async move { pattern(len) }),
        )
        .route("/echo", post(|body: Body| async { body }))
        .route(
            "/length",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route("/headers", any(headers))
        .nest_service("/files", ServeDir::new(files));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { spdy::serve(listener, app).await });
    address
}

/// One connection of the tool, answered by a script.
pub struct Peer {
    socket: TcpStream,
    decoder: Decoder,
    encoder: Encoder,
    input: BytesMut,
}

impl Peer {
    pub async fn accept(listener: &TcpListener) -> Self {
        let (socket, _) = within(listener.accept()).await.unwrap();
        Self {
            socket,
            decoder: Decoder::new(Version::Spdy31, DecoderLimits::default()),
            encoder: Encoder::new(Version::Spdy31, HeaderCompression::Off),
            input: BytesMut::new(),
        }
    }

    /// The next frame; `None` at the end.
    pub async fn next(&mut self) -> Option<Received> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.input).unwrap() {
                return Some(frame);
            }
            let read = within(self.socket.read_buf(&mut self.input)).await.unwrap();
            if read == 0 {
                assert!(self.decoder.is_at_boundary() && self.input.is_empty());
                return None;
            }
        }
    }

    /// Waits for a frame that `wanted` takes, past all others.
    pub async fn expect<T>(&mut self, wanted: impl Fn(&Received) -> Option<T>) -> T {
        loop {
            let frame = self.next().await.expect("the tool has closed");
            if let Some(found) = wanted(&frame) {
                return found;
            }
        }
    }

    /// Waits for a request.
    pub async fn request(&mut self) -> (StreamId, HeaderBlock) {
        self.expect(|frame| match frame {
            Received::SynStream(syn) => Some((syn.id, syn.block.clone().unwrap())),
            _ => None,
        })
        .await
    }

    pub async fn reply(&mut self, id: StreamId, headers: &[(&str, &str)]) {
        let mut block = HeaderBlock::builder();
        for (name, value) in headers {
            block.push(name, value.as_bytes()).unwrap();
        }
        let block = block.finish();
        let fin = false;
        self.send(&Frame::SynReply(HeaderFrame { id, fin, block }))
            .await;
    }

    pub async fn data(&mut self, id: StreamId, bytes: &[u8], fin: bool) {
        for chunk in bytes.chunks(16_000) {
            let payload = Bytes::copy_from_slice(chunk);
            self.send(&Frame::Data(Data { id, fin, payload })).await;
        }
    }

    async fn send(&mut self, frame: &Frame) {
        let mut out = OutBuf::new();
        self.encoder.encode(frame, &mut out);
        let bytes = out.copy_to_bytes(out.remaining());
        within(self.socket.write_all(&bytes)).await.unwrap();
    }
}

/// A listener that answers each connection with `bytes` once it has read something, and closes.
pub async fn stub(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 1024];
            drop(socket.read(&mut request).await);
            drop(socket.write_all(bytes).await);
            // What was not read would turn the end into a reset.
            drop(socket.shutdown().await);
            drop(timeout(Duration::from_secs(1), socket.read_to_end(&mut Vec::new())).await);
        }
    });
    address
}
