//! The life of server connections.

use std::time::{Duration, Instant};

use pgusher_testkit::{Cluster, Direction, Fault, FaultProxy, StopMode};

use crate::stage::{LIMIT, Stage, backend_pid, database, login, trusting, until};

#[tokio::test]
async fn old_servers_are_replaced_not_all_at_once_and_never_early() {
    let stage = Stage::new("servers_lifetime", "pool_size = 8\nserver_lifetime = \"4s\"");
    let mut eye = stage.eye().await;
    let born = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = stage.client().await;
        client.query("begin").await;
        clients.push(client);
    }
    let all_born = Instant::now();
    for client in &mut clients {
        client.query("commit").await;
    }
    assert_eq!(eye.count().await, 8);
    let mut seen = vec![8];
    while seen.last() != Some(&0) {
        assert!(all_born.elapsed() < LIMIT, "servers do not go: {seen:?}");
        let count = eye.count().await;
        if seen.last() != Some(&count) {
            assert!(born.elapsed() >= Duration::from_millis(3600), "early: {:?}", born.elapsed());
            seen.push(count);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(seen.len() > 2, "all at once: {seen:?}");
    assert_eq!(clients[0].query("select 1").await.value(), "1");
}

#[tokio::test]
async fn a_busy_server_past_its_lifetime_finishes_its_transaction() {
    let stage = Stage::new("servers_busy_old", "pool_size = 1\nserver_lifetime = \"300ms\"");
    let mut client = stage.client().await;
    client.query("begin").await;
    let pid = backend_pid(&mut client).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(backend_pid(&mut client).await, pid, "not in the middle of a transaction");
    assert_eq!(client.query("commit").await.tags, ["COMMIT"]);
    assert_ne!(backend_pid(&mut client).await, pid, "replaced afterwards");
}

#[tokio::test]
async fn idle_servers_are_closed_after_their_time() {
    let stage = Stage::new("servers_idle", "server_idle_timeout = \"1s\"");
    let mut eye = stage.eye().await;
    let mut client = stage.client().await;
    client.query("select 1").await;
    let rested = Instant::now();
    eye.expect(1).await;
    eye.expect(0).await;
    assert!(rested.elapsed() >= Duration::from_millis(990), "early: {:?}", rested.elapsed());
    assert_eq!(client.query("select 2").await.value(), "2");
}

#[tokio::test]
async fn a_silent_server_is_noticed_before_it_is_used() {
    let cluster = Cluster::shared();
    let proxy = FaultProxy::start(([127, 0, 0, 1], cluster.port())).await;
    let settings =
        "dbname = \"postgres\"\nserver_check_delay = \"0s\"\nserver_connect_timeout = \"1s\"";
    let pgusher = trusting("", &database("app", proxy.port(), settings)).start();
    let mut client = login(&pgusher, "app").await;
    let pid = backend_pid(&mut client).await;
    assert_eq!(backend_pid(&mut client).await, pid, "a server that answers its check is used");
    proxy.set_on(0, Direction::ToServer, Fault::Stall);
    assert_ne!(backend_pid(&mut client).await, pid, "the query went to a server that lives");
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_server_that_was_busy_lately_is_not_checked() {
    let cluster = Cluster::shared();
    let proxy = FaultProxy::start(([127, 0, 0, 1], cluster.port())).await;
    let settings = "dbname = \"postgres\"\nserver_check_delay = \"60s\"";
    let pgusher = trusting("", &database("app", proxy.port(), settings)).start();
    let mut client = login(&pgusher, "app").await;
    client.query("select 1").await;
    let before = proxy.bytes(Direction::ToServer);
    client.query("select 1").await;
    let message = pgusher_testkit::frontend::query("select 1").len() as u64;
    assert_eq!(proxy.bytes(Direction::ToServer) - before, message, "the query and nothing else");
}

#[tokio::test]
async fn cut_idle_connections_are_noticed_and_nobody_sees_it() {
    let cluster = Cluster::shared();
    let proxy = FaultProxy::start(([127, 0, 0, 1], cluster.port())).await;
    let pgusher = trusting("", &database("app", proxy.port(), "dbname = \"postgres\"")).start();
    let mut client = login(&pgusher, "app").await;
    for (round, cut) in [FaultProxy::close_all, FaultProxy::kill_all].into_iter().enumerate() {
        let pid = backend_pid(&mut client).await;
        cut(&proxy);
        until("the loss is noticed", || {
            pgusher.log().matches("idle server lost").count() == round + 1
        })
        .await;
        assert_ne!(backend_pid(&mut client).await, pid);
    }
}

#[tokio::test]
async fn a_restart_of_postgresql_between_queries_is_not_noticed() {
    let cluster = Cluster::builder().build();
    let pgusher = trusting("", &database("postgres", cluster.port(), "pool_size = 3")).start();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = login(&pgusher, "postgres").await;
        client.query("begin").await;
        clients.push(client);
    }
    for client in &mut clients {
        client.query("commit").await;
    }
    for mode in [StopMode::Fast, StopMode::Immediate] {
        cluster.restart(mode);
        for client in &mut clients {
            let result = client.query("select 1").await;
            assert!(result.error.is_none(), "after {mode:?}: {result:?}");
        }
    }
}

#[tokio::test]
async fn a_killed_server_fails_its_client_alone() {
    let stage = Stage::new("servers_killed", "pool_size = 2");
    let (mut victim, mut other) = (stage.client().await, stage.client().await);
    victim.query("begin").await;
    let pid = backend_pid(&mut victim).await;
    assert!(stage.cluster.kill_backend(pid.parse().unwrap()));
    let error = victim.expect_fatal().await;
    assert_eq!(error.code(), "57P01", "PostgreSQL's own words reach the client");
    assert_eq!(other.query("select 1").await.value(), "1");
}
