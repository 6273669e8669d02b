//! Parameters follow their client from server to server and reach nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgusher_testkit::RawClient;
use tokio::task::JoinSet;

use crate::proxy::Weather;
use crate::stage::Stage;

/// Parameters that PostgreSQL reports, and values in its own words.
const REPORTED: [(&str, [&str; 3]); 5] = [
    ("DateStyle", ["ISO, DMY", "German, DMY", "SQL, MDY"]),
    ("TimeZone", ["Asia/Tokyo", "America/New_York", "Europe/Berlin"]),
    ("IntervalStyle", ["iso_8601", "sql_standard", "postgres_verbose"]),
    ("application_name", ["one", "two'\\", "three"]),
    ("client_encoding", ["LATIN1", "UTF8", "WIN1252"]),
];

/// Parameters that only a start-up packet sets for a whole session.
const UNREPORTED: [(&str, [&str; 3]); 3] = [
    ("statement_timeout", ["11s", "12s", "13s"]),
    ("search_path", ["public", "pg_catalog, public", "nowhere"]),
    ("work_mem", ["1MB", "2MB", "3MB"]),
];

type Values = BTreeMap<&'static str, String>;

/// A client and what its session must hold.
struct Tester {
    client: RawClient,
    rng: fastrand::Rng,
    now: Values,
    /// Values to return to, the outermost transaction's first.
    saved: Vec<Values>,
}

impl Tester {
    async fn login(port: u16, seed: u64, defaults: &Values) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut now = defaults.clone();
        let mut client = RawClient::connect(port).await;
        let mut params = vec![("user", "app"), ("database", "app")];
        for (name, choices) in REPORTED.iter().chain(&UNREPORTED) {
            if rng.bool() {
                let value = choices[rng.usize(..3)];
                params.push((*name, value));
                now.insert(*name, value.to_owned());
            }
        }
        client.startup(0, &params).await;
        client.authenticate("app", "").await.expect("let in");
        Tester { client, rng, now, saved: Vec::new() }
    }

    async fn run(&mut self, sql: &str) {
        let result = self.client.query(sql).await;
        assert_eq!(result.error, None, "{sql}");
    }

    async fn step(&mut self) {
        match (self.rng.u32(..8), self.saved.len()) {
            (0..3, _) => self.set().await,
            (3, 0) => {
                self.saved.push(self.now.clone());
                self.run("begin").await;
            }
            (3, 1..4) => {
                let name = format!("savepoint s{}", self.saved.len());
                self.saved.push(self.now.clone());
                self.run(&name).await;
            }
            (4, 2..) => {
                let back = format!("rollback to s{0}; release s{0}", self.saved.len() - 1);
                self.now = self.saved.pop().expect("a savepoint");
                self.run(&back).await;
            }
            (5, 1..) => self.end().await,
            _ => self.check().await,
        }
    }

    async fn set(&mut self) {
        let (name, choices) = REPORTED[self.rng.usize(..REPORTED.len())];
        let value = choices[self.rng.usize(..3)];
        self.now.insert(name, value.to_owned());
        let escaped = value.replace('\'', "''");
        self.run(&format!("set {name} = '{escaped}'")).await;
    }

    /// A transaction that ends either way, at times behind an error or with a value of its own.
    async fn end(&mut self) {
        let first = self.saved.swap_remove(0);
        self.saved.clear();
        match self.rng.u32(..4) {
            0 => {
                let failed = self.client.query("select 1/0").await;
                assert_eq!(failed.status, b'E');
                self.now = first;
                self.run("commit").await;
            }
            1 => {
                self.now = first;
                self.run("rollback").await;
            }
            2 => {
                self.run("set local TimeZone = 'Africa/Cairo'; set local DateStyle = 'SQL, DMY'")
                    .await;
                assert_eq!(self.client.param("TimeZone"), Some("Africa/Cairo"));
                self.run("commit").await;
            }
            _ => self.run("commit").await,
        }
    }

    async fn check(&mut self) {
        for (name, value) in self.now.clone() {
            let found = self.client.query(&format!("show {name}")).await;
            assert_eq!(found.value(), value, "{name}");
            if REPORTED.iter().any(|(reported, _)| *reported == name) {
                assert_eq!(self.client.param(name), Some(&*value), "{name} as reported");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_follow_their_client() {
    let stage = Stage::set(4, "", Weather::default(), 3).await;
    let mut defaults = Values::new();
    for (name, _) in REPORTED.iter().chain(&UNREPORTED) {
        let value = stage.ask_in("app", &format!("show {name}"));
        let value = if *name == "application_name" { String::new() } else { value };
        defaults.insert(*name, value);
    }
    let (defaults, port) = (Arc::new(defaults), stage.pgusher.port());
    let (until, seed) = (Instant::now() + Duration::from_secs(10), fastrand::u64(..));
    println!("seed {seed}");
    let mut testers = JoinSet::new();
    for number in 0..50 {
        let defaults = Arc::clone(&defaults);
        testers.spawn(async move {
            let (mut seed, mut steps) = (seed ^ (number << 8), 0_u64);
            while Instant::now() < until {
                let mut tester = Tester::login(port, seed, &defaults).await;
                for _ in 0..tester.rng.usize(1..60) {
                    tester.step().await;
                    steps += 1;
                }
                seed += 1;
            }
            steps
        });
    }
    let mut steps = 0;
    while let Some(ended) = testers.join_next().await {
        steps += ended.expect("what a client found was its own");
    }
    println!("{steps} steps");
}
