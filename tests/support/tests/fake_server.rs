//! The fake server, seen by the raw client.

use pgusher_testkit::{FakeServer, NoMessage, RawClient, backend, frontend, wait_for};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn runs_its_script() {
    let server = FakeServer::start(async |mut conn: pgusher_testkit::FakeConn| {
        assert_eq!(conn.startup().params["database"], "db");
        assert_eq!(conn.ask_password().await.as_deref(), Some("pw"));
        conn.login_trust(&[("server_version", "99.1")], 4711, b"a key of odd length").await;
        let query = conn.recv_until(b'Q').await.unwrap();
        assert_eq!(query.texts(), ["select 1"]);
        conn.send(&backend::parameter_status("TimeZone", "Mars")).await;
        conn.rows(&["a", "b"], &[&[Some("1"), None], &[Some("2"), Some("")]]).await;
        conn.ready(b'T').await;
        conn.recv_until(b'Q').await.unwrap();
        conn.error("FATAL", "57P01", "going").await;
        conn.close().await;
    })
    .await;
    let mut client = RawClient::login(server.port(), "db", "me", "pw").await;
    assert_eq!((client.pid(), client.key()), (4711, &b"a key of odd length"[..]));
    let result = client.query("select 1").await;
    assert_eq!(result.rows.len(), 2);
    assert_eq!(
        (result.status, result.params),
        (b'T', vec![("TimeZone".to_owned(), "Mars".to_owned())])
    );
    client.send(&frontend::query("again")).await;
    assert_eq!(client.expect_fatal().await.message(), "going");
    assert_eq!((server.accepted(), server.connections()), (1, 1));
    assert_eq!(server.startups()[0].params["user"], "me");
    assert!(wait_for(LIMIT, || server.open_connections() == 0).await);
}

#[tokio::test]
async fn records_cancels_apart_from_connections() {
    let server = FakeServer::echo().await;
    let key: Vec<u8> = (0..=255).collect();
    RawClient::cancel(server.port(), 7, &key).await;
    let cancels = server.cancels();
    assert_eq!((cancels[0].pid, &cancels[0].key[..]), (7, &key[..]));
    assert_eq!((server.accepted(), server.connections()), (1, 0));
}

#[tokio::test]
async fn echoes_queries() {
    let server = FakeServer::echo().await;
    let mut client = RawClient::connect(server.port()).await;
    client.send(&frontend::ssl_request()).await;
    assert_eq!(client.recv_byte().await, b'N');
    client.startup(2, &[("user", "me")]).await;
    client.authenticate("me", "").await.unwrap();
    assert_eq!(client.query("select 'x'").await.value(), "select 'x'");
    assert_eq!(client.query_extended("select 'y'", &[]).await.value(), "select 'y'");
    assert_eq!(client.query("begin").await.status, b'T');
    let failed = client.query_extended("fail", &[]).await;
    assert_eq!((failed.unwrap_error().code(), failed.status), ("22000", b'E'));
    let ended = client.query("rollback").await;
    assert_eq!((ended.tags, ended.status), (vec!["ROLLBACK".to_owned()], b'I'));
    server.set_delay(Duration::from_millis(60));
    let asked = Instant::now();
    client.query("select pg_sleep(0.05)").await;
    assert!(asked.elapsed() >= Duration::from_millis(110));
}

#[tokio::test]
async fn a_cancel_request_ends_a_delay() {
    let server = FakeServer::echo().await;
    let mut client = RawClient::login(server.port(), "db", "me", "").await;
    client.query("select 1").await;
    client.send(&frontend::query("select pg_sleep(600)")).await;
    // A request that comes before the query is none of its business, here as in PostgreSQL: ask until one counts.
    client.set_time_limit(Duration::from_millis(50));
    let result = loop {
        RawClient::cancel(server.port(), client.pid(), client.key()).await;
        match client.try_recv().await {
            Ok(message) => break message.error(),
            Err(reason) => assert_eq!(reason, NoMessage::TimedOut),
        }
    };
    assert_eq!(result.code(), "57014");
}

#[tokio::test]
async fn resets_and_speaks_unread() {
    let server = FakeServer::start_unread(async |mut conn: pgusher_testkit::FakeConn| {
        assert_eq!(conn.recv_bytes(8).await.unwrap(), frontend::ssl_request());
        conn.send(b"E").await;
        conn.reset();
    })
    .await;
    let mut client = RawClient::connect(server.port()).await;
    client.send(&frontend::ssl_request()).await;
    assert_eq!(client.recv_byte().await, b'E');
    assert_eq!(client.try_recv().await, Err(NoMessage::Reset));
}

#[tokio::test]
async fn a_panic_in_a_script_fails_the_test() {
    let server = FakeServer::start(async |_| panic!("an expectation of the script")).await;
    let mut client = RawClient::connect(server.port()).await;
    client.startup(0, &[("user", "me")]).await;
    client.expect_closed().await;
    assert!(wait_for(LIMIT, || server.open_connections() == 0).await);
    let panic =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(server))).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("an expectation of the script"));
}

#[tokio::test]
async fn a_stopped_server_refuses() {
    let server = FakeServer::echo().await;
    let port = server.port();
    let mut client = RawClient::login(port, "db", "me", "").await;
    server.stop().await;
    client.expect_closed().await;
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err());
}
