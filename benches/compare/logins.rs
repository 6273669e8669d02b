//! Logins: how many a second, and what each costs the pooler.

use crate::contestant::{Contestant, Door};
use crate::pgbench;
use crate::pure::bars::{Bar, MOST_LOGIN_CPU, MOST_SCRAM_LOGIN_CPU};
use crate::pure::median::median;
use crate::pure::options::{Kind, Options};
use crate::pure::table::{Table, number, ratio};
use crate::stage::Stage;
use std::collections::BTreeMap;
use std::fmt;

/// Clients that log in, ask one question and leave, again and again.
const CLIENTS: u32 = 20;

/// What one run measured.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Logins a second.
    rate: f64,
    /// The contestant's processor time for each login and its question, in microseconds.
    cpu: Option<f64>,
}

/// The samples of every door and contestant, one of each round.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    samples: BTreeMap<(Door, Kind), Vec<Sample>>,
}

impl Logins {
    /// Measures every door once in each round; within a door everybody follows directly on one another.
    pub(crate) fn measure(stage: &Stage, options: &Options) -> Self {
        let mut all = Logins::default();
        for door in Door::ALL {
            let contestants: Vec<Contestant> = options
                .contestants()
                .iter()
                .filter(|&&kind| takes_part(kind, door))
                .map(|&kind| Contestant::start_behind(kind, stage, door))
                .collect();
            for round in 0..options.rounds() {
                let order = contestants.iter().cycle().skip(round).take(contestants.len());
                for contestant in order {
                    let sample = log_in_often(stage, contestant, door, options.seconds());
                    let kind = contestant.kind();
                    eprintln!("round {}: logins, {door} {kind}: {sample}", round + 1);
                    all.samples.entry((door, kind)).or_default().push(sample);
                }
            }
        }
        all
    }

    /// The medians as a table.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&["logins, who", "logins/s", "CPU µs/login", "to PgBouncer"]);
        for (&(door, kind), samples) in &self.samples {
            table.row(vec![
                format!("{door}, {kind}"),
                number(median(samples.iter().map(|sample| sample.rate)), 0),
                number(median(samples.iter().filter_map(|sample| sample.cpu)), 1),
                ratio(self.to_pgbouncer(door, kind)),
            ]);
        }
        table
    }

    /// The bars of processor time.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let own = self.samples.keys().filter(|(_, kind)| *kind == Kind::Pgusher);
        own.filter_map(|&(door, kind)| {
            let ratio = self.to_pgbouncer(door, kind)?;
            Some(Bar::new(format!("CPU per login, {door}"), ratio, most_cpu(door)))
        })
        .collect()
    }

    fn to_pgbouncer(&self, door: Door, kind: Kind) -> Option<f64> {
        let own = self.samples.get(&(door, kind))?;
        let reference = self.samples.get(&(door, Kind::Pgbouncer))?;
        median(own.iter().zip(reference).filter_map(|(own, other)| Some(own.cpu? / other.cpu?)))
    }
}

fn most_cpu(door: Door) -> f64 {
    if door == Door::Scram { MOST_SCRAM_LOGIN_CPU } else { MOST_LOGIN_CPU }
}

/// A plain proxy leaves the proof to the server, which trusts everybody here.
fn takes_part(kind: Kind, door: Door) -> bool {
    kind.is_pooler() || (kind == Kind::Direct && door == Door::Trust)
}

fn log_in_often(stage: &Stage, contestant: &Contestant, door: Door, seconds: u32) -> Sample {
    let run = |seconds| pgbench::run_logins(stage, contestant, door, CLIENTS, seconds);
    run(1);
    let before = contestant.cpu_seconds();
    let logins = run(seconds) as f64;
    let cpu = contestant.cpu_seconds().zip(before).map(|(after, before)| after - before);
    Sample { rate: logins / f64::from(seconds), cpu: cpu.map(|cpu| cpu * 1e6 / logins) }
}

impl fmt::Display for Sample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.0} logins/s, CPU {} µs", self.rate, number(self.cpu, 1))
    }
}
