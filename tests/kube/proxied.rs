//! Through a proxy such as Kubernetes has in front of every runtime, over TCP: it copies bytes, and closes both sides as soon as
//! one direction ends. With Kubernetes' own, tests/interop/kubectl/proxy.rs.

use spdy::kube::remote_command::{Client, Exit};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::*;

/// The client's end and the server's, with the proxy between them.
async fn proxied() -> (TcpStream, TcpStream) {
    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (front, back) = (bind().await, bind().await);
    let connect = async |to: &TcpListener| {
        let connecting = TcpStream::connect(to.local_addr().unwrap());
        let (io, accepted) = tokio::join!(connecting, to.accept());
        (io.unwrap(), accepted.unwrap().0)
    };
    let (client, mut near) = connect(&front).await;
    let (mut far, server) = connect(&back).await;
    spawn(async move {
        let (mut from_client, mut to_client) = near.split();
        let (mut from_server, mut to_server) = far.split();
        // Whichever ends first, and however.
        tokio::select! {
            _ = copy(&mut from_client, &mut to_server) => {}
            _ = copy(&mut from_server, &mut to_client) => {}
        }
    });
    (client, server)
}

/// What it has not read yet is in the sockets on the way when the server has ended, and it goes on sending.
#[tokio::test]
async fn a_client_that_reads_late_loses_nothing_although_its_input_goes_on() {
    // Less than the sockets take.
    const OUTPUT: usize = 3 << 20;
    let (io, served) = proxied().await;
    let (session, connection) = Session::server(served, Config::spdystream_server());
    let running = spawn(connection);
    let accepting = accepting(&session, Version::V4, EXEC_I);
    let (client, connection) = Session::client(io, Config::spdystream_client());
    let process = spawn(connection);
    let opened = Client::new(Version::V4, EXEC_I).open(&client).await;
    let mut streams = opened.unwrap();
    let mut served = within("accept", accepting).await.unwrap().unwrap();

    let mut stdin = streams.stdin.take().unwrap();
    let writing = spawn(async move { while stdin.write_all(&[7; 64 << 10]).await.is_ok() {} });
    let mut stdout = served.stdout.take().unwrap();
    let output = vec![3; OUTPUT];
    within("the output", stdout.write_all(&output))
        .await
        .unwrap();
    drop(stdout);
    within("the outcome", served.finish(Exit::Code(7)))
        .await
        .unwrap();
    // Longer than a server discards what comes that does not leave the end to its client.
    sleep(2 * SECOND).await;

    let mut got = Vec::new();
    let mut stdout = streams.stdout.take().unwrap();
    let read = stdout.read_to_end(&mut got);
    within("the output", read).await.unwrap();
    assert!(got == output, "{} of {OUTPUT} bytes", got.len());
    let exit = within("the exit code", streams.exit.wait()).await;
    assert_eq!(exit.unwrap(), Exit::Code(7));
    within("the input", writing).await.unwrap();
    outcome(process).await.unwrap();
    outcome(running).await.unwrap();
}
