//! A call that is dropped at the client ends at the server.

use futures_util::future::poll_immediate;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;

/// The call runs at the server; after `drop` it does not.
async fn expect_cancelled<T>(server: &Server, send: &Send, call: T) {
    settle().await;
    assert_eq!(server.alive.count(), 1, "the call runs at the server");
    drop(call);
    settle().await;
    assert_eq!(server.alive.count(), 0, "it ended");
    assert_eq!(send.stats().sent.rst_stream, 1);
    expect_idle_and_alive(send).await;
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_that_is_dropped_drops_its_handler() {
    let (server, mut client, send) = notes().await;
    let mut call = Box::pin(async move { client.unary(Note::text("stuck")).await });
    assert!(poll_immediate(&mut call).await.is_none());
    expect_cancelled(&server, &send, call).await;
}

#[tokio::test(start_paused = true)]
async fn a_download_that_is_dropped_drops_its_stream() {
    for text in ["stuck", "on demand"] {
        let (server, mut client, send) = notes().await;
        server.permits.add_permits(3);
        let notes = client.download(Note::new(text, 3));
        let mut notes = within("the head", notes).await.unwrap().into_inner();
        for _ in 0..3 {
            within("a note", notes.message()).await.unwrap().unwrap();
        }
        expect_cancelled(&server, &send, notes).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_waits_for_its_window_is_dropped_too() {
    let (server, mut client, send) = notes().await;
    let notes = client.download(Note::new("", u32::MAX));
    let notes = within("the head", notes).await.unwrap().into_inner();
    expect_cancelled(&server, &send, notes).await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_dropped_drops_its_handler() {
    let (server, mut client, send) = notes().await;
    let (feed, notes) = mpsc::channel(1);
    feed.send(Note::text("one")).await.unwrap();
    let mut call = Box::pin(async move { client.upload(ReceiverStream::new(notes)).await });
    assert!(poll_immediate(&mut call).await.is_none());
    expect_cancelled(&server, &send, call).await;
    assert!(feed.is_closed());
}

/// The handler itself is long done; the task that it left reads the end from its stream of notes.
#[tokio::test(start_paused = true)]
async fn a_talk_that_is_dropped_ends_the_task_of_its_handler() {
    let (server, mut client, send) = notes().await;
    let (feed, notes) = mpsc::channel(1);
    let answers = client.talk(ReceiverStream::new(notes));
    let mut answers = within("the head", answers).await.unwrap().into_inner();
    feed.send(Note::text("one")).await.unwrap();
    within("the answer", answers.message())
        .await
        .unwrap()
        .unwrap();
    expect_cancelled(&server, &send, answers).await;
    within("the end of the upload", feed.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_ends_every_call_at_the_server() {
    let server = Server::default();
    let (a, b) = tokio::io::duplex(64 * 1024);
    let service = TowerToHyperService::new(routes(&server));
    let serving = spawn(
        spdy::server::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(b), service),
    );
    let (send, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(a))
        .await
        .unwrap();
    let driver = spawn(connection);
    let (mut unary, mut download) = (client_on(&send), client_on(&send));
    let unary = spawn(async move { unary.unary(Note::text("stuck")).await.unwrap_err() });
    let notes = download.download(Note::new("stuck", 0));
    let _notes = within("the head", notes).await.unwrap();
    settle().await;
    assert_eq!(server.alive.count(), 2);
    driver.abort();
    within("the server", serving).await.unwrap().unwrap_err();
    within("the call", unary).await.unwrap();
    settle().await;
    assert_eq!(server.alive.count(), 0);
}
