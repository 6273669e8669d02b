//! The listening server goes away, a client does not read, a standby refuses.

use std::time::Duration;

use pgusher_testkit::frontend;

use crate::stage::{LIMIT, Stage, assert_silent, notification};

const LISTENING: &str = "select pid from pg_stat_activity where application_name = 'pgusher listening server' and datname = ";

#[tokio::test]
async fn a_lost_listening_server_comes_back_and_says_so() {
    let stage = Stage::new("listen_lost", "pool_size = 1");
    let (mut client, mut other) = (stage.client().await, stage.client().await);
    client.query("listen news").await;
    client.query("listen more").await;
    other.query("listen news").await;
    let pid = stage.cluster.psql(&format!("{LISTENING} 'listen_lost'"));
    assert!(stage.cluster.kill_backend(pid.parse().unwrap()));
    for client in [&mut client, &mut other] {
        let message = client.recv().await;
        assert_eq!(message.tag, b'N', "{message:?}");
        let notice = message.error();
        assert_eq!((notice.severity(), notice.code()), ("WARNING", "01000"), "{notice:?}");
        assert!(notice.detail().is_some_and(|detail| detail.contains("did not arrive")));
    }
    let mut sender = stage.direct().await;
    sender.query("notify more, 'again'; notify news, 'again'").await;
    assert_eq!(notification(&mut client).await.0, "more");
    assert_eq!(notification(&mut client).await.0, "news");
    assert_eq!(notification(&mut other).await.0, "news");
    assert_silent(&mut client).await;
    assert_silent(&mut other).await;
    assert!(stage.metric("pgusher_listen_connects_total") > 1.5);
}

#[tokio::test]
async fn the_listening_server_ends_when_nobody_listens() {
    let stage = Stage::new("listen_end", "pool_size = 1");
    let mut client = stage.client().await;
    let listening = || stage.cluster.psql(&format!("{LISTENING} 'listen_end'"));
    client.query("listen news").await;
    assert_ne!(listening(), "");
    client.query("unlisten *").await;
    let ended = pgusher_testkit::wait_for(LIMIT, || listening().is_empty()).await;
    assert!(ended, "it is still there");
    client.query("listen news").await;
    let mut sender = stage.direct().await;
    sender.query("notify news, 'anew'").await;
    assert_eq!(notification(&mut client).await.1, "anew", "without a warning");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_told_why_it_has_to_go() {
    let stage = Stage::new("listen_slow", "pool_size = 1\nlisten_buffer = \"1MiB\"");
    let (mut slow, mut quick) = (stage.client().await, stage.client().await);
    slow.query("listen news").await;
    quick.query("listen news").await;
    let mut sender = stage.direct().await;
    // What fits the sockets' buffers is read in the end; this is more.
    let sql = "select pg_notify('news', repeat('x', 7000) || i || '/' || $N) from generate_series(1, 20) i";
    for round in 0..200 {
        assert_eq!(sender.query(&sql.replace("$N", &round.to_string())).await.error, None);
        for _ in 0..20 {
            notification(&mut quick).await;
        }
    }
    assert_silent(&mut quick).await;
    slow.set_time_limit(Duration::from_secs(30));
    let error = slow.expect_fatal().await;
    assert_eq!(error.code(), "54000", "{error:?}");
    assert!(error.message().contains("listen_buffer"), "{error:?}");
}

#[tokio::test]
async fn errors_are_postgresqls() {
    let stage = Stage::new("listen_errors", "pool_size = 1");
    let (mut pooled, mut direct) = (stage.client().await, stage.direct().await);
    for script in [
        &["listen"][..],
        &["listen a b"],
        &["begin", "select 1/0", "listen a", "rollback"],
        &["listen a.b"],
    ] {
        for sql in script {
            let (ours, theirs) = (pooled.query(sql).await, direct.query(sql).await);
            assert_eq!(ours, theirs, "{sql}");
        }
    }
    let long = "ä".repeat(40);
    for client in [&mut pooled, &mut direct] {
        client.send(&frontend::query(&format!("listen {long}"))).await;
        client.read_ready().await;
    }
    stage.direct().await.query(&format!("notify {long}, 'x'")).await;
    assert_eq!(notification(&mut pooled).await, notification(&mut direct).await);
}
