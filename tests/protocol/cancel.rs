//! Cancel requests strike whom they are meant for, and nobody else.

use std::time::Duration;

use pgusher_testkit::{FakeConn, FakeServer, Pgusher, RawClient, frontend, wait_for};

use super::kit::{PATIENCE, Site, config, site};

/// Waits until a query that contains `mark` runs on the server.
async fn wait_running(site: &Site, mark: &str) {
    let running = format!(
        "select count(*) from pg_stat_activity where state = 'active' and wait_event = 'PgSleep' and query like '%{mark}%' and pid <> pg_backend_pid()"
    );
    assert!(wait_for(PATIENCE, || site.psql(&running) != "0").await, "{mark} does not run");
}

async fn cancel(site: &Site, client: &RawClient) {
    RawClient::cancel(site.pgusher.port(), client.pid(), client.key()).await;
}

#[tokio::test]
async fn a_running_query_is_cancelled_and_no_other() {
    let site = site(2);
    let (mut one, mut two) = (site.client().await, site.client().await);
    one.send(&frontend::query("select pg_sleep(600), 'first'")).await;
    two.send(&frontend::query("select pg_sleep(2), 'second'")).await;
    wait_running(&site, "first").await;
    wait_running(&site, "second").await;
    cancel(&site, &one).await;
    let cancelled = one.read_result().await;
    assert_eq!(cancelled.unwrap_error().code(), "57014");
    assert_eq!(cancelled.unwrap_error().message(), "canceling statement due to user request");
    assert!(two.read_result().await.error.is_none());
    assert_eq!(one.query("select 1").await.value(), "1");
    site.assert_calm();
}

#[tokio::test]
async fn a_long_key_cancels_and_a_wrong_one_does_not() {
    let site = site(1);
    let mut client = RawClient::connect(site.pgusher.port()).await;
    client.startup(2, &[("user", "postgres"), ("database", &site.database)]).await;
    client.authenticate("postgres", "").await.unwrap();
    assert_eq!(client.key().len(), 32);
    client.send(&frontend::query("select pg_sleep(600), 'long'")).await;
    wait_running(&site, "long").await;
    let (port, pid) = (site.pgusher.port(), client.pid());
    let mut wrong = client.key().to_vec();
    wrong[31] ^= 1;
    for (pid, key) in [(pid, &wrong[..]), (pid, &wrong[..4]), (pid ^ 1, client.key())] {
        RawClient::cancel(port, pid, key).await;
    }
    client.set_time_limit(Duration::from_millis(100));
    assert!(client.try_recv().await.is_err(), "a wrong key did something");
    client.set_time_limit(PATIENCE);
    cancel(&site, &client).await;
    assert_eq!(client.read_result().await.unwrap_error().code(), "57014");
}

#[tokio::test]
async fn a_client_in_the_queue_is_taken_out_of_it() {
    let site = site(1);
    let (mut holder, mut waiter) = (site.client().await, site.client().await);
    assert_eq!(holder.query("begin").await.status, b'T');
    for batch in [false, true] {
        if batch {
            let batch = super::kit::unnamed("select 'waits'", &[]);
            waiter.send(&[batch, frontend::sync()].concat()).await;
        } else {
            waiter.send(&frontend::query("select 'waits'")).await;
        }
        // A request that comes before the query counts for nothing: ask until one strikes.
        waiter.set_time_limit(Duration::from_millis(50));
        let error = loop {
            cancel(&site, &waiter).await;
            if let Ok(message) = waiter.try_recv().await {
                break message.error();
            }
        };
        waiter.set_time_limit(PATIENCE);
        assert_eq!((error.severity(), error.code()), ("ERROR", "57014"));
        assert_eq!(waiter.read_ready().await.len(), 1);
    }
    assert_eq!(holder.query("select 'still mine'").await.value(), "still mine");
    holder.query("commit").await;
    assert_eq!(waiter.query("select 'usable'").await.value(), "usable");
    site.assert_calm();
}

