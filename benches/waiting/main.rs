//! What a queue does when there is too much to do, and when one kind of client floods the pool; and what it costs to
//! have it watched.
//!
//! `make bench BENCH=waiting`, or `cargo bench --bench waiting -- --help`. The servers sleep instead of working, so that
//! ten of them fit on a small machine and their capacity is known; everything compared is measured in one run.
//!
//! - `site`: a private PostgreSQL and a pgusher; `load`: clients that ask at fixed times, or again and again;
//! - `overload`, `flood`, `scrape`: what is measured, each with its table and its bars.

#[path = "../shared/binary.rs"]
mod binary;
mod flood;
#[path = "../shared/gate.rs"]
mod gate;
mod load;
mod overload;
mod scrape;
mod site;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use gate::Gate;

/// Measures queues under overload and under a flood from one class.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// Seconds of overload, for each kind of queue
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u64).range(5..=3600))]
    seconds: u64,

    #[command(flatten)]
    gate: Gate,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: what it says about pgusher means little");
    }
    let cluster = site::cluster();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let time = Duration::from_secs(options.seconds);
    let bars = runtime.block_on(async {
        let overload = overload::measure(&cluster, time).await;
        let flood = flood::measure(&cluster, time / 4).await;
        let scrape = scrape::measure(&cluster, time / 4).await;
        [overload, flood, scrape].concat()
    });
    println!("## Bars\n\n```");
    bars.iter().for_each(|bar| println!("{bar}"));
    println!("```");
    options.gate.exit(bars.iter().filter(|bar| !bar.is_met()).count())
}

/// A ratio, and what it is held against.
#[derive(Debug, Clone)]
struct Bar {
    what: &'static str,
    ratio: f64,
    bound: Bound,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.ratio >= bound,
            Bound::AtMost(bound) => self.ratio <= bound,
        }
    }
}

impl std::fmt::Display for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, bound) = match self.bound {
            Bound::AtLeast(bound) => ("at least", bound),
            Bound::AtMost(bound) => ("at most", bound),
        };
        let verdict = if self.is_met() { "ok" } else { "MISSED" };
        write!(f, "{verdict:<6}  {:.2}  ({word} {bound:.2})  {}", self.ratio, self.what)
    }
}
