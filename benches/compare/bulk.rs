//! Processor time and speed of bulk data.

use crate::contestant::Contestant;
use crate::pure::bars::{
    Bar, MOST_COPY_IN_CPU, MOST_COPY_OUT_CPU, MOST_PROXY_BULK, MOST_SELECT_CPU,
};
use crate::pure::median::median;
use crate::pure::options::{Kind, Options};
use crate::pure::table::{Table, number, ratio};
use crate::sponge::Sponge;
use crate::stage::{DATABASE, USER};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

/// The way the data takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    CopyOut,
    CopyIn,
    Select,
}

/// What one transfer measured.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Megabytes a second.
    speed: f64,
    /// The contestant's processor seconds for each gigabyte.
    cpu: Option<f64>,
}

/// The samples of every way and contestant, one of each round.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    samples: BTreeMap<(Way, Kind), Vec<Sample>>,
}

impl Bulk {
    /// Measures every way once in each round; within a way everybody follows directly on one another.
    pub(crate) fn measure(contestants: &[Contestant], options: &Options) -> Self {
        let mut all = Bulk::default();
        for round in 0..options.rounds() {
            for way in [Way::CopyOut, Way::CopyIn, Way::Select] {
                let order = contestants.iter().cycle().skip(round).take(contestants.len());
                for contestant in order {
                    let sample = transfer(contestant, way, options.bulk_bytes());
                    let kind = contestant.kind();
                    eprintln!("round {}: {way} {kind}: {sample}", round + 1);
                    all.samples.entry((way, kind)).or_default().push(sample);
                }
            }
        }
        all
    }

    /// The medians as a table.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&["bulk data, who", "MB/s", "CPU s/GB", "to PgBouncer"]);
        for (&(way, kind), samples) in &self.samples {
            table.row(vec![
                format!("{way}, {kind}"),
                number(median(samples.iter().map(|sample| sample.speed)), 0),
                number(median(samples.iter().filter_map(|sample| sample.cpu)), 2),
                ratio(self.to_pgbouncer(way, kind)),
            ]);
        }
        table
    }

    /// The bars of processor time, and those of speed.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        for way in [Way::CopyOut, Way::CopyIn, Way::Select] {
            let cpu = self.to_pgbouncer(way, Kind::Pgusher);
            bars.extend(
                cpu.map(|ratio| Bar::new(format!("CPU per byte, {way}"), ratio, way.most_cpu())),
            );
            let speed =
                self.between(way, [Kind::Haproxy, Kind::Pgusher], |sample| Some(sample.speed));
            let name = format!("speed of haproxy to pgusher's, {way}");
            bars.extend(speed.map(|ratio| Bar::new(name, ratio, MOST_PROXY_BULK)));
        }
        bars
    }

    fn to_pgbouncer(&self, way: Way, kind: Kind) -> Option<f64> {
        self.between(way, [kind, Kind::Pgbouncer], |sample| sample.cpu)
    }

    /// The median of the ratios of one contestant to another within each round.
    fn between(
        &self,
        way: Way,
        [one, other]: [Kind; 2],
        value: fn(&Sample) -> Option<f64>,
    ) -> Option<f64> {
        let of = |kind| self.samples.get(&(way, kind));
        let rounds = of(one)?.iter().zip(of(other)?);
        median(rounds.filter_map(|(one, other)| Some(value(one)? / value(other)?)))
    }
}

/// Repeats one way until so many bytes have passed.
fn transfer(contestant: &Contestant, way: Way, least: u64) -> Sample {
    let mut sponge = Sponge::login(contestant.port(), DATABASE, USER);
    way.pass(&mut sponge, least / 16);
    let (start, before) = (Instant::now(), contestant.cpu_seconds());
    let mut bytes = 0;
    while bytes < least {
        bytes += way.pass(&mut sponge, least);
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu = contestant.cpu_seconds().zip(before).map(|(after, before)| after - before);
    let bytes = bytes as f64;
    Sample { speed: bytes / 1e6 / seconds, cpu: cpu.map(|cpu| cpu / (bytes / 1e9)) }
}

impl Way {
    fn most_cpu(self) -> f64 {
        match self {
            Way::CopyOut => MOST_COPY_OUT_CPU,
            Way::CopyIn => MOST_COPY_IN_CPU,
            Way::Select => MOST_SELECT_CPU,
        }
    }

    /// Passes data once: about 100 MB on the way out, at least `bytes` on the way in.
    fn pass(self, sponge: &mut Sponge, bytes: u64) -> u64 {
        match self {
            Way::CopyOut => sponge.soak("copy pgbench_accounts to stdout"),
            Way::Select => sponge.soak("select * from pgbench_accounts"),
            Way::CopyIn => {
                // The server reads every line and keeps none: nothing is written, and nothing needs room.
                let line = format!("{}\n", "x".repeat(1023));
                let chunk = line.repeat(8).into_bytes();
                let times = bytes.div_ceil(chunk.len() as u64);
                sponge.squeeze("copy bulk_in from stdin where false", &chunk, times)
            }
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Way::CopyOut => "COPY TO, 100-byte rows",
            Way::CopyIn => "COPY FROM, 8-kB messages",
            Way::Select => "SELECT, 100-byte rows",
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.0} MB/s, CPU {} s/GB", self.speed, number(self.cpu, 2))
    }
}
