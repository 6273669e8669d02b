//! Clients that keep their servers for a moment and let them go, and what those notice of them who do not.
//!
//! The server has more to do, too: so pgusher stands here twice, and those clients come over the one that runs the
//! queries, or over the other.

use crate::contestant::Contestant;
use crate::pgbench;
use crate::pure::bars::{Bar, MOST_PIN_LATENCY};
use crate::pure::median::median;
use crate::pure::options::{Kind, Mode, Options};
use crate::pure::table::{Table, number};
use crate::stage::{DATABASE, Stage};
use std::process::Stdio;

/// Pins a second, each with its end.
const RATE: &str = "1000";

/// Each statement takes a lock that keeps the client on its server, or lets go of it.
const SCRIPT: &str =
    "select pg_advisory_lock(:client_id);\nselect pg_advisory_unlock(:client_id);\n";

/// Clients that run queries.
const CLIENTS: u32 = 10;

/// The 99th percentile of the queries' latency in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Sample {
    quiet: Option<f64>,
    elsewhere: Option<f64>,
    here: Option<f64>,
}

/// The samples, one of each round.
#[derive(Debug)]
pub(crate) struct Pins {
    samples: Vec<Sample>,
}

impl Pins {
    /// Measures once in each round.
    pub(crate) fn measure(stage: &Stage, options: &Options) -> Self {
        let mut samples = Vec::new();
        if options.contestants().contains(&Kind::Pgusher) {
            let [one, other] = [(); 2].map(|()| Contestant::start(Kind::Pgusher, stage));
            for round in 0..options.rounds() {
                let run =
                    || pgbench::run_for(stage, &one, Mode::Simple, CLIENTS, options.seconds());
                let sample = Sample {
                    quiet: run().p99,
                    elsewhere: while_pinning(stage, &other, run).p99,
                    here: while_pinning(stage, &one, run).p99,
                };
                eprintln!("round {}: pins: {sample:?}", round + 1);
                samples.push(sample);
            }
        }
        Pins { samples }
    }

    /// The medians as a table.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&[
            "p99 of queries, ms",
            "no pins",
            "pins elsewhere",
            "pins here",
            "here to elsewhere",
        ]);
        let of = |which: fn(&Sample) -> Option<f64>| {
            number(median(self.samples.iter().filter_map(which)), 2)
        };
        table.row(vec![
            Kind::Pgusher.to_string(),
            of(|sample| sample.quiet),
            of(|sample| sample.elsewhere),
            of(|sample| sample.here),
            number(self.growth(), 2) + "×",
        ]);
        table
    }

    /// The bar of the latency.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let name = format!("p99 of queries beside {RATE} pins a second, to the same elsewhere");
        self.growth().map(|growth| Bar::new(name, growth, MOST_PIN_LATENCY)).into_iter().collect()
    }

    fn growth(&self) -> Option<f64> {
        median(self.samples.iter().filter_map(|sample| Some(sample.here? / sample.elsewhere?)))
    }
}

/// Does something while clients keep their servers for a moment, again and again.
fn while_pinning<T>(stage: &Stage, target: &Contestant, something: impl FnOnce() -> T) -> T {
    let folder = tempfile::tempdir().expect("make a temporary folder");
    let script = folder.path().join("pins.sql");
    std::fs::write(&script, SCRIPT).expect("write a script");
    let mut pins = stage
        .pgbench(target.port())
        .args(["-n", "-c", "4", "-R", RATE, "-T", "3600", "-f"])
        .arg(&script)
        .arg(DATABASE)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start pgbench");
    let result = something();
    let ended = pins.try_wait().expect("look at pgbench");
    let _ = pins.kill();
    let _ = pins.wait();
    assert!(ended.is_none(), "the clients that pin have ended: {ended:?}\n{}", target.log());
    result
}
