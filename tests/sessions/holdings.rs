//! The other leak hunt: clients hold at random what cannot be shared, look at all of it now and then, and every server
//! is audited when it is given back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgusher_testkit::{Message, QueryResult, RawClient, frontend, wait_for};
use tokio::task::JoinSet;

use crate::stage::Stage;

/// How long the hunt lasts, in seconds.
const LENGTH: &str = "PGUSHER_HUNT_SECONDS";

const CLIENTS: u64 = 50;
/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(60);

/// What a session holds. Each kind has three names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    /// Advisory locks, and how often each was taken.
    locks: BTreeMap<u32, u32>,
    /// Statements of SQL's PREPARE.
    prepared: BTreeSet<String>,
    /// Temporary tables, and how many rows are in each.
    tables: BTreeMap<String, u32>,
    /// Cursors WITH HOLD, and how many rows were fetched.
    cursors: BTreeMap<String, u32>,
    /// Channels.
    channels: BTreeSet<String>,
}

/// A client and what its session must hold.
struct Holder {
    client: RawClient,
    rng: fastrand::Rng,
    number: u64,
    held: Held,
    /// What comes back when the transaction is rolled back, if one is open.
    before: Option<Held>,
    /// Statements of the protocol.
    named: BTreeSet<String>,
    /// Channel and payload of notifications that have come.
    heard: Vec<(String, String)>,
    told: u32,
    trail: Vec<String>,
}

impl Holder {
    async fn login(stage: &Stage, number: u64, seed: u64) -> Self {
        let mut client = stage.login(true, &[]).await;
        client.set_time_limit(Duration::from_secs(60));
        Holder {
            client,
            rng: fastrand::Rng::with_seed(seed),
            number,
            held: Held::default(),
            before: None,
            named: BTreeSet::new(),
            heard: Vec::new(),
            told: 0,
            trail: Vec::new(),
        }
    }

    async fn run(&mut self, sql: &str) -> QueryResult {
        self.trail.push(sql.to_owned());
        let extended = self.rng.bool() && !sql.contains(';');
        let bytes = if extended {
            let bind = frontend::bind("", "", &[]);
            let describe = frontend::describe(b'P', "");
            let run = [bind, describe, frontend::execute("", 0), frontend::sync()].concat();
            [frontend::parse("", sql, &[]), run].concat()
        } else {
            frontend::query(sql)
        };
        self.client.send(&bytes).await;
        self.read().await
    }

    async fn read(&mut self) -> QueryResult {
        let mut messages = Vec::new();
        loop {
            let message = self.message().await;
            let last = message.tag == b'Z';
            if message.tag == b'A' {
                self.hear(&message.body);
            } else {
                messages.push(message);
            }
            if last {
                return QueryResult::from_messages(&messages);
            }
        }
    }

    async fn message(&mut self) -> Message {
        let message = self.client.try_recv().await;
        message.unwrap_or_else(|reason| panic!("{reason:?}: {:#?}", self.trail))
    }

    fn hear(&mut self, body: &[u8]) {
        let mut texts = body[4..].split(|&byte| byte == 0);
        let mut next = || String::from_utf8_lossy(texts.next().expect("a text")).into_owned();
        self.heard.push((next(), next()));
    }

    async fn must(&mut self, sql: &str) -> QueryResult {
        let result = self.run(sql).await;
        assert_eq!(result.error, None, "{sql}\n{:#?}", self.trail);
        result
    }

    fn pick(&mut self) -> u32 {
        self.rng.u32(..3)
    }

    fn lock(&mut self) -> u32 {
        u32::try_from(self.number).expect("few clients") * 100 + self.pick()
    }

    fn name(&mut self, kind: &str) -> String {
        let n = self.pick();
        format!("{kind}{}_{n}", self.number)
    }

    async fn step(&mut self) {
        match self.rng.u32(..13) {
            0 => self.take_lock().await,
            1 => self.give_lock_back().await,
            2 => self.prepare().await,
            3 => self.table().await,
            4 | 5 => self.cursor().await,
            6 | 7 => self.channel().await,
            8 => self.protocol_statement().await,
            9 => self.transaction().await,
            10 if self.rng.u32(..3) == 0 => self.clear().await,
            _ => self.check().await,
        }
    }

