//! Whether advice on pool sizes comes true: pgbench runs at one size, and then at those that were foretold.
//!
//! `make bench BENCH=advise`, or `cargo bench --bench advise -- --help`. Every size is measured with the same clients, that
//! think for some milliseconds between two transactions, right behind the run that the forecast is made from.

#[path = "../shared/binary.rs"]
mod binary;
#[path = "../shared/gate.rs"]
mod gate;
mod run;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use gate::Gate;
use run::{Found, Script, Site};

/// The size at which forecasts are made.
const FROM: usize = 4;
/// The sizes at which they are held against what comes.
const TO: [usize; 5] = [2, 3, 4, 6, 8];
/// Shorter waits are the noise of clocks and schedulers, in seconds.
const SHORT: f64 = 0.001;
/// A forecast may be off by so much.
const BAR: f64 = 2.0;

/// Compares forecasts of waits with pgbench runs.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// Seconds of each run; there are twenty
    #[arg(long, default_value_t = 35, value_name = "N", value_parser = clap::value_parser!(u64).range(15..=3600))]
    seconds: u64,

    #[command(flatten)]
    gate: Gate,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let cluster = run::cluster();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let time = Duration::from_secs(options.seconds);
    let mut missed = 0;
    for script in Script::ALL {
        println!("## {}\n\n```", script.name());
        println!("servers   p99 foretold   p99 measured   ratio   per second foretold   measured");
        for size in TO {
            // A machine is not the same for long: each size is measured right behind the recording, which knows no other.
            let site = Site::new(&cluster, script, FROM);
            let foretold = runtime.block_on(site.forecasts(time));
            let forecast = foretold.iter().find(|one| one.size == size);
            let forecast =
                forecast.unwrap_or_else(|| panic!("no forecast of {size}: {foretold:?}"));
            let measured = runtime.block_on(site.measure(size, time));
            missed += usize::from(!report(forecast, &measured));
        }
        println!("```\n");
    }
    println!(
        "{missed} missed: the p99 of waits is to be within {BAR} times where {SHORT} s or more were measured"
    );
    options.gate.exit(missed)
}

/// Prints a line; false when the forecast was off.
fn report(forecast: &Found, measured: &Found) -> bool {
    let ratio = measured.p99 / forecast.p99.max(1e-6);
    let is_met = measured.p99 < SHORT || (1.0 / BAR..=BAR).contains(&ratio);
    let from = if measured.size == FROM { "  (recorded here)" } else { "" };
    println!(
        "{:>7}   {:>9.2} ms   {:>9.2} ms   {ratio:>5.2}   {:>19.0}   {:>8.0}{}{from}",
        measured.size,
        forecast.p99 * 1e3,
        measured.p99 * 1e3,
        forecast.per_second,
        measured.per_second,
        if is_met { "" } else { "  MISSED" },
    );
    is_met
}
