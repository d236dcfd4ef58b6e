//! The four kinds of calls.

use bytes::Bytes;
use futures_util::future::{join_all, poll_immediate};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;

const BIG: usize = 4 << 20;

#[tokio::test]
async fn routes_are_served_by_serve_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = spdy::serve(listener, routes(&Server::default()))
        .with_graceful_shutdown(async { drop(stopped.await) });
    let serving = spawn(serving.into_future());
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (send, connection) = client::handshake(TokioExecutor::new(), io).await.unwrap();
    spawn(connection);
    let origin = format!("http://{address}").parse().unwrap();
    let mut client = NotesClient::with_origin(send, origin);
    let answer = within("the answer", client.unary(Note::new("hello", 41)));
    assert_eq!(answer.await.unwrap().into_inner(), Note::new("hello", 42));
    let notes = client.download(Note::new("", 100));
    let mut notes = within("the notes", notes).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(note) = within("a note", notes.message()).await.unwrap() {
        assert_eq!(note.number, count);
        count += 1;
    }
    assert_eq!(count, 100);
    stop.send(()).unwrap();
    within("the server", serving).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_is_answered_with_a_status_in_the_trailers() {
    let (server, mut client, send) = notes().await;
    let answer = within("the answer", client.unary(Note::new("hello", 41)));
    let answer = answer.await.unwrap();
    // tonic hands on the trailers together with the metadata.
    assert_eq!(answer.metadata().get("grpc-status").unwrap(), "0");
    assert_eq!(answer.into_inner(), Note::new("hello", 42));
    let received = send.stats().received;
    assert_eq!((received.syn_reply, received.headers), (1, 1));
    expect_idle_and_alive(&send).await;
    assert_eq!(server.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_note_of_a_download_arrives_before_the_next_is_made() {
    let (server, mut client, send) = notes().await;
    let notes = client.download(Note::new("on demand", 10));
    let mut notes = within("the head", notes).await.unwrap().into_inner();
    for n in 0..10 {
        let mut next = std::pin::pin!(notes.message());
        let early = poll_immediate(&mut next).await;
        assert!(early.is_none(), "note {n} came before it was made");
        server.permits.add_permits(1);
        let note = within("the note", next).await.unwrap().unwrap();
        assert_eq!(note, Note::new("one of many", n));
    }
    server.permits.add_permits(1);
    assert_eq!(within("the end", notes.message()).await.unwrap(), None);
    let trailers = within("the trailers", notes.trailers()).await.unwrap();
    assert!(trailers.is_some());
    drop(notes);
    expect_idle_and_alive(&send).await;
    assert_eq!(server.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_download_of_many_notes_arrives_whole_and_in_order() {
    let (_server, mut client, send) = notes().await;
    let notes = client.download(Note::new("", 20_000));
    let mut notes = within("the head", notes).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(note) = within("a note", notes.message()).await.unwrap() {
        assert_eq!(note.number, count);
        count += 1;
    }
    assert_eq!(count, 20_000);
    drop(notes);
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_answered_at_its_end() {
    let (_server, mut client, send) = notes().await;
    let (feed, notes) = mpsc::channel(1);
    let mut answer = std::pin::pin!(client.upload(ReceiverStream::new(notes)));
    for n in 0..100 {
        let sent = feed.send(Note::new("one of many", n));
        tokio::select! {
            sent = sent => sent.unwrap(),
            early = &mut answer => panic!("answered before the end: {early:?}"),
        }
    }
    drop(feed);
    let answer = within("the answer", answer).await.unwrap().into_inner();
    assert_eq!(answer, Note::new("100 notes, 0 bytes", 4950));
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_upload_is_answered() {
    let (_server, mut client, _send) = notes().await;
    let answer = client.upload(tokio_stream::empty());
    let answer = within("the answer", answer).await.unwrap().into_inner();
    assert_eq!(answer, Note::new("0 notes, 0 bytes", 0));
}

#[tokio::test(start_paused = true)]
async fn each_side_of_a_talk_waits_for_the_other() {
    let (server, mut client, send) = notes().await;
    let (feed, notes) = mpsc::channel(1);
    let answers = client.talk(ReceiverStream::new(notes));
    // The head arrives before anything was said.
    let mut answers = within("the head", answers).await.unwrap().into_inner();
    for n in 0..100 {
        feed.send(Note::new(format!("note {n}"), n)).await.unwrap();
        let answer = within("the answer", answers.message()).await.unwrap();
        assert_eq!(answer, Some(Note::new(format!("note {n}"), n + 1)));
    }
    drop(feed);
    assert_eq!(within("the end", answers.message()).await.unwrap(), None);
    drop(answers);
    expect_idle_and_alive(&send).await;
    assert_eq!(server.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_note_of_four_mebibytes_passes_both_ways() {
    let server = Server::default();
    let service = NotesServer::new(server)
        .max_decoding_message_size(2 * BIG)
        .max_encoding_message_size(2 * BIG);
    let send = connect(Routes::new(service)).await;
    let mut client = client_on(&send).max_decoding_message_size(2 * BIG);
    let note = Note {
        payload: pattern(0, BIG),
        ..Note::text("big")
    };
    let answer = within("the answer", client.unary(note)).await.unwrap();
    assert!(
        answer.into_inner().payload == pattern(0, BIG),
        "other bytes"
    );
    let upload = (0..3).map(|_| Note {
        payload: Bytes::from(vec![1; BIG]),
        ..Note::default()
    });
    let upload = tokio_stream::iter(upload.collect::<Vec<_>>());
    let answer = within("the answer", client.upload(upload)).await.unwrap();
    assert_eq!(
        answer.into_inner().text,
        format!("3 notes, {} bytes", 3 * BIG)
    );
    expect_idle_and_alive(&send).await;
}

#[tokio::test(start_paused = true)]
async fn a_note_beyond_tonics_limit_is_refused_and_the_connection_lives() {
    let (server, mut client, send) = notes().await;
    let note = Note {
        payload: Bytes::from(vec![1; BIG]),
        ..Note::text("big")
    };
    let status = within("the answer", client.unary(note)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    expect_idle_and_alive(&send).await;
    assert_eq!(server.alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn fifty_calls_run_at_once_on_one_connection() {
    let (server, client, send) = notes().await;
    // Each waits at the server for all others.
    let calls = (0..50).map(|n| {
        let mut client = client.clone();
        async move { client.unary(Note::new("together", n)).await }
    });
    let answers = within("all answers", join_all(calls)).await;
    for (n, answer) in (1..).zip(answers) {
        assert_eq!(answer.unwrap().into_inner().number, n);
    }
    assert_eq!(send.stats().sent.syn_stream, 50);
    expect_idle_and_alive(&send).await;
    assert_eq!(server.alive.count(), 0);
}
