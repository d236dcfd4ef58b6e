//! What a peer does wrong is a few warnings, however often it does it.

use spdy::kube::remote_command::Exit;

use super::port_server::{forwarding, half, next, open_pair};
use super::*;

/// How many lines at WARN and at DEBUG say this.
fn logged(says: &str, script: impl Future<Output = ()>) -> (usize, usize) {
    let log = support::trace::logged(script);
    let count = |level: &str| {
        let lines = log.lines().filter(|line| line.contains(level));
        lines.filter(|line| line.contains(says)).count()
    };
    (count(" WARN "), count(" DEBUG "))
}

/// Ten, and the rest is for those who look.
const BUDGET: (usize, usize) = (10, 90);

#[test]
fn a_hundred_streams_with_a_bad_port_are_ten_warnings() {
    let script = async {
        let (_receive, _session, _running, mut peer) = forwarding();
        for stream in (1..200).step_by(2) {
            peer.send(half(stream, "error", "http", "0")).await;
            peer.expect(cancel(stream)).await;
        }
    };
    assert_eq!(logged("port is no number", script), BUDGET);
}

#[test]
fn a_hundred_second_streams_of_a_pair_are_ten_warnings() {
    let script = async {
        let (_receive, _session, _running, mut peer) = forwarding();
        peer.send(half(1, "data", "80", "0")).await;
        peer.expect(syn_reply(1)).await;
        for stream in (3..203).step_by(2) {
            peer.send(half(stream, "data", "80", "0")).await;
            peer.expect(cancel(stream)).await;
        }
    };
    assert_eq!(logged("already assigned", script), BUDGET);
}

#[test]
fn a_hundred_halves_of_pairs_that_expire_are_ten_warnings() {
    let script = async {
        let (_receive, _session, _running, mut peer) = forwarding();
        for stream in (1..200).step_by(2) {
            peer.send(half(stream, "data", "80", &stream.to_string()))
                .await;
            peer.expect(syn_reply(stream)).await;
        }
        for stream in (1..200).step_by(2) {
            peer.expect(cancel(stream)).await;
        }
    };
    assert_eq!(logged("timed out after 30s", script), BUDGET);
}

#[test]
fn a_hundred_halves_of_pairs_beyond_the_limit_are_ten_warnings() {
    let script = async {
        let (_receive, _session, _running, mut peer) = forwarding();
        for n in 0..356 {
            peer.send(half(2 * n + 1, "data", "80", &n.to_string()))
                .await;
            within("an answer", peer.recv()).await;
        }
    };
    assert_eq!(logged("wait for the other one", script), BUDGET);
}

#[test]
fn a_hundred_connections_that_fail_are_ten_warnings() {
    let script = async {
        let (mut receive, _session, _running, mut peer) = forwarding();
        for n in 0..100 {
            open_pair(&mut peer, 4 * n + 1, "80", &n.to_string()).await;
            within("fail", next(&mut receive).await.fail("refused")).await;
            for _ in 0..3 {
                within("the text and two resets", peer.recv()).await;
            }
        }
    };
    assert_eq!(logged("port 80: refused", script), BUDGET);
}

#[test]
fn a_hundred_streams_of_no_type_are_ten_warnings() {
    let script = async {
        let (session, _running, mut peer) = kubelet();
        let accepting = accepting(&session, Version::V4, EXEC_I);
        for stream in (1..200).step_by(2) {
            peer.send(typed(stream, "stdnone")).await;
            peer.expect(syn_reply(stream)).await;
            peer.expect(data(stream, "").fin()).await;
        }
        accepting.abort();
    };
    assert_eq!(logged("stdnone", script), BUDGET);
}

#[test]
fn a_hundred_second_streams_of_a_command_are_ten_warnings() {
    let script = async {
        let (session, _running, mut peer) = kubelet();
        let accepting = accepting(&session, Version::V4, EXEC_I);
        peer.send(typed(1, "error")).await;
        peer.expect(syn_reply(1)).await;
        for stream in (3..203).step_by(2) {
            peer.send(typed(stream, "error")).await;
            peer.expect(cancel(stream)).await;
        }
        accepting.abort();
    };
    assert_eq!(logged("second of the type error", script), BUDGET);
}

#[test]
fn a_hundred_sizes_that_are_none_are_ten_warnings() {
    for text in ["[]\n", "{\"Width\":-1}\n"] {
        let script = async {
            let kinds = ["error", "stdin", "stdout", "resize"];
            let (streams, _session, _running, mut peer) =
                started(Version::V4, EXEC_IT, &kinds).await;
            let mut resize = streams.resize.unwrap();
            for _ in 0..100 {
                peer.send(data(7, text)).await;
            }
            peer.send(data(7, "{\"Width\":7}\n")).await;
            let size = within("a size", resize.next()).await.unwrap().unwrap();
            assert_eq!(size.width, 7);
            let exit = spawn(streams.exit.finish(Exit::Code(0)));
            drop((streams.stdin, streams.stdout));
            rest(&mut peer).await;
            exit.abort();
        };
        assert_eq!(logged("a terminal size", script), BUDGET, "{text}");
    }
}

#[test]
fn what_a_session_logs_is_below_the_span_of_its_call() {
    let log = support::trace::logged(async {
        let call = tracing::info_span!("call", token = 7);
        let (session, running, mut peer) = call.in_scope(kubelet);
        peer.send(ping(1)).await;
        peer.expect(ping(1)).await;
        session.shutdown();
        drop(outcome(running).await);
    });
    let frame = log.lines().find(|line| line.contains("PING"));
    let frame = frame.expect("no frame was logged");
    assert!(
        frame.contains("call{token=7}:connection{role=Server}"),
        "{frame}"
    );
}
