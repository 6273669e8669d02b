//! What most tests stand on: a pgusher in front of the shared PostgreSQL, with a database of the test's own.

use std::time::Duration;

use pgusher_testkit::{
    Cluster, FakeConn, FakeServer, Pgusher, PgusherBuilder, RawClient, TRUSTING, wait_for,
};

/// Longer than anything that works can take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_pgusher");

/// A pgusher that trusts everybody on 127.0.0.1.
pub(crate) fn trusting(process: &str, sections: &str) -> PgusherBuilder {
    Pgusher::builder(BINARY, &trusting_config(process, sections))
}

/// The configuration of [`trusting`].
pub(crate) fn trusting_config(process: &str, sections: &str) -> String {
    format!("{TRUSTING}log_level = \"debug\"\n{process}\n{sections}\n")
}

/// The section of a database on the given port of 127.0.0.1.
pub(crate) fn database(name: &str, port: u16, settings: &str) -> String {
    format!("[databases.{name}]\nhost = \"127.0.0.1\"\nport = {port}\n{settings}\n")
}

/// A pgusher with one database on a fake server.
pub(crate) fn before_fake(server: &FakeServer, settings: &str) -> Pgusher {
    trusting("", &database("app", server.port(), settings)).start()
}

/// A pgusher with one database on the shared cluster.
pub(crate) struct Stage {
    pub(crate) cluster: &'static Cluster,
    pub(crate) pgusher: Pgusher,
    pub(crate) database: String,
}

impl Stage {
    /// `settings` are lines of the database's section.
    pub(crate) fn new(database: &str, settings: &str) -> Self {
        Self::with(database, "", settings, "")
    }

    /// `process` are lines of `[pgusher]`, `more` are further sections.
    pub(crate) fn with(name: &str, process: &str, settings: &str, more: &str) -> Self {
        let cluster = Cluster::shared();
        cluster.create_database(name);
        let sections = format!("{}{more}", database(name, cluster.port(), settings));
        let pgusher = trusting(process, &sections).start();
        Stage { cluster, pgusher, database: name.to_owned() }
    }

    /// A client of the test's database.
    pub(crate) async fn client(&self) -> RawClient {
        login(&self.pgusher, &self.database).await
    }

    /// Watches the servers of the test's database.
    pub(crate) async fn eye(&self) -> Eye {
        Eye::new(self.cluster, &format!("datname = '{}'", self.database)).await
    }
}

/// A client of pgusher, as PostgreSQL's superuser, with patience for a busy machine.
pub(crate) async fn login(pgusher: &Pgusher, database: &str) -> RawClient {
    login_as(pgusher, database, "postgres").await
}

/// [`login`] as somebody else.
pub(crate) async fn login_as(pgusher: &Pgusher, database: &str, user: &str) -> RawClient {
    let mut client = RawClient::login(pgusher.port(), database, user, "").await;
    client.set_time_limit(LIMIT);
    client
}

/// The process id of the server behind a client.
pub(crate) async fn backend_pid(client: &mut RawClient) -> String {
    client.query("select pg_backend_pid()").await.value().to_owned()
}

/// Looks at `pg_stat_activity` over a connection of its own.
pub(crate) struct Eye {
    client: RawClient,
    sql: String,
}

impl Eye {
    /// Sees the backends for which the condition holds.
    pub(crate) async fn new(cluster: &Cluster, condition: &str) -> Self {
        let mut client = RawClient::login(cluster.port(), "postgres", "postgres", "").await;
        client.set_time_limit(LIMIT);
        let sql = format!(
            "select count(*) from pg_stat_activity where backend_type = 'client backend' and {condition}"
        );
        Eye { client, sql }
    }

    /// How many there are.
    pub(crate) async fn count(&mut self) -> usize {
        self.client.query(&self.sql).await.value().parse().unwrap()
    }

    /// Waits until there are so many.
    pub(crate) async fn expect(&mut self, count: usize) {
        let mut seen = self.count().await;
        let deadline = std::time::Instant::now() + LIMIT;
        while seen != count {
            assert!(std::time::Instant::now() < deadline, "{seen} servers, expected {count}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            seen = self.count().await;
        }
    }

    /// Looks until `stop` is over; gives the largest number seen.
    pub(crate) async fn most_until(&mut self, stop: impl Future<Output = ()>) -> usize {
        let mut stop = std::pin::pin!(stop);
        let mut most = 0;
        loop {
            most = most.max(self.count().await);
            let pause = tokio::time::timeout(Duration::from_millis(2), &mut stop).await;
            if pause.is_ok() {
                return most;
            }
        }
    }
}

/// Waits for a condition; panics with `what` when it does not come.
pub(crate) async fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_for(LIMIT, condition).await, "did not happen: {what}");
}

/// A fake server's answer to simple queries, once the client is in: one row with the query's text.
pub(crate) async fn answer_queries(mut conn: FakeConn) {
    let pid = 5000 + u32::try_from(conn.index()).unwrap();
    conn.login_trust(
        &[("server_version", "16.0"), ("client_encoding", "UTF8")],
        pid,
        &[1, 2, 3, 4],
    )
    .await;
    while let Some(message) = conn.recv().await {
        if message.tag == b'Q' {
            conn.rows(&["query"], &[&[message.texts().first().map(String::as_str)]]).await;
            conn.ready(b'I').await;
        }
    }
}
