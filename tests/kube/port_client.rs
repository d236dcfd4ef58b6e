//! The client of `port-forward`, against a scripted server.

use std::error::Error as _;
use std::sync::Arc;

use spdy::Timeout;
use spdy::kube::port_forward::{Client, Forwarded, RemoteError, check};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

fn half(stream: u32, kind: &str, port: u16, request: u64) -> Draft {
    typed(stream, kind)
        .header("port", &port.to_string())
        .header("requestid", &request.to_string())
}

fn forwarder() -> (Arc<Client>, Running, Peer) {
    let (session, running, peer) = kubectl();
    (Arc::new(Client::new(session)), running, peer)
}

fn connecting(client: &Arc<Client>, port: u16) -> JoinHandle<spdy::Result<Forwarded>> {
    let client = Arc::clone(client);
    spawn(async move { client.connect(port).await })
}

async fn connected(client: &Arc<Client>, peer: &mut Peer, first: u32, request: u64) -> Forwarded {
    let connecting = connecting(client, 80);
    peer.expect(half(first, "error", 80, request)).await;
    peer.send(syn_reply(first)).await;
    peer.expect(data(first, "").fin()).await;
    peer.expect(half(first + 2, "data", 80, request)).await;
    peer.send(syn_reply(first + 2)).await;
    within("connect", connecting).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_an_error_stream_its_end_and_a_data_stream() {
    let (client, _running, mut peer) = forwarder();
    let connecting = connecting(&client, 65535);
    peer.expect(half(1, "error", 65535, 0)).await;
    peer.expect_quiet().await;
    peer.send(syn_reply(1)).await;
    peer.expect(data(1, "").fin()).await;
    peer.expect(half(3, "data", 65535, 0)).await;
    peer.expect_quiet().await;
    assert!(!connecting.is_finished());
    peer.send(syn_reply(3)).await;
    let forwarded = within("connect", connecting).await.unwrap().unwrap();
    assert_eq!(forwarded.port(), 65535);
    // Numbers go up, as ids do.
    let second = connected(&client, &mut peer, 5, 1).await;
    drop(forwarded);
    peer.expect(cancel(3)).await;
    drop(second);
    peer.expect(cancel(7)).await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways_and_each_direction_ends_by_itself() {
    let (client, _running, mut peer) = forwarder();
    let mut forwarded = connected(&client, &mut peer, 1, 0).await;
    forwarded.write_all(b"question").await.unwrap();
    forwarded.shutdown().await.unwrap();
    peer.expect(data(3, "question").fin()).await;
    peer.send(data(3, "answer")).await;
    peer.send(data(3, "").fin()).await;
    let mut answer = String::new();
    within("the answer", forwarded.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "answer");
    peer.send(data(1, "").fin()).await;
    assert!(
        within("the error stream", forwarded.failure())
            .await
            .is_none()
    );
    drop(forwarded);
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_is_the_error_of_the_reader() {
    for reset in [false, true] {
        let (client, _running, mut peer) = forwarder();
        let mut forwarded = connected(&client, &mut peer, 1, 0).await;
        peer.send(data(3, "so far")).await;
        peer.send(data(1, "port 80: ")).await;
        peer.send(data(1, "connection \u{1b}[2Jrefused\n")).await;
        for stream in [1, 3] {
            let end = if reset {
                cancel(stream)
            } else {
                data(stream, "").fin()
            };
            peer.send(end).await;
        }
        let mut text = String::new();
        let error = within("the end", forwarded.read_to_string(&mut text))
            .await
            .unwrap_err();
        let error: &spdy::Error = error.get_ref().unwrap().downcast_ref().unwrap();
        assert!(error.is_connect(), "{error}");
        let said: &RemoteError = error.source().unwrap().downcast_ref().unwrap();
        assert_eq!(said.text(), "port 80: connection \u{1b}[2Jrefused");
        // Nothing that a terminal would obey.
        assert_eq!(said.to_string(), "port 80: connection \\u{1b}[2Jrefused");
        let error = within("the error stream", forwarded.failure())
            .await
            .unwrap();
        assert!(
            error.to_string().contains("port 80 was not forwarded"),
            "{error}"
        );
        // The session goes on.
        connected(&client, &mut peer, 5, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_of_any_length_is_bounded() {
    let (client, _running, mut peer) = forwarder();
    let mut forwarded = connected(&client, &mut peer, 1, 0).await;
    for _ in 0..100 {
        peer.send(data(1, [b'x'; 1000])).await;
    }
    let error = within("the error stream", forwarded.failure())
        .await
        .unwrap();
    let said: &RemoteError = error.source().unwrap().downcast_ref().unwrap();
    assert_eq!(said.text().len(), 8 << 10);
}

#[tokio::test(start_paused = true)]
async fn a_copy_ends_with_both_directions_or_with_what_the_server_says() {
    let (client, _running, mut peer) = forwarder();
    let forwarded = connected(&client, &mut peer, 1, 0).await;
    let (ours, mut local) = duplex(1000);
    let copying = spawn(forwarded.copy(ours));
    local.write_all(b"question").await.unwrap();
    peer.expect(data(3, "question")).await;
    peer.send(data(3, "answer").fin()).await;
    peer.send(data(1, "").fin()).await;
    let mut answer = String::new();
    within("the answer", local.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "answer");
    local.shutdown().await.unwrap();
    peer.expect(data(3, "").fin()).await;
    within("the copy", copying).await.unwrap().unwrap();

    let forwarded = connected(&client, &mut peer, 5, 1).await;
    let (ours, _local) = duplex(1000);
    let copying = spawn(forwarded.copy(ours));
    peer.send(data(5, "no route")).await;
    peer.send(cancel(5)).await;
    peer.send(cancel(7)).await;
    let error = within("the copy", copying).await.unwrap().unwrap_err();
    assert!(error.is_connect(), "{error}");

    // A local side that fails resets the stream.
    let forwarded = connected(&client, &mut peer, 9, 2).await;
    let (ours, wire) = pipe();
    let copying = spawn(forwarded.copy(ours));
    settle().await;
    wire.fail_reads(std::io::ErrorKind::ConnectionReset);
    let error = within("the copy", copying).await.unwrap().unwrap_err();
    assert!(error.is_io(), "{error}");
    peer.expect(cancel(11)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_rejected_or_never_replied_to_is_an_error() {
    let (client, _running, mut peer) = forwarder();
    let rejected = connecting(&client, 80);
    peer.expect(half(1, "error", 80, 0)).await;
    peer.send(cancel(1)).await;
    let error = within("connect", rejected).await.unwrap().unwrap_err();
    assert!(error.is_reset() && error.is_remote(), "{error}");

    let waiting = connecting(&client, 80);
    peer.expect(half(3, "error", 80, 1)).await;
    peer.send(syn_reply(3)).await;
    peer.expect(data(3, "").fin()).await;
    peer.expect(half(5, "data", 80, 1)).await;
    let start = tokio::time::Instant::now();
    let error = within("connect", waiting).await.unwrap().unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Open), "{error}");
    assert_eq!(start.elapsed(), 30 * SECOND);
    peer.expect(cancel(5)).await;
    assert_eq!(client.session().stream_count(), 0);

    let error = client.connect(0).await.unwrap_err();
    assert!(error.is_user(), "{error}");
    connected(&client, &mut peer, 7, 2).await;
}

#[test]
fn a_server_that_names_no_protocol_is_none_of_port_forward() {
    check(Some("portforward.k8s.io")).unwrap();
    for other in [None, Some(""), Some("v4.channel.k8s.io")] {
        let error = check(other).unwrap_err();
        assert!(error.is_negotiation(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_end_of_the_error_stream_is_given_up_in_time() {
    let (client, _running, mut peer) = forwarder();
    let mut other = connected(&client, &mut peer, 1, 0).await;
    let connecting = connecting(&client, 81);
    peer.expect(half(5, "error", 81, 1)).await;
    // Nothing moves any more, and more is queued than is handed to the transport.
    peer.wire().set_out_capacity(0);
    let stuffing = spawn(async move { while other.write_all(&[0; 16 << 10]).await.is_ok() {} });
    tokio::time::sleep(SECOND).await;
    peer.send(syn_reply(5)).await;
    let start = tokio::time::Instant::now();
    let error = within("connect", connecting).await.unwrap().unwrap_err();
    assert_eq!(error.timeout_kind(), Some(Timeout::Open), "{error}");
    assert_eq!(start.elapsed(), 29 * SECOND);
    stuffing.abort();
}

#[tokio::test(start_paused = true)]
async fn streams_that_the_server_opens_are_refused() {
    let (client, _running, mut peer) = forwarder();
    let mut forwarded = connected(&client, &mut peer, 1, 0).await;
    peer.send(half(2, "data", 80, 0)).await;
    peer.expect(rst(2, ResetStatus::REFUSED_STREAM)).await;
    peer.send(data(2, [0; 32 << 10])).await;
    peer.send(data(3, "x")).await;
    assert_eq!(within("a byte", forwarded.read_u8()).await.unwrap(), b'x');
}
