//! The `pgusher` binary.

use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use pgusher::cli::{Cli, Command, Run, Top, Who};
use pgusher::{app, config, top};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    match (cli.command, &cli.run.config) {
        (Some(Command::Import { config }), _) => exit(import(&config)),
        (Some(Command::Parameters), _) => {
            print!("{}", config::parameters_page());
            ExitCode::SUCCESS
        }
        (Some(Command::Top(options)), _) => exit(top::run(&request(options))),
        (Some(Command::Check { config, connect, login }), _) => {
            exit(check(&config, connect, login.as_ref()))
        }
        (None, Some(config)) => run(config, &launch(&cli.run)),
        (None, None) => {
            let why = "no configuration file specified";
            not_understood(&Cli::command().error(ErrorKind::MissingRequiredArgument, why))
        }
    }
}

/// Shows help, the version or a mistake. Scripts that start `pgbouncer` know its exit code.
fn not_understood(error: &clap::Error) -> ExitCode {
    let shown = error.print();
    match (error.exit_code(), shown) {
        (0, Ok(())) => ExitCode::SUCCESS,
        _ if is_called_pgbouncer() => ExitCode::FAILURE,
        _ => ExitCode::from(2),
    }
}

fn is_called_pgbouncer() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name().is_some_and(|name| name == "pgbouncer")
}

fn launch(run: &Run) -> app::Launch {
    app::Launch {
        daemon: run.daemon,
        quiet: run.quiet,
        reboot: run.reboot,
        user: run.user.clone(),
        verbosity: run.verbose,
    }
}

fn request(options: Top) -> top::Request {
    let Top { connection, host, port, user, interval, database, once, json, help: _ } = options;
    let address = top::Address { connection, host, port, user };
    top::Request { address, interval, database, once, json }
}

/// Prints the `pool.toml`; what is different goes to standard error.
fn import(path: &Path) -> Result<(), String> {
    let imported = config::import(path).map_err(|mistakes| mistakes.to_string())?;
    print!("{}", imported.toml);
    imported.report.iter().for_each(|line| eprintln!("{line}"));
    Ok(())
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

fn run(path: &Path, launch: &app::Launch) -> ExitCode {
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::FAILURE;
        }
    };
    match app::run(path, loaded, launch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgusher: {error}");
            ExitCode::FAILURE
        }
    }
}
