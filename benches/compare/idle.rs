//! Memory of clients that are connected and do nothing.

use crate::contestant::{Contestant, Door};
use crate::guest::Guest;
use crate::pure::bars::{Bar, MOST_IDLE_MEMORY};
use crate::pure::options::{Kind, Options};
use crate::pure::table::{Table, number, ratio};
use crate::stage::Stage;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// How many ask at the same time.
const AT_ONCE: usize = 50;

/// How long clients do nothing before the memory is looked at.
const REST: Duration = Duration::from_secs(5);

/// Files that this process needs beside its clients.
const SPARE_FILES: u64 = 200;

/// What clients have done before they do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Past {
    /// They have logged in.
    LoggedIn,
    /// Each of them has run a query, too.
    Asked,
}

impl Past {
    const ALL: [Past; 2] = [Past::LoggedIn, Past::Asked];

    fn as_str(self) -> &'static str {
        match self {
            Past::LoggedIn => "logged in",
            Past::Asked => "after a query each",
        }
    }
}

/// A row of the table, apart from who.
type Case = (usize, Past);

/// Bytes for each idle client that came by a door, by number of clients and what they have done.
#[derive(Debug)]
pub(crate) struct Idle {
    door: Door,
    bytes: BTreeMap<(Case, Kind), f64>,
}

impl Idle {
    /// Fills a fresh process of each pooler with clients, for each case, and looks at its memory.
    pub(crate) fn measure(stage: &Stage, options: &Options, file_limit: u64, door: Door) -> Self {
        let mut idle = Idle { door, bytes: BTreeMap::new() };
        for &count in options.idle_clients() {
            if count as u64 + SPARE_FILES > file_limit {
                eprintln!(
                    "{count} idle clients need a higher limit of open files than {file_limit}"
                );
                break;
            }
            for past in Past::ALL {
                idle.measure_case((count, past), stage, options);
            }
        }
        idle
    }

    fn measure_case(&mut self, case: Case, stage: &Stage, options: &Options) {
        let (count, past) = case;
        for &kind in options.contestants().iter().filter(|kind| kind.is_pooler()) {
            let contestant = Contestant::start_behind(kind, stage, self.door);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("start a runtime");
            let bytes = runtime.block_on(fill(&contestant, count, past));
            eprintln!("{count} idle clients, {}, {kind}: {bytes:.0} bytes each", past.as_str());
            self.bytes.insert((case, kind), bytes);
        }
    }

    /// The numbers as a table.
    pub(crate) fn table(&self) -> Table {
        let title = format!("idle clients{}, who", self.over_tls());
        let mut table = Table::new(&[&title, "bytes per client", "to PgBouncer"]);
        for (&(case, kind), &bytes) in &self.bytes {
            table.row(vec![
                format!("{}, {}, {kind}", case.0, case.1.as_str()),
                number(Some(bytes), 0),
                ratio(self.to_pgbouncer(case, kind)),
            ]);
        }
        table
    }

    /// The bars of memory.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let own = self.bytes.keys().filter(|(_, kind)| *kind == Kind::Pgusher);
        own.filter_map(|&(case, kind)| {
            let ratio = self.to_pgbouncer(case, kind)?;
            let (count, past) = (case.0, case.1.as_str());
            let name = format!("memory per client{}, {count} idle, {past}", self.over_tls());
            Some(Bar::new(name, ratio, MOST_IDLE_MEMORY))
        })
        .collect()
    }

    fn over_tls(&self) -> &'static str {
        if self.door == Door::TlsScram { " with TLS" } else { "" }
    }

    fn to_pgbouncer(&self, case: Case, kind: Kind) -> Option<f64> {
        Some(self.bytes.get(&(case, kind))? / self.bytes.get(&(case, Kind::Pgbouncer))?)
    }
}

/// Logs clients in, lets them ask if that is what they have done, and gives the memory that each of them took, in bytes.
async fn fill(contestant: &Contestant, count: usize, past: Past) -> f64 {
    // One has been there before: the pool exists, and what is made once is made.
    let mut first = Guest::of(contestant).await;
    first.ask().await;
    let empty = rss(contestant);
    let mut clients = Guest::crowd(contestant, count).await;
    if past == Past::Asked {
        clients = ask(clients).await;
    }
    tokio::time::sleep(REST).await;
    let full = rss(contestant);
    drop(clients);
    (full - empty) * 1024.0 / count as f64
}

/// Has every client run a query.
async fn ask(mut clients: Vec<Guest>) -> Vec<Guest> {
    let mut done = Vec::with_capacity(clients.len());
    while !clients.is_empty() {
        let some = clients.split_off(clients.len().saturating_sub(AT_ONCE));
        let queries: JoinSet<Guest> = some.into_iter().map(query).collect();
        done.extend(queries.join_all().await);
    }
    done
}

async fn query(mut client: Guest) -> Guest {
    client.ask().await;
    client
}

fn rss(contestant: &Contestant) -> f64 {
    contestant.rss_kib().expect("the pooler runs") as f64
}
