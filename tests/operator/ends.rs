//! How sessions end that the operator ends: shutdowns, changed configurations, counts that must be even afterwards.

use pgusher_testkit::{Cluster, FakeServer, Pgusher, RawClient, Signal, frontend};

use super::modes::{Mode, both};
use super::stage::{LIMIT, backend, builder, line, login, login_with, start, text, until};

/// `SIGINT` pauses: transactions may end, and whoever would begin one is told why it cannot.
#[tokio::test]
async fn nobody_begins_anything_while_servers_are_waited_for() {
    for (mode, mut pgusher) in both("pool_mode = transaction", &line("app", ""), &[]) {
        let mut busy = login(&pgusher, "app", "postgres").await;
        let mut idle = login(&pgusher, "app", "postgres").await;
        backend(&mut idle).await;
        busy.query("begin").await;
        pgusher.signal(Signal::INT);
        pgusher.wait_log("SIGINT", LIMIT);
        idle.send(&frontend::query("select 1")).await;
        mode.expect(&idle.expect_fatal().await, "57P01", "server shutting down", "");
        pgusher.signal(Signal::USR2);
        pgusher.wait_log(
            match mode {
                Mode::DropIn => "got SIGUSR2 while shutting down, ignoring",
                Mode::Native => "signal ignored while shutting down",
            },
            LIMIT,
        );
        assert!(pgusher.try_exit().is_none(), "a transaction is open");
        busy.query("commit").await;
        assert!(pgusher.wait_exit(LIMIT).success());
    }
}

/// Whoever streams from a server that is not to be used any more is told, as there is no end to wait for.
#[tokio::test]
async fn replication_ends_with_its_servers() {
    let parameters = [("user", "postgres"), ("database", "app"), ("replication", "database")];
    let pgusher = start("", &line("app", ""));
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let mut walsender = login_with(&pgusher, &parameters).await.unwrap();
    assert_eq!(walsender.query("IDENTIFY_SYSTEM").await.rows.len(), 1);
    assert_eq!(console.query("RECONNECT").await.error, None);
    assert_eq!(walsender.expect_fatal().await.message(), "database configuration changed");
    pgusher.wait_log("closing because: database configuration changed (age=", LIMIT);
}

/// A database that is somewhere else now: its servers go when they are free, at once with `server_fast_close`.
#[tokio::test]
async fn a_changed_line_replaces_its_servers() {
    for (fast, more) in [(false, ""), (true, "server_fast_close = 1")] {
        let pgusher = start(more, &line("app", ""));
        let mut client = login(&pgusher, "app", "postgres").await;
        let before = backend(&mut client).await;
        let mut console = login(&pgusher, "pgbouncer", "postgres").await;
        // A size is no reason to reconnect.
        pgusher.rewrite_config(&text(more, &line("app", "pool_size=7")));
        assert_eq!(console.query("RELOAD").await.error, None);
        assert_eq!(backend(&mut client).await, before);
        pgusher.rewrite_config(&text(more, &line("app", "pool_size=7 connect_query='select 1'")));
        assert_eq!(console.query("RELOAD").await.error, None);
        if fast {
            assert_eq!(client.expect_fatal().await.message(), "database configuration changed");
        } else {
            assert_eq!(backend(&mut client).await, before, "its session goes on");
            client.terminate().await;
        }
        pgusher.wait_log("closing because: database configuration changed (age=", LIMIT);
        let mut next = login(&pgusher, "app", "postgres").await;
        assert_ne!(backend(&mut next).await, before);
    }
}

/// A server that refuses whoever comes second: whoever waits has the first to wait for.
#[tokio::test]
async fn a_refused_login_ends_nobody_who_has_a_server_to_wait_for() {
    let server = FakeServer::start(|mut conn| async move {
        if conn.index() > 0 {
            conn.error("FATAL", "53300", "sorry, too many clients already").await;
            return;
        }
        conn.login_trust(&[("server_version", "15.0")], 7, b"key!").await;
        while let Some(message) = conn.recv().await {
            if message.tag == b'Q' {
                conn.complete("SELECT 0").await;
                conn.ready(if message.texts()[0] == "begin" { b'T' } else { b'I' }).await;
            }
        }
    })
    .await;
    let database = format!("app = host=127.0.0.1 port={} user=app\n", server.port());
    let pgusher = start("pool_mode = transaction", &database);
    let mut holder = login(&pgusher, "app", "app").await;
    let mut waiting = login(&pgusher, "app", "app").await;
    assert_eq!(holder.query("begin").await.status, b'T');
    waiting.send(&frontend::query("select 1")).await;
    until("a second login is refused", || server.connections() > 1).await;
    pgusher.wait_log("server login failed: FATAL sorry, too many clients already", LIMIT);
    assert_eq!(holder.query("commit").await.status, b'I');
    assert_eq!(waiting.read_result().await.error, None, "{}", pgusher.log());
}

async fn number(
    console: &mut RawClient,
    show: &str,
    (key, name): (&str, &str),
    column: &str,
) -> String {
    let all = console.query(show).await;
    let at = |name: &str| all.columns.iter().position(|found| found == name).unwrap();
    let row = all.rows.iter().find(|row| row[at(key)].as_deref() == Some(name));
    row.map_or("no row".to_owned(), |row| row[at(column)].clone().unwrap_or_default())
}

