//! `exec` and `attach` without a terminal.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::KubeServer;
use super::{Kubectl, each_kubectl};
use crate::pattern::Noise;
use crate::peer::{until, within};
use crate::process::{Process, wait};

each_kubectl! {
    outputs_are_apart_and_the_code_is_the_commands
    twenty_megabytes_come_out
    five_megabytes_go_through
    a_command_that_ignores_its_input_ends_as_it_likes
    kubectl_is_back_at_once_when_the_command_has_ended
    what_the_server_refuses_is_shown
    attach_gives_input_and_output
    what_a_command_has_started_does_not_outlive_it
    a_kubectl_that_is_killed_takes_its_command_along
    a_kubectl_that_is_interrupted_takes_its_command_along
    a_kubectl_that_is_killed_while_its_input_is_ignored_takes_its_command_along
    a_command_that_the_server_ends_is_no_success
    a_reader_that_pauses_gets_all_although_its_input_is_ignored
    twenty_commands_at_once
}

each_kubectl! {
    proxied:
    outputs_are_apart_and_the_code_is_the_commands
    twenty_megabytes_come_out
    five_megabytes_go_through
    a_command_that_ignores_its_input_ends_as_it_likes
    what_the_server_refuses_is_shown
    a_kubectl_that_is_killed_takes_its_command_along
    a_command_that_the_server_ends_is_no_success
    a_reader_that_pauses_gets_all_although_its_input_is_ignored
}

pub(super) fn exec<'a>(command: &[&'a str]) -> Vec<&'a str> {
    [&["exec", "-i", "p", "-c", "c", "--"][..], command].concat()
}

/// Without an input.
pub(super) fn run<'a>(command: &[&'a str]) -> Vec<&'a str> {
    [&["exec", "p", "-c", "c", "--"][..], command].concat()
}

async fn outputs_are_apart_and_the_code_is_the_commands(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    for code in [0, 3, 255] {
        let script = format!("echo out; echo err >&2; exit {code}");
        let ended = server.run(kubectl, &run(&["sh", "-c", &script])).await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_eq!(ended.stdout, b"out\n");
        let (mine, told) = ended.stderr.split_once('\n').unwrap_or_default();
        assert_eq!(mine, "err", "{}", ended.stderr);
        match code {
            0 => assert_eq!(told, ""),
            _ => assert!(told.contains(&format!("exit code {code}")), "{told}"),
        }
    }
    let log = server.log();
    assert!(log.contains("Code(255)"), "{log}");
    server.leaves_nothing().await;
}

async fn twenty_megabytes_come_out(kubectl: Kubectl) {
    const LENGTH: usize = 20_000_000;
    let server = KubeServer::start(kubectl, &[]).await;
    let noise = Noise::new(20).take(LENGTH);
    let file = server.home().join("noise");
    std::fs::write(&file, &noise).unwrap();
    let file = file.to_str().unwrap();
    let ended = server.run(kubectl, &run(&["cat", file])).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout == noise, "{} bytes came", ended.stdout.len());
    server.leaves_nothing().await;
}

async fn five_megabytes_go_through(kubectl: Kubectl) {
    const LENGTH: usize = 5_000_000;
    let server = KubeServer::start(kubectl, &[]).await;
    let noise = Noise::new(5).take(LENGTH);
    let (process, mut stdin, mut stdout) =
        Process::piped("kubectl", server.kubectl(kubectl, &exec(&["cat"])));
    let sending = async {
        stdin.write_all(&noise).await.unwrap();
        drop(stdin);
    };
    let mut back = Vec::new();
    let receiving = stdout.read_to_end(&mut back);
    let ((), read) = wait("the bytes", async { tokio::join!(sending, receiving) }).await;
    read.unwrap();
    assert!(back == noise, "{} bytes came back", back.len());
    let ended = process.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    server.leaves_nothing().await;
}

/// More than all buffers on the way take, for a command that reads nothing of it.
async fn a_command_that_ignores_its_input_ends_as_it_likes(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    let script = "sleep 0.5; echo done; exit 7";
    let mut command = server.kubectl(kubectl, &exec(&["sh", "-c", script]));
    command.stdin(endless());
    let began = Instant::now();
    let ended = Process::with_input("kubectl", command).ended().await;
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert_eq!(ended.stdout, b"done\n");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    server.leaves_nothing().await;
}

/// Zeroes without an end.
pub(super) fn endless() -> Stdio {
    std::fs::File::open("/dev/zero").unwrap().into()
}

async fn kubectl_is_back_at_once_when_the_command_has_ended(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    let stamp = server.home().join("ended");
    let script = format!("sleep 0.3; touch '{}'", stamp.display());
    // With an input that stays open: nothing but the server says that all is over.
    let command = server.kubectl(kubectl, &exec(&["sh", "-c", &script]));
    let (process, stdin, _stdout) = Process::piped("kubectl", command);
    let ended = process.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let since = std::fs::metadata(&stamp).unwrap().modified().unwrap();
    let took = since.elapsed().unwrap();
    assert!(took < Duration::from_secs(1), "{took:?} behind the command");
    drop(stdin);
    server.leaves_nothing().await;
}

async fn what_the_server_refuses_is_shown(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    let ended = server
        .run(kubectl, &["exec", "p", "-c", "x", "--", "true"])
        .await;
    assert_eq!(ended.code, Some(1));
    // Newer ones ask the pod before they ask the server to run anything.
    let shown = ended.stderr.contains("container x is not valid for pod p");
    assert!(shown, "{}", ended.stderr);
    let ended = server
        .run(kubectl, &["exec", "nobody", "-c", "c", "--", "true"])
        .await;
    let shown = "Error from server (NotFound): pods \"nobody\" not found";
    assert!(ended.stderr.contains(shown), "{}", ended.stderr);
    let ended = server.run(kubectl, &run(&["/no/such/program"])).await;
    assert_eq!(ended.code, Some(1));
    let shown = ended.stderr.contains("cannot run \"/no/such/program\"");
    assert!(shown, "{}", ended.stderr);
    server.leaves_nothing().await;
}

