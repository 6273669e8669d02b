//! What the tables show of connections and of the process.

use std::path::Path;

use pgusher_testkit::{Pgusher, QueryResult, RawClient};

use crate::stage::{admin, cell, client, drop_in, start, until};

fn column(result: &QueryResult, name: &str) -> Vec<String> {
    result.column(name).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn numbers_of_connections_rise_and_are_never_used_again() {
    let (pgusher, _) = start("console_ids");
    let mut boss = admin(&pgusher).await;
    let mut seen: Vec<u64> = Vec::new();
    for _ in 0..3 {
        let mut client = client(&pgusher).await;
        assert_eq!(client.query("select 1").await.value(), "1");
        let clients = boss.query("SHOW CLIENTS").await;
        let servers = boss.query("SHOW SERVERS").await;
        assert_eq!(column(&clients, "type"), ["C"]);
        assert_eq!(column(&servers, "type"), ["S"]);
        let newest = column(&clients, "id")[0].parse().expect("a number");
        assert!(seen.iter().all(|&known| known < newest), "{newest} after {seen:?}");
        assert!(!column(&servers, "id").contains(&newest.to_string()), "one number, one socket");
        assert_eq!(column(&clients, "ptr"), [format!("0x{newest:x}")]);
        seen.push(newest);
        client.terminate().await;
        until(&mut boss, "SHOW CLIENTS", |all| all.rows.is_empty()).await;
        assert_eq!(boss.query("RECONNECT").await.tags, ["RECONNECT"]);
        until(&mut boss, "SHOW SERVERS", |all| all.rows.is_empty()).await;
    }
}

#[tokio::test]
async fn a_transaction_links_its_client_and_its_server() {
    let (pgusher, _) = start("console_links");
    let mut boss = admin(&pgusher).await;
    let (mut busy, _idle) = (client(&pgusher).await, client(&pgusher).await);
    let pid = busy.query("begin; select pg_backend_pid()").await.value().to_owned();
    let clients = boss.query("SHOW CLIENTS").await;
    let servers = boss.query("SHOW SERVERS").await;
    assert_eq!(column(&clients, "state"), ["active", "idle"]);
    assert_eq!(column(&servers, "state"), ["active"]);
    assert_eq!(column(&servers, "remote_pid"), [pid]);
    assert_eq!(cell(&clients, "state", "active", "link"), cell(&servers, "state", "active", "ptr"));
    assert_eq!(cell(&servers, "state", "active", "link"), cell(&clients, "state", "active", "ptr"));
    let sockets = boss.query("SHOW SOCKETS").await;
    assert_eq!(column(&sockets, "state"), ["cl_active", "cl_active", "sv_active"]);
    assert_eq!(sockets.columns.len(), 28);
    let active = boss.query("SHOW ACTIVE_SOCKETS").await;
    assert_eq!(column(&active, "state"), ["cl_active", "sv_active"]);
    assert_eq!(column(&active, "recv_pos"), ["0", "0"]);
}

#[tokio::test]
async fn servers_that_need_a_check_are_used() {
    let (pgusher, _) = start("console_used");
    let mut boss = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("select 1").await.value(), "1");
    assert_eq!(column(&boss.query("SHOW SERVERS").await, "state"), ["idle"]);
    assert_eq!(boss.query("SET server_check_delay = '10ms'").await.error, None);
    until(&mut boss, "SHOW POOLS", |all| cell(all, "database", "app", "sv_used") == "1").await;
    let pools = boss.query("SHOW POOLS").await;
    assert_eq!(cell(&pools, "database", "app", "sv_idle"), "0");
    assert_eq!(column(&boss.query("SHOW SERVERS").await, "state"), ["used"]);
    assert_eq!(client.query("begin").await.error, None);
    assert_eq!(column(&boss.query("SHOW SERVERS").await, "state"), ["active"]);
}

