//! Clients that wait for a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgusher_testkit::{FakeServer, RawClient, frontend};
use tokio::sync::Semaphore;

use crate::stage::{LIMIT, Stage, answer_queries, before_fake, until};

/// Sends a query and waits until the client is known to stand in the queue: `query_wait_notify` says so.
async fn stand_in_queue(client: &mut RawClient, sql: &str) {
    client.send(&frontend::query(sql)).await;
    let notice = client.recv().await;
    assert_eq!(notice.tag, b'N', "{notice:?}");
    let notice = notice.error();
    assert_eq!((notice.severity(), notice.code()), ("NOTICE", "53300"), "{notice:?}");
    let detail = notice.detail().unwrap_or_default();
    assert!(detail.contains("1 of 1 servers busy"), "{notice:?}");
}

#[tokio::test]
async fn first_come_first_served() {
    let settings = "pool_size = 1\nquery_wait_notify = \"20ms\"\nquery_wait_timeout = \"60s\"";
    let stage = Stage::with("queue_fifo", "worker_threads = 2", settings, "");
    stage.cluster.psql_in("queue_fifo", "create table turns (turn serial, name int)");
    let mut holder = stage.client().await;
    holder.query("begin").await;
    let mut waiters = Vec::new();
    for name in 0..12 {
        let mut waiter = stage.client().await;
        stand_in_queue(&mut waiter, &format!("insert into turns (name) values ({name})")).await;
        waiters.push(waiter);
    }
    holder.query("commit").await;
    for waiter in &mut waiters {
        assert_eq!(waiter.read_result().await.tags, ["INSERT 0 1"]);
    }
    let order = stage
        .cluster
        .psql_in("queue_fifo", "select string_agg(name::text, ' ' order by turn) from turns");
    assert_eq!(order, "0 1 2 3 4 5 6 7 8 9 10 11");
}

/// So many clients come to a cold pool at once, with logins that take until the test allows; gives how many logins to
/// the server were under way together, and how many there were in the end.
async fn cold_start(clients: usize, pool_size: usize) -> (usize, usize) {
    let allowed = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&allowed);
    let server = FakeServer::start(move |conn| {
        let gate = Arc::clone(&gate);
        async move {
            drop(gate.acquire().await);
            answer_queries(conn).await;
        }
    })
    .await;
    let settings = format!("pool_size = {pool_size}\nserver_connect_timeout = \"60s\"");
    let pgusher = before_fake(&server, &settings);
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let port = pgusher.port();
        logins.spawn(async move {
            let mut client = RawClient::connect(port).await;
            client.set_time_limit(LIMIT);
            client.startup(0, &[("user", "u"), ("database", "app")]).await;
            client.authenticate("u", "").await.unwrap();
            assert_eq!(client.query("select 1").await.value(), "select 1");
        });
    }
    until("as many logins as are needed", || server.connections() >= clients.min(pool_size)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let together = server.connections();
    allowed.add_permits(1000);
    logins.join_all().await;
    (together, server.connections())
}

#[tokio::test]
async fn a_cold_pool_dials_for_each_waiter_at_once_and_for_nobody_else() {
    assert_eq!(cold_start(4, 10).await, (4, 4));
}

#[tokio::test]
async fn a_cold_pool_dials_no_more_than_its_size() {
    assert_eq!(cold_start(15, 6).await, (6, 6));
}

