//! Compares pgusher with PgBouncer, with HAProxy as a plain TCP proxy, and with no proxy at all.
//!
//! `make bench`, or `cargo bench --bench compare -- --help`. Everybody stands in turn in front of the same private
//! PostgreSQL, and everything runs on one machine: absolute numbers say what that machine can do, so the bars at the
//! end are ratios, most of them to PgBouncer, taken within one round and then as a median over the rounds.
//!
//! - `stage`: the server; `contestant`: those who take part;
//! - `throughput`, `manner`, `beside`, `syscalls`, `bulk`, `logins`, `storm`, `pins`, `idle`, `spate`: what is measured, each
//!   with its table and its bars;
//! - `pgbench`, `sponge`, `guest`: what drives them;
//! - `pure`: options, what the tools print, tables and bars; tested by `tests/compare.rs`.

mod beside;
#[path = "../shared/binary.rs"]
mod binary;
mod bulk;
mod contestant;
#[path = "../shared/gate.rs"]
mod gate;
mod guest;
mod idle;
mod logins;
mod manner;
mod pgbench;
mod pins;
#[allow(
    unused_imports,
    reason = "a bench has no harness: its tests are left out, their imports are not"
)]
mod pure;
mod spate;
mod sponge;
mod stage;
mod storm;
mod syscalls;
mod throughput;

use crate::beside::Beside;
use crate::bulk::Bulk;
use crate::contestant::{Contestant, Door};
use crate::idle::Idle;
use crate::logins::Logins;
use crate::manner::{Manner, Manners};
use crate::pins::Pins;
use crate::pure::bars::Bar;
use crate::pure::options::{Options, Part};
use crate::spate::Spate;
use crate::stage::Stage;
use crate::storm::Storm;
use crate::throughput::Throughput;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    let missing: Vec<String> = options
        .contestants()
        .iter()
        .filter_map(|&kind| contestant::installed(kind).err())
        .collect();
    if !missing.is_empty() {
        eprintln!("{}", missing.join("\n"));
        return ExitCode::from(2);
    }
    let bars = compare(&options);
    let missed = report(&bars);
    options.gate.exit(missed)
}

/// Measures what was asked for, prints the tables, and gives the bars.
fn compare(options: &Options) -> Vec<Bar> {
    let file_limit = stage::raise_file_limit();
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: what it says about pgusher means nothing");
    }
    eprintln!("starting a private PostgreSQL and filling its tables");
    let stage = Stage::build();
    print_heading(&stage, options);
    let mut bars = Vec::new();
    // First, while nothing has been measured that could leave the server in another state for the second pooler.
    if options.wants(Part::Idle) {
        let idle = Idle::measure(&stage, options, file_limit, Door::Trust);
        println!("## Idle clients\n\n{}", idle.table());
        bars.extend(idle.bars());
    }
    if options.wants(Part::IdleTls) {
        let idle = Idle::measure(&stage, options, file_limit, Door::TlsScram);
        println!("## Idle clients with TLS\n\n{}", idle.table());
        bars.extend(idle.bars());
    }
    if options.wants(Part::Memory) {
        let spate = Spate::measure(&stage, options);
        println!("## Memory behind large rows\n\n{}", spate.table());
        bars.extend(spate.bars());
    }
    let contestants: Vec<Contestant> =
        options.contestants().iter().map(|&kind| Contestant::start(kind, &stage)).collect();
    if options.wants(Part::Throughput) {
        let throughput = Throughput::measure(&stage, &contestants, options);
        println!("## Short transactions (pgbench -S)\n\n{}", throughput.table());
        println!(
            "This PgBouncer cannot pool prepared statements: `prepared` is compared with its `extended`.\n"
        );
        bars.extend(throughput.bars());
    }
    if options.wants(Part::Bulk) {
        let bulk = Bulk::measure(&contestants, options);
        println!("## Bulk data\n\n{}", bulk.table());
        bars.extend(bulk.bars());
    }
    if options.wants(Part::Logins) {
        let logins = Logins::measure(&stage, options);
        println!("## Logins (pgbench -C)\n\n{}", logins.table());
        bars.extend(logins.bars());
    }
    if options.wants(Part::Pins) {
        let pins = Pins::measure(&stage, options);
        println!("## Queries beside clients that keep their servers\n\n{}", pins.table());
        bars.extend(pins.bars());
    }
    if options.wants(Part::Storm) {
        let storm = Storm::measure(&stage, options);
        println!("## Queries in a storm of logins (TLS, scram-sha-256)\n\n{}", storm.table());
        bars.extend(storm.bars());
    }
    bars.extend(compare_manners(&stage, options));
    if options.wants(Part::Beside) {
        let beside = Beside::measure(&stage, options, file_limit);
        println!("## Queries beside idle clients\n\n{}", beside.table());
        bars.extend(beside.bars());
    }
    if options.wants(Part::Syscalls)
        && let Some(table) = syscalls::measure(&stage, &contestants, options)
    {
        println!("## System calls\n\n{table}");
    }
    bars
}

/// [`compare`] for transactions that come slowly, and for those over TLS.
fn compare_manners(stage: &Stage, options: &Options) -> Vec<Bar> {
    let wanted = [(Part::LowRate, Manner::LowRate), (Part::Tls, Manner::Tls)];
    let mut bars = Vec::new();
    for (_, manner) in wanted.into_iter().filter(|&(part, _)| options.wants(part)) {
        let manners = Manners::measure(stage, options, manner);
        println!("## Transactions {manner}\n\n{}", manners.table());
        bars.extend(manners.bars());
    }
    bars
}

fn print_heading(stage: &Stage, options: &Options) {
    let names: Vec<String> =
        options.contestants().iter().map(|&kind| contestant::version(kind)).collect();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "# {}\n\nPostgreSQL {}, {processors} processors for everything; pools of 20; medians of {} round(s) of {} s.",
        names.join(", "),
        stage.version(),
        options.rounds(),
        options.seconds(),
    );
    println!("pgusher is {}.\n", binary::binary().display());
}

/// Prints the bars; gives the number of those that were missed.
fn report(bars: &[Bar]) -> usize {
    if bars.is_empty() {
        println!(
            "No bars: they compare pgusher with PgBouncer, and one of them did not take part."
        );
        return 0;
    }
    println!("## Bars\n\n```");
    for bar in bars {
        println!("{bar}");
    }
    println!("```");
    bars.iter().filter(|bar| !bar.is_met()).count()
}
