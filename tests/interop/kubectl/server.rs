//! The example server as a process, and what it leaves behind.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use super::proxy::Proxy;
use super::{Kubectl, Version};
use crate::peer::{until, variable};
use crate::process::{Ended, Folder, Process, run, wait};

/// A running `kube_server`, the home of the kubectls that talk to it, and the proxy if they do so through one.
pub(crate) struct KubeServer {
    proxy: Option<Proxy>,
    process: Process,
    address: SocketAddr,
    home: Folder,
    /// What it has at its start.
    at_start: Owned,
}

/// What a process holds that a client could have left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    children: BTreeSet<u32>,
    files: usize,
}

/// `None` once it has ended.
fn owned(pid: u32) -> Option<Owned> {
    let mut children = BTreeSet::new();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    for task in tasks.flatten() {
        // A thread may end meanwhile.
        let listed = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let ids = listed.split_whitespace();
        children.extend(ids.map(|id| id.parse::<u32>().expect("the id of a process")));
    }
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some(Owned { children, files })
}

impl KubeServer {
    /// Starts one for this kubectl, with these arguments more.
    pub(crate) async fn start(kubectl: Kubectl, arguments: &[&str]) -> Self {
        let mut command = Command::new(variable("SPDY_INTEROP_KUBE_SERVER"));
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let process = Process::leashed("kube_server", &command);
        let said = || {
            let stdout = String::from_utf8(process.stdout()).expect("text on stdout");
            let line = stdout.split_once('\n')?.0;
            let (_, address) = line.split_once("http://")?;
            Some(address.parse().expect("an address"))
        };
        wait("the server to start", until(async || said().is_some())).await;
        let address = said().expect("it was there");
        let mut this = Self {
            proxy: None,
            at_start: owned(process.id()).expect("it runs"),
            process,
            address,
            home: Folder::new(),
        };
        // The first child takes what the runtime keeps for all of them.
        let warm = Kubectl::straight(Version::Debian).command(this.home(), address);
        run("kubectl", this.with(warm, &["exec", "p", "--", "true"])).await;
        this.settled().await;
        this.at_start = this.owned();
        if kubectl.proxied {
            this.proxy = Some(Proxy::start(kubectl.version, this.home(), address).await);
        }
        this
    }

    fn owned(&self) -> Owned {
        owned(self.process.id()).expect("the server has ended")
    }

    /// Where kubectl finds it, or its proxy.
    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.as_ref().map_or(self.address, Proxy::address)
    }

    /// The proxy goes, with all that it carries.
    pub(crate) fn kill_proxy(&mut self) {
        assert!(self.proxy.take().is_some(), "there is none");
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    fn with(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments);
        command
    }

    /// A kubectl for this server, with these arguments.
    pub(crate) fn kubectl(&self, kubectl: Kubectl, arguments: &[&str]) -> Command {
        self.with(kubectl.command(self.home(), self.address()), arguments)
    }

    /// Runs a kubectl to its end.
    pub(crate) async fn run(&self, kubectl: Kubectl, arguments: &[&str]) -> Ended {
        Process::start("kubectl", self.kubectl(kubectl, arguments))
            .ended()
            .await
    }

    /// The commands that run.
    pub(crate) fn commands(&self) -> usize {
        let now = self.owned().children;
        now.difference(&self.at_start.children).count()
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }

    /// Waits until no command runs.
    async fn settled(&self) {
        let settled = until(async || self.commands() == 0);
        wait("the commands to end", settled).await;
    }

    /// Nothing is left of any client: no process, no socket, no pipe, no terminal; and a server that is told to end has
    /// nothing to wait for.
    pub(crate) async fn leaves_nothing(mut self) {
        self.settled().await;
        // It keeps connections of HTTP for later.
        self.proxy = None;
        let mut now = self.owned();
        for _ in 0..1000 {
            if now.children == self.at_start.children && now.files <= self.at_start.files {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            now = self.owned();
        }
        assert_eq!(now.children, self.at_start.children, "commands are left");
        assert!(
            now.files <= self.at_start.files,
            "files are left: {now:?}, at first {:?}",
            self.at_start
        );
        self.told_to_end().await;
        let began = std::time::Instant::now();
        self.ended().await;
        // Those that are left are waited for longer.
        let took = began.elapsed();
        assert!(took.as_secs() < 5, "it drained for {took:?}");
    }

    pub(crate) async fn told_to_end(&self) {
        self.process.signal("TERM").await;
    }

    /// Waits for its end, which has to be a good one.
    pub(crate) async fn ended(mut self) {
        let ended = self.process.end().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

/// Commands have groups of their own, which a server that is killed leaves behind.
impl Drop for KubeServer {
    fn drop(&mut self) {
        if let Some(now) = owned(self.process.id()) {
            for command in now.children.difference(&self.at_start.children) {
                let group = i32::try_from(*command).ok().and_then(Pid::from_raw);
                // It may be gone by now.
                let _ = group.map(|group| kill_process_group(group, Signal::KILL));
            }
        }
    }
}
