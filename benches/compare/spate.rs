//! Memory when a thousand clients have each fetched a row of ten megabytes, and do nothing again.

use crate::contestant::{Contestant, Door};
use crate::guest::Guest;
use crate::pure::bars::{Bar, MOST_MEMORY_LEFT};
use crate::pure::options::{Kind, Options};
use crate::pure::table::{Table, number};
use crate::stage::Stage;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How many clients there are.
const CLIENTS: usize = 1_000;

/// How many ask at the same time.
const AT_ONCE: usize = 50;

/// A row of ten megabytes.
const ROW: &str = "select repeat('x', 10 * 1024 * 1024)";

/// How long clients do nothing before the memory is looked at.
const REST: Duration = Duration::from_secs(5);

/// And how long it may take to go back.
const PATIENCE: Duration = Duration::from_secs(30);

/// Resident memory in MiB.
#[derive(Debug, Clone, Copy)]
struct Levels {
    before: f64,
    highest: f64,
    after: f64,
}

/// The memory of each pooler.
#[derive(Debug)]
pub(crate) struct Spate {
    levels: Vec<(Kind, Levels)>,
}

impl Spate {
    /// Measures each pooler once.
    pub(crate) fn measure(stage: &Stage, options: &Options) -> Self {
        let poolers = options.contestants().iter().filter(|kind| kind.is_pooler());
        let measure = |&kind: &Kind| {
            let contestant = Contestant::start_behind(kind, stage, Door::Trust);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let levels = runtime.expect("start a runtime").block_on(watch(&contestant));
            eprintln!("{CLIENTS} rows of 10 MB, {kind}: {levels:?}");
            (kind, levels)
        };
        Spate { levels: poolers.map(measure).collect() }
    }

    /// The numbers as a table.
    pub(crate) fn table(&self) -> Table {
        let mut table =
            Table::new(&["MiB resident, 1,000 clients", "before", "highest", "after", "of before"]);
        for (kind, levels) in &self.levels {
            table.row(vec![
                kind.to_string(),
                number(Some(levels.before), 1),
                number(Some(levels.highest), 1),
                number(Some(levels.after), 1),
                format!("{:.2}×", levels.after / levels.before),
            ]);
        }
        table
    }

    /// The bar of what is left; it is no ratio to PgBouncer.
    pub(crate) fn bars(&self) -> Vec<Bar> {
        let own = self.levels.iter().filter(|(kind, _)| *kind == Kind::Pgusher);
        own.map(|(_, levels)| {
            let name = "memory behind 1,000 rows of 10 MB, to before".to_owned();
            Bar::new(name, levels.after / levels.before, MOST_MEMORY_LEFT)
        })
        .collect()
    }
}

async fn watch(contestant: &Contestant) -> Levels {
    let (mut clients, mut rested) = (Vec::with_capacity(CLIENTS), Vec::with_capacity(CLIENTS));
    for _ in 0..CLIENTS {
        let mut client = Guest::of(contestant).await;
        client.ask().await;
        clients.push(client);
    }
    tokio::time::sleep(REST).await;
    let before = resident(contestant);
    let mut highest = before;
    while !clients.is_empty() {
        let some = clients.split_off(clients.len().saturating_sub(AT_ONCE));
        let mut fetching: JoinSet<Guest> = some.into_iter().map(fetch).collect();
        while let Some(client) = fetching.join_next().await {
            rested.push(client.expect("no panic"));
            highest = highest.max(resident(contestant));
        }
    }
    let began = Instant::now();
    let mut after = resident(contestant);
    while began.elapsed() < PATIENCE && after > before * MOST_MEMORY_LEFT {
        tokio::time::sleep(Duration::from_secs(1)).await;
        after = resident(contestant);
    }
    Levels { before, highest, after }
}

async fn fetch(mut client: Guest) -> Guest {
    client.run(ROW).await;
    client
}

fn resident(contestant: &Contestant) -> f64 {
    contestant.rss_kib().expect("the pooler runs") as f64 / 1024.0
}
