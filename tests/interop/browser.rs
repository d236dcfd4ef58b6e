//! Chromium at the ports: it knows nothing of SPDY, and gets the same page from the same ports.

use std::path::{Path, PathBuf};

use crate::png::Image;
use crate::ports::{IMAGE, pixel, ports};
use crate::process::{Folder, run, tool};

/// The background of the heading and of the page, from page/style.css.
const BAR: [u8; 3] = [0, 96, 100];
const PAPER: [u8; 3] = [250, 245, 230];

const WIDTH: usize = 800;
const HEIGHT: usize = 600;

/// What a page came to.
struct Loaded {
    dom: String,
    /// What its script has written.
    report: serde_json::Value,
    picture: Image,
}

/// Where pictures of pages are kept, for people to look at.
fn pictures() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop");
    std::fs::create_dir_all(&path).expect("create target/interop");
    path
}

/// Loads a page and waits until it rests. The picture is kept under this name.
async fn load(name: &str, url: &str, options: &[&str]) -> Loaded {
    let folder = Folder::new();
    let picture = pictures().join(format!("browser-{name}.png"));
    // What is found there has to be of this run.
    drop(std::fs::remove_file(&picture));
    let mut chromium = tool("chromium", "chromium");
    chromium
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args(["--disable-sync", "--disable-breakpad", "--no-proxy-server"])
        .args([
            "--ignore-certificate-errors",
            "--hide-scrollbars",
            "--virtual-time-budget=20000",
        ])
        .arg(format!("--window-size={WIDTH},{HEIGHT}"))
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg(format!("--screenshot={}", picture.display()))
        .arg("--dump-dom")
        .args(options)
        .arg(url)
        // Nothing is written elsewhere.
        .env("HOME", folder.path())
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_CACHE_HOME");
    let said = run("chromium", chromium).await;
    let dom = said.text().to_owned();
    let written = dom
        .split_once("<pre id=\"report\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"))
        .unwrap_or_else(|| panic!("no report in the page: {dom}\n{}", said.stderr))
        .0;
    let report = serde_json::from_str(written)
        .unwrap_or_else(|error| panic!("{error}: the script has not ended: {dom}"));
    let png = std::fs::read(&picture).expect("a picture of the page");
    Loaded {
        dom,
        report,
        picture: Image::decode(&png),
    }
}

/// Everything on the page has come, over this protocol.
async fn check(name: &str, url: &str, options: &[&str], seen: &str, protocol: &str) {
    let Loaded {
        dom,
        report,
        picture,
    } = load(name, url, options).await;

    assert_eq!(report["error"], serde_json::Value::Null, "{report}");
    // What the server says, and what the browser says.
    assert_eq!(report["info"]["version"], seen);
    assert_eq!(report["protocols"], serde_json::json!([protocol]));
    // The page, style, script, image, info, 24 others, download, echo.
    assert_eq!(report["fetched"], 31);
    let text = format!("<p id=\"version\">The server saw {seen}.</p>");
    assert!(dom.contains(&text), "{dom}");
    for id in 0..24 {
        assert!(dom.contains(&format!("<li>other {id}</li>")), "{dom}");
    }
    assert_eq!(report["image"], serde_json::json!([IMAGE.0, IMAGE.1]));
    let [red, green, blue] = pixel(IMAGE.0 - 1, IMAGE.1 - 1);
    assert_eq!(
        report["lastPixel"],
        serde_json::json!([red, green, blue, 255])
    );
    assert_eq!(
        report["barColor"],
        format!("rgb({}, {}, {})", BAR[0], BAR[1], BAR[2])
    );
    let whole = |length| serde_json::json!({ "length": length, "wrongAt": -1 });
    assert_eq!(report["download"], whole(1 << 20));
    assert_eq!(report["echo"], whole(300_000));

    // What a person sees: the heading across the page, its paper, and every pixel of the image.
    assert_eq!((picture.width, picture.height), (WIDTH, HEIGHT));
    let heading = picture.count(|pixel| *pixel == BAR);
    assert!(heading > WIDTH * 40, "{heading} pixels of the heading");
    let paper = picture.count(|pixel| *pixel == PAPER);
    assert!(paper > WIDTH * HEIGHT / 4, "{paper} pixels of the paper");
    let image = picture.count(|pixel| {
        let [x, y, _] = pixel.map(usize::from);
        x < IMAGE.0 && y < IMAGE.1 && *pixel == self::pixel(x, y)
    });
    assert_eq!(image, IMAGE.0 * IMAGE.1, "pixels of the image");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_shown_over_http_2() {
    check("http2", &ports().tls(), &[], "HTTP/2.0", "h2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_shown_over_http_1_1_with_tls() {
    let options = &["--disable-http2"];
    check("http1-tls", &ports().tls(), options, "HTTP/1.1", "http/1.1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_shown_over_http_1_1_without_tls() {
    check("http1", &ports().plain(), &[], "HTTP/1.1", "http/1.1").await;
}
