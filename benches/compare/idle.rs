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

/// How many log in, or ask, at the same time.
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

/// Bytes for each idle client, by number of clients and what they have done.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    bytes: BTreeMap<(Case, Kind), f64>,
}

impl Idle {
    /// Fills a fresh process of each pooler with clients, for each case, and looks at its memory.
    pub(crate) fn measure(stage: &Stage, options: &Options, file_limit: u64) -> Self {
        let mut idle = Idle::default();
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
            let contestant = Contestant::start(kind, stage);
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
        let mut table = Table::new(&["idle clients, who", "bytes per client", "to PgBouncer"]);
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
            let name = format!("memory per client, {} idle, {}", case.0, case.1.as_str());
            Some(Bar::new(name, ratio, MOST_IDLE_MEMORY))
        })
        .collect()
    }

    fn to_pgbouncer(&self, case: Case, kind: Kind) -> Option<f64> {
        Some(self.bytes.get(&(case, kind))? / self.bytes.get(&(case, Kind::Pgbouncer))?)
    }
}

/// Logs clients in, lets them ask if that is what they have done, and gives the memory that each of them took, in bytes.
async fn fill(contestant: &Contestant, count: usize, past: Past) -> f64 {
    // One has been there before: the pool exists, and what is made once is made.
    let mut first = login(contestant.port()).await;
    let _ = first.query("select 1").await;
    let empty = rss(contestant);
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let more = AT_ONCE.min(count - clients.len());
        let logins: JoinSet<RawClient> = (0..more).map(|_| login(contestant.port())).collect();
        clients.extend(logins.join_all().await);
    }
    if past == Past::Asked {
        clients = ask(clients).await;
    }
    tokio::time::sleep(REST).await;
    let full = rss(contestant);
    drop(clients);
    (full - empty) * 1024.0 / count as f64
}

/// Has every client run a query.
async fn ask(mut clients: Vec<RawClient>) -> Vec<RawClient> {
    let mut done = Vec::with_capacity(clients.len());
    while !clients.is_empty() {
        let some = clients.split_off(clients.len().saturating_sub(AT_ONCE));
        let queries: JoinSet<RawClient> = some.into_iter().map(query).collect();
        done.extend(queries.join_all().await);
    }
    done
}

async fn query(mut client: RawClient) -> RawClient {
    let _ = client.query("select 1").await;
    client
}

/// A client that has logged in.
async fn login(port: u16) -> RawClient {
    let mut client = RawClient::connect(port).await;
    client.set_time_limit(Duration::from_secs(60));
    client.startup(0, &[("user", USER), ("database", DATABASE)]).await;
    let admitted = client.authenticate(USER, "").await;
    admitted.unwrap_or_else(|error| panic!("login: {error:?}"));
    client
}

fn rss(contestant: &Contestant) -> f64 {
    contestant.rss_kib().expect("the pooler runs") as f64
}
