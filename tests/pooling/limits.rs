//! Limits on servers and on clients: never exceeded, never lost.

use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, RawClient, frontend};

use crate::stage::{Eye, LIMIT, Stage, backend_pid, database, login, login_as, trusting};

/// So many clients run so many short transactions each, all at once.
async fn crowd(pgusher: &Pgusher, database: &str, user: &str, clients: usize, rounds: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let mut client = login_as(pgusher, database, user).await;
        tasks.spawn(async move {
            for _ in 0..rounds {
                let result = client.query("select pg_sleep(0.002)").await;
                assert!(result.error.is_none(), "{result:?}");
            }
            client.terminate().await;
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn pool_size_is_filled_and_never_exceeded() {
    let stage = Stage::new("limit_pool_size", "pool_size = 3");
    let mut eye = stage.eye().await;
    let most = eye.most_until(crowd(&stage.pgusher, &stage.database, "postgres", 24, 25)).await;
    assert_eq!(most, 3);
    eye.expect(3).await;
}

#[tokio::test]
async fn a_server_that_is_told_goodbye_keeps_its_place_until_it_has_gone() {
    let settings = "pool_size = 3\nserver_lifetime = \"20ms\"";
    let stage = Stage::new("limit_goodbye", settings);
    let mut eye = stage.eye().await;
    let most = eye.most_until(crowd(&stage.pgusher, &stage.database, "postgres", 12, 50)).await;
    assert_eq!(most, 3);
}

#[tokio::test]
async fn min_pool_size_is_kept_once_the_pool_is_used() {
    let stage = Stage::new(
        "limit_min",
        "pool_size = 5\nmin_pool_size = 3\nserver_idle_timeout = \"200ms\"",
    );
    let mut eye = stage.eye().await;
    assert_eq!(stage.client().await.query("select 1").await.value(), "1");
    eye.expect(3).await;
    let pids = stage.cluster.psql(
        "select string_agg(pid::text, ',') from pg_stat_activity where datname = 'limit_min'",
    );
    stage.cluster.psql(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid in ({pids})"
    ));
    Eye::new(stage.cluster, &format!("pid in ({pids})")).await.expect(0).await;
    eye.expect(3).await;
    // More than the minimum go when they are idle, the minimum stays.
    let most = eye.most_until(crowd(&stage.pgusher, &stage.database, "postgres", 8, 25)).await;
    assert_eq!(most, 5);
    eye.expect(3).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(eye.count().await, 3, "the minimum stays however long it is idle");
}

#[tokio::test]
async fn the_reserve_opens_for_a_client_that_waits_too_long() {
    let settings = "pool_size = 1\nreserve_pool_size = 1\nreserve_pool_timeout = \"300ms\"";
    let stage = Stage::new("limit_reserve", settings);
    let mut eye = stage.eye().await;
    let (mut holder, mut waiter) = (stage.client().await, stage.client().await);
    holder.query("begin").await;
    let asked = std::time::Instant::now();
    assert_eq!(waiter.query("select 1").await.value(), "1", "served by the reserve");
    assert!(asked.elapsed() >= Duration::from_millis(300), "not before: {:?}", asked.elapsed());
    waiter.query("begin").await;
    let mut third = stage.client().await;
    third.send(&frontend::query("select 3")).await;
    let most = eye.most_until(tokio::time::sleep(Duration::from_millis(800))).await;
    assert_eq!(most, 2, "pool_size and the reserve");
    waiter.query("commit").await;
    assert_eq!(third.read_result().await.value(), "3");
}

#[tokio::test]
async fn max_db_connections_binds_over_all_users_and_both_make_progress() {
    let cluster = Cluster::shared();
    cluster.psql("create role cap_a login; create role cap_b login");
    let stage = Stage::new("limit_db", "pool_size = 10\nmax_db_connections = 3");
    let mut eye = stage.eye().await;
    let both = async {
        let a = crowd(&stage.pgusher, &stage.database, "cap_a", 12, 20);
        let b = crowd(&stage.pgusher, &stage.database, "cap_b", 12, 20);
        tokio::join!(a, b);
    };
    assert_eq!(eye.most_until(both).await, 3);
}

#[tokio::test]
async fn a_cap_of_one_is_shared_by_two_busy_pools() {
    let cluster = Cluster::shared();
    cluster.psql("create role one_a login; create role one_b login");
    let stage = Stage::new("limit_one", "max_db_connections = 1\nquery_wait_timeout = \"20s\"");
    let mut busy = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut client = login_as(&stage.pgusher, &stage.database, "one_a").await;
        busy.spawn(async move {
            loop {
                let result = client.query("select pg_sleep(0.005)").await;
                assert!(result.error.is_none(), "{result:?}");
            }
        });
    }
    let mut other = login_as(&stage.pgusher, &stage.database, "one_b").await;
    for round in 0..5 {
        let result = tokio::time::timeout(LIMIT, other.query("select current_user")).await;
        assert_eq!(result.unwrap().value(), "one_b", "round {round}");
    }
    busy.abort_all();
    while let Some(ended) = busy.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()), "a busy client failed");
    }
}

