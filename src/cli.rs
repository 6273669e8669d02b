//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// A PostgreSQL connection pooler: thousands of clients on a small, fixed pool of servers.
#[derive(Debug, Parser)]
#[command(
    name = "pgusher",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to run.
    #[command(flatten)]
    pub run: Run,
}

/// Running is the default.
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration file
    #[arg(value_name = "CONFIG_FILE")]
    pub config: Option<PathBuf>,
    /// Run in the background; needs `pidfile`
    #[arg(short, long)]
    pub daemon: bool,
    /// Log nothing to standard error
    #[arg(short, long)]
    pub quiet: bool,
    /// Relieve the process that runs: listen beside it (`so_reuseport`), then have it wait for its clients to leave
    #[arg(short = 'R', long)]
    pub reboot: bool,
    /// Become this user; needs to be started as root
    #[arg(short, long, value_name = "USERNAME")]
    pub user: Option<String>,
    /// Log more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Something else than running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a pgbouncer.ini as the pool.toml that says the same
    ///
    /// What is missing or different is said on standard error, and in comments.
    Import {
        /// The pgbouncer.ini
        #[arg(value_name = "PGBOUNCER_INI")]
        config: PathBuf,
    },
    /// Print every setting with its default, unit and meaning, as Markdown
    Parameters,
    /// Show pools, queues, pins and blockers live, over a connection to the console
    ///
    /// PGHOST, PGPORT, PGUSER, PGPASSWORD, PGPASSFILE, PGSSLMODE and their like count as for psql. Without a host, a
    /// unix socket of port 6432 is looked for, then 127.0.0.1.
    #[command(disable_help_flag = true)]
    Top(Top),
    /// Check a configuration file and report every mistake with its place
    ///
    /// Exits with 0 if the file is valid and with 1 if it is not.
    Check {
        /// The configuration file
        #[arg(value_name = "POOL_TOML")]
        config: PathBuf,
        /// Also try each way to a server: name, connection, TLS and login
        #[arg(long)]
        connect: bool,
        /// Also try the login of a client on 127.0.0.1; its password is PGPASSWORD, or asked for
        #[arg(long, value_name = "USER@DATABASE", value_parser = who)]
        login: Option<Who>,
    },
}

/// What to show, and whose.
#[derive(Debug, Args)]
pub struct Top {
    /// A connection string or URL, as for psql
    #[arg(value_name = "CONNECTION")]
    pub connection: Option<String>,
    /// Host, or folder of the unix socket
    #[arg(short = 'h', long, conflicts_with = "connection")]
    pub host: Option<String>,
    /// Port
    #[arg(short, long, conflicts_with = "connection")]
    pub port: Option<u16>,
    /// User: one of admin_users or stats_users
    #[arg(short = 'U', long, conflicts_with = "connection")]
    pub user: Option<String>,
    /// Time between two looks, such as 500ms, 1s or 1m
    #[arg(short, long, default_value = "1s", value_parser = interval)]
    pub interval: Duration,
    /// Only what concerns this database
    #[arg(short, long)]
    pub database: Option<String>,
    /// Print one look as a table, with the rates of one interval
    #[arg(long)]
    pub once: bool,
    /// Print it as JSON
    #[arg(long, requires = "once")]
    pub json: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("ms") => 0.001,
        Some("" | "s") => 1.0,
        Some("m" | "min") => 60.0,
        _ => return Err("expected a time such as 500ms, 1s or 1m".to_owned()),
    };
    let seconds = digits.parse::<f64>().map_err(|error| error.to_string())? * unit;
    if !(0.1..=3_600.0).contains(&seconds) {
        return Err("between 100ms and 60m".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Who logs in, and where.
#[derive(Clone, Debug)]
pub struct Who {
    /// The user.
    pub user: String,
    /// The database.
    pub database: String,
}

fn who(text: &str) -> Result<Who, String> {
    // A user may have an @ in its name, as those of cloud services do.
    let (user, database) = text.rsplit_once('@').ok_or("expected USER@DATABASE")?;
    if user.is_empty() || database.is_empty() {
        return Err("expected USER@DATABASE".to_owned());
    }
    Ok(Who { user: user.to_owned(), database: database.to_owned() })
}
