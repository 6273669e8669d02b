//! PostgreSQL, the proxy in front of it, and pgusher in front of that.

use std::path::Path;
use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, Signal, TRUSTING};

use crate::proxy::{Proxy, Weather};

/// The binary under test.
pub(crate) const PGUSHER: &str = env!("CARGO_BIN_EXE_pgusher");

/// Everything the oracle plays on.
#[derive(Debug)]
pub(crate) struct Stage {
    /// PostgreSQL.
    pub(crate) cluster: Cluster,
    /// The road to it.
    pub(crate) proxy: Proxy,
    /// The pooler.
    pub(crate) pgusher: Pgusher,
    settings: String,
}

/// A configuration for one pool; `settings` are lines of the database's section.
pub(crate) fn config(server_port: u16, settings: &str) -> String {
    // Clients change their workers, too: what counts as full is reached by everybody's machine.
    format!(
        "{TRUSTING}max_client_conn = 6000\nadmin_users = [\"admin\"]\nlog_connections = false\nlog_disconnections = false\n\
         log_level = \"debug\"\nworker_full = 5\n\
         [databases.app]\nhost = \"127.0.0.1\"\nport = {server_port}\ndbname = \"app\"\nuser = \"app\"\n{settings}\n"
    )
}

impl Stage {
    /// Sets it up.
    pub(crate) async fn set(pool_size: usize, settings: &str, weather: Weather, seed: u64) -> Self {
        let cluster = tokio::task::block_in_place(|| {
            let cluster = Cluster::builder().max_connections(200).build();
            cluster.psql("create role app login; create database app owner app");
            cluster.psql_in("app", "set role app; create unlogged table sink (n text)");
            cluster
        });
        let proxy = Proxy::start(cluster.port(), weather, seed).await;
        proxy.sessions.limit.store(pool_size, std::sync::atomic::Ordering::SeqCst);
        let text = config(proxy.port, &format!("pool_size = {pool_size}\n{settings}"));
        let pgusher = tokio::task::block_in_place(|| Pgusher::start(Path::new(PGUSHER), &text));
        Stage { cluster, proxy, pgusher, settings: settings.to_owned() }
    }

    /// Gives the pool another size.
    pub(crate) fn resize(&self, pool_size: usize) {
        let text = config(self.proxy.port, &format!("pool_size = {pool_size}\n{}", self.settings));
        self.pgusher.rewrite_config(&text);
        self.pgusher.signal(Signal::HUP);
    }

    /// Asks PostgreSQL itself, past pgusher.
    pub(crate) fn ask(&self, sql: &str) -> String {
        tokio::task::block_in_place(|| self.cluster.psql(sql))
    }

    /// The same in one of its databases.
    pub(crate) fn ask_in(&self, database: &str, sql: &str) -> String {
        tokio::task::block_in_place(|| self.cluster.psql_in(database, sql))
    }

    /// Waits until PostgreSQL's answer is `wanted`.
    pub(crate) async fn await_answer(&self, sql: &str, wanted: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.ask(sql);
            if answer == wanted {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{sql}: {answer}, not {wanted}\n{}",
                self.pgusher.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
