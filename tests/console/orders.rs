//! Orders: pause, kill, disable, reconnect, reload, shutdown.

use pgusher_testkit::{Pgusher, QueryResult, RawClient, frontend, wait_for};

use crate::stage::{LIMIT, admin, cell, client, start, until};

#[tokio::test]
async fn pause_waits_for_the_transaction_and_resume_goes_on() {
    let (pgusher, _) = start("console_pause");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let (mut busy, mut idle) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(idle.query("select 1").await.value(), "1");
    assert_eq!(busy.query("begin").await.error, None);
    boss.send(&frontend::query("PAUSE app")).await;
    until(&mut second, "SHOW DATABASES", |all| cell(all, "name", "app", "paused") == "1").await;
    until(&mut second, "SHOW POOLS", |all| cell(all, "database", "app", "sv_idle") == "0").await;
    assert_eq!(busy.query("select 2").await.value(), "2", "the transaction goes on");
    assert_eq!(busy.query("commit").await.tags, ["COMMIT"]);
    assert_eq!(boss.read_result().await.tags, ["PAUSE"]);
    idle.send(&frontend::query("select 3")).await;
    until(&mut second, "SHOW POOLS", |all| cell(all, "database", "app", "cl_waiting") == "1").await;
    let servers = second.query("SHOW SERVERS").await;
    assert!(servers.rows.is_empty(), "all are closed: {servers:?}");
    assert_eq!(second.query("RESUME app").await.tags, ["RESUME"]);
    assert_eq!(idle.read_result().await.value(), "3");
}

#[tokio::test]
async fn pausing_twice_and_killing_while_paused() {
    let (pgusher, _) = start("console_pause_twice");
    let mut boss = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    assert_eq!(boss.query("PAUSE app").await.tags, ["PAUSE"]);
    assert_eq!(boss.query("PAUSE app").await.tags, ["PAUSE"], "a database may be paused twice");
    assert_eq!(boss.query("PAUSE").await.tags, ["PAUSE"]);
    for order in ["PAUSE", "PAUSE app", "SUSPEND", "KILL", "KILL app"] {
        let result = boss.query(order).await;
        assert_eq!(result.unwrap_error().code(), "55000", "{order}");
    }
    let databases = boss.query("SHOW DATABASES").await;
    assert_eq!(cell(&databases, "name", "app", "paused"), "1");
    assert_eq!(cell(&databases, "name", "other-db", "paused"), "0", "only those with names");
    client.send(&frontend::query("select 1")).await;
    until(&mut boss, "SHOW POOLS", |all| cell(all, "database", "app", "cl_waiting") == "1").await;
    assert_eq!(boss.query("RESUME").await.tags, ["RESUME"]);
    assert_eq!(client.read_result().await.value(), "1");
}

