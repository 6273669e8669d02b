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
    #[arg(value_name = "POOL_TOML")]
    pub config: Option<PathBuf>,
}

/// Something else than running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a configuration file and report every mistake with its place
    ///
    /// Exits with 0 if the file is valid and with 1 if it is not.
    Check {
        /// The configuration file
        #[arg(value_name = "POOL_TOML")]
        config: PathBuf,
    },
}
