//! `kube_exec`.

use std::io::{Read, Write};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::*;

#[tokio::test]
async fn the_exit_code_is_that_of_the_command() {
    let server = api::serve().await;
    for code in ["0", "3", "255"] {
        let (out, exit, said) = run("kube_exec", &[&server, "p", "--", "exit", code]).await;
        assert_eq!(exit, Some(code.parse().unwrap()), "{said}");
        assert_eq!((out, said), (String::new(), String::new()));
    }
    let said = failure(
        "kube_exec",
        &[&server, "p", "--", "fail", "no such container"],
    )
    .await;
    assert_eq!(
        said,
        "kube_exec: the command has failed: no such container\n"
    );
}

#[tokio::test]
async fn the_request_says_what_was_asked_for() {
    let server = api::serve().await;
    let arguments = [
        "--namespace",
        "n",
        "--container",
        "c d",
        "--token",
        "t",
        &server,
        "p",
        "seen",
        "--",
        "-x",
        "a b&c=d%20+é",
        "",
    ];
    let (out, exit, said) = run("kube_exec", &arguments).await;
    assert_eq!(exit, Some(0), "{said}");
    let command = r#"["seen", "-x", "a b&c=d%20+é", ""]"#;
    assert_eq!(out, format!("n/p [\"c d\"] {command} Some(\"Bearer t\")\n"));

    let (out, exit, said) = run("kube_exec", &["--attach", &server, "p"]).await;
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(out, "default/p [] [] None\n");
}

#[tokio::test]
async fn output_and_errors_are_apart() {
    let server = api::serve().await;
    let (out, exit, said) = run("kube_exec", &[&server, "p", "--", "both"]).await;
    assert_eq!((out.as_str(), exit, said.as_str()), ("out", Some(0), "err"));
}

#[tokio::test]
async fn standard_input_goes_through_to_its_end() {
    let server = api::serve().await;
    let input: Vec<u8> = (0..=250).cycle().take(3 << 20).collect();
    let arguments = ["-i", &server, "p", "--", "cat"];
    let mut program = Running::start("kube_exec", &arguments, Stdio::piped());
    let mut stdin = program.0.stdin.take().unwrap();
    let sent = input.clone();
    tokio::spawn(async move { stdin.write_all(&sent).await.unwrap() });
    let output = program.end().await;
    assert!(output.status.success(), "{:?}", output.status);
    assert!(output.stdout == input, "{} bytes came", output.stdout.len());
}

#[tokio::test]
async fn a_command_that_ends_before_its_input_ends_the_program() {
    let server = api::serve().await;
    let arguments = ["-i", &server, "p", "--", "exit", "3"];
    // Which nobody writes to or closes.
    let mut program = Running::start("kube_exec", &arguments, Stdio::piped());
    let _stdin = program.0.stdin.take();
    assert_eq!(program.end().await.status.code(), Some(3));
}

#[tokio::test]
async fn a_server_that_refuses_is_quoted() {
    let server = api::serve().await;
    let said = failure("kube_exec", &[&server, "missing", "--", "cat"]).await;
    assert_eq!(
        said,
        "kube_exec: NotFound from server: pods \"missing\" not found\n"
    );
}

#[tokio::test]
async fn a_server_that_dies_is_a_failure_behind_what_it_has_said() {
    let server = api::serve().await;
    let (out, code, said) = run("kube_exec", &[&server, "p", "--", "die"]).await;
    assert_eq!((out.as_str(), code), ("half an answ", Some(1)), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("connection closed") || said.contains("transport"),
        "{said}"
    );
}

