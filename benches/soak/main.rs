//! Twenty minutes of everything at once: does pgusher grow, lose descriptors, or become slow?
//!
//! `make bench BENCH=soak`, or `cargo bench --bench soak -- --help`. A crowd of clients does what clients do, comes and goes;
//! meanwhile servers are killed, the network to them breaks, the pool is resized and the file reloaded. The second quarter
//! of the time is held against the last one: the first is for warming up. In the end everybody leaves, and so must their
//! descriptors.
//!
//! - `crowd`: the clients, each of which looks whether its session is its own; `trouble`: what happens to them;
//! - `pulse`: memory, descriptors and the latency of one calm client, second by second.

#[path = "../shared/binary.rs"]
mod binary;
mod crowd;
#[path = "../shared/gate.rs"]
mod gate;
mod pulse;
mod trouble;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use pgusher_testkit::{Cluster, wait_for};
use tokio::task::JoinSet;

use gate::Gate;
use pulse::Beat;
use trouble::{Site, Troubles};

/// Clients that do something all the time.
const CLIENTS: u64 = 40;

/// How long the last descriptors may take to go.
const PARTING: Duration = Duration::from_secs(30);

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
    let missed = report(&runtime.block_on(soak(&cluster, time)), time);
    options.gate.exit(missed)
}

/// What became of requests, by SQLSTATE; `ok` of those that were answered.
type Tally = BTreeMap<String, u64>;

/// What was seen.
struct Soaked {
    beats: Vec<Beat>,
    tally: Tally,
    troubles: Troubles,
    /// Descriptors that were there when everybody had gone, and not before they came.
    left_behind: usize,
}

async fn soak(cluster: &Cluster, time: Duration) -> Soaked {
    let site = Site::open(cluster).await;
    let port = site.pgusher.port();
    // What is made once is made.
    crowd::client(port, 1, Instant::now() + Duration::from_secs(2)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = site.own_descriptors();
    let until = Instant::now() + time;
    let crowd = (0..CLIENTS).map(|number| crowd::client(port, number, until));
    let mut crowd: JoinSet<Tally> = crowd.collect();
    let pulse = tokio::spawn(pulse::feel(port, site.pgusher.pid(), until));
    let troubles = tokio::task::block_in_place(|| site.trouble(until));
    let mut tally = Tally::new();
    while let Some(one) = crowd.join_next().await {
        for (what, count) in one.expect("no panic") {
            *tally.entry(what).or_default() += count;
        }
    }
    let beats = pulse.await.expect("no panic");
    let all_left = wait_for(PARTING, || site.own_descriptors() <= before).await;
    let left_behind = if all_left { 0 } else { site.own_descriptors() - before };
    Soaked { beats, tally, troubles, left_behind }
}

/// Prints the quarters and the bars; gives the number of those that were missed.
fn report(soaked: &Soaked, time: Duration) -> usize {
    let Soaked { beats, tally, troubles, left_behind } = soaked;
    let quarters: Vec<&[Beat]> = beats.chunks(beats.len().div_ceil(4).max(1)).collect();
    print_quarters(&quarters);
    println!("\nAnswers and errors: {tally:?}\n\nTroubles: {troubles}\n");
    let ratio = |what: fn(&Beat) -> f64| match quarters.as_slice() {
        [_, second, _, last] => pulse::median(last, what) / pulse::median(second, what),
        _ => f64::NAN,
    };
    let sum = |is_counted: fn(&str) -> bool| {
        let counted = tally.iter().filter(|(what, _)| is_counted(what));
        counted.map(|(_, count)| count).sum::<u64>() as f64
    };
    let explained = sum(|what| what != "ok" && crowd::is_explained(what));
    let bars = [
        ("memory, last quarter to second", ratio(Beat::resident), 1.1),
        ("descriptors, last quarter to second", ratio(Beat::files), 1.1),
        ("descriptors left behind by everybody", *left_behind as f64, 0.0),
        ("p50 of the calm client, last quarter to second", ratio(Beat::p50), 1.25),
        ("p99 of the calm client, last quarter to second", ratio(Beat::p99), 1.5),
        (
            "seconds that the calm client missed, of all",
            1.0 - beats.len() as f64 / time.as_secs_f64(),
            0.15,
        ),
        (
            "failed requests to servers killed or cut off",
            explained / troubles.victims() as f64,
            1.0,
        ),
        ("errors that no fault explains", sum(|what| !crowd::is_explained(what)), 0.0),
        ("kinds of trouble that have not come", troubles.missing() as f64, 0.0),
    ];
    println!("```");
    for (what, value, most) in &bars {
        let verdict = if value <= most { "PASS" } else { "FAIL" };
        println!("{verdict}  {what:<50} {value:.2} (at most {most:.2})");
    }
    println!("```");
    // What cannot be computed was not reached.
    bars.iter().filter(|(_, value, most)| value.is_nan() || value > most).count()
}

fn print_quarters(quarters: &[&[Beat]]) {
    println!(
        "| quarter | resident MiB | descriptors | p50 ms | p99 ms |\n|---|---:|---:|---:|---:|"
    );
    for (number, quarter) in quarters.iter().enumerate() {
        let of = |what| pulse::median(quarter, what);
        let [resident, files, p50, p99] =
            [Beat::resident, Beat::files, Beat::p50, Beat::p99].map(of);
        println!("| {} | {resident:.1} | {files:.0} | {p50:.2} | {p99:.2} |", number + 1);
    }
}