    async fn take_lock(&mut self) {
        let key = self.lock();
        let sql = ["select pg_advisory_lock({})", "select 1 where pg_try_advisory_lock({})"];
        let sql = sql[self.rng.usize(..2)].replace("{}", &key.to_string());
        let taken = self.must(&sql).await;
        // The holder before this one has left, but its server may not be brought to rest yet.
        if taken.rows.is_empty() {
            return;
        }
        *self.held.locks.entry(key).or_default() += 1;
        // A session's locks are not the transaction's.
        if let Some(before) = &mut self.before {
            *before.locks.entry(key).or_default() += 1;
        }
    }

    async fn give_lock_back(&mut self) {
        let key = self.lock();
        let given = self.must(&format!("select pg_advisory_unlock({key})")).await;
        let expected = if self.held.locks.contains_key(&key) { "t" } else { "f" };
        assert_eq!(given.value(), expected, "{:#?}", self.trail);
        let sides = std::iter::once(&mut self.held).chain(&mut self.before);
        for locks in sides.map(|held| &mut held.locks) {
            locks.entry(key).and_modify(|count| *count -= 1);
            locks.retain(|_, count| *count > 0);
        }
    }

    async fn prepare(&mut self) {
        let name = self.name("q");
        let known = self.held.prepared.contains(&name);
        let sql = if known {
            format!("deallocate {name}")
        } else {
            format!("prepare {name} as select '{name}'")
        };
        self.must(&sql).await;
        for held in std::iter::once(&mut self.held).chain(&mut self.before) {
            if known {
                held.prepared.remove(&name);
            } else {
                held.prepared.insert(name.clone());
            }
        }
    }

    async fn table(&mut self) {
        let name = self.name("t");
        match self.held.tables.get_mut(&name) {
            None => {
                self.must(&format!("create temp table {name} as select 1 as a")).await;
                self.held.tables.insert(name, 1);
            }
            Some(rows) if *rows < 3 => {
                *rows += 1;
                self.must(&format!("insert into {name} values (2)")).await;
            }
            Some(_) => {
                self.must(&format!("drop table {name}")).await;
                self.held.tables.remove(&name);
            }
        }
    }

    async fn cursor(&mut self) {
        let name = self.name("c");
        match self.held.cursors.get_mut(&name) {
            None => {
                let query = format!("select '{name} ' || g from generate_series(1, 9) g");
                self.must(&format!("declare {name} cursor with hold for {query}")).await;
                self.held.cursors.insert(name, 0);
            }
            Some(at) if *at < 3 => {
                *at += 1;
                let expected = format!("{name} {at}");
                let row = self.must(&format!("fetch {name}")).await;
                assert_eq!(row.value(), expected, "{:#?}", self.trail);
                // A position is not taken back.
                let before = self.before.as_mut().and_then(|held| held.cursors.get_mut(&name));
                before.into_iter().for_each(|at| *at += 1);
            }
            Some(_) => {
                self.must(&format!("close {name}")).await;
                self.held.cursors.remove(&name);
                // Closing is not, either.
                if let Some(before) = &mut self.before {
                    before.cursors.remove(&name);
                }
            }
        }
    }

    async fn channel(&mut self) {
        let name = self.name("n");
        if self.held.channels.remove(&name) {
            self.must(&format!("unlisten {name}")).await;
        } else {
            self.must(&format!("listen {name}")).await;
            self.held.channels.insert(name);
        }
    }

    async fn protocol_statement(&mut self) {
        let name = self.name("p");
        if self.named.remove(&name) {
            self.client.send(&[frontend::close(b'S', &name), frontend::sync()].concat()).await;
        } else {
            let parse = frontend::parse(&name, &format!("select '{name}'"), &[]);
            self.client.send(&[parse, frontend::sync()].concat()).await;
            self.named.insert(name);
        }
        assert_eq!(self.read().await.error, None);
    }

    async fn transaction(&mut self) {
        match self.before.take() {
            None => {
                self.must("begin").await;
                self.before = Some(self.held.clone());
            }
            Some(_) if self.rng.bool() => drop(self.must("commit").await),
            Some(before) => {
                self.must("rollback").await;
                self.held = before;
            }
        }
    }

    async fn clear(&mut self) {
        if self.before.is_some() {
            return;
        }
        let all = [
            "discard all",
            "select pg_advisory_unlock_all(); close all; unlisten *; reset all; deallocate all; discard temp",
        ];
        let sql = all[self.rng.usize(..2)];
        self.must(sql).await;
        self.held = Held::default();
        self.named.clear();
    }

