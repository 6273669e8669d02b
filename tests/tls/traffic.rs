//! Much traffic through TLS on both sides: nothing stalls, nothing is lost.

use std::fmt::Write as _;

use pgusher_testkit::{Pgusher, RawClient, backend, frontend};

use crate::stage::{LIMIT, ON, cluster, config, configured, pgusher};
use crate::tunnel::Tunnel;

/// A pgusher with TLS on both sides, and a client of it.
async fn stage(protocol: &str) -> (Pgusher, Tunnel, RawClient) {
    let settings =
        format!("sslmode = \"verify-full\"\nca_file = \"root.crt\"\nprotocols = \"{protocol}\"");
    let pgusher =
        pgusher(cluster().port(), &format!("{ON}\nprotocols = \"{protocol}\""), &settings).start();
    let tunnel = Tunnel::to(pgusher.port()).await;
    let mut client = RawClient::login(tunnel.port(), "postgres", "alice", "secret").await;
    client.set_time_limit(LIMIT);
    (pgusher, tunnel, client)
}

/// A record holds 16 KiB: sizes on both sides of every edge there is, in both directions.
#[tokio::test]
async fn values_of_every_size_come_back() {
    for protocol in ["tlsv1.3", "tlsv1.2"] {
        let (_pgusher, _tunnel, mut client) = stage(protocol).await;
        let record = 16 * 1024;
        let edges = [record, 2 * record, 4 * record, 64 * record];
        let around = |edge: usize| (edge - 40..edge + 8).step_by(3);
        for size in edges.into_iter().flat_map(around).chain([0, 1, 5_000_000]) {
            let text = "x".repeat(size);
            let result = client.query_extended("select $1::text", &[Some(&text)]).await;
            assert!(result.value() == text, "{size} bytes came back as {}", result.value().len());
        }
    }
}

/// A client that reads nothing for a while stops everything behind it, and nothing is lost.
#[tokio::test]
async fn a_large_result_waits_for_a_slow_reader() {
    let (_pgusher, _tunnel, mut client) = stage("secure").await;
    let rows = 60_000;
    let sql = format!("select n, repeat(md5(n::text), 10) from generate_series(1, {rows}) n");
    client.send(&frontend::query(&sql)).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let result = client.read_result().await;
    assert_eq!(result.rows.len(), rows);
    assert_eq!(result.rows[rows - 1][0].as_deref(), Some("60000"));
}

#[tokio::test]
async fn copy_goes_both_ways() {
    let (_pgusher, _tunnel, mut client) = stage("secure").await;
    client.query("begin").await;
    client.query("create temp table bulk (n int, t text) on commit drop").await;
    client.send(&frontend::query("copy bulk from stdin")).await;
    client.recv_until(b'G').await;
    let (rows, mut sent) = (100_000, String::new());
    for n in 0..rows {
        let _ = writeln!(sent, "{n}\t{}", "y".repeat(n % 97));
    }
    // Pieces that fit neither records nor buffers.
    for piece in sent.as_bytes().chunks(16_381) {
        client.send(&backend::copy_data(piece)).await;
    }
    client.send(&frontend::copy_done()).await;
    client.read_ready().await;
    client.send(&frontend::query("copy (select * from bulk order by n) to stdout")).await;
    let mut got = Vec::with_capacity(sent.len());
    for message in client.read_ready().await {
        if message.tag == b'd' {
            got.extend_from_slice(&message.body);
        }
    }
    assert!(got == sent.as_bytes(), "{} bytes of {}", got.len(), sent.len());
    client.query("commit").await;
}

/// Many small requests at once: many records in one receive, and answers in order.
#[tokio::test]
async fn a_deep_pipeline_is_answered_in_order() {
    let (_pgusher, _tunnel, mut client) = stage("secure").await;
    let mut batch = Vec::new();
    for n in 0..2_000 {
        batch.extend(frontend::query(&format!("select {n}")));
    }
    client.send(&batch).await;
    for n in 0..2_000 {
        assert_eq!(client.read_result().await.value(), n.to_string());
    }
}

/// Clients on several threads share servers with TLS, which go from thread to thread with all that TLS holds.
#[tokio::test]
async fn servers_move_between_threads_with_their_tls() {
    let config = crate::stage::config(
        cluster().port(),
        ON,
        "sslmode = \"verify-ca\"\nca_file = \"root.crt\"",
    )
    .replace("[http]", "worker_threads = 3\n[http]")
    .replace("[defaults]", "[defaults]\ndefault_pool_size = 2");
    let pgusher = crate::stage::configured(&config).start();
    let tunnel = Tunnel::to(pgusher.port()).await;
    let port = tunnel.port();
    let clients = (0..12).map(|number| {
        tokio::spawn(async move {
            let mut client = RawClient::login(port, "postgres", "alice", "secret").await;
            client.set_time_limit(LIMIT);
            for round in 0..200 {
                let nonce = format!("{number}-{round}");
                let sql = format!("select '{nonce}', repeat('z', {})", (round * 331) % 40_000);
                let result = client.query(&sql).await;
                assert_eq!(result.rows[0][0].as_deref(), Some(nonce.as_str()));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// A client that does not wait for its login to end: what it asks is inside of TLS before anybody may look at it.
#[tokio::test]
async fn requests_behind_the_start_up_packet_are_not_forgotten() {
    let text = crate::stage::config(cluster().port(), ON, "")
        .replace("auth_file = \"userlist.txt\"", "auth_type = \"trust\"");
    let pgusher = crate::stage::configured(&text).start();
    let tunnel = Tunnel::to(pgusher.port()).await;
    for size in [10, 16_000, 16_384, 40_000, 200_000] {
        let mut client = RawClient::connect(tunnel.port()).await;
        client.set_time_limit(LIMIT);
        let mut all = frontend::startup(0, &[("user", "postgres"), ("database", "postgres")]);
        all.extend(frontend::query(&format!("select length('{}')", "x".repeat(size))));
        client.send(&all).await;
        client.read_ready().await;
        assert_eq!(client.read_result().await.value(), size.to_string());
    }
}

/// A client that changes its worker takes its TLS session along.
#[tokio::test]
async fn clients_move_between_workers() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1) {
        println!("skipped: with one processor there is one worker");
        return;
    }
    let debug = "log_level = \"debug\"";
    let config = config(cluster().port(), ON, "sslmode = \"require\"");
    let pgusher = configured(&config.replace(debug, &format!("{debug}\nworker_full = 1"))).start();
    let tunnel = Tunnel::to(pgusher.port()).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = RawClient::login(tunnel.port(), "postgres", "alice", "secret").await;
        client.set_time_limit(LIMIT);
        clients.push(client);
    }
    let deadline = tokio::time::Instant::now() + LIMIT;
    let mut round = 0;
    while !pgusher.log().contains("client moved") {
        assert!(tokio::time::Instant::now() < deadline, "nobody moved: {}", pgusher.log());
        for client in &mut clients {
            round += 1;
            let asked = format!("{round}").repeat(1 + round % 5_000);
            let result = client.query_extended("select $1::text", &[Some(&asked)]).await;
            assert_eq!(result.value(), asked);
        }
    }
    for client in &mut clients {
        assert_eq!(client.query("select 'there'").await.value(), "there");
    }
}