#[tokio::test]
async fn descriptors_are_those_of_the_process() {
    let (pgusher, _) = start("console_fds");
    let mut boss = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("begin").await.error, None);
    let fds = boss.query("SHOW FDS").await;
    assert_eq!(column(&fds, "task"), ["pooler", "client", "server"]);
    assert_eq!(column(&fds, "cancel"), ["0", "0", "0"], "keys are nobody's business");
    assert_eq!(cell(&fds, "task", "client", "link"), cell(&fds, "task", "server", "fd"));
    assert_eq!(cell(&fds, "task", "server", "link"), cell(&fds, "task", "client", "fd"));
    for fd in column(&fds, "fd") {
        let link = Path::new("/proc").join(pgusher.pid().to_string()).join("fd").join(fd);
        let target = std::fs::read_link(&link).expect("an open descriptor");
        assert!(target.to_string_lossy().starts_with("socket:"), "{}", target.display());
    }
    let memory = boss.query("SHOW MEM").await;
    assert_eq!(cell(&memory, "name", "client_cache", "used"), "1");
    assert_eq!(cell(&memory, "name", "server_cache", "used"), "1");
}

fn row(result: &QueryResult, key: &str) -> Vec<String> {
    let row = result.rows.iter().find(|row| row[0].as_deref() == Some(key));
    let row = row.unwrap_or_else(|| panic!("no {key} in {result:?}"));
    row.iter().map(|cell| cell.as_deref().unwrap_or("NULL").to_owned()).collect()
}

#[tokio::test]
async fn the_console_is_a_database_where_pgbouncer_is_expected() {
    let pgusher = drop_in("console_own", "");
    let (mut boss, _second) = (admin(&pgusher).await, admin(&pgusher).await);
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("select 1").await.value(), "1");
    let port = pgusher.port().to_string();
    let databases = boss.query("SHOW DATABASES").await;
    assert_eq!(
        row(&databases, "pgbouncer"),
        [
            "pgbouncer",
            "NULL",
            &port,
            "pgbouncer",
            "pgbouncer",
            "2",
            "0",
            "0",
            "0",
            "statement",
            "NULL",
            "0",
            "0",
            "0",
            "2",
            "0",
            "0",
        ]
    );
    assert_eq!(cell(&databases, "name", "app", "pool_mode"), "", "none of its own");
    let pools = boss.query("SHOW POOLS").await;
    assert_eq!(row(&pools, "pgbouncer")[..4], ["pgbouncer", "pgbouncer", "2", "0"]);
    let users = boss.query("SHOW USERS").await;
    assert_eq!(column(&users, "name")[..4], ["alice", "boss", "eve", "pgbouncer"]);
    assert_eq!(row(&users, "alice")[1].trim(), "5");
    assert_eq!(row(&users, "boss")[1..4], ["", "", "NULL"]);
    let clients = boss.query("SHOW CLIENTS").await;
    assert_eq!(column(&clients, "database"), ["pgbouncer", "pgbouncer", "app"]);
    let lists = boss.query("SHOW LISTS").await;
    for (list, items) in
        [("databases", "2"), ("pools", "2"), ("used_clients", "3"), ("used_servers", "1")]
    {
        assert_eq!(cell(&lists, "list", list, "items"), items, "{list}");
    }
    kill_a_console(&pgusher, &mut boss).await;
}

async fn kill_a_console(pgusher: &Pgusher, boss: &mut RawClient) {
    let mut victim = RawClient::login(pgusher.port(), "pgbouncer", "watcher", "").await;
    let clients = boss.query("SHOW CLIENTS").await;
    let id = cell(&clients, "user", "watcher", "id");
    assert_eq!(boss.query(&format!("KILL_CLIENT {id}")).await.tags, ["KILL_CLIENT"]);
    victim.expect_closed().await;
}

#[tokio::test]
async fn peers_are_listed() {
    let peers = "[peers]\n1 = host=127.0.0.1 port=7777 pool_size=3\n2 = host=127.0.0.1 port=7778";
    let pgusher = drop_in("console_peers", peers);
    let mut boss = admin(&pgusher).await;
    let listed = boss.query("SHOW PEERS").await;
    assert_eq!(row(&listed, "1"), ["1", "127.0.0.1", "7777", "3"]);
    assert_eq!(row(&listed, "2"), ["2", "127.0.0.1", "7778", "20"]);
    let pools = boss.query("SHOW PEER_POOLS").await;
    assert_eq!(row(&pools, "1"), ["1", "0", "0", "0", "0"]);
    let lists = boss.query("SHOW LISTS").await;
    assert_eq!(cell(&lists, "list", "peers", "items"), "2");
}
