//! SET: settings change at once, and a reload takes the file's again.

use pgusher_testkit::{QueryResult, RawClient};

use crate::stage::{admin, cell, client, drop_in, start};

async fn shown(boss: &mut RawClient, key: &str) -> String {
    cell(&boss.query("SHOW CONFIG").await, "key", key, "value")
}

fn notice(result: &QueryResult) -> String {
    result.notices.iter().map(|notice| notice.message().to_owned()).collect()
}

#[tokio::test]
async fn a_setting_changes_at_once_and_until_the_next_reload() {
    let (pgusher, _) = start("console_set");
    let mut boss = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("select 1").await.value(), "1");
    let set = boss.query("SET pool_mode = 'session'").await;
    assert_eq!(set.tags, ["SET pool_mode=session"], "{set:?}");
    assert_eq!(shown(&mut boss, "pool_mode").await, "session");
    let pools = boss.query("SHOW POOLS").await;
    assert_eq!(cell(&pools, "database", "app", "pool_mode"), "session");
    assert_eq!(boss.query("SET stats_users TO eve").await.tags, ["SET stats_users=eve"]);
    let refused = RawClient::try_login(pgusher.port(), "pgusher", "watcher", "").await;
    assert!(refused.is_err(), "watches no more");
    assert_eq!(boss.query("SET pool_mode = 'x'").await.unwrap_error().message(), "SET failed");
    assert_eq!(shown(&mut boss, "pool_mode").await, "session", "nothing has changed");
    assert_eq!(boss.query("RELOAD").await.tags, ["RELOAD"]);
    assert_eq!(shown(&mut boss, "pool_mode").await, "transaction");
    RawClient::login(pgusher.port(), "pgusher", "watcher", "").await;
}

#[tokio::test]
async fn pgbouncers_parameters_are_set_by_their_names() {
    let pgusher = drop_in("console_set_ini", "server_idle_timeout = 600\nmax_db_connections = 9");
    let mut boss = admin(&pgusher).await;
    let answers = [
        ("set server_idle_timeout = 5", "SET server_idle_timeout=5"),
        ("set server_idle_timeout to \"77\"", "SET server_idle_timeout=77"),
        ("SET server_idle_timeout = '7.5';", "SET server_idle_timeout=7.5"),
        ("set listen_port=4", "SET listen_port=4"),
        ("set max_db_connections=3", "SET max_db_connections=3"),
        ("set default_pool_size = 0", "SET default_pool_size=0"),
    ];
    for (query, tag) in answers {
        let result = boss.query(query).await;
        assert_eq!(result.tags, [tag], "{result:?}");
    }
    assert_eq!(shown(&mut boss, "server_idle_timeout").await, "7.5");
    assert_eq!(shown(&mut boss, "listen_port").await, pgusher.port().to_string());
    let databases = boss.query("SHOW DATABASES").await;
    assert_eq!(cell(&databases, "name", "app", "max_connections"), "3");
    assert_eq!(cell(&databases, "name", "app", "pool_size"), "2", "its own");
    for query in ["set nonsense=1", "set pool_mode=foo", "set application_name='x'"] {
        let result = boss.query(query).await;
        let error = result.unwrap_error();
        assert_eq!((error.code(), error.message()), ("08P01", "SET failed"), "{query}");
    }
    for key in ["client_encoding", "datestyle", "timezone", "extra_float_digits"] {
        let result = boss.query(&format!("SET {key} = '1'")).await;
        assert_eq!(
            (result.tags.as_slice(), notice(&result)),
            (&["SET".into()][..], "SET ignored".into())
        );
    }
    let tls = boss.query("SET client_tls_sslmode='require'").await;
    assert_eq!(tls.tags, ["SET client_tls_sslmode=require"]);
    assert!(notice(&tls).contains("still using old configuration"), "{tls:?}");
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("select 1").await.value(), "1", "without TLS");
}

/// PgBouncer resets what has a default when it reads its file again, and leaves the rest as it was SET.
#[tokio::test]
async fn what_has_no_default_survives_a_reload() {
    let more = "auth_dbname = postgres";
    let pgusher = drop_in("console_set_stays", more);
    let mut boss = admin(&pgusher).await;
    for set in [
        "SET auth_user = 'asker'",
        "SET auth_dbname = 'other'",
        "SET client_tls13_ciphers = 'TLS_AES_256_GCM_SHA384'",
        "SET server_tls13_ciphers = 'TLS_AES_256_GCM_SHA384'",
        "SET verbose = 1",
        "SET query_wait_timeout = 33",
        "SET auth_query = 'select 1, $1'",
    ] {
        assert_eq!(boss.query(set).await.error, None, "{set}");
    }
    assert_eq!(shown(&mut boss, "auth_dbname").await, "other");
    assert_eq!(boss.query("RELOAD").await.tags, ["RELOAD"]);
    for (key, value) in [
        ("auth_user", "asker"),
        ("client_tls13_ciphers", "TLS_AES_256_GCM_SHA384"),
        ("server_tls13_ciphers", "TLS_AES_256_GCM_SHA384"),
        ("verbose", "1"),
        ("query_wait_timeout", "120"),
    ] {
        assert_eq!(shown(&mut boss, key).await, value, "{key}");
    }
    assert!(shown(&mut boss, "auth_query").await.starts_with("SELECT rolname"));
    assert_eq!(shown(&mut boss, "auth_dbname").await, "postgres", "the file says so");
    assert_eq!(boss.query("RELOAD").await.tags, ["RELOAD"]);
    assert_eq!(shown(&mut boss, "auth_user").await, "asker", "nor does a second one");
}

#[tokio::test]
async fn show_config_lists_pgbouncers_parameters() {
    let pgusher = drop_in("console_config", "query_wait_timeout = 0.5");
    let mut boss = admin(&pgusher).await;
    let config = boss.query("SHOW CONFIG").await;
    assert_eq!(config.columns, ["key", "value", "default", "changeable"]);
    let row = |key: &str| {
        let row = config.rows.iter().find(|row| row[0].as_deref() == Some(key));
        let row = row.unwrap_or_else(|| panic!("no {key}"));
        row[1..].iter().map(|cell| cell.as_deref().unwrap_or("NULL").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(row("query_wait_timeout"), ["0.5", "120", "yes"]);
    assert_eq!(row("pool_mode"), ["transaction", "session", "yes"]);
    assert_eq!(row("listen_backlog"), ["128", "128", "no"]);
    assert_eq!(row("auth_user"), ["NULL", "NULL", "yes"]);
    assert_eq!(row("unix_socket_mode"), ["511", "0777", "no"]);
    assert_eq!(row("suspend_timeout"), ["10", "10", "yes"]);
    let keys: Vec<_> = config.rows.iter().map(|row| row[0].as_deref()).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    assert!(config.rows.len() >= 100, "only {}", config.rows.len());
}
