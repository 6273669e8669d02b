//! The statistics are exact.

use std::time::{Duration, Instant};

use crate::stage::{admin, app_stat, cell, client, start, until};

#[tokio::test]
async fn counters_are_exact() {
    let (pgusher, _) = start("console_counters");
    let mut admin = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    assert_eq!(app_stat(&mut admin, "total_query_count").await, 0);
    for _ in 0..7 {
        assert_eq!(client.query("select 1").await.error, None);
    }
    for sql in ["begin", "select 1", "select 1/0", "rollback"] {
        client.query(sql).await;
    }
    for _ in 0..3 {
        assert_eq!(client.query_extended("select $1::text", &[Some("x")]).await.error, None);
    }
    assert_eq!(app_stat(&mut admin, "total_query_count").await, 7 + 4 + 3);
    assert_eq!(app_stat(&mut admin, "total_xact_count").await, 7 + 1 + 3);
    assert_eq!(app_stat(&mut admin, "total_server_assignment_count").await, 7 + 1 + 3);
    assert_eq!(app_stat(&mut admin, "total_bind_count").await, 3);
    assert_eq!(app_stat(&mut admin, "total_client_parse_count").await, 3);
    assert_eq!(app_stat(&mut admin, "total_client_login_count").await, 1);
    assert!(app_stat(&mut admin, "total_received").await > 100);
    let totals = admin.query("SHOW TOTALS").await;
    assert_eq!(cell(&totals, "name", "total_query_count", "value"), "14");
    let again = admin.query("SHOW STATS_TOTALS").await;
    assert_eq!(cell(&again, "database", "app", "query_count"), "14");
}

#[tokio::test]
async fn a_removed_database_leaves_its_statistics() {
    let (pgusher, config) = start("console_removed");
    let mut admin = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    for _ in 0..5 {
        assert_eq!(client.query("select 1").await.error, None);
    }
    let (head, rest) = config.split_once("[databases.app]").expect("there");
    let (_, tail) = rest.split_once("[databases.\"other-db\"]").expect("there");
    pgusher.rewrite_config(&format!("{head}[databases.\"other-db\"]{tail}"));
    assert_eq!(admin.query("RELOAD").await.tags, ["RELOAD"]);
    client.expect_fatal().await;
    until(&mut admin, "SHOW POOLS", |all| all.rows.is_empty()).await;
    assert_eq!(app_stat(&mut admin, "total_query_count").await, 5);
}

#[tokio::test]
async fn times_are_of_transactions_and_of_queries() {
    let (pgusher, _) = start("console_times");
    let mut admin = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("begin").await.error, None);
    assert_eq!(client.query("select pg_sleep(0.2)").await.error, None);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(client.query("commit").await.error, None);
    let query = app_stat(&mut admin, "total_query_time").await;
    let transaction = app_stat(&mut admin, "total_xact_time").await;
    assert!(query >= 200_000, "{query}");
    assert!(transaction >= query + 200_000, "{transaction} {query}");
}

/// The server stays with its client between them, which is nobody's transaction.
#[tokio::test]
async fn transactions_in_session_mode_have_their_own_times() {
    let (pgusher, _) = start("console_session_times");
    let mut admin = admin(&pgusher).await;
    assert_eq!(admin.query("SET pool_mode = session").await.error, None);
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("select 1").await.error, None);
    assert_eq!(app_stat(&mut admin, "total_xact_count").await, 1);
    let first = app_stat(&mut admin, "total_xact_time").await;
    let (before, pause) = (Instant::now(), Duration::from_secs(1));
    tokio::time::sleep(pause).await;
    assert_eq!(client.query("select pg_sleep(0.1)").await.error, None);
    assert_eq!(app_stat(&mut admin, "total_xact_count").await, 2);
    let second = Duration::from_micros(app_stat(&mut admin, "total_xact_time").await - first);
    assert!(second >= Duration::from_millis(100), "{second:?}");
    assert!(second <= before.elapsed() - pause, "{second:?}: the pause is no transaction");
    client.terminate().await;
    until(&mut admin, "SHOW CLIENTS", |all| all.rows.is_empty()).await;
    let all = Duration::from_micros(app_stat(&mut admin, "total_xact_time").await - first);
    assert_eq!(all, second, "nor is the end of the session");
}

#[tokio::test]
async fn averages_are_over_stats_period_and_totals_stay() {
    let (pgusher, _) = start("console_averages");
    let mut admin = admin(&pgusher).await;
    assert_eq!(admin.query("SET stats_period = '1s'").await.error, None);
    let mut client = client(&pgusher).await;
    for _ in 0..50 {
        assert_eq!(client.query("select 1").await.error, None);
    }
    let average = |all: &pgusher_testkit::QueryResult| {
        cell(all, "database", "app", "avg_query_count").parse::<u64>().expect("a number")
    };
    until(&mut admin, "SHOW STATS", |all| average(all) == 0).await;
    assert_eq!(app_stat(&mut admin, "total_query_count").await, 50);
    assert_eq!(app_stat(&mut admin, "avg_query_time").await, 0, "there was none");
}
