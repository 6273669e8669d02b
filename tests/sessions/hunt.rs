//! The leak hunt: many clients change their sessions at random on few servers, and look at all of it now and then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgusher_testkit::{QueryResult, RawClient};
use tokio::task::JoinSet;

use crate::stage::{ROLES, Stage};

/// Parameters, each with values as PostgreSQL shows them.
const PARAMETERS: [(&str, [&str; 3]); 11] = [
    ("statement_timeout", ["11s", "12s", "13s"]),
    ("lock_timeout", ["21s", "22s", "23s"]),
    ("search_path", ["one, public", "two", "three, one"]),
    ("work_mem", ["1MB", "2MB", "3MB"]),
    ("jit", ["on", "off", "on"]),
    ("default_transaction_isolation", ["serializable", "repeatable read", "read committed"]),
    ("my.var", ["a", "it's", "\u{e9}\\"]),
    ("TimeZone", ["Asia/Tokyo", "America/New_York", "Europe/Berlin"]),
    ("DateStyle", ["ISO, DMY", "German, DMY", "SQL, MDY"]),
    ("application_name", ["one", "two", "three"]),
    ("IntervalStyle", ["iso_8601", "sql_standard", "postgres_verbose"]),
];

/// How long the hunt lasts, in seconds.
const LENGTH: &str = "PGUSHER_HUNT_SECONDS";

type Values = BTreeMap<&'static str, String>;

/// What a session has: its parameters, `role` among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    now: Values,
    /// The transaction's beginning and its savepoints.
    saved: Vec<Values>,
    /// `SET LOCAL`, on top of it, and what they were at the savepoints.
    local: Values,
    saved_local: Vec<Values>,
}

impl Model {
    fn save(&mut self) {
        self.saved.push(self.now.clone());
        self.saved_local.push(self.local.clone());
    }

    /// Back to where the transaction began, or to a savepoint.
    fn back_to(&mut self, at: usize) {
        self.now = self.saved[at].clone();
        self.local = self.saved_local[at].clone();
        self.saved.truncate(at + 1);
        self.saved_local.truncate(at + 1);
    }

    fn end(&mut self) {
        self.saved.clear();
        self.saved_local.clear();
        self.local.clear();
    }
}

/// A client and what its session must have.
struct Hunter {
    client: RawClient,
    rng: fastrand::Rng,
    start: Values,
    model: Model,
    /// What it did since it came.
    trail: Vec<String>,
}

impl Hunter {
    async fn login(stage: &Stage, defaults: &Values, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut start = defaults.clone();
        let mut params = Vec::new();
        for (name, values) in PARAMETERS.iter().filter(|(name, _)| *name != "my.var") {
            if rng.u32(..4) == 0 {
                let value = values[rng.usize(..3)];
                params.push((*name, value));
                start.insert(*name, value.to_owned());
            }
        }
        let client = stage.login(true, &params).await;
        let model = Model { now: start.clone(), ..Model::default() };
        Hunter { client, rng, start, model, trail: vec![format!("{params:?}")] }
    }

    async fn run(&mut self, sql: &str) -> QueryResult {
        self.trail.push(sql.to_owned());
        if self.rng.bool() || sql.contains(';') {
            return self.client.query(sql).await;
        }
        self.client.query_extended(sql, &[]).await
    }

    async fn must(&mut self, sql: &str) {
        let result = self.run(sql).await;
        assert!(result.error.is_none(), "{sql}: {result:?}\n{:#?}", self.trail);
    }

    fn pick(&mut self) -> (&'static str, &'static str) {
        let (name, values) = PARAMETERS[self.rng.usize(..PARAMETERS.len())];
        (name, values[self.rng.usize(..3)])
    }

    /// A statement that sets a parameter, in one of many ways.
    fn assignment(&mut self) -> (&'static str, String, String) {
        let (name, value) = self.pick();
        let quoted = value.replace('\'', "''");
        let sql = match (self.rng.u32(..5), name) {
            (0, _) => format!("SELECT set_config('{name}', '{quoted}', false)"),
            (1, _) => {
                format!("SELECT length(set_config('{name}', '{quoted}', false)) FROM public.t")
            }
            (2, "TimeZone") => format!("SET TIME ZONE '{quoted}'"),
            (_, "search_path" | "DateStyle") => format!("/* a */ SET {name} = {value}"),
            (3, _) => format!("SET SESSION {name} TO '{quoted}' -- ;"),
            _ => format!("set {name} = '{quoted}'"),
        };
        (name, value.to_owned(), sql)
    }

    fn set(&mut self, name: &'static str, value: String) {
        self.model.local.remove(name);
        self.model.now.insert(name, value);
    }

    async fn step(&mut self) {
        let open = !self.model.saved.is_empty();
        match self.rng.u32(..16) {
            0..5 => {
                let (name, value, sql) = self.assignment();
                self.must(&sql).await;
                self.set(name, value);
            }
            5 => {
                let role = ["none", ROLES[0], ROLES[1]][self.rng.usize(..3)];
                self.must(&format!("SET ROLE {role}")).await;
                self.set("role", role.to_owned());
            }
            6 => self.reset().await,
            7 => self.in_one_string().await,
            8 if !open => {
                let all = ["DISCARD ALL", "SET SESSION AUTHORIZATION DEFAULT; RESET ALL"];
                let sql = all[self.rng.usize(..2)];
                self.must(sql).await;
                self.model.now = self.start.clone();
            }
            8..11 if !open => {
                self.must("BEGIN").await;
                self.model.save();
            }
            8 => {
                let name = format!("SAVEPOINT s{}", self.model.saved.len());
                self.must(&name).await;
                self.model.save();
            }
            9 => self.roll_back().await,
            10 => self.local().await,
            11 if open => {
                self.must("COMMIT").await;
                self.model.end();
            }
            12 => self.fail().await,
            _ => self.check().await,
        }
    }

