//! Peers that do anything, but play by the rules far enough to get somewhere: nothing panics, nothing is left, and every wait
//! ends, in every state. Fixed seeds; how often each state was reached is part of what has to hold.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use spdy::frame::{GoAwayStatus, Role};
use spdy::kube::port_forward::{self, Forwarded};
use spdy::kube::remote_command::{Client, Exit, TerminalSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

const CASES: u64 = 150;
const STEPS: u64 = 60;

/// Numbers that look random (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(all.len() as u64)).unwrap();
        all[at]
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn stream(&mut self) -> u32 {
        u32::try_from(self.below(14) + 1).unwrap()
    }
}

const TYPES: [&str; 8] = [
    "error", "stdin", "stdout", "stderr", "resize", "data", "", "other",
];
const PORTS: [&str; 5] = ["80", "1", "0", "x", "65536"];
const REQUESTS: [&str; 4] = ["0", "1", "", "x"];
const TEXTS: [&str; 7] = [
    "{\"Width\":1,\"Height\":2}\n",
    "{\"Wid",
    "}\n",
    "{\"status\":\"Success\"}",
    "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\"",
    "nonsense",
    "[[[[[[[[",
];

/// How often the application of ours has got where.
#[derive(Clone, Debug, Default)]
struct Reached(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Reached {
    fn note(&self, state: &'static str) {
        *self.0.lock().unwrap().entry(state).or_default() += 1;
    }

    /// Each in one of twenty cases at least: else the peers are so wild that nothing but their first steps is tested.
    fn often(&self, states: &[&str]) {
        let reached = self.0.lock().unwrap();
        for state in states {
            let times = reached.get(state).copied().unwrap_or(0);
            assert!(times * 20 >= CASES, "{state}: {times} times; {reached:?}");
        }
    }
}

/// A peer with a purpose, most of the time.
struct Hostile {
    peer: Peer,
    dice: Dice,
    /// Its own.
    role: Role,
    next: u32,
    /// The streams that both sides know of, with their types.
    streams: Vec<(u32, String)>,
}

impl Hostile {
    async fn open(&mut self, kind: &str, port: &str, request: &str) {
        let (stream, mut draft) = (self.next, typed(self.next, kind));
        self.next += 2;
        if !port.is_empty() {
            draft = draft.header("port", port).header("requestid", request);
        }
        self.streams.push((stream, kind.to_owned()));
        self.peer.send(draft).await;
    }

    /// What a client opens: the streams of a command in any order, seldom with one left out; or some pairs.
    async fn begin(&mut self, ports: bool) {
        if ports {
            for (port, request) in [("80", "0"), ("1", "1"), ("81", "2")] {
                for kind in ["error", "data"] {
                    if !self.dice.once_in(12) {
                        self.open(kind, port, request).await;
                    }
                }
            }
            return;
        }
        let mut kinds = vec!["error", "stdin", "stdout", "resize"];
        while !kinds.is_empty() {
            let at = self.dice.below(kinds.len() as u64);
            let kind = kinds.remove(usize::try_from(at).unwrap());
            if !self.dice.once_in(20) {
                self.open(kind, "", "").await;
            }
        }
    }

    /// Reads what there is, and answers what a server has to.
    async fn listen(&mut self) {
        loop {
            let frame = {
                let mut recv = pin!(self.peer.recv());
                poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx))).await
            };
            let Poll::Ready(Some(frame)) = frame else {
                return;
            };
            let Frame::SynStream(syn) = frame else {
                continue;
            };
            let kind = syn.block.get("streamtype").unwrap_or_default();
            let kind = String::from_utf8_lossy(kind).into_owned();
            let stream = syn.id.get();
            self.streams.push((stream, kind));
            let answer = match self.dice.below(40) {
                0 => cancel(stream),
                1 => continue,
                _ => syn_reply(stream),
            };
            self.peer.send(answer).await;
        }
    }

    /// What a peer of this role does with one of the streams.
    async fn plausible(&mut self) {
        if self.streams.is_empty() {
            return self.wild().await;
        }
        let at = self.dice.below(self.streams.len() as u64);
        let (stream, kind) = self.streams[usize::try_from(at).unwrap()].clone();
        let draft = match (self.role, kind.as_str()) {
            (Role::Client, "stdin") | (Role::Server, "stdout") | (_, "data") => {
                match self.dice.below(12) {
                    0 | 1 => data(stream, "the end").fin(),
                    2 if kind == "data" => cancel(stream),
                    _ => data(stream, self.dice.one_of(&TEXTS)),
                }
            }
            (Role::Client, "resize") => data(stream, TEXTS[0]),
            (Role::Client, "error") if self.dice.once_in(4) => data(stream, "").fin(),
            (Role::Server, "error") if self.dice.once_in(3) => {
                let outcomes = [
                    "{\"status\":\"Success\"}",
                    "{\"status\":\"Failure\",\"message\":\"no\"}",
                    "port 80: refused",
                    "",
                ];
                data(stream, self.dice.one_of(&outcomes)).fin()
            }
            _ => ping(stream),
        };
        self.peer.send(draft).await;
    }

    /// Anything.
    async fn wild(&mut self) {
        let stream = self.dice.stream();
        if self.dice.once_in(20) {
            // An empty DATA frame, which the encoder of ours never makes.
            let [a, b, c, d] = stream.to_be_bytes();
            return self.peer.send_raw([a, b, c, d, 0, 0, 0, 0]).await;
        }
        let kinds = if self.role == Role::Client { 20 } else { 14 };
        let draft = match self.dice.below(kinds) {
            0..=3 => data(stream, self.dice.one_of(&TEXTS)),
            4 => data(stream, self.dice.one_of(&TEXTS)).fin(),
            5 => data(stream, vec![b'{'; 3000]),
            6 => rst(stream, ResetStatus::CANCEL),
            7 => rst(stream, ResetStatus::INTERNAL_ERROR),
            8..=10 => syn_reply(stream),
            11 => headers(stream).header("a", "b"),
            12 => ping(stream),
            13 => match self.dice.below(8) {
                0 => go_away(stream, GoAwayStatus::OK),
                1 => {
                    let mut garbage = [0; 20];
                    garbage.fill_with(|| u8::try_from(self.dice.below(256)).unwrap());
                    return self.peer.send_raw(garbage).await;
                }
                _ => window_update(0, u32::MAX >> 1),
            },
            _ => {
                let mut draft = typed(self.next, self.dice.one_of(&TYPES));
                self.next += 1 + u32::try_from(self.dice.below(3)).unwrap();
                if self.dice.below(4) > 0 {
                    draft = draft.header("port", self.dice.one_of(&PORTS));
                }
                if self.dice.below(4) > 0 {
                    draft = draft.header("requestid", self.dice.one_of(&REQUESTS));
                }
                draft
            }
        };
        self.peer.send(draft).await;
    }
}

