//! Storms of logins, and what those notice of them who run queries.
//!
//! Clients that log in take processors themselves, for TLS and for SCRAM's hashes, so that queries get slower wherever
//! the logins go. Therefore each pooler stands here twice: the queries run through one, and the storm comes over the
//! other, or over the same. What is between the two is the pooler's own.

use crate::contestant::{Contestant, Door};
use crate::guest::Guest;
use crate::pgbench;
use crate::pure::bars::{Bar, MOST_STORM_LATENCY};
use crate::pure::median::median;
use crate::pure::options::{Kind, Mode, Options};
use crate::pure::table::{Table, number};
use crate::stage::Stage;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tokio::task::JoinSet;

/// Logins at the same time, again and again.
const LOGINS: usize = 500;

/// Clients that run queries.
const CLIENTS: u32 = 4;

/// The 99th percentile of the queries' latency in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Sample {
    quiet: Option<f64>,
    elsewhere: Option<f64>,
    here: Option<f64>,
}

/// The samples of every pooler, one of each round.
#[derive(Debug, Default)]
pub(crate) struct Storm {
    samples: BTreeMap<Kind, Vec<Sample>>,
}

impl Storm {
    /// Measures every pooler once in each round.
    pub(crate) fn measure(stage: &Stage, options: &Options) -> Self {
        let mut all = Storm::default();
        let poolers = options.contestants().iter().filter(|kind| kind.is_pooler());
        let pairs: Vec<[Contestant; 2]> = poolers
            .map(|&kind| [(); 2].map(|()| Contestant::start_behind(kind, stage, Door::TlsScram)))
            .collect();
        for round in 0..options.rounds() {
            for [one, other] in &pairs {
                let run = || pgbench::run_for(stage, one, Mode::Simple, CLIENTS, options.seconds());
                let sample = Sample {
                    quiet: run().p99,
                    elsewhere: during_storm(other, run).p99,
                    here: during_storm(one, run).p99,
                };
                eprintln!("round {}: storm of logins, {}: {sample:?}", round + 1, one.kind());
                all.samples.entry(one.kind()).or_default().push(sample);
            }
        }
        all
    }

    /// The medians as a table.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&[
            "p99 of queries, ms",
            "no logins",
            "storm elsewhere",
            "storm here",
            "here to elsewhere",
        ]);
        for (kind, samples) in &self.samples {
            let of = |which: fn(&Sample) -> Option<f64>| {
                number(median(samples.iter().filter_map(which)), 2)
            };
            table.row(vec![
                kind.to_string(),
                of(|sample| sample.quiet),
                of(|sample| sample.elsewhere),
                of(|sample| sample.here),
                number(self.growth(*kind), 2) + "×",
            ]);
        }
        table
    }

    /// The bar of pgusher's latency.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let growth = self.growth(Kind::Pgusher);
        let name = format!("p99 of queries while {LOGINS} log in, to the same elsewhere");
        growth.map(|growth| Bar::new(name, growth, MOST_STORM_LATENCY)).into_iter().collect()
    }

    fn growth(&self, kind: Kind) -> Option<f64> {
        let samples = self.samples.get(&kind)?;
        median(samples.iter().filter_map(|sample| Some(sample.here? / sample.elsewhere?)))
    }
}

/// Does something while hundreds log in, all at the same time, and leave, again and again.
fn during_storm<T>(target: &Contestant, something: impl FnOnce() -> T) -> T {
    let over = Arc::new(AtomicBool::new(false));
    let (port, door, is_over) = (target.port(), target.door(), Arc::clone(&over));
    let storm = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("start a runtime");
        runtime.block_on(async {
            while !is_over.load(Ordering::Relaxed) {
                let logins: JoinSet<Guest> =
                    (0..LOGINS).map(|_| Guest::log_in(port, door)).collect();
                drop(logins.join_all().await);
            }
        });
    });
    let result = something();
    over.store(true, Ordering::Relaxed);
    storm.join().expect("every login succeeds");
    result
}
