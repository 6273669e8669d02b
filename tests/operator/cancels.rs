//! Requests to cancel a query, while they are under way: who sees them, and where.

use pgusher_testkit::{FakeServer, QueryResult, RawClient, frontend};
use tokio::net::TcpListener;

use super::stage::{LIMIT, builder, login, start};

fn cell<'a>(all: &'a QueryResult, row: &'a [Option<String>], column: &str) -> &'a str {
    let at = all.columns.iter().position(|name| name == column).unwrap();
    row[at].as_deref().unwrap_or_default()
}

/// Asks until some row holds what is looked for, and gives that row as the text of some columns.
async fn row(
    console: &mut RawClient,
    query: &str,
    (column, value): (&str, &str),
    columns: &[&str],
) -> Vec<String> {
    let all = console.query_until(query, LIMIT, |all| all.column(column).contains(&value)).await;
    let found = all.rows.iter().find(|row| cell(&all, row, column) == value).unwrap();
    columns.iter().map(|column| cell(&all, found, column).to_owned()).collect()
}

/// A server whose cancel requests stay open until the test lets them go.
#[tokio::test]
async fn a_request_is_a_client_until_it_is_over() {
    let (release, released) = tokio::sync::watch::channel(false);
    let server = FakeServer::start_unread(move |mut connection| {
        let mut released = released.clone();
        async move {
            let Some(head) = connection.recv_bytes(8).await else { return };
            if head[4..] == 80_877_102_u32.to_be_bytes() {
                let _ = released.wait_for(|is| *is).await;
                return;
            }
            let rest = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize - 8;
            let _ = connection.recv_bytes(rest).await;
            connection.login_trust(&[("server_version", "15.0")], 4711, &[1, 2, 3, 4]).await;
            connection.until_gone().await;
        }
    })
    .await;
    let database = format!("app = host=127.0.0.1 port={} user=app\n", server.port());
    let pgusher = start("pool_mode = transaction", &database);
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let mut client = login(&pgusher, "app", "app").await;
    client.send(&frontend::query("select 1")).await;
    let active = row(&mut console, "SHOW CLIENTS", ("state", "active"), &["link"]);
    let server_of_client = active.await[0].clone();
    let mut request = RawClient::connect(pgusher.port()).await;
    request.send(&frontend::cancel_request(client.pid(), client.key())).await;
    let columns = ["type", "user", "database", "link"];
    let expected = ["C", "app", "app", server_of_client.as_str()];
    let seen = row(&mut console, "SHOW CLIENTS", ("state", "active_cancel_req"), &columns).await;
    assert_eq!(seen, expected);
    let seen = row(&mut console, "SHOW SOCKETS", ("state", "cl_active_cancel_req"), &columns).await;
    assert_eq!(seen, expected);
    let columns =
        ["cl_active", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active_cancel"];
    let seen = row(&mut console, "SHOW POOLS", ("database", "app"), &columns).await;
    assert_eq!(seen, ["1", "1", "0", "1"]);
    release.send_replace(true);
    request.expect_closed().await;
    let gone = console.query("SHOW CLIENTS").await;
    let is_request = |row: &&Vec<Option<String>>| cell(&gone, row, "state") == "active_cancel_req";
    assert_eq!(gone.rows.iter().filter(is_request).count(), 0, "{gone:?}");
}

/// A peer that takes requests and does not finish them: one place, so that the second waits.
#[tokio::test]
async fn requests_for_a_peer_are_counted() {
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peers = format!(
        "peer_id = 1\ncancel_wait_timeout = 600\n[peers]\n2 = host=127.0.0.1 port={} pool_size=1\n",
        peer.local_addr().unwrap().port()
    );
    let pgusher = builder(&peers, "").start();
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let columns = ["cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active_cancel", "sv_login"];
    let counted = async |console: &mut RawClient| {
        row(console, "SHOW PEER_POOLS", ("peer_id", "2"), &columns).await
    };
    let becomes = async |console: &mut RawClient, expected: [&str; 4]| {
        let is_so = |all: &QueryResult| {
            let mut peers = all.rows.iter().filter(|row| cell(all, row, "peer_id") == "2");
            peers.any(|row| columns.map(|column| cell(all, row, column)) == expected)
        };
        console.query_until("SHOW PEER_POOLS", LIMIT, is_so).await;
    };
    assert_eq!(counted(&mut console).await, ["0", "0", "0", "0"]);
    let pid = 0x0102_0034;
    let mut requests = Vec::new();
    for _ in 0..2 {
        let mut request = RawClient::connect(pgusher.port()).await;
        request.send(&frontend::cancel_request(pid, &[1, 2, 3, 7])).await;
        requests.push(request);
    }
    let accept = async || tokio::time::timeout(LIMIT, peer.accept()).await.unwrap().unwrap().0;
    let first = accept().await;
    becomes(&mut console, ["1", "1", "1", "0"]).await;
    drop(first);
    let second = accept().await;
    becomes(&mut console, ["1", "0", "1", "0"]).await;
    drop(second);
    for mut request in requests {
        request.expect_closed().await;
    }
    assert_eq!(counted(&mut console).await, ["0", "0", "0", "0"]);
}
