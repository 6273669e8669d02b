//! Replication connections: the real tools, the limits, the records.

use std::process::{Child, Command, Stdio};

use pgusher_testkit::{Cluster, Pgusher};

use super::stage::{LIMIT, login, login_with, publisher, start, succeeds, until};

fn databases() -> String {
    let port = publisher().port();
    let line = |name: &str, more: &str| format!("{name} = host=127.0.0.1 port={port} {more}\n");
    line("replication", "")
        + &line("app", "dbname=postgres")
        + &line("small", "dbname=postgres pool_size=1")
}

fn ends(pgusher: &Pgusher) -> [String; 6] {
    let port = pgusher.port().to_string();
    ["-h", "127.0.0.1", "-U", "postgres", "-p", &port].map(str::to_owned)
}

fn arguments<'a>(ends: &'a [String; 6], more: &[&'a str]) -> Vec<&'a str> {
    ends.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

#[tokio::test]
async fn a_base_backup_comes_through_with_its_wal() {
    let pgusher = start("", &databases());
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("base");
    let ends = ends(&pgusher);
    let more = ["-D", target.to_str().unwrap(), "-X", "stream", "-c", "fast", "--no-sync"];
    succeeds("pg_basebackup", &arguments(&ends, &more), &pgusher);
    assert!(target.join("PG_VERSION").exists() && target.join("backup_manifest").exists());
    let manifest = ["-n", target.to_str().unwrap()];
    succeeds("pg_verifybackup", &manifest, &pgusher);
    pgusher.wait_log("replication=yes", LIMIT);
    pgusher.wait_log("closing because: client close request", LIMIT);
}

#[tokio::test]
async fn wal_is_received_as_it_is_written() {
    let pgusher = start("", &databases());
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().to_str().unwrap();
    let ends = ends(&pgusher);
    publisher().psql("create table wal_row (x int)");
    publisher().psql("insert into wal_row select generate_series(1, 1000)");
    let end = publisher().psql("select pg_current_wal_flush_lsn()");
    let more = ["-D", target, "--no-loop", "--no-sync", "--endpos", &end];
    succeeds("pg_receivewal", &arguments(&ends, &more), &pgusher);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(files > 0, "no file");
}

#[tokio::test]
async fn changes_are_decoded() {
    let pgusher = start("", &databases());
    publisher().psql("create table decoded (x int)");
    let ends = ends(&pgusher);
    let slot = ["-d", "app", "-S", "decoding"];
    let with = |more: &[&'static str]| [&slot[..], more].concat();
    let create = with(&["--create-slot", "-P", "test_decoding"]);
    succeeds("pg_recvlogical", &arguments(&ends, &create), &pgusher);
    publisher().psql("insert into decoded values (4711)");
    let end = publisher().psql("select pg_current_wal_insert_lsn()");
    publisher().psql("insert into decoded values (4712)");
    let mut read = with(&["--start", "--no-loop", "-f", "-", "--endpos"]);
    read.push(&end);
    let text = succeeds("pg_recvlogical", &arguments(&ends, &read), &pgusher);
    assert!(text.contains("table public.decoded: INSERT: x[integer]:4711"), "{text}");
    succeeds("pg_recvlogical", &arguments(&ends, &with(&["--drop-slot"])), &pgusher);
    pgusher.wait_log("replication=database", LIMIT);
}

#[tokio::test]
async fn a_subscription_follows_its_publication() {
    let pgusher = start("", &databases());
    let subscriber = Cluster::builder().build();
    for cluster in [publisher(), &subscriber] {
        cluster.psql("create table followed (x int primary key)");
    }
    publisher().psql("insert into followed values (1)");
    publisher().psql("create publication followed_rows for table followed");
    let port = pgusher.port();
    let connection = format!("host=127.0.0.1 port={port} dbname=app user=postgres");
    subscriber.psql(&format!(
        "create subscription follower connection '{connection}' publication followed_rows"
    ));
    let rows = || subscriber.psql("select count(*) from followed");
    until("the first rows have come", || rows() == "1").await;
    publisher().psql("insert into followed select generate_series(2, 500)");
    until("all rows have come", || rows() == "500").await;
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let clients = console.query("SHOW CLIENTS").await.rows;
    assert!(clients.iter().any(|row| row[2].as_deref() == Some("app")), "{clients:?}");
    subscriber.psql("drop subscription follower");
}

/// A walsender is one of the pool's servers, goes with its client, and takes an idle server's place.
#[tokio::test]
async fn a_walsender_counts_and_goes_with_its_client() {
    let pgusher = start("query_wait_timeout = 1", &databases());
    let mut client = login(&pgusher, "small", "postgres").await;
    client.query("select 1").await.value();
    client.terminate().await;
    let parameters = [("user", "postgres"), ("database", "small"), ("replication", "database")];
    let mut walsender = login_with(&pgusher, &parameters).await.unwrap();
    assert_eq!(walsender.query("IDENTIFY_SYSTEM").await.rows.len(), 1);
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let servers = console.query("SHOW SERVERS").await.rows;
    assert_eq!(servers.len(), 1, "{servers:?}");
    assert_eq!(servers[0][4].as_deref(), Some("active"));
    let refused = login_with(&pgusher, &parameters).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), ("53300", "query_wait_timeout"));
    walsender.terminate().await;
    let gone = "select count(*) = 0 from pg_stat_activity where backend_type = 'walsender' and datname = 'postgres' and application_name = ''";
    until("the walsender has gone", || publisher().psql(gone) == "t").await;
}

#[tokio::test]
async fn a_refused_walsender_says_why() {
    let pgusher = start("", &databases());
    publisher().psql(
        "do $$ begin create role app login; exception when duplicate_object then null; end $$",
    );
    let parameters = [("user", "app"), ("database", "app"), ("replication", "true")];
    let refused = login_with(&pgusher, &parameters).await.unwrap_err();
    assert_eq!(refused.code(), "42501", "{refused:?}");
    pgusher.wait_log("server login failed: FATAL ", LIMIT);
}

/// Ends a child that a failed test leaves behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Streaming has no end of its own: it must not keep the process.
#[tokio::test]
async fn a_stream_ends_with_the_pooler() {
    let mut pgusher = start("", &databases());
    let folder = tempfile::tempdir().unwrap();
    let ends = ends(&pgusher);
    let more = ["-D", folder.path().to_str().unwrap(), "--no-loop", "--no-sync"];
    let mut command = Command::new(publisher().bin("pg_receivewal"));
    command.args(arguments(&ends, &more)).stderr(Stdio::null());
    let mut running = Running(command.spawn().unwrap());
    until("it streams", || std::fs::read_dir(folder.path()).unwrap().count() > 0).await;
    pgusher.signal(pgusher_testkit::Signal::INT);
    assert!(pgusher.wait_exit(LIMIT).success());
    running.0.wait().unwrap();
}

/// A walsender waits in the queue like everybody: it comes before those who came later, and is not passed over.
#[tokio::test]
async fn a_walsender_waits_for_its_turn() {
    let pgusher = start("pool_mode = transaction", &databases());
    let mut holder = login(&pgusher, "small", "postgres").await;
    holder.query("begin").await;
    let port = pgusher.port();
    let waiting = tokio::spawn(async move {
        let parameters = [("user", "postgres"), ("database", "small"), ("replication", "database")];
        let mut client = pgusher_testkit::RawClient::connect(port).await;
        client.set_time_limit(LIMIT);
        client.startup(0, &parameters).await;
        client.authenticate("postgres", "").await.unwrap();
        client
    });
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let mut later = login(&pgusher, "small", "postgres").await;
    sees(&mut console, "SHOW POOLS", "maxwait_us", |wait| wait != "0").await;
    sees(&mut console, "SHOW POOLS", "cl_waiting", |count| count == "1").await;
    let clients = console.query("SHOW CLIENTS").await;
    let waits = clients.column("state").iter().position(|state| *state == "waiting").unwrap();
    assert_eq!(clients.column("replication")[waits], "logical");
    later.send(&pgusher_testkit::frontend::query("select 1")).await;
    sees(&mut console, "SHOW POOLS", "cl_waiting", |count| count == "2").await;
    holder.query("commit").await;
    let mut walsender = waiting.await.unwrap();
    assert_eq!(walsender.query("IDENTIFY_SYSTEM").await.rows.len(), 1);
    sees(&mut console, "SHOW CLIENTS", "replication", |kind| kind == "logical").await;
    let clients = console.query("SHOW CLIENTS").await;
    let servers = console.query("SHOW SERVERS").await;
    for all in [&clients, &servers] {
        let kinds = all.column("replication");
        assert_eq!(kinds.iter().filter(|kind| **kind == "logical").count(), 1, "{kinds:?}");
    }
    assert_eq!(servers.rows.len(), 1, "never more than the pool may have: {servers:?}");
    walsender.terminate().await;
    assert_eq!(later.read_result().await.value(), "1");
}

/// One that waits can be sent away, and stands still when everybody does.
#[tokio::test]
async fn a_walsender_that_waits_hears_orders() {
    let pgusher = start("pool_mode = transaction", &databases());
    let mut holder = login(&pgusher, "small", "postgres").await;
    holder.query("begin").await;
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let mut client = pgusher_testkit::RawClient::connect(pgusher.port()).await;
    client.set_time_limit(LIMIT);
    let parameters = [("user", "postgres"), ("database", "small"), ("replication", "database")];
    client.startup(0, &parameters).await;
    sees(&mut console, "SHOW POOLS", "cl_waiting", |count| count == "1").await;
    holder.query("commit").await;
    holder.terminate().await;
    client.authenticate("postgres", "").await.unwrap();
    assert_eq!(client.query("IDENTIFY_SYSTEM").await.rows.len(), 1);
    let mut second = pgusher_testkit::RawClient::connect(pgusher.port()).await;
    second.set_time_limit(LIMIT);
    second.startup(0, &parameters).await;
    sees(&mut console, "SHOW POOLS", "cl_waiting", |count| count == "1").await;
    assert_eq!(console.query("SUSPEND").await.error, None, "both stand still");
    assert_eq!(console.query("RESUME").await.error, None);
    let clients = console.query("SHOW CLIENTS").await;
    let waits = clients.column("state").iter().position(|state| *state == "waiting").unwrap();
    let id = clients.column("id")[waits];
    assert_eq!(console.query(&format!("KILL_CLIENT {id}")).await.error, None);
    assert_eq!(second.expect_fatal().await.message(), "admin forced disconnect");
    assert_eq!(client.query("IDENTIFY_SYSTEM").await.rows.len(), 1, "it is still there");
}

/// Waits until a column has such a value in some row.
async fn sees(
    console: &mut pgusher_testkit::RawClient,
    query: &str,
    column: &str,
    is_it: impl Fn(&str) -> bool,
) {
    console.query_until(query, LIMIT, |all| all.column(column).into_iter().any(&is_it)).await;
}
