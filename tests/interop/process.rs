//! Tools of others: looked for, run under a time limit, and never left behind.

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::peer::scratch;

/// How long a tool may take for one thing.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Waits, and says what was waited for if it takes too long. The work is dropped by the panic, not before it: see
/// [`within`](crate::peer::within).
pub(crate) async fn wait<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        out = &mut work => out,
        () = tokio::time::sleep(LIMIT) => panic!("{what}: not done after {LIMIT:?}"),
    }
}

/// A program of a Debian package.
pub(crate) fn tool(name: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        // Debian keeps haproxy where the path of ordinary users does not lead.
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    let Some(program) = found else {
        panic!(
            "{name} is missing: `apt-get install {package}`, or run these tests by scripts/interop"
        );
    };
    Command::new(program)
}

/// A folder that goes when this does.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = scratch("d");
        std::fs::create_dir_all(&path).expect("create a scratch folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, contents).expect("write a scratch file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A running tool. It is killed and reaped when this is dropped, with all that it has started, and says what it had to
/// say if the test failed.
pub(crate) struct Process {
    name: String,
    child: Child,
    /// The leader, and the group of all that it starts.
    group: u32,
    folder: Folder,
    /// While this is open, a tool on a leash runs.
    _leash: Option<ChildStdin>,
}

/// Runs the arguments, and kills their group when its input ends.
const LEASH: &str = r#"exec 3<&0; (cat <&3 >/dev/null; kill -KILL 0) & exec "$@" 3<&- </dev/null"#;

impl Process {
    /// Starts it without input. What it says goes to files.
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::spawn(name, command, true)
    }

    /// Starts it with the input that the command has.
    pub(crate) fn with_input(name: &str, command: Command) -> Self {
        Self::spawn(name, command, true)
    }

    /// Starts one that would run for ever: it ends even if the test process is killed.
    pub(crate) fn leashed(name: &str, command: &Command) -> Self {
        let command = command.as_std();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", LEASH, "leash"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let mut this = Self::spawn(name, shell, true);
        this._leash = this.child.stdin.take();
        this
    }

    /// Starts it with pipes for its input and output.
    pub(crate) fn piped(name: &str, mut command: Command) -> (Self, ChildStdin, ChildStdout) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut this = Self::spawn(name, command, false);
        let stdin = this.child.stdin.take().unwrap();
        let stdout = this.child.stdout.take().unwrap();
        (this, stdin, stdout)
    }

    /// Starts it with the input that the command has, and a pipe for its output.
    pub(crate) fn read(name: &str, mut command: Command) -> (Self, ChildStdout) {
        command.stdout(Stdio::piped());
        let mut this = Self::spawn(name, command, false);
        let stdout = this.child.stdout.take().unwrap();
        (this, stdout)
    }

    fn spawn(name: &str, mut command: Command, keep_stdout: bool) -> Self {
        let folder = Folder::new();
        let file = |name| File::create(folder.path().join(name)).expect("create a scratch file");
        if keep_stdout {
            command.stdout(file("stdout"));
        }
        let child = command
            .stderr(file("stderr"))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        Self {
            name: name.to_owned(),
            group: child.id().expect("it was not waited for"),
            child,
            folder,
            _leash: None,
        }
    }

    pub(crate) fn stdout(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("stdout")).unwrap_or_default()
    }

    pub(crate) fn stderr(&self) -> String {
        let said = std::fs::read(self.folder.path().join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.group
    }

    /// Sends a signal to it alone.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.group.to_string();
        let kill = Command::new("kill").args(["-s", name, &id]).status();
        let sent = kill.await.expect("run kill");
        assert!(sent.success(), "no SIG{name} for {}", self.name);
    }

    /// Waits for its end, whatever it is.
    pub(crate) async fn ended(mut self) -> Ended {
        self.end().await
    }

    /// The same, of one that others have part in.
    pub(crate) async fn end(&mut self) -> Ended {
        let name = format!("the end of {}", self.name);
        let status = wait(&name, self.child.wait()).await;
        Ended {
            code: status.expect("wait for the process").code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// Fails if it has ended.
    pub(crate) fn assert_running(&mut self) {
        let ended = self.child.try_wait().expect("look after the process");
        assert!(ended.is_none(), "{} has ended: {ended:?}", self.name);
    }

    fn kill(&mut self) {
        // The group may have members although its leader has ended, as those of browsers do.
        let killed = std::process::Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.group)])
            .stderr(Stdio::null())
            .status();
        drop(killed);
        let began = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if began.elapsed() > LIMIT {
                drop(writeln!(
                    std::io::stderr(),
                    "{} survives its kill",
                    self.name
                ));
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            // No panic in here: the first one is the one to see.
            drop(writeln!(
                std::io::stderr(),
                "stdout of {0}: [{1}]\nstderr of {0}: [{2}]",
                self.name,
                String::from_utf8_lossy(&self.stdout()),
                self.stderr()
            ));
        }
    }
}

/// How a tool has ended.
pub(crate) struct Ended {
    /// `None` if a signal has ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// What a tool that went well has said.
pub(crate) struct Said {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text on stdout")
    }
}

/// Runs a tool to its end, which has to be a success.
pub(crate) async fn run(name: &str, command: Command) -> Said {
    let mut process = Process::start(name, command);
    let status = wait(name, process.child.wait())
        .await
        .expect("wait for the process");
    assert!(status.success(), "{name}: {status}");
    Said {
        stdout: process.stdout(),
        stderr: process.stderr(),
    }
}
