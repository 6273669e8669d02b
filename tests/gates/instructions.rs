//! Instructions of the worker, counted by valgrind's callgrind.
//!
//! The build is one without optimization: what is added shows in it as well, and nothing has to be built for this alone.

use std::process::Command;
use std::time::Duration;

use pgusher_testkit::{Pgusher, RawClient};
use tempfile::TempDir;

use crate::recorded::hold;
use crate::server;
use crate::stage::{Style, alone, client, config, transact};

/// Until everything has its size.
const WARM_UP: usize = 300;

/// Transactions that are counted together.
const BLOCK: usize = 25;

/// The cheapest block counts: ticks of the worker's clock come into the others, more of them the slower the machine is.
const BLOCKS: usize = 12;

/// How long pgusher may take to start, fifty times slower than it is.
const PATIENCE: Duration = Duration::from_secs(120);

/// A pgusher that runs in callgrind.
struct Callgrind {
    pgusher: Pgusher,
    /// Where it listens for those who ask for its numbers.
    pipes: TempDir,
}

impl Callgrind {
    fn start(config: &str) -> Self {
        let pipes = tempfile::tempdir().unwrap();
        let pgusher = Pgusher::builder("valgrind", config)
            .arg("--tool=callgrind")
            .arg("--separate-threads=yes")
            .arg("--callgrind-out-file=/dev/null")
            .arg(&prefix(&pipes))
            .arg(env!("CARGO_BIN_EXE_pgusher"))
            .startup_timeout(PATIENCE)
            .start();
        Callgrind { pgusher, pipes }
    }

    /// Instructions so far, of each thread.
    fn counts(&self) -> Vec<u64> {
        let asked = Command::new("vgdb")
            .arg(prefix(&self.pipes))
            .arg(format!("--pid={}", self.pgusher.pid()))
            .args(["status", "internal"])
            .output()
            .expect("vgdb, which comes with valgrind");
        let told = String::from_utf8_lossy(&asked.stdout);
        let counts = counts(&told);
        assert!(!counts.is_empty(), "{told}{}", String::from_utf8_lossy(&asked.stderr));
        counts
    }

    /// Instructions of a transaction, in the cheapest block.
    async fn cost(&self, style: Style) -> f64 {
        let mut client = client(self.pgusher.port(), style).await;
        transact(&mut client, style, WARM_UP).await;
        let mut costs = Vec::new();
        for _ in 0..BLOCKS {
            costs.push(self.block(&mut client, style).await);
        }
        eprintln!("instructions of {BLOCK} transactions, {style}: {costs:?}");
        costs.into_iter().min().unwrap() as f64 / BLOCK as f64
    }

    /// Instructions of a block in the thread that has most to do with it: the worker.
    async fn block(&self, client: &mut RawClient, style: Style) -> u64 {
        let before = self.counts();
        transact(client, style, BLOCK).await;
        let after = self.counts();
        after.iter().zip(&before).map(|(after, before)| after - before).max().unwrap()
    }
}

fn prefix(pipes: &TempDir) -> String {
    format!("--vgdb-prefix={}/vgdb", pipes.path().display())
}

/// Reads lines such as `events-4: 12345`.
fn counts(told: &str) -> Vec<u64> {
    let lines = told.lines().filter_map(|line| line.strip_prefix("events-"));
    let pairs = lines.filter_map(|line| line.split_once(": "));
    pairs
        .filter(|(thread, _)| !thread.contains('-'))
        .map(|(_, count)| count.parse().unwrap())
        .collect()
}

#[tokio::test]
async fn what_a_transaction_makes_the_processor_do() {
    let _alone = alone().await;
    let server = server::start().await;
    let callgrind = Callgrind::start(&config(server.port(), "plain"));
    for style in Style::ALL {
        let cost = callgrind.cost(style).await;
        hold(&format!("instructions, {style}"), cost);
    }
}