/// Plays against a session of ours whose application runs in `app`.
async fn play<A>(seed: u64, role: Role, ports: bool, app: impl FnOnce(Session) -> A)
where
    A: Future<Output = ()> + Send + 'static,
{
    let (session, running, peer) = match role {
        Role::Client => kubelet(),
        Role::Server => kubectl(),
    };
    let app = spawn(app(session.clone()));
    let mut hostile = Hostile {
        peer,
        dice: Dice(seed),
        role,
        next: 1,
        streams: Vec::new(),
    };
    // Every peer is as wild as it likes.
    let wildness = hostile.dice.below(4);
    if role == Role::Client && wildness < 3 {
        hostile.begin(ports).await;
    }
    for _ in 0..STEPS {
        settle_a_little().await;
        hostile.listen().await;
        if hostile.peer.wire().is_out_shut() || running.is_finished() {
            break;
        }
        if hostile.dice.below(8) < 2 * wildness {
            hostile.wild().await;
        } else {
            hostile.plausible().await;
        }
        match hostile.dice.below(10) {
            0 => tokio::time::sleep(20 * SECOND).await,
            1 => settle().await,
            _ => {}
        }
    }
    hostile.peer.wire().shut_in();
    within("the application", app)
        .await
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    drop(within("the connection", running).await.unwrap());
    assert_eq!(session.stream_count(), 0, "seed {seed}");
    assert_eq!(session.unread_bytes(), 0, "seed {seed}");
}

async fn settle_a_little() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

async fn run_command(session: Session, reached: Reached) {
    let server = Server::new(Version::V4, EXEC_IT);
    let Ok(streams) = server.accept(&session).await else {
        return reached.note("no set of streams");
    };
    reached.note("accepted");
    let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
    let mut resize = streams.resize.unwrap();
    let sized = reached.clone();
    let sizes = spawn(async move {
        while let Ok(Some(_)) = resize.next().await {
            sized.note("resized");
        }
    });
    let copying = tokio::io::copy(&mut stdin, &mut stdout);
    match tokio::time::timeout(100 * SECOND, copying).await {
        Ok(Ok(bytes)) if bytes > 0 => reached.note("copied to the end"),
        Ok(Ok(_)) => reached.note("nothing to copy"),
        Ok(Err(_)) => reached.note("input cut off"),
        Err(_) => reached.note("input without end"),
    }
    drop(stdout.shutdown().await);
    match streams.exit.finish(Exit::Code(0)).await {
        Ok(()) => reached.note("outcome told"),
        Err(_) => reached.note("outcome not told"),
    }
    sizes.await.unwrap();
}

