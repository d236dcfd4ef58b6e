//! Rounds in turns, medians, and the tables.

use std::path::PathBuf;

use crate::process::{Server, client};

const MIB: usize = 1 << 20;

pub(crate) struct Options {
    /// The program made of `go_bench.go`.
    pub(crate) go: PathBuf,
    pub(crate) quick: bool,
    pub(crate) rounds: Option<usize>,
    /// Of our server; as many as there are cores if `None`.
    pub(crate) threads: Option<u64>,
    /// Rows whose names contain this.
    pub(crate) filter: String,
}

/// So much through so many streams at once.
struct Load {
    mode: &'static str,
    streams: usize,
    /// Bytes of each write: of the client, or of the server in the mode `source`.
    chunk: usize,
    /// In all, one way, at full effort.
    bytes: usize,
}

impl Load {
    fn all() -> Vec<Self> {
        let row = |mode, streams, chunk, mib| Self {
            mode,
            streams,
            chunk,
            bytes: mib * MIB,
        };
        // 32 KiB is what Kubernetes writes.
        let mut rows = Vec::new();
        for mode in ["sink", "source", "echo", "copy"] {
            for streams in [1, 50] {
                rows.push(row(mode, streams, 32 << 10, 1024));
            }
        }
        for mode in ["sink", "source", "echo"] {
            rows.push(row(mode, 50, 1 << 10, 64));
        }
        rows
    }

    fn name(&self) -> String {
        let Self { mode, streams, .. } = self;
        format!("{mode} {} KiB x {streams}", self.chunk >> 10)
    }
}

/// One side's figures of a row, a sample per round.
#[derive(Default)]
struct Samples {
    mib_per_second: Vec<f64>,
    cpu_per_gib: Vec<f64>,
}

pub(crate) fn run(options: &Options) {
    assert!(
        std::path::Path::new("/proc/self/schedstat").exists(),
        "CPU time and memory of a process come from /proc, which is missing"
    );
    let rounds = options.rounds.unwrap_or(if options.quick { 2 } else { 7 });
    println!(
        "# {}, {} cores, {rounds} rounds in turns",
        cpu_model(),
        cores()
    );
    println!(
        "# medians; a ratio above 1 is better for us: ours / theirs for MiB/s, theirs / ours for costs"
    );
    println!("{}", row("name", ["spdy", "go", "ratio", "least to most"]));
    throughput(options, rounds);
    println!();
    println!(
        "# a server that never reads 50 streams: the client writes to all of them until it stalls, then tries one"
    );
    println!(
        "# stream more, which is read, and a PING. Reset is Overflow::Reset after a second. Peaks are VmHWM."
    );
    println!("{}", UnreadRow::head());
    for chunk in [32 << 10, MIB] {
        unread(options, chunk);
    }
}

fn throughput(options: &Options, rounds: usize) {
    let loads: Vec<_> = Load::all()
        .into_iter()
        .filter(|load| load.name().contains(&options.filter))
        .collect();
    let ours = ours(options, &[]);
    let theirs = Server::start(&options.go, &["server"]);
    for load in &loads {
        let bytes = if options.quick {
            load.bytes / 8
        } else {
            load.bytes
        };
        let mut samples = [Samples::default(), Samples::default()];
        // Round 0 warms up both. Who goes first changes with every round.
        for round in 0..=rounds {
            for turn in 0..2 {
                let side = (round + turn) % 2;
                let server = [&ours, &theirs][side];
                let (speed, cpu) = measure(options, server, load, bytes);
                if round > 0 {
                    samples[side].mib_per_second.push(speed);
                    samples[side].cpu_per_gib.push(cpu);
                }
            }
        }
        let [spdy, go] = samples;
        print_figure(
            &format!("{}: server CPU s per GiB", load.name()),
            &spdy.cpu_per_gib,
            &go.cpu_per_gib,
            |spdy, go| go / spdy,
        );
        print_figure(
            &format!("{}: MiB/s", load.name()),
            &spdy.mib_per_second,
            &go.mib_per_second,
            |spdy, go| spdy / go,
        );
    }
}

/// MiB/s, and CPU seconds of the server for each GiB that went one way.
fn measure(options: &Options, server: &Server, load: &Load, bytes: usize) -> (f64, f64) {
    let numbers = [load.streams, bytes, load.chunk].map(|n| n.to_string());
    let args = ["load", &server.port().to_string(), load.mode].map(str::to_owned);
    let before = server.cpu();
    let told = client(&options.go, &[&args[..], &numbers[..]].concat());
    let cpu = server.cpu() - before;
    let seconds = told["seconds"].as_f64().expect("seconds");
    let mib = bytes as f64 / MIB as f64;
    (mib / seconds, cpu * 1024.0 / mib)
}

