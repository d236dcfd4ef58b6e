//! One plain and one TLS port, with the same app behind both, in every protocol. All tests that name [`ports`] use the
//! same two, at the same time.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::http::{Version, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use spdy::tls::TlsListener;
use tokio::sync::Notify;

use crate::app;
use crate::png::Image;
use crate::process::Folder;
use crate::tls_support::Authority;

/// Width and height of the image of the page.
pub(crate) const IMAGE: (usize, usize) = (200, 120);

/// The pixels of the image: no two of a line or a column are equal.
pub(crate) fn pixel(x: usize, y: usize) -> [u8; 3] {
    [x, y, 200].map(|channel| u8::try_from(channel).unwrap())
}

pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    /// Has issued the certificate of the TLS port.
    pub(crate) authority: Authority,
}

impl Ports {
    pub(crate) fn plain(&self) -> String {
        format!("http://127.0.0.1:{}", self.plain)
    }

    pub(crate) fn tls(&self) -> String {
        format!("https://localhost:{}", self.tls)
    }
}

/// The two ports; the first call opens them, and they stay until the process ends.
pub(crate) fn ports() -> &'static Ports {
    static PORTS: OnceLock<Ports> = OnceLock::new();
    PORTS.get_or_init(|| {
        let authority = Authority::new();
        let config = authority.server();
        let (opened, wait) = std::sync::mpsc::channel::<[SocketAddr; 2]>();
        // Each test has a runtime of its own, which ends with it: the servers need another one.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let tls = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let addresses = [&plain, &tls].map(|listener| listener.local_addr().unwrap());
                opened.send(addresses).unwrap();
                let app = router();
                let plain = spdy::serve(plain, app.clone()).auto();
                let tls = spdy::serve(TlsListener::new(tls, config), app).auto();
                let ended = tokio::join!(plain.into_future(), tls.into_future());
                panic!("the servers have ended: {ended:?}");
            });
        });
        let [plain, tls] = wait.recv().expect("the servers");
        Ports {
            plain: plain.port(),
            tls: tls.port(),
            authority,
        }
    })
}

/// A folder with the certificate of the authority, for tools that read it from a file.
pub(crate) fn folder_with_authority() -> (Folder, std::path::PathBuf) {
    let folder = Folder::new();
    let file = folder.write("authority.pem", ports().authority.pem());
    (folder, file)
}

/// The routes of the npm client, and a page.
fn router() -> Router {
    app::router(Arc::new(Notify::new()))
        .route("/", get(Html(include_str!("page/index.html"))))
        .route(
            "/style.css",
            get((
                [(header::CONTENT_TYPE, "text/css")],
                include_str!("page/style.css"),
            )),
        )
        .route(
            "/script.js",
            get((
                [(header::CONTENT_TYPE, "text/javascript")],
                include_str!("page/script.js"),
            )),
        )
        .route("/image.png", get(image))
        .route("/other/{id}", get(other))
        .route("/api/info", get(info))
}

async fn image() -> impl IntoResponse {
    let image = Image::new(IMAGE.0, IMAGE.1, pixel);
    ([(header::CONTENT_TYPE, "image/png")], image.encode())
}

async fn other(Path(id): Path<u32>) -> String {
    format!("other {id}")
}

async fn info(version: Version) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "version": format!("{version:?}") }))
}
