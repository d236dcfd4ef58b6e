//! The client of `exec` and `attach`, against a scripted server.

use std::io::ErrorKind;

use spdy::Timeout;
use spdy::frame::{Frame, GoAwayStatus};
use spdy::kube::remote_command::{Client, ClientStreams, Exit, TerminalSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn opening(
    session: &Session,
    version: Version,
    streams: Streams,
) -> JoinHandle<spdy::Result<ClientStreams>> {
    let session = session.clone();
    let client = Client::new(version, streams);
    spawn(async move { client.open(&session).await })
}

/// A command whose streams were all replied to.
async fn opened(
    version: Version,
    streams: Streams,
    kinds: &[&str],
) -> (ClientStreams, Session, Running, Peer) {
    let (session, running, mut peer) = kubectl();
    let opening = opening(&session, version, streams);
    for (kind, stream) in kinds.iter().zip((1..).step_by(2)) {
        peer.expect(typed(stream, kind)).await;
        settle().await;
        peer.send(syn_reply(stream)).await;
    }
    let streams = within("open", opening).await.unwrap().unwrap();
    (streams, session, running, peer)
}

const ALL: [&str; 4] = ["error", "stdin", "stdout", "stderr"];

#[tokio::test(start_paused = true)]
async fn streams_are_opened_in_order_each_behind_the_reply_to_the_one_before() {
    let (session, _running, mut peer) = kubectl();
    let opening = opening(&session, Version::V4, EXEC_I);
    for (kind, stream) in ALL.iter().zip((1..).step_by(2)) {
        peer.expect(typed(stream, kind)).await;
        peer.expect_quiet().await;
        assert!(!opening.is_finished());
        peer.send(syn_reply(stream)).await;
    }
    within("open", opening).await.unwrap().unwrap();

    let kinds = ["error", "stdin", "stdout", "resize"];
    let (mut streams, _session, _running, mut peer) = opened(Version::V4, EXEC_IT, &kinds).await;
    // The first size, at once.
    let size = TerminalSize {
        width: 100,
        height: 30,
    };
    streams.resize.as_mut().unwrap().send(size).await.unwrap();
    peer.expect(data(7, "{\"Width\":100,\"Height\":30}\n"))
        .await;
    opened(Version::V2, EXEC_IT, &kinds[..3]).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_does_not_come_is_an_error_and_the_stream_is_forgotten() {
    let (session, _running, mut peer) = kubectl();
    let opening = opening(&session, Version::V4, EXEC_I);
    peer.expect(typed(1, "error")).await;
    peer.send(syn_reply(1)).await;
    peer.expect(typed(3, "stdin")).await;
    let start = tokio::time::Instant::now();
    let error = within("open", opening).await.unwrap().unwrap_err();
    assert_eq!(start.elapsed(), 30 * SECOND);
    assert_eq!(error.timeout_kind(), Some(Timeout::Open), "{error}");
    let mut resets = [peer.recv().await.unwrap(), peer.recv().await.unwrap()];
    resets.sort_by_key(|frame| format!("{frame:?}"));
    assert_eq!(resets, [cancel(1).into(), cancel(3).into()]);
    assert_eq!(session.stream_count(), 0);
    // Too late.
    peer.send(syn_reply(3)).await;
    peer.expect_quiet().await;

    let (session, _running, _peer) = kubectl();
    let client = Client::new(Version::V4, EXEC_I).stream_timeout(SECOND);
    let error = within("open", client.open(&session)).await.unwrap_err();
    assert!(
        error.to_string().contains("the stream error within 1s"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_server_rejects_is_an_error() {
    let (session, _running, mut peer) = kubectl();
    let opening = opening(&session, Version::V4, EXEC_I);
    peer.expect(typed(1, "error")).await;
    peer.send(cancel(1)).await;
    let error = within("open", opening).await.unwrap().unwrap_err();
    assert!(error.is_reset() && error.is_remote(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_read_in_single_bytes_whatever_ends_its_stream() {
    let three = r#"{"metadata":{},"status":"Failure","message":"m","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
    let success = r#"{"metadata":{},"status":"Success"}"#;
    let internal = r#"{"metadata":{},"status":"Failure","message":"it broke","reason":"InternalError","code":500}"#;
    let broke = || Exit::Failed("it broke".to_owned());
    for (version, text, exit) in [
        (Version::V4, success, Exit::Code(0)),
        (Version::V4, "", Exit::Code(0)),
        (Version::V4, three, Exit::Code(3)),
        (
            Version::V5,
            &three.replace("\"3\"", "\"255\""),
            Exit::Code(255),
        ),
        (Version::V4, internal, broke()),
        (Version::V1, "", Exit::Code(0)),
        (Version::V2, "it broke", broke()),
        (Version::V3, "it broke\n", broke()),
    ] {
        for reset in [false, true] {
            let none = Streams::default();
            let (streams, _session, _running, mut peer) = opened(version, none, &["error"]).await;
            for byte in text.bytes() {
                peer.send(data(1, [byte])).await;
            }
            let end = if reset { cancel(1) } else { data(1, "").fin() };
            peer.send(end).await;
            let got = within("the outcome", streams.exit.wait()).await;
            if reset && text.is_empty() && version == Version::V4 {
                // Go says "Success" there.
                assert!(got.unwrap_err().is_reset());
            } else {
                assert_eq!(got.unwrap(), exit, "{version:?} {text}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_without_an_outcome_is_no_success() {
    for go_away_first in [false, true] {
        let (streams, _session, _running, mut peer) =
            opened(Version::V4, Streams::default(), &["error"]).await;
        if go_away_first {
            peer.send(go_away(1, GoAwayStatus::OK)).await;
        }
        peer.wire().shut_in();
        let error = within("the outcome", streams.exit.wait())
            .await
            .unwrap_err();
        assert!(error.is_closed(), "{error}");
    }
    let (streams, _session, _running, mut peer) =
        opened(Version::V4, Streams::default(), &["error"]).await;
    peer.send(rst(1, ResetStatus::INTERNAL_ERROR)).await;
    let error = within("the outcome", streams.exit.wait())
        .await
        .unwrap_err();
    assert!(error.is_reset(), "{error}");
    // A whole status was all there was to come.
    let (streams, _session, _running, mut peer) =
        opened(Version::V4, Streams::default(), &["error"]).await;
    peer.send(data(1, r#"{"status":"Success"}"#)).await;
    peer.wire().shut_in();
    let exit = within("the outcome", streams.exit.wait()).await.unwrap();
    assert_eq!(exit, Exit::Code(0));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_of_any_length_is_bounded() {
    let (streams, _session, _running, mut peer) =
        opened(Version::V2, Streams::default(), &["error"]).await;
    for _ in 0..100 {
        peer.send(data(1, [b'x'; 1000])).await;
    }
    let Exit::Failed(text) = within("the outcome", streams.exit.wait()).await.unwrap() else {
        panic!("that is no success");
    };
    assert_eq!(text.len(), 64 << 10);
}

/// As a Go server ends it: FIN or reset of the outputs, the status without FIN, resets, GOAWAY, the end of TCP.
#[tokio::test(start_paused = true)]
async fn an_end_as_of_a_go_server_loses_nothing() {
    for fin in [true, false] {
        let (streams, session, running, mut peer) = opened(Version::V4, EXEC_I, &ALL).await;
        let mut last = Vec::new();
        for (stream, text) in [(5, "out"), (7, "err")] {
            last.extend_from_slice(&peer.encode(data(stream, text)));
            if fin {
                last.extend_from_slice(&peer.encode(data(stream, "").fin()));
            }
        }
        last.extend_from_slice(&peer.encode(data(1, r#"{"status":"Success"}"#)));
        for stream in [1, 3]
            .into_iter()
            .chain((!fin).then_some([5, 7]).into_iter().flatten())
        {
            last.extend_from_slice(&peer.encode(cancel(stream)));
        }
        last.extend_from_slice(&peer.encode(go_away(7, GoAwayStatus::OK)));
        peer.send_raw(last).await;
        peer.wire().shut_in();
        // All of it has arrived before anything is read.
        settle().await;
        let (mut stdout, mut stderr) = (streams.stdout.unwrap(), streams.stderr.unwrap());
        let mut text = String::new();
        within("stdout", stdout.read_to_string(&mut text))
            .await
            .unwrap();
        within("stderr", stderr.read_to_string(&mut text))
            .await
            .unwrap();
        assert_eq!(text, "outerr");
        let exit = within("the outcome", streams.exit.wait()).await.unwrap();
        assert_eq!(exit, Exit::Code(0));
        drop((stdout, stderr, session));
        outcome(running).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_no_more_input_stops_the_writer() {
    let (streams, _session, _running, mut peer) = opened(Version::V4, EXEC_I, &ALL).await;
    let mut stdin = streams.stdin.unwrap();
    let writing = spawn(async move {
        loop {
            if let Err(error) = stdin.write_all(&[1; 1000]).await {
                return (stdin, error);
            }
            tokio::time::sleep(SECOND).await;
        }
    });
    peer.expect(data(3, [1; 1000])).await;
    peer.send(data(3, "").fin()).await;
    let (mut stdin, error) = within("the writer", writing).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    within("closed", stdin.closed()).await;
    // Its own direction is still to be ended.
    stdin.shutdown().await.unwrap();
    assert_eq!(peer.recv().await, Some(data(3, "").fin().into()));
    drop(streams.exit);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_end_of_input_is_woken_by_it() {
    for reset in [false, true] {
        let (streams, _session, _running, mut peer) = opened(Version::V4, EXEC_I, &ALL).await;
        let mut stdin = streams.stdin.unwrap();
        let waiting = spawn(async move { stdin.closed().await });
        settle().await;
        assert!(!waiting.is_finished());
        let end = if reset { cancel(3) } else { data(3, "").fin() };
        peer.send(end).await;
        within("closed", waiting).await.unwrap();
        drop(streams.exit);
    }
}

#[tokio::test(start_paused = true)]
async fn shutting_input_down_is_one_empty_fin_and_output_goes_on() {
    let (streams, _session, _running, mut peer) = opened(Version::V4, EXEC_I, &ALL).await;
    let mut stdin = streams.stdin.unwrap();
    stdin.write_all(b"abc\ndef\n").await.unwrap();
    peer.expect(data(3, "abc\ndef\n")).await;
    stdin.shutdown().await.unwrap();
    stdin.shutdown().await.unwrap();
    peer.expect(data(3, "").fin()).await;
    drop(stdin);
    peer.send(data(5, "still there").fin()).await;
    let mut text = String::new();
    let mut stdout = streams.stdout.unwrap();
    within("stdout", stdout.read_to_string(&mut text))
        .await
        .unwrap();
    assert_eq!(text, "still there");
    peer.expect_quiet().await;
    drop(streams.exit);
}

#[tokio::test(start_paused = true)]
async fn giving_up_resets_what_has_not_ended_and_says_goaway_last() {
    let (mut streams, session, running, mut peer) = opened(Version::V4, EXEC_I, &ALL).await;
    streams.stdin.as_mut().unwrap().shutdown().await.unwrap();
    peer.expect(data(3, "").fin()).await;
    drop(streams);
    drop(session);
    let mut frames = rest(&mut peer).await;
    let last = frames.pop();
    assert_eq!(last, Some(go_away(0, GoAwayStatus::OK).into()));
    frames.sort_by_key(|frame| format!("{frame:?}"));
    let resets: [Frame; 3] = [cancel(1).into(), cancel(5).into(), cancel(7).into()];
    assert_eq!(frames, resets, "none for the stream that has ended");
    drop(peer);
    outcome(running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_of_input_learns_why_the_session_has_ended() {
    let (streams, _session, _running, peer) = opened(Version::V4, EXEC_I, &ALL).await;
    let mut stdin = streams.stdin.unwrap();
    peer.wire().shut_in();
    within("closed", stdin.closed()).await;
    let error = stdin.write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
}

#[tokio::test(start_paused = true)]
async fn streams_that_the_server_opens_are_refused_and_hold_nothing_up() {
    let (session, _running, mut peer) = kubectl();
    let opening = opening(&session, Version::V4, Streams::default());
    peer.expect(typed(1, "error")).await;
    for stream in [2, 4] {
        peer.send(typed(stream, "stdout")).await;
        peer.expect(rst(stream, ResetStatus::REFUSED_STREAM)).await;
        // More than may wait to be read.
        for _ in 0..40 {
            peer.send(data(stream, [0; 32 << 10])).await;
        }
    }
    peer.send(syn_reply(1)).await;
    let streams = within("open", opening).await.unwrap().unwrap();
    peer.send(data(1, "{\"status\":\"Success\"}").fin()).await;
    let exit = within("the outcome", streams.exit.wait()).await.unwrap();
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(session.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn to_end_the_input_of_a_command_that_has_ended_is_no_error() {
    // By CANCEL, as Go's servers end what they do not read to its end, or by FIN.
    for cancels in [true, false] {
        let (mut streams, _session, _running, mut peer) = opened(Version::V4, EXEC_I, &ALL).await;
        peer.send(data(1, br#"{"status":"Success"}"#).fin()).await;
        if cancels {
            peer.send(cancel(3)).await;
        } else {
            peer.send(data(3, "").fin()).await;
        }
        peer.send(data(5, "").fin()).await;
        peer.send(data(7, "").fin()).await;
        drop(peer);
        settle().await;
        let mut stdin = streams.stdin.take().unwrap();
        // As `tokio::io::copy` does behind the last write.
        within("flush", stdin.flush()).await.unwrap();
        within("shutdown", stdin.shutdown()).await.unwrap();
        let exit = within("the outcome", streams.exit.wait()).await.unwrap();
        assert_eq!(exit, Exit::Code(0), "CANCEL: {cancels}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_on_the_error_stream_is_a_success_with_and_without_a_goaway() {
    for goaway in [true, false] {
        let (streams, _session, _running, mut peer) = opened(Version::V4, EXEC_I, &ALL).await;
        for stream in [1, 3, 5, 7] {
            peer.send(data(stream, "").fin()).await;
        }
        if goaway {
            peer.send(go_away(7, GoAwayStatus::OK)).await;
        }
        settle().await;
        let exit = within("the outcome", streams.exit.wait()).await.unwrap();
        assert_eq!(exit, Exit::Code(0), "GOAWAY: {goaway}");
    }
}
