//! Who may do what, and what wrong orders get.

use pgusher_testkit::RawClient;

use crate::stage::{admin, client, start};

#[tokio::test]
async fn those_who_watch_give_no_orders() {
    let (pgusher, config) = start("console_rights");
    let mut watcher = RawClient::login(pgusher.port(), "pgusher", "watcher", "").await;
    let orders = [
        "RELOAD",
        "PAUSE",
        "PAUSE app",
        "RESUME",
        "SUSPEND",
        "RECONNECT",
        "KILL",
        "KILL app",
        "KILL_CLIENT 1",
        "WAIT_CLOSE",
        "DISABLE app",
        "ENABLE app",
        "SHUTDOWN",
        "SHUTDOWN WAIT_FOR_CLIENTS",
        "SET pool_mode = session",
        "SHOW FDS",
    ];
    for order in orders {
        assert_eq!(watcher.query(order).await.unwrap_error().code(), "42501", "{order}");
    }
    for show in ["CLIENTS", "SERVERS", "POOLS", "CONFIG", "STATS", "USERS", "STATE", "HELP"] {
        assert_eq!(watcher.query(&format!("SHOW {show}")).await.error, None, "{show}");
    }
    let refused = RawClient::try_login(pgusher.port(), "pgusher", "eve", "").await;
    assert!(refused.is_err(), "neither admin nor watcher");
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("select 1").await.value(), "1", "nothing has happened");
    assert!(config.contains("stats_users"));
}

#[tokio::test]
async fn wrong_orders_get_true_errors() {
    let (pgusher, _) = start("console_errors");
    let mut admin = admin(&pgusher).await;
    let wrong = [
        ("PAUSE nowhere", "3D000"),
        ("DISABLE", "42601"),
        ("DISABLE nowhere", "3D000"),
        ("KILL pgusher", "0A000"),
        ("KILL_CLIENT 4711", "42704"),
        ("KILL_CLIENT me", "42601"),
        ("RESUME", "55000"),
        ("RESUME app", "55000"),
        ("SET pool_mode = 'x'", "22023"),
        ("SET listen_port = 1", "22023"),
        ("DROP TABLE users", "42601"),
        ("PAUSE \"app", "42601"),
    ];
    for (order, code) in wrong {
        assert_eq!(admin.query(order).await.unwrap_error().code(), code, "{order}");
    }
    let both = admin.query("SHOW VERSION; nonsense; SHOW STATE").await;
    assert_eq!((both.tags.as_slice(), both.rows.len()), (&["SHOW".to_owned()][..], 1));
    assert_eq!(both.unwrap_error().code(), "42601");
    admin.send(b"~\0\0\0\x04").await;
    assert_eq!(admin.expect_fatal().await.code(), "08P01");
}