async fn forward(session: Session, reached: Reached) {
    let mut server = port_forward::Server::new(session);
    let mut tasks = tokio::task::JoinSet::new();
    while let Ok(Some(forward)) = server.accept().await {
        reached.note("paired");
        let reached = reached.clone();
        tasks.spawn(async move {
            if forward.port() == 1 {
                reached.note("failing");
                return forward.fail("no").await;
            }
            let (ours, target) = duplex(1000);
            let echoed = reached.clone();
            spawn(async move {
                let (mut read, mut write) = tokio::io::split(target);
                match tokio::io::copy(&mut read, &mut write).await {
                    Ok(bytes) if bytes > 0 => echoed.note("echoed"),
                    Ok(_) => echoed.note("nothing to echo"),
                    Err(_) => echoed.note("target cut off"),
                }
            });
            let _ = forward.copy(ours).await;
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

async fn use_command(session: Session, reached: Reached) {
    let client = Client::new(Version::V4, EXEC_IT).stream_timeout(50 * SECOND);
    let Ok(streams) = client.open(&session).await else {
        return reached.note("not opened");
    };
    reached.note("opened");
    let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
    let mut resize = streams.resize.unwrap();
    if resize.send(TerminalSize::default()).await.is_ok() {
        reached.note("resized");
    }
    if stdin.write_all(&[0; 1000]).await.is_ok() {
        reached.note("input written");
    }
    let mut output = Vec::new();
    let reading = stdout.read_to_end(&mut output);
    match tokio::time::timeout(100 * SECOND, reading).await {
        Ok(Ok(_)) => reached.note("output to the end"),
        Ok(Err(_)) => reached.note("output cut off"),
        Err(_) => reached.note("output without end"),
    }
    match tokio::time::timeout(100 * SECOND, streams.exit.wait()).await {
        Ok(Ok(Exit::Code(_))) => reached.note("exit code"),
        Ok(Ok(_)) => reached.note("exit failed"),
        Ok(Err(_)) => reached.note("outcome lost"),
        Err(_) => reached.note("outcome missing"),
    }
}

async fn use_ports(session: Session, reached: Reached) {
    let client = port_forward::Client::new(session);
    let read = |forwarded: spdy::Result<Forwarded>| async {
        let Ok(mut forwarded) = forwarded else {
            return reached.note("not connected");
        };
        reached.note("connected");
        drop(forwarded.write_all(b"question").await);
        let mut answer = Vec::new();
        let reading = forwarded.read_to_end(&mut answer);
        match tokio::time::timeout(100 * SECOND, reading).await {
            Ok(Ok(_)) => reached.note("answer to the end"),
            Ok(Err(_)) => reached.note("answer cut off"),
            Err(_) => reached.note("answer without end"),
        }
        match tokio::time::timeout(100 * SECOND, forwarded.failure()).await {
            Ok(Some(_)) => reached.note("failed"),
            Ok(None) => reached.note("not failed"),
            Err(_) => reached.note("error stream without end"),
        }
    };
    tokio::join!(
        async {
            read(client.connect(80).await).await;
        },
        async {
            read(client.connect(81).await).await;
        },
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_of_commands_survives_any_client() {
    let reached = Reached::default();
    for seed in 0..CASES {
        let app = |session| run_command(session, reached.clone());
        play(seed, Role::Client, false, app).await;
    }
    reached.often(&[
        "accepted",
        "no set of streams",
        "resized",
        "copied to the end",
        "input cut off",
        "outcome told",
        "outcome not told",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_ports_survives_any_client() {
    let reached = Reached::default();
    for seed in 0..CASES {
        let app = |session| forward(session, reached.clone());
        play(seed, Role::Client, true, app).await;
    }
    reached.often(&["paired", "failing", "echoed", "nothing to echo"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_commands_survives_any_server() {
    let reached = Reached::default();
    for seed in 0..CASES {
        let app = |session| use_command(session, reached.clone());
        play(seed, Role::Server, false, app).await;
    }
    reached.often(&[
        "opened",
        "not opened",
        "resized",
        "input written",
        "output to the end",
        "output cut off",
        "exit code",
        "exit failed",
        "outcome lost",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_ports_survives_any_server() {
    let reached = Reached::default();
    for seed in 0..CASES {
        let app = |session| use_ports(session, reached.clone());
        play(seed, Role::Server, true, app).await;
    }
    reached.often(&[
        "connected",
        "not connected",
        "answer to the end",
        "answer cut off",
        "failed",
        "not failed",
    ]);
}
