//! The layer rules, the budgets and the words that must not occur, checked on the source itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "support/named.rs"]
mod named;

use std::fs;
use std::path::{Path, PathBuf};

use crate::named::{missing, named_tests, root};

/// A source file without its inline tests, comments and string literals.
struct Source {
    path: String,
    /// As it is, up to the inline tests.
    lines: Vec<String>,
    code: Vec<String>,
}

fn rust_files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            rust_files(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

/// The line without what stands in quotes and behind `//`.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            c if !quoted => code.push(c),
            _ => {}
        }
    }
    code
}

/// The sources under these paths below `src`; each path has to exist and hold something.
fn sources(paths: &[&str]) -> Vec<Source> {
    let mut all = Vec::new();
    for path in paths {
        let mut files = Vec::new();
        rust_files(&root().join("src").join(path), &mut files);
        // Inline tests that have a file of their own.
        files.retain(|file| file.file_name().is_some_and(|name| name != "tests.rs"));
        files.sort();
        assert!(!files.is_empty(), "src/{path} holds no source to check");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let tests = text
                .find("\n#[cfg(test)]\nmod tests {")
                .unwrap_or(text.len());
            let lines: Vec<String> = text[..tests].lines().map(str::to_owned).collect();
            assert!(!lines.is_empty(), "{} is empty", file.display());
            all.push(Source {
                path: file.strip_prefix(root()).unwrap().display().to_string(),
                // A slice to write from is a value, not IO.
                code: lines
                    .iter()
                    .map(|line| code_of(line).replace("std::io::IoSlice", "IoSlice"))
                    .collect(),
                lines,
            });
        }
    }
    all
}

/// Whether `word` occurs in the code with no identifier character before it (or behind it, if it ends in one).
fn occurs(code: &str, word: &str) -> bool {
    let part_of_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let behind = code[at + word.len()..].chars().next();
        let open_end = !word.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        !part_of_name(before) && (open_end || !part_of_name(behind))
    })
}

