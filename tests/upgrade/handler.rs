//! `upgrade::on`: raw sessions from a handler.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request as AxumRequest;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::Request;
use hyper_util::rt::TokioIo;
use spdy::headers::HeaderBlock;
use spdy::stream::OpenOptions;
use spdy::upgrade::{self, Answer};
use spdy::{Body, Config, FlowControl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::spawn;

use crate::http_support::*;
use crate::support::*;

/// A handler as Kubernetes would write it: it negotiates a header of its own, and echoes every stream.
async fn exec(mut request: AxumRequest) -> Response {
    let upgrade = match upgrade::on(&mut request) {
        Ok(upgrade) => upgrade,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    if request.headers().get("x-stream-protocol-version").is_none() {
        return (StatusCode::FORBIDDEN, "unknown stream protocol").into_response();
    }
    let mut response = upgrade.response::<axum::body::Body>();
    let chosen = http::HeaderValue::from_static("v4.channel.k8s.io");
    response
        .headers_mut()
        .insert("x-stream-protocol-version", chosen);
    spawn(async move {
        let config = Config::server()
            .flow_control(FlowControl::Off)
            .announce_settings(false);
        let (session, connection) = upgrade.session(config).await.unwrap();
        spawn(connection);
        while let Ok(Some(incoming)) = session.accept().await {
            let mut stream = incoming.reply(HeaderBlock::empty()).unwrap();
            spawn(async move {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.unwrap();
                stream.write_all(&all).await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    response
}

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/exec/{pod}", any(exec));
    spawn(axum::serve(listener, app).into_future());
    address
}

#[tokio::test]
async fn a_handler_gets_the_raw_session_and_negotiates_itself() {
    let address = serve().await;
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let request = Request::post(format!("http://{address}/exec/a?command=date"))
        .header("x-stream-protocol-version", "v4.channel.k8s.io")
        .body(empty())
        .unwrap();
    let switched = upgrade::connect(io, request)
        .await
        .unwrap()
        .switched()
        .unwrap();
    let chosen = &switched.response().headers()["x-stream-protocol-version"];
    assert_eq!(chosen, "v4.channel.k8s.io");
    let config = Config::client()
        .flow_control(FlowControl::Off)
        .announce_settings(false);
    let (session, connection) = switched.into_session(config);
    spawn(connection);
    for text in ["first", "second"] {
        let headers = block(&[("streamtype", "stdin")]);
        let mut stream = session.open(headers, OpenOptions::new()).await.unwrap();
        within("the reply", stream.reply()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut echo = String::new();
        within("the echo", stream.read_to_string(&mut echo))
            .await
            .unwrap();
        assert_eq!(echo, text);
    }
}

#[tokio::test]
async fn a_handler_that_refuses_is_an_ordinary_answer() {
    let address = serve().await;
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let request = Request::post(format!("http://{address}/exec/a"))
        .body(empty())
        .unwrap();
    let Answer::Refused(response) = upgrade::connect(io, request).await.unwrap() else {
        panic!("there is no stream protocol");
    };
    assert_eq!(response.status(), 403);
    assert_eq!(
        bytes_of(response.into_body()).await,
        "unknown stream protocol"
    );
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_told_what_is_missing() {
    let address = serve().await;
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    spawn(connection);
    for (lines, says) in [
        (&[][..], "got no upgrade header"),
        (
            &[("upgrade", "websocket"), ("connection", "upgrade")],
            "got upgrade: websocket",
        ),
        (
            &[("upgrade", "SPDY/3.1"), ("connection", "keep-alive")],
            "got connection: keep-alive",
        ),
    ] {
        let mut request = Request::post("/exec/a").header("host", "a");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let response = send
            .send_request(request.body(empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), 400);
        let text = bytes_of(Body::new(response.into_body())).await;
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(
            text.contains("expected Connection: Upgrade and Upgrade: SPDY/3.1"),
            "{text}"
        );
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn a_request_that_no_server_can_upgrade_is_a_user_error() {
    let mut request = Request::get("/")
        .header("connection", "upgrade")
        .header("upgrade", "spdy/3.1")
        .body(Body::empty())
        .unwrap();
    let error = upgrade::on(&mut request).unwrap_err();
    assert!(error.is_user(), "{error}");
    assert!(error.to_string().contains("not served by hyper"), "{error}");
}
