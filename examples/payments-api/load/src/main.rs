//! Drives the payments service with many users, or its database with the SQL that the service sends.

mod api;
mod asks;
mod crowd;
mod journal;
mod people;
mod replay;
mod script;
mod tally;
mod user;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Users of the payments API, and the SQL of its requests without the service")]
struct Options {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    crowd: crowd::Options,
}

#[derive(Subcommand)]
enum What {
    /// Users of the API.
    Http {
        /// Where the API listens.
        #[arg(long)]
        address: String,
    },
    /// The SQL of the service, from a script that was recorded.
    Sql {
        /// Where the database is, as tokio-postgres reads it.
        #[arg(long)]
        database: String,
        /// The recorded script.
        #[arg(long)]
        script: PathBuf,
        /// A new connection for each request, as with CONN_MAX_AGE = 0, instead of one for each user.
        #[arg(long)]
        reconnect: bool,
        /// No prepared statements, for poolers that do not know them.
        #[arg(long)]
        unprepared: bool,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    match options.what {
        What::Http { address } => {
            let address: &str = Box::leak(address.into_boxed_str());
            crowd::run(options.crowd, |seat| user::live(seat, address)).await
        }
        What::Sql { database, script, reconnect, unprepared } => {
            let stage =
                replay::Stage::set(&database, &script, replay::Manner { reconnect, unprepared })?;
            crowd::run(options.crowd, move |seat| replay::live(seat, stage.clone())).await
        }
    }
}