#[tokio::test]
async fn an_idle_server_of_another_pool_gives_way() {
    let cluster = Cluster::shared();
    cluster.psql("create role way_a login; create role way_b login");
    let stage = Stage::new("limit_way", "pool_size = 2\nmax_db_connections = 2");
    let mut eye = Eye::new(cluster, "usename = 'way_a'").await;
    crowd(&stage.pgusher, &stage.database, "way_a", 4, 10).await;
    eye.expect(2).await;
    let mut other = login_as(&stage.pgusher, &stage.database, "way_b").await;
    assert_eq!(other.query("select current_user").await.value(), "way_b");
    eye.expect(1).await;
}

#[tokio::test]
async fn max_user_connections_binds_over_all_databases() {
    let cluster = Cluster::shared();
    cluster.psql("create role capped login");
    cluster.create_database("limit_user_1");
    cluster.create_database("limit_user_2");
    let sections = database("limit_user_1", cluster.port(), "pool_size = 5")
        + &database("limit_user_2", cluster.port(), "pool_size = 5")
        + "[users.capped]\nmax_user_connections = 2\n";
    let pgusher = trusting("", &sections).start();
    let mut eye = Eye::new(cluster, "usename = 'capped'").await;
    let both = async {
        let one = crowd(&pgusher, "limit_user_1", "capped", 8, 20);
        let two = crowd(&pgusher, "limit_user_2", "capped", 8, 20);
        tokio::join!(one, two);
    };
    assert_eq!(eye.most_until(both).await, 2);
}

async fn refused(pgusher: &Pgusher, database: &str, user: &str, setting: &str) {
    let error = RawClient::try_login(pgusher.port(), database, user, "").await.unwrap_err();
    assert_eq!((error.severity(), error.code()), ("FATAL", "53300"), "{error:?}");
    assert!(error.message().contains(setting), "{error:?}");
    assert!(error.detail().is_some_and(|detail| detail.contains("is 2")), "{error:?}");
}

/// A place that was given up is free again, though not at the very moment the socket closes.
async fn admitted(pgusher: &Pgusher, database: &str, user: &str) {
    let deadline = std::time::Instant::now() + LIMIT;
    while let Err(error) = RawClient::try_login(pgusher.port(), database, user, "").await {
        assert!(std::time::Instant::now() < deadline, "still refused: {error:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn max_client_conn_refuses_one_more_and_counts_logins_under_way() {
    let stage = Stage::with("limit_clients", "max_client_conn = 2", "", "");
    let (database, pgusher) = (&stage.database, &stage.pgusher);
    let (_one, two) = (stage.client().await, stage.client().await);
    refused(pgusher, database, "postgres", "max_client_conn").await;
    two.terminate().await;
    admitted(pgusher, database, "postgres").await;
}

#[tokio::test]
async fn clients_are_limited_by_database_and_by_user() {
    let cluster = Cluster::shared();
    cluster.psql("create role few login");
    let more = "max_db_client_connections = 2\n[users.few]\nmax_user_client_connections = 2\n";
    let sections = database("other", cluster.port(), "dbname = \"postgres\"")
        + &database("narrow", cluster.port(), &format!("dbname = \"postgres\"\n{more}"));
    let pgusher = trusting("", &sections).start();
    let held = [login(&pgusher, "narrow").await, login(&pgusher, "narrow").await];
    refused(&pgusher, "narrow", "postgres", "max_db_client_connections").await;
    let _few = [login_as(&pgusher, "other", "few").await, login_as(&pgusher, "other", "few").await];
    refused(&pgusher, "other", "few", "max_user_client_connections").await;
    let _free = login(&pgusher, "other").await;
    drop(held);
    admitted(&pgusher, "narrow", "postgres").await;
}

#[tokio::test]
async fn the_warmest_server_is_reused() {
    let stage = Stage::new("limit_lifo", "pool_size = 4");
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = stage.client().await;
        client.query("begin").await;
        clients.push(client);
    }
    stage.eye().await.expect(4).await;
    let mut last = String::new();
    for client in &mut clients {
        last = backend_pid(client).await;
        client.query("commit").await;
    }
    for _ in 0..10 {
        assert_eq!(backend_pid(&mut clients[0]).await, last, "last in, first out");
    }
}

#[tokio::test]
async fn pools_that_keep_a_minimum_do_not_evict_each_other() {
    let cluster = Cluster::shared();
    cluster.psql("create role min_a login; create role min_b login");
    let stage = Stage::new("limit_min_cap", "min_pool_size = 2\nmax_db_connections = 2");
    let mut eye = stage.eye().await;
    for user in ["min_a", "min_b"] {
        let mut client = login_as(&stage.pgusher, &stage.database, user).await;
        assert_eq!(client.query("select current_user").await.value(), user);
    }
    eye.expect(2).await;
    let pids = "select string_agg(pid::text, ' ' order by pid) from pg_stat_activity \
                where datname = 'limit_min_cap'";
    let before = cluster.psql(pids);
    // Several rounds of the keeper, who would dial for the minimum.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(cluster.psql(pids), before);
}