async fn attach_gives_input_and_output(kubectl: Kubectl) {
    let script = "while read line; do echo \"<$line>\"; done; echo bye >&2; exit 9";
    let server = KubeServer::start(kubectl, &["--", "sh", "-c", script]).await;
    let arguments = ["attach", "-i", "p", "-c", "c"];
    let (process, mut stdin, mut stdout) =
        Process::piped("kubectl", server.kubectl(kubectl, &arguments));
    stdin.write_all(b"one\ntwo\n").await.unwrap();
    drop(stdin);
    let mut back = String::new();
    let reading = stdout.read_to_string(&mut back);
    wait("the output", reading).await.unwrap();
    assert_eq!(back, "<one>\n<two>\n");
    let ended = process.ended().await;
    assert!(ended.stderr.contains("bye"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(9), "{}", ended.stderr);
    server.leaves_nothing().await;
}

/// It keeps the output open.
async fn what_a_command_has_started_does_not_outlive_it(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    let began = Instant::now();
    let script = "sleep 1000 & echo $!";
    let ended = server.run(kubectl, &run(&["sh", "-c", script])).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(began.elapsed() < Duration::from_secs(10));
    let id = String::from_utf8(ended.stdout).unwrap();
    let process = format!("/proc/{}", id.trim());
    let gone = until(async || !std::path::Path::new(&process).exists());
    wait("the end of what was started", gone).await;
    server.leaves_nothing().await;
}

/// How long the server may take to see that a client has gone: the options for spdystream see it within 30 s even while
/// they read nothing.
pub(super) const NOTICED: Duration = Duration::from_secs(45);

/// Runs a command until it has written something, and then does that to kubectl.
async fn ended_early(kubectl: Kubectl, arguments: &[&str], signal: &str) {
    let server = KubeServer::start(kubectl, &[]).await;
    let mut command = server.kubectl(kubectl, arguments);
    command.stdin(endless());
    let process = Process::with_input("kubectl", command);
    wait("the command", until(async || !process.stdout().is_empty())).await;
    assert_eq!(server.commands(), 1);
    process.signal(signal).await;
    process.ended().await;
    let noticed = until(async || server.commands() == 0);
    within(NOTICED, noticed).await;
    server.leaves_nothing().await;
}

/// In the middle of its output.
async fn a_kubectl_that_is_killed_takes_its_command_along(kubectl: Kubectl) {
    let command = ["cat", "/dev/zero"];
    ended_early(kubectl, &run(&command), "KILL").await;
    // In silence, and with children of its own.
    let command = ["sh", "-c", "echo here; sleep 1000 & sleep 1000"];
    ended_early(kubectl, &run(&command), "KILL").await;
}

async fn a_kubectl_that_is_interrupted_takes_its_command_along(kubectl: Kubectl) {
    let command = ["sh", "-c", "echo here; sleep 1000"];
    ended_early(kubectl, &run(&command), "INT").await;
}

/// Nothing of what the client sends is read any more by then, not even its end: a probe shows that it has gone.
async fn a_kubectl_that_is_killed_while_its_input_is_ignored_takes_its_command_along(
    kubectl: Kubectl,
) {
    let command = ["sh", "-c", "sleep 1; echo here; sleep 1000"];
    ended_early(kubectl, &exec(&command), "KILL").await;
}

/// A connection that ends without an outcome would be one.
async fn a_command_that_the_server_ends_is_no_success(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    let command = server.kubectl(kubectl, &run(&["sh", "-c", "echo here; sleep 1000"]));
    let process = Process::start("kubectl", command);
    wait("the command", until(async || !process.stdout().is_empty())).await;
    server.told_to_end().await;
    let ended = process.ended().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let told = ended.stderr.contains("the server is shutting down");
    assert!(told, "{}", ended.stderr);
    server.ended().await;
}

/// What is on its way to kubectl when the command has ended would be lost if the server, or a proxy behind it, closed a
/// connection to which kubectl still writes.
async fn a_reader_that_pauses_gets_all_although_its_input_is_ignored(kubectl: Kubectl) {
    // Less than the sockets on the way take.
    const LENGTH: usize = 4_000_000;
    let server = KubeServer::start(kubectl, &[]).await;
    let script = format!("head -c {LENGTH} /dev/zero; exit 7");
    let mut command = server.kubectl(kubectl, &exec(&["sh", "-c", &script]));
    command.stdin(endless());
    let (process, mut stdout) = Process::read("kubectl", command);
    // The server has nothing more to do by then.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut out = Vec::new();
    wait("the output", stdout.read_to_end(&mut out))
        .await
        .unwrap();
    let ended = process.ended().await;
    assert_eq!(
        (out.len(), ended.code),
        (LENGTH, Some(7)),
        "{}",
        ended.stderr
    );
    server.leaves_nothing().await;
}

async fn twenty_commands_at_once(kubectl: Kubectl) {
    let server = KubeServer::start(kubectl, &[]).await;
    let commands = (0..20).map(|i| {
        let server = &server;
        async move {
            let script = format!("sleep 0.2; echo {i}; exit {i}");
            let ended = server.run(kubectl, &run(&["sh", "-c", &script])).await;
            assert_eq!(ended.code, Some(i), "{}", ended.stderr);
            assert_eq!(ended.stdout, format!("{i}\n").as_bytes());
        }
    });
    futures_util::future::join_all(commands).await;
    server.leaves_nothing().await;
}
