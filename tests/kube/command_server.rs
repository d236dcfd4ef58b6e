//! The server of `exec` and `attach`, against a scripted client.

use std::io::ErrorKind;

use spdy::frame::{Frame, GoAwayStatus, SettingId};
use spdy::kube::Status;
use spdy::kube::remote_command::{Exit, Server, TerminalSize};
use spdy::{FlowControl, Timeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const ALL: [&str; 4] = ["error", "stdin", "stdout", "stderr"];

#[tokio::test(start_paused = true)]
async fn the_set_is_complete_in_whatever_order_it_comes() {
    for order in [
        ["error", "stdin", "stdout", "stderr"],
        ["stderr", "stdout", "stdin", "error"],
        ["stdin", "error", "stderr", "stdout"],
    ] {
        let (session, _running, mut peer) = kubelet();
        let accepting = accepting(&session, Version::V4, EXEC_I);
        for (at, (kind, stream)) in order.iter().zip((1..).step_by(2)).enumerate() {
            settle().await;
            assert!(!accepting.is_finished(), "{at} of {order:?} are enough");
            peer.send(typed(stream, kind)).await;
            // An empty block and no FIN, before anything else.
            peer.expect(syn_reply(stream)).await;
        }
        let streams = within("accept", accepting).await.unwrap().unwrap();
        assert!(streams.stdin.is_some() && streams.stdout.is_some() && streams.stderr.is_some());
        assert!(streams.resize.is_none());
        drop(streams);
    }
}

#[tokio::test(start_paused = true)]
async fn a_terminal_has_a_resize_stream_since_v3_and_no_stderr() {
    let with_stderr = Streams {
        stderr: true,
        ..EXEC_IT
    };
    for streams in [EXEC_IT, with_stderr] {
        let kinds = ["error", "stdin", "stdout", "resize"];
        let (streams, ..) = started(Version::V3, streams, &kinds).await;
        assert!(streams.stderr.is_none() && streams.resize.is_some());
    }
    let (streams, ..) = started(Version::V2, EXEC_IT, &["error", "stdin", "stdout"]).await;
    assert!(streams.resize.is_none());
    let none = Streams::default();
    let (streams, ..) = started(Version::V1, none, &["error"]).await;
    assert!(streams.stdin.is_none() && streams.stdout.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_set_that_stays_incomplete_is_told_and_the_connection_closed() {
    let (session, running, mut peer) = kubelet();
    let accepting = accepting(&session, Version::V4, EXEC_I);
    open_all(&mut peer, &["error", "stdin"]).await;
    let start = tokio::time::Instant::now();
    let error = within("accept", accepting).await.unwrap().unwrap_err();
    assert_eq!(start.elapsed(), 30 * SECOND);
    assert_eq!(error.timeout_kind(), Some(Timeout::Streams));
    assert!(
        error.to_string().contains("within 30s: stdout, stderr"),
        "{error}"
    );

    // The client hears why, on the stream that it has, and then the end.
    let mut text = Vec::new();
    let mut others = Vec::new();
    for frame in rest(&mut peer).await {
        match frame {
            Frame::Data(data) if data.id.get() == 1 => text.extend_from_slice(&data.payload),
            other => others.push(other),
        }
    }
    let status = Status::from_json(&text).unwrap();
    assert_eq!(status.reason, "InternalError");
    assert!(status.message.contains("stdout, stderr"), "{status:?}");
    let expected: [Frame; 2] = [cancel(3).into(), go_away(3, GoAwayStatus::OK).into()];
    assert_eq!(others, expected);
    drop(peer);
    drop(session);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_opens_nothing_or_no_error_stream_is_given_up_as_well() {
    let (session, running, mut peer) = kubelet();
    let server = Server::new(Version::V4, EXEC_I).stream_timeout(5 * SECOND);
    let error = within("accept", server.accept(&session)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("within 5s: error, stdin, stdout, stderr"),
        "{error}"
    );
    // Nothing may be said to a client that has said nothing; it sees the end.
    assert_eq!(rest(&mut peer).await, []);
    drop(peer);
    outcome(running).await.unwrap();

    let (session, _running, mut peer) = kubelet();
    let accepting = accepting(&session, Version::V4, EXEC_I);
    open_all(&mut peer, &["stdout"]).await;
    within("accept", accepting).await.unwrap().unwrap_err();
    peer.expect(cancel(1)).await;
    peer.expect(go_away(1, GoAwayStatus::OK)).await;
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_before_the_set_is_complete_is_an_error_at_once() {
    let (session, running, mut peer) = kubelet();
    let accepting = accepting(&session, Version::V4, EXEC_I);
    open_all(&mut peer, &["error"]).await;
    peer.wire().shut_in();
    let error = within("accept", accepting).await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
    outcome(running).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn streams_of_other_types_are_replied_to_and_ignored() {
    let (session, _running, mut peer) = kubelet();
    let accepting = accepting(&session, Version::V4, EXEC_I);
    open_all(&mut peer, &["error", "stdin"]).await;
    for (stream, name) in [(5, "video"), (7, "resize"), (9, "Error"), (11, "")] {
        peer.send(typed(stream, name)).await;
        peer.expect(syn_reply(stream)).await;
        peer.expect(data(stream, "").fin()).await;
        peer.send(data(stream, "what it has to say")).await;
    }
    peer.send(syn_stream(13)).await;
    peer.expect(syn_reply(13)).await;
    peer.expect(data(13, "").fin()).await;
    assert!(!accepting.is_finished());
    for (stream, kind) in [(15, "stdout"), (17, "stderr")] {
        peer.send(typed(stream, kind)).await;
        peer.expect(syn_reply(stream)).await;
    }
    let streams = within("accept", accepting).await.unwrap().unwrap();
    assert_eq!(
        session.unread_bytes(),
        0,
        "what nobody reads holds nothing up"
    );
    drop(streams);
}

#[tokio::test(start_paused = true)]
async fn a_second_stream_of_a_type_is_reset_and_the_first_one_counts() {
    let (session, _running, mut peer) = kubelet();
    let accepting = accepting(&session, Version::V4, EXEC_I);
    open_all(&mut peer, &["error", "stdin"]).await;
    peer.send(typed(5, "stdin")).await;
    peer.expect(cancel(5)).await;
    for (stream, kind) in [(7, "stdout"), (9, "stderr")] {
        peer.send(typed(stream, kind)).await;
        peer.expect(syn_reply(stream)).await;
    }
    let streams = within("accept", accepting).await.unwrap().unwrap();
    peer.send(data(3, "first").fin()).await;
    let mut text = String::new();
    streams
        .stdin
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert_eq!(text, "first");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_its_client_takes_back_can_come_again() {
    let (session, _running, mut peer) = kubelet();
    let accepting = accepting(&session, Version::V4, EXEC_I);
    open_all(&mut peer, &["error"]).await;
    let mut both = peer.encode(typed(3, "stdin")).to_vec();
    both.extend_from_slice(&peer.encode(cancel(3)));
    peer.send_raw(both).await;
    settle().await;
    for (stream, kind) in [(5, "stdin"), (7, "stdout"), (9, "stderr")] {
        peer.send(typed(stream, kind)).await;
        peer.expect(syn_reply(stream)).await;
    }
    within("accept", accepting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn further_streams_are_refused_once_the_set_is_complete() {
    let (_streams, session, _running, mut peer) = started(Version::V4, EXEC_I, &ALL).await;
    for stream in [9, 11] {
        peer.send(typed(stream, "stdout")).await;
        peer.expect(rst(stream, ResetStatus::REFUSED_STREAM)).await;
        peer.send(data(stream, "x")).await;
    }
    assert_eq!(session.unread_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_command_ends_with_its_outputs_its_outcome_and_goaway_in_this_order() {
    let (streams, session, running, mut peer) = started(Version::V4, EXEC_I, &ALL).await;
    let (mut stdout, mut stderr) = (streams.stdout.unwrap(), streams.stderr.unwrap());
    stdout.write_all(b"out").await.unwrap();
    stderr.write_all(b"err").await.unwrap();
    peer.expect(data(5, "out")).await;
    peer.expect(data(7, "err")).await;
    stdout.shutdown().await.unwrap();
    stderr.shutdown().await.unwrap();
    within("finish", streams.exit.finish(Exit::Code(0)))
        .await
        .unwrap();
    peer.expect(data(5, "").fin()).await;
    peer.expect(data(7, "").fin()).await;
    let status = r#"{"metadata":{},"status":"Success"}"#;
    assert_eq!(text_of(&mut peer, 1).await, status);
    // The client may still write: it gets no answer, and no reset of what has ended.
    peer.send(data(3, "late")).await;
    peer.expect(cancel(3)).await;
    peer.expect(go_away(7, GoAwayStatus::OK)).await;
    peer.expect_end().await;
    assert!(session.is_closing());
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_json_since_v4_and_text_before() {
    let failure = |text: &str| Exit::Failed(text.to_owned());
    for (version, exit, says) in [
        (Version::V4, Exit::Code(0), "Success"),
        (Version::V4, Exit::Code(3), "NonZeroExitCode 3"),
        (Version::V5, Exit::Code(255), "NonZeroExitCode 255"),
        (
            Version::V4,
            failure("no such container"),
            "InternalError no such container",
        ),
        (Version::V3, Exit::Code(0), ""),
        (
            Version::V2,
            Exit::Code(3),
            "command terminated with non-zero exit code: exit code 3",
        ),
        (
            Version::V1,
            failure("no such container"),
            "no such container",
        ),
    ] {
        let (streams, _session, _running, mut peer) =
            started(version, Streams::default(), &["error"]).await;
        within("finish", streams.exit.finish(exit.clone()))
            .await
            .unwrap();
        let text = text_of(&mut peer, 1).await;
        let said = match Status::from_json(text.as_bytes()) {
            Some(status) => {
                assert_eq!(
                    status.code,
                    (status.reason == "InternalError").then_some(500)
                );
                match status.causes.first() {
                    Some(cause) => {
                        assert_eq!(cause.reason, "ExitCode");
                        format!("{} {}", status.reason, cause.message)
                    }
                    None if status.is_success() => status.status,
                    None => format!("{} {}", status.reason, status.message),
                }
            }
            None => text,
        };
        assert_eq!(said, says, "{version:?} {exit:?}");
        peer.expect(go_away(1, GoAwayStatus::OK)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_given_up_is_never_taken_for_a_success() {
    let (streams, _session, running, mut peer) = started(Version::V4, EXEC_I, &ALL).await;
    drop(streams);
    let frames = rest(&mut peer).await;
    let text = frames.iter().find_map(|frame| match frame {
        Frame::Data(data) if data.id.get() == 1 => Some(data.payload.clone()),
        _ => None,
    });
    let status = Status::from_json(&text.unwrap()).unwrap();
    assert!(
        !status.is_success() && status.message.contains("given the command up"),
        "{status:?}"
    );
    assert!(
        matches!(frames.last(), Some(Frame::GoAway(_))),
        "{frames:?}"
    );
    for stream in [5, 7] {
        assert!(ends(&frames, stream), "{stream}: {frames:?}");
    }
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_output_that_stays_open_does_not_keep_the_session_for_ever() {
    let (session, running, mut peer) = kubelet();
    let server = Server::new(Version::V4, EXEC_I).finish_timeout(5 * SECOND);
    let accepting = {
        let session = session.clone();
        spawn(async move { server.accept(&session).await })
    };
    open_all(&mut peer, &ALL).await;
    let streams = within("accept", accepting).await.unwrap().unwrap();
    let mut kept = streams.stdout.unwrap();
    streams.stderr.unwrap().shutdown().await.unwrap();
    let start = tokio::time::Instant::now();
    within("finish", streams.exit.finish(Exit::Code(0)))
        .await
        .unwrap();
    assert_eq!(start.elapsed(), 5 * SECOND);
    assert!(kept.write_all(b"x").await.is_err());
    let frames = rest(&mut peer).await;
    let cut = rst(5, ResetStatus::INTERNAL_ERROR);
    let last: [Frame; 2] = [cut.into(), go_away(7, GoAwayStatus::OK).into()];
    assert_eq!(frames[frames.len() - 2..], last);
    drop(peer);
    outcome(running).await.unwrap();
}

/// Somebody looks at the last page of the output for a while.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_late_loses_nothing_of_the_end() {
    let (streams, _session, running, mut peer) = started(Version::V4, EXEC_I, &ALL).await;
    peer.wire().set_out_capacity(1000);
    let mut stdout = streams.stdout.unwrap();
    drop(streams.stderr);
    let ending = spawn(async move {
        stdout.write_all(&[4; 400_000]).await.unwrap();
        // Which ends it; nothing is waited for.
        drop(stdout);
        streams.exit.finish(Exit::Code(9)).await
    });
    tokio::time::sleep(500 * SECOND).await;
    assert!(!ending.is_finished());
    let (mut output, mut status) = (0, Vec::new());
    let mut last = None;
    for frame in rest(&mut peer).await {
        match &frame {
            Frame::Data(data) if data.id.get() == 5 => output += data.payload.len(),
            Frame::Data(data) => status.extend_from_slice(&data.payload),
            _ => {}
        }
        last = Some(frame);
    }
    assert_eq!(output, 400_000);
    assert_eq!(Status::from_json(&status).unwrap().causes[0].message, "9");
    assert_eq!(last, Some(go_away(7, GoAwayStatus::OK).into()));
    within("finish", ending).await.unwrap().unwrap();
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_does_not_hold_the_end_up() {
    let config = Config::spdystream_server().write_timeout(60 * SECOND);
    let (session, running, mut peer) = kubelet_with(config);
    let accepting = accepting(&session, Version::V4, EXEC_I);
    open_all(&mut peer, &ALL).await;
    let streams = within("accept", accepting).await.unwrap().unwrap();
    peer.wire().set_out_capacity(0);
    let mut stdout = streams.stdout.unwrap();
    let writing = spawn(async move { while stdout.write_all(&[0; 4096]).await.is_ok() {} });
    settle().await;
    let start = tokio::time::Instant::now();
    let error = within("finish", streams.exit.finish(Exit::Code(0)))
        .await
        .unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Write), "{error}");
    assert_eq!(start.elapsed(), 60 * SECOND);
    within("the writer", writing).await.unwrap();
    outcome(running).await.unwrap_err();
}

/// A server with windows, whose client has set them to this; the stream of its error is 1.
async fn started_with_windows(window: u32) -> (ServerStreams, Session, Running, Peer) {
    // As large as a connection window is at the start: nothing is announced.
    let config = Config::spdystream_server()
        .flow_control(FlowControl::Spec)
        .initial_stream_window_size(32 << 10)
        .initial_connection_window_size(64 << 10);
    let (session, running, mut peer) = kubelet_with(config);
    let accepting = {
        let session = session.clone();
        let server = Server::new(Version::V4, EXEC_I).finish_timeout(5 * SECOND);
        spawn(async move { server.accept(&session).await })
    };
    peer.send(settings().set(SettingId::InitialWindowSize, window))
        .await;
    open_all(&mut peer, &ALL).await;
    let streams = within("accept", accepting).await.unwrap().unwrap();
    (streams, session, running, peer)
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_no_window_is_granted_for_ends_the_session_in_time() {
    let (mut streams, session, running, mut peer) = started_with_windows(0).await;
    drop((streams.stdout.take(), streams.stderr.take()));
    let start = tokio::time::Instant::now();
    let finish = streams.exit.finish(Exit::Code(0));
    let error = within("finish", finish).await.unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Write), "{error}");
    assert!(error.to_string().contains("no window"), "{error}");
    assert_eq!(start.elapsed(), 5 * SECOND);
    assert_eq!(session.stream_count(), 1, "stdin is held");
    drop(streams.stdin);
    // Nobody takes it for a success.
    let frames = rest(&mut peer).await;
    let cut = Frame::from(rst(1, ResetStatus::INTERNAL_ERROR));
    assert!(frames.contains(&cut), "{frames:?}");
    assert_eq!(frames.last(), Some(&go_away(7, GoAwayStatus::OK).into()));
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_waited_for_as_long_as_its_client_takes_some_of_it() {
    let (streams, _session, running, mut peer) = started_with_windows(0).await;
    drop((streams.stdin, streams.stdout, streams.stderr));
    for stream in [3, 5, 7] {
        peer.expect(data(stream, "").fin()).await;
    }
    let ending = spawn(streams.exit.finish(Exit::Failed("a".repeat(100))));
    let mut text = Vec::new();
    while Status::from_json(&text).is_none() {
        tokio::time::sleep(4 * SECOND).await;
        peer.send(window_update(1, 10)).await;
        match within("a piece", peer.recv()).await.unwrap() {
            Frame::Data(data) if data.id.get() == 1 => text.extend_from_slice(&data.payload),
            frame => panic!("{frame:?}"),
        }
    }
    within("finish", ending).await.unwrap().unwrap();
    rest(&mut peer).await;
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn output_that_no_window_is_granted_for_ends_the_session_in_time() {
    let (mut streams, _session, running, mut peer) = started_with_windows(1000).await;
    let mut stdout = streams.stdout.take().unwrap();
    stdout.write_all(&[7; 1001]).await.unwrap();
    drop((stdout, streams.stderr.take(), streams.stdin.take()));
    let start = tokio::time::Instant::now();
    // It is told all the same.
    within("finish", streams.exit.finish(Exit::Code(0)))
        .await
        .unwrap();
    assert_eq!(start.elapsed(), 10 * SECOND);
    let frames = rest(&mut peer).await;
    let cut = Frame::from(rst(5, ResetStatus::INTERNAL_ERROR));
    assert!(frames.contains(&cut), "{frames:?}");
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_given_up_half_way_says_one_thing_only() {
    let (streams, _session, running, mut peer) = started(Version::V4, EXEC_I, &ALL).await;
    drop(streams.stderr);
    peer.wire().set_out_capacity(0);
    let mut stdout = streams.stdout.unwrap();
    spawn(async move { stdout.write_all(&[0; 400_000]).await });
    settle().await;
    let finish = streams.exit.finish(Exit::Code(0));
    assert!(tokio::time::timeout(SECOND, finish).await.is_err());
    peer.wire().set_out_capacity(usize::MAX);
    let text: Vec<u8> = rest(&mut peer)
        .await
        .into_iter()
        .filter_map(|frame| match frame {
            Frame::Data(data) if data.id.get() == 1 => Some(data.payload.to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(Status::from_json(&text).unwrap().is_success());
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_as_kubectl_does_ends_everything() {
    let (mut streams, session, running, mut peer) = started(Version::V4, EXEC_I, &ALL).await;
    peer.send(data(3, "typed")).await;
    for stream in [7, 1, 5, 3] {
        peer.send(cancel(stream)).await;
    }
    peer.send(go_away(0, GoAwayStatus::OK)).await;
    peer.wire().shut_in();
    let mut stdin = streams.stdin.take().unwrap();
    let mut text = Vec::new();
    let error = within("stdin", stdin.read_to_end(&mut text))
        .await
        .unwrap_err();
    assert_eq!(text, b"typed");
    // Half of an input never looks whole.
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut stdout = streams.stdout.take().unwrap();
    let error = within("stdout", stdout.write_all(b"x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    within("finish", streams.exit.finish(Exit::Code(0)))
        .await
        .unwrap_err();
    within("the session", session.closed()).await;
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn standard_input_comes_to_its_end() {
    let (streams, _session, _running, mut peer) = started(Version::V4, EXEC_I, &ALL).await;
    let mut stdin = streams.stdin.unwrap();
    let reading = spawn(async move {
        let mut all = Vec::new();
        stdin.read_to_end(&mut all).await.map(|_| all)
    });
    let chunk = [7; 32 << 10];
    for _ in 0..160 {
        peer.send(data(3, chunk)).await;
    }
    peer.send(data(3, "").fin()).await;
    let all = within("stdin", reading).await.unwrap().unwrap();
    assert_eq!(all.len(), 5 << 20);
    // The reader is gone, and has told so.
    peer.expect(data(3, "").fin()).await;
    peer.expect_quiet().await;
    drop(streams.exit);
}

#[tokio::test(start_paused = true)]
async fn data_and_fin_in_one_frame_are_data_and_then_the_end() {
    let (streams, _session, _running, mut peer) = started(Version::V4, EXEC_I, &ALL).await;
    peer.send(data(3, "all of it").fin()).await;
    let mut text = String::new();
    let mut stdin = streams.stdin.unwrap();
    within("stdin", stdin.read_to_string(&mut text))
        .await
        .unwrap();
    assert_eq!(text, "all of it");
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_standard_input_is_not_left_behind_by_the_end_of_the_command() {
    let (streams, _session, _running, _peer) = started(Version::V4, EXEC_I, &ALL).await;
    let mut stdin = streams.stdin.unwrap();
    let reading = spawn(async move { stdin.read_to_end(&mut Vec::new()).await });
    settle().await;
    drop((streams.stdout, streams.stderr));
    within("finish", streams.exit.finish(Exit::Code(0)))
        .await
        .unwrap();
    assert_eq!(within("the reader", reading).await.unwrap().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_wants_no_more_input_tells_its_client() {
    let (streams, session, _running, mut peer) = started(Version::V4, EXEC_I, &ALL).await;
    drop(streams.stdin);
    peer.expect(data(3, "").fin()).await;
    for _ in 0..100 {
        peer.send(data(3, [0; 32 << 10])).await;
    }
    settle().await;
    assert_eq!(session.unread_bytes(), 0);
    peer.send(data(3, "").fin()).await;
    peer.expect_quiet().await;
    drop(streams.exit);
}

#[tokio::test(start_paused = true)]
async fn sizes_arrive_however_their_bytes_are_cut() {
    let kinds = ["error", "stdin", "stdout", "resize"];
    let (streams, _session, _running, mut peer) = started(Version::V4, EXEC_IT, &kinds).await;
    let mut resize = streams.resize.unwrap();
    let size = |width, height| Some(TerminalSize { width, height });
    for byte in b"{\"Width\":100,\"Height\":30}\n" {
        peer.send(data(7, [*byte])).await;
    }
    assert_eq!(
        within("a size", resize.next()).await.unwrap(),
        size(100, 30)
    );
    peer.send(data(
        7,
        "{\"Width\":1,\"Height\":2}\n{\"Width\":3,\"Height\":4}\n{\"Wid",
    ))
    .await;
    assert_eq!(within("a size", resize.next()).await.unwrap(), size(1, 2));
    assert_eq!(within("a size", resize.next()).await.unwrap(), size(3, 4));
    // What makes no sense costs no more than itself.
    peer.send(data(
        7,
        "th\":nonsense}\n{\"Width\":70000}\n{\"Width\":5,\"Height\":6}\n",
    ))
    .await;
    assert_eq!(within("a size", resize.next()).await.unwrap(), size(5, 6));
    peer.send(data(7, "").fin()).await;
    assert_eq!(within("the end", resize.next()).await.unwrap(), None);
    drop(streams.exit);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_wait_for_the_set_resets_what_was_there() {
    let (session, _running, mut peer) = kubelet();
    let accepting = accepting(&session, Version::V4, EXEC_I);
    open_all(&mut peer, &["error", "stdin"]).await;
    accepting.abort();
    assert!(accepting.await.unwrap_err().is_cancelled());
    peer.expect(cancel(1)).await;
    peer.expect(cancel(3)).await;
    peer.expect_quiet().await;
}
