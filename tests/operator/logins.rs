//! What clients may ask for in their first packet, and what they find.

use super::stage::{LIMIT, line, login, login_with, start};

fn asks<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("user", "postgres"), ("database", "app")], more].concat()
}

#[tokio::test]
async fn parameters_are_kept_dropped_or_refused() {
    let parameters = "ignore_startup_parameters = extra_float_digits, geqo\n\
                      track_extra_parameters = IntervalStyle, statement_timeout";
    let pgusher = start(parameters, &line("app", ""));
    let kept =
        [("IntervalStyle", "iso_8601"), ("DateStyle", "German"), ("TimeZone", "Europe/Oslo")];
    let mut client = login_with(&pgusher, &asks(&kept)).await.unwrap();
    let all = "select current_setting('intervalstyle') || ' ' || current_setting('datestyle') || ' ' || current_setting('timezone')";
    assert_eq!(client.query(all).await.value(), "iso_8601 German, DMY Europe/Oslo");
    let mut client = login_with(&pgusher, &asks(&[("extra_float_digits", "-9")])).await.unwrap();
    assert_ne!(client.query("show extra_float_digits").await.value(), "-9", "dropped");
    let options = [("options", "-c statement_timeout=7s --geqo=off")];
    let mut client = login_with(&pgusher, &asks(&options)).await.unwrap();
    assert_eq!(client.query("show statement_timeout").await.value(), "7s");
    for (asked, message) in [
        (("work_mem", "8MB"), "unsupported startup parameter: work_mem"),
        (("options", "-c work_mem=8MB"), "unsupported startup parameter in options: work_mem"),
        (
            ("options", "-F"),
            "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
        ),
    ] {
        let refused = login_with(&pgusher, &asks(&[asked])).await.unwrap_err();
        assert_eq!((refused.severity(), refused.message()), ("FATAL", message));
        assert_ne!(refused.code(), "08P01");
        pgusher.wait_log(&format!("closing because: {message} (age="), LIMIT);
    }
}

#[tokio::test]
async fn a_client_is_greeted_and_named() {
    let parameters = "login_notify_message = Mind the gap\napplication_name_add_host = 1";
    let pgusher = start(parameters, &line("app", ""));
    let mut client = pgusher_testkit::RawClient::connect(pgusher.port()).await;
    client.set_time_limit(LIMIT);
    client.startup(0, &asks(&[("application_name", "report")])).await;
    let messages = client.read_ready().await;
    let notice = messages.iter().find(|message| message.tag == b'N');
    assert!(notice.is_some_and(|notice| notice.texts().concat().contains("Mind the gap")));
    let name = client.query("show application_name").await;
    assert!(name.value().starts_with("report - 127.0.0.1:"), "{}", name.value());
}

#[tokio::test]
async fn simple_queries_can_be_forbidden() {
    let pgusher = start("disable_pqexec = 1", &line("app", ""));
    let mut client = login(&pgusher, "app", "postgres").await;
    assert_eq!(client.query_extended("select 1", &[]).await.value(), "1");
    client.send(b"Q\0\0\0\x0dselect 1\0").await;
    assert_eq!(client.expect_fatal().await.message(), "PQexec disallowed");
    client.expect_closed().await;
}

#[tokio::test]
async fn databases_come_by_themselves_and_go() {
    let port = pgusher_testkit::Cluster::shared().port();
    let pgusher = start("autodb_idle_timeout = 1", &format!("* = host=127.0.0.1 port={port}\n"));
    let mut client = login(&pgusher, "postgres", "postgres").await;
    assert_eq!(client.query("select 1").await.value(), "1");
    pgusher.wait_log("registered new auto-database: postgres", LIMIT);
    client.terminate().await;
    pgusher.wait_log("cleaning up idle pool", LIMIT);
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    assert!(
        console
            .query("SHOW POOLS")
            .await
            .rows
            .iter()
            .all(|row| row[0].as_deref() == Some("pgbouncer"))
    );
    let mut client = login(&pgusher, "postgres", "postgres").await;
    assert_eq!(client.query("select 2").await.value(), "2");
}

/// `pool_idle_timeout` is for pools of databases that the file names, too: the pool goes, its database stays.
#[tokio::test]
async fn pools_go_when_nobody_uses_them() {
    let pgusher = start("pool_idle_timeout = 1", &line("app", ""));
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let mut client = login(&pgusher, "app", "postgres").await;
    let pid = super::stage::backend(&mut client).await;
    client.terminate().await;
    pgusher.wait_log("cleaning up idle pool", LIMIT);
    let pools = console.query("SHOW POOLS").await.rows;
    assert!(pools.iter().all(|row| row[0].as_deref() != Some("app")), "{pools:?}");
    let gone = format!("select count(*) = 0 from pg_stat_activity where pid = {pid}");
    let cluster = pgusher_testkit::Cluster::shared();
    super::stage::until("its server has gone", || cluster.psql(&gone) == "t").await;
    let stats = console.query("SHOW STATS").await.rows;
    let app = stats.iter().find(|row| row[0].as_deref() == Some("app")).unwrap();
    assert_eq!(app[3].as_deref(), Some("1"), "its queries are not forgotten: {app:?}");
    let mut client = login(&pgusher, "app", "postgres").await;
    assert_eq!(client.query("select 2").await.value(), "2");
}

/// A list of names is told as a list, and no value is set again that the server has in words of its own.
#[tokio::test]
async fn values_are_known_again_in_the_servers_words() {
    let proxy = pgusher_testkit::FaultProxy::start((
        [127, 0, 0, 1],
        pgusher_testkit::Cluster::shared().port(),
    ))
    .await;
    let parameters = "pool_mode = transaction\ntrack_extra_parameters = IntervalStyle, search_path";
    let database = format!("app = host=127.0.0.1 port={} dbname=postgres\n", proxy.port());
    let pgusher = start(parameters, &database);
    let asked = [
        ("search_path", "\"Odd, name\", pg_catalog"),
        ("DateStyle", "german"),
        ("client_encoding", "utf-8"),
        ("TimeZone", "europe/oslo"),
        ("application_name", ""),
    ];
    let mut client = login_with(&pgusher, &asks(&asked)).await.unwrap();
    let all = "select current_setting('search_path') || ' ' || current_setting('datestyle') || ' ' || current_setting('timezone')";
    let expected = "\"Odd, name\", pg_catalog German, DMY Europe/Oslo";
    assert_eq!(client.query(all).await.value(), expected);
    let to_server = || proxy.bytes(pgusher_testkit::Direction::ToServer);
    for _ in 0..5 {
        let before = to_server();
        assert_eq!(client.query(all).await.value(), expected);
        let own = pgusher_testkit::frontend::query(all).len() as u64;
        assert_eq!(to_server() - before, own, "the query and nothing else");
    }
}