#[tokio::test]
async fn an_interrupted_pause_of_one_database_is_no_pause() {
    let (pgusher, _) = start("console_cancel_one");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let (mut busy, mut idle) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(busy.query("begin").await.error, None);
    let paused = |all: &QueryResult| cell(all, "name", "app", "paused") == "1";
    boss.send(&frontend::query("PAUSE app")).await;
    until(&mut second, "SHOW DATABASES", paused).await;
    RawClient::cancel(pgusher.port(), boss.pid(), boss.key()).await;
    assert_eq!(boss.read_result().await.unwrap_error().code(), "57014");
    assert!(!paused(&second.query("SHOW DATABASES").await));
    assert_eq!(idle.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn an_interrupted_wait_close_ends() {
    let (pgusher, _) = start("console_cancel_wait");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let mut busy = client(&pgusher).await;
    assert_eq!(busy.query("begin").await.error, None);
    assert_eq!(boss.query("RECONNECT").await.tags, ["RECONNECT"]);
    boss.send(&frontend::query("WAIT_CLOSE")).await;
    let (pid, key) = (boss.pid(), boss.key().to_vec());
    let waits = tokio::spawn(async move { boss.read_result().await });
    // A key strikes only while its owner waits.
    while !waits.is_finished() {
        RawClient::cancel(pgusher.port(), pid, &key).await;
    }
    assert_eq!(waits.await.expect("no panic").unwrap_error().code(), "57014");
    assert_eq!(second.query("SHOW VERSION").await.error, None);
    assert_eq!(busy.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn an_interrupted_pause_is_no_pause() {
    let (pgusher, _) = start("console_cancel");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let (mut busy, mut idle) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(busy.query("begin").await.error, None);
    let paused = |all: &QueryResult| cell(all, "key", "paused", "value");
    boss.send(&frontend::query("PAUSE")).await;
    until(&mut second, "SHOW STATE", |all| paused(all) == "yes").await;
    RawClient::cancel(pgusher.port(), boss.pid(), boss.key()).await;
    assert_eq!(boss.read_result().await.unwrap_error().code(), "57014");
    assert_eq!(paused(&second.query("SHOW STATE").await), "no");
    boss.send(&frontend::query("PAUSE")).await;
    until(&mut second, "SHOW STATE", |all| paused(all) == "yes").await;
    boss.reset();
    until(&mut second, "SHOW STATE", |all| paused(all) == "no").await;
    assert_eq!(idle.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn a_client_is_killed_by_its_id() {
    let (pgusher, _) = start("console_kill_client");
    let mut admin = admin(&pgusher).await;
    let (mut victim, mut bystander) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(victim.query("set application_name = 'victim'; begin").await.error, None);
    assert_eq!(bystander.query("select 1").await.value(), "1");
    let mut id = String::new();
    until(&mut admin, "SHOW CLIENTS", |all| {
        let named = all.rows.iter().any(|row| row.contains(&Some("victim".to_owned())));
        if named {
            id = cell(all, "application_name", "victim", "id");
        }
        named
    })
    .await;
    assert_eq!(admin.query(&format!("KILL_CLIENT {id}")).await.tags, ["KILL_CLIENT"]);
    assert_eq!(victim.expect_fatal().await.code(), "57P01");
    assert_eq!(bystander.query("select 2").await.value(), "2");
    until(&mut admin, "SHOW POOLS", |all| cell(all, "database", "app", "sv_active") == "0").await;
}

#[tokio::test]
async fn kill_sends_everybody_away_until_resume() {
    let (pgusher, _) = start("console_kill");
    let mut admin = admin(&pgusher).await;
    let (mut busy, mut idle) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(busy.query("begin").await.error, None);
    assert_eq!(admin.query("KILL app").await.tags, ["KILL"]);
    assert_eq!(busy.expect_fatal().await.code(), "57P01");
    assert_eq!(idle.expect_fatal().await.code(), "57P01");
    until(&mut admin, "SHOW SERVERS", |all| all.rows.is_empty()).await;
    let port = pgusher.port();
    let late = tokio::spawn(async move {
        let mut late = RawClient::login(port, "app", "alice", "").await;
        late.query("select 5").await.value().to_owned()
    });
    assert_eq!(admin.query("RESUME app").await.tags, ["RESUME"]);
    assert_eq!(late.await.expect("no panic"), "5");
}

#[tokio::test]
async fn a_disabled_database_admits_nobody() {
    let (pgusher, _) = start("console_disable");
    let mut admin = admin(&pgusher).await;
    let mut inside = client(&pgusher).await;
    assert_eq!(admin.query("DISABLE app").await.tags, ["DISABLE"]);
    let databases = admin.query("SHOW DATABASES").await;
    assert_eq!(cell(&databases, "name", "app", "disabled"), "1");
    assert!(RawClient::try_login(pgusher.port(), "app", "alice", "").await.is_err());
    assert_eq!(inside.query("select 1").await.value(), "1", "who is inside stays");
    let mut other = RawClient::login(pgusher.port(), "other-db", "alice", "").await;
    assert_eq!(other.query("select 1").await.value(), "1");
    assert_eq!(admin.query("ENABLE app").await.tags, ["ENABLE"]);
    let mut back = client(&pgusher).await;
    assert_eq!(back.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn reconnect_replaces_servers_and_wait_close_waits_for_it() {
    let (pgusher, _) = start("console_reconnect");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let mut client = client(&pgusher).await;
    let before = client.query("begin; select pg_backend_pid()").await.value().to_owned();
    assert_eq!(boss.query("RECONNECT app").await.tags, ["RECONNECT"]);
    let servers = second.query("SHOW SERVERS").await;
    assert_eq!(cell(&servers, "remote_pid", &before, "close_needed"), "1");
    boss.send(&frontend::query("WAIT_CLOSE app")).await;
    assert_eq!(client.query("select pg_backend_pid()").await.value(), before);
    assert_eq!(client.query("commit").await.error, None);
    assert_eq!(boss.read_result().await.tags, ["WAIT_CLOSE"]);
    assert_ne!(client.query("select pg_backend_pid()").await.value(), before);
}

#[tokio::test]
async fn a_bad_file_changes_nothing() {
    let (pgusher, config) = start("console_reload");
    let mut admin = admin(&pgusher).await;
    let size = async |admin: &mut RawClient| {
        cell(&admin.query("SHOW DATABASES").await, "name", "app", "pool_size")
    };
    pgusher.rewrite_config(&config.replace("pool_size = 2", "pool_size = 3\nnonsense = 1"));
    let result = admin.query("RELOAD").await;
    let error = result.unwrap_error();
    assert_eq!(error.code(), "F0000");
    assert!(format!("{error:?}").contains("nonsense"), "{error:?}");
    assert_eq!(size(&mut admin).await, "2");
    pgusher.rewrite_config(&config.replace("pool_size = 2", "pool_size = 3"));
    assert_eq!(admin.query("RELOAD").await.tags, ["RELOAD"]);
    assert_eq!(size(&mut admin).await, "3");
    let restart =
        config.replace("[databases.app]", "[http]\nlisten = \"127.0.0.1:1\"\n\n[databases.app]");
    pgusher.rewrite_config(&restart);
    let result = admin.query("RELOAD").await;
    assert_eq!(result.tags, ["RELOAD"]);
    assert!(!result.notices.is_empty(), "somebody has to say that this takes a restart");
}

#[tokio::test]
async fn shutdown_says_goodbye_to_consoles() {
    let (mut pgusher, _) = start("console_shutdown");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let mut busy = client(&pgusher).await;
    assert_eq!(busy.query("begin").await.error, None);
    assert_eq!(boss.query("SHUTDOWN WAIT_FOR_CLIENTS").await.tags, ["SHUTDOWN"]);
    assert!(RawClient::try_login(pgusher.port(), "app", "alice", "").await.is_err());
    assert_eq!(busy.query("commit").await.tags, ["COMMIT"]);
    assert_eq!(busy.query("select 1").await.value(), "1", "it may stay as long as it likes");
    assert_eq!(second.query("PAUSE").await.unwrap_error().code(), "55000");
    busy.terminate().await;
    assert_eq!(second.expect_fatal().await.code(), "57P01");
    let ended = wait_for(LIMIT, || pgusher.try_exit().is_some()).await;
    assert!(ended, "{}", pgusher.log());
}

#[tokio::test]
async fn who_shares_its_port_waits_for_clients_behind_a_closed_door() {
    let (first, config) = start("console_handover");
    drop(first);
    let shared = config.replace("[pgusher]\n", "[pgusher]\nso_reuseport = true\n");
    let mut old = Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &shared);
    let port = old.port();
    let (mut boss, mut busy) = (admin(&old).await, client(&old).await);
    // Whoever has knocked is let in, although the order comes before a word of theirs.
    let mut knocked = RawClient::connect(port).await;
    assert_eq!(boss.query("SHUTDOWN WAIT_FOR_CLIENTS").await.tags, ["SHUTDOWN"]);
    let is_shut = || std::net::TcpStream::connect(("127.0.0.1", port)).is_err();
    assert!(wait_for(LIMIT, is_shut).await, "the door stays open");
    knocked.startup(0, &[("user", "alice"), ("database", "app")]).await;
    knocked.authenticate("alice", "").await.expect("it came in time");
    for client in [&mut knocked, &mut busy] {
        assert_eq!(client.query("select 1").await.value(), "1");
    }
    let new = Pgusher::builder(env!("CARGO_BIN_EXE_pgusher"), &shared).port(port).start();
    assert_eq!(client(&new).await.query("select 1").await.value(), "1");
    assert!(old.try_exit().is_none(), "its clients are still there");
    busy.terminate().await;
    knocked.terminate().await;
    assert!(wait_for(LIMIT, || old.try_exit().is_some()).await, "{}", old.log());
}
