//! `exec -it` and `attach -it`, on the terminals that `script` makes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::server::KubeServer;
use super::{Kubectl, each_kubectl};
use crate::peer::until;
use crate::process::{Process, tool, wait};

each_kubectl! {
    the_terminal_has_the_size_of_the_clients_and_follows_it
    what_is_typed_reaches_the_command_of_attach
}

each_kubectl! {
    proxied:
    the_terminal_has_the_size_of_the_clients_and_follows_it
}

/// These words of a shell on a terminal, the last of which are a kubectl with these arguments.
fn on_terminal(server: &KubeServer, kubectl: Kubectl, before: &str, arguments: &str) -> Command {
    let kubectl = kubectl.quoted(server.home(), server.address());
    let words = format!("{before} {kubectl} {arguments}");
    let mut script = tool("script", "bsdutils");
    script.args(["-qefc", &words, "/dev/null"]);
    script
}

async fn the_terminal_has_the_size_of_the_clients_and_follows_it(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    // The size changes when the command is there to see it.
    let ready = server.home().join("ready");
    let before = format!(
        "stty rows 41 cols 111; (until [ -e {0} ]; do sleep 0.05; done; stty rows 50 cols 120 </dev/tty) &",
        ready.display()
    );
    let command = format!(
        r#"exec -it p -c c -- sh -c 'tty; stty size; trap "stty size; exit 5" WINCH; touch {}; while :; do sleep 0.05; done'"#,
        ready.display()
    );
    let script = on_terminal(&server, kubectl, &before, &command);
    let ended = Process::start("script", script).ended().await;
    let shown = String::from_utf8_lossy(&ended.stdout).replace('\r', "");
    assert!(shown.contains("/dev/pts/"), "{shown:?}");
    let (first, second) = (shown.find("41 111\n"), shown.find("50 120\n"));
    assert!(first.is_some() && first < second, "{shown:?}");
    assert_eq!(ended.code, Some(5), "{shown:?}");
    server.leaves_nothing().await;
}

async fn what_is_typed_reaches_the_command_of_attach(kubectl: Kubectl) {
    let script = r#"read line; echo "got <$line>"; exit 6"#;
    let server = KubeServer::start(kubectl, &["--", "sh", "-c", script]).await;
    let script = on_terminal(&server, kubectl, "", "attach -it p -c t");
    let (process, mut stdin, mut stdout) = Process::piped("script", script);
    wait("the command", until(async || server.commands() == 1)).await;
    stdin.write_all(b"typed\r").await.unwrap();
    let mut shown = Vec::new();
    let reading = stdout.read_to_end(&mut shown);
    wait("the output", reading).await.unwrap();
    let shown = String::from_utf8_lossy(&shown);
    // The echo of the terminal, and the answer.
    assert!(shown.contains("typed\r\n"), "{shown:?}");
    assert!(shown.contains("got <typed>"), "{shown:?}");
    drop(stdin);
    assert_eq!(process.ended().await.code, Some(6), "{shown:?}");
    server.leaves_nothing().await;
}
