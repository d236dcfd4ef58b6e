//! HAProxy in front of the ports, with the configurations of docs/deployment.md: it ends TLS with NPN, as no TLS library
//! of Rust does, or passes bytes or an Upgrade through. OpenSSL is the client that knows NPN.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use hyper_util::rt::{TokioExecutor, TokioIo};
use spdy::HeaderCompression;
use spdy::codec::{Decoder, DecoderLimits, Encoder, OutBuf};
use spdy::frame::{Frame, Priority, Received, StreamId, SynStream, Version};
use spdy::headers::HeaderBlock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::client::exchanges;
use crate::curl;
use crate::one_port::{by_connector, by_upgrade};
use crate::peer::until;
use crate::ports::{folder_with_authority, ports};
use crate::process::{Folder, Process, run, tool, wait};

/// A running HAProxy.
struct Haproxy {
    process: Process,
    port: u16,
    _folder: Folder,
    _reserved: TcpSocket,
}

/// The configuration of docs/deployment.md that begins with this comment.
fn documented(title: &str) -> String {
    let page = include_str!("../../docs/deployment.md");
    let mut blocks = page.split("```haproxy\n").skip(1);
    let block = blocks
        .find_map(|block| block.strip_prefix(title))
        .unwrap_or_else(|| panic!("docs/deployment.md has no configuration {title:?}"));
    block
        .split_once("```")
        .expect("the end of the block")
        .0
        .to_owned()
}

impl Haproxy {
    /// Runs a configuration with these words replaced, each of which has to be there once.
    async fn start(title: &str, listen: &str, replace: &[(&str, String)]) -> Self {
        let folder = Folder::new();
        // HAProxy cannot choose a port. It binds with SO_REUSEPORT, so that a socket which is bound and does not listen
        // keeps the port for it: there is no moment in which somebody else could take it.
        let reserved = TcpSocket::new_v4().unwrap();
        reserved.set_reuseport(true).unwrap();
        reserved
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .unwrap();
        let address = reserved.local_addr().unwrap();

        let (certificate, key) = ports().authority.issue_pem();
        let pem = folder.write("spdy.pem", certificate + &key);
        let mut config = documented(title);
        let mut put = |from: &str, to: &str| {
            assert_eq!(config.matches(from).count(), 1, "{from:?} in {title:?}");
            config = config.replace(from, to);
        };
        put(listen, &format!("bind {address}"));
        put("log /dev/log local0", "log stdout format raw local0");
        for (from, to) in replace {
            put(from, &to.replace("PEM", pem.to_str().unwrap()));
        }
        let config = folder.write("haproxy.cfg", config);

        let mut command = tool("haproxy", "haproxy");
        command.arg("-db").arg("-f").arg(config);
        let mut this = Self {
            process: Process::leashed("haproxy", &command),
            port: address.port(),
            _folder: folder,
            _reserved: reserved,
        };
        let listening = until(async || {
            this.process.assert_running();
            TcpStream::connect(address).await.is_ok()
        });
        wait("HAProxy's port", listening).await;
        this
    }

    /// With NPN and ALPN, in front of the plain port.
    async fn ends_tls() -> Self {
        Self::ends_tls_with("").await
    }

    async fn ends_tls_with(server_option: &str) -> Self {
        let server = format!("127.0.0.1:{} {server_option}", ports().plain);
        let replace = [
            ("/etc/haproxy/spdy.pem", "PEM".to_owned()),
            ("127.0.0.1:8080", server),
        ];
        let title = "# TLS ends here, by NPN or ALPN; a plain port is behind.\n";
        Self::start(title, "bind :443", &replace).await
    }

    /// In front of the TLS port.
    async fn passes_tls() -> Self {
        let replace = [("127.0.0.1:8443", format!("127.0.0.1:{}", ports().tls))];
        let title = "# TLS passes through; a TLS port is behind.\n";
        Self::start(title, "bind :443", &replace).await
    }

