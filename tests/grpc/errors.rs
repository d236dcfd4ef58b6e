//! Statuses, and what becomes of ours.

use std::error::Error as _;

use http_body_util::BodyExt;
use spdy::frame::ResetStatus;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tower::ServiceBuilder;

use super::service::{DETAILS, MESSAGE};
use super::*;

#[track_caller]
fn expect_failure(status: &Status) {
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), MESSAGE);
    assert_eq!(status.details(), DETAILS);
    assert_eq!(status.metadata().get("x-why").unwrap(), "because");
    let bytes = status.metadata().get_bin("x-why-bin").unwrap();
    assert_eq!(&bytes.to_bytes().unwrap()[..], DETAILS);
}

#[tokio::test(start_paused = true)]
async fn a_failure_without_any_note_is_one_frame() {
    let (_server, mut client, send) = notes().await;
    let status = within("the answer", client.unary(Note::text("fail")));
    expect_failure(&status.await.unwrap_err());
    let received = send.stats().received;
    assert_eq!((received.syn_reply, received.headers), (1, 0));
    assert_eq!((received.data, received.rst_stream), (0, 0));
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_behind_notes_is_in_the_trailers() {
    for count in [0, 1, 1000] {
        let (_server, mut client, send) = notes().await;
        let notes = client.download(Note::new("fail", count));
        let mut notes = within("the head", notes).await.unwrap().into_inner();
        for n in 0..count {
            let note = within("a note", notes.message()).await.unwrap();
            assert_eq!(note, Some(Note::new("one of many", n)));
        }
        expect_failure(&within("the status", notes.message()).await.unwrap_err());
        assert_eq!(send.stats().received.headers, 1);
        drop(notes);
        expect_idle_and_alive(&send).await;
    }
}

/// The rest of an upload that has been answered is not waited for.
#[tokio::test(start_paused = true)]
async fn a_failure_in_the_middle_of_an_upload_ends_it() {
    let (server, mut client, send) = notes().await;
    let (feed, notes) = mpsc::channel(1);
    feed.send(Note::text("fail")).await.unwrap();
    let answer = client.upload(ReceiverStream::new(notes));
    expect_failure(&within("the answer", answer).await.unwrap_err());
    within("the end of the upload", feed.closed()).await;
    expect_idle_and_alive(&send).await;
    assert_eq!(server.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_middle_of_a_talk_ends_it() {
    let (server, mut client, send) = notes().await;
    let (feed, notes) = mpsc::channel(1);
    let answers = client.talk(ReceiverStream::new(notes));
    let mut answers = within("the head", answers).await.unwrap().into_inner();
    feed.send(Note::text("one")).await.unwrap();
    let answer = within("the answer", answers.message()).await.unwrap();
    assert_eq!(answer, Some(Note::new("one", 1)));
    feed.send(Note::text("fail")).await.unwrap();
    expect_failure(&within("the status", answers.message()).await.unwrap_err());
    drop(answers);
    within("the end of the upload", feed.closed()).await;
    expect_idle_and_alive(&send).await;
    assert_eq!(server.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_mounted_is_unimplemented() {
    let send = connect(Routes::default()).await;
    let mut client = client_on(&send);
    let status = client.unary(Note::text("x"));
    let status = within("the answer", status).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

/// tonic's own channel adds the origin; nobody does here.
#[tokio::test(start_paused = true)]
async fn a_client_without_an_origin_is_told_what_is_missing() {
    let (_server, _client, send) = notes().await;
    let mut client = NotesClient::new(send);
    let status = within("the answer", client.unary(Note::text("x"))).await;
    let status = status.unwrap_err();
    let ours = ours(&status);
    assert!(ours.is_user(), "{ours:?}");
    assert!(ours.to_string().contains("authority"), "{ours}");
}

/// Our error behind a status.
fn ours(status: &Status) -> spdy::Error {
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(ours) = error.downcast_ref::<spdy::Error>() {
            return ours.clone();
        }
        source = error.source();
    }
    panic!("no error of ours behind {status:?}");
}

/// A download of which one note has arrived, from a server that then disappears.
async fn cut_off<S>(
    mut client: NotesClient<S>,
    server: tokio::task::JoinHandle<spdy::Result<()>>,
) -> Status
where
    S: tonic::client::GrpcService<GrpcBody>,
    S::Error: Into<BoxError>,
    S::ResponseBody: http_body::Body<Data = bytes::Bytes> + std::marker::Send + 'static,
    <S::ResponseBody as http_body::Body>::Error: Into<BoxError> + std::marker::Send,
{
    let notes = client.download(Note::new("stuck", 1));
    let mut notes: Streaming<Note> = within("the head", notes).await.unwrap().into_inner();
    within("a note", notes.message()).await.unwrap().unwrap();
    server.abort();
    within("the error", notes.message()).await.unwrap_err()
}

async fn mortal() -> (Send, tokio::task::JoinHandle<spdy::Result<()>>) {
    let service = TowerToHyperService::new(routes(&Server::default()));
    let (a, b) = tokio::io::duplex(64 * 1024);
    let server = spawn(
        spdy::server::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(b), service),
    );
    let (send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(a))
        .await
        .unwrap();
    spawn(connection);
    (send, server)
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_an_unknown_status_with_our_error_behind_it() {
    let (send, server) = mortal().await;
    let status = cut_off(client_on(&send), server).await;
    // tonic knows the errors of hyper and h2 only.
    assert_eq!(status.code(), Code::Unknown);
    assert!(ours(&status).is_closed(), "{status:?}");
}

/// What gRPC has for our errors, as tonic does for those of h2.
fn status_of(error: spdy::Error) -> Status {
    let code = match error.reset_status() {
        Some(ResetStatus::CANCEL) => Code::Cancelled,
        Some(ResetStatus::REFUSED_STREAM) => Code::Unavailable,
        Some(_) => Code::Internal,
        None if error.is_closed() || error.is_go_away() || error.is_retryable() => {
            Code::Unavailable
        }
        None if error.is_canceled() => Code::Cancelled,
        None => Code::Unknown,
    };
    let mut status = Status::new(code, error.to_string());
    status.set_source(std::sync::Arc::new(error));
    status
}

#[tokio::test(start_paused = true)]
async fn a_layer_makes_our_errors_the_statuses_of_grpc() {
    let (send, server) = mortal().await;
    let service = ServiceBuilder::new()
        .map_err(status_of)
        .map_response(|response: http::Response<spdy::Body>| {
            response.map(|body| body.map_err(status_of))
        })
        .service(send);
    let origin: http::Uri = "http://a".parse().unwrap();
    let status = cut_off(
        NotesClient::with_origin(service.clone(), origin.clone()),
        server,
    )
    .await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(ours(&status).is_closed(), "{status:?}");

    // A connection that is gone is found out by readiness, which generated clients call Unknown.
    let mut client = NotesClient::with_origin(service, origin);
    let status = within("the answer", client.unary(Note::text("x"))).await;
    assert_eq!(status.unwrap_err().code(), Code::Unknown);
}
