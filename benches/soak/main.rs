//! Twenty minutes of everything at once: does pgusher grow, lose descriptors, or become slow?
//!
//! `make bench BENCH=soak`, or `cargo bench --bench soak -- --help`. A crowd of clients does what clients do, comes and goes;
//! meanwhile servers are killed, the pool is resized and the file reloaded. The second quarter of the time is held against
//! the last one: the first is for warming up.
//!
//! - `crowd`: the clients, each of which looks whether its session is its own; `trouble`: what happens to them;
//! - `pulse`: memory, descriptors and the latency of one calm client, second by second.

mod crowd;
#[path = "../shared/gate.rs"]
mod gate;
mod pulse;
mod trouble;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use pgusher_testkit::Cluster;
use tokio::task::JoinSet;

use gate::Gate;
use pulse::Beat;

/// Clients that do something all the time.
const CLIENTS: u64 = 40;

/// Holds the end of a long time against its beginning.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// Minutes
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,

    #[command(flatten)]
    gate: Gate,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let cluster = Cluster::builder().setting("autovacuum", "off").build();
    cluster.psql("create table soak (client int, note text)");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let time = Duration::from_secs(60 * options.minutes);
    let (beats, tally) = runtime.block_on(soak(&cluster, time));
    let missed = report(&beats, &tally);
    options.gate.exit(missed)
}

/// What became of requests, by SQLSTATE; `ok` of those that were answered.
type Tally = BTreeMap<String, u64>;

async fn soak(cluster: &Cluster, time: Duration) -> (Vec<Beat>, Tally) {
    let pgusher = trouble::start(cluster);
    let until = Instant::now() + time;
    let crowd = (0..CLIENTS).map(|number| crowd::client(pgusher.port(), number, until));
    let mut crowd: JoinSet<Tally> = crowd.collect();
    let pulse = tokio::spawn(pulse::feel(pgusher.port(), pgusher.pid(), until));
    tokio::task::block_in_place(|| trouble::make(cluster, &pgusher, until));
    let mut all = Tally::new();
    while let Some(one) = crowd.join_next().await {
        for (what, count) in one.expect("no panic") {
            *all.entry(what).or_default() += count;
        }
    }
    (pulse.await.expect("no panic"), all)
}

/// Prints the quarters and the bars; gives the number of those that were missed.
fn report(beats: &[Beat], tally: &Tally) -> usize {
    let quarters: Vec<&[Beat]> = beats.chunks(beats.len().div_ceil(4).max(1)).collect();
    println!(
        "| quarter | resident MiB | descriptors | p50 ms | p99 ms |\n|---|---:|---:|---:|---:|"
    );
    for (number, quarter) in quarters.iter().enumerate() {
        let of = |what| pulse::median(quarter, what);
        let [resident, files, p50, p99] =
            [Beat::resident, Beat::files, Beat::p50, Beat::p99].map(of);
        println!("| {} | {resident:.1} | {files:.0} | {p50:.2} | {p99:.2} |", number + 1);
    }
    println!("\nAnswers and errors: {tally:?}\n");
    let ratio = |what: fn(&Beat) -> f64| match quarters.as_slice() {
        [_, second, _, last] => pulse::median(last, what) / pulse::median(second, what),
        _ => f64::NAN,
    };
    let strange: u64 =
        tally.iter().filter(|(what, _)| !crowd::is_explained(what)).map(|(_, count)| count).sum();
    let bars = [
        ("memory, last quarter to second", ratio(Beat::resident), 1.1),
        ("descriptors, last quarter to second", ratio(Beat::files), 1.1),
        ("p50 of the calm client, last quarter to second", ratio(Beat::p50), 1.25),
        ("errors that no fault explains", strange as f64, 0.0),
    ];
    println!("```");
    for (what, ratio, most) in &bars {
        let verdict = if ratio <= most { "PASS" } else { "FAIL" };
        println!("{verdict}  {what:<50} {ratio:.2} (at most {most:.2})");
    }
    println!("```");
    bars.iter().filter(|(_, ratio, most)| ratio.is_nan() || ratio > most).count()
}
