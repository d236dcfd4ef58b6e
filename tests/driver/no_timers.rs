//! Runtimes without timers.

use super::*;

/// A runtime with IO and no time.
fn without_time() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap()
}

#[test]
fn a_runtime_without_a_time_driver_serves_and_closes() {
    without_time().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (dialled, taken) = tokio::join!(tokio::net::TcpStream::connect(address), async {
            listener.accept().await.unwrap().0
        });
        // Options that take time must do no harm either.
        let config = |config: Config| {
            config
                .keep_alive_interval(Duration::from_secs(5))
                .idle_timeout(Duration::from_secs(5))
                .write_timeout(Duration::from_secs(5))
        };
        let (client, connection) = Session::client(dialled.unwrap(), config(Config::client()));
        let client_driver = spawn(connection);
        let (server, connection) = Session::server(taken, config(Config::server()));
        let server_driver = spawn(connection);
        let echo = spawn({
            let server = server.clone();
            async move {
                let incoming = server.accept().await.unwrap().unwrap();
                let mut stream = incoming.reply(HeaderBlock::empty()).unwrap();
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        let mut stream = client
            .open(HeaderBlock::empty(), OpenOptions::new())
            .await
            .unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"hello");
        drop(stream);
        echo.await.unwrap();
        server.shutdown();
        server_driver.await.unwrap().unwrap();
        drop(client);
        client_driver.await.unwrap().unwrap();
    });
}

#[test]
fn without_timers_nothing_waits_for_a_peer_that_is_stuck_or_never_closes() {
    without_time().block_on(async {
        // The peer takes nothing, not even the last words.
        let (session, connection, mut peer) = server(Config::server());
        let driver = spawn(connection);
        // The peer's own expectations would want a timer.
        assert!(matches!(peer.recv().await, Some(Frame::Settings(_))));
        assert!(matches!(peer.recv().await, Some(Frame::WindowUpdate(_))));
        peer.wire().set_out_capacity(0);
        session.abort(GoAwayStatus::INTERNAL_ERROR);
        assert!(driver.await.unwrap().is_err());

        // The peer takes everything, and stays.
        let (session, connection, mut peer) = server(Config::server());
        let driver = spawn(connection);
        session.abort(GoAwayStatus::INTERNAL_ERROR);
        assert!(driver.await.unwrap().is_err());
        let go_away = Frame::from(go_away(0, GoAwayStatus::INTERNAL_ERROR));
        while peer.recv().await.expect("GOAWAY is missing") != go_away {}
    });
}
