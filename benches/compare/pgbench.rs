//! Runs of pgbench against a contestant.

use crate::contestant::{Contestant, Door};
use crate::pure::numbers::percentile;
use crate::pure::options::Mode;
use crate::pure::pgbench_text::{self, Logged, Progress, latencies};
use crate::stage::{DATABASE, Stage};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Left out of every measurement: logins, the pool's first connections, cold caches.
const WARM_UP: Duration = Duration::from_secs(1);

/// The share of transactions whose latency is logged: enough for a p99, too few to slow pgbench down.
const SAMPLING: &str = "0.1";

/// What one run measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Transactions per second.
    pub(crate) tps: f64,
    /// Median latency in milliseconds.
    pub(crate) p50: Option<f64>,
    /// The 99th percentile of the latency in milliseconds.
    pub(crate) p99: Option<f64>,
    /// The contestant's processor time for each transaction in microseconds.
    pub(crate) cpu: Option<f64>,
}

/// Selects single rows for some seconds, as fast as it goes.
pub(crate) fn run_for(
    stage: &Stage,
    contestant: &Contestant,
    mode: Mode,
    clients: u32,
    seconds: u32,
) -> Sample {
    run(select_only(stage, contestant, mode, clients), contestant, seconds)
}

/// [`run_for`] with so many transactions a second.
pub(crate) fn run_at_rate(
    stage: &Stage,
    contestant: &Contestant,
    rate: u32,
    clients: u32,
    seconds: u32,
) -> Sample {
    let mut command = select_only(stage, contestant, Mode::Simple, clients);
    command.args(["-R", &rate.to_string()]);
    run(command, contestant, seconds)
}

fn run(mut command: Command, contestant: &Contestant, seconds: u32) -> Sample {
    let logs = tempfile::tempdir().expect("make a temporary folder");
    // One second to warm up, and one because pgbench may end before it has told its last progress.
    command
        .args(["-T", &(seconds + 2).to_string(), "-P", "1", "--log", "--sampling-rate", SAMPLING])
        .arg("--log-prefix")
        .arg(logs.path().join("log"))
        .arg(DATABASE);
    let before = contestant.cpu_seconds();
    let mut child = spawn(&mut command);
    let mut window = watch(&mut child, contestant);
    let summary = finish(child, contestant);
    if window.transactions <= 0.0 {
        window = Window::whole(&summary, contestant.cpu_seconds().zip(before));
    }
    let micros = latencies(&read_logs(logs.path()), WARM_UP);
    let millis = |percent| percentile(&micros, percent).map(|micros| micros as f64 / 1000.0);
    Sample {
        tps: window.transactions / window.seconds,
        p50: millis(50.0),
        p99: millis(99.0),
        cpu: window.cpu.map(|cpu| cpu * 1e6 / window.transactions),
    }
}

/// Logs in for every single row for some seconds; gives the number of logins.
pub(crate) fn run_logins(
    stage: &Stage,
    contestant: &Contestant,
    door: Door,
    clients: u32,
    seconds: u32,
) -> u64 {
    let mut command = select_only(stage, contestant, Mode::Simple, clients);
    command.env("PGSSLMODE", door.sslmode()).args(["-C", "-T", &seconds.to_string(), DATABASE]);
    let summary = finish(spawn(&mut command), contestant);
    pgbench_text::transactions(&summary).expect("pgbench tells the number of transactions")
}

/// Selects single rows `each` times per client; gives the number of transactions.
pub(crate) fn run_count(
    stage: &Stage,
    contestant: &Contestant,
    mode: Mode,
    clients: u32,
    each: u32,
) -> u64 {
    let mut command = select_only(stage, contestant, mode, clients);
    let child = spawn(command.args(["-t", &each.to_string(), DATABASE]));
    let summary = finish(child, contestant);
    pgbench_text::transactions(&summary)
        .unwrap_or_else(|| panic!("pgbench said no count:\n{summary}"))
}

/// What happened between the first and the last line of progress.
struct Window {
    seconds: f64,
    transactions: f64,
    cpu: Option<f64>,
}

impl Window {
    /// The whole run, when pgbench found no time to tell its progress; `cpu` is after and before it.
    fn whole(summary: &str, cpu: Option<(f64, f64)>) -> Self {
        let transactions = pgbench_text::transactions(summary);
        let measured = transactions.zip(pgbench_text::tps(summary)).filter(|&(_, tps)| tps > 0.0);
        let (count, tps) =
            measured.unwrap_or_else(|| panic!("pgbench did nothing, it said:\n{summary}"));
        let transactions = count as f64;
        let cpu = cpu.map(|(after, before)| after - before);
        Window { seconds: transactions / tps, transactions, cpu }
    }
}

/// The first line of progress ends the warm-up, so that logins and partings are not counted.
fn watch(child: &mut Child, contestant: &Contestant) -> Window {
    let lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    let mut window = Window { seconds: 0.0, transactions: 0.0, cpu: None };
    let mut start: Option<(f64, Option<f64>)> = None;
    for line in lines.map_while(Result::ok) {
        let Some(progress) = Progress::parse(&line) else {
            eprintln!("{line}");
            continue;
        };
        let cpu = contestant.cpu_seconds();
        let Some((first, cpu_before)) = start else {
            start = Some((progress.at, cpu));
            continue;
        };
        let seconds = progress.at - first;
        window.transactions += progress.tps * (seconds - window.seconds);
        window.seconds = seconds;
        window.cpu = cpu.zip(cpu_before).map(|(after, before)| after - before);
    }
    window
}

fn select_only(stage: &Stage, contestant: &Contestant, mode: Mode, clients: u32) -> Command {
    let mut command = stage.pgbench(contestant.port());
    command.env("PGSSLMODE", contestant.door().sslmode());
    let threads = clients.min(2).to_string();
    command.args(["-n", "-S", "-M", mode.name(), "-c", &clients.to_string(), "-j", &threads]);
    command
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start pgbench")
}

fn finish(child: Child, contestant: &Contestant) -> String {
    let name = contestant.kind();
    let output = child.wait_with_output().expect("wait for pgbench");
    let words = String::from_utf8_lossy(&output.stderr);
    let log = || contestant.log();
    assert!(output.status.success(), "pgbench against {name} failed:\n{words}{}", log());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read_logs(folder: &Path) -> Vec<Logged> {
    let files = std::fs::read_dir(folder).expect("read pgbench's logs");
    let mut text = String::new();
    for file in files.filter_map(Result::ok) {
        let mut file = std::fs::File::open(file.path()).expect("open pgbench's log");
        file.read_to_string(&mut text).expect("read pgbench's log");
    }
    text.lines().filter_map(Logged::parse).collect()
}