/// However a login fails, its places are free again: of the process, the database and the user.
#[tokio::test]
async fn failed_logins_leave_every_count_even() {
    let hba = "host full other 127.0.0.1/32 reject\nhost all postgres 127.0.0.1/32 trust\n\
               host all all 127.0.0.1/32 scram-sha-256\n";
    let parameters = "auth_type = hba\nauth_hba_file = {dir}/hba.conf\nmax_client_conn = 50\n\
                      client_login_timeout = 1\nmax_db_client_connections = 2\nquery_wait_timeout = 1\n\
                      [users]\napp = max_user_client_connections=2";
    let databases = line("app", "user=postgres")
        + &line("full", "user=postgres pool_size=1")
        + &line("gone", "dbname=nowhere user=postgres");
    let users = "\"postgres\" \"\"\n\"app\" \"right\"\n\"other\" \"right\"\n";
    let pgusher =
        builder(parameters, &databases).file("hba.conf", hba).file("userlist.txt", users).start();
    let port = pgusher.port();
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    for _ in 0..5 {
        for (database, user, password) in [
            ("app", "app", "wrong"),
            ("app", "stranger", "right"),
            ("nowhere", "app", "right"),
            ("gone", "app", "right"),
            ("full", "other", "right"),
            ("pgbouncer", "app", "right"),
        ] {
            let login = RawClient::try_login(port, database, user, password).await;
            assert!(login.is_err(), "{user} is in {database}");
        }
        let parameters = [("user", "postgres"), ("database", "app"), ("work_mem", "1MB")];
        assert!(login_with(&pgusher, &parameters).await.is_err());
    }
    // Those who leave in the middle of it.
    for cut in 0..5 {
        let mut client = RawClient::connect(port).await;
        client.startup(0, &[("user", "app"), ("database", "app")]).await;
        if cut % 2 == 0 { client.reset() } else { drop(client) }
    }
    let none = [
        ("SHOW DATABASES", ("name", "app"), "current_client_connections", "0"),
        ("SHOW DATABASES", ("name", "gone"), "current_client_connections", "0"),
        ("SHOW DATABASES", ("name", "full"), "current_client_connections", "0"),
        ("SHOW USERS", ("name", "app"), "current_client_connections", "0"),
        ("SHOW LISTS", ("list", "used_clients"), "items", "1"),
        ("SHOW LISTS", ("list", "login_clients"), "items", "0"),
    ];
    let deadline = tokio::time::Instant::now() + LIMIT;
    for (show, key, column, expected) in none {
        while number(&mut console, show, key, column).await != expected {
            let found = console.query(show).await;
            assert!(tokio::time::Instant::now() < deadline, "{show} {key:?}: {found:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    // Two may still come in: nothing is lost, in either direction.
    let mut inside = Vec::new();
    for _ in 0..2 {
        inside.push(RawClient::login(port, "app", "app", "right").await);
    }
    assert!(
        RawClient::try_login(port, "app", "app", "right").await.is_err(),
        "that would be three"
    );
    let counted = number(&mut console, "SHOW USERS", ("name", "app"), "current_client_connections");
    assert_eq!(counted.await, "2");
}

/// A parameter that a client was given, and that its next server does not take any more.
#[tokio::test]
async fn a_session_that_cannot_be_brought_back_ends() {
    let cluster = Cluster::shared();
    for (number, (mode, pgusher)) in
        both("pool_mode = transaction", &line("app", "pool_size=1"), &[]).into_iter().enumerate()
    {
        let role = format!("passing{number}");
        cluster.psql(&format!("create role {role}"));
        let mut client = login(&pgusher, "app", "postgres").await;
        let mut other = login(&pgusher, "app", "postgres").await;
        assert_eq!(client.query(&format!("set role {role}")).await.error, None);
        assert_eq!(other.query("select current_user").await.value(), "postgres");
        cluster.psql(&format!("drop role {role}"));
        client.send(&frontend::query("select 1")).await;
        let error = client.expect_fatal().await;
        mode.expect(&error, "22023", "invalid server parameter", &role);
        client.expect_closed().await;
        if mode == Mode::DropIn {
            pgusher.wait_log("closing because: invalid server parameter (age=", LIMIT);
        }
        assert_eq!(other.query("select 2").await.value(), "2", "nobody else notices");
    }
}

/// A peer that says nothing: the request is given up, whether or not the peer is still one.
#[tokio::test]
async fn a_cancel_request_that_gets_nowhere_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let peers = format!("[peers]\n2 = host=127.0.0.1 port={port}\n");
    let parameters = "peer_id = 1\ncancel_wait_timeout = 1\n";
    let pgusher: Pgusher = builder(&format!("{parameters}{peers}"), "").start();
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    assert_eq!(console.query("SHOW PEERS").await.rows.len(), 1);
    let request = async || {
        let mut request = RawClient::connect(pgusher.port()).await;
        request.set_time_limit(LIMIT);
        request.send(&frontend::cancel_request(0x0102_0034, &[1, 2, 3, 7])).await;
        request
    };
    let mut under_way = request().await;
    let _unanswered = tokio::time::timeout(LIMIT, silent.accept()).await.unwrap().unwrap();
    pgusher.rewrite_config(&text(parameters, ""));
    assert_eq!(console.query("RELOAD").await.error, None);
    assert!(console.query("SHOW PEERS").await.rows.is_empty());
    request().await.expect_closed().await;
    under_way.expect_closed().await;
    pgusher.wait_log("closing because: cancel_wait_timeout (age=", LIMIT);
    assert_eq!(console.query("SHOW PEER_POOLS").await.rows.len(), 0);
}
