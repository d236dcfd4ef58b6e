//! Dropping.

use super::*;

#[tokio::test(start_paused = true)]
async fn halves_dropped_in_every_order_and_state_end_the_stream() {
    #[derive(Clone, Copy, Debug)]
    enum When {
        Unsent,
        Sent,
        Replied,
        PeerEnded,
        WeEnded,
        Unread,
    }
    use When::*;
    for when in [Unsent, Sent, Replied, PeerEnded, WeEnded, Unread] {
        for send_first in [true, false] {
            let (session, _driver, mut peer) = ready_client(Config::client()).await;
            if matches!(when, Unsent) {
                peer.send(settings().set(SettingId::MaxConcurrentStreams, 0))
                    .await;
                settle().await;
            }
            let mut stream = open(&session).await;
            if !matches!(when, Unsent) {
                peer.expect(syn_stream(1)).await;
            }
            if !matches!(when, Unsent | Sent) {
                peer.send(syn_reply(1)).await;
                stream.reply().await.unwrap();
            }
            match when {
                PeerEnded => peer.send(data(1, "x").fin()).await,
                Unread => peer.send(data(1, "unread")).await,
                WeEnded => {
                    stream.shutdown().await.unwrap();
                    peer.expect(data(1, "").fin()).await;
                }
                _ => {}
            }
            settle().await;
            let (send, recv) = stream.split();
            if send_first {
                drop(send);
                drop(recv);
            } else {
                drop(recv);
                drop(send);
            }
            if matches!(when, Unsent) {
                peer.expect_quiet().await;
            } else {
                peer.expect(rst(1, ResetStatus::CANCEL)).await;
            }
            assert_eq!(session.stream_count(), 0, "{when:?}");
            assert_eq!(session.unread_bytes(), 0, "{when:?}");
            assert_alive(&session, &mut peer).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_sender_never_looks_like_a_clean_end() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let stream = accepted(&session, &mut peer, 1).await;
    let (mut send, mut recv) = stream.split();
    send.write_all(b"half").await.unwrap();
    peer.expect(data(1, "half")).await;
    drop(send);
    peer.expect(rst(1, ResetStatus::CANCEL)).await;
    let error = within("read", recv.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_finished_sender_may_be_dropped_before_its_bytes_are_sent() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let stream = accepted(&session, &mut peer, 1).await;
    let (mut send, mut recv) = stream.split();
    peer.wire().set_out_capacity(0);
    send.write_all(b"all of it").await.unwrap();
    send.finish().unwrap();
    drop(send);
    peer.wire().set_out_capacity(usize::MAX);
    peer.expect(data(1, "all of it").fin()).await;
    peer.send(data(1, "ok").fin()).await;
    let mut bytes = Vec::new();
    within("read", recv.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, b"ok");
    drop(recv);
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn streams_that_both_sides_have_abandoned_end() {
    let config = |config: Config| config.initial_stream_window_size(1000);
    let ((client, a), (server, b)) = pair(config(Config::client()), config(Config::server()));
    spawn(a);
    spawn(b);
    let mut left = open(&client).await;
    let incoming = within("accept", server.accept()).await.unwrap().unwrap();
    let right = incoming.reply(HeaderBlock::empty()).unwrap();
    // Both write more than the window of the other, end their direction, and go.
    within("reply", left.reply()).await.unwrap();
    settle().await;
    for stream in [left, right] {
        let (mut send, recv) = stream.split();
        send.send(Bytes::from(vec![1; 5000])).await.unwrap();
        send.finish().unwrap();
        drop(recv);
    }
    settle().await;
    assert_eq!((client.stream_count(), server.stream_count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_can_be_taken_up_again() {
    let (session, _driver, mut peer) = ready_server(Config::server()).await;
    let wait = Duration::from_millis(1);
    for _ in 0..3 {
        assert!(tokio::time::timeout(wait, session.accept()).await.is_err());
    }
    let mut stream = accepted(&session, &mut peer, 1).await;
    let mut buf = [0; 3];
    for _ in 0..3 {
        let read = tokio::time::timeout(wait, stream.read_exact(&mut buf)).await;
        assert!(read.is_err());
    }
    peer.send(data(1, "abc")).await;
    within("read", stream.read_exact(&mut buf)).await.unwrap();
    assert_eq!(&buf, b"abc");
}

#[tokio::test(start_paused = true)]
async fn every_task_that_accepts_learns_of_the_end() {
    let (session, driver, mut peer) = ready_server(Config::server()).await;
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let session = session.clone();
            spawn(async move { session.accept().await.map(|incoming| incoming.is_none()) })
        })
        .collect();
    settle().await;
    session.shutdown();
    peer.expect(go_away(0x7fff_ffff, GoAwayStatus::OK)).await;
    let Some(Frame::Ping(id)) = peer.recv().await else {
        panic!("no PING");
    };
    peer.send(ping(id)).await;
    for task in tasks {
        assert!(within("accept", task).await.unwrap().unwrap());
    }
    peer.close();
    within("the connection", driver).await.unwrap().unwrap();
    assert!(session.accept().await.unwrap().is_none());
}

/// A waker that owns the future of its task, as in executors that keep a waiting task in its wakers alone.
mod owning_waker {
    use super::*;
    use std::sync::Mutex;
    use std::task::{Context, Wake, Waker};

    struct Task {
        stream: Mutex<Option<Stream>>,
    }

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_waker_that_owns_a_stream_may_be_dropped_by_the_session() {
        let (session, _driver, mut peer) = ready_client(Config::client()).await;
        let mut reader = replied(&session, &mut peer, 1).await;
        let owned = replied(&session, &mut peer, 3).await;
        let task = Arc::new(Task {
            stream: Mutex::new(Some(owned)),
        });
        let waker = Waker::from(Arc::clone(&task));
        let mut cx = Context::from_waker(&waker);
        assert!(reader.recv_half().poll_data(&mut cx).is_pending());
        drop(waker);
        assert!(task.stream.lock().unwrap().is_some());
        drop(task);
        // The session holds the last waker, and replaces it: the stream inside is dropped with it.
        let mut cx = Context::from_waker(Waker::noop());
        assert!(reader.recv_half().poll_data(&mut cx).is_pending());
        peer.expect(rst(3, ResetStatus::CANCEL)).await;
    }
}

/// A payload whose owner looks at the session while it is dropped, as an accounting pool might.
struct Curious(Session, Arc<std::sync::atomic::AtomicUsize>);

impl AsRef<[u8]> for Curious {
    fn as_ref(&self) -> &[u8] {
        b"ten bytes."
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        let _ = self.0.stats();
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn payloads_are_dropped_where_the_session_can_be_used() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let stream = replied(&session, &mut peer, 1).await;
    let (mut send, _recv) = stream.split();
    let dropped = Arc::default();
    let payload = || Bytes::from_owner(Curious(session.clone(), Arc::clone(&dropped)));
    within("send", send.send(payload())).await.unwrap();
    send.finish().unwrap();
    assert!(
        send.send(payload()).await.is_err(),
        "refused behind the end"
    );
    peer.expect_data(1, 10).await;
    settle().await;
    assert_eq!(dropped.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn an_accept_that_moves_between_tasks_leaves_no_waker_behind() {
    struct Task;
    impl std::task::Wake for Task {
        fn wake(self: std::sync::Arc<Self>) {}
    }

    let (session, _connection, _peer) = server(Config::server());
    let tasks: Vec<_> = (0..10).map(|_| std::sync::Arc::new(Task)).collect();
    let mut accept = Box::pin(session.accept());
    for task in &tasks {
        let waker = std::task::Waker::from(std::sync::Arc::clone(task));
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(accept.as_mut().poll(&mut cx).is_pending());
    }
    let held = |task: &std::sync::Arc<Task>| std::sync::Arc::strong_count(task) - 1;
    let (last, earlier) = tasks.split_last().unwrap();
    assert!(held(last) > 0);
    assert!(earlier.iter().all(|task| held(task) == 0));
    drop(accept);
    assert_eq!(held(last), 0);
}
