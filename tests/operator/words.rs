//! PgBouncer's words, for clients and in the log; the codes are PostgreSQL's.

use pgusher_testkit::{Cluster, RawClient, free_port};

use super::stage::{LIMIT, builder, line, login, start};

/// Code and message of a login that fails.
async fn refused(port: u16, database: &str, user: &str, password: &str) -> (String, String) {
    match RawClient::try_login(port, database, user, password).await {
        Err(error) => (error.code().to_owned(), error.message().to_owned()),
        Ok(_) => panic!("{user} is in {database}"),
    }
}

fn pair(code: &str, message: &str) -> (String, String) {
    (code.to_owned(), message.to_owned())
}

#[tokio::test]
async fn refused_logins_read_as_before() {
    let parameters = "logfile = {dir}/a.log\nstats_users = other\nmax_client_conn = 3\nmax_db_client_connections = 1\n\
                      [users]\napp = max_user_client_connections=1";
    let databases = line("one", "") + &line("two", "") + &line("gone", "dbname=nowhere");
    let pgusher = start(parameters, &databases);
    let port = pgusher.port();
    assert_eq!(
        refused(port, "none", "postgres", "").await,
        pair("3D000", "no such database: none")
    );
    assert_eq!(
        refused(port, "one", "stranger", "").await,
        pair("28000", "\"trust\" authentication failed")
    );
    assert_eq!(refused(port, "pgbouncer", "app", "").await, pair("42501", "not allowed"));
    let gone = refused(port, "gone", "postgres", "").await;
    assert_eq!(gone, pair("3D000", "database \"nowhere\" does not exist"));
    let _first = login(&pgusher, "one", "postgres").await;
    assert_eq!(
        refused(port, "one", "postgres", "").await,
        pair("53300", "client connections exceeded (max_db_client_connections)")
    );
    let log = || std::fs::read_to_string(pgusher.dir().join("a.log")).unwrap();
    for reason in [
        "closing because: no such database: none (age=",
        "closing because: \"trust\" authentication failed (age=",
        "closing because: not allowed (age=",
        "pooler error: no such database: none",
        "server login failed: FATAL database \"nowhere\" does not exist",
        "closing because: login failed (age=",
        "closing because: client connections exceeded (max_db_client_connections) (age=",
        "login attempt: db=none user=postgres tls=no replication=no",
    ] {
        // Written before the client could read its error.
        assert!(log().contains(reason), "no {reason}:\n{}", log());
    }
    let log = log();
    let failed = log.lines().find(|line| line.contains("closing because: no such database"));
    let socket = failed.unwrap().split(" LOG ").nth(1).unwrap();
    let age = socket.split("(age=").nth(1).and_then(|age| age.strip_suffix("s)"));
    assert!(age.unwrap().parse::<u32>().is_ok(), "{socket}");
    assert!(socket.starts_with("C-") && !socket.starts_with("C-0:"), "{socket}");
    assert!(socket.contains(": none/postgres@127.0.0.1:"), "{socket}");
}

#[tokio::test]
async fn failing_servers_are_reported_from_memory() {
    let parameters = "pool_mode = transaction\nserver_login_retry = 600";
    let nobody = free_port();
    let databases = format!("app = host=127.0.0.1 port={nobody} user=postgres\n");
    let pgusher = start(parameters, &databases);
    let first = refused(pgusher.port(), "app", "app", "").await;
    assert_eq!(first.0, "08001");
    let second = refused(pgusher.port(), "app", "app", "").await;
    assert_eq!(
        second.1,
        "server login has been failing, cached error: connect failed (server_login_retry)"
    );
    pgusher.wait_log("closing because: connect failed (age=", LIMIT);
}

