//! Reload: all or nothing, and only what changed.

use std::time::Duration;

use pgusher_testkit::{Cluster, FaultProxy, Pgusher, RawClient, Signal};

use crate::stage::{LIMIT, Stage, backend_pid, database, login, trusting, trusting_config, until};

const DONE: &str = "configuration reloaded";

/// Puts a configuration in place and has it read.
async fn reload(pgusher: &Pgusher, config: &str) {
    let before = pgusher.log().matches(DONE).count();
    pgusher.rewrite_config(config);
    pgusher.signal(Signal::HUP);
    until("the reload", || pgusher.log().matches(DONE).count() > before).await;
}

fn config_of(stage: &Stage, settings: &str) -> String {
    trusting_config("", &database(&stage.database, stage.cluster.port(), settings))
}

#[tokio::test]
async fn a_bad_file_changes_nothing() {
    let stage = Stage::new("reload_bad", "pool_size = 1");
    let mut client = stage.client().await;
    let pid = backend_pid(&mut client).await;
    stage
        .pgusher
        .rewrite_config("[pgusher]\nlisten_prot = 1\n[databases.other]\npool_size = \"many\"\n");
    stage.pgusher.signal(Signal::HUP);
    stage.pgusher.wait_log("reload failed", LIMIT);
    let log = stage.pgusher.log();
    assert!(log.contains("pgusher.toml:2:1: unknown key `listen_prot`"), "{log}");
    assert!(log.contains("pgusher.toml:4:"), "every mistake: {log}");
    assert_eq!(backend_pid(&mut client).await, pid);
    assert_eq!(
        backend_pid(&mut stage.client().await).await,
        pid,
        "the old database is still served"
    );
}

#[tokio::test]
async fn a_missing_userlist_changes_nothing() {
    let stage = Stage::new("reload_userlist", "");
    let mut client = stage.client().await;
    let config =
        trusting_config("auth_file = \"gone.txt\"", &database("another", stage.cluster.port(), ""));
    stage.pgusher.rewrite_config(&config);
    stage.pgusher.signal(Signal::HUP);
    stage.pgusher.wait_log("reload failed", LIMIT);
    assert!(stage.pgusher.log().contains("gone.txt"), "{}", stage.pgusher.log());
    assert_eq!(client.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn what_did_not_change_is_not_touched() {
    let cluster = Cluster::shared();
    let (port, same) = (cluster.port(), "dbname = \"postgres\"\npool_size = 2");
    let before = database("same", port, same) + &database("other", port, same);
    let pgusher = trusting("", &before).start();
    let mut client = login(&pgusher, "same").await;
    let pid = backend_pid(&mut client).await;
    let mut inside = login(&pgusher, "same").await;
    inside.query("begin").await;
    let inner = backend_pid(&mut inside).await;
    let changed =
        "dbname = \"postgres\"\npool_size = 5\nstartup_parameters = { work_mem = \"9MB\" }";
    let after = database("same", port, same) + &database("other", port, changed);
    reload(&pgusher, &trusting_config("", &after)).await;
    assert_eq!(backend_pid(&mut inside).await, inner);
    assert_eq!(inside.query("commit").await.tags, ["COMMIT"]);
    let now = backend_pid(&mut client).await;
    assert!(now == pid || now == inner, "the servers stay: {pid} {inner} {now}");
    let mut other = login(&pgusher, "other").await;
    assert_eq!(other.query("show work_mem").await.value(), "9MB");
}

#[tokio::test]
async fn a_pool_grows_and_shrinks() {
    let stage = Stage::new("reload_resize", "pool_size = 1");
    let mut eye = stage.eye().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(stage.client().await);
    }
    clients[0].query("begin").await;
    clients[1].send(&pgusher_testkit::frontend::query("begin")).await;
    reload(&stage.pgusher, &config_of(&stage, "pool_size = 4")).await;
    assert_eq!(
        clients[1].read_result().await.tags,
        ["BEGIN"],
        "a waiter gets a new server at once"
    );
    clients[2].query("begin").await;
    clients[3].query("begin").await;
    eye.expect(4).await;
    clients[2].query("commit").await;
    clients[3].query("commit").await;
    reload(&stage.pgusher, &config_of(&stage, "pool_size = 1")).await;
    // The idle ones go at once, the busy one that is too many when its transaction ends.
    eye.expect(2).await;
    clients[0].query("commit").await;
    clients[1].query("commit").await;
    eye.expect(1).await;
    assert_eq!(clients[3].query("select 1").await.value(), "1");
}

#[tokio::test]
async fn a_smaller_shared_limit_sheds_idle_servers() {
    let stage = Stage::new("reload_cap", "pool_size = 4");
    let mut eye = stage.eye().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = stage.client().await;
        client.query("begin").await;
        clients.push(client);
    }
    for client in &mut clients {
        client.query("commit").await;
    }
    eye.expect(4).await;
    reload(&stage.pgusher, &config_of(&stage, "pool_size = 4\nmax_db_connections = 2")).await;
    eye.expect(2).await;
    assert_eq!(clients[0].query("select 1").await.value(), "1");
}

#[tokio::test]
async fn another_address_replaces_the_servers_after_their_transactions() {
    let cluster = Cluster::shared();
    let proxy = FaultProxy::start(([127, 0, 0, 1], cluster.port())).await;
    let settings = "dbname = \"postgres\"";
    let pgusher = trusting("", &database("app", cluster.port(), settings)).start();
    let (mut busy, mut idle) = (login(&pgusher, "app").await, login(&pgusher, "app").await);
    busy.query("begin").await;
    let old = backend_pid(&mut busy).await;
    backend_pid(&mut idle).await;
    reload(&pgusher, &trusting_config("", &database("app", proxy.port(), settings))).await;
    assert_eq!(backend_pid(&mut busy).await, old, "the transaction goes on where it is");
    let new = backend_pid(&mut idle).await;
    assert_eq!(proxy.connections(), 1, "others are served from the new address");
    busy.query("commit").await;
    assert_eq!(backend_pid(&mut busy).await, new);
}

