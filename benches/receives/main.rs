//! Would io_uring do receives, too, for less than epoll and `recv` do?
//!
//! `make bench BENCH=receives`, or `cargo bench --bench receives -- --help`. A thread relays small messages between clients
//! and servers over loopback TCP, in three ways, and does nothing else: what is compared is the kernel's work, with next to
//! nothing of pgusher's own.
//!
//! - `site`: the clients and servers, one thread each; `plain` and `ring`: the ways of relaying.

#[allow(
    unused_imports,
    reason = "a bench has no harness: tests are left out, their imports are not"
)]
#[path = "../shared/median.rs"]
mod median;
mod plain;
mod ring;
mod site;
#[allow(
    unused_imports,
    reason = "a bench has no harness: tests are left out, their imports are not"
)]
#[path = "../compare/pure/table.rs"]
mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use median::median;
use site::{Cost, Relay, Site};
use table::{Table, number, ratio};

/// Measures what relaying a small message costs, by the way it is received and sent.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// How often each way is measured
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// Seconds of each measurement
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,

    /// Clients, each with a server of its own
    #[arg(long, default_values_t = [10, 100], value_delimiter = ',', value_name = "N")]
    clients: Vec<usize>,

    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A way of relaying.
struct Way {
    name: &'static str,
    relay: Relay,
}

const WAYS: [Way; 3] = [
    Way { name: "epoll, recv, send", relay: plain::relay },
    Way { name: "epoll, recv, sends by io_uring (pgusher)", relay: ring::relay_sends },
    Way { name: "receives and sends by io_uring", relay: ring::relay_all },
];

fn main() -> ExitCode {
    let options = Options::parse();
    let mut table =
        Table::new(&["relaying there and back, clients", "a second", "CPU µs", "to the first"]);
    for &clients in &options.clients {
        let mut costs: [Vec<Cost>; WAYS.len()] = Default::default();
        for round in 0..options.rounds as usize {
            for turn in 0..WAYS.len() {
                let which = (round + turn) % WAYS.len();
                match measure(WAYS[which].relay, clients, options.seconds) {
                    Ok(cost) => costs[which].push(cost),
                    Err(error) => {
                        eprintln!("{}: {error}", WAYS[which].name);
                        return ExitCode::FAILURE;
                    }
                }
            }
        }
        let first = median(costs[0].iter().map(Cost::micros));
        for (way, costs) in WAYS.iter().zip(&costs) {
            let micros = median(costs.iter().map(Cost::micros));
            table.row(vec![
                format!("{}, {clients}", way.name),
                number(median(costs.iter().map(|cost| cost.rate)), 0),
                number(micros, 2),
                ratio(micros.zip(first).map(|(micros, first)| micros / first)),
            ]);
        }
    }
    println!("{table}");
    ExitCode::SUCCESS
}

fn measure(relay: Relay, clients: usize, seconds: u64) -> std::io::Result<Cost> {
    Site::open(clients)?.run(relay, Duration::from_secs(seconds))
}
