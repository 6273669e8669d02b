//! Processes that share a port find each other's clients.

use pgusher_testkit::{Pgusher, RawClient, free_port};

use super::stage::{LIMIT, builder, line, login};

/// Two processes, each with a port of its own and the shared one.
fn pair() -> [Pgusher; 2] {
    let ports = [free_port(), free_port()];
    let peers = format!(
        "[peers]\n1 = host=127.0.0.1 port={}\n2 = host=127.0.0.1 port={}\n",
        ports[0], ports[1]
    );
    [1, 2].map(|id| {
        let port = ports[id - 1];
        let parameters = format!("peer_id = {id}\nverbose = 1\n{peers}");
        builder(&parameters, &line("app", "user=postgres")).port(port).start()
    })
}

#[tokio::test]
async fn a_cancel_request_finds_its_peer() {
    let [first, second] = pair();
    let mut client = login(&first, "app", "app").await;
    assert_eq!(client.pid() >> 8 & 0xffff, 0x0100, "the second and third byte are the peer's id");
    assert_eq!(client.key().last().unwrap() & 3, 3);
    client.send(&query("select pg_sleep(600)")).await;
    let (pid, key) = (client.pid(), client.key().to_vec());
    let mut eye = login(&first, "pgbouncer", "postgres").await;
    while !busy(&mut eye).await {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // The other one has no such client.
    RawClient::cancel(second.port(), pid, &key).await;
    let result = client.read_result().await;
    assert_eq!(result.unwrap_error().code(), "57014");
    second.wait_log("cancel request of a peer's client", LIMIT);
}

#[tokio::test]
async fn a_request_does_not_travel_for_ever() {
    let [first, second] = pair();
    let client = login(&first, "app", "app").await;
    let mut key = client.key().to_vec();
    *key.last_mut().unwrap() &= !3;
    RawClient::cancel(second.port(), client.pid(), &key).await;
    second.wait_log("TTL was exhausted", LIMIT);
}

#[tokio::test]
async fn two_processes_listen_on_one_port() {
    let port = free_port();
    let all = [1, 2]
        .map(|_| builder("so_reuseport = 1", &line("app", "user=postgres")).port(port).start());
    for pgusher in &all {
        login(pgusher, "app", "app").await.query("select 1").await.value();
    }
}

fn query(sql: &str) -> Vec<u8> {
    let length = u32::try_from(sql.len() + 5).unwrap();
    [b"Q", &length.to_be_bytes()[..], sql.as_bytes(), b"\0"].concat()
}

async fn busy(console: &mut RawClient) -> bool {
    let servers = console.query("SHOW SERVERS").await.rows;
    servers.iter().any(|row| row[4].as_deref() == Some("active"))
}