#[tokio::test]
async fn query_wait_timeout_is_an_error_with_facts_and_the_client_stays() {
    let settings = "pool_size = 1\nquery_wait_timeout = \"400ms\"\nquery_wait_notify = \"off\"";
    let stage = Stage::new("queue_timeout", settings);
    let (mut holder, mut client) = (stage.client().await, stage.client().await);
    holder.query("set application_name = 'the holder'").await;
    holder.query("begin").await;
    for extended in [false, true, false] {
        let asked = Instant::now();
        let result = if extended {
            client.query_extended("select $1::int", &[Some("1")]).await
        } else {
            client.query("select 1").await
        };
        let error = result.unwrap_error();
        let waited = asked.elapsed();
        assert!(waited >= Duration::from_millis(400), "too early: {waited:?}");
        assert_eq!((error.severity(), error.code()), ("ERROR", "53300"), "{error:?}");
        assert!(error.message().contains("query_wait_timeout"), "{error:?}");
        let detail = error.detail().unwrap();
        assert!(detail.starts_with("Pool queue_timeout/postgres: 1 of 1 servers busy"), "{detail}");
        assert!(detail.contains("(1 of them idle in transaction, 0 pinned)"), "{detail}");
        assert!(detail.contains("Held for longest: the holder (user postgres, from"), "{detail}");
        assert!(detail.contains("last statement: begin"), "{detail}");
        assert!(error.hint().unwrap().contains("idle_transaction_timeout"), "{error:?}");
        assert_eq!(result.status, b'I', "outside of any transaction");
    }
    holder.query("commit").await;
    assert_eq!(client.query("select 2").await.value(), "2");
    assert_eq!(client.query_extended("select 1 + $1::int", &[Some("2")]).await.value(), "3");
}

#[tokio::test]
async fn a_pipeline_that_gets_no_server_is_answered_sync_by_sync() {
    let settings = "pool_size = 1\nquery_wait_timeout = \"300ms\"\nquery_wait_notify = \"off\"";
    let stage = Stage::new("queue_pipeline", settings);
    let (mut holder, mut client) = (stage.client().await, stage.client().await);
    holder.query("begin").await;
    let batch = [
        frontend::parse("", "select 1", &[]),
        frontend::bind("", "", &[]),
        frontend::execute("", 0),
        frontend::sync(),
    ]
    .concat();
    client.send(&[batch.clone(), batch].concat()).await;
    for _ in 0..2 {
        let result = client.read_result().await;
        assert_eq!(result.unwrap_error().code(), "53300");
    }
    holder.query("commit").await;
    assert_eq!(client.query("select 'alive'").await.value(), "alive");
}

#[tokio::test]
async fn query_wait_notify_comes_once_and_the_query_goes_on() {
    let settings = "pool_size = 1\nquery_wait_notify = \"200ms\"";
    let stage = Stage::new("queue_notify", settings);
    let (mut holder, mut client) = (stage.client().await, stage.client().await);
    holder.query("begin").await;
    let asked = Instant::now();
    stand_in_queue(&mut client, "select 'served'").await;
    assert!(asked.elapsed() >= Duration::from_millis(200), "too early: {:?}", asked.elapsed());
    tokio::time::sleep(Duration::from_millis(500)).await;
    holder.query("commit").await;
    let result = client.read_result().await;
    assert_eq!((result.value(), result.notices.len()), ("served", 0), "one notice, not two");
}

#[tokio::test]
async fn a_waiter_that_goes_away_is_not_served() {
    let settings = "pool_size = 1\nquery_wait_notify = \"20ms\"";
    let stage = Stage::new("queue_leaver", settings);
    stage.cluster.psql_in("queue_leaver", "create table done (name text)");
    let mut holder = stage.client().await;
    holder.query("begin").await;
    let mut closes = stage.client().await;
    stand_in_queue(&mut closes, "insert into done values ('closes')").await;
    let mut resets = stage.client().await;
    stand_in_queue(&mut resets, "insert into done values ('resets')").await;
    let mut pipelines = stage.client().await;
    stand_in_queue(&mut pipelines, "insert into done values ('pipelines')").await;
    pipelines.send(&frontend::query("insert into done values ('more')")).await;
    let mut stays = stage.client().await;
    stand_in_queue(&mut stays, "insert into done values ('stays')").await;
    drop(closes);
    resets.reset();
    drop(pipelines);
    // All three are gone when pgusher has closed their sockets, too; it logs each departure.
    until("three departures", || stage.pgusher.log().matches("client disconnected").count() >= 3)
        .await;
    holder.query("commit").await;
    assert_eq!(stays.read_result().await.tags, ["INSERT 0 1"]);
    assert_eq!(stage.cluster.psql_in("queue_leaver", "table done"), "stays");
}