#[tokio::test]
async fn a_server_that_dies_and_a_client_that_is_killed() {
    let pgusher = start("", &line("app", ""));
    let mut client = login(&pgusher, "app", "postgres").await;
    client.query("select 1").await.value();
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let clients = console.query("SHOW CLIENTS").await;
    let id = clients.rows.iter().find(|row| row[2].as_deref() == Some("app")).unwrap();
    let id = id.last().unwrap().clone().unwrap();
    assert!(console.query(&format!("KILL_CLIENT {id}")).await.error.is_none());
    assert_eq!(client.expect_fatal().await.message(), "admin forced disconnect");
    pgusher.wait_log("closing because: admin forced disconnect (age=", LIMIT);
    client.expect_closed().await;
}

#[tokio::test]
async fn a_removed_database_says_so() {
    let both = line("app", "") + &line("other", "");
    let pgusher = builder("", &both).start();
    let mut client = login(&pgusher, "app", "postgres").await;
    client.query("select 1").await.value();
    pgusher.rewrite_config(&super::stage::text("", &line("other", "")));
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    assert!(console.query("RELOAD").await.error.is_none());
    assert_eq!(client.expect_fatal().await.message(), "database removed");
}

#[tokio::test]
async fn statement_mode_refuses_blocks() {
    let pgusher = start("pool_mode = statement", &line("app", ""));
    for sql in ["begin", "begin; select 1/0"] {
        let mut client = login(&pgusher, "app", "postgres").await;
        client.send(&pgusher_testkit::frontend::query(sql)).await;
        let refusal = loop {
            let told = client.recv_until(b'E').await.pop().unwrap().error();
            if told.severity() == "FATAL" {
                break told;
            }
        };
        let words = "transaction blocks not allowed in statement pooling mode";
        assert_eq!(refusal.message(), words, "{sql}");
        client.expect_closed().await;
    }
    let reason = "closing because: transaction blocks not allowed in statement pooling mode (age=";
    pgusher.wait_log(reason, LIMIT);
}

/// Whoever waits is told once, in PgBouncer's words.
#[tokio::test]
async fn those_who_wait_are_told() {
    let pgusher = start("query_wait_notify = 1", &line("app", "pool_size=1 user=postgres"));
    let mut first = login(&pgusher, "app", "app").await;
    first.query("select 1").await.value();
    let mut second = login(&pgusher, "app", "app").await;
    second.send(b"Q\0\0\0\x0dselect 1\0").await;
    let notice = second.recv().await;
    assert_eq!(notice.tag, b'N');
    let text = notice.texts().concat();
    assert!(
        text.contains("No server connection available in postgres backend, client being queued")
    );
    first.terminate().await;
    assert_eq!(second.read_result().await.value(), "1");
}

#[tokio::test]
async fn a_server_that_gives_way_was_evicted() {
    let parameters = "pool_mode = transaction\nmax_db_connections = 1";
    Cluster::shared().psql("create role gives_way_to login");
    let users = "\"postgres\" \"\"\n\"gives_way_to\" \"\"\n";
    let pgusher = builder(parameters, &line("app", "")).file("userlist.txt", users).start();
    let mut first = login(&pgusher, "app", "postgres").await;
    assert_eq!(first.query("select 1").await.value(), "1");
    let mut second = login(&pgusher, "app", "gives_way_to").await;
    assert_eq!(second.query("select 2").await.value(), "2");
    pgusher.wait_log("closing because: evicted (age=", LIMIT);
}

/// `log_pooler_errors` and the other two can be switched off.
#[tokio::test]
async fn what_is_not_to_be_logged_is_not() {
    let parameters = "log_pooler_errors = 0\nlog_connections = 0\nlog_disconnections = 0";
    let pgusher = start(parameters, &line("app", ""));
    assert_eq!(refused(pgusher.port(), "none", "postgres", "").await.0, "3D000");
    let mut client = login(&pgusher, "app", "postgres").await;
    client.query("select 1").await.value();
    client.terminate().await;
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    assert_eq!(console.query("SET log_connections = 1").await.error, None);
    let _last = login(&pgusher, "app", "postgres").await;
    pgusher.wait_log("login attempt: db=app", LIMIT);
    let log = pgusher.log();
    assert!(!log.contains("pooler error") && !log.contains("client close request"), "{log}");
    assert_eq!(log.matches("login attempt").count(), 1, "{log}");
}
