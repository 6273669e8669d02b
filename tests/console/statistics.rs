//! The statistics are exact.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pgusher_testkit::{QueryResult, RawClient, frontend};

use crate::stage::{admin, app_stat, cell, client, drop_in, start, until};

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
    let average = |all: &QueryResult| {
        cell(all, "database", "app", "avg_query_count").parse::<u64>().expect("a number")
    };
    until(&mut admin, "SHOW STATS", |all| average(all) == 0).await;
    assert_eq!(app_stat(&mut admin, "total_query_count").await, 50);
    assert_eq!(app_stat(&mut admin, "avg_query_time").await, 0, "there was none");
}

/// Two who wait at the same time: the total is of both together, the average is each one's, and nobody's is longer.
#[tokio::test]
async fn waits_are_as_long_as_they_were() {
    let pgusher = drop_in("console_waits", "stats_period = 1");
    let mut admin = admin(&pgusher).await;
    let mut holders = [client(&pgusher).await, client(&pgusher).await];
    let mut waiters = [client(&pgusher).await, client(&pgusher).await];
    for holder in &mut holders {
        assert_eq!(holder.query("begin").await.status, b'T');
    }
    let of_pool = |all: &QueryResult, column: &str| {
        cell(all, "database", "app", column).parse::<u64>().expect("a number")
    };
    let micros = |since: Instant| since.elapsed().as_micros() as u64;
    let before = app_stat(&mut admin, "total_wait_time").await;
    let began = Instant::now();
    for waiter in &mut waiters {
        waiter.send(&frontend::query("select 1")).await;
    }
    until(&mut admin, "SHOW POOLS", |all| of_pool(all, "cl_waiting") == 2).await;
    let both_wait = Instant::now();
    until(&mut admin, "SHOW POOLS", |all| of_pool(all, "maxwait") > 0).await;
    let pools = admin.query("SHOW POOLS").await;
    let longest = 1_000_000 * of_pool(&pools, "maxwait") + of_pool(&pools, "maxwait_us");
    assert!(longest <= micros(began), "{pools:?}");
    let least = micros(both_wait);
    for holder in &mut holders {
        assert_eq!(holder.query("commit").await.status, b'I');
    }
    for waiter in &mut waiters {
        assert_eq!(waiter.read_result().await.value(), "1");
    }
    let most = micros(began);
    let waited = app_stat(&mut admin, "total_wait_time").await - before;
    assert!((2 * least..=2 * most).contains(&waited), "{waited}, not 2 * {least} to 2 * {most}");
    let average_is_due = |all: &QueryResult| {
        let average = of_pool(all, "avg_wait_time");
        assert!(average <= most, "{average}, not {least} to {most}");
        // On a slow machine those who did not wait may be of the same period.
        average >= least / 2
    };
    until(&mut admin, "SHOW STATS", average_is_due).await;
    assert_eq!(of_pool(&admin.query("SHOW POOLS").await, "maxwait_us"), 0, "nobody waits");
}

/// Everything that SHOW STATS counts, by database, before and after a known load over both protocols.
#[tokio::test]
async fn every_count_is_what_was_sent() {
    for pgusher in [start("console_deltas").0, drop_in("console_deltas_ini", "")] {
        let mut admin = admin(&pgusher).await;
        let mut client = client(&pgusher).await;
        assert_eq!(client.query("select 1").await.error, None);
        let before = counts(&mut admin, "app").await;
        let (mut sent, mut received) = (0, 0);
        let mut talk = async |bytes: &[u8]| {
            sent += bytes.len() as u64;
            client.send(bytes).await;
            let messages = client.read_ready().await;
            received += messages.iter().map(|message| message.encode().len() as u64).sum::<u64>();
        };
        for sql in ["select 1", "begin", "select repeat('x', 5000)", "select 1/0", "rollback", ""] {
            talk(&frontend::query(sql)).await;
        }
        // Two statements in one batch, of which the second one is prepared a second time by another name.
        let batch = [
            frontend::parse("one", "select 1", &[]),
            frontend::bind("", "one", &[]),
            frontend::execute("", 0),
            frontend::parse("two", "select 1", &[]),
            frontend::bind("", "two", &[]),
            frontend::execute("", 0),
            frontend::sync(),
        ];
        talk(&batch.concat()).await;
        talk(
            &[frontend::bind("", "one", &[]), frontend::execute("", 0), frontend::sync()].concat(),
        )
        .await;
        let after = counts(&mut admin, "app").await;
        let delta = |key: &str| after[key] - before[key];
        assert_eq!(delta("total_query_count"), 6 + 2, "each ReadyForQuery");
        assert_eq!(delta("total_xact_count"), 3 + 2, "a block is one");
        assert_eq!(delta("total_server_assignment_count"), 3 + 2);
        assert_eq!(delta("total_client_parse_count"), 2);
        assert_eq!(delta("total_server_parse_count"), 1, "they are the same to a server");
        assert_eq!(delta("total_bind_count"), 3);
        assert_eq!((delta("total_received"), delta("total_sent")), (sent, received));
        assert_eq!(delta("total_client_login_count"), 0);
        for _ in 0..2 {
            RawClient::login(pgusher.port(), "app", "alice", "").await.terminate().await;
        }
        assert_eq!(app_stat(&mut admin, "total_client_login_count").await, 3);
        the_tables_agree(&mut admin).await;
    }
}

async fn counts(admin: &mut RawClient, database: &str) -> BTreeMap<String, u64> {
    let stats = admin.query("SHOW STATS").await;
    let row = stats.rows.iter().find(|row| row[0].as_deref() == Some(database)).expect("a row");
    let cells = stats.columns.iter().zip(row).skip(1);
    let number = |cell: &Option<String>| cell.as_deref().and_then(|cell| cell.parse().ok());
    cells.map(|(name, cell)| (name.clone(), number(cell).expect("a number"))).collect()
}

/// The same numbers under their other names, summed over the databases where they are sums.
async fn the_tables_agree(admin: &mut RawClient) {
    let stats = counts(admin, "app").await;
    let totals = admin.query("SHOW STATS_TOTALS").await;
    let sums = admin.query("SHOW TOTALS").await;
    for (name, of_totals, of_sums) in [
        ("query_count", "query_count", "query_count"),
        ("xact_count", "xact_count", "xact_count"),
        ("received", "bytes_received", "client_bytes"),
        ("sent", "bytes_sent", "server_bytes"),
        ("wait_time", "wait_time", "wait_time"),
        ("bind_count", "bind_count", "ps_bind_count"),
        ("client_login_count", "client_login_count", "client_login_count"),
    ] {
        let expected = stats[&format!("total_{name}")].to_string();
        assert_eq!(cell(&totals, "database", "app", of_totals), expected, "{name}");
        assert_eq!(cell(&sums, "name", &format!("total_{of_sums}"), "value"), expected, "{name}");
    }
}