#[tokio::test]
async fn a_late_request_never_strikes_the_next_user() {
    let site = site(1);
    let (mut one, mut two) = (site.client().await, site.client().await);
    let (port, pid, key) = (site.pgusher.port(), one.pid(), one.key().to_vec());
    for round in 0..200_u32 {
        let key = key.clone();
        one.send(&frontend::query("select pg_sleep(0.001)")).await;
        let racing = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_micros(u64::from(round % 20) * 150)).await;
            RawClient::cancel(port, pid, &key).await;
        });
        two.send(&frontend::query("select pg_sleep(0.002), 'unharmed'")).await;
        let own = one.read_result().await;
        assert!(own.error.is_none_or(|error| error.code() == "57014"), "round {round}");
        let others = two.read_result().await;
        assert!(others.error.is_none(), "round {round}: {others:?}");
        racing.await.unwrap();
    }
    site.assert_calm();
}

/// The states of SHOW BLOCKERS.
async fn states_of_holders(console: &mut RawClient) -> Vec<String> {
    let table = console.query("show blockers").await;
    table.column("state").into_iter().map(str::to_owned).collect()
}

/// A server that keeps cancel connections open until told, and says what it was asked.
#[tokio::test]
async fn a_server_is_not_handed_on_while_a_request_is_on_its_way() {
    let (release, released) = tokio::sync::watch::channel(false);
    let (hear, heard) = tokio::sync::watch::channel(false);
    let server = FakeServer::start_unread(move |conn| {
        let (mut released, hear) = (released.clone(), hear.clone());
        async move {
            let mut conn: FakeConn = conn;
            let Some(head) = conn.recv_bytes(8).await else { return };
            if head[4..] == [4, 210, 22, 46] {
                hear.send_replace(true);
                // The sender going away is the test's end.
                let _ = released.wait_for(|released| *released).await;
                return conn.close().await;
            }
            let rest = usize::try_from(u32::from_be_bytes(head[..4].try_into().unwrap())).unwrap();
            conn.recv_bytes(rest - 8).await;
            conn.login_trust(&[("server_version", "15.0")], 7, b"key!").await;
            while let Some(message) = conn.recv().await {
                if message.tag == b'Q' {
                    conn.rows(&["c"], &[&[Some(&message.texts()[0])]]).await;
                    conn.ready(if message.texts()[0] == "begin" { b'T' } else { b'I' }).await;
                }
            }
        }
    })
    .await;
    let config = config("db", server.port(), 1, "");
    let config = config.replace("[pgusher]\n", "[pgusher]\nstats_users = [\"watcher\"]\n");
    let pgusher = Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config);
    let mut one = RawClient::login(pgusher.port(), "db", "me", "").await;
    let mut two = RawClient::login(pgusher.port(), "db", "me", "").await;
    let mut console = RawClient::login(pgusher.port(), "pgusher", "watcher", "").await;
    one.query("begin").await;
    let (port, pid, key) = (pgusher.port(), one.pid(), one.key().to_vec());
    let cancelling = tokio::spawn(async move { RawClient::cancel(port, pid, &key).await });
    assert!(wait_for(PATIENCE, || *heard.borrow()).await, "the request reached the server");
    // The transaction ends; the request may still strike whoever comes next.
    one.query("commit").await;
    two.send(&frontend::query("select 'two'")).await;
    two.set_time_limit(Duration::from_millis(300));
    assert!(two.try_recv().await.is_err(), "handed on too early");
    assert_eq!(states_of_holders(&mut console).await, ["being_canceled"], "why `two` waits");
    release.send_replace(true);
    two.set_time_limit(PATIENCE);
    assert_eq!(two.read_result().await.value(), "select 'two'");
    assert!(!states_of_holders(&mut console).await.contains(&"being_canceled".to_owned()));
    cancelling.await.unwrap();
}
