//! Limits and timeouts, and which of three levels counts.

use std::time::Instant;

use super::stage::{line, login, start};

/// The user's timeout counts before the database's, and that before the global one.
#[tokio::test]
async fn timeouts_have_pgbouncers_precedence() {
    let users =
        "[users]\nother = query_wait_timeout=1 idle_transaction_timeout=1 client_idle_timeout=2\n";
    let parameters = format!("query_wait_timeout = 600\n{users}");
    let databases = line("global", "pool_size=1 user=postgres")
        + &line("own", "pool_size=1 user=postgres query_wait_timeout=2");
    let pgusher = start(&parameters, &databases);
    for (database, user, least) in [("own", "app", 2), ("own", "other", 1), ("global", "other", 1)]
    {
        let mut holder = login(&pgusher, database, "app").await;
        holder.query("select 1").await.value();
        let mut client = login(&pgusher, database, user).await;
        let began = Instant::now();
        client.send(b"Q\0\0\0\x0dselect 1\0").await;
        let error = client.expect_fatal().await;
        assert_eq!((error.code(), error.message()), ("53300", "query_wait_timeout"));
        let waited = began.elapsed().as_secs();
        assert!((least..60).contains(&waited), "{database} {user}: {waited} s");
    }
    let mut client = login(&pgusher, "own", "other").await;
    client.query("begin").await;
    let error = client.expect_fatal().await;
    assert_eq!((error.code(), error.message()), ("25P03", "idle transaction timeout"));
    let mut client = login(&pgusher, "own", "other").await;
    let error = client.expect_fatal().await;
    assert_eq!((error.code(), error.message()), ("57P05", "client_idle_timeout"));
}

#[tokio::test]
async fn long_queries_and_transactions_end_sessions() {
    let parameters = "query_timeout = 1\n[users]\nother = query_timeout=600 transaction_timeout=1";
    let pgusher = start(parameters, &line("app", "user=postgres"));
    let mut client = login(&pgusher, "app", "app").await;
    client.send(b"Q\0\0\0\x19select pg_sleep(600)\0").await;
    let error = client.expect_fatal().await;
    assert_eq!((error.code(), error.message()), ("57014", "query timeout"));
    let mut client = login(&pgusher, "app", "other").await;
    client.query("begin").await;
    let error = client.expect_fatal().await;
    assert_eq!((error.code(), error.message()), ("25P04", "transaction timeout"));
}
