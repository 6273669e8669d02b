//! LISTEN and NOTIFY through a pool.

use std::collections::BTreeSet;

use pgusher_testkit::frontend;

use crate::stage::{Stage, assert_silent, notification, parts};

#[tokio::test]
async fn a_notification_reaches_clients_that_hold_no_server() {
    let stage = Stage::new("listen_basic", "pool_size = 1");
    let (mut one, mut two) = (stage.client().await, stage.client().await);
    for client in [&mut one, &mut two] {
        let result = client.query("listen news").await;
        assert_eq!((result.error, result.tags), (None, vec!["LISTEN".to_owned()]));
    }
    let mut sender = stage.direct().await;
    for text in ["a", "b", "c"] {
        assert_eq!(sender.query(&format!("notify news, '{text}'")).await.error, None);
    }
    for client in [&mut one, &mut two] {
        for text in ["a", "b", "c"] {
            assert_eq!(notification(client).await, ("news".to_owned(), text.to_owned()));
        }
    }
    assert_eq!(one.query("unlisten news").await.tags, ["UNLISTEN"]);
    sender.query("notify news, 'd'").await;
    assert_eq!(notification(&mut two).await.1, "d");
    assert_silent(&mut one).await;
    let left = "select count(*) from pg_listening_channels()";
    assert_eq!(one.query(left).await.value(), "0", "the pooled server does not listen");
    assert_eq!(stage.pins().await, 0);
}

#[tokio::test]
async fn a_client_hears_itself_with_the_pid_of_its_server() {
    let stage = Stage::new("listen_self", "pool_size = 1");
    let mut client = stage.client().await;
    client.query("listen \"Mixed Case\"").await;
    let pid: u32 = client.query("select pg_backend_pid()").await.value().parse().unwrap();
    client.send(&frontend::query("select pg_notify('Mixed Case', 'me')")).await;
    let mut heard = Vec::new();
    let mut ready = false;
    while heard.is_empty() || !ready {
        let message = client.recv().await;
        ready |= message.tag == b'Z';
        if message.tag == b'A' {
            heard.push((
                u32::from_be_bytes(message.body[..4].try_into().unwrap()),
                parts(&message.body),
            ));
        }
    }
    assert_eq!(heard, [(pid, ("Mixed Case".to_owned(), "me".to_owned()))]);
    assert_silent(&mut client).await;
}

/// What comes before ReadyForQuery is compared with a connection of one's own, notifications included.
#[tokio::test]
async fn ones_own_notifications_come_before_ready_for_query() {
    let stage = Stage::new("listen_own", "pool_size = 2");
    let batch = |sql: &str| {
        let run = [frontend::bind("", "", &[]), frontend::execute("", 0), frontend::sync()];
        [frontend::parse("", sql, &[]).to_vec(), run.concat()].concat()
    };
    let simple = |sql: &str| frontend::query(sql).to_vec();
    let script = [
        simple("listen a"),
        simple("notify a, '1'"),
        simple("notify a, '2'; notify b, 'not heard'; select pg_notify('a', '3')"),
        batch("select pg_notify('a', '4')"),
        batch("notify a, '5'"),
        simple("begin"),
        simple("notify a, '6'"),
        simple("savepoint s; notify a, 'never'; rollback to s; notify a, '7'"),
        simple("commit"),
        simple("begin; notify a, 'never'; rollback"),
        simple("notify a, 'never'; select 1/0"),
        simple("unlisten a"),
        simple("begin; listen c; notify c, '8'; commit"),
        simple("notify c, '9'; unlisten c"),
        // A pipeline: each behind its own statement.
        [simple("listen a"), simple("notify a, '10'"), batch("notify a, '11'"), simple("select 1")]
            .concat(),
        simple("create temp table if not exists keeps_its_server (a int)"),
        simple("notify a, '12'"),
        simple("drop table keeps_its_server; unlisten *"),
    ];
    let mut heard = Vec::new();
    for pooled in [true, false] {
        let mut client = if pooled { stage.client().await } else { stage.direct().await };
        let mut answers = Vec::new();
        for request in script.iter().cycle().take(script.len() * 5) {
            client.send(request).await;
            let is_pipeline = request.ends_with(&frontend::query("select 1"));
            for _ in 0..if is_pipeline { 4 } else { 1 } {
                for message in client.read_ready().await {
                    let note = (message.tag == b'A').then(|| parts(&message.body));
                    answers.push((char::from(message.tag), note));
                }
            }
        }
        assert_silent(&mut client).await;
        heard.push(answers);
    }
    assert!(heard[1].iter().filter(|(_, note)| note.is_some()).count() > 40);
    assert_eq!(heard[0], heard[1]);
}

/// A private connection lists its channels in the order of its LISTENs; here there is one at a time.
#[tokio::test]
async fn a_client_is_told_its_own_channels() {
    let stage = Stage::new("listen_told", "pool_size = 2");
    let (mut pooled, mut direct) = (stage.client().await, stage.direct().await);
    for sql in [
        "select pg_listening_channels()",
        "listen \"A b\"",
        "SELECT * FROM pg_listening_channels()",
        "/* app */ select pg_catalog.pg_listening_channels();",
        "begin",
        "unlisten *",
        "listen b",
        "select pg_listening_channels()",
        "commit",
        "select pg_listening_channels()",
        "create temp table mine (a int)",
        "select * from pg_listening_channels()",
        "select 1/0",
        "unlisten *",
        "select * from pg_listening_channels()",
    ] {
        assert_eq!(pooled.query(sql).await, direct.query(sql).await, "{sql}");
    }
    let mut pooled = stage.client().await;
    for sql in
        ["listen c", "select pg_listening_channels()", "select * from pg_listening_channels()"]
    {
        let (ours, theirs) =
            (pooled.query_extended(sql, &[]).await, direct.query_extended(sql, &[]).await);
        assert_eq!(ours, theirs, "{sql}, extended");
    }
}

