//! Any split of the bytes into messages, and of the messages into reads, gives the same bytes.

use std::future::Future;
use std::io::IoSlice;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::line::tunnel;
use super::websocket::Plain;
use super::*;

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(within("the bytes", future))
}

proptest! {
    // What is found becomes a test with a name.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_messages_and_any_reads_give_the_bytes(
        bytes in vec(any::<u8>(), 0..3000),
        // 0 is an empty message, the largest a Ping.
        messages in vec(0_usize..40, 1..200),
        reads in vec(1_usize..100, 1..50),
    ) {
        let (mut tunnel, line) = tunnel();
        let mut rest = &bytes[..];
        // The last one takes what is left, which may be nothing.
        for &size in &messages {
            if size == 39 {
                line.receive(Plain::Ping);
                continue;
            }
            let (message, behind) = rest.split_at(size.min(rest.len()));
            line.receive_bytes(message);
            rest = behind;
        }
        line.receive_bytes(rest);
        line.receive(Plain::Close(Some(1000), String::new()));
        let got = run(async {
            let mut got = Vec::new();
            for &size in reads.iter().cycle() {
                let mut buf = vec![0; size];
                let n = tunnel.read(&mut buf).await.unwrap();
                if n == 0 {
                    break;
                }
                got.extend_from_slice(&buf[..n]);
            }
            got
        });
        prop_assert_eq!(got, bytes);
    }

    #[test]
    fn any_writes_give_the_bytes_in_messages_of_legal_size(
        writes in vec(vec(prop_oneof![0_usize..20, 30_000_usize..40_000], 0..6), 0..12),
    ) {
        let (mut tunnel, line) = tunnel();
        let mut expected: Vec<u8> = Vec::new();
        run(async {
            for (n, sizes) in writes.iter().enumerate() {
                let parts: Vec<Bytes> = sizes
                    .iter()
                    .map(|&size| pattern(n, size).into())
                    .collect();
                expected.extend(parts.iter().flatten().copied());
                let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
                let mut left = &mut slices[..];
                while left.iter().any(|slice| !slice.is_empty()) {
                    let n = tunnel.write_vectored(left).await.unwrap();
                    assert!(n > 0);
                    IoSlice::advance_slices(&mut left, n);
                }
            }
        });
        for message in line.sent() {
            let Plain::Binary(bytes) = message else {
                panic!("{message:?}");
            };
            prop_assert!((1..=32 << 10).contains(&bytes.len()));
        }
        prop_assert!(line.sent_bytes() == expected);
    }
}
