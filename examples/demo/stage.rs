//! The private PostgreSQL and the pgusher in front of it.

use pgusher_testkit::{Cluster, Pgusher};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;

/// pgbench's scale: a million accounts.
const SCALE: u32 = 10;

/// PostgreSQL's own default.
pub(crate) const MAX_CONNECTIONS: u32 = 100;

/// Servers of pgusher's pool.
pub(crate) const POOL_SIZE: u32 = 20;

/// The database of the demo.
pub(crate) const DATABASE: &str = "demo";

/// The user of the demo's clients, who is no superuser.
pub(crate) const USER: &str = "demo";

/// Who may give orders on the console.
const ADMIN: &str = "admin";

/// A private PostgreSQL with pgbench's tables, which stops and goes when this is dropped.
pub(crate) fn build_cluster() -> Cluster {
    let cluster = Cluster::builder().max_connections(MAX_CONNECTIONS).build();
    cluster.psql(&format!("create role {USER} login"));
    cluster.psql(&format!("create database {DATABASE} owner {USER}"));
    cluster.fill(DATABASE, USER, SCALE);
    cluster
}

/// A pgusher in front of it, which stops when this is dropped.
pub(crate) fn start_pgusher(binary: &Path, cluster: &Cluster, clients: u32) -> Pgusher {
    let config = format!(
        r#"# Everything is on loopback, and everybody is trusted.
[pgusher]
listen_addr = "127.0.0.1"
listen_port = {{port}}
auth_type = "trust"
admin_users = ["{ADMIN}"]
max_client_conn = {most}
log_connections = false
log_disconnections = false

[http]
listen = "127.0.0.1:{{http_port}}"

[defaults]
default_pool_size = {POOL_SIZE}

[databases.{DATABASE}]
host = "{host}"
port = {port}
"#,
        most = clients + 100,
        host = cluster.host(),
        port = cluster.port(),
    );
    Pgusher::start(binary, &config)
}

/// Connections of the demo's clients that PostgreSQL has now.
pub(crate) fn server_connections(cluster: &Cluster) -> Option<u64> {
    let sql = format!("select count(*) from pg_stat_activity where usename = '{USER}'");
    cluster.try_psql("postgres", &sql).ok()?.parse().ok()
}

/// How to look around, once everything stands.
pub(crate) fn invitation(pgusher: &Pgusher) -> String {
    let (port, http) = (pgusher.port(), pgusher.http_port());
    format!(
        "  A session:    psql 'postgres://{USER}@127.0.0.1:{port}/{DATABASE}'\n  \
         The console:  psql 'postgres://{ADMIN}@127.0.0.1:{port}/pgusher' -c 'SHOW POOLS'\n  \
         Metrics:      curl http://127.0.0.1:{http}/metrics\n  \
         Its settings: {}\n",
        pgusher.dir().join("pgusher.toml").display(),
    )
}

/// Lets this process and its children open as many files as the system allows; gives their number.
pub(crate) fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // The old limit may do: whoever needs more looks at the answer.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