#[tokio::test]
async fn transactions_and_savepoints_decide_what_is_listened_to() {
    let stage = Stage::new("listen_transactions", "pool_size = 2");
    for (script, heard) in [
        (&["begin", "listen a", "rollback"][..], ""),
        (&["begin", "listen a", "commit"], "a"),
        (
            &[
                "begin",
                "listen a",
                "savepoint s",
                "listen b",
                "rollback to s",
                "listen c",
                "commit",
            ],
            "ac",
        ),
        (&["begin", "listen a", "select 1/0", "commit"], ""),
        (&["listen a; select 1/0"], ""),
        (&["listen a; unlisten a; listen b"], "b"),
        (&["listen a", "begin", "unlisten *", "listen b", "rollback"], "a"),
        (&["listen a", "listen b", "discard all"], ""),
        (&["listen a", "listen b", "unlisten *"], ""),
        (&["begin", "savepoint s", "listen a", "release s", "commit"], "a"),
        (&["begin", "listen a", "commit and chain", "listen b", "rollback"], "a"),
    ] {
        for pooled in [true, false] {
            let mut client = if pooled { stage.client().await } else { stage.direct().await };
            for sql in script {
                client.query(sql).await;
            }
            let mut sender = stage.direct().await;
            sender.query("notify a; notify b; notify c; notify d").await;
            // A channel that is heard for certain, and behind the others.
            client.send(&frontend::query("listen d")).await;
            let mut names = String::new();
            loop {
                let message = client.recv().await;
                if message.tag == b'Z' {
                    sender.query("notify d, 'end'").await;
                }
                if message.tag != b'A' {
                    continue;
                }
                let (channel, payload) = parts(&message.body);
                if payload == "end" {
                    break;
                }
                names.push_str(&channel);
            }
            assert_eq!(names, heard, "{script:?}, pooled: {pooled}");
        }
    }
}

#[tokio::test]
async fn nothing_comes_inside_a_transaction() {
    let stage = Stage::new("listen_inside", "pool_size = 2");
    let mut client = stage.client().await;
    client.query("listen news").await;
    client.query("begin").await;
    let (mut sender, mut other) = (stage.direct().await, stage.client().await);
    other.query("listen news").await;
    sender.query("notify news, 'x'").await;
    assert_eq!(notification(&mut other).await.1, "x", "it has gone round");
    client.send(&frontend::query("select 1")).await;
    let inside: Vec<u8> = client.read_ready().await.iter().map(|message| message.tag).collect();
    assert_eq!(inside, b"TDCZ");
    client.send(&frontend::query("commit")).await;
    let after: Vec<u8> = client.read_ready().await.iter().map(|message| message.tag).collect();
    assert_eq!(after, b"CAZ", "before ReadyForQuery, as PostgreSQL does");
}

#[tokio::test]
async fn listen_by_the_extended_protocol_and_while_pinned() {
    let stage = Stage::new("listen_extended", "pool_size = 2");
    let mut client = stage.client().await;
    let result = client.query_extended("listen news", &[]).await;
    assert_eq!((result.error, result.tags), (None, vec!["LISTEN".to_owned()]));
    client.query("create temp table mine (a int)").await;
    stage.expect_pins(1).await;
    let mut sender = stage.client().await;
    sender.query("notify news, 'to a pinned one'").await;
    assert_eq!(notification(&mut client).await.1, "to a pinned one");
    assert_silent(&mut client).await;
}

#[tokio::test]
async fn sixteen_clients_over_two_servers_hear_each_other() {
    let stage = Stage::new("listen_sixteen", "pool_size = 2");
    let mut clients = Vec::new();
    for number in 0..16 {
        let mut client = stage.client().await;
        client.query(&format!("listen own_{number}")).await;
        client.query("listen everybody").await;
        clients.push(client);
    }
    let count = clients.len();
    for (number, client) in clients.iter_mut().enumerate() {
        let to = (number + 5) % count;
        let sql = format!("notify own_{to}, '{number}'; notify everybody, '{number}'");
        client.send(&frontend::query(&sql)).await;
        // Notifications of others may come in between.
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let mut heard = Vec::new();
        while heard.len() < count + 1 {
            let message = client.recv().await;
            if message.tag == b'A' {
                heard.push(parts(&message.body));
            }
        }
        let own = ((number + count - 5) % count).to_string();
        assert!(heard.contains(&(format!("own_{number}"), own)), "{heard:?}");
        assert_eq!(heard.iter().collect::<BTreeSet<_>>().len(), count + 1, "nothing twice");
    }
    let eye = "select count(*) from pg_stat_activity where datname = 'listen_sixteen' and pid <> pg_backend_pid()";
    assert_eq!(
        stage.direct().await.query(eye).await.value(),
        "3",
        "two servers and the listening one"
    );
}
