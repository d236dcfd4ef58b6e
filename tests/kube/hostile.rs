//! Peers that do anything: nothing panics, nothing is left, and every wait ends. Fixed seeds.

use spdy::frame::{GoAwayStatus, Role};
use spdy::kube::port_forward::{self, Forwarded};
use spdy::kube::remote_command::{Client, Exit};
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

/// One step of the peer.
async fn step(peer: &mut Peer, dice: &mut Dice, role: Role, next: &mut u32) {
    let stream = dice.stream();
    if dice.below(20) == 0 {
        // An empty DATA frame, which the encoder of ours never makes.
        let [a, b, c, d] = stream.to_be_bytes();
        return peer.send_raw([a, b, c, d, 0, 0, 0, 0]).await;
    }
    let draft = match dice.below(if role == Role::Client { 20 } else { 14 }) {
        0..=3 => data(stream, dice.one_of(&TEXTS)),
        4 => data(stream, dice.one_of(&TEXTS)).fin(),
        5 => data(stream, vec![b'{'; 3000]),
        6 => rst(stream, ResetStatus::CANCEL),
        7 => rst(stream, ResetStatus::INTERNAL_ERROR),
        8..=10 => syn_reply(stream),
        11 => headers(stream).header("a", "b"),
        12 => ping(stream),
        13 => match dice.below(8) {
            0 => go_away(stream, GoAwayStatus::OK),
            1 => {
                let garbage: Vec<_> = (0..20)
                    .map(|_| u8::try_from(dice.below(256)).unwrap())
                    .collect();
                peer.send_raw(garbage).await;
                return;
            }
            _ => window_update(0, u32::MAX >> 1),
        },
        _ => {
            let mut draft = typed(*next, dice.one_of(&TYPES));
            *next += 1 + u32::try_from(dice.below(3)).unwrap();
            if dice.below(4) > 0 {
                draft = draft.header("port", dice.one_of(&PORTS));
            }
            if dice.below(4) > 0 {
                draft = draft.header("requestid", dice.one_of(&REQUESTS));
            }
            draft
        }
    };
    peer.send(draft).await;
}

/// Plays against a session of ours whose application runs in `app`.
async fn play<A>(seed: u64, role: Role, app: impl FnOnce(Session) -> A)
where
    A: Future<Output = ()> + Send + 'static,
{
    let mut dice = Dice(seed);
    let (session, running, mut peer) = match role {
        Role::Client => kubelet(),
        Role::Server => kubectl(),
    };
    let app = spawn(app(session.clone()));
    let mut next = 1;
    for _ in 0..STEPS {
        if peer.wire().is_out_shut() || running.is_finished() {
            break;
        }
        step(&mut peer, &mut dice, role, &mut next).await;
        match dice.below(10) {
            0 => tokio::time::sleep(20 * SECOND).await,
            1..=3 => settle().await,
            _ => {}
        }
    }
    peer.wire().shut_in();
    within("the application", app)
        .await
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    drop(within("the connection", running).await.unwrap());
    assert_eq!(session.stream_count(), 0, "seed {seed}");
    assert_eq!(session.unread_bytes(), 0, "seed {seed}");
}

async fn run_command(session: Session) {
    let server = Server::new(Version::V4, EXEC_IT);
    let Ok(streams) = server.accept(&session).await else {
        return;
    };
    let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
    let mut resize = streams.resize.unwrap();
    let sizes = spawn(async move { while let Ok(Some(_)) = resize.next().await {} });
    drop(tokio::time::timeout(100 * SECOND, tokio::io::copy(&mut stdin, &mut stdout)).await);
    drop(stdout.shutdown().await);
    drop(streams.exit.finish(Exit::Code(0)).await);
    sizes.await.unwrap();
}

async fn forward(session: Session) {
    let mut server = port_forward::Server::new(session);
    let mut tasks = tokio::task::JoinSet::new();
    while let Ok(Some(forward)) = server.accept().await {
        tasks.spawn(async move {
            if forward.port() == 1 {
                return forward.fail("no").await;
            }
            let (ours, target) = duplex(1000);
            spawn(async move {
                let (mut read, mut write) = tokio::io::split(target);
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
            forward.copy(ours).await;
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

async fn use_command(session: Session) {
    let client = Client::new(Version::V4, EXEC_IT).stream_timeout(50 * SECOND);
    let Ok(streams) = client.open(&session).await else {
        return;
    };
    let (mut stdin, mut stdout) = (streams.stdin.unwrap(), streams.stdout.unwrap());
    drop(stdin.write_all(&[0; 1000]).await);
    let mut output = Vec::new();
    let reading = stdout.read_to_end(&mut output);
    drop(tokio::time::timeout(100 * SECOND, reading).await);
    drop(tokio::time::timeout(100 * SECOND, streams.exit.wait()).await);
}

async fn use_ports(session: Session) {
    let client = port_forward::Client::new(session);
    let read = |forwarded: spdy::Result<Forwarded>| async {
        let Ok(mut forwarded) = forwarded else {
            return;
        };
        drop(forwarded.write_all(b"question").await);
        let mut answer = Vec::new();
        drop(tokio::time::timeout(100 * SECOND, forwarded.read_to_end(&mut answer)).await);
        drop(tokio::time::timeout(100 * SECOND, forwarded.failure()).await);
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
    for seed in 0..CASES {
        play(seed, Role::Client, run_command).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_of_ports_survives_any_client() {
    for seed in 0..CASES {
        play(seed, Role::Client, forward).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_commands_survives_any_server() {
    for seed in 0..CASES {
        play(seed, Role::Server, use_command).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_ports_survives_any_server() {
    for seed in 0..CASES {
        play(seed, Role::Server, use_ports).await;
    }
}
