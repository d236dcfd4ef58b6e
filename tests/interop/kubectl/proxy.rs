//! `kubectl proxy`: the code by which the API server and the kubelet pass upgraded connections on. It copies bytes, and closes
//! both sides as soon as one direction ends. Here is what happens when it dies; the tests beside this one have the rest.

use std::net::SocketAddr;
use std::path::Path;

use tokio::io::AsyncReadExt;

use super::exec::{NOTICED, endless, exec, run};
use super::forward::{Forwarding, Target, ten_connections};
use super::server::KubeServer;
use super::{Kubectl, Version, each_kubectl};
use crate::peer::{until, within};
use crate::process::{Process, wait};

each_kubectl! {
    proxied:
    a_proxy_that_is_killed_takes_its_commands_along
    a_proxy_that_is_killed_takes_its_forwarded_connections_along
}

/// A running proxy. It is killed when this is dropped.
pub(crate) struct Proxy {
    _process: Process,
    address: SocketAddr,
}

impl Proxy {
    /// Starts the one of the other version, in front of this server.
    pub(crate) async fn start(client: Version, home: &Path, server: SocketAddr) -> Self {
        let version = match client {
            Version::Debian => Version::Modern,
            Version::Modern | Version::ModernSpdy => Version::Debian,
        };
        let mut command = Kubectl::straight(version).command(home, server);
        // By default it passes neither exec nor attach on.
        command.args(["proxy", "--port=0", "--reject-paths=^$"]);
        let process = Process::leashed("kubectl proxy", &command);
        let said = || {
            let said = String::from_utf8(process.stdout()).expect("text on stdout");
            let line = said.split_once('\n')?.0;
            let address = line.strip_prefix("Starting to serve on ")?;
            Some(address.parse().expect("an address"))
        };
        wait("the proxy to start", until(async || said().is_some())).await;
        let address = said().expect("it was there");
        Self {
            _process: process,
            address,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn a_proxy_that_is_killed_takes_its_commands_along(kubectl: Kubectl) {
    let mut server = KubeServer::start(kubectl, &[]).await;
    let commands = [
        // In the middle of its output, in silence, and with its input unread.
        run(&["cat", "/dev/zero"]),
        run(&["sh", "-c", "echo here; sleep 1000"]),
        exec(&["sh", "-c", "sleep 1; echo here; sleep 1000"]),
    ];
    let start = |arguments: &Vec<&str>| {
        let mut command = server.kubectl(kubectl, arguments);
        command.stdin(endless());
        Process::with_input("kubectl", command)
    };
    let clients: Vec<_> = commands.iter().map(start).collect();
    for client in &clients {
        wait("a command", until(async || !client.stdout().is_empty())).await;
    }
    assert_eq!(server.commands(), clients.len());
    server.kill_proxy();
    for client in clients {
        // kubectl takes an end without an outcome for a success, whoever has served it.
        let ended = client.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    within(NOTICED, until(async || server.commands() == 0)).await;
    server.leaves_nothing().await;
}

async fn a_proxy_that_is_killed_takes_its_forwarded_connections_along(kubectl: Kubectl) {
    let target = Target::echo().await;
    let mut server = KubeServer::start(kubectl, &[]).await;
    let forwarding = Forwarding::start(&server, kubectl, target.port).await;
    let mut connections = ten_connections(&forwarding, &target).await;
    server.kill_proxy();
    for io in &mut connections {
        // It may end either way.
        let _ = wait("an end", io.read(&mut [0])).await;
    }
    wait("the ends", until(async || target.open() == 0)).await;
    let ended = forwarding.process.ended().await;
    let told = ended.stderr.contains("lost connection to pod");
    assert!(told, "{}", ended.stderr);
    let code = i32::from(kubectl.version != Version::Debian);
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    server.leaves_nothing().await;
}