    /// Looks at everything that the session holds, and at nothing else being there.
    async fn check(&mut self) {
        let names = |texts: &mut dyn Iterator<Item = String>| texts.collect::<Vec<_>>().join(",");
        for (sql, expected) in [
            (
                "select string_agg(objid::text, ',' order by objid) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
                names(&mut self.held.locks.keys().map(u32::to_string)),
            ),
            (
                "select string_agg(name, ',' order by name collate \"C\") from pg_prepared_statements where from_sql",
                names(&mut self.held.prepared.iter().cloned()),
            ),
            (
                "select string_agg(relname, ',' order by relname collate \"C\") from pg_class where relkind = 'r' and relnamespace = pg_my_temp_schema()",
                names(&mut self.held.tables.keys().cloned()),
            ),
            (
                "select string_agg(name, ',' order by name collate \"C\") from pg_cursors where is_holdable",
                names(&mut self.held.cursors.keys().cloned()),
            ),
        ] {
            let found = self.must(sql).await;
            let found = found.rows[0][0].clone().unwrap_or_default();
            assert_eq!(found, expected, "{sql}\n{:#?}", self.trail);
        }
        for (name, rows) in self.held.tables.clone() {
            let found = self.must(&format!("select count(*) from {name}")).await;
            assert_eq!(found.value(), rows.to_string(), "{:#?}", self.trail);
        }
        for name in self.named.clone() {
            let run = [frontend::bind("", &name, &[]), frontend::execute("", 0), frontend::sync()];
            self.client.send(&run.concat()).await;
            assert_eq!(self.read().await.value(), name);
        }
        if self.before.is_none() {
            self.check_channels().await;
        }
    }

    /// Tells all of its channels something: what it listens to must come, and nothing else.
    async fn check_channels(&mut self) {
        if self.held.channels.is_empty() {
            return;
        }
        self.told += 1;
        let all: Vec<_> = (0..3).map(|n| format!("n{}_{n}", self.number)).collect();
        let told = self.told.to_string();
        let calls: Vec<_> =
            all.iter().map(|name| format!("pg_notify('{name}', '{told}')")).collect();
        self.must(&format!("select {}", calls.join(", "))).await;
        let expected: Vec<_> =
            self.held.channels.iter().map(|n| (n.clone(), told.clone())).collect();
        while self.heard.len() < expected.len() {
            let message = self.message().await;
            assert_eq!(message.tag, b'A', "{message:?}");
            self.hear(&message.body);
        }
        assert_eq!(std::mem::take(&mut self.heard), expected, "{:#?}", self.trail);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_is_ones_own() {
    let settings = "pool_size = 10\naudit_sample = 1\nquery_wait_timeout = \"off\"\nquery_wait_notify = \"off\"";
    let stage = tokio::task::block_in_place(|| Arc::new(Stage::set(settings)));
    let seconds = std::env::var(LENGTH).ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let (until, seed) = (Instant::now() + Duration::from_secs(seconds), fastrand::u64(..));
    println!("seed {seed}");
    let mut holders = JoinSet::new();
    for number in 1..=CLIENTS {
        let stage = Arc::clone(&stage);
        holders.spawn(async move {
            let (mut seed, mut steps) = (seed ^ (number << 8), 0_u64);
            while Instant::now() < until {
                let mut holder = Holder::login(&stage, number, seed).await;
                for _ in 0..holder.rng.usize(1..25) {
                    holder.step().await;
                    steps += 1;
                }
                seed += 1;
            }
            steps
        });
    }
    let mut steps = 0;
    while let Some(ended) = holders.join_next().await {
        steps += ended.expect("what a client found was its own");
    }
    println!("{steps} steps");
    assert!(steps > 500, "only {steps} steps");
    // What the last ones held is given back behind them, and so is what is found out about it.
    let locks = || {
        let count = "select count(*) from pg_locks where locktype = 'advisory'";
        tokio::task::block_in_place(|| stage.cluster.psql(count))
    };
    assert!(wait_for(LIMIT, || locks().trim() == "0").await, "{} locks are left", locks());
    let mut console = RawClient::login(stage.pgusher.port(), "pgusher", "admin", "").await;
    let audit = console.query("show audit").await;
    let leaks: Vec<_> =
        audit.rows.iter().filter(|row| format!("{row:?}").contains("leak")).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
}