#[track_caller]
fn forbid(sources: &[Source], words: &[&str]) {
    let mut found = Vec::new();
    for source in sources {
        for (i, code) in source.code.iter().enumerate() {
            for word in words {
                if occurs(code, word) {
                    found.push(format!("{}:{}: {word}", source.path, i + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "forbidden here:\n{}", found.join("\n"));
}

const CORE: [&str; 4] = ["frame", "headers", "codec", "session"];

#[test]
fn the_core_knows_no_io_no_clock_no_waker_no_lock_and_no_http() {
    forbid(
        &sources(&CORE),
        &[
            "tokio",
            "tokio_util",
            "hyper",
            "hyper_util",
            "http::",
            "http_body",
            "tower",
            "tower_service",
            "futures",
            "futures_util",
            "tracing",
            "Waker",
            "Context<",
            "Instant::now",
            "SystemTime",
            "std::task",
            "std::sync",
            "std::net",
            "std::io",
            "std::thread",
            "Mutex",
            "RwLock",
            "mpsc",
            "oneshot",
            "RefCell",
            "thread_local!",
            "async",
            "await",
        ],
    );
}

#[test]
fn the_core_imports_nothing_from_the_layers_above() {
    forbid(
        &sources(&CORE),
        &[
            "crate::conn",
            "crate::stream",
            "crate::http",
            "crate::server",
            "crate::client",
            "crate::upgrade",
        ],
    );
    let session = ["crate::session", "super::session"];
    // The options of the codec are part of `Config`, which is above it.
    forbid(&sources(&["frame", "headers", "codec"]), &session);
    forbid(&sources(&["frame", "headers"]), &["crate::codec"]);
}

#[test]
fn raw_streams_know_no_http() {
    let words = [
        "http::",
        "http_body",
        "hyper",
        "hyper_util",
        "tower",
        "tower_service",
        "crate::http",
    ];
    forbid(&sources(&["conn"]), &words);
    forbid(&sources(&["stream.rs"]), &words);
    if root().join("src/stream").is_dir() {
        forbid(&sources(&["stream"]), &words);
    }
}

#[test]
fn the_http_mapping_knows_no_hyper_and_no_tower() {
    forbid(
        &sources(&["http"]),
        &[
            "tower",
            "tower_service",
            "axum",
            "crate::server",
            "crate::client",
        ],
    );
}

#[test]
fn builders_and_connectors_know_nothing_of_what_stands_on_them() {
    // Any library fits behind `Secure` and `Listener`; rustls is one.
    let words = [
        "crate::tls",
        "tokio_rustls",
        "rustls",
        "crate::upgrade",
        "crate::layer",
        "crate::kube",
    ];
    forbid(&sources(&["server", "client"]), &words);
}

#[test]
fn kubernetes_protocols_stand_on_streams_and_the_upgrade_and_nothing_stands_on_them() {
    // They dial nothing and run nothing: that is the application's.
    let words = [
        "crate::server",
        "crate::client",
        "crate::layer",
        "crate::tls",
        "TcpStream",
        "tokio::net",
        "tokio::spawn",
        "process::Command",
    ];
    forbid(&sources(&["kube"]), &words);
    let others = sources(&[""]).into_iter();
    let others: Vec<_> = others
        .filter(|source| !source.path.starts_with("src/kube/"))
        .collect();
    forbid(&others, &["crate::kube"]);
}

#[test]
fn a_tunnel_in_a_websocket_is_a_transport_that_knows_no_session_and_no_library() {
    let words = [
        "crate::",
        "hyper",
        "http::",
        "tokio::net",
        "tokio::spawn",
        "futures_util",
    ];
    let all = sources(&["ws"]);
    forbid(&all, &words);
    // Each library is in the file of its own feature.
    let (libraries, tunnel): (Vec<_>, Vec<_>) = all.into_iter().partition(|source| {
        ["src/ws/axum.rs", "src/ws/tungstenite.rs"].contains(&source.path.as_str())
    });
    assert_eq!(libraries.len(), 2);
    forbid(&tunnel, &["axum::", "tokio_tungstenite", "tungstenite::"]);
    let others = sources(&[""]).into_iter();
    let others: Vec<_> = others
        .filter(|source| !source.path.starts_with("src/ws/"))
        .collect();
    forbid(&others, &["crate::ws"]);
}

#[test]
fn time_comes_from_the_caller_everywhere() {
    forbid(&sources(&[""]), &["std::time::Instant::now"]);
    // tokio's clock can be paused; only the adapter of it may ask.
    let all = sources(&[""]);
    let clockless: Vec<_> = all
        .into_iter()
        .filter(|source| source.path != "src/conn/clock.rs")
        .collect();
    forbid(&clockless, &["Instant::now"]);
}

#[test]
fn locks_are_in_one_place() {
    let all = sources(&[""]);
    assert!(all.iter().any(|source| source.path == "src/conn/shared.rs"));
    // The pool and the SETTINGS store of the client have one short lock each.
    let elsewhere = |source: &Source| {
        ![
            "src/conn/shared.rs",
            "src/client/pool.rs",
            "src/client/settings.rs",
        ]
        .contains(&source.path.as_str())
    };
    let others: Vec<_> = all.into_iter().filter(elsewhere).collect();
    forbid(&others, &["Mutex", "RwLock"]);
}

#[test]
fn no_unsafe_and_no_gaps() {
    let all = sources(&[""]);
    forbid(&all, &["unsafe", "todo!", "unimplemented!", "dbg!"]);
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert!(text.contains("#![forbid(unsafe_code)]"));
    for source in &all {
        for (i, line) in source.lines.iter().enumerate() {
            let gap = ["TODO", "FIXME", "XXX", "HACK"]
                .into_iter()
                .find(|word| occurs(line, word));
            assert_eq!(gap, None, "{}:{}", source.path, i + 1);
        }
    }
}

#[test]
fn files_keep_their_budget() {
    let long: Vec<_> = sources(&[""])
        .iter()
        .filter(|source| source.lines.len() > 600)
        .map(|source| format!("{}: {} lines", source.path, source.lines.len()))
        .collect();
    assert!(
        long.is_empty(),
        "longer than 600 lines:\n{}",
        long.join("\n")
    );
}

/// Every row behind this head of a table has to name a test, and every test that the page names has to exist.
fn check_page(page: &str, head: &str) {
    let page = fs::read_to_string(root().join(page)).unwrap();
    let mut rows = 0;
    let mut lines = page.lines();
    while lines.any(|line| line.starts_with(head)) {
        for row in lines.by_ref().take_while(|line| line.starts_with('|')) {
            if !row.starts_with("|---") {
                assert!(!named_tests(row).is_empty(), "a row without a test: {row}");
                rows += 1;
            }
        }
    }
    assert!(rows > 0, "no table");
    for (program, test) in named_tests(&page) {
        assert_eq!(missing(program, test), None);
    }
}

#[test]
fn the_tests_that_the_compatibility_page_names_exist() {
    check_page("docs/compatibility.md", "| | ");
}

#[test]
fn the_tests_that_the_security_page_names_exist() {
    check_page("SECURITY.md", "| attack ");
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert!(occurs("use tokio::io;", "tokio"));
    assert!(occurs("let x = Instant::now();", "Instant::now"));
    assert!(occurs("use http::Request;", "http::"));
    assert!(!occurs("use crate::my_http::Request;", "http::"));
    assert!(!occurs("unsafe_code", "unsafe"));
    assert_eq!(
        named_tests("| `Layer` | `grpc calls::a_b` or `serve c_d` | `cargo test --test` |"),
        [("grpc", "calls::a_b"), ("serve", "c_d")]
    );
    assert_eq!(code_of("call(\"// tokio\"); // tokio"), "call(); ");
    let planted = Source {
        path: "planted".into(),
        lines: vec![],
        code: vec!["use std::sync::Mutex;".into()],
    };
    let caught = std::panic::catch_unwind(|| forbid(&[planted], &["Mutex"]));
    assert!(caught.is_err());
    let nothing = std::panic::catch_unwind(|| sources(&["no/such/place"]));
    assert!(nothing.is_err());
}
