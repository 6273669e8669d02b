//! Throughput, latency and processor time of short transactions.

use crate::contestant::Contestant;
use crate::pgbench::{self, Sample};
use crate::pure::bars::{
    Bar, MOST_AUTO, MOST_PEER_THROUGHPUT, MOST_QUEUED_LATENCY, MOST_UNFAIRNESS, most_cpu,
};
use crate::pure::median::median;
use crate::pure::options::{Kind, Mode, Options};
use crate::pure::table::{Table, number, ratio};
use crate::stage::Stage;
use std::collections::BTreeMap;

/// With so many clients nobody has room for more transactions,
const SATURATED: u32 = 100;
/// and with so many each of them queues, far more than there are servers.
const QUEUED: u32 = 1000;

/// Those whose throughput is to be reached.
const PEERS: [Kind; 2] = [Kind::Pgbouncer, Kind::Haproxy];

/// What is measured against one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    mode: Mode,
    clients: u32,
}

/// The samples of every cell and contestant, one of each round.
#[derive(Debug, Default)]
pub(crate) struct Throughput {
    samples: BTreeMap<(Cell, Kind), Vec<Sample>>,
}

impl Throughput {
    /// Measures every cell once in each round; within a cell everybody follows directly on one another.
    pub(crate) fn measure(stage: &Stage, contestants: &[Contestant], options: &Options) -> Self {
        let mut all = Throughput::default();
        for round in 0..options.rounds() {
            for cell in cells(options) {
                // Another one starts each round, so that nobody always runs on the heels of the same.
                let order = contestants.iter().cycle().skip(round).take(contestants.len());
                for contestant in order.filter(|contestant| takes_part(contestant.kind(), cell)) {
                    let (mode, clients) = (cell.mode, cell.clients);
                    let sample =
                        pgbench::run_for(stage, contestant, mode, clients, options.seconds());
                    let kind = contestant.kind();
                    eprintln!("round {}: {mode} c={clients} {kind}: {sample}", round + 1);
                    all.samples.entry((cell, kind)).or_default().push(sample);
                }
            }
        }
        all
    }

    /// The medians as a table.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&[
            "mode, clients, who",
            "tps",
            "to PgBouncer",
            "p50 ms",
            "p99 ms",
            "CPU µs/txn",
            "to PgBouncer",
        ]);
        for (&(cell, kind), samples) in &self.samples {
            let middle =
                |value: fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(value));
            table.row(vec![
                format!("{}, {}, {kind}", cell.mode, cell.clients),
                number(middle(|sample| Some(sample.tps)), 0),
                ratio(self.to_pgbouncer(cell, kind, |sample| Some(sample.tps))),
                number(middle(|sample| sample.p50), 2),
                number(middle(|sample| sample.p99), 2),
                number(middle(|sample| sample.cpu), 1),
                ratio(self.to_pgbouncer(cell, kind, |sample| sample.cpu)),
            ]);
        }
        table
    }

    /// The bars of processor time, throughput and fairness.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let own = self.samples.keys().filter(|(_, kind)| *kind == Kind::Pgusher);
        own.flat_map(|&(cell, _)| self.bars_of(cell)).collect()
    }

    fn bars_of(&self, cell: Cell) -> Vec<Bar> {
        let mut bars = Vec::new();
        let mut add = |what: String, ratio: Option<f64>, most: f64| {
            let name = format!("{what}, {}, {} clients", cell.mode, cell.clients);
            bars.extend(ratio.map(|ratio| Bar::new(name, ratio, most)));
        };
        let cpu = self.to_pgbouncer(cell, Kind::Pgusher, |sample| sample.cpu);
        add("CPU per transaction".to_owned(), cpu, most_cpu(cell.mode, cell.clients));
        if cell.clients >= SATURATED {
            for peer in PEERS {
                let what = format!("throughput of {peer} to pgusher's");
                add(what, self.throughput_of(peer, cell), MOST_PEER_THROUGHPUT);
            }
        }
        if cell.clients >= QUEUED {
            let p99 = self.to_pgbouncer(cell, Kind::Pgusher, |sample| sample.p99);
            add("p99 to PgBouncer's".to_owned(), p99, MOST_QUEUED_LATENCY);
            add("p99 to p50".to_owned(), self.unfairness(cell), MOST_UNFAIRNESS);
        }
        // What as many workers as are needed cost beside one, and how much more two can do.
        let of = |kind| (cell, kind);
        let cpu = self.between(of(Kind::PgusherAuto), of(Kind::Pgusher), |sample| sample.cpu);
        add("CPU of auto to one worker's".to_owned(), cpu, MOST_AUTO);
        let tps =
            self.between(of(Kind::Pgusher2), of(Kind::PgusherAuto), |sample| Some(sample.tps));
        add("throughput of two workers to auto's".to_owned(), tps, MOST_AUTO);
        bars
    }

    /// A peer's throughput as a ratio to pgusher's.
    fn throughput_of(&self, peer: Kind, cell: Cell) -> Option<f64> {
        let at = if peer == Kind::Pgbouncer { cell.reference() } else { cell };
        self.between((at, peer), (cell, Kind::Pgusher), |sample| Some(sample.tps))
    }

    /// How much longer than the median the slowest of pgusher's clients wait.
    fn unfairness(&self, cell: Cell) -> Option<f64> {
        let own = self.samples.get(&(cell, Kind::Pgusher))?;
        median(own.iter().filter_map(|sample| Some(sample.p99? / sample.p50?)))
    }

    fn to_pgbouncer(
        &self,
        cell: Cell,
        kind: Kind,
        value: fn(&Sample) -> Option<f64>,
    ) -> Option<f64> {
        self.between((cell, kind), (cell.reference(), Kind::Pgbouncer), value)
    }

    /// The median of the ratios of one to another within each round.
    fn between(
        &self,
        one: (Cell, Kind),
        other: (Cell, Kind),
        value: fn(&Sample) -> Option<f64>,
    ) -> Option<f64> {
        let rounds = self.samples.get(&one)?.iter().zip(self.samples.get(&other)?);
        median(rounds.filter_map(|(one, other)| Some(value(one)? / value(other)?)))
    }
}

impl Cell {
    /// Where PgBouncer is looked up: this version of it cannot pool prepared statements.
    fn reference(self) -> Cell {
        let mode = if self.mode == Mode::Prepared { Mode::Extended } else { self.mode };
        Cell { mode, ..self }
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (p50, p99) = (number(self.p50, 2), number(self.p99, 2));
        let cpu = number(self.cpu, 1);
        write!(out, "{:.0} tps, p50 {p50} ms, p99 {p99} ms, CPU {cpu} µs", self.tps)
    }
}

fn cells(options: &Options) -> Vec<Cell> {
    let clients = options.clients();
    let of_mode =
        |&mode: &Mode| clients.clone().into_iter().map(move |clients| Cell { mode, clients });
    options.modes().iter().flat_map(of_mode).collect()
}

fn takes_part(kind: Kind, cell: Cell) -> bool {
    match kind {
        Kind::Pgbouncer => cell.mode != Mode::Prepared,
        // A thousand servers would spend the seconds measured on filling their caches.
        Kind::Haproxy | Kind::Direct => cell.clients < 1000,
        _ => true,
    }
}