    async fn reset(&mut self) {
        if self.rng.u32(..4) == 0 {
            self.must("RESET ALL").await;
            let role = self.model.now["role"].clone();
            self.model.now = self.start.clone();
            self.model.now.insert("role", role);
            self.model.local.clear();
            return;
        }
        let (name, _) = self.pick();
        self.must(&format!("RESET {name}")).await;
        let start = self.start[name].clone();
        self.set(name, start);
    }

    /// Several statements in one string: one transaction, or the end of one and another.
    async fn in_one_string(&mut self) {
        let (one, two) = (self.assignment(), self.assignment());
        let fails = self.rng.bool();
        let last = if fails { "SELECT 1/0" } else { "SELECT ';'" };
        let result = self.run(&format!("{}\n; {}\n; {last}", one.2, two.2)).await;
        assert_eq!(result.error.is_some(), fails, "{result:?}");
        if !fails {
            self.set(one.0, one.1);
            self.set(two.0, two.1);
        } else if !self.model.saved.is_empty() {
            self.recover().await;
        }
    }

    /// Something fails.
    async fn fail(&mut self) {
        let (name, _) = self.pick();
        let sql = [
            "SELECT 1/0".to_owned(),
            format!("SET {name} = nonsense.x"),
            "SET ROLE nobody".to_owned(),
        ];
        let choice = self.rng.usize(..3);
        let result = self.run(&sql[choice]).await;
        assert!(result.error.is_some(), "{result:?}");
        if !self.model.saved.is_empty() {
            self.recover().await;
        }
    }

    /// Out of a failed transaction.
    async fn recover(&mut self) {
        match self.rng.u32(..3) {
            0 => {
                self.must("COMMIT").await;
                self.model.back_to(0);
                self.model.end();
            }
            _ => self.roll_back().await,
        }
    }

    async fn roll_back(&mut self) {
        let depth = self.model.saved.len();
        if depth > 1 && self.rng.bool() {
            let at = self.rng.usize(1..depth);
            self.must(&format!("ROLLBACK TO SAVEPOINT s{at}")).await;
            self.model.back_to(at);
        } else if depth > 0 {
            self.must("ROLLBACK").await;
            self.model.back_to(0);
            self.model.end();
        }
    }

    async fn local(&mut self) {
        if self.model.saved.is_empty() {
            return self.check().await;
        }
        let (name, value) = self.pick();
        let quoted = value.replace('\'', "''");
        self.must(&format!("SELECT set_config('{name}', '{quoted}', true)")).await;
        self.model.local.insert(name, value.to_owned());
    }

    /// Looks at the whole session.
    async fn check(&mut self) {
        let names: Vec<_> = self.model.now.keys().copied().collect();
        let items: Vec<_> =
            names.iter().map(|name| format!("current_setting('{name}', true)")).collect();
        let sql = format!("SELECT {}", items.join(","));
        let found = self.run(&sql).await;
        assert!(found.error.is_none(), "{found:?}\n{:#?}", self.trail);
        for (name, found) in names.iter().zip(&found.rows[0]) {
            let found = found.clone().unwrap_or_default();
            let expected = self.model.local.get(name).unwrap_or(&self.model.now[name]);
            assert_eq!(&found, expected, "{name}\n{:#?}", self.trail);
            if let Some(reported) = self.client.param(name) {
                assert_eq!(reported, expected, "{name} as reported\n{:#?}", self.trail);
            }
        }
        self.check_sources().await;
    }

    /// Nothing is set that this client has not set.
    async fn check_sources(&mut self) {
        let sql = "SELECT name FROM pg_catalog.pg_settings WHERE source = 'session'";
        let found = self.run(sql).await;
        for row in found.rows {
            let name = row[0].clone().expect("a name");
            let known = PARAMETERS.iter().any(|(known, _)| *known == name);
            let changed = known || ["client_encoding", "session_authorization"].contains(&&*name);
            assert!(changed, "{name} is somebody else's\n{:#?}", self.trail);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_found() {
    let stage = tokio::task::block_in_place(|| Arc::new(Stage::set("pool_size = 4")));
    let mut defaults = Values::new();
    let mut direct = stage.login(false, &[]).await;
    for (name, _) in PARAMETERS {
        let found = direct.query(&format!("SELECT current_setting('{name}', true)")).await;
        defaults.insert(name, found.rows[0][0].clone().unwrap_or_default());
    }
    defaults.insert("role", "none".to_owned());
    let seconds = std::env::var(LENGTH).ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let (until, seed) = (Instant::now() + Duration::from_secs(seconds), fastrand::u64(..));
    println!("seed {seed}");
    let mut hunters = JoinSet::new();
    let defaults = Arc::new(defaults);
    for number in 0..50_u64 {
        let (stage, defaults) = (Arc::clone(&stage), Arc::clone(&defaults));
        hunters.spawn(async move {
            let (mut seed, mut steps) = (seed ^ (number << 8), 0_u64);
            while Instant::now() < until {
                let mut hunter = Hunter::login(&stage, &defaults, seed).await;
                for _ in 0..hunter.rng.usize(1..80) {
                    hunter.step().await;
                    steps += 1;
                }
                seed += 1;
            }
            steps
        });
    }
    let mut steps = 0;
    while let Some(ended) = hunters.join_next().await {
        steps += ended.expect("what a client found was its own");
    }
    println!("{steps} steps");
    assert!(steps > 1_000, "only {steps} steps");
}
