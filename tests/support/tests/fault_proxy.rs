//! The fault proxy between the raw client and a real PostgreSQL.

use pgusher_testkit::{
    Cluster, Direction, Fault, FaultProxy, NoMessage, RawClient, frontend, wait_for,
};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(100);

async fn proxied() -> (FaultProxy, RawClient) {
    let proxy = FaultProxy::start(([127, 0, 0, 1], Cluster::shared().port())).await;
    let client = RawClient::login(proxy.port(), "postgres", "postgres", "").await;
    (proxy, client)
}

#[tokio::test]
async fn passes_and_counts() {
    let (proxy, mut client) = proxied().await;
    let before = proxy.bytes(Direction::ToServer);
    let query = frontend::query("select repeat('x', 1000000)");
    client.send(&query).await;
    assert_eq!(client.read_result().await.value().len(), 1_000_000);
    assert_eq!(proxy.bytes(Direction::ToServer) - before, query.len() as u64);
    assert!(proxy.bytes(Direction::ToClient) > 1_000_000);
    assert_eq!((proxy.connections(), proxy.open_connections()), (1, 1));
    client.terminate().await;
    assert!(wait_for(LIMIT, || proxy.open_connections() == 0).await);
}

#[tokio::test]
async fn stalls_and_goes_on() {
    let (proxy, mut client) = proxied().await;
    proxy.set(Direction::ToClient, Fault::Stall);
    client.send(&frontend::query("select 1")).await;
    client.set_time_limit(SHORT);
    assert_eq!(client.try_recv().await, Err(NoMessage::TimedOut));
    client.set_time_limit(LIMIT);
    proxy.stall(false);
    assert_eq!(client.read_result().await.value(), "1");
}

#[tokio::test]
async fn cuts_within_a_message() {
    let (proxy, mut client) = proxied().await;
    proxy.set(Direction::ToClient, Fault::CutAfter(7));
    client.send(&frontend::query("select 1")).await;
    assert_eq!(client.try_recv().await, Err(NoMessage::ClosedWithin));
}

#[tokio::test]
async fn resets_after_some_bytes() {
    let (proxy, mut client) = proxied().await;
    proxy.set_on(0, Direction::ToServer, Fault::ResetAfter(3));
    client.send(&frontend::query("select 1")).await;
    assert_eq!(client.try_recv().await, Err(NoMessage::Reset));
}

#[tokio::test]
async fn truncates_in_silence() {
    let (proxy, mut client) = proxied().await;
    let ready_only = frontend::query("").len() as u64;
    proxy.set(Direction::ToServer, Fault::Truncate(ready_only));
    client.send(&[frontend::query(""), frontend::query("select 1")].concat()).await;
    assert_eq!(client.read_result().await.status, b'I');
    client.set_time_limit(SHORT);
    assert_eq!(client.try_recv().await, Err(NoMessage::TimedOut));
    assert_eq!(proxy.open_connections(), 1);
}

#[tokio::test]
async fn throttles() {
    let (proxy, mut client) = proxied().await;
    proxy.set(Direction::ToClient, Fault::Throttle(20_000));
    let asked = Instant::now();
    assert_eq!(client.query("select repeat('x', 5000)").await.value().len(), 5000);
    assert!(asked.elapsed() >= Duration::from_millis(200), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn kills_or_closes_all() {
    let (proxy, mut client) = proxied().await;
    let mut other = RawClient::login(proxy.port(), "postgres", "postgres", "").await;
    proxy.kill_all();
    assert_eq!(client.try_recv().await, Err(NoMessage::Reset));
    assert_eq!(other.try_recv().await, Err(NoMessage::Reset));
    let mut client = RawClient::login(proxy.port(), "postgres", "postgres", "").await;
    proxy.close_all();
    assert_eq!(client.try_recv().await, Err(NoMessage::Closed));
    drop(client);
    assert!(wait_for(LIMIT, || proxy.open_connections() == 0).await);
}

#[tokio::test]
async fn a_standing_fault_meets_new_connections() {
    let (proxy, mut old) = proxied().await;
    proxy.set_for_new(Direction::ToClient, Fault::CutAfter(0));
    let mut client = RawClient::connect(proxy.port()).await;
    client.expect_closed().await;
    assert_eq!(old.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn refuses_as_a_server_that_is_down() {
    let (mut proxy, mut old) = proxied().await;
    proxy.set_listening(false).await;
    let refused = tokio::net::TcpStream::connect(proxy.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(old.query("select 1").await.value(), "1");
    proxy.set_listening(true).await;
    RawClient::login(proxy.port(), "postgres", "postgres", "").await;
}
