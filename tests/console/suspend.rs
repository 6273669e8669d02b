//! SUSPEND: every byte under way arrives, and then everybody stands still until RESUME.

use pgusher_testkit::{Pgusher, QueryResult, RawClient, frontend};

use crate::stage::{admin, app_stat, cell, client, drop_in, start, until};

fn is_suspended(all: &QueryResult) -> bool {
    cell(all, "key", "suspended", "value") == "yes"
}

#[tokio::test]
async fn everybody_stands_still_until_resume() {
    let (pgusher, _) = start("console_suspend");
    let mut boss = admin(&pgusher).await;
    let (mut busy, mut idle) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(busy.query("begin; select 1").await.error, None);
    assert_eq!(idle.query("select 1").await.value(), "1");
    let before = app_stat(&mut boss, "total_query_count").await;
    assert_eq!(boss.query("SUSPEND").await.tags, ["SUSPEND"]);
    let state = boss.query("SHOW STATE").await;
    assert!(is_suspended(&state) && cell(&state, "key", "active", "value") == "no", "{state:?}");
    for order in ["SUSPEND", "PAUSE", "PAUSE app", "KILL"] {
        assert_eq!(boss.query(order).await.unwrap_error().code(), "55000", "{order}");
    }
    busy.send(&frontend::query("select 2")).await;
    idle.send(&frontend::query("select 3")).await;
    let mut late = client(&pgusher).await;
    late.send(&frontend::query("select 4")).await;
    // Nothing can be waited for that must not happen; this is long enough for what goes wrong every time.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(app_stat(&mut boss, "total_query_count").await, before);
    assert_eq!(boss.query("RESUME").await.tags, ["RESUME"]);
    assert_eq!(busy.read_result().await.value(), "2");
    assert_eq!(idle.read_result().await.value(), "3");
    assert_eq!(late.read_result().await.value(), "4");
    assert_eq!(busy.query("commit").await.tags, ["COMMIT"]);
    assert!(!is_suspended(&boss.query("SHOW STATE").await));
}

/// A client that does not read what it asked for, so that bytes for it stay under way: they are when this comes back.
async fn stubborn(pgusher: &Pgusher, admin: &mut RawClient) -> RawClient {
    let mut client = client(pgusher).await;
    client.send(&frontend::query("select repeat('x', 100000000)")).await;
    let sent = |all: &QueryResult| cell(all, "database", "app", "total_sent").parse::<u64>();
    until(admin, "SHOW STATS", |all| sent(all).is_ok_and(|sent| sent > 100_000)).await;
    client
}

#[tokio::test]
async fn an_interrupted_suspend_is_none() {
    let (pgusher, _) = start("console_suspend_cancel");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let mut client = stubborn(&pgusher, &mut second).await;
    boss.send(&frontend::query("SUSPEND")).await;
    until(&mut second, "SHOW STATE", is_suspended).await;
    let (pid, key) = (boss.pid(), boss.key().to_vec());
    let waits = tokio::spawn(async move { boss.read_result().await });
    while !waits.is_finished() {
        RawClient::cancel(pgusher.port(), pid, &key).await;
    }
    assert_eq!(waits.await.expect("no panic").unwrap_error().code(), "57014");
    assert!(!is_suspended(&second.query("SHOW STATE").await));
    assert_eq!(client.read_result().await.value().len(), 100_000_000);
}

#[tokio::test]
async fn suspend_timeout_ends_who_does_not_take_what_is_sent() {
    let (pgusher, config) = start("console_suspend_timeout");
    pgusher.rewrite_config(&config.replace("auth_type", "suspend_timeout = \"200ms\"\nauth_type"));
    let mut boss = admin(&pgusher).await;
    assert_eq!(boss.query("RELOAD").await.tags, ["RELOAD"]);
    let mut idle = client(&pgusher).await;
    let _stubborn = stubborn(&pgusher, &mut boss).await;
    assert_eq!(boss.query("SUSPEND").await.tags, ["SUSPEND"]);
    assert_eq!(boss.query("SHOW CLIENTS").await.rows.len(), 1, "the other one");
    assert_eq!(boss.query("RESUME").await.tags, ["RESUME"]);
    assert_eq!(idle.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn nobody_is_left_suspended() {
    let pgusher = drop_in("console_suspend_left", "");
    let mut boss = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("select 1").await.value(), "1");
    assert_eq!(boss.query("PAUSE app").await.tags, ["PAUSE"]);
    let refused = boss.query("SUSPEND").await;
    assert_eq!(refused.unwrap_error().message(), "cannot suspend with paused databases");
    assert_eq!(boss.query("RESUME app").await.tags, ["RESUME"]);
    assert_eq!(boss.query("SUSPEND").await.tags, ["SUSPEND"]);
    client.send(&frontend::query("select 5")).await;
    boss.reset();
    assert_eq!(client.read_result().await.value(), "5", "there is nobody who could resume");
}

/// As PgBouncer has it: whoever comes between SUSPEND and RESUME waits at the door.
#[tokio::test]
async fn nobody_comes_in_while_everything_is_suspended() {
    let pgusher = drop_in("console_suspend_door", "");
    let mut boss = admin(&pgusher).await;
    let mut inside = client(&pgusher).await;
    assert_eq!(boss.query("SUSPEND").await.tags, ["SUSPEND"]);
    let port = pgusher.port();
    let late = tokio::spawn(async move {
        let mut late = RawClient::login(port, "app", "alice", "").await;
        late.query("select 6").await.value().to_owned()
    });
    // Nothing can be waited for that must not happen; this is long enough for what goes wrong every time.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(boss.query("SHOW CLIENTS").await.rows.len(), 2, "the one inside, and the boss");
    assert_eq!(boss.query("RESUME").await.tags, ["RESUME"]);
    assert_eq!(late.await.expect("no panic"), "6");
    assert_eq!(inside.query("select 7").await.value(), "7");
}
