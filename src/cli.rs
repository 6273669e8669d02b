//! The command line.

use std::path::PathBuf;

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
    /// Take over from a running process (not supported yet: starts normally)
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
    /// Say what size the pools of a running pgusher should have, and why
    ///
    /// PGHOST, PGPORT, PGUSER and PGPASSWORD count as for psql. Without a host, a unix socket of the port is looked for,
    /// then 127.0.0.1.
    #[command(disable_help_flag = true)]
    Advise(Advise),
    /// Print every setting with its default, unit and meaning, as Markdown
    Parameters,
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

/// What to ask, and whom.
#[derive(Debug, Args)]
pub struct Advise {
    /// Only the pools of this database
    #[arg(value_name = "DATABASE")]
    pub database: Option<String>,
    /// Host of the console, or folder of its unix socket
    #[arg(short = 'h', long)]
    pub host: Option<String>,
    /// Port
    #[arg(short, long)]
    pub port: Option<u16>,
    /// User: one of admin_users or stats_users
    #[arg(short = 'U', long)]
    pub user: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
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
