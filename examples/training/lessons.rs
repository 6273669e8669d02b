//! What clients do: short transactions above all, and everything else now and then.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::site::{Door, Site};

/// Sessions that want their settings kept, and transactions of several statements.
const SESSIONS: &str = include_str!("sessions.sql");

/// One client that does a bit of everything, errors included.
const MIXTURE: &str = include_str!("mixture.sql");

/// So often the mixture is done.
const MIXTURES: usize = 100;

/// No more clients than servers: pgbench waits for a Prepare with its whole thread, open transactions included.
const FEW: &str = "20";

/// One exercise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lesson {
    door: Door,
    what: What,
    /// How long, where it has no end of its own.
    seconds: u32,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// Single rows, in one of pgbench's protocols, by so many clients.
    Select(&'static str, u32),
    /// The same, so many a second.
    AtRate(u32),
    /// Transactions that write.
    Update(&'static str),
    /// [`SESSIONS`].
    Sessions(&'static str),
    /// A login for every row.
    Logins,
    /// COPY and a large result, in both directions.
    Bulk,
    /// [`MIXTURE`].
    Mixture,
    /// The console and the metrics.
    Operator,
}

impl Lesson {
    /// All of them, so long each.
    pub(crate) fn all(seconds: u32) -> impl Iterator<Item = Lesson> {
        let mut all = Vec::new();
        for protocol in ["simple", "extended", "prepared"] {
            for clients in [10, 100, 400] {
                all.push((Door::Trust, What::Select(protocol, clients)));
            }
            all.push((Door::Trust, What::Update(protocol)));
            all.push((Door::Trust, What::Sessions(protocol)));
        }
        all.push((Door::Trust, What::AtRate(3000)));
        all.extend([Door::Trust, Door::Scram, Door::TlsScram].map(|door| (door, What::Logins)));
        all.push((Door::TlsScram, What::Select("prepared", 50)));
        all.push((Door::TlsScram, What::Bulk));
        all.extend([What::Bulk, What::Mixture, What::Operator].map(|what| (Door::Trust, what)));
        all.into_iter().map(move |(door, what)| Lesson { door, what, seconds })
    }

    /// Does it to its end.
    pub(crate) fn run(&self, site: &Site) -> Result<(), String> {
        match self.what {
            What::Select(protocol, clients) => {
                self.bench(site, &["-S", "-M", protocol, "-c", &clients.to_string()])
            }
            What::AtRate(rate) => self.bench(site, &["-S", "-c", "10", "-R", &rate.to_string()]),
            What::Update(protocol) => {
                self.bench(site, &["-b", "simple-update", "-M", protocol, "-c", FEW])
            }
            What::Sessions(protocol) => {
                let script = site.folder().join("sessions.sql");
                write(&script, SESSIONS)?;
                let script = script.display().to_string();
                self.bench(site, &["-f", &script, "-M", protocol, "-c", FEW])
            }
            What::Logins => self.bench(site, &["-S", "-C", "-c", "8"]),
            What::Bulk => self.bulk(site),
            What::Mixture => {
                let script = site.folder().join("mixture.sql");
                write(&script, &MIXTURE.repeat(MIXTURES))?;
                run(site.client("psql", self.door).arg("-qXf").arg(script))
            }
            What::Operator => self.operate(site),
        }
    }

    fn bench(&self, site: &Site, options: &[&str]) -> Result<(), String> {
        let mut command = site.client("pgbench", self.door);
        run(command.args(["-n", "-j", "2", "-T", &self.seconds.to_string()]).args(options))
    }

    fn bulk(&self, site: &Site) -> Result<(), String> {
        let rows = site.folder().join("rows.txt");
        let copy_out = format!("\\copy pgbench_accounts to '{}'", rows.display());
        let copy_in = format!("\\copy heap from '{}'", rows.display());
        let orders = [
            "select * from pgbench_accounts",
            &copy_out,
            "truncate heap",
            &copy_in,
            "truncate heap",
        ];
        orders.into_iter().try_for_each(|order| {
            run(site.client("psql", self.door).args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", order]))
        })
    }

    fn operate(&self, site: &Site) -> Result<(), String> {
        for order in ["show pools", "show stats", "show clients", "show servers", "show lists"] {
            let mut psql = site.client("psql", self.door);
            run(psql.env("PGDATABASE", "pgusher").args(["-qX", "-c", order]))?;
        }
        (0..20).try_for_each(|_| site.scrape())
    }
}

impl fmt::Display for Lesson {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let door = match self.door {
            Door::Trust => "",
            Door::Scram => ", SCRAM",
            Door::TlsScram => ", TLS and SCRAM",
        };
        match self.what {
            What::Select(protocol, clients) => {
                write!(out, "single rows, {protocol}, {clients} clients{door}")
            }
            What::AtRate(rate) => write!(out, "single rows, {rate} a second{door}"),
            What::Update(protocol) => write!(out, "updates, {protocol}{door}"),
            What::Sessions(protocol) => write!(out, "sessions with settings, {protocol}{door}"),
            What::Logins => write!(out, "logins{door}"),
            What::Bulk => write!(out, "bulk data{door}"),
            What::Mixture => write!(out, "a bit of everything{door}"),
            What::Operator => write!(out, "the console and the metrics{door}"),
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Runs a client to its end. What it has to say is told where it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).output();
    let ended = ended.map_err(|error| format!("{command:?}: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&ended.stderr);
    Err(format!("{command:?}: {}\n{}", ended.status, words.trim_end()))
}
