//! System calls for each transaction: the cost that does not depend on the machine.

use crate::contestant::Contestant;
use crate::pgbench;
use crate::pure::options::{Kind, Mode, Options};
use crate::pure::strace_text::{self, Calls};
use crate::pure::table::{Table, number};
use crate::stage::Stage;
use pgusher_testkit::{Signal, wait_for_blocking};
use rustix::process::{Pid, kill_process};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Transactions of a run, over all clients: enough for logins not to show.
const TRANSACTIONS: u32 = 15_000;

/// Calls with a smaller share of a transaction are left out of the table.
const LEAST_SHOWN: f64 = 0.05;

/// Counts the calls of every proxy with 10 and 100 clients; `None` when strace is missing or not allowed.
pub(crate) fn measure(
    stage: &Stage,
    contestants: &[Contestant],
    options: &Options,
) -> Option<Table> {
    let mut table = Table::new(&["mode, clients, who", "syscalls/txn", "which"]);
    for &mode in options.modes() {
        for clients in options.clients().into_iter().filter(|&clients| clients <= 100) {
            for contestant in contestants.iter().filter(|one| counted(one.kind(), mode)) {
                let (calls, transactions) = count(stage, contestant, mode, clients)?;
                let each = |count: u64| count as f64 / transactions as f64;
                let all = number(Some(each(calls.iter().map(|calls| calls.count).sum())), 2);
                let kind = contestant.kind();
                eprintln!("{mode} c={clients} {kind}: {all} system calls per transaction");
                table.row(vec![format!("{mode}, {clients}, {kind}"), all, which(&calls, each)]);
            }
        }
    }
    Some(table)
}

fn counted(kind: Kind, mode: Mode) -> bool {
    kind.is_process() && !(kind == Kind::Pgbouncer && mode == Mode::Prepared)
}

fn which(calls: &[Calls], each: impl Fn(u64) -> f64) -> String {
    let shown = calls.iter().filter(|calls| each(calls.count) >= LEAST_SHOWN);
    let words: Vec<String> =
        shown.map(|calls| format!("{} {:.2}", calls.name, each(calls.count))).collect();
    words.join(", ")
}

/// Runs a counted number of transactions under strace.
fn count(
    stage: &Stage,
    contestant: &Contestant,
    mode: Mode,
    clients: u32,
) -> Option<(Vec<Calls>, u64)> {
    let folder = tempfile::tempdir().expect("make a temporary folder");
    let result = folder.path().join("calls");
    let mut strace = attach(contestant.pid()?, &result, &folder.path().join("words"))?;
    let each = TRANSACTIONS / clients;
    let transactions = pgbench::run_count(stage, contestant, mode, clients, each);
    kill_process(Pid::from_child(&strace), Signal::INT).expect("interrupt strace");
    strace.wait().expect("wait for strace");
    let table = std::fs::read_to_string(result).expect("read strace's table");
    Some((strace_text::calls(&table), transactions))
}

/// Starts strace on all threads of a process, and waits until it has them.
fn attach(pid: u32, result: &Path, words: &Path) -> Option<Child> {
    let words_file = File::create(words).expect("make a file for strace's words");
    let started = Command::new("strace")
        .args(["-c", "-f", "-p", &pid.to_string(), "-o"])
        .arg(result)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(words_file)
        .spawn();
    let Ok(mut strace) = started else {
        eprintln!("strace is not installed: system calls are not counted");
        return None;
    };
    let said = || std::fs::read_to_string(words).unwrap_or_default();
    let mut ended = false;
    let attached = wait_for_blocking(Duration::from_secs(10), || {
        ended = strace.try_wait().is_ok_and(|status| status.is_some());
        ended || said().contains("attached")
    });
    if attached && !ended {
        return Some(strace);
    }
    let _ = strace.kill();
    let _ = strace.wait();
    eprintln!("strace may not look at process {pid}: system calls are not counted: {}", said());
    None
}
