//! What the tests stand on: a pooler in front of a database of its own, somebody at the console, and clients.

use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, QueryResult, RawClient, TRUSTING};

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A pooler in front of a database of its own, called `app`.
pub(crate) fn start(database: &str) -> (Pgusher, String) {
    let cluster = Cluster::shared();
    let pooled = cluster.pooled("app", database, "pool_size = 2");
    let other = cluster.pooled("\"other-db\"", &format!("{database}_other"), "");
    let config = format!(
        r#"
{TRUSTING}
admin_users = ["boss"]
stats_users = ["watcher"]

{pooled}{other}"#
    );
    (Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config), config)
}

pub(crate) async fn admin(pgusher: &Pgusher) -> RawClient {
    RawClient::login(pgusher.port(), "pgusher", "boss", "").await
}

pub(crate) async fn client(pgusher: &Pgusher) -> RawClient {
    RawClient::login(pgusher.port(), "app", "alice", "").await
}

/// One column of the row whose `key` column holds `of`.
pub(crate) fn cell(result: &QueryResult, key: &str, of: &str, column: &str) -> String {
    let at = |name: &str| {
        let found = result.columns.iter().position(|known| known == name);
        found.unwrap_or_else(|| panic!("no column {name} in {:?}", result.columns))
    };
    let row = result.rows.iter().find(|row| row[at(key)].as_deref() == Some(of));
    let row = row.unwrap_or_else(|| panic!("no {key} {of} in {:?}", result.rows));
    row[at(column)].clone().unwrap_or_default()
}

pub(crate) async fn app_stat(admin: &mut RawClient, column: &str) -> u64 {
    let stats = admin.query("SHOW STATS").await;
    cell(&stats, "database", "app", column).parse().expect("a number")
}

/// Asks again and again until `holds` says yes of the answer.
pub(crate) async fn until(
    admin: &mut RawClient,
    sql: &str,
    holds: impl FnMut(&QueryResult) -> bool,
) {
    admin.query_until(sql, LIMIT, holds).await;
}

/// The drop-in mode: a `pgbouncer.ini` with a database of its own, called `app`, and more lines for `[pgbouncer]`.
pub(crate) fn drop_in(database: &str, more: &str) -> Pgusher {
    let cluster = Cluster::shared();
    cluster.create_database(database);
    let ini = format!(
        "[databases]\napp = host={host} port={port} dbname={database} user={user} pool_size=2\n\
         [users]\nalice = pool_size=5\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {{port}}\nunix_socket_dir =\nauth_type = trust\n\
         auth_file = {{dir}}/userlist.txt\nadmin_users = boss\nstats_users = watcher\n\
         pool_mode = transaction\n{more}\n",
        host = cluster.host(),
        port = cluster.port(),
        user = cluster.superuser(),
    );
    Pgusher::builder(env!("CARGO_BIN_EXE_pgusher"), &ini)
        .config_name("pgbouncer.ini")
        .file("userlist.txt", "\"boss\" \"\"\n\"watcher\" \"\"\n\"alice\" \"\"\n\"eve\" \"\"\n")
        .start()
}
