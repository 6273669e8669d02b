//! Processor time of short transactions that come in another manner than as fast as they can and in the clear.

use crate::contestant::{Contestant, Door};
use crate::pgbench::{self, Sample};
use crate::pure::bars::{Bar, MOST_LOW_RATE_CPU, MOST_TLS_CPU};
use crate::pure::median::median;
use crate::pure::options::{Kind, Mode, Options};
use crate::pure::table::{Table, number, ratio};
use crate::stage::Stage;
use std::collections::BTreeMap;
use std::fmt;

/// Transactions a second when few come: a fraction of what everybody can do.
const LOW_RATE: u32 = 3_000;

/// How transactions come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Few a second, from ten clients.
    LowRate,
    /// From a hundred clients, over TLS.
    Tls,
}

/// The samples of every pooler, one of each round.
#[derive(Debug)]
pub(crate) struct Manners {
    manner: Manner,
    samples: BTreeMap<Kind, Vec<Sample>>,
}

impl Manner {
    fn door(self) -> Door {
        match self {
            Manner::LowRate => Door::Trust,
            Manner::Tls => Door::TlsScram,
        }
    }

    fn run(self, stage: &Stage, contestant: &Contestant, seconds: u32) -> Sample {
        match self {
            Manner::LowRate => pgbench::run_at_rate(stage, contestant, LOW_RATE, 10, seconds),
            Manner::Tls => pgbench::run_for(stage, contestant, Mode::Simple, 100, seconds),
        }
    }

    fn most(self) -> f64 {
        match self {
            Manner::LowRate => MOST_LOW_RATE_CPU,
            Manner::Tls => MOST_TLS_CPU,
        }
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Manner::LowRate => write!(out, "{LOW_RATE} a second"),
            Manner::Tls => out.write_str("over TLS"),
        }
    }
}

impl Manners {
    /// Measures every pooler once in each round.
    pub(crate) fn measure(stage: &Stage, options: &Options, manner: Manner) -> Self {
        let poolers: Vec<Contestant> = options
            .contestants()
            .iter()
            .filter(|kind| kind.is_pooler())
            .map(|&kind| Contestant::start_behind(kind, stage, manner.door()))
            .collect();
        let mut samples: BTreeMap<Kind, Vec<Sample>> = BTreeMap::new();
        for round in 0..options.rounds() {
            for pooler in poolers.iter().cycle().skip(round).take(poolers.len()) {
                let sample = manner.run(stage, pooler, options.seconds());
                eprintln!("round {}: {manner}, {}: {sample}", round + 1, pooler.kind());
                samples.entry(pooler.kind()).or_default().push(sample);
            }
        }
        Manners { manner, samples }
    }

    /// The medians as a table.
    pub(crate) fn table(&self) -> Table {
        let title = format!("transactions {}, who", self.manner);
        let mut table = Table::new(&[&title, "tps", "p99 ms", "CPU µs/txn", "to PgBouncer"]);
        for (&kind, samples) in &self.samples {
            table.row(vec![
                kind.to_string(),
                number(median(samples.iter().map(|sample| sample.tps)), 0),
                number(median(samples.iter().filter_map(|sample| sample.p99)), 2),
                number(median(samples.iter().filter_map(|sample| sample.cpu)), 1),
                ratio(self.to_pgbouncer(kind)),
            ]);
        }
        table
    }

    /// The bar of processor time.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let ratio = self.to_pgbouncer(Kind::Pgusher);
        let name = format!("CPU per transaction, {}", self.manner);
        ratio.map(|ratio| Bar::new(name, ratio, self.manner.most())).into_iter().collect()
    }

    fn to_pgbouncer(&self, kind: Kind) -> Option<f64> {
        let own = self.samples.get(&kind)?;
        let reference = self.samples.get(&Kind::Pgbouncer)?;
        median(own.iter().zip(reference).filter_map(|(own, other)| Some(own.cpu? / other.cpu?)))
    }
}
