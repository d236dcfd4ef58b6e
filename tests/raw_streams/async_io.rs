//! AsyncRead and AsyncWrite.

use super::*;

#[tokio::test(start_paused = true)]
async fn zero_length_reads_and_writes_complete_at_once() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    assert_eq!(within("read", stream.read(&mut [])).await.unwrap(), 0);
    assert_eq!(within("write", stream.write(&[])).await.unwrap(), 0);
    within("flush", stream.flush()).await.unwrap();
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn reads_fill_the_buffer_from_several_frames_and_split_large_ones() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let mut stream = replied(&session, &mut peer, 1).await;
    for part in ["ab", "cd", "ef"] {
        peer.send(data(1, part)).await;
    }
    settle().await;
    let mut buf = [0; 5];
    assert_eq!(within("read", stream.read(&mut buf)).await.unwrap(), 5);
    assert_eq!(&buf, b"abcde");
    assert_eq!(within("read", stream.read(&mut buf)).await.unwrap(), 1);
    assert_eq!(buf[0], b'f');
}

#[tokio::test(start_paused = true)]
async fn chunks_of_bytes_go_out_without_a_copy_and_come_in_as_they_arrived() {
    let (session, _driver, mut peer) = ready_client(Config::client()).await;
    let stream = replied(&session, &mut peer, 1).await;
    let (mut send, mut recv) = stream.split();
    send.send(Bytes::from(vec![3; 40_000])).await.unwrap();
    send.finish().unwrap();
    assert!(send.send(Bytes::from_static(b"x")).await.is_err());
    let (bytes, _) = peer.expect_data(1, 40_000).await;
    assert!(bytes.iter().all(|byte| *byte == 3));
    peer.send(data(1, "piece").fin()).await;
    let piece = within("data", recv.data()).await.unwrap();
    assert_eq!(piece.as_deref(), Some(&b"piece"[..]));
    assert_eq!(within("data", recv.data()).await.unwrap(), None);
    assert!(recv.is_end());
}
