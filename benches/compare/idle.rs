//! Memory of clients that are connected and do nothing.

use crate::contestant::Contestant;
use crate::pure::bars::{Bar, MOST_IDLE_MEMORY};
use crate::pure::options::{Kind, Options};
use crate::pure::table::{Table, number, ratio};
use crate::stage::{DATABASE, Stage, USER};
use pgusher_testkit::RawClient;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// How many log in at the same time.
const AT_ONCE: usize = 50;

/// Files that this process needs beside its clients.
const SPARE_FILES: u64 = 200;

/// Bytes for each idle client, by number of clients.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    bytes: BTreeMap<(usize, Kind), f64>,
}

impl Idle {
    /// Fills a fresh process of each pooler with clients, and looks at its memory on the way.
    pub(crate) fn measure(stage: &Stage, options: &Options, file_limit: u64) -> Self {
        let mut idle = Idle::default();
        for &kind in options.contestants().iter().filter(|kind| kind.is_pooler()) {
            let contestant = Contestant::start(kind, stage);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("start a runtime");
            let steps = runtime.block_on(fill(&contestant, options.idle_clients(), file_limit));
            for (count, bytes) in steps {
                eprintln!("{count} idle clients, {kind}: {bytes:.0} bytes each");
                idle.bytes.insert((count, kind), bytes);
            }
        }
        idle
    }

    /// The numbers as a table.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&["idle clients, who", "bytes per client", "to PgBouncer"]);
        for (&(count, kind), &bytes) in &self.bytes {
            table.row(vec![
                format!("{count}, {kind}"),
                number(Some(bytes), 0),
                ratio(self.to_pgbouncer(count, kind)),
            ]);
        }
        table
    }

    /// The bars of memory.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let own = self.bytes.keys().filter(|(_, kind)| *kind == Kind::Pgusher);
        own.filter_map(|&(count, kind)| {
            let ratio = self.to_pgbouncer(count, kind)?;
            Some(Bar::new(format!("memory per client, {count} idle"), ratio, MOST_IDLE_MEMORY))
        })
        .collect()
    }

    fn to_pgbouncer(&self, count: usize, kind: Kind) -> Option<f64> {
        Some(self.bytes.get(&(count, kind))? / self.bytes.get(&(count, Kind::Pgbouncer))?)
    }
}

/// Logs clients in up to each of the counts; gives the bytes of memory that each of them took.
async fn fill(contestant: &Contestant, counts: &[usize], file_limit: u64) -> Vec<(usize, f64)> {
    // One has been there before: the pool exists, and what is made once is made.
    let mut clients = vec![login(contestant.port()).await];
    let empty = rss(contestant);
    let mut steps = Vec::new();
    for &count in counts {
        if count as u64 + SPARE_FILES > file_limit {
            eprintln!("{count} idle clients need a higher limit of open files than {file_limit}");
            break;
        }
        while clients.len() <= count {
            let more = AT_ONCE.min(count + 1 - clients.len());
            let logins: JoinSet<RawClient> = (0..more).map(|_| login(contestant.port())).collect();
            clients.extend(logins.join_all().await);
        }
        steps.push((count, (rss(contestant) - empty) * 1024.0 / count as f64));
    }
    steps
}

/// A client that has logged in and asked once.
async fn login(port: u16) -> RawClient {
    let mut client = RawClient::connect(port).await;
    client.set_time_limit(Duration::from_secs(60));
    client.startup(0, &[("user", USER), ("database", DATABASE)]).await;
    let admitted = client.authenticate(USER, "").await;
    admitted.unwrap_or_else(|error| panic!("login: {error:?}"));
    let _ = client.query("select 1").await;
    client
}

fn rss(contestant: &Contestant) -> f64 {
    contestant.rss_kib().expect("the pooler runs") as f64
}
