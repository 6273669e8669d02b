//! Puts pgusher under the loads it is made for, so that the compiler may see what it does most.
//!
//! `make release` builds a pgusher that counts what it runs through, lets this program exercise it, and builds it again
//! with the counts. Everything happens on private servers in temporary folders. An exercise that fails is an error:
//! half a training would be half a release.
//!
//! - `site`: the servers; `lessons`: what clients do there.

mod lessons;
mod site;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::lessons::Lesson;
use crate::site::Site;

/// Exercises a pgusher with short transactions, sessions, bulk data, errors and logins.
#[derive(Debug, Parser)]
#[command(name = "training")]
struct Options {
    /// Seconds of each exercise; there are some twenty
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,

    /// The pgusher to exercise
    #[arg(value_name = "PGUSHER")]
    binary: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match train(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("training: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn train(options: &Options) -> Result<(), String> {
    let binary = options.binary.canonicalize();
    let binary = binary.map_err(|error| format!("{}: {error}", options.binary.display()))?;
    eprintln!("training: starting a private PostgreSQL and filling its tables");
    let site = Site::open(&binary);
    for lesson in Lesson::all(options.seconds) {
        eprintln!("training: {lesson}");
        lesson.run(&site)?;
    }
    site.close()
}
