//! A pooler in front of a fake server, and somebody who asks for advice.

use std::time::Duration;

use pgusher_testkit::{FakeServer, Pgusher, RawClient, TRUSTING};

/// How long advice may take: a recording lasts 10 s, and more than one may be needed.
const LIMIT: Duration = Duration::from_secs(90);

/// The configuration of a pool of this size.
pub(crate) fn config(server: &FakeServer, size: usize) -> String {
    format!(
        r#"
{TRUSTING}
admin_users = ["boss"]
advise_period = "1s"
advise_windows = 4

[http]
listen = "127.0.0.1:{{http_port}}"

[databases.app]
host = "127.0.0.1"
port = {port}
user = "web"
pool_size = {size}
query_wait_timeout = "60s"
"#,
        port = server.port(),
    )
}

pub(crate) fn start(server: &FakeServer, size: usize) -> Pgusher {
    Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config(server, size))
}

/// A client of an application.
pub(crate) async fn client(pgusher: &Pgusher, application: &str) -> RawClient {
    let mut client = RawClient::connect(pgusher.port()).await;
    client.set_time_limit(LIMIT);
    let who = [("user", "web"), ("database", "app"), ("application_name", application)];
    client.startup(0, &who).await;
    client.authenticate("web", "").await.expect("let in");
    client
}

/// A row of SHOW ADVICE.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) topic: String,
    pub(crate) subject: String,
    pub(crate) size: Option<usize>,
    pub(crate) p99: Option<f64>,
    pub(crate) per_second: Option<f64>,
    pub(crate) note: String,
}

/// Somebody at the console.
pub(crate) struct Asker(RawClient);

impl Asker {
    pub(crate) async fn new(pgusher: &Pgusher) -> Self {
        Asker(RawClient::login(pgusher.port(), "pgusher", "boss", "").await)
    }

    pub(crate) async fn order(&mut self, command: &str) {
        assert_eq!(self.0.query(command).await.error, None, "{command}");
    }

    pub(crate) async fn rows(&mut self) -> Vec<Row> {
        let result = self.0.query("SHOW ADVICE app").await;
        assert_eq!(result.error, None);
        let row = |cells: &Vec<Option<String>>| {
            let cell = |name: &str| {
                let at = result.columns.iter().position(|known| known == name);
                cells[at.unwrap_or_else(|| panic!("no column {name}"))].clone()
            };
            Row {
                topic: cell("topic").unwrap_or_default(),
                subject: cell("subject").unwrap_or_default(),
                size: cell("size").map(|size| size.parse().expect("a number")),
                p99: cell("wait_p99_seconds").map(|wait| wait.parse().expect("seconds")),
                per_second: cell("per_second").map(|done| done.parse().expect("a rate")),
                note: cell("note").unwrap_or_default(),
            }
        };
        result.rows.iter().map(row).collect()
    }

    /// Asks until the rows are as they should be.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&[Row]) -> bool) -> Vec<Row> {
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let rows = self.rows().await;
            if holds(&rows) {
                return rows;
            }
            assert!(tokio::time::Instant::now() < deadline, "not {what}: {rows:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The row of a topic.
pub(crate) fn of<'a>(rows: &'a [Row], topic: &str) -> &'a Row {
    let row = rows.iter().find(|row| row.topic == topic);
    row.unwrap_or_else(|| panic!("nothing about {topic}: {rows:#?}"))
}