fn ours(options: &Options, overflow: &[&str]) -> Server {
    let program = std::env::current_exe().expect("our own path");
    let mut args = vec!["serve".to_owned()];
    args.extend(overflow.iter().map(|arg| (*arg).to_owned()));
    if let Some(threads) = options.threads {
        args.extend(["--threads".to_owned(), threads.to_string()]);
    }
    Server::start(&program, &args)
}

/// What 50 streams that nobody reads cost a server, and what else it still does.
struct UnreadRow {
    name: String,
    idle: f64,
    peak: f64,
    written: f64,
    reset: u64,
    stream: i64,
    ping: i64,
    patience: usize,
}

impl UnreadRow {
    fn head() -> String {
        Self::line(
            "name",
            [
                "idle MiB",
                "peak MiB",
                "taken MiB",
                "reset",
                "one more",
                "PING",
            ]
            .map(str::to_owned),
        )
    }

    fn line(name: &str, columns: [String; 6]) -> String {
        let [idle, peak, taken, reset, stream, ping] = columns;
        format!(
            "{name:<33}  {idle:>8}  {peak:>8}  {taken:>9}  {reset:>5}  {stream:>12}  {ping:>12}"
        )
    }

    fn print(&self) {
        let answer = |millis: i64| match millis {
            ..0 => format!("none in {} s", self.patience / 1000),
            millis => format!("{millis} ms"),
        };
        let columns = [
            format!("{:.1}", self.idle),
            format!("{:.1}", self.peak),
            format!("{:.1}", self.written),
            self.reset.to_string(),
            answer(self.stream),
            answer(self.ping),
        ];
        println!("{}", Self::line(&self.name, columns));
    }
}

fn unread(options: &Options, chunk: usize) {
    for side in ["go", "spdy, pause", "spdy, reset"] {
        // What resets gets there in time: the grace times of all streams that are stuck come one after another.
        let patience = match side {
            _ if options.quick => 3000,
            "spdy, reset" => 100_000,
            _ => 10_000,
        };
        let name = format!("unread {} KiB x 50, {side}", chunk >> 10);
        if !name.contains(&options.filter) {
            continue;
        }
        let server = match side {
            "go" => Server::start(&options.go, &["server"]),
            "spdy, reset" => ours(options, &["--reset-after", "1000"]),
            _ => ours(options, &[]),
        };
        let idle = server.peak_rss();
        let numbers = [usize::from(server.port()), 50, chunk, patience];
        let mut args = vec!["unread".to_owned()];
        args.extend(numbers.map(|n| n.to_string()));
        let told = client(&options.go, &args);
        let whole = |name: &str| told[name].as_i64().expect("a number");
        let row = UnreadRow {
            name,
            idle,
            peak: server.peak_rss(),
            written: whole("written") as f64 / MIB as f64,
            reset: whole("reset") as u64,
            stream: whole("stream_ms"),
            ping: whole("ping_ms"),
            patience,
        };
        row.print();
    }
}

fn print_figure(name: &str, spdy: &[f64], go: &[f64], ratio: fn(f64, f64) -> f64) {
    let mut ratios: Vec<_> = spdy.iter().zip(go).map(|(s, g)| ratio(*s, *g)).collect();
    ratios.sort_by(f64::total_cmp);
    let (spdy, go) = (median(spdy), median(go));
    let of_medians = format!("{:.2}", ratio(spdy, go));
    let range = format!("{:.2} to {:.2}", ratios[0], ratios[ratios.len() - 1]);
    println!(
        "{}",
        row(name, [&digits(spdy), &digits(go), &of_medians, &range])
    );
}

fn row(name: &str, columns: [&str; 4]) -> String {
    let [spdy, go, ratio, range] = columns;
    format!("{name:<40}  {spdy:>8}  {go:>8}  {ratio:>6}  {range:>14}")
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

fn digits(x: f64) -> String {
    if x >= 10.0 {
        format!("{x:.0}")
    } else {
        format!("{x:.3}")
    }
}

fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split(':').nth(1));
    model.map_or("unknown CPU", str::trim).to_owned()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}
