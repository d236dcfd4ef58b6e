//! The tokens of a container runtime: by themselves, and behind an axum `Router` over HTTP.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::any;
use spdy::kube::Tokens;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_token_is_redeemed_once() {
    let mut tokens = Tokens::new();
    let first = tokens.insert("first").unwrap();
    let second = tokens.insert("second").unwrap();
    assert_eq!((tokens.len(), tokens.is_empty()), (2, false));
    assert_eq!(tokens.redeem("nothing"), None);
    assert_eq!(tokens.redeem(""), None);
    assert_eq!(tokens.redeem(&first[..23]), None);
    assert_eq!(tokens.redeem(&second), Some("second"));
    assert_eq!(tokens.redeem(&second), None);
    assert_eq!(tokens.redeem(&first), Some("first"));
    assert!(tokens.is_empty());
}

#[test]
fn tokens_are_long_differ_and_need_no_escape_without_a_runtime_too() {
    let mut tokens = Tokens::new().capacity(usize::MAX);
    let all: HashSet<_> = (0..10_000).map(|n| tokens.insert(n).unwrap()).collect();
    assert_eq!(all.len(), 10_000);
    for token in all {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        assert!(token.len() == 24 && token.chars().all(safe), "{token}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_expires_and_its_value_is_dropped_at_the_next_call() {
    let mut tokens = Tokens::new();
    let value = Arc::new(());
    let (early, late) = (
        tokens.insert(Arc::clone(&value)).unwrap(),
        tokens.insert(Arc::clone(&value)).unwrap(),
    );
    tokio::time::advance(60 * SECOND - Duration::from_millis(1)).await;
    assert!(tokens.redeem(&early).is_some());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(tokens.redeem(&late).is_none());
    assert_eq!((tokens.len(), Arc::strong_count(&value)), (0, 1));

    let mut tokens = Tokens::new().lifetime(5 * SECOND);
    tokens.insert(Arc::clone(&value)).unwrap();
    tokio::time::advance(3 * SECOND).await;
    let second = tokens.insert(Arc::clone(&value)).unwrap();
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(Arc::strong_count(&value), 3);
    let third = tokens.insert(Arc::clone(&value)).unwrap();
    assert_eq!(Arc::strong_count(&value), 3, "one went, one came");
    assert!(tokens.redeem(&second).is_some() && tokens.redeem(&third).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_beyond_the_end_of_time_has_none() {
    let mut tokens = Tokens::new().lifetime(Duration::MAX).capacity(1);
    let token = tokens.insert(1).unwrap();
    let full = tokens.insert(2).unwrap_err();
    assert_eq!(full.retry_after(), Duration::MAX);
    tokio::time::advance(1_000_000 * SECOND).await;
    assert_eq!(tokens.redeem(&token), Some(1));
}

#[tokio::test(start_paused = true)]
async fn beyond_the_capacity_the_caller_is_to_come_again() {
    let mut tokens = Tokens::new();
    let first = tokens.insert(0).unwrap();
    tokio::time::advance(20 * SECOND).await;
    for n in 1..1000 {
        tokens.insert(n).unwrap();
    }
    let full = tokens.insert(1000).unwrap_err();
    assert_eq!(full.retry_after(), 40 * SECOND);
    assert!(full.to_string().contains("try again in 40 s"), "{full}");
    // A token that is redeemed, or expires, makes room for one.
    assert_eq!(tokens.redeem(&first), Some(0));
    tokens.insert(1000).unwrap();
    let full = tokens.insert(1001).unwrap_err();
    assert_eq!(full.retry_after(), 60 * SECOND);
    tokio::time::advance(full.retry_after()).await;
    for n in 0..1000 {
        tokens.insert(n).unwrap();
    }
    assert_eq!(tokens.len(), 1000);
    tokens.insert(1001).unwrap_err();
    assert!(Tokens::new().capacity(0).insert(1).is_err());
    let never = Tokens::new().capacity(0).lifetime(Duration::MAX).insert(1);
    assert!(never.unwrap_err().to_string().contains("try again in"));
}

#[test]
fn a_log_shows_no_token() {
    let mut tokens = Tokens::new();
    let token = tokens.insert("secret").unwrap();
    let shown = format!("{tokens:?}");
    assert!(shown.contains("len: 1"), "{shown}");
    assert!(!shown.contains(&token) && !shown.contains("secret"));
}

#[derive(Debug)]
enum Call {
    Exec(&'static str),
    Attach,
}

type Calls = Arc<Mutex<Tokens<Call>>>;

async fn exec(State(calls): State<Calls>, Path(token): Path<String>) -> Result<String, StatusCode> {
    let call = calls.lock().unwrap().redeem(&token);
    let Some(Call::Exec(command)) = call else {
        return Err(StatusCode::NOT_FOUND);
    };
    Ok(command.to_owned())
}

/// A runtime's server; its address.
async fn serve(calls: &Calls) -> std::net::SocketAddr {
    let app = Router::new()
        .route("/exec/{token}", any(exec))
        .with_state(Arc::clone(calls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move { axum::serve(listener, app).await });
    address
}

/// The status and the body that a server answers.
async fn call(address: std::net::SocketAddr, method: &str, token: &str) -> (u16, String) {
    let mut io = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} /exec/{token} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = io.read_to_string(&mut answer);
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, reading)
        .await
        .expect("an answer in time")
        .unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap().to_owned();
    (status, body)
}

#[tokio::test]
async fn a_url_works_once_for_get_and_post_and_for_what_it_was_given_out() {
    let calls = Calls::default();
    let address = serve(&calls).await;
    let insert = |call| calls.lock().unwrap().insert(call).unwrap();
    for method in ["GET", "POST"] {
        let token = insert(Call::Exec("date"));
        let answer = call(address, method, &token).await;
        assert_eq!(answer, (200, "date".to_owned()), "{method}");
        assert_eq!(call(address, method, &token).await.0, 404, "used");
        assert_eq!(call(address, method, "unknown").await.0, 404);
        let attach = insert(Call::Attach);
        assert_eq!(call(address, method, &attach).await.0, 404, "wrong kind");
        assert!(calls.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_url_that_has_expired_is_not_found() {
    let calls: Calls = Arc::new(Mutex::new(Tokens::new().lifetime(SECOND / 100)));
    let address = serve(&calls).await;
    let token = calls.lock().unwrap().insert(Call::Exec("date")).unwrap();
    tokio::time::sleep(SECOND / 50).await;
    assert_eq!(call(address, "POST", &token).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_calls_of_one_url_at_once_one_succeeds() {
    let calls = Calls::default();
    let address = serve(&calls).await;
    for round in 0..5 {
        let token = calls.lock().unwrap().insert(Call::Exec("date")).unwrap();
        let mut asking = tokio::task::JoinSet::new();
        for n in 0..20 {
            let token = token.clone();
            let method = if n % 2 == 0 { "GET" } else { "POST" };
            asking.spawn(async move { call(address, method, &token).await.0 });
        }
        let mut statuses = asking.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200, "round {round}");
        assert!(statuses[1..].iter().all(|status| *status == 404));
    }
}
