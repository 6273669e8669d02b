//! Servers that cannot be reached, or refuse the login.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pgusher_testkit::{
    Cluster, ErrorFields, FakeServer, FaultProxy, Pgusher, RawClient, free_port,
};

use crate::stage::{LIMIT, answer_queries, before_fake, database, login, trusting};

async fn refusal(pgusher: &Pgusher, database: &str, user: &str) -> ErrorFields {
    let error = RawClient::try_login(pgusher.port(), database, user, "").await.unwrap_err();
    assert_eq!(error.severity(), "FATAL", "a login that fails is over: {error:?}");
    error
}

/// A server that answers each login with an error until `healthy`.
async fn refusing(code: &'static str, healthy: &Arc<AtomicBool>) -> FakeServer {
    let healthy = Arc::clone(healthy);
    FakeServer::start(move |mut conn| {
        let healthy = Arc::clone(&healthy);
        async move {
            if healthy.load(Ordering::SeqCst) {
                answer_queries(conn).await;
            } else {
                conn.error("FATAL", code, "not now").await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_refused_connection_is_08001_at_once() {
    let port = free_port();
    let pgusher = trusting("", &database("app", port, "")).start();
    let asked = Instant::now();
    let error = refusal(&pgusher, "app", "u").await;
    assert_eq!(error.code(), "08001", "{error:?}");
    assert!(error.message().contains(&format!("127.0.0.1:{port}")), "{error:?}");
    assert!(asked.elapsed() < Duration::from_secs(5), "not after a timeout: {:?}", asked.elapsed());
}

#[tokio::test]
async fn the_servers_own_errors_reach_the_client() {
    let cluster = Cluster::builder().auth("scram-sha-256").build();
    cluster.psql("create role locked login password 'right'");
    let sections =
        database("missing", cluster.port(), "user = \"postgres\"\npassword = \"postgres\"")
            + &database(
                "app",
                cluster.port(),
                "user = \"locked\"\npassword = \"wrong\"\ndbname = \"postgres\"",
            );
    let pgusher = trusting("", &sections).start();
    let error = refusal(&pgusher, "missing", "u").await;
    assert_eq!((error.code(), error.message()), ("3D000", "database \"missing\" does not exist"));
    let error = refusal(&pgusher, "app", "u").await;
    assert_eq!(error.code(), "28P01");
    assert_eq!(error.message(), "password authentication failed for user \"locked\"");
}

#[tokio::test]
async fn too_many_connections_on_the_server_is_53300() {
    let server = refusing("53300", &Arc::default()).await;
    let pgusher = before_fake(&server, "");
    let error = refusal(&pgusher, "app", "u").await;
    assert_eq!((error.code(), error.message()), ("53300", "not now"));
}

#[tokio::test]
async fn a_server_that_is_starting_up_is_waited_for() {
    let healthy = Arc::new(AtomicBool::new(false));
    let server = refusing("57P03", &healthy).await;
    let pgusher = before_fake(&server, "server_login_retry = \"50ms\"");
    let waiting = tokio::spawn({
        let port = pgusher.port();
        async move {
            let mut client = RawClient::connect(port).await;
            client.set_time_limit(LIMIT);
            client.startup(0, &[("user", "u"), ("database", "app")]).await;
            client.authenticate("u", "").await.map(|()| client)
        }
    });
    crate::stage::until("three attempts", || server.connections() >= 3).await;
    assert!(!waiting.is_finished(), "the client waits");
    healthy.store(true, Ordering::SeqCst);
    let mut client = waiting.await.unwrap().unwrap();
    assert_eq!(client.query("select 1").await.value(), "select 1");
}

#[tokio::test]
async fn failed_logins_are_repeated_with_growing_pauses() {
    let server = refusing("28000", &Arc::default()).await;
    let pgusher = before_fake(&server, "server_login_retry = \"300ms\"");
    let started = Instant::now();
    let mut refused = 0;
    // Attempts are due at 0, 300, 900 and 2100 ms; clients between them get the last error at once.
    while started.elapsed() < Duration::from_millis(1800) {
        assert_eq!(refusal(&pgusher, "app", "u").await.code(), "28000");
        refused += 1;
    }
    let attempts = server.connections();
    assert!((2..=3).contains(&attempts), "{attempts} attempts for {refused} clients");
    assert!(refused > attempts, "{refused} clients");
}

#[tokio::test]
async fn failures_at_the_same_time_count_as_one() {
    let healthy = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let (state, count) = (Arc::clone(&healthy), Arc::clone(&asked));
    // Logins are refused together once eight of them are under way.
    let server = FakeServer::start(move |mut conn| {
        let (state, count) = (Arc::clone(&state), Arc::clone(&count));
        async move {
            if state.load(Ordering::SeqCst) {
                return answer_queries(conn).await;
            }
            count.fetch_add(1, Ordering::SeqCst);
            assert!(pgusher_testkit::wait_for(LIMIT, || count.load(Ordering::SeqCst) >= 8).await);
            conn.error("FATAL", "28000", "not now").await;
        }
    })
    .await;
    let pgusher =
        before_fake(&server, "server_login_retry = \"500ms\"\nserver_connect_timeout = \"60s\"");
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let port = pgusher.port();
        logins.spawn(async move {
            let mut client = RawClient::connect(port).await;
            client.set_time_limit(LIMIT);
            client.startup(0, &[("user", "u"), ("database", "app")]).await;
            client.authenticate("u", "").await.unwrap_err()
        });
    }
    for error in logins.join_all().await {
        assert_eq!(error.code(), "28000", "{error:?}");
    }
    healthy.store(true, Ordering::SeqCst);
    let failed = Instant::now();
    while RawClient::try_login(pgusher.port(), "app", "u", "").await.is_err() {
        assert!(failed.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(failed.elapsed() < Duration::from_secs(3), "the pause grew to {:?}", failed.elapsed());
}

#[tokio::test]
async fn a_client_survives_a_server_that_is_away_for_a_while() {
    let cluster = Cluster::shared();
    let mut proxy = FaultProxy::start(([127, 0, 0, 1], cluster.port())).await;
    let settings = "dbname = \"postgres\"\nserver_login_retry = \"50ms\"";
    let pgusher = trusting("", &database("app", proxy.port(), settings)).start();
    let mut client = login(&pgusher, "app").await;
    assert_eq!(client.query("select 1").await.value(), "1");
    proxy.set_listening(false).await;
    proxy.close_all();
    crate::stage::until("cut", || proxy.open_connections() == 0).await;
    for _ in 0..3 {
        let result = client.query("select 2").await;
        let error = result.unwrap_error();
        assert_eq!((error.severity(), error.code(), result.status), ("ERROR", "08001", b'I'));
        let result = client.query_extended("select 2", &[]).await;
        assert_eq!(result.unwrap_error().code(), "08001");
    }
    proxy.set_listening(true).await;
    let back = Instant::now();
    while client.query("select 3").await.error.is_some() {
        assert!(back.elapsed() < LIMIT, "the server is back, the client is not");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.query("select 4").await.value(), "4");
}

#[tokio::test]
async fn server_connect_timeout_ends_a_login_that_hangs() {
    let server = FakeServer::start(|mut conn| async move { conn.until_gone().await }).await;
    let pgusher = before_fake(&server, "server_connect_timeout = \"700ms\"");
    let asked = Instant::now();
    let error = refusal(&pgusher, "app", "u").await;
    assert!(asked.elapsed() >= Duration::from_millis(700), "early: {:?}", asked.elapsed());
    assert_eq!(error.code(), "08001");
    assert!(error.message().contains("server_connect_timeout"), "{error:?}");
    crate::stage::until("the login is given up", || server.open_connections() == 0).await;
}