#[tokio::test]
async fn databases_come_and_go() {
    let cluster = Cluster::shared();
    let port = cluster.port();
    let settings = "dbname = \"postgres\"";
    let stays = database("stays", port, settings);
    let pgusher = trusting("", &(stays.clone() + &database("goes", port, settings))).start();
    let (mut idle, mut busy) = (login(&pgusher, "goes").await, login(&pgusher, "goes").await);
    let mut other = login(&pgusher, "stays").await;
    busy.query("begin").await;
    let pid = backend_pid(&mut busy).await;
    let error = RawClient::try_login(pgusher.port(), "comes", "postgres", "").await.unwrap_err();
    assert_eq!(error.code(), "3D000");
    reload(&pgusher, &trusting_config("", &(stays + &database("comes", port, settings)))).await;
    for client in [&mut idle, &mut busy] {
        assert_eq!(client.expect_fatal().await.code(), "57P01");
    }
    assert_eq!(other.query("select 1").await.value(), "1");
    assert_eq!(login(&pgusher, "comes").await.query("select 2").await.value(), "2");
    let error = RawClient::try_login(pgusher.port(), "goes", "postgres", "").await.unwrap_err();
    assert_eq!(error.code(), "3D000");
    let sql = format!("select count(*) from pg_stat_activity where pid = {pid}");
    until("its servers are closed", || cluster.psql(&sql) == "0").await;
}

#[tokio::test]
async fn timeouts_reach_clients_that_are_connected() {
    let stage = Stage::new("reload_timeouts", "pool_size = 1");
    let (mut holder, mut client) = (stage.client().await, stage.client().await);
    holder.query("begin").await;
    reload(&stage.pgusher, &config_of(&stage, "pool_size = 1\nquery_wait_timeout = \"100ms\""))
        .await;
    assert_eq!(client.query("select 1").await.unwrap_error().code(), "53300");
}

#[tokio::test]
async fn files_are_watched_when_asked() {
    let stage = Stage::with("reload_watch", "reload_on_change = true", "", "");
    let port = stage.cluster.port();
    let sections = database("reload_watch", port, "") + &database("postgres", port, "");
    stage.pgusher.rewrite_config(&trusting_config("reload_on_change = true", &sections));
    stage.pgusher.wait_log(DONE, LIMIT);
    assert_eq!(login(&stage.pgusher, "postgres").await.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn users_come_and_go_for_new_logins() {
    let sections = database("postgres", Cluster::shared().port(), "user = \"postgres\"");
    let config = trusting_config("auth_file = \"users.txt\"\nreload_on_change = true", &sections)
        .replace("\"trust\"", "\"scram-sha-256\"");
    let pgusher = Pgusher::builder(crate::stage::BINARY, &config)
        .file("users.txt", "\"old\" \"secret\"\n")
        .start();
    let mut old = RawClient::login(pgusher.port(), "postgres", "old", "secret").await;
    assert!(RawClient::try_login(pgusher.port(), "postgres", "new", "word").await.is_err());
    pgusher.rewrite_file("users.txt", "\"new\" \"word\"\n");
    pgusher.wait_log(DONE, LIMIT);
    let mut new = RawClient::login(pgusher.port(), "postgres", "new", "word").await;
    assert_eq!(new.query("select 1").await.value(), "1");
    let error =
        RawClient::try_login(pgusher.port(), "postgres", "old", "secret").await.unwrap_err();
    assert_eq!(error.code(), "28P01");
    assert_eq!(old.query("select 2").await.value(), "2", "who is in stays in");
}

#[tokio::test]
async fn a_corrected_server_password_is_used_at_once() {
    let cluster = Cluster::builder().auth("scram-sha-256").build();
    let section = |password: &str| {
        let settings =
            format!("user = \"postgres\"\npassword = \"{password}\"\nserver_login_retry = \"10m\"");
        database("postgres", cluster.port(), &settings)
    };
    let pgusher = trusting("", &section("wrong")).start();
    let error = RawClient::try_login(pgusher.port(), "postgres", "u", "").await.unwrap_err();
    assert_eq!(error.code(), "28P01");
    reload(&pgusher, &trusting_config("", &section("postgres"))).await;
    let mut client = RawClient::login(pgusher.port(), "postgres", "u", "").await;
    assert_eq!(client.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn the_log_level_changes_and_restarts_are_announced() {
    let sections = database("postgres", Cluster::shared().port(), "");
    let quiet = trusting_config("", &sections).replace("\"debug\"", "\"info\"");
    let pgusher = Pgusher::start(crate::stage::BINARY, &quiet);
    login(&pgusher, "postgres").await.query("select 1").await;
    assert!(!pgusher.log().contains("server connected"), "a debug line:\n{}", pgusher.log());
    let loud = trusting_config("listen_backlog = 77", &sections);
    let loud = loud + &database("second", Cluster::shared().port(), "dbname = \"postgres\"");
    reload(&pgusher, &loud).await;
    login(&pgusher, "second").await.query("select 1").await;
    pgusher.wait_log("server connected", LIMIT);
    pgusher.wait_log("listen_backlog takes effect after a restart", Duration::from_secs(5));
}
