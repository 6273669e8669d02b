//! A private PostgreSQL, a pgusher in front of it, and pgbench.

use std::process::{Command, Stdio};
use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, TRUSTING};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::binary::binary;

/// Clients of pgbench.
const CLIENTS: &str = "32";

/// The private PostgreSQL, with pgbench's tables.
pub(crate) fn cluster() -> Cluster {
    let cluster = Cluster::builder().setting("autovacuum", "off").build();
    cluster.fill("postgres", cluster.superuser(), 5);
    cluster
}

/// What clients do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Script {
    /// Queries that keep a processor busy.
    Reads,
    /// Transactions of several statements.
    Writes,
}

impl Script {
    pub(crate) const ALL: [Script; 2] = [Script::Reads, Script::Writes];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Script::Reads => "Queries that keep a processor busy",
            Script::Writes => "Transactions of five statements",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Script::Reads => {
                "\\set think random_exponential(1000, 120000, 3)\n\\sleep :think us\n\\set rows random_exponential(1, 30000, 3)\n\
                 SELECT sum(abalance) FROM pgbench_accounts WHERE aid <= :rows;\n"
            }
            Script::Writes => {
                "\\set think random_exponential(1000, 120000, 3)\n\\sleep :think us\n\\set aid random(1, 500000)\n\\set bid random(1, 5)\n\
                 BEGIN;\nUPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\n\
                 SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n\
                 UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = :bid;\nEND;\n"
            }
        }
    }
}

/// What was foretold of a size, or measured there.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) size: usize,
    /// In seconds.
    pub(crate) p99: f64,
    pub(crate) per_second: f64,
}

/// A pgusher under a script's load.
pub(crate) struct Site<'a> {
    cluster: &'a Cluster,
    pgusher: Pgusher,
}

impl<'a> Site<'a> {
    pub(crate) fn new(cluster: &'a Cluster, script: Script, size: usize) -> Self {
        let pgusher = Pgusher::builder(binary(), &config(cluster, size))
            .file("script.sql", script.text())
            .start();
        Site { cluster, pgusher }
    }

    /// Runs at today's size; gives what is foretold of all sizes.
    pub(crate) async fn forecasts(&self, time: Duration) -> Vec<Found> {
        self.run(time);
        let rows = self.advice().await;
        let words = rows.iter().filter(|row| ["verdict", "scaling"].contains(&row.topic.as_str()));
        words.for_each(|row| eprintln!("{}: {}", row.topic, row.note));
        rows.into_iter().filter(|row| row.topic == "forecast").map(|row| row.found).collect()
    }

    /// Runs at another size; gives what is measured.
    pub(crate) async fn measure(&self, size: usize, time: Duration) -> Found {
        self.pgusher.rewrite_config(&config(self.cluster, size));
        let console = self.console().await;
        console.simple_query("RELOAD").await.expect("RELOAD");
        self.run(time);
        let rows = self.advice().await;
        let measured =
            rows.into_iter().find(|row| row.topic == "measured" && row.found.size == size);
        measured.expect("something is measured").found
    }

    fn run(&self, time: Duration) {
        let (seconds, script) = (time.as_secs().to_string(), self.pgusher.dir().join("script.sql"));
        let script = script.display().to_string();
        let options = ["-n", "-c", CLIENTS, "-j", "2", "-T", &seconds, "-f", &script];
        let ended = pgbench(self.cluster, self.pgusher.port(), &options, "app");
        assert!(ended.success(), "pgbench failed; pgusher said:\n{}", self.pgusher.log());
    }

    async fn console(&self) -> Client {
        let config =
            format!("host=127.0.0.1 port={} user=boss dbname=pgusher", self.pgusher.port());
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.expect("connect");
        tokio::spawn(connection);
        client
    }

    async fn advice(&self) -> Vec<Row> {
        let answer = self.console().await.simple_query("SHOW ADVICE app").await.expect("rows");
        let rows = answer.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let number =
            |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or_default();
        let row = |row: tokio_postgres::SimpleQueryRow| Row {
            topic: row.get("topic").unwrap_or_default().to_owned(),
            note: row.get("note").unwrap_or_default().to_owned(),
            found: Found {
                size: number(row.get("size")) as usize,
                p99: number(row.get("wait_p99_seconds")),
                per_second: number(row.get("per_second")),
            },
        };
        rows.map(row).collect()
    }
}

/// A row of SHOW ADVICE.
struct Row {
    topic: String,
    note: String,
    found: Found,
}

fn config(cluster: &Cluster, size: usize) -> String {
    format!(
        "{TRUSTING}worker_threads = 1\n\
         admin_users = [\"boss\"]\nadvise_period = \"1s\"\nadvise_windows = 3\n\
         [databases.app]\nhost = \"127.0.0.1\"\nport = {}\ndbname = \"postgres\"\nuser = \"{}\"\npool_size = {size}\n",
        cluster.port(),
        cluster.superuser(),
    )
}

fn pgbench(
    cluster: &Cluster,
    port: u16,
    options: &[&str],
    database: &str,
) -> std::process::ExitStatus {
    Command::new(cluster.bin("pgbench"))
        .args(["-h", "127.0.0.1", "-U", cluster.superuser(), "-p", &port.to_string()])
        .args(options)
        .arg(database)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("run pgbench")
}