    /// As a proxy of HTTP, in front of the plain port.
    async fn passes_http() -> Self {
        let replace = [("127.0.0.1:8080", format!("127.0.0.1:{}", ports().plain))];
        let title = "# HTTP/1.1 with its Upgrade passes through; a plain port is behind.\n";
        Self::start(title, "bind :80", &replace).await
    }

    fn https(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Waits until it has logged a connection, which it does at the end of one.
    async fn logs(&mut self, words: &[&str]) {
        let logged = until(async || {
            self.process.assert_running();
            let log = String::from_utf8(self.process.stdout()).unwrap();
            log.lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
        });
        wait(&format!("a line with {words:?} in HAProxy's log"), logged).await;
    }
}

/// OpenSSL's client. It checks the certificate, and ends with an error if that is not right.
fn s_client(port: u16, authority: &std::path::Path) -> Command {
    let mut command = tool("openssl", "openssl");
    command
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(["-servername", "localhost", "-verify_hostname", "localhost"])
        .args(["-verify_return_error", "-CAfile"])
        .arg(authority);
    command
}

/// The pipes of an OpenSSL client that only carries bytes, behind NPN.
fn by_npn(
    haproxy: &Haproxy,
    authority: &std::path::Path,
    offer: &str,
) -> (Process, ChildStdin, ChildStdout) {
    let mut command = s_client(haproxy.port, authority);
    command.args(["-tls1_2", "-nextprotoneg", offer, "-quiet"]);
    Process::piped("openssl s_client", command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn npn_chooses_what_the_client_knows() {
    let mut haproxy = Haproxy::ends_tls().await;
    let (_folder, authority) = folder_with_authority();
    for (offer, chosen) in [
        ("spdy/3.1", "Next protocol: (1) spdy/3.1"),
        ("http/1.1", "Next protocol: (1) http/1.1"),
        // The order is the server's.
        ("http/1.1,spdy/3.1", "Next protocol: (1) spdy/3.1"),
        // The first of the client's, "opportunistically", as it says of itself.
        ("spdy/2", "Next protocol: (2) spdy/2"),
    ] {
        let mut command = s_client(haproxy.port, &authority);
        command.args(["-tls1_2", "-nextprotoneg", offer]);
        let said = run("openssl s_client", command).await;
        assert!(said.text().contains(chosen), "{offer}: {}", said.text());
    }
    // Who offers TLS 1.3 too gets that, in which there is no NPN.
    let mut command = s_client(haproxy.port, &authority);
    command.args(["-nextprotoneg", "spdy/3.1"]);
    let said = run("openssl s_client", command).await;
    assert!(said.text().contains("New, TLSv1.3"), "{}", said.text());
    assert!(!said.text().contains("Next protocol"), "{}", said.text());
    haproxy.logs(&["TLSv1.3", "npn=-", "alpn=-"]).await;
}

/// What a SPDY client of NPN's time sends first.
fn syn_stream(path: &str) -> BytesMut {
    let mut block = HeaderBlock::builder();
    for (name, value) in [
        (":method", "GET"),
        (":path", path),
        (":version", "HTTP/1.1"),
        (":host", "localhost"),
        (":scheme", "https"),
    ] {
        block.push(name, value.as_bytes()).unwrap();
    }
    let frame = Frame::SynStream(SynStream {
        id: StreamId::new(1).unwrap(),
        associated: None,
        priority: Priority::HIGHEST,
        fin: true,
        unidirectional: false,
        block: block.finish(),
    });
    let mut out = OutBuf::new();
    out.set_flat(true);
    Encoder::new(Version::Spdy31, HeaderCompression::Level(6)).encode(&frame, &mut out);
    let length = out.len();
    BytesMut::from(&out.copy_to_bytes(length)[..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_syn_stream_behind_npn_is_answered() {
    let mut haproxy = Haproxy::ends_tls().await;
    let (_folder, authority) = folder_with_authority();
    let (process, mut stdin, mut stdout) = by_npn(&haproxy, &authority, "spdy/3.1");
    stdin.write_all(&syn_stream("/hello")).await.unwrap();
    stdin.flush().await.unwrap();

    let mut decoder = Decoder::new(Version::Spdy31, DecoderLimits::default());
    let (mut bytes, mut status, mut body, mut ended) = (BytesMut::new(), None, Vec::new(), false);
    let answer = async {
        while !ended {
            assert_ne!(
                stdout.read_buf(&mut bytes).await.unwrap(),
                0,
                "it was closed"
            );
            while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
                match frame {
                    Received::SynReply(reply) => {
                        assert_eq!(reply.id.get(), 1);
                        let block = reply.block.expect("the headers of the reply");
                        status = block.get(":status").map(<[u8]>::to_vec);
                        ended = reply.fin;
                    }
                    Received::Data(data) => {
                        assert_eq!(data.id, StreamId::new(1));
                        body.extend_from_slice(&data.payload);
                        ended = data.fin;
                    }
                    Received::Settings(_) | Received::WindowUpdate(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    wait("the answer behind NPN", answer).await;
    assert!(status.expect("a SYN_REPLY").starts_with(b"200"));
    assert_eq!(body, b"hello world");
    // It has waited for the answer with its input open; now it goes.
    drop((stdin, stdout, process));
    haproxy.logs(&["TLSv1.2", "npn=spdy/3.1", "alpn=-"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_works_behind_npn() {
    let mut haproxy = Haproxy::ends_tls().await;
    let (_folder, authority) = folder_with_authority();
    let (process, stdin, stdout) = by_npn(&haproxy, &authority, "spdy/3.1");
    let io = TokioIo::new(tokio::io::join(stdout, stdin));
    let handshake = spdy::client::handshake(TokioExecutor::new(), io);
    let (send, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    exchanges(send, "https://localhost/").await;
    let ended = wait("the end of the connection", connection).await;
    ended.unwrap().expect("the end of the connection");
    drop(process);
    haproxy.logs(&["TLSv1.2", "npn=spdy/3.1", "alpn=-"]).await;
}

/// What comes back for a GET behind NPN, until the server closes.
async fn get_by_npn(haproxy: &Haproxy) -> String {
    let (_folder, authority) = folder_with_authority();
    let (_process, mut stdin, mut stdout) = by_npn(haproxy, &authority, "http/1.1");
    let request = b"GET /api/info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stdin.write_all(request).await.unwrap();
    stdin.flush().await.unwrap();
    let mut answer = String::new();
    let read = stdout.read_to_string(&mut answer);
    wait("the answer behind NPN", read).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn npn_gives_http_to_those_who_ask_for_it() {
    let mut haproxy = Haproxy::ends_tls().await;
    let answer = get_by_npn(&haproxy).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"version":"HTTP/1.1"}"#), "{answer}");
    haproxy.logs(&["TLSv1.2", "npn=http/1.1", "alpn=-"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_protocol_is_a_bad_request() {
    for option in ["send-proxy", "send-proxy-v2"] {
        let haproxy = Haproxy::ends_tls_with(option).await;
        let answer = get_by_npn(&haproxy).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{option}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alpn_is_offered_beside_npn() {
    let mut haproxy = Haproxy::ends_tls().await;
    by_connector(&haproxy.https(), &ports().authority).await;
    haproxy.logs(&["TLSv1.3", "npn=-", "alpn=spdy/3.1"]).await;
    // Offers h2 as well, which is not to be had here.
    curl::exchanges(curl::Over {
        option: "--http2",
        origin: haproxy.https(),
        version: "1.1",
        seen: "HTTP/1.1",
        alpn: Some("http/1.1"),
    })
    .await;
    haproxy.logs(&["TLSv1.3", "npn=-", "alpn=http/1.1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_passes_through_with_its_alpn() {
    let haproxy = Haproxy::passes_tls().await;
    by_connector(&haproxy.https(), &ports().authority).await;
    curl::exchanges(curl::Over {
        option: "--http2",
        origin: haproxy.https(),
        version: "2",
        seen: "HTTP/2.0",
        alpn: Some("h2"),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_passes_through_a_proxy_of_http() {
    let mut haproxy = Haproxy::passes_http().await;
    by_upgrade(haproxy.port).await;
    haproxy.logs(&["101", "\"GET / HTTP/1.1\""]).await;
}
