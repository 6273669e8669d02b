//! A private PostgreSQL, and a pgusher with ten servers in front of it.

use pgusher_testkit::{Cluster, Pgusher, TRUSTING};
use tokio_postgres::{Client, NoTls};

use crate::binary::binary;

/// Servers of the pool.
pub(crate) const SERVERS: u32 = 10;

/// The private PostgreSQL.
pub(crate) fn cluster() -> Cluster {
    Cluster::builder().setting("autovacuum", "off").build()
}

/// A pgusher with lines of the database's section and further sections.
pub(crate) fn pgusher(cluster: &Cluster, settings: &str, sections: &str) -> Pgusher {
    let config = format!(
        "{TRUSTING}worker_threads = 1\n\
         log_pooler_errors = false\n\
         [databases.app]\nhost = \"127.0.0.1\"\nport = {}\ndbname = \"postgres\"\nuser = \"{}\"\npool_size = {SERVERS}\n\
         query_wait_notify = \"off\"\nquery_wait_timeout = \"60s\"\nlog_queue_wait = \"off\"\n{settings}\n{sections}",
        cluster.port(),
        cluster.superuser(),
    );
    Pgusher::start(binary(), &config)
}

/// A client with this application_name.
pub(crate) async fn client(pgusher: &Pgusher, name: &str) -> Client {
    let config = format!(
        "host=127.0.0.1 port={} user=bench dbname=app application_name={name}",
        pgusher.port()
    );
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.expect("connect");
    tokio::spawn(connection);
    client
}
