//! System calls of a whole pgusher, seen by strace.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pgusher_testkit::{Daemon, Pgusher, RawClient, Signal, wait_for};
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use crate::calls::{Calls, RECEIVES, SENDS, TIMERS, WAITS, WATCHES, logins, transactions};
use crate::recorded::hold;
use crate::server;
use crate::stage::{Style, alone, client, config, transact};

/// Until everything has its size.
const WARM_UP: usize = 200;

/// Transactions under strace.
const COUNT: usize = 600;

/// Transactions that are counted together.
///
/// The pools' keeper and the clock of deadlines have ticks, which come into a transaction more often the slower the
/// machine is: the block with the fewest calls has none. A call that is made less often than once in so many
/// transactions is not seen there, but it costs less than the gate lets pass anyway.
const BLOCK: usize = 20;

/// How long strace may take to begin, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// strace, looking at a process.
struct Strace {
    daemon: Daemon,
    folder: TempDir,
}

impl Strace {
    /// Begins with all threads of a process; panics where that is not allowed.
    async fn attach(pid: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-s", "8", "-p", &pid.to_string(), "-o"]).arg(file(&folder));
        let mut daemon = Daemon::start(&mut command);
        let mut ended = false;
        let attached = wait_for(PATIENCE, || {
            ended = !daemon.is_running();
            ended || daemon.log().contains("attached")
        });
        assert!(
            attached.await && !ended,
            "strace cannot look at a process here, so that system calls cannot be counted; a container needs \
             the capability SYS_PTRACE for it. It says: {}",
            daemon.log()
        );
        Strace { daemon, folder }
    }

    /// Lets go of the process; gives what was seen.
    async fn end(mut self) -> String {
        let pid = Pid::from_raw(self.daemon.pid() as i32).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        assert!(wait_for(PATIENCE, || !self.daemon.is_running()).await, "strace does not end");
        std::fs::read_to_string(file(&self.folder)).unwrap()
    }
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("trace")
}

/// The fewest calls of a block of transactions.
async fn count(pgusher: &Pgusher, style: Style) -> Calls {
    let mut client = client(pgusher.port(), style).await;
    transact(&mut client, style, WARM_UP).await;
    let strace = Strace::attach(pgusher.pid()).await;
    // One more, because the last one's wait for the next does not end.
    transact(&mut client, style, COUNT + 1).await;
    let seen = transactions(&strace.end().await, style.first_tag());
    assert_eq!(seen.len(), COUNT + 1, "transactions are not told apart any more");
    fewest(&seen[..COUNT])
}

/// The calls of the block that has the fewest.
fn fewest(seen: &[Calls]) -> Calls {
    let blocks = seen.chunks_exact(BLOCK).map(|block| block.iter().sum());
    blocks.min_by_key(Calls::total).unwrap()
}

#[tokio::test]
async fn what_a_transaction_asks_of_the_kernel() {
    let _alone = alone().await;
    let server = server::start().await;
    for engine in ["plain", "auto"] {
        let text = config(server.port(), engine);
        let pgusher = Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &text);
        for style in Style::ALL {
            let calls = count(&pgusher, style).await;
            let name = format!("{style}, sends {engine}");
            eprintln!("{BLOCK} transactions, {name}: {calls}");
            assert!(calls.of(RECEIVES) <= 2 * BLOCK, "{name}: more than two receives: {calls}");
            assert!(calls.of(SENDS) <= 2 * BLOCK, "{name}: more than two sends: {calls}");
            assert_eq!(calls.of(WATCHES), 0, "{name}: what is watched changes: {calls}");
            assert_eq!(calls.of(TIMERS), 0, "{name}: a timer is set: {calls}");
            let each = |count: usize| count as f64 / BLOCK as f64;
            for (kind, names) in [("receives", RECEIVES), ("sends", SENDS), ("waits", WAITS)] {
                hold(&format!("{kind}, {name}"), each(calls.of(names)));
            }
            hold(&format!("system calls, {name}"), each(calls.total()));
        }
    }
}

#[tokio::test]
async fn what_a_login_asks_of_the_kernel() {
    let _alone = alone().await;
    let server = server::start().await;
    for (method, most_sends) in [("trust", 1), ("scram-sha-256", 3)] {
        let text = config(server.port(), "auto").replace("\"trust\"", &format!("\"{method}\""));
        let text = text.replace("worker_threads", "auth_file = \"users\"\nworker_threads");
        let pgusher = Pgusher::builder(env!("CARGO_BIN_EXE_pgusher"), &text)
            .file("users", "\"app\" \"secret\"\n")
            .start();
        log_in(&pgusher, BLOCK).await;
        let strace = Strace::attach(pgusher.pid()).await;
        log_in(&pgusher, 3 * BLOCK + 1).await;
        let seen = logins(&strace.end().await);
        assert_eq!(seen.len(), 3 * BLOCK + 1, "logins are not told apart any more");
        let calls = fewest(&seen[..3 * BLOCK]);
        eprintln!("{BLOCK} logins, {method}: {calls}");
        assert!(calls.of(SENDS) <= most_sends * BLOCK, "{method}: more sends or wakes: {calls}");
        assert!(calls.of(WATCHES) <= 2 * BLOCK, "{method}: watched more than once: {calls}");
        assert_eq!(calls.of(TIMERS), 0, "{method}: a timer is set: {calls}");
    }
}

/// Clients log in and leave, one after the other.
async fn log_in(pgusher: &Pgusher, count: usize) {
    for _ in 0..count {
        drop(RawClient::login(pgusher.port(), "app", "app", "secret").await);
    }
}
