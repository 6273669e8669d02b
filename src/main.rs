//! The `pgusher` binary.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use pgusher::cli::{Cli, Command};
use pgusher::{app, config};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match (cli.command, cli.run.config) {
        (Some(Command::Check { config }), _) => check(&config),
        (None, Some(config)) => run(&config),
        // clap shows the help instead.
        (None, None) => ExitCode::FAILURE,
    }
}

fn check(path: &Path) -> ExitCode {
    match app::check(path) {
        Ok(()) => {
            println!("{}: ok", path.display());
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            eprintln!("{mistakes}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &Path) -> ExitCode {
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::FAILURE;
        }
    };
    match app::run(path, loaded, false) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgusher: {error}");
            ExitCode::FAILURE
        }
    }
}
