//! How servers are made, checked, chosen and let go.

use pgusher_testkit::Cluster;

use super::stage::{LIMIT, backend, line, login, start, until};

#[tokio::test]
async fn new_servers_run_the_connect_query() {
    let query = "connect_query='set work_mem = ''12345kB'''";
    for mode in ["session", "transaction"] {
        let pgusher = start(&format!("pool_mode = {mode}"), &line("app", query));
        for _ in 0..3 {
            let mut client = login(&pgusher, "app", "postgres").await;
            assert_eq!(client.query("show work_mem").await.value(), "12345kB", "{mode}");
            client.query("set statement_timeout = '9s'").await;
            client.terminate().await;
        }
    }
    let pgusher = start("", &line("app", "connect_query='no sql'"));
    assert_eq!(login(&pgusher, "app", "postgres").await.query("select 1").await.value(), "1");
    pgusher.wait_log("connect_query failed", LIMIT);
}

#[tokio::test]
async fn the_reset_query_is_sent_always_if_asked_for() {
    let cluster = Cluster::shared();
    cluster.psql("create table if not exists resets (x int)");
    let reset = "server_reset_query = insert into resets values (1)";
    let count = || cluster.psql("select count(*) from resets").parse::<u32>().unwrap();
    let pgusher = start(&format!("pool_mode = transaction\n{reset}"), &line("app", ""));
    login(&pgusher, "app", "postgres").await.query("select 1").await.value();
    assert_eq!(count(), 0);
    let more = format!("pool_mode = transaction\n{reset}\nserver_reset_query_always = 1");
    let pgusher = start(&more, &line("app", ""));
    let mut client = login(&pgusher, "app", "postgres").await;
    client.query("select 1").await.value();
    until("the query was sent", || count() > 0).await;
}

#[tokio::test]
async fn a_check_query_finds_the_dead() {
    let cluster = Cluster::shared();
    cluster.psql("create table if not exists checks (x int)");
    let parameters = "pool_mode = transaction\nserver_check_delay = 0\nserver_check_query = insert into checks values (1)";
    let pgusher = start(parameters, &line("app", ""));
    let mut client = login(&pgusher, "app", "postgres").await;
    for _ in 0..3 {
        client.query("select 1").await.value();
    }
    assert!(cluster.psql("select count(*) from checks").parse::<u32>().unwrap() >= 2);
}

#[tokio::test]
async fn servers_are_used_in_turns_if_asked_for() {
    for (round_robin, different) in [("0", 1), ("1", 3)] {
        let parameters = format!("pool_mode = transaction\nserver_round_robin = {round_robin}");
        let pgusher = start(&parameters, &line("app", "min_pool_size=3 user=postgres"));
        let mut console = login(&pgusher, "pgbouncer", "postgres").await;
        loop {
            let servers = console.query("SHOW SERVERS").await.rows;
            if servers.len() == 3 && servers.iter().all(|row| row[4].as_deref() == Some("idle")) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let mut client = login(&pgusher, "app", "app").await;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..9 {
            seen.insert(backend(&mut client).await);
        }
        assert_eq!(seen.len(), different, "{seen:?}");
    }
}

#[tokio::test]
async fn a_fast_close_ends_sessions() {
    let pgusher = start("server_fast_close = 1", &line("app", ""));
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let mut client = login(&pgusher, "app", "postgres").await;
    client.query("begin").await;
    assert!(console.query("RECONNECT").await.error.is_none());
    assert_eq!(client.query("select 1").await.value(), "1", "its transaction goes on");
    client.query("commit").await;
    assert_eq!(client.expect_fatal().await.message(), "database configuration changed");
    let slow = start("", &line("app", ""));
    let mut console = login(&slow, "pgbouncer", "postgres").await;
    let mut client = login(&slow, "app", "postgres").await;
    let before = backend(&mut client).await;
    assert!(console.query("RECONNECT").await.error.is_none());
    assert_eq!(backend(&mut client).await, before, "its session goes on");
}

/// A database with a user of its own has its servers before anybody asks.
#[tokio::test]
async fn minimal_pools_are_there_from_the_start() {
    let pgusher = start("", &line("app", "user=postgres min_pool_size=2"));
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    loop {
        let servers = console.query("SHOW SERVERS").await.rows;
        if servers.len() == 2 {
            break;
        }
        assert!(servers.len() < 2, "{servers:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_reserve_is_taken_once_a_connection() {
    let parameters = "reserve_pool_size = 1\nreserve_pool_timeout = 1";
    let pgusher = start(parameters, &line("app", "pool_size=1 user=postgres"));
    let mut first = login(&pgusher, "app", "app").await;
    first.query("select 1").await.value();
    let mut second = login(&pgusher, "app", "app").await;
    assert_eq!(second.query("select 1").await.value(), "1");
    pgusher.wait_log("taking connection from reserve_pool", LIMIT);
    assert_eq!(pgusher.log().matches("taking connection from reserve_pool").count(), 1);
}
