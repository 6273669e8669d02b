//! What drivers send to clear a session needs no server, unless the session holds what only its server has; and what a
//! server refuses, or a session may not hold, is said.

use std::sync::Arc;

use pgusher_testkit::RawClient;

use crate::differ::Step::{Extended, Query};
use crate::differ::{Step, differ};
use crate::stage::Stage;

fn stage(settings: &str) -> Arc<Stage> {
    tokio::task::block_in_place(|| Arc::new(Stage::set(settings)))
}

/// How many transactions the pool has served.
async fn served(admin: &mut RawClient) -> u64 {
    let stats = admin.query("SHOW STATS").await;
    let column = stats.columns.iter().position(|name| name == "total_server_assignment_count");
    let rows = stats.rows.iter().filter(|row| row[0].as_deref() == Some("app"));
    let cell = |row: &Vec<Option<String>>| row[column.expect("a column")].clone();
    rows.filter_map(cell).map(|cell| cell.parse::<u64>().expect("a number")).sum()
}

const CLEARING: [&str; 12] = [
    "DISCARD ALL",
    "/* app */ DISCARD ALL",
    "-- of /* the pool\nRESET ALL -- done",
    "/* a /* b */ */ SELECT pg_advisory_unlock_all(); /* c */ RESET ALL;",
    "reset all",
    "DEALLOCATE ALL",
    "CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); RESET ALL",
    "SELECT pg_catalog.pg_advisory_unlock_all()",
    "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;DISCARD SEQUENCES;DISCARD TEMP",
    "DISCARD PLANS",
    "unlisten *",
    "close all",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_cleared_without_a_server() {
    let stage = stage("pool_size = 1");
    let mut direct = stage.login(false, &[("TimeZone", "Asia/Tokyo")]).await;
    let mut pooled = stage.login(true, &[("TimeZone", "Asia/Tokyo")]).await;
    let mut holder = stage.login(true, &[]).await;
    for client in [&mut direct, &mut pooled] {
        client.query("set TimeZone = 'Europe/Rome'; set role alice").await;
    }
    holder.query("begin").await;
    for sql in CLEARING {
        let (found, expected) = (pooled.query(sql).await, direct.query(sql).await);
        assert_eq!(found, expected, "{sql}");
        if !sql.contains(';') {
            let found = pooled.query_extended(sql, &[]).await;
            assert_eq!(found, direct.query_extended(sql, &[]).await, "{sql}, extended");
        }
    }
    assert_eq!(pooled.param("TimeZone"), Some("Asia/Tokyo"));
    holder.query("commit").await;
    let now = "select current_user, current_setting('TimeZone')";
    assert_eq!(pooled.query(now).await.rows, direct.query(now).await.rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clearing_is_not_counted_as_work() {
    let stage = stage("pool_size = 1");
    let mut admin = RawClient::login(stage.pgusher.port(), "pgusher", "admin", "").await;
    let mut client = stage.login(true, &[]).await;
    client.query("select 1").await;
    let before = served(&mut admin).await;
    client.query("discard all").await;
    client.query("select 1").await;
    assert_eq!(served(&mut admin).await, before + 1);
}

/// Inside of a transaction, in a failed one, behind other requests: all as PostgreSQL does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clearing_inside_of_a_transaction() {
    const SCRIPT: &[Step] = &[
        Query("set search_path = two"),
        Query("begin"),
        Query("set TimeZone = 'Etc/GMT+{n}'"),
        Query("reset all"),
        Query("show TimeZone"),
        Query("show search_path"),
        Query("rollback"),
        Query("show search_path"),
        Query("show TimeZone"),
        Query("begin; set local search_path = three; reset search_path"),
        Query("show search_path"),
        Query("discard all"),
        Query("reset all"),
        Query("commit"),
        Query("show search_path"),
        Extended("begin", &[]),
        Extended("reset search_path", &[]),
        Extended("show search_path", &[]),
        Extended("discard temp", &[]),
        Extended("close all", &[]),
        Extended("commit", &[]),
        Extended("show search_path", &[]),
        Query("reset nonsense"),
        Query("set nonsense = 1; select 1"),
        Query("reset all; set lock_timeout = '1{n}s'; select 1/0"),
        Query("show lock_timeout"),
        Query("set lock_timeout = '2{n}s'; commit; set lock_timeout = '3s'; select 1/0"),
        Query("show lock_timeout"),
        Query("select set_config('lock_' || 'timeout', '4{n}s', false)"),
        Query("show lock_timeout"),
    ];
    let stage = stage("pool_size = 4");
    let startup = &[("search_path", "one"), ("TimeZone", "Asia/Tokyo")];
    differ(&stage, startup, &SCRIPT[..SCRIPT.len() - 2]).await;
    let mut client = stage.login(true, &[]).await;
    for step in &SCRIPT[SCRIPT.len() - 2..] {
        let Query(sql) = step else { panic!("a query") };
        assert_eq!(client.query(&sql.replace("{n}", "7")).await.value(), "47s");
    }
}

/// A role is none of the parameters that RESET ALL resets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_stays_where_parameters_are_reset() {
    const SCRIPT: &[Step] = &[
        Query("set role alice"),
        Query("set lock_timeout = '1{n}s'"),
        Query("reset all"),
        Query("select current_user, current_setting('lock_timeout')"),
        Extended("reset all", &[]),
        Query("begin"),
        Query("set local role bob"),
        Query("reset all"),
        Query("select current_user"),
        Query("commit"),
        Query("select current_user"),
        Query("reset role"),
        Query("select current_user"),
        Query("begin; set role bob; savepoint s; set role none; rollback to s; commit"),
        Query("select current_user"),
        Extended("set session authorization default", &[]),
        Query("select current_user, session_user"),
    ];
    differ(&stage("pool_size = 2"), &[("lock_timeout", "7s")], SCRIPT).await;
}

/// Where names are left to the clients, what they do to their sessions is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_follow_where_names_do_not() {
    const SCRIPT: &[Step] = &[
        Extended("set lock_timeout = '1{n}s'", &[]),
        Extended("select set_config('my.var', $1, false)", &["{n}"]),
        Extended("select current_setting('lock_timeout'), current_setting('my.var')", &[]),
        Query("begin"),
        Extended("set lock_timeout = '2{n}s'", &[]),
        Query("rollback"),
        Extended("show lock_timeout", &[]),
        Extended("reset all", &[]),
        Query("show lock_timeout"),
    ];
    let stage = stage("pool_size = 2\nmax_prepared_statements = 0");
    differ(&stage, &[("lock_timeout", "7s")], SCRIPT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_refuses_ends_the_session_and_runs_nothing() {
    let stage = stage("pool_size = 1");
    // What is behind the refusal may begin with the end of a transaction.
    let requests = ["insert into t values (2)", "commit; insert into t values (2)"];
    for (number, sql) in requests.into_iter().enumerate() {
        let role = format!("gone{number}");
        let all = format!("create role {role}; grant {role} to app");
        tokio::task::block_in_place(|| stage.cluster.psql(&all));
        let mut client = stage.login(true, &[]).await;
        let mut other = stage.login(true, &[]).await;
        assert_eq!(client.query(&format!("set role {role}")).await.error, None);
        // Another client has the server, without the role.
        assert_eq!(other.query("select current_user").await.value(), "app");
        tokio::task::block_in_place(|| stage.cluster.psql(&format!("drop role {role}")));
        client.send(&pgusher_testkit::frontend::query(sql)).await;
        let error = client.expect_fatal().await;
        assert_eq!(error.code(), "22023", "{error:?}");
        assert!(error.message().contains("gone"), "{error:?}");
        assert_eq!(other.query("select count(*) from t").await.value(), "1", "{sql}");
        assert_eq!(other.query("select current_user").await.value(), "app");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_holds_no_more_than_it_may() {
    let stage = stage("pool_size = 1\nmax_session_state = \"4KiB\"");
    let mut client = stage.login(true, &[]).await;
    let mut other = stage.login(true, &[]).await;
    let large = format!("set my.large = '{}'", "x".repeat(3000));
    assert_eq!(client.query(&large).await.error, None);
    client.send(&pgusher_testkit::frontend::query(&large.replace("large", "larger"))).await;
    let error = client.expect_fatal().await;
    assert_eq!(error.code(), "54000", "{error:?}");
    assert!(error.message().contains("max_session_state"), "{error:?}");
    let found = other.query("select current_setting('my.large', true)").await;
    assert!(matches!(found.rows[0][0].as_deref(), None | Some("")), "{found:?}");
}
