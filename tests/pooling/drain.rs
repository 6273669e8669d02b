//! Stopping: SIGTERM lets transactions finish.

use std::time::{Duration, Instant};

use pgusher_testkit::{FakeServer, RawClient, Signal, frontend};
use tokio::net::TcpStream;

use crate::stage::{LIMIT, Stage, before_fake, login, until};

#[tokio::test]
async fn sigterm_closes_the_door_and_lets_transactions_finish() {
    let mut stage = Stage::new("drain_orderly", "pool_size = 3");
    stage.cluster.psql_in(&stage.database, "create table kept (a int)");
    let (mut idle, mut busy) = (stage.client().await, stage.client().await);
    idle.query("select 1").await;
    busy.query("begin").await;
    busy.query("insert into kept values (1)").await;
    let mut working = stage.client().await;
    working.send(&frontend::query("select pg_sleep(1), 'done'")).await;
    stage.eye().await.expect(2).await;
    stage.pgusher.signal(Signal::TERM);
    let error = idle.expect_fatal().await;
    assert_eq!((error.severity(), error.code()), ("FATAL", "57P01"), "{error:?}");
    let port = stage.pgusher.port();
    let mut refused = false;
    for _ in 0..500 {
        refused = TcpStream::connect(("127.0.0.1", port)).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused, "the listener is closed");
    let result = working.read_result().await;
    assert_eq!(result.rows[0][1].as_deref(), Some("done"), "a running query finishes");
    assert_eq!(working.expect_fatal().await.code(), "57P01");
    busy.query("insert into kept values (2)").await;
    assert!(stage.pgusher.try_exit().is_none(), "waits for the transaction");
    assert_eq!(busy.query("commit").await.tags, ["COMMIT"]);
    assert_eq!(busy.expect_fatal().await.code(), "57P01");
    assert_eq!(stage.pgusher.wait_exit(LIMIT).code(), Some(0), "{}", stage.pgusher.log());
    assert_eq!(stage.cluster.psql_in(&stage.database, "select sum(a) from kept"), "3");
}

#[tokio::test]
async fn without_clients_it_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = FakeServer::echo().await;
        let mut pgusher = before_fake(&server, "");
        let asked = Instant::now();
        pgusher.signal(signal);
        assert_eq!(pgusher.wait_exit(LIMIT).code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn clients_in_the_queue_are_served_before_the_end() {
    let mut stage = Stage::new("drain_queue", "pool_size = 1\nquery_wait_notify = \"20ms\"");
    let (mut holder, mut waiter) = (stage.client().await, stage.client().await);
    holder.query("begin").await;
    waiter.send(&frontend::query("select 'served'")).await;
    assert_eq!(waiter.recv().await.tag, b'N');
    stage.pgusher.signal(Signal::TERM);
    stage.pgusher.wait_log("draining", LIMIT);
    holder.query("commit").await;
    assert_eq!(waiter.read_result().await.value(), "served");
    assert_eq!(waiter.expect_fatal().await.code(), "57P01");
    assert!(stage.pgusher.wait_exit(LIMIT).success());
}

async fn in_transaction(drain_timeout: &str) -> (FakeServer, pgusher_testkit::Pgusher, RawClient) {
    let server = FakeServer::echo().await;
    let process = format!("drain_timeout = \"{drain_timeout}\"");
    let sections = crate::stage::database("app", server.port(), "");
    let pgusher = crate::stage::trusting(&process, &sections).start();
    let mut client = login(&pgusher, "app").await;
    client.query("begin").await;
    (server, pgusher, client)
}

#[tokio::test]
async fn drain_timeout_cuts_off_what_does_not_finish() {
    let (server, mut pgusher, mut client) = in_transaction("1s").await;
    let asked = Instant::now();
    pgusher.signal(Signal::TERM);
    assert_eq!(client.expect_fatal().await.code(), "57P01");
    assert!(asked.elapsed() >= Duration::from_secs(1), "early: {:?}", asked.elapsed());
    assert!(pgusher.wait_exit(LIMIT).success(), "{}", pgusher.log());
    assert!(pgusher.log().contains("drain_timeout is over"), "{}", pgusher.log());
    until("the server's connection is closed", || server.open_connections() == 0).await;
}

#[tokio::test]
async fn a_second_sigterm_stops_at_once() {
    let (_server, mut pgusher, mut client) = in_transaction("10m").await;
    pgusher.signal(Signal::TERM);
    pgusher.wait_log("draining", LIMIT);
    assert_eq!(client.query("select 1").await.value(), "select 1", "still served");
    let asked = Instant::now();
    pgusher.signal(Signal::TERM);
    assert_eq!(client.expect_fatal().await.code(), "57P01");
    assert!(pgusher.wait_exit(LIMIT).success());
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}