#[tokio::test]
async fn ctrl_c_ends_it_while_the_command_runs() {
    let server = api::serve().await;
    let arguments = ["-i", &server, "p", "--", "hang"];
    let mut program = Running::start("kube_exec", &arguments, Stdio::piped());
    let _stdin = program.0.stdin.take();
    let mut lines = program.lines();
    let line = within("a line", lines.next_line()).await.unwrap();
    assert_eq!(line.as_deref(), Some("ready"));
    program.signal("-INT");
    let output = program.end().await;
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[tokio::test]
async fn the_size_of_the_environment_is_told_where_there_is_no_terminal() {
    let server = api::serve().await;
    let arguments = ["-t", &server, "p", "--", "sizes"];
    let mut program = Running::start("kube_exec", &arguments, Stdio::null());
    let mut lines = program.lines();
    for _ in 0..3 {
        let line = within("a size", lines.next_line()).await.unwrap();
        assert_eq!(line.as_deref(), Some("100 30"));
        program.signal("-WINCH");
    }
    program.signal("-INT");
    assert_eq!(program.end().await.status.code(), Some(130));
}

/// The end of a terminal that a program gets, and the one that a user has.
fn terminal() -> (std::fs::File, std::fs::File) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let end = std::fs::File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    (end, terminal.into())
}

fn is_raw(terminal: &std::fs::File) -> bool {
    let modes = tcgetattr(terminal).unwrap().local_modes;
    !modes.intersects(LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHO)
}

async fn becomes_raw(terminal: &std::fs::File) {
    let began = std::time::Instant::now();
    while !is_raw(terminal) {
        assert!(began.elapsed() < LIMIT, "it does not become raw");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_terminal_is_raw_while_the_command_runs_and_its_size_is_told() {
    let server = api::serve().await;
    let (end, terminal) = terminal();
    let resize = |columns, rows| {
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();
    };
    assert!(!is_raw(&end));

    resize(80, 24);
    let arguments = ["-i", "-t", &server, "p", "--", "sizes"];
    let stdin = end.try_clone().unwrap();
    let mut program = Running::start("kube_exec", &arguments, stdin);
    let mut lines = program.lines();
    let line = within("a size", lines.next_line()).await.unwrap();
    assert_eq!(line.as_deref(), Some("80 24"));
    assert!(is_raw(&end));
    resize(132, 50);
    program.signal("-WINCH");
    let line = within("a size", lines.next_line()).await.unwrap();
    assert_eq!(line.as_deref(), Some("132 50"));
    program.signal("-INT");
    assert_eq!(program.end().await.status.code(), Some(130));
    assert!(!is_raw(&end), "it is as it was before");

    // Ctrl-C and a line without its end are bytes for the command. Nothing echoes, and no line is waited for.
    let arguments = ["-i", "-t", &server, "p", "--", "cat"];
    let stdin = end.try_clone().unwrap();
    let mut program = Running::start("kube_exec", &arguments, stdin);
    let mut stdout = program.0.stdout.take().unwrap();
    becomes_raw(&end).await;
    let mut keys = terminal;
    keys.write_all(b"a\x03\r").unwrap();
    let mut echo = [0; 3];
    within("the keys", stdout.read_exact(&mut echo))
        .await
        .unwrap();
    assert_eq!(&echo, b"a\x03\r");
    program.signal("-INT");
    assert_eq!(program.end().await.status.code(), Some(130));
    drop(end);
    // And the terminal shows nothing of its own.
    let mut shown = Vec::new();
    drop(keys.read_to_end(&mut shown));
    assert!(shown.is_empty(), "{:?}", String::from_utf8_lossy(&shown));
}

#[tokio::test]
async fn a_signal_that_ends_it_leaves_the_terminal_as_it_was() {
    let server = api::serve().await;
    let (end, _terminal) = terminal();
    for (signal, number) in [("-HUP", 1), ("-INT", 2), ("-QUIT", 3), ("-TERM", 15)] {
        let arguments = ["-i", "-t", &server, "p", "--", "hang"];
        let program = Running::start("kube_exec", &arguments, end.try_clone().unwrap());
        becomes_raw(&end).await;
        program.signal(signal);
        let (_, code, said) = outcome(program.end().await);
        assert_eq!(code, Some(128 + number), "{signal}: {said}");
        assert!(!is_raw(&end), "{signal}: it is raw still");
        assert_eq!(said, "", "{signal}");
    }
}
