//! pgusher in front of a PostgreSQL of its own, with two servers unless a test says otherwise.

use std::time::Duration;

use pgusher_testkit::{Cluster, NoMessage, Pgusher, RawClient, TRUSTING};

/// Longer than anything that works can take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// PostgreSQL and pgusher.
pub(crate) struct Stage {
    pub(crate) cluster: &'static Cluster,
    pub(crate) pgusher: Pgusher,
    pub(crate) database: String,
}

impl Stage {
    /// `settings` are lines of the database's section.
    pub(crate) fn new(database: &str, settings: &str) -> Self {
        let cluster = Cluster::shared();
        cluster.create_database(database);
        let text = format!(
            "{TRUSTING}admin_users = [\"admin\"]\nlog_level = \"debug\"\n\
             [http]\nlisten = \"127.0.0.1:{{http_port}}\"\n\
             [databases.{database}]\nhost = \"127.0.0.1\"\nport = {}\n{settings}\n",
            cluster.port()
        );
        let pgusher = Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &text);
        Stage { cluster, pgusher, database: database.to_owned() }
    }

    /// A client of the test's database, through pgusher.
    pub(crate) async fn client(&self) -> RawClient {
        self.client_with(&[]).await
    }

    /// A client with start-up parameters.
    pub(crate) async fn client_with(&self, parameters: &[(&str, &str)]) -> RawClient {
        let mut client = RawClient::connect(self.pgusher.port()).await;
        client.set_time_limit(LIMIT);
        let mut all = vec![("user", "postgres"), ("database", self.database.as_str())];
        all.extend_from_slice(parameters);
        client.startup(0, &all).await;
        client.authenticate("postgres", "").await.expect("let in");
        client
    }

    /// The same database without pgusher.
    pub(crate) async fn direct(&self) -> RawClient {
        RawClient::login(self.cluster.port(), &self.database, "postgres", "").await
    }

    /// Rows of a SHOW command, values joined by `|`.
    pub(crate) async fn show(&self, what: &str) -> Vec<String> {
        let mut console = RawClient::login(self.pgusher.port(), "pgusher", "admin", "").await;
        let result = console.query(&format!("show {what}")).await;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        result.rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join("|")).collect()
    }

    /// How many clients keep their servers.
    pub(crate) async fn pins(&self) -> usize {
        self.show("pins").await.len()
    }

    /// Waits until so many clients keep their servers.
    pub(crate) async fn expect_pins(&self, count: usize) {
        let deadline = std::time::Instant::now() + LIMIT;
        loop {
            let pins = self.show("pins").await;
            if pins.len() == count {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "expected {count} pins: {pins:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One value of the metrics page; 0 when it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.pgusher.http_get("/metrics");
        let line = page.lines().find(|line| line.strip_prefix(name).is_some());
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }
}

/// The next notification: channel and payload. Other messages are not expected.
pub(crate) async fn notification(client: &mut RawClient) -> (String, String) {
    let message = client.recv().await;
    assert_eq!(message.tag, b'A', "{message:?}");
    parts(&message.body)
}

/// Channel and payload in the body of a NotificationResponse.
pub(crate) fn parts(body: &[u8]) -> (String, String) {
    let mut texts = body[4..].split(|&byte| byte == 0);
    let mut next = || String::from_utf8_lossy(texts.next().unwrap()).into_owned();
    (next(), next())
}

/// Asserts that nothing has come that was not asked for: what a query brings is its own.
pub(crate) async fn assert_silent(client: &mut RawClient) {
    client.send(&pgusher_testkit::frontend::query("select 'silent'")).await;
    let tags: Vec<u8> = client.read_ready().await.iter().map(|message| message.tag).collect();
    assert_eq!(tags, b"TDCZ", "something came unasked");
    client.set_time_limit(Duration::from_millis(300));
    let more = client.try_recv().await;
    assert!(matches!(more, Err(NoMessage::TimedOut)), "something came unasked: {more:?}");
    client.set_time_limit(LIMIT);
}
