//! The `pgusher` binary.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use pgusher::cli::{Cli, Command, Who};
use pgusher::{app, config};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match (cli.command, cli.run.config) {
        (Some(Command::Check { config, connect, login }), _) => {
            exit(check(&config, connect, login.as_ref()))
        }
        (None, Some(config)) => run(&config),
        // clap shows the help instead.
        (None, None) => ExitCode::FAILURE,
    }
}

/// Checks the files, then tries what else is asked for; says what is good, and gives what is not.
fn check(path: &Path, connect: bool, login: Option<&Who>) -> Result<(), String> {
    app::check(path)?;
    println!("{}: ok", path.display());
    if connect && !app::try_servers(path, |line| println!("{line}"))? {
        return Err("not every server could be reached".to_owned());
    }
    if let Some(Who { user, database }) = login {
        let password = match std::env::var("PGPASSWORD") {
            Ok(password) => password,
            Err(_) => rpassword::prompt_password(format!("Password for {user}: "))
                .map_err(|error| format!("no password: {error}; set PGPASSWORD"))?,
        };
        println!("{}", app::try_login(path, user, database, &password)?);
    }
    Ok(())
}

fn exit(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
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
    match app::run(path, loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgusher: {error}");
            ExitCode::FAILURE
        }
    }
}
