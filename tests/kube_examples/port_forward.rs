//! `kube_port_forward`.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::*;

/// The program, once it has listened, and where each of its ports is.
pub(super) async fn started(arguments: &[&str], ports: usize) -> (Running, Vec<SocketAddr>) {
    let mut program = Running::start("kube_port_forward", arguments, Stdio::null());
    let mut lines = program.lines();
    let mut addresses = Vec::new();
    for _ in 0..ports {
        let line = within("an address", lines.next_line()).await.unwrap();
        let Some(line) = line else {
            panic!("it has ended: {:?}", program.end().await);
        };
        let (from, to) = line
            .strip_prefix("Forwarding from ")
            .and_then(|rest| rest.split_once(" -> "))
            .unwrap_or_else(|| panic!("{line}"));
        assert!(to.parse::<u16>().is_ok(), "{line}");
        addresses.push(from.parse().unwrap());
    }
    (program, addresses)
}

/// Sends this, and gives what comes to the end.
async fn talk(address: SocketAddr, text: &[u8]) -> String {
    let mut io = TcpStream::connect(address).await.unwrap();
    let mut answer = String::new();
    let talk = async {
        io.write_all(text).await?;
        io.shutdown().await?;
        io.read_to_string(&mut answer).await
    };
    within("the answer", talk).await.unwrap();
    answer
}

/// Ends it by Ctrl-C, and gives what it has said.
pub(super) async fn interrupted(program: Running) -> String {
    program.signal("-INT");
    let (_, code, said) = outcome(program.end().await);
    assert_eq!(code, Some(0), "{said}");
    said
}

#[tokio::test]
async fn both_transports_forward_and_the_websocket_comes_first() {
    let server = api::serve().await;
    for (options, pod, how, says) in [
        (&[][..], "p", "websocket", ""),
        (&["--websocket"], "p", "websocket", ""),
        (&["--spdy"], "p", "upgrade", ""),
        (&[], "no-websocket", "upgrade", "405"),
        (&[], "no-protocol", "upgrade", "SubProtocol"),
    ] {
        let mut arguments = options.to_vec();
        arguments.extend([&server, pod, ":80", "0:443"]);
        let (program, addresses) = started(&arguments, 2).await;
        for address in addresses {
            assert!(address.ip().is_loopback());
            let expected = format!("by {how}: hello end");
            let talks = (0..10).map(|_| talk(address, b"hello"));
            for answer in futures_util::future::join_all(talks).await {
                assert_eq!(answer, expected, "{arguments:?}");
            }
        }
        let said = interrupted(program).await;
        if says.is_empty() {
            assert_eq!(said, "");
        } else {
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(
                said.contains("trying the HTTP Upgrade") && said.contains(says),
                "{said}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_refuses_is_quoted() {
    let server = api::serve().await;
    let not_found = "pods \"missing\" not found";
    for option in ["--spdy", "--websocket"] {
        let said = failure("kube_port_forward", &[option, &server, "missing", "80"]).await;
        assert!(said.contains(not_found), "{said}");
    }
    // Both were tried.
    let (_, code, said) = run("kube_port_forward", &[&server, "missing", "80"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.lines().all(|line| line.contains(not_found)), "{said}");
    // A transport that was asked for is not replaced.
    for pod in ["no-websocket", "no-protocol"] {
        failure("kube_port_forward", &["--websocket", &server, pod, "80"]).await;
    }
}

#[tokio::test]
async fn a_port_that_cannot_be_listened_on_is_named() {
    let server = api::serve().await;
    let taken = server.rsplit(':').next().unwrap();
    let arguments = [&server, "p", &format!("{taken}:80")[..]];
    let said = failure("kube_port_forward", &arguments).await;
    let expected = format!("cannot listen on 127.0.0.1:{taken}: ");
    assert!(said.contains(&expected), "{said}");
    let arguments = ["--address", "::1", &server, "p", ":80"];
    // Not every machine has it.
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let (program, addresses) = started(&arguments, 1).await;
        assert!(addresses[0].is_ipv6());
        interrupted(program).await;
    }
}

#[tokio::test]
async fn a_connection_that_fails_is_told_and_the_others_go_on() {
    let server = api::serve().await;
    for transport in ["--websocket", "--spdy"] {
        let (program, addresses) = started(&[transport, &server, "p", ":80", ":1"], 2).await;
        let mut before = TcpStream::connect(addresses[0]).await.unwrap();
        before.write_all(b"be").await.unwrap();
        let mut refused = TcpStream::connect(addresses[1]).await.unwrap();
        let mut nothing = Vec::new();
        // However it is closed.
        drop(within("the refusal", refused.read_to_end(&mut nothing)).await);
        assert!(nothing.is_empty());
        before.write_all(b"fore").await.unwrap();
        before.shutdown().await.unwrap();
        let mut answer = String::new();
        within("the answer", before.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.ends_with(": before end"), "{answer}");
        assert!(talk(addresses[0], b"after").await.ends_with(": after end"));
        let said = interrupted(program).await;
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.contains("port 1") && said.contains("connection refused"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_server_that_dies_ends_the_program() {
    let server = api::serve().await;
    for transport in ["--websocket", "--spdy"] {
        let (program, addresses) = started(&[transport, &server, "p", ":2"], 1).await;
        let _io = TcpStream::connect(addresses[0]).await.unwrap();
        let (_, code, said) = outcome(program.end().await);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("lost the connection to the pod"), "{said}");
    }
}

#[tokio::test]
async fn ctrl_c_lets_connections_come_to_their_end() {
    let server = api::serve().await;
    for transport in ["--websocket", "--spdy"] {
        let (program, addresses) = started(&[transport, &server, "p", ":80"], 1).await;
        let mut io = TcpStream::connect(addresses[0]).await.unwrap();
        let mut greeting = [0; 3];
        within("the greeting", io.read_exact(&mut greeting))
            .await
            .unwrap();
        program.signal("-INT");
        let began = std::time::Instant::now();
        while TcpStream::connect(addresses[0]).await.is_ok() {
            assert!(began.elapsed() < LIMIT, "it still listens");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        io.write_all(b"last words").await.unwrap();
        io.shutdown().await.unwrap();
        let mut answer = String::new();
        within("the answer", io.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.ends_with(": last words end"), "{answer}");
        let (_, code, said) = outcome(program.end().await);
        assert_eq!(code, Some(0), "{said}");
        // One that it had accepted just before, above.
        let late = |line: &str| line.contains("the session is shutting down");
        assert!(said.lines().all(late), "{said}");
    }
}
