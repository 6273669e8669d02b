//! What there is to see: a pool of one server, somebody who holds it, and somebody who waits.

use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, RawClient};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A pooler in front of a database of its own, called `app`; `more` is the rest of its configuration.
pub(crate) fn start(database: &str, more: &str) -> Pgusher {
    let cluster = Cluster::shared();
    cluster.create_database(database);
    let config = format!(
        r#"
[pgusher]
listen_addr = "127.0.0.1"
listen_port = {{port}}
auth_file = "{{dir}}/userlist.txt"
admin_users = ["boss"]
stats_users = ["watcher"]

[databases.app]
host = "{host}"
port = {port}
dbname = "{database}"
user = "{user}"
pool_size = 1
# A jam lasts for as long as a test looks at it.
query_wait_timeout = "10m"

{more}
"#,
        host = cluster.host(),
        port = cluster.port(),
        user = cluster.superuser(),
    );
    let users = ["boss", "watcher", "alice", "bob"];
    let users = users.map(|name| format!("\"{name}\" \"{name}-word\"\n"));
    Pgusher::builder(env!("CARGO_BIN_EXE_pgusher"), &config)
        .file("userlist.txt", &users.concat())
        .start()
}

/// Somebody idle in a transaction, and somebody who waits for the server meanwhile.
pub(crate) struct Jam {
    holder: RawClient,
    waiter: RawClient,
}

impl Jam {
    pub(crate) async fn make(pgusher: &Pgusher) -> Self {
        let mut holder = RawClient::login(pgusher.port(), "app", "alice", "alice-word").await;
        let mut waiter = RawClient::login(pgusher.port(), "app", "bob", "bob-word").await;
        for sql in ["set application_name = 'billing'", "begin", "select 'secret' as thing"] {
            assert_eq!(holder.query(sql).await.error, None);
        }
        waiter.send(b"Q\0\0\0\x0dselect 1\0").await;
        let mut console = RawClient::login(pgusher.port(), "pgusher", "boss", "boss-word").await;
        console.query_until("SHOW WAITERS", LIMIT, |all| !all.rows.is_empty()).await;
        Jam { holder, waiter }
    }

    /// Gives the server to the one who waits.
    pub(crate) async fn solve(mut self) {
        assert_eq!(self.holder.query("commit").await.error, None);
        assert_eq!(self.waiter.read_result().await.error, None);
    }
}
