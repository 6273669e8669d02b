//! Clients that take too long.

use std::time::{Duration, Instant};

use pgusher_testkit::{ErrorFields, RawClient, frontend};

use crate::stage::{Stage, backend_pid};

const TIMEOUT: Duration = Duration::from_millis(700);

/// Waits for the client to be sent away; not before the timeout has passed.
async fn sent_away(client: &mut RawClient, since: Instant) -> ErrorFields {
    let error = client.expect_fatal().await;
    let after = since.elapsed();
    assert!(after >= TIMEOUT, "{error:?} came early, after {after:?}");
    assert_eq!(error.severity(), "FATAL");
    error
}

#[tokio::test]
async fn a_login_must_not_take_for_ever() {
    let stage = Stage::with("timeout_login", "client_login_timeout = \"700ms\"", "", "");
    let since = Instant::now();
    let mut silent = RawClient::connect(stage.pgusher.port()).await;
    silent.expect_closed().await;
    assert!(since.elapsed() >= TIMEOUT, "early: {:?}", since.elapsed());
    let since = Instant::now();
    let mut slow = RawClient::connect(stage.pgusher.port()).await;
    slow.send(&frontend::startup(0, &[("user", "u"), ("database", "d")])[..7]).await;
    slow.expect_closed().await;
    assert!(since.elapsed() >= TIMEOUT, "early: {:?}", since.elapsed());
    // The first may wait for the pool's first server for too long on a busy machine.
    let login = || RawClient::try_login(stage.pgusher.port(), "timeout_login", "postgres", "");
    while let Err(error) = login().await {
        assert!(since.elapsed() < Duration::from_secs(60), "{error:?}");
    }
}

#[tokio::test]
async fn an_idle_client_is_sent_away() {
    let stage = Stage::new("timeout_idle", "client_idle_timeout = \"700ms\"");
    let mut client = stage.client().await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(client.query("select 1").await.value(), "1", "activity starts the clock anew");
    }
    client.query("begin").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let since = Instant::now();
    assert_eq!(client.query("commit").await.tags, ["COMMIT"], "not within a transaction");
    let error = sent_away(&mut client, since).await;
    assert_eq!(error.code(), "57P05");
    assert!(error.message().contains("client_idle_timeout"), "{error:?}");
}

#[tokio::test]
async fn an_idle_client_in_session_mode_is_sent_away_too() {
    let settings = "pool_mode = \"session\"\nclient_idle_timeout = \"700ms\"";
    let stage = Stage::new("timeout_idle_session", settings);
    let mut client = stage.client().await;
    // The clock starts when the server has answered, which is before the client has heard it.
    let since = Instant::now() + Duration::from_secs(1);
    client.query("select pg_sleep(1)").await;
    assert_eq!(sent_away(&mut client, since).await.code(), "57P05");
}

async fn is_cancelled(client: &mut RawClient) {
    let since = Instant::now();
    let result = client.query("select pg_sleep(60)").await;
    let after = since.elapsed();
    let error = result.unwrap_error();
    assert_eq!((error.severity(), error.code()), ("ERROR", "57014"), "{error:?}");
    assert!(after >= TIMEOUT, "early: {after:?}: {result:?}");
    assert!(after < Duration::from_secs(9), "late: {after:?}");
    assert_eq!(result.notices.len(), 1, "a notice says whose timeout it was: {result:?}");
    assert!(result.notices[0].message().contains("query_timeout"), "{result:?}");
}

#[tokio::test]
async fn a_long_query_is_cancelled_and_the_client_stays() {
    let stage = Stage::new("timeout_query", "pool_size = 1\nquery_timeout = \"700ms\"");
    let mut client = stage.client().await;
    let pid = backend_pid(&mut client).await;
    is_cancelled(&mut client).await;
    is_cancelled(&mut client).await;
    assert_eq!(backend_pid(&mut client).await, pid, "the server stays, too");
    for _ in 0..4 {
        assert!(
            client.query("select pg_sleep(0.3)").await.error.is_none(),
            "each query has its time"
        );
    }
}

#[tokio::test]
async fn each_query_of_a_session_has_its_own_time() {
    let settings = "pool_mode = \"session\"\npool_size = 1\nquery_timeout = \"700ms\"";
    let stage = Stage::new("timeout_query_session", settings);
    let mut client = stage.client().await;
    for _ in 0..4 {
        assert!(client.query("select pg_sleep(0.3)").await.error.is_none());
    }
    is_cancelled(&mut client).await;
    assert_eq!(client.query("select 1").await.value(), "1");
    is_cancelled(&mut client).await;
    assert_eq!(client.query("select 2").await.value(), "2");
}

#[tokio::test]
async fn each_query_of_a_transaction_has_its_own_time() {
    let stage = Stage::new("timeout_query_transaction", "query_timeout = \"700ms\"");
    let mut client = stage.client().await;
    client.query("begin; savepoint s").await;
    for _ in 0..2 {
        assert!(client.query("select pg_sleep(0.4)").await.error.is_none());
        is_cancelled(&mut client).await;
        assert!(client.query("rollback to s").await.error.is_none());
    }
    assert_eq!(client.query("commit").await.tags, ["COMMIT"]);
}

#[tokio::test]
async fn an_idle_transaction_is_ended_and_its_server_used_again() {
    let stage =
        Stage::new("timeout_in_transaction", "pool_size = 1\nidle_transaction_timeout = \"700ms\"");
    stage.cluster.psql_in(&stage.database, "create table kept (a int)");
    let mut client = stage.client().await;
    client.query("begin").await;
    let pid = backend_pid(&mut client).await;
    client.query("insert into kept values (1)").await;
    let since = Instant::now() + Duration::from_millis(1200);
    assert!(client.query("select pg_sleep(1.2)").await.error.is_none(), "working is not idling");
    let error = sent_away(&mut client, since).await;
    assert_eq!(error.code(), "25P03");
    assert!(error.message().contains("idle_transaction_timeout"), "{error:?}");
    let mut next = stage.client().await;
    assert_eq!(next.query("select count(*) from kept").await.value(), "0", "rolled back");
    assert_eq!(backend_pid(&mut next).await, pid, "the same server");
}

#[tokio::test]
async fn a_long_transaction_is_ended_whether_it_works_or_idles() {
    let stage = Stage::new("timeout_transaction", "pool_size = 1\ntransaction_timeout = \"700ms\"");
    stage.cluster.psql_in(&stage.database, "create table kept (a int)");
    for last in ["select pg_sleep(60)", "select 1"] {
        let mut client = stage.client().await;
        let since = Instant::now();
        client.query("begin").await;
        client.query("insert into kept values (1)").await;
        client.send(&frontend::query(last)).await;
        let error = sent_away(&mut client, since).await;
        assert_eq!(error.code(), "25P04", "{error:?}");
        assert!(error.message().contains("transaction_timeout"), "{error:?}");
    }
    let mut next = stage.client().await;
    assert_eq!(next.query("select count(*) from kept").await.value(), "0", "rolled back");
}
