//! Clients that run queries beside thousands that do nothing, and what those cost them.
//!
//! Each pooler stands here twice: before one of them thousands of clients have logged in, and stay.

use crate::contestant::Contestant;
use crate::guest::Guest;
use crate::pgbench;
use crate::pure::bars::{Bar, MOST_CPU_BESIDE};
use crate::pure::median::median;
use crate::pure::options::{Kind, Mode, Options};
use crate::pure::table::{Table, number, ratio};
use crate::stage::Stage;
use std::collections::BTreeMap;

/// Clients that run queries.
const ACTIVE: u32 = 100;

/// Files that this process needs beside the idle clients.
const SPARE_FILES: u64 = 200;

/// Processor time of each transaction in microseconds.
#[derive(Debug, Clone, Copy)]
struct Sample {
    alone: Option<f64>,
    beside: Option<f64>,
}

/// The samples of every pooler, one of each round.
#[derive(Debug)]
pub(crate) struct Beside {
    idle: usize,
    samples: BTreeMap<Kind, Vec<Sample>>,
}

impl Beside {
    /// Measures every pooler once in each round. One pooler after the other: there are not files enough for the idle
    /// clients of all of them, and each is compared with itself.
    pub(crate) fn measure(stage: &Stage, options: &Options, file_limit: u64) -> Self {
        let most = options.idle_clients().iter().max().copied().unwrap_or_default();
        let idle = most.min(file_limit.saturating_sub(SPARE_FILES) as usize);
        let mut all = Beside { idle, samples: BTreeMap::new() };
        for &kind in options.contestants().iter().filter(|kind| kind.is_pooler()) {
            all.samples.insert(kind, measure_one(kind, idle, stage, options));
        }
        all
    }

    /// The medians as a table.
    pub(crate) fn table(&self) -> Table {
        let idle = format!("beside {} idle ones", self.idle);
        let mut table =
            Table::new(&["CPU µs/txn of 100 clients", "alone", &idle, "beside to alone"]);
        for (&kind, samples) in &self.samples {
            let of = |which: fn(&Sample) -> Option<f64>| {
                number(median(samples.iter().filter_map(which)), 1)
            };
            table.row(vec![
                kind.to_string(),
                of(|sample| sample.alone),
                of(|sample| sample.beside),
                ratio(self.growth(kind)),
            ]);
        }
        table
    }

    /// The bar of pgusher's processor time.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let growth = self.growth(Kind::Pgusher);
        let name = format!("CPU per transaction beside {} idle clients, to alone", self.idle);
        growth.map(|growth| Bar::new(name, growth, MOST_CPU_BESIDE)).into_iter().collect()
    }

    fn growth(&self, kind: Kind) -> Option<f64> {
        let samples = self.samples.get(&kind)?;
        median(samples.iter().filter_map(|sample| Some(sample.beside? / sample.alone?)))
    }
}

fn measure_one(kind: Kind, idle: usize, stage: &Stage, options: &Options) -> Vec<Sample> {
    let [quiet, crowded] = [(); 2].map(|()| Contestant::start(kind, stage));
    // Sockets need the runtime that they came from.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("start a runtime");
    let guests = runtime.block_on(Guest::crowd(&crowded, idle));
    let run = |contestant: &Contestant| {
        pgbench::run_for(stage, contestant, Mode::Simple, ACTIVE, options.seconds()).cpu
    };
    let mut samples = Vec::new();
    for round in 0..options.rounds() {
        let sample = Sample { alone: run(&quiet), beside: run(&crowded) };
        eprintln!("round {}: beside {} idle clients, {kind}: {sample:?}", round + 1, guests.len());
        samples.push(sample);
    }
    samples
}
