//! What servers say unasked.

use pgusher_testkit::{FakeConn, FakeServer, Pgusher, RawClient, backend, frontend, wait_for};

use tokio::sync::watch;

use super::kit::{PATIENCE, config, site, sqls};

#[tokio::test]
async fn an_administrators_command_reaches_the_client_it_strikes() {
    let site = site(2);
    let (mut one, mut two) = (site.client().await, site.client().await);
    one.query("begin").await;
    let pid = one.query("select pg_backend_pid()").await.value().to_owned();
    site.psql(&format!("select pg_terminate_backend({pid})"));
    let told = one.expect_fatal().await;
    assert_eq!((told.severity(), told.code()), ("FATAL", "57P01"));
    one = site.client().await;
    one.send(&frontend::query("select pg_sleep(600), 'struck'")).await;
    let running =
        "select pid from pg_stat_activity where query like '%struck%' and wait_event = 'PgSleep'";
    let mut pid = String::new();
    let runs = wait_for(PATIENCE, || {
        pid = site.psql(running);
        !pid.is_empty()
    });
    assert!(runs.await);
    site.psql(&format!("select pg_terminate_backend({pid})"));
    assert_eq!(one.expect_fatal().await.code(), "57P01");
    assert_eq!(two.query("select 'fine'").await.value(), "fine");
    site.assert_calm();
}

#[tokio::test]
async fn servers_killed_while_idle_are_replaced_unnoticed() {
    let site = site(2);
    let (mut one, mut two) = (site.client().await, site.client().await);
    for round in 0..20 {
        one.query("begin").await;
        let first = one.query("select pg_backend_pid()").await.value().to_owned();
        let second = two.query("select pg_backend_pid()").await.value().to_owned();
        one.query("commit").await;
        for pid in [first, second] {
            site.psql(&format!("select pg_terminate_backend({pid}, 10000)"));
        }
        for client in [&mut one, &mut two] {
            let found = client.query("select 'here'").await;
            assert_eq!(found.value(), "here", "round {round}");
        }
    }
    site.assert_calm();
}

/// Says one thing unasked after its very first answer, when it may, and tells when it has.
async fn chatterbox(
    unasked: Vec<u8>,
    may: watch::Receiver<bool>,
    told: watch::Sender<bool>,
) -> FakeServer {
    FakeServer::start(move |conn| {
        let (unasked, mut may, told) = (unasked.clone(), may.clone(), told.clone());
        async move {
            let mut conn: FakeConn = conn;
            let index = conn.index().to_string();
            conn.login_trust(&[("server_version", "15.0"), ("TimeZone", "UTC")], 7, b"key!").await;
            let mut said = conn.index() > 0;
            while let Some(message) = conn.recv().await {
                if message.tag == b'Q' {
                    conn.rows(&["c"], &[&[Some(&index)]]).await;
                    conn.ready(b'I').await;
                    if !std::mem::replace(&mut said, true) {
                        // The sender going away is the test's end.
                        let _ = may.wait_for(|may| *may).await;
                        conn.send(&unasked).await;
                        told.send_replace(true);
                    }
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn news_on_an_idle_server_is_for_nobody() {
    let notice = pgusher_testkit::ErrorFields::new("NOTICE", "00000", "hear, hear");
    let cases = [
        (backend::notice_response(&notice), true),
        (backend::notification(9, "channel", "payload"), true),
        (backend::ready_for_query(b'I'), false),
        (backend::data_row(&[Some("unasked")]), false),
        (backend::notice_response(&notice)[..9].to_vec(), false),
    ];
    for (unasked, stays) in cases {
        let ((speak, may), (told, mut heard)) = (watch::channel(false), watch::channel(false));
        let server = chatterbox(unasked.clone(), may, told).await;
        // On one thread whoever sees the next query has seen what came before it.
        let config = config("db", server.port(), 1, "").replace("threads = 2", "threads = 1");
        let pgusher = Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config);
        let mut one = RawClient::login(pgusher.port(), "db", "me", "").await;
        let mut two = RawClient::login(pgusher.port(), "db", "me", "").await;
        let first = one.query("select 1").await.value().to_owned();
        speak.send_replace(true);
        heard.wait_for(|told| *told).await.unwrap();
        let found = two.query("select 2").await;
        let shown = unasked.escape_ascii();
        if stays {
            assert_eq!(found.value(), first, "{shown}");
        } else {
            assert_ne!(found.value(), first, "{shown}");
        }
        assert_eq!(two.query("select 3").await.value(), found.value(), "{shown}");
    }
}

#[tokio::test]
async fn listening_and_notifying_are_answered_alike() {
    let texts = ["begin; listen c; notify d, 'one'", "commit", "notify d, 'two'", "unlisten c"];
    site(1).same(&sqls(&texts)).await;
}
