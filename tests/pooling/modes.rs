//! `pool_mode`, and which clients share a pool.

use pgusher_testkit::Cluster;

use crate::stage::{Stage, backend_pid, database, login, login_as, trusting};

#[tokio::test]
async fn a_transaction_keeps_its_server_and_gives_it_back() {
    let stage = Stage::new("mode_transaction", "pool_size = 1");
    let (mut one, mut two) = (stage.client().await, stage.client().await);
    one.query("begin").await;
    let pid = backend_pid(&mut one).await;
    assert_eq!(backend_pid(&mut one).await, pid);
    one.query("commit").await;
    assert_eq!(backend_pid(&mut two).await, pid, "the only server goes round");
}

#[tokio::test]
async fn a_session_keeps_its_server_until_the_client_leaves_and_is_cleaned() {
    let stage = Stage::new("mode_session", "pool_mode = \"session\"\npool_size = 2");
    let mut first = stage.client().await;
    let pid = backend_pid(&mut first).await;
    let mut second = stage.client().await;
    let other = backend_pid(&mut second).await;
    assert_ne!(other, pid, "the first client keeps its server");
    assert_eq!(backend_pid(&mut first).await, pid);
    first.query("create temp table mine (a int)").await;
    first.query("set work_mem = '77MB'").await;
    first.query("prepare p as select 1").await;
    first.query("listen something").await;
    first.terminate().await;
    let mut third = stage.client().await;
    assert_eq!(backend_pid(&mut third).await, pid, "the server came back");
    assert_ne!(third.query("show work_mem").await.value(), "77MB");
    assert_eq!(third.query("table mine").await.unwrap_error().code(), "42P01");
    assert_eq!(third.query("execute p").await.unwrap_error().code(), "26000");
    assert_eq!(third.query("select count(*) from pg_listening_channels()").await.value(), "0");
}

#[tokio::test]
async fn server_reset_query_may_be_empty() {
    let settings = "pool_mode = \"session\"\npool_size = 1\nserver_reset_query = \"\"";
    let stage = Stage::new("mode_no_reset", settings);
    let mut first = stage.client().await;
    first.query("create temp table kept (a int)").await;
    let pid = backend_pid(&mut first).await;
    first.terminate().await;
    let mut second = stage.client().await;
    assert_eq!(backend_pid(&mut second).await, pid);
    assert!(second.query("table kept").await.error.is_none(), "nothing was reset");
}

#[tokio::test]
async fn statement_mode_refuses_transactions() {
    let stage = Stage::new("mode_statement", "pool_mode = \"statement\"\npool_size = 1");
    let mut client = stage.client().await;
    assert_eq!(client.query("select 1").await.value(), "1");
    client.send(&pgusher_testkit::frontend::query("begin")).await;
    let error = client.expect_fatal().await;
    assert_eq!((error.severity(), error.code()), ("FATAL", "0A000"), "{error:?}");
    assert!(error.message().contains("statement pooling mode"), "{error:?}");
    let mut next = stage.client().await;
    let result = next.query("select 2").await;
    assert_eq!((result.value(), result.status), ("2", b'I'), "no transaction was left open");
}

#[tokio::test]
async fn a_user_may_have_another_mode_than_its_database() {
    let more = "[users.mode_user]\npool_mode = \"session\"\n";
    Cluster::shared().psql("create role mode_user login");
    let stage = Stage::with("mode_per_user", "", "pool_size = 1", more);
    let mut session = login_as(&stage.pgusher, &stage.database, "mode_user").await;
    session.query("set work_mem = '77MB'").await;
    backend_pid(&mut session).await;
    let mut eye = stage.eye().await;
    eye.expect(1).await;
    let mut waiting = login_as(&stage.pgusher, &stage.database, "mode_user").await;
    waiting.send(&pgusher_testkit::frontend::query("select 1")).await;
    // The pool's only server is the first client's; the database's own mode would have shared it.
    let other = stage.client().await.query("select 2").await;
    assert_eq!(other.value(), "2", "other users share transactions");
    session.terminate().await;
    assert_eq!(waiting.read_result().await.value(), "1");
}

#[tokio::test]
async fn each_user_has_a_pool_unless_the_database_names_one() {
    let cluster = Cluster::shared();
    cluster
        .psql("create role pool_a login; create role pool_b login; create role pool_forced login");
    let port = cluster.port();
    let sections = database("own", port, "dbname = \"postgres\"\npool_size = 1")
        + &database("forced", port, "dbname = \"postgres\"\nuser = \"pool_forced\"\npool_size = 1");
    let pgusher = trusting("", &sections).start();
    let mut seen = Vec::new();
    for database in ["own", "forced"] {
        for user in ["pool_a", "pool_b"] {
            let mut client = login_as(&pgusher, database, user).await;
            let who = client.query("select current_user || ' ' || pg_backend_pid()").await;
            let (user, pid) = who.value().split_once(' ').unwrap();
            seen.push((user.to_owned(), pid.to_owned()));
        }
    }
    let users: Vec<_> = seen.iter().map(|(user, _)| user.as_str()).collect();
    assert_eq!(users, ["pool_a", "pool_b", "pool_forced", "pool_forced"]);
    assert_ne!(seen[0].1, seen[1].1, "two users, two pools");
    assert_eq!(seen[2].1, seen[3].1, "one server user, one pool");
}

#[tokio::test]
async fn the_fallback_serves_any_name_and_dbname_maps_one() {
    let cluster = Cluster::shared();
    cluster.create_database("fall_one");
    cluster.create_database("fall_two");
    let port = cluster.port();
    let sections = database("alias", port, "dbname = \"fall_one\"")
        + &database("\"*\"", port, "pool_size = 1");
    let pgusher = trusting("", &sections).start();
    for (asked, expected) in
        [("alias", "fall_one"), ("fall_two", "fall_two"), ("postgres", "postgres")]
    {
        let mut client = login(&pgusher, asked).await;
        assert_eq!(client.query("select current_database()").await.value(), expected);
    }
    let error =
        pgusher_testkit::RawClient::try_login(pgusher.port(), "fall_none", "postgres", "").await;
    assert_eq!(
        error.unwrap_err().code(),
        "3D000",
        "the server's own word about a database it lacks"
    );
}

#[tokio::test]
async fn an_unknown_database_without_fallback_is_refused_with_a_hint() {
    let pgusher = trusting("", &database("known", Cluster::shared().port(), "")).start();
    let error =
        pgusher_testkit::RawClient::try_login(pgusher.port(), "unknown", "postgres", "").await;
    let error = error.unwrap_err();
    assert_eq!((error.code(), error.message()), ("3D000", "database \"unknown\" does not exist"));
    assert!(error.hint().is_some_and(|hint| hint.contains("[databases.unknown]")), "{error:?}");
}
