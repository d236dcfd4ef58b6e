//! curl at the ports, over each protocol that it knows.

use tokio::process::Command;

use crate::pattern;
use crate::ports::{folder_with_authority, ports};
use crate::process::{run, tool};

const DOWNLOAD: usize = 1 << 20;

/// More than curl sends over HTTP/1.1 without asking first (`Expect: 100-continue`).
const UPLOAD: usize = 3 << 20;

/// How curl is told what to speak, and how it tells what was spoken.
pub(crate) struct Over<'a> {
    pub(crate) option: &'a str,
    pub(crate) origin: String,
    /// As curl numbers it.
    pub(crate) version: &'a str,
    /// As the app sees it.
    pub(crate) seen: &'a str,
    /// What ALPN has to say, with TLS.
    pub(crate) alpn: Option<&'a str>,
}

/// A small answer, a download and an upload.
pub(crate) async fn exchanges(over: Over<'_>) {
    let Over { origin, .. } = &over;
    let (folder, authority) = folder_with_authority();
    let curl = || -> Command {
        let mut curl = tool("curl", "curl");
        // `-q` has to be the first.
        curl.args(["-q", "-v", "-sS", "--fail", "--noproxy", "*"])
            .args(["--max-time", "20", "-w", "\n%{http_version}", over.option])
            .arg("--cacert")
            .arg(&authority);
        curl
    };

    let mut command = curl();
    command.arg(format!("{origin}/api/info"));
    let said = run("curl", command).await;
    let (info, version) = said.text().rsplit_once('\n').unwrap();
    let info: serde_json::Value = serde_json::from_str(info).unwrap();
    assert_eq!(info["version"], over.seen);
    assert_eq!(version, over.version);
    let status = format!("< HTTP/{} 200", over.version);
    assert!(said.stderr.contains(&status), "{}", said.stderr);
    let agreed = |protocol| format!("ALPN: server accepted {protocol}");
    match over.alpn {
        Some(protocol) => assert!(said.stderr.contains(&agreed(protocol)), "{}", said.stderr),
        None => assert!(!said.stderr.contains("ALPN"), "{}", said.stderr),
    }

    let file = folder.path().join("download");
    let mut command = curl();
    command.arg("-o").arg(&file);
    command.arg(format!("{origin}/bytes/{DOWNLOAD}"));
    let said = run("curl's download", command).await;
    assert_eq!(said.text().trim(), over.version);
    let download = std::fs::read(&file).unwrap();
    assert!(download == pattern::whole(DOWNLOAD), "the download differs");

    let body = pattern::whole(UPLOAD);
    let mut at_sign = std::ffi::OsString::from("@");
    at_sign.push(folder.write("upload", &body));
    let mut command = curl();
    command
        .arg("-o")
        .arg(&file)
        .arg("--data-binary")
        .arg(at_sign);
    command.arg(format!("{origin}/echo"));
    let said = run("curl's upload", command).await;
    assert_eq!(said.text().trim(), over.version);
    assert!(std::fs::read(&file).unwrap() == body, "the echo differs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_1_without_tls() {
    exchanges(Over {
        option: "--http1.1",
        origin: ports().plain(),
        version: "1.1",
        seen: "HTTP/1.1",
        alpn: None,
    })
    .await;
}

/// It asks for an Upgrade to `h2c`, which RFC 9113 has dropped: the answer comes over HTTP/1.1, and not over SPDY.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_to_h2c_is_left_alone() {
    exchanges(Over {
        option: "--http2",
        origin: ports().plain(),
        version: "1.1",
        seen: "HTTP/1.1",
        alpn: None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_without_tls() {
    exchanges(Over {
        option: "--http2-prior-knowledge",
        origin: ports().plain(),
        version: "2",
        seen: "HTTP/2.0",
        alpn: None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_1_over_tls() {
    exchanges(Over {
        option: "--http1.1",
        origin: ports().tls(),
        version: "1.1",
        seen: "HTTP/1.1",
        alpn: Some("http/1.1"),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_over_tls() {
    exchanges(Over {
        option: "--http2",
        origin: ports().tls(),
        version: "2",
        seen: "HTTP/2.0",
        alpn: Some("h2"),
    })
    .await;
}

/// As clients do that know TLS and nothing of ALPN: the first bytes tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_1_over_tls_without_alpn() {
    let (_folder, authority) = folder_with_authority();
    let mut command = tool("curl", "curl");
    command
        .args([
            "-q",
            "-v",
            "-sS",
            "--fail",
            "--noproxy",
            "*",
            "--max-time",
            "20",
        ])
        .args(["--no-alpn", "--cacert"])
        .arg(&authority)
        .arg(format!("{}/api/info", ports().tls()));
    let said = run("curl without ALPN", command).await;
    let info: serde_json::Value = serde_json::from_str(said.text()).unwrap();
    assert_eq!(info["version"], "HTTP/1.1");
    assert!(
        !said.stderr.contains("ALPN: server accepted"),
        "{}",
        said.stderr
    );
}
